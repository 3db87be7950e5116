"""Ticks: how far a member's devices have received and read a conversation.

Reading order: `api` (what a receipt is to other rooms), `logic` (watermarks: merge, coalesce, show),
`steps` (what a group is told: counts instead of members).

The watermarks of a conversation live with its single writer, the conversation actor, which calls
`logic` through `api`; there is no second copy to go stale.

Invariants: a watermark only grows; nobody hears of one before it is durable; a lost receipt is healed
by the next one, or by `FetchMarks` and `Mark` at the next login; who hides its reads sees none.
"""
