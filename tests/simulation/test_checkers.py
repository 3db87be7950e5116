"""Each checker accepts a story that keeps its invariant, and objects to one that breaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from actors.accounts.logic import Account, DeviceRecord, encode_account
from protocol import (
    AccountId,
    ClientId,
    Code,
    DeviceId,
    Epoch,
    MessageId,
    encode_change,
    encode_message,
    encode_payload,
    group_conversation,
    shard_of,
)
from protocol.messages import CHANGE, CREATED, NOTICE_POISON, OWNER, Change, Notice, Receipt, TypingBy
from roost.changes import EpochRenewed, Failed, MarksChanged, Queued
from roost.content import decode_content, encode_text
from roost.events import ConnectionChanged, ConnectionState, MessageReceived, PresenceChanged, TypingChanged
from runtime import Pid
from simulation.checkers import CHECKERS
from simulation.checkers.bounds import CONNECTIONS_OF_DEVICE_MAX, Bounds
from simulation.checkers.bundles import RightPayload
from simulation.checkers.counts import CountsAreTrue
from simulation.checkers.delivery import AcceptedIsDurable, DeletedOnAck, NothingIsLost, ShownOnce
from simulation.checkers.emptiness import NothingIsLeft, RestartFinds
from simulation.checkers.finality import Finality
from simulation.checkers.journeys import Journeys
from simulation.checkers.membership import Membership
from simulation.checkers.numbers import NumbersHold
from simulation.checkers.order import Order
from simulation.checkers.own_state import OwnStateConverges
from simulation.checkers.ownership import FormerOwnersAreFenced, RunAtOneNode
from simulation.checkers.presence import PresenceConverges
from simulation.checkers.receipts import ReceiptsAreTrue
from simulation.checkers.reentry import Reentry
from simulation.checkers.supervision import Supervision
from simulation.couriers import Answered, Began, Came, Courier, Ended, Left
from storage import MESSAGE
from storage.records import Acked, Entries, Marked
from tests.simulation.stage import CHAT, HOME, Stage, message_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.witness import Checker
    from storage.records import Target

ANN, BOB = AccountId("ann"), AccountId("bob")


def asked(stage: Stage, kind: type[Checker]) -> list[str]:
    """What has yet to come about, by this checker; at rest it looks at everything as well."""
    (checker,) = (checker for checker in stage.witness.checkers if isinstance(checker, kind))
    checker.calm(stage.world)
    return checker.unrest(stage.world)


def marks(stage: Stage, delivered: int, read: int) -> None:
    stage.witness.durable(stage.node, 500, HOME, Marked(CHAT, BOB, delivered, read, 0))


def shows(stage: Stage, seq: int = 1) -> None:
    content = decode_content(encode_text("hello"))
    event = MessageReceived(
        CHAT, "", seq, ANN, DeviceId(stage.ann.id), MessageId(message_id(seq)), 0, content, ephemeral=False
    )
    stage.witness.published(stage.bob, event)


def test_messages_that_go_well_keep_every_promise(stage: Stage) -> None:
    stage.goes_well(1, 1)
    stage.goes_well(2, 2)
    shows(stage, 1)
    shows(stage, 2)
    marks(stage, 2, 0)
    stage.witness.told(stage.ann.id, Receipt(CHAT, BOB, 2, 0))
    assert asked(stage, NothingIsLost) == []
    assert stage.broken == set()


def test_a_message_that_leaves_with_its_notice_keeps_every_promise(stage: Stage) -> None:
    stage.writes()
    stage.accepts()
    stage.ticks()
    stage.queues()
    stage.expires()
    stage.hears()
    assert asked(stage, NothingIsLost) == []
    assert stage.broken == set()


def _payload_for_some_of_the_devices(stage: Stage) -> None:
    stage.world.seals = True
    stage.writes()
    stage.accepts(tails={})


def _payload_for_each_though_nobody_seals(stage: Stage) -> None:
    stage.writes()
    stage.accepts(tails={stage.bob.id: encode_payload(b"hello")})


def _ticked_before_it_is_durable(stage: Stage) -> None:
    stage.writes()
    stage.ticks()


def _another_text_arrives(stage: Stage) -> None:
    stage.writes()
    stage.accepts()
    stage.queues()
    stage.receives(text=b"another")


def _delivered_before_it_is_durable(stage: Stage) -> None:
    stage.delivers()


def _position_stands_for_two(stage: Stage) -> None:
    stage.goes_well(1, 1)
    stage.writes(2)
    stage.accepts(2, 2)
    stage.queues(2, position=101)


def _never_arrives(stage: Stage) -> None:
    stage.writes()
    stage.accepts()
    stage.ticks()
    stage.queues()
    asked(stage, NothingIsLost)


def _removed_and_the_notice_lost(stage: Stage) -> None:
    stage.writes()
    stage.accepts()
    stage.ticks()
    stage.queues()
    stage.expires()
    asked(stage, NothingIsLost)


def _written_and_forgotten(stage: Stage) -> None:
    stage.writes()
    asked(stage, NothingIsLost)


def _meant_for_nobody(stage: Stage) -> None:
    stage.writes()
    stage.accepts(targets=[])


def _accepted_twice(stage: Stage) -> None:
    stage.goes_well()
    stage.accepts(1, 2)


def _queued_twice(stage: Stage) -> None:
    stage.writes()
    stage.accepts()
    stage.queues()
    stage.queues(position=150)


def _shown_twice(stage: Stage) -> None:
    stage.goes_well()
    shows(stage)
    shows(stage)


def _shown_and_not_stored(stage: Stage) -> None:
    stage.writes()
    stage.accepts()
    shows(stage)


def _seq_left_out(stage: Stage) -> None:
    stage.writes()
    stage.accepts(1, 2)


def _turned_round_by_the_server(stage: Stage) -> None:
    stage.writes(1)
    stage.writes(2)
    stage.accepts(2, 1)
    stage.accepts(1, 2)


def _turned_round_on_a_screen(stage: Stage) -> None:
    for number in (1, 2):
        stage.writes(number)
        stage.accepts(number, number)
        stage.queues(number)
    stage.receives(2)
    stage.receives(1)


def _let_go_before_it_is_stored(stage: Stage) -> None:
    stage.writes()
    stage.accepts()
    stage.queues()
    stage.acks()


def _removed_without_a_notice(stage: Stage) -> None:
    stage.writes()
    stage.accepts()
    stage.queues()
    stage.expires(told=False)


def _notice_for_another_reason(stage: Stage) -> None:
    stage.writes()
    stage.accepts()
    stage.queues()
    stage.expires()
    stage.witness.told(stage.ann.id, Notice(401, CHAT, 1, BOB, DeviceId(stage.bob.id), NOTICE_POISON))


def _marks_go_back(stage: Stage) -> None:
    marks(stage, 5, 3)
    marks(stage, 5, 2)


def _own_marks_go_back(stage: Stage) -> None:
    stage.stores(stage.bob, MarksChanged(CHAT, 4, 4, 0, 0))
    stage.stores(stage.bob, MarksChanged(CHAT, 4, 3, 0, 0))


def _receipt_before_it_is_durable(stage: Stage) -> None:
    stage.goes_well()
    stage.witness.told(stage.ann.id, Receipt(CHAT, BOB, 1, 0))


def _read_shown_by_who_hides_it(stage: Stage) -> None:
    stage.goes_well()
    stage.stores(stage.bob, MarksChanged(CHAT, 1, 1, 0, 0))
    marks(stage, 1, 1)
    stage.witness.told(stage.ann.id, Receipt(CHAT, BOB, 1, 1))


def _refused_for_good(stage: Stage) -> None:
    stage.writes()
    stage.stores(stage.ann, Failed(CHAT, ClientId((1).to_bytes(16, "big")), Code.NOT_ALLOWED, "You may not."))


def _refused_as_no_member_by_nothing_on_the_disk(stage: Stage) -> None:
    client_id, group = ClientId(bytes(16)), group_conversation(ANN, ClientId(bytes(16)))
    targets: list[Target] = [(ANN, [stage.ann.id])]
    created = encode_change(Change(1, CREATED, ANN, OWNER, "Friends"))
    body = encode_message(msgspec.structs.replace(stage.message(1, created), conversation=group, flags=CHANGE))
    stage.accepts(conversation=group, number=0, flags=CHANGE, body=body, targets=targets, versions=[1])
    stage.stores(stage.ann, Queued(group, client_id, 1, b"hello", 0, 0, 0))
    stage.stores(stage.ann, Failed(group, client_id, Code.NOT_MEMBER, "You are none."))


def _refused_and_accepted(stage: Stage) -> None:
    stage.ann.doomed = True
    stage.writes()
    stage.stores(stage.ann, Failed(CHAT, ClientId((1).to_bytes(16, "big")), Code.DEVICE_REVOKED, "You are not."))
    stage.accepts()


def _stopped_for_good(stage: Stage) -> None:
    stage.witness.published(stage.bob, ConnectionChanged(ConnectionState.STOPPED, "Goodbye.", 1))


def _typing_told_to_oneself(stage: Stage) -> None:
    stage.witness.told(stage.bob.id, TypingBy(CHAT, BOB, True))


def _numbers_begun_anew(stage: Stage) -> None:
    stage.stores(stage.ann, EpochRenewed(Epoch(b"another!")))


HERE, THERE = Pid("node0", 1, 7), Pid("node1", 1, 9)


def travels(stage: Stage, *events: object) -> None:
    for event in events:
        stage.witness.travelled(event)


def _parcel_missing(stage: Stage) -> None:
    travels(stage, Began(1, HERE, THERE), Left(1, 1), Left(1, 2), Came(1, 2, THERE))


def _parcel_from_behind_a_break(stage: Stage) -> None:
    travels(stage, Began(1, HERE, THERE), Left(1, 1), Ended(1), Began(2, HERE, THERE), Left(2, 1))
    travels(stage, Came(2, 1, THERE), Came(1, 1, THERE))


def _answer_to_another_question(stage: Stage) -> None:
    travels(stage, Answered("node1", 1, 2, THERE))


BROKEN: Final[list[tuple[type[Checker], Callable[[Stage], None]]]] = [
    (AcceptedIsDurable, _ticked_before_it_is_durable),
    (AcceptedIsDurable, _another_text_arrives),
    (AcceptedIsDurable, _delivered_before_it_is_durable),
    (AcceptedIsDurable, _position_stands_for_two),
    (NothingIsLost, _never_arrives),
    (NothingIsLost, _removed_and_the_notice_lost),
    (NothingIsLost, _written_and_forgotten),
    (NothingIsLost, _meant_for_nobody),
    (ShownOnce, _accepted_twice),
    (ShownOnce, _queued_twice),
    (ShownOnce, _shown_twice),
    (ShownOnce, _shown_and_not_stored),
    (Order, _seq_left_out),
    (Order, _turned_round_by_the_server),
    (Order, _turned_round_on_a_screen),
    (DeletedOnAck, _let_go_before_it_is_stored),
    (DeletedOnAck, _removed_without_a_notice),
    (DeletedOnAck, _notice_for_another_reason),
    (ReceiptsAreTrue, _marks_go_back),
    (ReceiptsAreTrue, _own_marks_go_back),
    (ReceiptsAreTrue, _receipt_before_it_is_durable),
    (ReceiptsAreTrue, _read_shown_by_who_hides_it),
    (Finality, _refused_for_good),
    (Finality, _refused_as_no_member_by_nothing_on_the_disk),
    (Finality, _refused_and_accepted),
    (Finality, _stopped_for_good),
    (PresenceConverges, _typing_told_to_oneself),
    (NumbersHold, _numbers_begun_anew),
    (RightPayload, _payload_for_some_of_the_devices),
    (RightPayload, _payload_for_each_though_nobody_seals),
    (Journeys, _parcel_missing),
    (Journeys, _parcel_from_behind_a_break),
    (Journeys, _answer_to_another_question),
]


@pytest.mark.parametrize(("checker", "story"), BROKEN, ids=lambda each: each.__name__.strip("_"))
def test_a_story_that_breaks_an_invariant_is_objected_to_under_its_name(
    stage: Stage, checker: type[Checker], story: Callable[[Stage], None]
) -> None:
    story(stage)
    assert checker.name in stage.broken


def test_every_checker_has_a_story_that_breaks_it() -> None:
    told = {checker for checker, _ in BROKEN}
    elsewhere = {
        NothingIsLeft,
        RestartFinds,
        Bounds,
        Reentry,
        Supervision,
        FormerOwnersAreFenced,
        RunAtOneNode,
        Membership,
        CountsAreTrue,
        OwnStateConverges,
    }
    assert set(CHECKERS) == told | elsewhere


def test_a_journey_that_goes_well_or_is_told_of_its_end_is_no_objection(stage: Stage) -> None:
    travels(stage, Began(1, HERE, THERE), Left(1, 1), Came(1, 1, THERE), Left(1, 2), Ended(1))
    travels(stage, Began(2, HERE, THERE), Left(2, 1), Came(2, 1, THERE), Answered("node1", 3, 3, THERE))
    assert stage.broken == set()
    assert asked(stage, Journeys) == []


def test_a_courier_that_is_not_told_of_an_end_is_missing_it(stage: Stage) -> None:
    here = stage.node.runtime.start(Courier(stage.node))
    travels(stage, Began(1, here, THERE))
    assert "was not told that <node1.1> has ended" in asked(stage, Journeys)[0]


def test_a_receipt_that_is_not_shown_yet_is_missing(stage: Stage) -> None:
    stage.goes_well()
    marks(stage, 1, 0)
    assert asked(stage, ReceiptsAreTrue) == [f"{stage.ann} sees bob in {CHAT} at (0, 0), not (1, 0)"]
    stage.ann.receipts[CHAT, BOB] = (1, 0)
    assert asked(stage, ReceiptsAreTrue) == []


def register(stage: Stage) -> None:
    for device in stage.world.devices:
        record = DeviceRecord(device.id, device.key.public, device.name, 0, 0)
        value = encode_account(Account(device.account, 0, device.account, (record,)))
        stage.node.store.directory.put(b"account/" + device.account.encode(), value, lambda _: None)
    stage.waits(1.0)
    for device in stage.world.devices:
        stage.node.router.account(device.account)
    stage.waits(0.1)


def test_presence_that_is_not_so_is_missing_until_it_is(stage: Stage) -> None:
    register(stage)
    stage.connects(stage.ann)
    stage.connects(stage.bob, foreground=False)
    assert len(asked(stage, PresenceConverges)) == 2
    stage.witness.published(stage.ann, PresenceChanged(BOB, True, 0, 1))
    stage.witness.published(stage.bob, PresenceChanged(ANN, True, 0, 1))
    assert asked(stage, PresenceConverges) == ["ann1 sees bob True on 1 devices, not False on 1"]
    stage.witness.published(stage.ann, PresenceChanged(BOB, False, 7, 1))
    assert asked(stage, PresenceConverges) == []
    stage.witness.published(stage.ann, TypingChanged(CHAT, BOB, True))
    assert asked(stage, PresenceConverges) == [f"ann1 shows bob typing in {CHAT}"]
    stage.witness.published(stage.ann, TypingChanged(CHAT, BOB, False))
    assert asked(stage, PresenceConverges) == []
    assert stage.broken == set()


def put(stage: Stage, record: object) -> None:
    """Write a record to the disk, past the shard, which hears nothing of it."""
    shard = shard_of(BOB)
    stage.node.store.subscribe(lambda _: None)
    stage.node.store.append(shard, stage.node.store._journal._owned[shard], record)  # type: ignore[arg-type]
    stage.waits(0.1)


def test_an_entry_is_left_until_it_is_acknowledged(stage: Stage) -> None:
    body = encode_message(stage.message(1))
    put(stage, Entries(HOME, 1, [(BOB, [stage.bob.id])], MESSAGE, CHAT, 1, ANN, 0, 0, body))
    assert asked(stage, NothingIsLeft) == ["1 wait for bob1, by the store"]
    stage.writes()
    stage.accepts()
    stage.receives()
    (position,) = stage.witness.waiting[stage.bob.id]
    put(stage, Acked(stage.bob.id, position, BOB))
    assert asked(stage, NothingIsLeft) == []


def test_a_restart_that_finds_less_than_was_durable_is_objected_to(stage: Stage) -> None:
    body = encode_message(stage.message(1))
    put(stage, Entries(HOME, 1, [(BOB, [stage.bob.id])], MESSAGE, CHAT, 1, ANN, 0, 0, body))
    stage.node.die("lost", told=True)
    stage.node.boot()
    assert stage.broken == set()
    stage.node.die("lost", told=True)
    stage.witness.waiting[stage.bob.id][99_999] = (MESSAGE, CHAT, 2, "", b"")
    stage.node.boot()
    assert stage.broken == {RestartFinds.name}


def test_the_former_owner_of_a_shard_is_objected_to(stage: Stage) -> None:
    for checker in stage.witness.checkers:
        if isinstance(checker, FormerOwnersAreFenced):
            checker.written(stage.node, 1, 2, fenced=False)
            assert stage.broken == set()
            checker.written(stage.node, 1, 2, fenced=True)
    assert stage.broken == {FormerOwnersAreFenced.name}


def test_sockets_without_end_are_objected_to(stage: Stage) -> None:
    network = stage.world.network
    for _ in range(CONNECTIONS_OF_DEVICE_MAX):
        network.connect("ann1", stage.ann, lambda _: None)  # type: ignore[arg-type]  # it is never called
    stage.witness.sample()
    assert stage.broken == set()
    network.connect("ann1", stage.ann, lambda _: None)  # type: ignore[arg-type]
    stage.witness.sample()
    assert stage.broken == {Bounds.name}
