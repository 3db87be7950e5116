"""The messenger: one room per capability, and each room with the same floor plan.

`api.py` holds the messages and functions that other rooms may import, `logic.py` is pure, `actor.py` is the process
that owns the state. In reading order, along a message's way:

- `connection`: a client's TCP connection, its session, its frames.
- `router`: where an account, a conversation or a queue lives.
- `conversation`: the single writer of a chat; accepts, numbers and dedupes.
- `groups`: who belongs to a group, and may do what in it.
- `shard`: the journal, group commit answered with ✓, and the durable fan-out to other shards.
- `queue`: what waits for one device until that device has it.
- `notices`: what did not reach a group's members, told together.
- `placement`: which node has which shard, and how one moves.
- `receipts`: how far every member has received and read.
- `presence`: who is here, who types; never on the durable path.
- `linking`: where a new device and one of an account meet.
- `accounts`: people, devices, settings, block lists, codes, rate limits.

Beside the rooms: `tree` (who lives where, and who restarts whom), `messages` (what crosses between nodes),
`directory_keys` (what the directory holds, and with which shard it goes), `slices` (each room's part of the settings),
`tally` (what became of the messages), `logbook` (what the node says).

Invariants: rooms meet only through `api.py`. Only an actor changes its state. What is on the disk is known only by a
message that comes after the commit. Nothing is acknowledged before it is durable.
"""

from actors.directory_keys import directory_shard
from actors.messages import message_table
from actors.slices import connection_limits, messenger_limits, move_limits, rates, store_limits
from actors.tally import Tally
from actors.tree import Cluster, MessengerLimits, connection_maker, messenger_children

__all__ = [
    "Cluster",
    "MessengerLimits",
    "Tally",
    "connection_limits",
    "connection_maker",
    "directory_shard",
    "message_table",
    "messenger_children",
    "messenger_limits",
    "move_limits",
    "rates",
    "store_limits",
]
