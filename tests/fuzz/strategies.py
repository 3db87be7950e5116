"""Inputs of a target that know its structure: legal ones, damaged ones, several at once, and plain junk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from protocol.messages import CLIENT_FRAMES, SERVER_FRAMES
from storage import Entry
from storage.inbox import Summary
from storage.records import ENTRY_OVERHEAD_BYTES, encode_entry, encode_record
from tests.fuzz.seeds import segment, written
from tests.fuzz.store_targets import KINDS
from tests.fuzz.wires import STAGES
from tests.protocol.frame_strategies import frames
from tests.storage.test_records import records

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.fuzz.target import Target

SIZE_BYTES_MAX = 300
GIANT_LENGTHS = (
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\x00\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
)

junk = st.binary(max_size=SIZE_BYTES_MAX)


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Anything that is worth giving to a target."""
    committed = st.sampled_from([path.read_bytes() for path in target.corpus()])
    legal = _LEGAL[target.name]() | committed if target.name in _LEGAL else committed
    return legal | damaged(legal) | st.builds(bytes.__add__, legal, legal) | junk


@st.composite
def damaged(draw: st.DrawFn, legal: st.SearchStrategy[bytes]) -> bytes:
    """A legal input after a few blows: a byte changed, a piece cut out, doubled or put in, an end torn off."""
    data = bytearray(draw(legal))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(len(data), at + 16)))
        match draw(st.sampled_from(("change", "cut", "double", "giant", "insert", "truncate"))):
            case "change" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at:end]
            case "double":
                data[at:at] = data[at:end]
            case "giant":
                data[at:end] = draw(st.sampled_from(GIANT_LENGTHS))
            case "insert":
                data[at:at] = draw(st.binary(max_size=8))
            case _:
                del data[at:]
    return bytes(data)


def _session(kinds: tuple[type, ...]) -> Callable[[], st.SearchStrategy[bytes]]:
    """Legal frames of a direction in any state, cut anywhere."""
    frame = st.sampled_from(kinds).flatmap(frames)

    def inputs_of_wire() -> st.SearchStrategy[bytes]:
        head = st.tuples(st.integers(0, len(STAGES) - 1), st.integers(0, 255)).map(bytes)
        return st.builds(bytes.__add__, head, st.lists(frame, max_size=4).map(written))

    return inputs_of_wire


def _record() -> st.SearchStrategy[bytes]:
    return st.builds(encode_record, st.integers(0, 255), records)


def _store() -> st.SearchStrategy[bytes]:
    value = st.one_of(st.builds(encode_record, st.integers(0, 2), records), st.binary(max_size=40))
    one = st.builds(segment, st.integers(0, KINDS - 1), value.filter(lambda it: len(it) < 256))
    some = st.lists(one, max_size=6).map(b"".join)
    return some | st.builds(bytes.__add__, _shared(), some)


@st.composite
def _shared(draw: st.DrawFn) -> bytes:
    """Bodies that are stored once for several devices, how many wait for each, and what is known of their queue."""
    bodies = draw(st.lists(st.binary(max_size=100), min_size=1, max_size=3))
    entries = [Entry(place + 2, 0, "talk0", place + 1, "ann2", 0, 0, body) for place, body in enumerate(bodies)]
    size_bytes = sum(len(body) + ENTRY_OVERHEAD_BYTES for body in bodies)
    summary = Summary(1, len(bodies), size_bytes, 2, len(bodies) + 1, refers=draw(st.booleans()))
    shared = [bytes((draw(st.integers(0, 3)), len(it.body))) + encode_entry(it) for it in entries]
    return segment(3, summary.encode()) + b"".join(segment(11, value) for value in shared)


_LEGAL: Mapping[str, Callable[[], st.SearchStrategy[bytes]]] = {
    "server_wire": _session(CLIENT_FRAMES),
    "client_wire": _session(SERVER_FRAMES),
    "journal_record": _record,
    "whole_store": _store,
    "config_text": lambda: st.text(max_size=SIZE_BYTES_MAX).map(str.encode),
    "identifiers": lambda: st.text(max_size=SIZE_BYTES_MAX).map(str.encode),
    "server_address": lambda: st.text(max_size=40).map(str.encode),
}
