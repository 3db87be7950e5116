"""What crosses between nodes has a number and a form that never change, so that nodes of two versions understand it.

A new message: give it a number in `actors/messages`, an example here, and run `python -m tests.actors.test_messages`.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from actors.accounts import api as accounts
from actors.conversation import api as conversation
from actors.groups import api as groups
from actors.linking import api as linking
from actors.messages import message_table
from actors.placement import api as placement
from actors.placement import moves
from actors.presence import api as presence
from actors.queue import api as queue
from actors.receipts import api as receipts
from actors.shard import api as shard
from actors.shard import spreading
from cluster.table import TAG_MIN, MessageCodec, Passport
from protocol import AccountId, ClientId, ConversationId, DeviceId, Epoch, InviteToken, MessageId
from protocol import messages as m
from runtime import Pid, Runtime, SeededRandomness, SeededScheduler, VirtualClock
from storage.records import Accepted, Removed

FROZEN = Path(__file__).parents[1] / "vectors" / "messages_v1.json"
PID = Pid("b", 7, 2**50)
ANN, BOB = AccountId("ann"), AccountId("bob@example.org")
CHAT = ConversationId("ann:bob@example.org")
GROUP = ConversationId("#018BCFE5680001020304050607")
PHONE, LAPTOP = DeviceId(bytes(range(16))), DeviceId(bytes(range(16, 32)))
KEY = bytes(range(32))
SENDER = conversation.Sender(PID, ANN, PHONE, Epoch(bytes(8)))
SEND = m.Send(CHAT, 3, ClientId(bytes(16)), b"payload", 60, 1)
ACCEPTED = Accepted(
    CHAT, PHONE, bytes(8), 3, bytes(16), 9, bytes(16), ANN, [(BOB, [LAPTOP])], 1_800_000_000_000, 1, 1, b"body"
)
REMOVED = Removed(LAPTOP, BOB, [4, 5], 1, [(ANN, CHAT, 9)], [(ANN, [PHONE])], [b"notice"])
VIEW = accounts.AccountView(
    ANN, True, 4, (PHONE, LAPTOP), frozenset({BOB}), frozenset(), False, "contacts", "nobody", devices_version=2
)

EXAMPLES: tuple[object, ...] = (
    accounts.Subscribe(PID),
    VIEW,
    accounts.Show(PID),
    accounts.SignIn(PID, PHONE, KEY),
    accounts.LoggedIn(VIEW),
    accounts.LoginRefused(7),
    accounts.Ask(PID, PHONE, KEY, m.RequestCode(1, "ann"), "192.0.2.1"),
    accounts.Ask(PID, PHONE, KEY, m.ListDevices(2)),
    accounts.Blocked(BOB),
    accounts.Supply(PID, ANN, m.Supplement(4, CHAT, 9, BOB, LAPTOP, b"late")),
    accounts.Ask(PID, PHONE, KEY, m.FetchDevices(3, BOB)),
    accounts.Stayed(PHONE),
    linking.Wait(PID, 1),
    linking.Join(PID, 2),
    linking.Carry(PID, b"sealed"),
    conversation.Submit(SENDER, [SEND, SEND]),
    receipts.Advance(ANN, 4, 2),
    receipts.Inquire(ANN, PID),
    receipts.Tell(m.Receipt(CHAT, BOB, 4, 2)),
    receipts.Tell(m.GroupReceipt(GROUP, 2, [m.Step(9, 3, 2, 1)])),
    groups.GroupAsk(PID, ANN, PHONE, m.JoinGroup(1, GROUP, InviteToken(bytes(16)))),
    groups.Belongs(GROUP, True, PID),
    groups.Knows(ANN, True),
    groups.Watch(PID, ANN),
    groups.Unwatch(PID),
    groups.WatchType(PID, False),
    queue.Attach(PID, b"token", 17, True, 1, 2.5),
    queue.Attached(PID, bytes(16), False, 3),
    queue.Batch([(17, 0, b"body"), (18, 1, b"notice")]),
    queue.Acknowledge(PID, 18),
    queue.Detach(PID),
    queue.Flow(PID, False),
    queue.Turn(PID, True, 2),
    queue.Fault(3),
    queue.Pass(b"body"),
    queue.Full(PHONE, True),
    queue.Probe(PID),
    presence.Subscribe(PID, ANN, CHAT),
    presence.Unsubscribe(PID, CHAT),
    presence.Type(CHAT, True),
    spreading.Spread(3, 16, [(17, ACCEPTED), (19, REMOVED)]),
    spreading.Resync(4, 16),
    spreading.Taken(4, 19),
    shard.Answers(
        [
            m.Sent(CHAT, 3, 9, MessageId(bytes(16)), 1),
            m.Refused(CHAT, 4, ClientId(bytes(16)), 11, "busy", 1_000, 0),
        ]
    ),
    placement.Holdings(
        "b", {1: 3}, {2: bytes(16)}, {5: placement.Gone("c", bytes(16), 4)}, {9: placement.Place("a", 2)}
    ),
    placement.ListShards(),
    placement.ShardList([placement.ShardPlace(1, "b", 3, "a", "up")]),
    placement.MoveShard(1, "a"),
    placement.Moved(1, "a", 100, 12_345, 0.25),
    placement.MoveRefused(1, "a is away; start it, and see that it is linked.", placement.MoveCode.AWAY),
    moves.Offer(1, "b", bytes(16), PID),
    moves.Declined("a takes nothing now."),
    moves.Welcome(PID),
    moves.Rows([(2, b"key", b"value")]),
    moves.RowsDurable(),
    moves.AllRows(),
    moves.Complete(),
    moves.Piece(2, b"key", b"value", True),
    moves.Speak("b"),
    accounts.Unsubscribe(PID),
)


def codec() -> MessageCodec:
    runtime = Runtime(
        clock=VirtualClock(), randomness=SeededRandomness(1), scheduler=SeededScheduler(1), node="a", incarnation=5
    )
    return MessageCodec(message_table(), Passport(runtime.foreign, "a", 5))


def rows() -> list[dict[str, object]]:
    table, encode = message_table(), codec().encode
    return [
        {"number": table.tag_of(type(example), 1), "type": type(example).__name__, "bytes": encode(example).hex()}
        for example in EXAMPLES
    ]


def frozen() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(FROZEN.read_text())
    return found


def test_numbers_and_bytes_of_all_that_crosses_are_frozen() -> None:
    assert rows() == frozen()


def test_every_message_that_crosses_has_an_example_and_every_frame_of_the_server_its_number() -> None:
    table = message_table()
    numbers = {table.tag_of(type(example), 1) for example in EXAMPLES}
    for frame in m.SERVER_FRAMES:
        tag = frame.__struct_config__.tag
        assert isinstance(tag, int)
        assert table.tag_of(frame, 1) == 100 + tag
        numbers.add(100 + tag)
    known = {number for number in range(TAG_MIN, 65_536) if table.type_of(number) is not None}
    assert numbers == known


@pytest.mark.parametrize("row", frozen() if FROZEN.exists() else (), ids=lambda row: str(row["type"]))
def test_what_an_earlier_node_says_is_understood(row: dict[str, object]) -> None:
    number, data = row["number"], row["bytes"]
    assert isinstance(number, int)
    assert isinstance(data, str)
    message = codec().decode(number, msgspec.Raw(bytes.fromhex(data)))
    assert message in EXAMPLES


@pytest.mark.parametrize("row", frozen() if FROZEN.exists() else (), ids=lambda row: str(row["type"]))
def test_what_a_later_node_adds_is_passed_over(row: dict[str, object]) -> None:
    number, data = row["number"], row["bytes"]
    assert isinstance(number, int)
    assert isinstance(data, str)
    longer = [*msgspec.msgpack.decode(bytes.fromhex(data)), "a field of the next version"]
    assert codec().decode(number, msgspec.Raw(msgspec.msgpack.encode(longer))) in EXAMPLES


if __name__ == "__main__":
    FROZEN.write_text("[\n" + ",\n".join("  " + json.dumps(row) for row in rows()) + "\n]\n")
