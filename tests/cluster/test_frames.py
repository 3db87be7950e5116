"""The frames of version 1 never change: their bytes are frozen, and another decoder reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import msgpack
import msgspec
import pytest

from cluster import LinkCode, LinkError, MessageTable
from cluster import frames as f
from cluster.translation import UNREADABLE, Translation, read_reason, written_reason
from runtime import (
    KILLED,
    NODEDOWN,
    NOPROC,
    Answer,
    Call,
    Crash,
    Demonitor,
    Ended,
    ExitSignal,
    Kind,
    Link,
    Monitor,
    Named,
    Pid,
    Reason,
    RemoteCrashError,
    Shutdown,
    Signal,
    Unlink,
    Unlinked,
    WhereIs,
)
from tests.cluster.messages import Note, registered
from tests.runtime.web import Web

FROZEN = Path(__file__).parents[1] / "vectors" / "link_frames_v1.json"
RAW = msgspec.Raw(msgspec.msgpack.encode(["hi", None, None]))
EXAMPLES: tuple[f.LinkFrame, ...] = (
    f.HelloFrame("a", 2**56, [1], {"storage.shards": bytes(range(8))}),
    f.HelloFrame("b.example", 1, [2, 1], {}),
    f.UpFrame(),
    f.GoodbyeFrame(9, "Nothing was heard of b for 3.5 s."),
    f.HeartbeatFrame(0),
    f.HeartbeatFrame(2**40),
    f.ClockFrame(1_800_000_000_000),
    f.PostFrame(0, 12, 16, RAW),
    f.PostFrame(2, 2**40, 3, msgspec.Raw(b"\x07")),
    f.PostNamedFrame(1, "office", 16, RAW),
    f.PostNamedFrame(0, ["room", 7], 16, RAW),
    f.CallFrame(3, 1, 4, 16, RAW),
    f.CallNamedFrame(3, 2, "office", 16, RAW),
    f.WhereIsFrame(3, 3, "office"),
    f.AnswerFrame(3, 1, 0, msgspec.Raw(b"\xc0")),
    f.MonitorFrame(3, 4, 5),
    f.MonitorNamedFrame(3, 5, "office"),
    f.DemonitorFrame(3, 4),
    f.EndedFrame(3, 4, [0, "noproc"]),
    f.EndedFrame(3, 4, [2, "ValueError"]),
    f.LinkToFrame(3, 5),
    f.UnlinkFrame(3, 5),
    f.UnlinkedFrame(5, 3),
    f.ExitFrame(3, 5, [1, ""], False),
    f.ExitFrame(3, 5, [3, "move"], True),
)


def frozen() -> list[dict[str, str]]:
    loaded: list[dict[str, str]] = json.loads(FROZEN.read_text(encoding="utf-8"))
    return loaded


def test_the_bytes_of_every_frame_of_version_1_are_frozen() -> None:
    assert [(type(example).__name__, f.encode_frame(example).hex()) for example in EXAMPLES] == [
        (row["frame"], row["bytes"]) for row in frozen()
    ]


def test_every_frame_has_an_example() -> None:
    assert {type(example) for example in EXAMPLES} == set(get_args(f.LinkFrame))


@pytest.mark.parametrize("row", frozen(), ids=lambda row: f"{row['frame']}-{row['bytes'][:8]}")
def test_a_frozen_frame_is_read_by_this_version_and_by_another_decoder(row: dict[str, str]) -> None:
    data = bytes.fromhex(row["bytes"])
    decoded = f.decode_frame(data)
    assert type(decoded).__name__ == row["frame"]
    items = msgpack.unpackb(data)
    assert isinstance(items, list)
    assert items[0] == type(decoded).__struct_config__.tag  # type: ignore[union-attr]


@pytest.mark.parametrize("row", frozen(), ids=lambda row: f"{row['frame']}-{row['bytes'][:8]}")
def test_a_frame_that_has_grown_in_a_newer_version_is_still_read(row: dict[str, str]) -> None:
    """What N+1 says to N: the fields of N, and more behind them."""
    data = bytes.fromhex(row["bytes"])
    grown = msgpack.packb([*msgpack.unpackb(data), "a field of version 2"])
    assert type(f.decode_frame(grown)).__name__ == row["frame"]


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x90", b"\x91\xa1x", b"\x91\xff", b"\x93\x0a\x01", b"\xc1", b"\x91" * 5000]
)
def test_junk_is_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(LinkError) as caught:
        f.decode_frame(data)
    assert caught.value.code is LinkCode.JUNK


def test_an_unknown_type_is_skipped() -> None:
    assert isinstance(f.decode_frame(msgspec.msgpack.encode([77, "new"])), f.UnknownLinkFrame)


@pytest.mark.parametrize(
    "reason", [KILLED, NOPROC, NODEDOWN, UNREADABLE, Reason("odd"), Shutdown("move"), Shutdown(7), Shutdown(None)]
)
def test_a_reason_crosses_as_it_is(reason: Reason) -> None:
    read = read_reason(msgspec.msgpack.decode(msgspec.msgpack.encode(written_reason(reason))))
    assert read == reason
    assert (read is KILLED) == (reason is KILLED)


def test_of_a_crash_only_the_kind_crosses_and_never_what_its_text_holds() -> None:
    secret = "a private word"
    written = msgspec.msgpack.encode(written_reason(Crash(ValueError(secret))))
    assert secret.encode() not in written
    read = read_reason(msgspec.msgpack.decode(written))
    assert isinstance(read, Crash)
    assert isinstance(read.exception, RemoteCrashError)
    assert written_reason(read) == written_reason(Crash(ValueError()))
    assert read_reason(written_reason(Shutdown(object()))) == Shutdown("object")
    assert read_reason([9, "newer"]) == Reason("newer")
    assert read_reason([]) == Reason("None")


A, B = Pid("a", 3, 1), Pid("b", 5, 2)
SIGNALS: tuple[Signal, ...] = (
    Call(A, 1, B, Note("hi", A)),
    Call(A, 1, Named("b", ("room", 7)), Note("hi")),
    WhereIs(A, 1, ("room", ("x", 1))),
    Monitor(A, 1, B),
    Monitor(A, 1, Named("b", "office")),
    Demonitor(A, 1),
    Link(A, B),
    Unlink(A, B),
    Unlinked(A, B),
    ExitSignal(A, B, KILLED, linked=False),
    ExitSignal(A, B, Shutdown("move"), linked=True),
    Answer(B, 1, Note("yes", A)),
    Ended(B, 1, NOPROC),
)


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: type(signal).__name__)
def test_a_signal_of_one_node_is_the_same_signal_on_the_other(signal: Signal) -> None:
    web = Web()
    table = registered(MessageTable())
    here, there = (Translation(web.runtimes[node], table) for node in "ab")
    heard: list[Any] = []
    there._foreign = Ear(web.runtimes["b"].foreign, heard)  # type: ignore[assignment]
    there.receive("a", 1, f.decode_frame(here.signal(signal, 1)))  # type: ignore[arg-type]
    assert heard == [("a", signal)]


class Ear:
    """Hears the signals that a translation hands on."""

    def __init__(self, foreign: Any, heard: list[Any]) -> None:
        self.pid = foreign.pid
        self.carry = foreign.carry
        self.receive = lambda node, signal: heard.append((node, signal))


@pytest.mark.parametrize(
    "frame",
    [
        f.PostFrame(0, 1, 999, RAW),
        f.PostFrame(0, 1, 16, msgspec.Raw(b"\x07")),
        f.PostFrame(0, 1, 6, msgspec.Raw(msgspec.msgpack.encode(["a", "x", 1]))),
        f.PostFrame(0, 1, 6, msgspec.Raw(msgspec.msgpack.encode(7))),
        f.PostNamedFrame(0, {}, 16, RAW),
        f.PostNamedFrame(0, "office", 999, RAW),
        f.WhereIsFrame(1, 1, None),
        f.AnswerFrame(1, 1, 999, RAW),
    ],
)
def test_a_message_of_a_newer_node_is_dropped_and_counted(frame: f.LinkFrame) -> None:
    web = Web()
    translation = Translation(web.runtimes["b"], registered(MessageTable()))
    if isinstance(frame, f.PostFrame):
        translation.receive_post(frame)
    else:
        translation.receive("a", 1, frame)
    assert translation.unreadable == 1


@pytest.mark.parametrize("frame", [f.CallFrame(1, 9, 1, 999, RAW), f.CallNamedFrame(1, 9, "office", 999, RAW)])
def test_a_call_that_cannot_be_read_is_answered_so(frame: f.LinkFrame) -> None:
    web = Web()
    translation = Translation(web.runtimes["b"], registered(MessageTable()))
    translation.receive("a", 1, frame)
    assert list(web.queues["b", "a"]) == [Ended(Pid("a", 1, 1), 9, UNREADABLE)]


def test_a_post_says_of_which_kind_it_is() -> None:
    web = Web()
    translation = Translation(web.runtimes["a"], registered(MessageTable()))
    decoded = f.decode_frame(translation.post(B, Kind.SHEDDABLE, Note("hi"), 1))
    assert decoded == f.PostFrame(2, 5, 16, RAW)


if __name__ == "__main__":
    rows = [{"frame": type(example).__name__, "bytes": f.encode_frame(example).hex()} for example in EXAMPLES]
    FROZEN.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
