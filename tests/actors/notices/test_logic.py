from __future__ import annotations

from actors.notices.api import Missed, collecting_group, target_of
from actors.notices.logic import WAITING_MAX, Collection
from protocol import AccountId, ClientId, DeviceId, group_conversation
from protocol.messages import NOTICE_DEVICES_MAX, NOTICE_OVER_QUOTA


def missed(seq: int, device: int, sender: str = "ann") -> Missed:
    return Missed(sender, seq, f"m{device}", device.to_bytes(16, "big"), NOTICE_OVER_QUOTA)


def test_all_devices_that_missed_a_message_are_told_together_and_each_message_by_itself() -> None:
    collection = Collection()
    for position in range(1, 7):
        collection.add(position, missed(1 + position % 2, position))
    assert [(telling.positions, telling.missed[0].seq) for telling in collection.take("ann")] == [
        ([1, 3, 5], 2),
        ([2, 4, 6], 1),
    ]
    assert collection.leaving == {1, 2, 3, 4, 5, 6}
    assert collection.take("ann") == []


def test_each_sender_is_told_of_their_own_and_waits_for_nobody() -> None:
    collection = Collection()
    collection.add(1, missed(1, 1))
    collection.add(2, missed(2, 1, "bob"))
    assert [telling.positions for telling in collection.take("bob")] == [[2]]
    assert collection.senders == ["ann"]


def test_more_devices_than_a_notice_may_name_are_told_in_several() -> None:
    collection = Collection()
    for position in range(1, NOTICE_DEVICES_MAX + 2):
        collection.add(position, missed(1, position))
    assert [len(telling.missed) for telling in collection.take("ann")] == [NOTICE_DEVICES_MAX, 1]


def test_what_comes_twice_is_told_once() -> None:
    collection = Collection()
    for position in (1, 2, 2, 1):
        collection.add(position, missed(1, position))
    assert [telling.positions for telling in collection.take("ann")] == [[1, 2]]


def test_what_waits_is_bounded_before_it_is_told() -> None:
    collection = Collection()
    for position in range(1, WAITING_MAX):
        collection.add(position, missed(position, 1))
    assert not collection.is_full
    collection.add(WAITING_MAX, missed(1, 2))
    assert collection.is_full
    collection.take("ann")
    assert not collection.is_full
    assert not collection.is_empty, "it is on its way"
    collection.leaving.clear()
    assert collection.is_empty


def test_a_groups_own_queue_is_never_taken_for_that_of_a_device() -> None:
    group = group_conversation(AccountId("ann"), ClientId(bytes(16)))
    ((account, devices),) = [target_of(group)]
    assert account == group
    assert collecting_group(DeviceId(devices[0])) == group
    assert collecting_group(DeviceId(b"#" + bytes(15))) is None
    assert collecting_group(DeviceId(b"\xff" * 16)) is None
