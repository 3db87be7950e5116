"""Digests say what two devices do not have in common, and asking once brings all of it."""

from __future__ import annotations

from hashlib import sha256

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from protocol import ConversationId, DeviceId, MessageId
from roost.own_state import KNOWN_SIZE_BYTES, Entry, Gone, Record, later
from roost.state_digest import both_lack, differing, digests_of

DEVICES = [DeviceId(bytes([number]) * 16) for number in range(3)]
CHATS = [ConversationId(f"alice:{name}") for name in ("bob", "carol", "dave")]
NOTHING = bytes(KNOWN_SIZE_BYTES)

records = st.builds(
    Record,
    st.sampled_from(["archived", "muted"]),
    st.sampled_from(CHATS),
    st.integers(0, 4),
    st.sampled_from(DEVICES),
    st.sampled_from(["", "yes", "no"]),
)
gone = st.builds(
    Gone, st.sampled_from(CHATS), st.integers(0, 40).map(lambda it: MessageId(bytes([it]) * 16)), st.booleans()
)


class Device:
    """What a device holds, merged as the database merges it."""

    def __init__(self, entries: list[Entry]) -> None:
        self.records: dict[tuple[str, str], Record] = {}
        self.opened: dict[tuple[ConversationId, MessageId], bool] = {}
        self.hear(entries)

    def hear(self, entries: list[Entry]) -> None:
        for entry in entries:
            if isinstance(entry, Record):
                name = (entry.kind, entry.subject)
                self.records[name] = later(self.records.get(name), entry)
            else:
                target = (entry.conversation, entry.target)
                self.opened[target] = self.opened.get(target, True) and entry.opened

    def holds(self) -> list[Entry]:
        deleted = [Gone(where, target, opened) for (where, target), opened in self.opened.items()]
        return [*self.records.values(), *deleted]


devices = st.lists(st.one_of(records, gone), max_size=60).map(Device)


@given(devices)
def test_digests_do_not_depend_on_the_order_in_which_things_came(device: Device) -> None:
    assert digests_of(device.holds()) == digests_of(reversed(device.holds()))
    assert differing(digests_of(device.holds()), device.holds()) == []


@given(devices, devices)
def test_whoever_asks_once_has_all_that_the_other_has(one: Device, other: Device) -> None:
    told = differing(digests_of(one.holds()), other.holds())
    assert {*other.holds()} - {*one.holds()} <= {*told}
    both = Device([*one.holds(), *other.holds()])
    one.hear(told)
    assert {*one.holds()} == {*both.holds()}


@given(devices, devices)
def test_two_that_have_asked_each_other_have_nothing_more_to_tell(one: Device, other: Device) -> None:
    one.hear(differing(digests_of(one.holds()), other.holds()))
    other.hear(differing(digests_of(other.holds()), one.holds()))
    assert digests_of(one.holds()) == digests_of(other.holds())
    assert differing(digests_of(one.holds()), other.holds()) == []


@given(devices, devices, devices)
def test_one_answer_serves_all_who_have_asked(one: Device, other: Device, third: Device) -> None:
    asked = [digests_of(one.holds()), digests_of(other.holds())]
    told = differing(both_lack(*asked), third.holds())
    for known in asked:
        assert {*differing(known, third.holds())} <= {*told}


def test_a_device_without_anything_is_told_everything() -> None:
    held: list[Entry] = [Record("muted", f"alice:b{number}", 1, DEVICES[0], "forever") for number in range(500)]
    assert digests_of([]) == NOTHING
    assert differing(NOTHING, held) == held


def test_one_change_among_many_costs_the_telling_of_a_few() -> None:
    held: list[Entry] = [Record("muted", f"alice:b{number}", 1, DEVICES[0], "forever") for number in range(6_400)]
    known = digests_of(held[1:])
    told = differing(known, held)
    assert held[0] in told
    assert len(told) < 200


def test_digests_are_what_the_document_says() -> None:
    record = Record("muted", "alice:bob", 3, DEVICES[1], "forever")
    deleted = Gone(CHATS[0], MessageId(b"m" * 16), True)
    expected = bytearray(KNOWN_SIZE_BYTES)
    for row in (["muted", "alice:bob", 3, b"\1" * 16, "forever"], ["alice:bob", b"m" * 16, True]):
        bucket = sha256(msgpack.packb(row[:2])).digest()[0] % 64
        for index, byte in enumerate(sha256(msgpack.packb(row)).digest()[:8]):
            expected[bucket * 8 + index] ^= byte
    assert digests_of([record, deleted]) == bytes(expected)
