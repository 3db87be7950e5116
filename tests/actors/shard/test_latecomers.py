"""A device that was linked while a message was on its way to its account: nobody passes it by, whoever dies."""

from __future__ import annotations

import pytest

from actors.accounts.api import Ask, Supply
from actors.queue.api import NoticeBody, decode_notice
from actors.shard.spreading import Spread
from protocol import AccountId, Code, ConversationId, DeviceId, MessageId, decode_message, encode_message, shard_of
from protocol import messages as m
from runtime import KILLED
from storage import Table
from storage.records import MESSAGE, Accepted
from tests.actors.office import Office, Visitor, device_of

ANN, BOB = AccountId("ann"), AccountId("bob")
CHAT = ConversationId("ann:bob")
PHONE, LAPTOP = "ann's phone", "ann's laptop"
DESK, NEW = "bob's desk", "bob's new one"
SOURCE = (shard_of(BOB) + 1) % 64
"""The shard of the conversation, as the shard of bob is told: anywhere else."""


def office_with_a_new_device(seed: int) -> Office:
    """What the sender knew of bob was version 2, with one device; now there are two."""
    office = Office(seed)
    office.employ("ann", PHONE, LAPTOP)
    office.employ("bob", DESK, NEW)
    office.employ("eve", "eve's phone")
    return office


def accepted(office: Office, *, is_exact: bool, seq: int = 7) -> Accepted:
    producer, message_id = device_of(PHONE)[0], MessageId(bytes([seq]) * 16)
    now_ms = office.clock.wall_ms()
    body = encode_message(m.Message(CHAT, seq, ANN, producer, message_id, now_ms, 0, b"hello"))
    return Accepted(
        CHAT, producer, b"epoch--1", seq, bytes([seq]) * 16, seq, message_id, ANN, [(BOB, [device_of(DESK)[0]])],
        now_ms + 1_000_000, 0, now_ms, body, versions=[2], is_exact=is_exact,
    )  # fmt: skip


def spread(office: Office, record: Accepted, position: int = 100) -> None:
    """The shard of the conversation sends it to that of bob, which asks for it again if it has to."""
    shard = shard_of(BOB)
    for _ in range(5):
        office.runtime.cast(office.router.shard(shard), Spread(SOURCE, 0, [(position, record)]))
        office.settle()
        office.wait(0.1)


def arrived(visitor: Visitor) -> list[tuple[int, str]]:
    messages = [decode_message(entry[2]) for entry in visitor.heard if isinstance(entry, tuple) and entry[1] == MESSAGE]
    return [(message.seq, message.payload.decode()) for message in messages]


def notices(visitor: Visitor) -> list[NoticeBody]:
    return [decode_notice(entry[2]) for entry in visitor.heard if isinstance(entry, tuple) and entry[1] != MESSAGE]


def supply(office: Office, device: str = NEW, sender: AccountId = ANN, seq: int = 7) -> Visitor:
    visitor = Visitor()
    pid = office.runtime.start(visitor)
    frame = m.Supplement(1, CHAT, seq, BOB, device_of(device)[0], b"hello again")
    office.runtime.cast(office.router.account(BOB), Supply(pid, sender, frame))
    office.settle()
    return visitor


def owed(office: Office) -> int:
    return len(office.engine.scan(Table.DIRECTORY, b"owed/", b"owed0", 99))


def test_a_message_for_whoever_there_is_goes_to_the_new_device_at_once(seed: int) -> None:
    office = office_with_a_new_device(seed)
    spread(office, accepted(office, is_exact=False))
    assert arrived(office.attach("bob", DESK)) == [(7, "hello")]
    assert arrived(office.attach("bob", NEW)) == [(7, "hello")]
    assert not notices(office.attach("ann", PHONE))
    assert not owed(office)


def test_a_message_for_named_lists_is_owed_to_the_new_device_and_every_device_of_its_sender_hears_it(seed: int) -> None:
    office = office_with_a_new_device(seed)
    spread(office, accepted(office, is_exact=True))
    assert arrived(office.attach("bob", DESK)) == [(7, "hello")]
    new = office.attach("bob", NEW)
    assert arrived(new) == []
    missing = NoticeBody(CHAT, 7, BOB, device_of(NEW)[0], m.NOTICE_MISSING)
    assert [notices(office.attach("ann", device)) for device in (PHONE, LAPTOP)] == [[missing], [missing]]
    assert supply(office).all(m.Done) == [m.Done(1)]
    assert arrived(new) == [(7, "hello again")]
    assert supply(office).all(m.Done) == [m.Done(1)], "whoever comes second is told that all is well"
    assert arrived(new) == [(7, "hello again")]
    assert not owed(office)


def messages_when_the_disk_has_written(seed: int, times: int) -> int:
    """How many messages its answers make, after a chain has come so many times while it was slow."""
    office = office_with_a_new_device(seed)
    office.router.account(BOB)
    office.settle()
    for time in range(50):
        if time < times:
            job = 100, accepted(office, is_exact=True)
            office.runtime.cast(office.router.shard(shard_of(BOB)), Spread(SOURCE, 0, [job]))
        office.scheduler.run_for(0.025)
    before = office.runtime.statistics().messages
    office.settle()
    assert owed(office) == 1
    return office.runtime.statistics().messages - before


def test_a_slow_disk_is_told_once_what_is_owed_however_often_the_chain_comes(seed: int) -> None:
    assert messages_when_the_disk_has_written(seed, 50) <= messages_when_the_disk_has_written(seed, 1) + 5


@pytest.mark.parametrize(
    ("device", "sender", "seq", "code"),
    [(NEW, AccountId("eve"), 7, Code.NOT_ALLOWED), ("nobody's", ANN, 7, Code.DEVICE_UNKNOWN)],
)
def test_a_supplement_by_a_stranger_or_for_no_device_is_refused(
    seed: int, device: str, sender: AccountId, seq: int, code: Code
) -> None:
    office = office_with_a_new_device(seed)
    spread(office, accepted(office, is_exact=True))
    assert [error.code for error in supply(office, device, sender, seq).all(m.Error)] == [code]
    assert arrived(office.attach("bob", NEW)) == []
    assert owed(office) == 1


def test_what_nobody_owes_is_not_delivered(seed: int) -> None:
    office = office_with_a_new_device(seed)
    spread(office, accepted(office, is_exact=True))
    assert supply(office, seq=8).all(m.Done) == [m.Done(1)]
    assert supply(office, DESK).all(m.Done) == [m.Done(1)]
    assert arrived(office.attach("bob", NEW)) == []
    assert arrived(office.attach("bob", DESK)) == [(7, "hello")]


def test_two_devices_of_the_sender_that_bring_it_at_once_bring_it_once(seed: int) -> None:
    office = office_with_a_new_device(seed)
    spread(office, accepted(office, is_exact=True))
    visitors = [Visitor(), Visitor()]
    for visitor in visitors:
        frame = m.Supplement(1, CHAT, 7, BOB, device_of(NEW)[0], b"hello again")
        office.runtime.cast(office.router.account(BOB), Supply(office.runtime.start(visitor), ANN, frame))
    office.settle()
    assert [visitor.all(m.Done) for visitor in visitors] == [[m.Done(1)], [m.Done(1)]]
    assert arrived(office.attach("bob", NEW)) == [(7, "hello again")]


def test_a_device_that_leaves_is_owed_nothing(seed: int) -> None:
    office = office_with_a_new_device(seed)
    spread(office, accepted(office, is_exact=True))
    device, key = device_of(DESK)
    visitor = Visitor()
    pid = office.runtime.start(visitor)
    office.runtime.cast(office.router.account(BOB), Ask(pid, device, key, m.RemoveDevice(1, device_of(NEW)[0])))
    office.wait(10.0)
    assert not owed(office)


@pytest.mark.parametrize("steps", range(0, 60, 2))
def test_a_node_that_dies_at_any_step_of_it_makes_good_for_it(seed: int, steps: int) -> None:
    """The source sends again what was not taken; the sender supplements when it hears that it must."""
    office = office_with_a_new_device(seed)
    record = accepted(office, is_exact=True)
    office.runtime.cast(office.router.shard(shard_of(BOB)), Spread(SOURCE, 0, [(100, record)]))
    for _ in range(steps):
        office.step()
    office.committer.crash()
    office.boot()
    spread(office, record)
    assert {one.seq for one in notices(office.attach("ann", LAPTOP))} == {7}
    visitor = Visitor()
    frame = m.Supplement(1, CHAT, 7, BOB, DeviceId(device_of(NEW)[0]), b"hello again")
    office.runtime.cast(office.router.account(BOB), Supply(office.runtime.start(visitor), ANN, frame))
    for _ in range(steps):
        office.step()
    office.committer.crash()
    office.boot()
    supply(office)
    assert set(arrived(office.attach("bob", NEW))) == {(7, "hello again")}
    assert arrived(office.attach("bob", DESK)) == [(7, "hello")]


@pytest.mark.parametrize("steps", range(0, 40, 4))
def test_an_account_that_dies_over_a_supplement_leaves_it_to_the_next_try(seed: int, steps: int) -> None:
    office = office_with_a_new_device(seed)
    spread(office, accepted(office, is_exact=True))
    visitor = Visitor()
    frame = m.Supplement(1, CHAT, 7, BOB, device_of(NEW)[0], b"hello again")
    account = office.router.account(BOB)
    office.runtime.cast(account, Supply(office.runtime.start(visitor), ANN, frame))
    for _ in range(steps):
        office.step()
    office.runtime.exit(account, KILLED)
    office.settle()
    supply(office)
    assert set(arrived(office.attach("bob", NEW))) == {(7, "hello again")}
    assert not owed(office)
