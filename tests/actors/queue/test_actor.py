"""What a queue and its neighbours do when one of them is full, was revoked, or cannot be read."""

from __future__ import annotations

import pytest

from actors.accounts.api import Ask
from actors.conversation.actor import ConversationActor
from actors.directory_keys import device_key
from actors.queue.api import Attach, Flow, QueueLimits
from protocol import AccountId, Code, ConversationId, shard_of
from protocol.messages import (
    NOTICE_OVER_QUOTA,
    NOTICE_POISON,
    NOTICE_REVOKED,
    POWER_BATTERY,
    Done,
    Refused,
    RemoveDevice,
    Sent,
)
from runtime import KILLED, MAILBOX_FULL, Pid, Reason
from storage import StoreCorruptError, Table
from storage.directory import snapshot_key
from storage.engine import Batch
from storage.records import Accepted, decode_record
from tests.actors.office import Office, Visitor, device_of

SMALL = QueueLimits(entries_max=8, size_bytes_max=1 << 20, window_bytes=1 << 16, attempts_max=5, resume_window_s=60.0)
STEPS_MAX = 2_000
ANN, BOB = "ann's phone", "bob's phone"


def two(seed: int, limits: QueueLimits | None = None) -> tuple[Office, Visitor]:
    office = Office(seed, limits)
    office.employ("ann", ANN)
    office.employ("bob", BOB)
    return office, office.attach("ann", ANN)


def swamp(office: Office, pid: Pid, message: object) -> None:
    """Everybody goes on, but there is never room in the mailbox of one, until it is no more."""
    for _ in range(STEPS_MAX):
        if not office.runtime.is_alive(pid):
            return
        fill(office, pid, message)
        office.step()
    pytest.fail("it lives on, and has missed something")


def fill(office: Office, pid: Pid, message: object) -> None:
    while office.runtime.cast(pid, message):
        pass


def test_a_queue_whose_mailbox_is_full_ends_and_its_next_one_reads_everything_from_the_disk(seed: int) -> None:
    office, ann = two(seed)
    bob = office.attach("bob", BOB)
    office.say(ann, "ann", ANN, "bob", 1, "one")
    queue = office.queue("bob", BOB)
    office.submit(ann, "ann", ANN, "bob", 2, "two")
    swamp(office, queue, Flow(ann.process.pid, open=True))
    office.settle()
    assert bob.faults == [Code.BUSY], "its connection is told to come back"
    assert bob.texts == ["one"]
    again = office.attach("bob", BOB)
    assert again.texts == ["one", "two"]
    assert not office.crashes


def test_a_connection_whose_mailbox_is_full_ends_before_an_ack_can_forget_what_it_missed(seed: int) -> None:
    office, ann = two(seed)
    bob = office.attach("bob", BOB)
    office.submit(ann, "ann", ANN, "bob", 1, "one")
    swamp(office, bob.process.pid, "anything")
    office.settle()
    assert office.waiting("bob", BOB) == 1
    assert office.attach("bob", BOB).texts == ["one"]


def test_a_login_that_was_under_way_for_long_does_not_replace_a_connection_opened_after_its_own(seed: int) -> None:
    office, ann = two(seed)
    given_up = Visitor()
    pid, opened_s = office.runtime.start(given_up), office.clock.now_s()
    office.wait(1.0)
    bob = office.attach("bob", BOB)
    late = Attach(pid, b"", 0, foreground=True, power=POWER_BATTERY, opened_s=opened_s)
    office.runtime.cast(office.queue("bob", BOB), late)
    office.settle()
    office.say(ann, "ann", ANN, "bob", 1, "one")
    assert (bob.faults, bob.texts) == ([], ["one"])
    assert (given_up.attached, given_up.faults, given_up.texts) == (None, [Code.REPLACED], [])
    newer = office.attach("bob", BOB)
    assert (bob.faults, newer.faults, newer.texts) == ([Code.REPLACED], [], ["one"])


@pytest.mark.parametrize(("reason", "stays"), [(MAILBOX_FULL, True), (KILLED, False)])
def test_a_message_is_poison_only_if_connections_broke_over_it(seed: int, reason: Reason, stays: bool) -> None:
    office, ann = two(seed)
    office.say(ann, "ann", ANN, "bob", 1, "one")
    for _ in range(6):
        bob = office.attach("bob", BOB)
        office.runtime.exit(bob.process.pid, reason)
        office.settle()
    assert office.attach("bob", BOB).texts == (["one"] if stays else [])
    assert office.notices(ann) == ([] if stays else [(1, NOTICE_POISON)])


def test_a_connection_whose_mailbox_is_full_ends_rather_than_miss_the_answer_to_a_send(seed: int) -> None:
    office, ann = two(seed)
    office.submit(ann, "ann", ANN, "bob", 1, "one")
    swamp(office, ann.process.pid, "anything")
    office.settle()
    assert office.waiting("bob", BOB) == 1, "the message is there; what was to tell her is not"


def test_a_send_to_a_full_queue_is_refused_until_it_has_room_and_uses_up_no_number(seed: int) -> None:
    office, ann = two(seed, SMALL)
    for number in range(1, 10):
        assert isinstance(office.say(ann, "ann", ANN, "bob", number, f"{number}"), Sent)
    assert office.notices(ann) == [(9, NOTICE_OVER_QUOTA)]
    refused = office.say(ann, "ann", ANN, "bob", 10, "10")
    assert isinstance(refused, Refused)
    assert (refused.code, refused.retry_after_ms) == (Code.OVER_QUOTA, 15_000)
    assert isinstance(office.say(ann, "ann", ANN, "ann", 1, "a note to myself"), Sent)
    office.wait(60.0)
    refused = office.say(ann, "ann", ANN, "bob", 10, "10")
    assert isinstance(refused, Refused)
    assert refused.retry_after_ms == 1_000, "the queue is being asked"
    refused = office.say(ann, "ann", ANN, "bob", 10, "10")
    assert isinstance(refused, Refused)
    assert refused.retry_after_ms == 15_000, "and has said that it is still full"
    bob = office.attach("bob", BOB)
    office.acknowledge(bob, "bob", BOB)
    office.wait(60.0)
    office.say(ann, "ann", ANN, "bob", 10, "10")
    assert isinstance(office.say(ann, "ann", ANN, "bob", 10, "10"), Sent)
    assert bob.texts == [f"{number}" for number in range(1, 9)] + ["10"]
    assert office.notices(ann) == [(9, NOTICE_OVER_QUOTA)]


def test_notices_are_bounded_by_a_second_quota(seed: int) -> None:
    office = Office(seed, SMALL)
    office.employ("ann", ANN, "ann's tablet")
    office.employ("bob", BOB, "bob's laptop")
    ann, bob = office.attach("ann", ANN), office.attach("bob", BOB)
    for number in range(1, 40):  # bob's laptop is full, and ann's tablet neither takes the messages nor the notices
        assert isinstance(office.say(ann, "ann", ANN, "bob", number, f"{number}"), Sent)
        office.acknowledge(bob, "bob", BOB)
        office.acknowledge(ann, "ann", ANN)
    assert office.waiting("bob", "bob's laptop") == SMALL.entries_max
    assert office.waiting("ann", "ann's tablet") == 2 * SMALL.entries_max
    laptop_missed = [seq for seq, reason in office.notices(ann) if reason == NOTICE_OVER_QUOTA]
    assert set(range(9, 40)) <= set(laptop_missed), "the device that listens is told of every one"


def test_one_commit_that_overflows_a_queue_brings_what_fits_and_turns_away_the_rest(seed: int) -> None:
    office, ann = two(seed, SMALL)
    bob = office.attach("bob", BOB)
    for number in range(1, 11):
        office.submit(ann, "ann", ANN, "bob", number, f"{number}")
    office.settle()
    assert bob.texts == [f"{number}" for number in range(1, 9)]
    assert office.notices(ann) == [(9, NOTICE_OVER_QUOTA), (10, NOTICE_OVER_QUOTA)]
    office.acknowledge(bob, "bob", BOB)
    assert office.waiting("bob", BOB) == 0


def removal_of_bobs_phone(laptop: Visitor) -> Ask:
    return Ask(laptop.process.pid, *device_of("bob's laptop"), RemoveDevice(1, device_of(BOB)[0]))


def two_and_a_laptop(seed: int) -> tuple[Office, Visitor]:
    office = Office(seed)
    office.employ("ann", ANN)
    office.employ("bob", BOB, "bob's laptop")
    return office, office.attach("bob", "bob's laptop")


def test_a_connection_whose_mailbox_is_full_ends_rather_than_miss_that_its_device_is_revoked(seed: int) -> None:
    office, laptop = two_and_a_laptop(seed)
    bob = office.attach("bob", BOB)
    office.runtime.cast(office.router.account(AccountId("bob")), removal_of_bobs_phone(laptop))
    swamp(office, bob.process.pid, "anything")


def test_a_connection_whose_mailbox_is_full_ends_rather_than_miss_that_its_login_is_done(seed: int) -> None:
    office, laptop = two_and_a_laptop(seed)
    visitor = Visitor()
    connection = office.runtime.start(visitor)
    office.runtime.cast(office.queue("bob", BOB), Attach(connection, b"", 0, True, POWER_BATTERY, 0.0))
    swamp(office, connection, "anything")
    assert office.runtime.is_alive(laptop.process.pid)


def test_a_queue_whose_mailbox_is_full_ends_rather_than_deliver_to_a_device_that_is_revoked(seed: int) -> None:
    office, laptop = two_and_a_laptop(seed)
    bob = office.attach("bob", BOB)
    office.runtime.cast(office.router.account(AccountId("bob")), removal_of_bobs_phone(laptop))
    swamp(office, office.queue("bob", BOB), Flow(laptop.process.pid, open=True))
    office.settle()
    assert bob.faults == [Code.BUSY], "its client comes back, and is refused"


def test_a_queue_that_has_idled_for_long_stays_a_while_when_its_device_is_revoked(seed: int) -> None:
    office, laptop = two_and_a_laptop(seed)
    office.queue("bob", BOB)
    office.wait(59.0)
    office.runtime.cast(office.router.account(AccountId("bob")), removal_of_bobs_phone(laptop))
    phone = device_of(BOB)[0]
    for stays in (True, False):
        office.wait(2.0)
        assert (office.router.live_queue(phone, AccountId("bob")) is not None) == stays
        office.wait(180.0)


def test_a_revocation_that_a_queue_missed_or_died_over_is_made_up_for_when_something_expires(seed: int) -> None:
    office = Office(seed)
    office.employ("ann", ANN)
    office.employ("bob", BOB, "bob's laptop")
    ann, laptop = office.attach("ann", ANN), office.attach("bob", "bob's laptop")
    for number in range(1, 4):
        office.say(ann, "ann", ANN, "bob", number, f"{number}", ttl_s=60)
    office.acknowledge(laptop, "bob", "bob's laptop")
    office.runtime.cast(office.router.account(AccountId("bob")), removal_of_bobs_phone(laptop))
    queue = office.queue("bob", BOB)
    while not laptop.all(Done):
        fill(office, queue, Flow(ann.process.pid, open=True))
        office.step()
    office.runtime.exit(queue, KILLED)
    office.settle()
    assert office.waiting("bob", BOB) == 3
    office.wait(65.0)
    assert office.waiting("bob", BOB) == 0
    assert sorted(office.notices(ann)) == [(seq, NOTICE_REVOKED) for seq in (1, 2, 3)]


def test_a_conversation_whose_snapshot_is_corrupt_ends_and_says_so(seed: int) -> None:
    office, ann = two(seed)
    chat = ConversationId("ann:bob")
    batch = Batch()
    batch.directory[snapshot_key(chat, shard_of)] = b"\x00 no snapshot"
    batch.seal()
    office.engine.apply(batch)
    office.store.directory.put(b"something", b"on its way", lambda _: None)  # so that the load waits for a commit
    pid = office.router.conversation(chat)
    office.settle()
    assert not office.runtime.is_alive(pid)
    assert {type(error) for _, error in office.crashes} == {StoreCorruptError}
    assert isinstance(office.say(ann, "ann", ANN, "ann", 1, "other chats go on"), Sent)


def test_a_device_whose_record_is_corrupt_keeps_its_entries_and_its_shard_goes_on_sweeping(seed: int) -> None:
    office, ann = two(seed)
    office.employ("bob", BOB, "bob's laptop")
    office.store.directory.put(device_key(device_of("bob's laptop")[0]), b"\xff no account", lambda _: None)
    office.say(ann, "ann", ANN, "bob", 1, "hello", ttl_s=60)
    bob = office.attach("bob", BOB)
    office.wait(65.0)
    assert office.waiting("bob", "bob's laptop") == 1
    assert office.waiting("bob", BOB) == 0
    assert bob.faults == []
    assert not office.crashes


@pytest.mark.parametrize("late", range(0, 30, 2))
def test_what_is_accepted_while_its_device_is_revoked_leaves_with_a_notice(seed: int, late: int) -> None:
    """Found by the simulator (seeds 99 and 114): what came behind the queue's last look went without a word."""
    office = Office(seed)
    office.employ("ann", ANN)
    office.employ("bob", BOB, "bob's laptop")
    ann, laptop = office.attach("ann", ANN), office.attach("bob", "bob's laptop")
    office.say(ann, "ann", ANN, "bob", 1, "before")  # the conversation has learnt both devices
    remove = Ask(laptop.process.pid, *device_of("bob's laptop"), RemoveDevice(1, device_of(BOB)[0]))
    office.runtime.cast(office.router.account(AccountId("bob")), remove)
    for _ in range(late):
        office.step()
    office.submit(ann, "ann", ANN, "bob", 2, "meanwhile")
    office.settle()
    office.wait(5.0)
    records = [decode_record(value)[1] for _, value in office.engine.scan(Table.JOURNAL, b"", b"\xff" * 9, 999)]
    meant = [
        record.seq
        for record in records
        if isinstance(record, Accepted) and any(device_of(BOB)[0] in devices for _, devices in record.targets)
    ]
    assert 1 in meant
    assert office.waiting("bob", BOB) == 0
    assert sorted(office.notices(ann)) == [(seq, NOTICE_REVOKED) for seq in meant]


def test_nothing_is_delivered_behind_a_poison_message_before_its_notice_is_on_disk(seed: int) -> None:
    """Found by the simulator (seed 3152): the queue died in between, and its next life delivered it after all."""
    office, ann = two(seed, QueueLimits(100, 1 << 20, 1 << 16, 2, 60.0))
    for number in (1, 2, 3):
        office.say(ann, "ann", ANN, "bob", number, f"{number}")
    for _ in range(2):
        office.runtime.exit(office.attach("bob", BOB).process.pid, KILLED)
        office.settle()
    bob = Visitor()
    pid = office.runtime.start(bob)
    office.runtime.cast(office.queue("bob", BOB), Attach(pid, b"", 0, True, POWER_BATTERY, office.clock.now_s()))
    office.scheduler.run_until_idle()
    assert bob.attached is not None
    assert bob.texts == []
    office.runtime.exit(office.queue("bob", BOB), KILLED)
    office.boot()  # the process died as well: what was not on disk never was
    again = office.attach("bob", BOB)
    assert again.texts == ["1", "2", "3"]
    ann = office.attach("ann", ANN)
    for _ in range(2):
        office.runtime.exit(again.process.pid, KILLED)
        office.settle()
        again = office.attach("bob", BOB)
    assert again.texts == ["2", "3"]
    assert office.notices(ann) == [(1, NOTICE_POISON)]


@pytest.mark.parametrize("late", range(24))
def test_a_removed_device_is_let_go_although_its_account_dies_before_it_can_say_so(seed: int, late: int) -> None:
    """Found by the simulator (seed 10390): its entries waited for their time to live."""
    office = Office(seed)
    office.employ("ann", ANN)
    office.employ("bob", BOB, "bob's laptop")
    ann, laptop = office.attach("ann", ANN), office.attach("bob", "bob's laptop")
    office.say(ann, "ann", ANN, "bob", 1, "before")
    account = office.router.account(AccountId("bob"))
    remove = Ask(laptop.process.pid, *device_of("bob's laptop"), RemoveDevice(1, device_of(BOB)[0]))
    office.runtime.cast(account, remove)
    for _ in range(late):
        office.step()
    office.runtime.exit(account, KILLED)
    office.settle()
    removed = device_of(BOB)[0] not in office.view("bob").devices
    office.wait(6.0)
    assert office.waiting("bob", BOB) == (0 if removed else 1)
    assert office.notices(ann) == ([(1, NOTICE_REVOKED)] if removed else [])


def test_a_queue_whose_device_leaves_during_a_read_retires_like_any_other(seed: int) -> None:
    """Found by the simulator (seed 50958): it took the read for work under way, for ever."""
    office, ann = two(seed)
    office.say(ann, "ann", ANN, "bob", 1, "hello")
    bob = Visitor()
    pid = office.runtime.start(bob)
    queue = office.queue("bob", BOB)
    office.say(ann, "ann", ANN, "bob", 2, "again")
    office.submit(ann, "ann", ANN, "bob", 3, "and again")
    office.scheduler.run_until_idle()
    office.store.flush()  # a commit is in flight: reads wait behind it
    office.runtime.cast(queue, Attach(pid, b"", 0, True, POWER_BATTERY, office.clock.now_s()))
    office.scheduler.run_until_idle()
    office.runtime.exit(pid, KILLED)
    office.scheduler.run_until_idle()
    office.settle()
    assert bob.texts == []
    office.wait(200.0)
    assert not office.runtime.is_alive(queue)


def test_a_queue_keeps_no_clock_while_its_device_is_here_and_retires_once_it_has_gone(seed: int) -> None:
    office = Office(seed)
    office.employ("bob", BOB)
    bob = Visitor()
    pid = office.runtime.start(bob)
    queue = office.queue("bob", BOB)
    office.runtime.cast(queue, Attach(pid, b"", 0, True, POWER_BATTERY, office.clock.now_s()))
    office.wait(6.0)  # so long an account stays
    timers = office.runtime.statistics().timers
    office.wait(200.0)
    assert office.runtime.is_alive(queue)
    office.runtime.exit(pid, KILLED)
    office.wait(1.0)
    assert office.runtime.statistics().timers == timers + 1
    office.wait(200.0)
    assert not office.runtime.is_alive(queue)


def test_what_a_conversation_accepts_for_a_device_that_was_removed_long_ago_leaves_with_a_notice(seed: int) -> None:
    """Found by the simulator (seed 65 of a cluster): a node that was cut off had not heard of the removal."""
    office, laptop = two_and_a_laptop(seed)
    ann = office.attach("ann", ANN)
    office.say(ann, "ann", ANN, "bob", 1, "before")
    office.runtime.cast(office.router.account(AccountId("bob")), removal_of_bobs_phone(laptop))
    office.wait(200.0)
    office.say(ann, "ann", ANN, "bob", 2, "after")
    process = office.router.conversation(ConversationId("ann:bob"))._process
    assert process is not None
    conversation = process._actor
    assert isinstance(conversation, ConversationActor)
    conversation._members.targets = {device_of(ANN)[0]: [("bob", [device_of(BOB)[0], device_of("bob's laptop")[0]])]}
    conversation._members.versions = {device_of(ANN)[0]: [1]}
    office.say(ann, "ann", ANN, "bob", 3, "by an old view")
    assert office.waiting("bob", BOB) == 0
    assert office.notices(ann)[-1] == (3, NOTICE_REVOKED)
    office.wait(150.0)
    assert office.router.live_queue(device_of(BOB)[0], AccountId("bob")) is None
