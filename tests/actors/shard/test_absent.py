"""Devices that are away: what comes for them waits without a process, and nobody can stay away for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.directory_keys import device_key
from actors.queue.api import Detach, QueueLimits, unseen_max
from actors.shard.absent import DEVICES_MAX, Absent
from actors.shard.api import Expire
from actors.shard.spreading import Spread
from protocol import AccountId, DeviceId, MessageId, encode_message, shard_of
from protocol import messages as m
from protocol.messages import NOTICE_REVOKED
from runtime import KILLED
from storage.records import MESSAGE, NOTICE, Accepted, Entries, Entry
from tests.actors.office import Office, device_of

if TYPE_CHECKING:
    from runtime import Pid
    from storage.records import Target

ANN, BOB = AccountId("ann"), AccountId("bob")
PHONE, DESK, REMOVED = "ann's phone", "bob's desk", "bob's old one"
LIMITS = QueueLimits(entries_max=48, size_bytes_max=1 << 20, window_bytes=1 << 16, attempts_max=5, resume_window_s=60.0)
"""So that a sixteenth is three."""


def two(seed: int, limits: QueueLimits = LIMITS) -> Office:
    office = Office(seed, limits)
    office.employ("ann", PHONE)
    office.employ("bob", DESK)
    return office


def queue_of(office: Office, device: str) -> Pid | None:
    return office.router.live_queue(device_of(device)[0], BOB)


def with_a_removed_device(seed: int) -> Office:
    """Bob has had another device; it is gone, and everything that waited for it with it."""
    office = two(seed)
    office.store.directory.put(device_key(device_of(REMOVED)[0]), b"bob", lambda _: None)
    office.settle()
    return office


def accepted() -> Accepted:
    """By a conversation of another node, which does not know yet that bob has a device less."""
    producer, message_id, now_ms = device_of(PHONE)[0], MessageId(bytes(16)), 1_000
    body = encode_message(m.Message("ann:bob", 7, ANN, producer, message_id, now_ms, 0, b"hello"))  # type: ignore[arg-type]
    targets: list[Target] = [("bob", [device_of(DESK)[0], device_of(REMOVED)[0]])]
    return Accepted(
        "ann:bob", producer, b"epoch--1", 7, bytes(16), 7, message_id, "ann", targets, 0, 0, now_ms, body, versions=[1]
    )


def test_what_comes_for_a_device_that_is_away_starts_no_queue_until_much_has_come(seed: int) -> None:
    office = two(seed)
    ann, bob = office.attach("ann", PHONE), office.attach("bob", DESK)
    office.runtime.cast(office.queue("bob", DESK), Detach(bob.process.pid))
    office.wait(200.0)
    for number in (1, 2, 3):
        office.say(ann, "ann", PHONE, "bob", number, "hello")
        assert queue_of(office, DESK) is None
    assert office.waiting("bob", DESK) == 3
    office.say(ann, "ann", PHONE, "bob", 4, "hello")
    assert queue_of(office, DESK) is not None
    assert len(office.attach("bob", DESK).positions) == 4


def test_the_queue_of_a_device_that_has_just_left_ends_once_much_has_come_for_it(seed: int) -> None:
    office = two(seed)
    ann, bob = office.attach("ann", PHONE), office.attach("bob", DESK)
    office.runtime.cast(office.queue("bob", DESK), Detach(bob.process.pid))
    office.settle()
    queue = queue_of(office, DESK)
    for number in (1, 2, 3):
        office.say(ann, "ann", PHONE, "bob", number, "hello")
        assert queue_of(office, DESK) == queue is not None, "its session may be resumed"
    office.say(ann, "ann", PHONE, "bob", 4, "hello")  # it asks whether the device is there at all
    office.say(ann, "ann", PHONE, "bob", 5, "hello")
    assert queue_of(office, DESK) is None
    office.say(ann, "ann", PHONE, "bob", 6, "hello")
    assert queue_of(office, DESK) is None
    assert len(office.attach("bob", DESK).positions) == 6


def test_not_all_queues_of_a_large_group_start_or_end_at_one_message() -> None:
    after = [unseen_max(DeviceId(bytes(15) + bytes([last])), 10_000) for last in range(256)]
    assert (min(after), max(after)) == (315, 625)
    assert len(set(after)) > 200


def test_a_full_queue_whose_device_is_away_stays_and_turns_away_what_is_too_much(seed: int) -> None:
    office = two(seed)
    ann = office.attach("ann", PHONE)
    for number in range(1, 60):
        office.say(ann, "ann", PHONE, "bob", number, "hello")
    assert LIMITS.entries_max <= office.waiting("bob", DESK) <= LIMITS.entries_max + LIMITS.entries_max // 16
    queue = queue_of(office, DESK)
    office.wait(200.0)
    assert queue is not None
    assert queue_of(office, DESK) == queue
    bob = office.attach("bob", DESK)
    office.acknowledge(bob, "bob", DESK)
    office.runtime.cast(queue, Detach(bob.process.pid))
    office.wait(200.0)
    assert queue_of(office, DESK) is None, "it has nothing to hold any more"


def test_what_arrives_for_a_device_that_was_removed_leaves_at_once_with_a_notice(seed: int) -> None:
    office = with_a_removed_device(seed)
    ann = office.attach("ann", PHONE)
    shard = shard_of(BOB)
    for _ in range(5):  # it asks for it again until it knows bob's devices
        office.runtime.cast(office.router.shard(shard), Spread((shard + 1) % 64, 0, [(100, accepted())]))
        office.settle()
        office.wait(0.1)
    assert office.waiting("bob", DESK) == 1
    assert office.waiting("bob", REMOVED) == 0
    assert office.notices(ann)[-1] == (7, NOTICE_REVOKED)


def test_what_was_taken_for_a_removed_device_by_a_node_that_died_then_leaves_after_its_start(seed: int) -> None:
    """Found by the simulator (seed 803696): nobody came for it any more, and nobody else looked at it."""
    office = with_a_removed_device(seed)
    shard, record = shard_of(BOB), accepted()
    office.store.append(
        shard,
        office.store.holdings()[shard],
        Entries(
            (shard + 1) % 64, 100, [("bob", [device_of(REMOVED)[0]])], MESSAGE, "ann:bob", 7, "ann", 0, 0, record.body
        ),
    )
    while office.store.durable_position < office.store._journal.next_position - 1:
        office.store.flush()
        office.committer.step()
    office.boot()
    ann = office.attach("ann", PHONE)
    assert office.waiting("bob", REMOVED) == 1
    office.wait(5.0)
    assert office.waiting("bob", REMOVED) == 0
    assert office.notices(ann)[-1] == (7, NOTICE_REVOKED)


def entry(kind: int = MESSAGE, size_bytes: int = 1) -> Entry:
    return Entry(1, kind, "ann:bob", 1, "ann", 0, 0, bytes(size_bytes))


def test_a_device_that_nobody_knows_and_a_notice_and_what_is_large_have_their_queue_started() -> None:
    absent, device = Absent(LIMITS), DeviceId(b"device")
    small = absent.weight(entry())
    assert not absent.keeps(device, small), "nobody knows how much waits for it"
    absent.started(device)
    assert not absent.keeps(device, absent.weight(entry(NOTICE)))
    assert not absent.keeps(device, small), "not before its queue has started"
    absent.started(device)
    assert not absent.keeps(device, absent.weight(entry(size_bytes=1 << 16)))
    absent.started(device)
    assert [absent.keeps(device, small) for _ in range(4)] == [True, True, True, False]


def test_no_more_than_so_many_devices_are_remembered_and_who_is_forgotten_has_its_queue_started() -> None:
    absent = Absent(LIMITS)
    small = absent.weight(entry())
    for number in range(DEVICES_MAX):
        absent.started(DeviceId(b"%d" % number))
    absent.started(DeviceId(b"0"))
    absent.started(DeviceId(b"one more"))
    assert absent.keeps(b"0", small), "it was started again a moment ago"
    assert not absent.keeps(b"1", small)
    assert absent.keeps(b"2", small)


def test_a_first_message_after_a_start_of_the_node_has_the_queue_started(seed: int) -> None:
    office = two(seed)
    ann = office.attach("ann", PHONE)
    office.say(ann, "ann", PHONE, "bob", 1, "hello")
    assert queue_of(office, DESK) is not None


def test_a_queue_asks_again_whether_its_device_is_there_until_it_is_told(seed: int) -> None:
    office = with_a_removed_device(seed)
    ann = office.attach("ann", PHONE)
    office.runtime.cast(office.router.queue(device_of(REMOVED)[0], BOB), Expire(is_due=False))
    for _ in range(3):
        account = office.runtime.whereis(("account", BOB))
        if account is not None:
            office.runtime.exit(account, KILLED)
        office.step()
    office.store.append(
        shard_of(BOB),
        office.store.holdings()[shard_of(BOB)],
        Entries(1, 100, [("bob", [device_of(REMOVED)[0]])], MESSAGE, "ann:bob", 7, "ann", 0, 0, accepted().body),
    )
    office.settle()
    office.wait(3.0)
    assert office.waiting("bob", REMOVED) == 0
    assert office.notices(ann)[-1] == (7, NOTICE_REVOKED)
