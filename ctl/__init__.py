"""The `roostctl` command, for whoever runs Roost: proves that messages are not lost, and looks after a cluster.

Read in this order: `command` (arguments, exit codes), `progress` (a bar, or lines where nobody watches), `verify` (the
simulator under many seeds), `real` (a real node, killed again and again), `node_key` (a host's key and its entry of the
cluster), `control` (asks a node that runs), `nodes` (who is up), `shards` (who has
which shard, and moves).

Invariants: the last line of a verification is its count, in one shape; the exit status is 0 only when every invariant
held; what is wrong with an argument, a file or a node is a sentence; nothing here needs more than Roost itself needs.
"""

__all__: list[str] = []
