"""Two fixed examples of every frame of version 1, and the script that freezes their bytes.

``python -m tests.protocol.frame_examples`` prints tests/vectors/frames_v1.json. It is run once for a new frame; the
bytes of an old one never change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec

from protocol import messages as m
from protocol.codec import encode_frame, tag_of
from protocol.ids import (
    AccountId,
    ClientId,
    ConversationId,
    DeviceId,
    Epoch,
    InviteId,
    InviteToken,
    MessageId,
    SessionToken,
)
from protocol.limits import NUMBER_MAX, U32_MAX

FROZEN: Final = Path(__file__).parents[1] / "vectors" / "frames_v1.json"

ANN, BOB = AccountId("ann"), AccountId("bob@example.org")
CHAT = ConversationId("ann:bob@example.org")
NOTES = ConversationId("ann:ann")
DEVICE = DeviceId(bytes(range(16)))
MESSAGE = MessageId(bytes(range(0xF0, 0x100)))
CLIENT = ClientId(bytes(range(0x10, 0x20)))
EPOCH = Epoch(bytes(range(0xE0, 0xE8)))
SESSION = SessionToken(bytes(range(0x20, 0x30)))
GROUP = ConversationId("#018BCFE5680001020304050607")
TOKEN = InviteToken(bytes(range(0x40, 0x50)))
INVITE = InviteId(bytes(range(0x50, 0x60)))
GROUP_SIGNATURE = bytes(range(64))
TIME_MS = 1_700_000_000_000
TEXT = "Grüße 🐦"
KEY = bytes(range(0x30, 0x50))
SIGNED = m.SignedDevices(KEY, b"body", bytes(range(0x40, 0x80)))

EXAMPLES: Final[tuple[m.Frame, ...]] = (
    m.Hello([1], ""),
    m.Hello([2, 1], "example/1.0"),
    m.RequestCode(0, "ann"),
    m.RequestCode(U32_MAX, "Bob@Example.org"),
    m.Register(1, "ann", "123456", "Ann", "phone"),
    m.Register(2, "bob@example.org", "", TEXT, ""),
    m.Login(ANN, EPOCH),
    m.Login(BOB, EPOCH, False, 600, SESSION, NUMBER_MAX, m.POWER_MAINS),
    m.Send(CHAT, 1, CLIENT, b"hello"),
    m.Send(NOTES, 0, CLIENT, b"", 86_400, m.URGENT | m.EPHEMERAL, [1, 3], [m.DevicePayload(DEVICE, b"for one")]),
    m.FetchAudience(70, CHAT),
    m.FetchAudience(71, GROUP, BOB),
    m.Supplement(72, CHAT, 5, BOB, DEVICE, b"late"),
    m.Supplement(73, GROUP, 1, ANN, DEVICE, b""),
    m.Ack(0),
    m.Ack(NUMBER_MAX),
    m.Mark(CHAT, 0, 0),
    m.Mark(CHAT, 300, 70_000),
    m.FetchMarks([]),
    m.FetchMarks([CHAT, NOTES]),
    m.Open(CHAT),
    m.Open(NOTES),
    m.Close(CHAT),
    m.Close(NOTES),
    m.Typing(CHAT, True),
    m.Typing(CHAT, False),
    m.SetState(True, 30),
    m.SetState(False, 900, m.POWER_SAVING),
    m.Ping(0),
    m.Ping(NUMBER_MAX),
    m.GetSettings(3),
    m.GetSettings(300),
    m.SetSettings(4),
    m.SetSettings(5, False, "contacts", "nobody", TEXT),
    m.SetRelation(6, BOB, "blocked"),
    m.SetRelation(7, BOB, "none"),
    m.Lookup(8, BOB),
    m.Lookup(9, ANN),
    m.GetLimits(10),
    m.GetLimits(70_000),
    m.ListDevices(11),
    m.ListDevices(128),
    m.RemoveDevice(12, DEVICE),
    m.RemoveDevice(256, DEVICE),
    m.ListRelations(13),
    m.ListRelations(65_536),
    m.Bye(),
    m.CreateGroup(20, CLIENT, "Family"),
    m.CreateGroup(21, CLIENT, TEXT, True, GROUP_SIGNATURE),
    m.ChangeGroup(22, GROUP, 1, m.LEFT),
    m.ChangeGroup(23, GROUP, 300, m.ROLE, BOB, m.ADMIN, TEXT, True, INVITE, GROUP_SIGNATURE),
    m.CreateInvite(24, GROUP, TOKEN, 86_400, 1),
    m.CreateInvite(25, GROUP, TOKEN, 1, 1_024, GROUP_SIGNATURE),
    m.JoinGroup(26, GROUP, TOKEN),
    m.JoinGroup(27, GROUP, TOKEN, GROUP_SIGNATURE),
    m.DescribeGroup(28, GROUP),
    m.DescribeGroup(29, GROUP, BOB),
    m.ListGroups(30),
    m.ListGroups(300),
    m.FetchGroupMarks(31, GROUP),
    m.FetchGroupMarks(32, GROUP, BOB),
    m.Welcome(1, "", 0, 65_536, 32, 131_072),
    m.Welcome(1, "roost/0.1", TIME_MS, 1_024, 1, 4_096),
    m.CodeSent(0, "log", 600),
    m.CodeSent(1, "mail", 0),
    m.Registered(1, ANN, DEVICE),
    m.Registered(2, BOB, DEVICE),
    m.Ready(ANN, DEVICE, SESSION, False, 60, 0, TIME_MS),
    m.Ready(BOB, DEVICE, SESSION, True, 600, 12_345, TIME_MS, 3),
    m.Sent(CHAT, 1, 1, MESSAGE, TIME_MS),
    m.Sent(NOTES, 0, 0, MESSAGE, TIME_MS),
    m.Refused(CHAT, 3, CLIENT, 305, "A number was skipped.", -1, 2),
    m.Refused(
        CHAT,
        5,
        CLIENT,
        316,
        "",
        -1,
        0,
        m.Stale([1, 4], [m.AccountDevices(BOB, 4, [DEVICE])], [DEVICE], [DeviceId(bytes(16))], []),
    ),
    m.Audience(70, CHAT, [1, 4], [m.AccountDevices(ANN, 1, [DEVICE]), m.AccountDevices(BOB, 4, [])], True),
    m.Audience(71, GROUP, [NUMBER_MAX], [], False),
    m.Deliver(1, m.Message(CHAT, 1, ANN, DEVICE, MESSAGE, TIME_MS, 0, b"hello")),
    m.Deliver(0, m.Message(CHAT, 0, BOB, DEVICE, MESSAGE, TIME_MS, m.EPHEMERAL, b"\x00\xff")),
    m.Notice(7, CHAT, 1, BOB, DEVICE, m.NOTICE_EXPIRED),
    m.Notice(8, CHAT, 2, BOB, DEVICE, m.NOTICE_POISON, [m.Unreached(BOB, DEVICE, m.NOTICE_EXPIRED)]),
    m.Receipt(CHAT, BOB, 5, 4),
    m.Receipt(CHAT, ANN, 0, 0),
    m.Presence(BOB, True, TIME_MS, 2),
    m.Presence(BOB, None, 0, 0),
    m.TypingBy(CHAT, BOB, True),
    m.TypingBy(CHAT, BOB, False),
    m.Drained(0),
    m.Drained(9),
    m.Pong(0),
    m.Pong(NUMBER_MAX),
    m.Heartbeat(30),
    m.Heartbeat(900),
    m.Settings(3, True, "everyone", "everyone", "Ann"),
    m.Settings(4, False, "contacts", "nobody", TEXT),
    m.Profile(8, BOB, "Bob", 2),
    m.Profile(9, ANN, TEXT, 0),
    m.Limits(10, []),
    m.Limits(11, [m.Limit("send", 99, 60), m.Limit("register", 0, 3_600)]),
    m.Devices(12, []),
    m.Devices(13, [m.Device(DEVICE, "phone", TIME_MS, TIME_MS, True), m.Device(DEVICE, TEXT, 0, 0, False)]),
    m.Relations(14, [], []),
    m.Relations(15, [ANN], [BOB, ANN]),
    m.Done(16),
    m.Done(17),
    m.Error(0, 106, "This server does not know that frame type.", -1),
    m.Error(18, 400, "", 0),
    m.Closing(110, "This device has logged in on another connection.", -1),
    m.Closing(502, "", 5_000),
    m.DevicesChanged(2),
    m.DevicesChanged(NUMBER_MAX),
    m.RegisterPrimary(1, "ann", "123456", "Ann", SIGNED, b"label"),
    m.RegisterPrimary(2, "bob@example.org", "", TEXT, SIGNED, b"", True),
    m.OpenLink(3, bytes(16)),
    m.OpenLink(300, bytes(range(16))),
    m.JoinLink(4, bytes(16)),
    m.JoinLink(70_000, bytes(range(16))),
    m.PassLink(b""),
    m.PassLink(b"sealed"),
    m.SignDevices(5, SIGNED, []),
    m.SignDevices(6, SIGNED, [b"label", b""]),
    m.FetchDevices(7, ANN),
    m.FetchDevices(8, BOB),
    m.LinkOpened(3, 60),
    m.LinkOpened(300, 0),
    m.LinkPassed(b""),
    m.LinkPassed(b"sealed"),
    m.LinkEnded(212, "The code was not used in time."),
    m.LinkEnded(213, ""),
    m.DeviceList(7, ANN, 3, [DEVICE], SIGNED, [b"label"], [m.Device(DEVICE, "phone", TIME_MS, TIME_MS, True)]),
    m.DeviceList(8, BOB, 0, [], None, [], []),
    m.GroupDone(20, GROUP, 1, 1),
    m.GroupDone(23, GROUP, 300, 0),
    m.GroupStale(22, GROUP, 2),
    m.GroupStale(23, GROUP, 301),
    m.Group(28, GROUP, 1, 1, "Family", False, 1, [m.Member(ANN, m.OWNER, 1)], [], True),
    m.Group(29, GROUP, 9, 99, TEXT, True, 2, [m.Member(BOB, m.MEMBER, 7)], [m.Invite(INVITE, ANN, TIME_MS, 3)], False),
    m.Groups(30, []),
    m.Groups(31, [GROUP]),
    m.GroupReceipt(GROUP, 0, []),
    m.GroupReceipt(GROUP, 2, [m.Step(7, 1_023, 900, 300), m.Step(8, 1_022, 1, 0)]),
    m.GroupMarks(31, GROUP, [], True),
    m.GroupMarks(32, GROUP, [m.GroupMark(BOB, 7, 0)], False),
    m.GroupHere(GROUP, 0),
    m.GroupHere(GROUP, 40),
)


def plain(value: object) -> Any:
    """A frame as JSON can hold it: bytes as ``hex:...``, nested arrays by field name."""
    if isinstance(value, bytes):
        return f"hex:{value.hex()}"
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return {field: plain(getattr(value, field)) for field in value.__struct_fields__}
    return value


def listed(value: object) -> Any:
    """A frame as the array that the document describes, made without the codec."""
    if isinstance(value, list):
        return [listed(item) for item in value]
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag
        return ([] if tag is None else [tag]) + [listed(getattr(value, field)) for field in value.__struct_fields__]
    return value


def frozen() -> list[dict[str, Any]]:
    """What stands in the file."""
    return [
        {
            "frame": type(frame).__name__,
            "type": tag_of(type(frame)),
            "fields": plain(frame),
            "bytes": encode_frame(frame).hex(),
        }
        for frame in EXAMPLES
    ]


if __name__ == "__main__":
    print(json.dumps(frozen(), indent=1, ensure_ascii=False))
