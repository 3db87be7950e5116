"""What waits for one device, until that device says that it has it.

Reading order: `api` (what others may say), `logic` (the pure state), `actor`, and what it leaves to others: `removals`
(what goes without an ack) and `hold` (what waits while nobody looks).

Invariants: an entry leaves only by the device's own ack, or by a removal whose notice is as durable as the entry was;
the device may acknowledge only what it was sent on this connection (or the one it resumed); a slow reader stops its
queue and nothing else; entries go out in position order.
"""
