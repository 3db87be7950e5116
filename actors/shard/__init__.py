"""A shard: the journal's commits turned into ticks and deliveries, and the durable fan-out between shards.

Reading order: `api` (what others may do with a shard), `logic` (the chain that neither loses nor doubles),
`latecomers` (devices that the sender did not know of), `spreading` (both ends of the chain), `actor` (one process a
shard), `journal` (the one process that drives the node's store).

Invariants: ✓ and delivery come after the commit, in position order; every outbox job reaches every target shard once,
whatever crashes; a target that is away delays nobody else.
"""
