"""Placement: which node has which shard, who claims one that nobody has, and how one moves while people chat.

Reading order: `api` (what others may ask), `logic` (what a node knows of all others' shards), `estate` (the shards that
run here), `residents` (their start and stop), `actor` (one process a node), `departure` and `arrival` (the two ends of
a move), `copies` (what has come, and what of it is void), `moves` (what these say).

Invariants: a shard is run by the node on whose disk it is, under the highest epoch, and by no other; it waits while
that node is down. A shard is claimed by nobody who has not heard every node of the cluster say that it has it not, and
never if anybody remembers that somebody had it. A copy that moves is run by nobody before its source has written that
it has let go.
"""
