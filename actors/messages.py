"""Which messages of the messenger cross between nodes, each under a number that is never another's and never changes.

What stays within a shard (`Enqueue`, `Commits`, `RemovalDurable`, a queue's `DeviceRevoked`) or within a connection's
own node (`Pressure`, `Drain`) does not cross, and has no number.
"""

from __future__ import annotations

from typing import Final

from actors.accounts.api import AccountView, Ask, Blocked, LoggedIn, LoginRefused, Show, SignIn, Stayed, Supply
from actors.accounts.api import Subscribe as SubscribeAccount
from actors.accounts.api import Unsubscribe as UnsubscribeAccount
from actors.conversation.api import Submit
from actors.groups.api import Belongs, GroupAsk, Knows, Unwatch, Watch, WatchType
from actors.linking.api import Carry, Join, Wait
from actors.placement.api import Holdings, ListShards, Moved, MoveRefused, MoveShard, ShardList
from actors.placement.moves import AllRows, Complete, Declined, Offer, Piece, Rows, RowsDurable, Speak, Welcome
from actors.presence.api import Subscribe, Type, Unsubscribe
from actors.queue.api import Acknowledge, Attach, Attached, Batch, Detach, Fault, Flow, Full, Pass, Probe, Turn
from actors.receipts.api import Advance, Inquire, Tell
from actors.shard.api import Answers
from actors.shard.spreading import Resync, Spread, Taken
from cluster import MessageTable
from protocol.messages import SERVER_FRAMES

__all__ = ["message_table"]

_FRAMES: Final = 100
"""A frame of the server has the number of its type, and this."""

_NUMBERS: Final[dict[int, type]] = {
    16: SubscribeAccount,
    17: AccountView,
    18: Show,
    19: SignIn,
    20: LoggedIn,
    21: LoginRefused,
    22: Ask,
    23: Blocked,
    24: Supply,
    25: Stayed,
    26: Wait,
    27: Join,
    28: Carry,
    29: UnsubscribeAccount,
    30: Submit,
    31: Advance,
    32: Inquire,
    33: Tell,
    34: GroupAsk,
    35: Belongs,
    36: Knows,
    37: Watch,
    38: Unwatch,
    39: WatchType,
    40: Attach,
    41: Attached,
    42: Batch,
    43: Acknowledge,
    44: Detach,
    45: Flow,
    46: Turn,
    47: Fault,
    48: Pass,
    49: Full,
    50: Probe,
    60: Subscribe,
    61: Unsubscribe,
    62: Type,
    70: Spread,
    71: Resync,
    72: Taken,
    73: Answers,
    80: Holdings,
    81: ListShards,
    82: ShardList,
    83: MoveShard,
    84: Moved,
    85: MoveRefused,
    86: Offer,
    87: Declined,
    88: Welcome,
    89: Rows,
    90: RowsDurable,
    91: AllRows,
    92: Complete,
    93: Piece,
    94: Speak,
}


def message_table() -> MessageTable:
    """The table for a node of the messenger; further rooms may add theirs."""
    table = MessageTable()
    for number, kind in _NUMBERS.items():
        table.register(kind, number)
    for frame in SERVER_FRAMES:
        tag = frame.__struct_config__.tag
        assert isinstance(tag, int), "frames have numbers"
        table.register(frame, _FRAMES + tag)
    return table
