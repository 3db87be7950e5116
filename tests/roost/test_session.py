"""What the session decides, case by case, against the model server and by the hand of a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from protocol import AccountId, Code, ConversationId, DeviceId, direct_conversation
from protocol import messages as m
from roost import events
from roost.events import ConnectionState
from roost.heartbeat import Beat, Heartbeat
from roost.outbox import ANSWER_WAIT_S
from roost.session import Phase
from tests.roost.phone import Phone, refusal
from tests.roost.two_phones import TwoPhones

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AB = direct_conversation(AccountId("alice"), AccountId("bob"))
DEVICE = DeviceId(bytes(16))


class World(TwoPhones):
    def online(self) -> World:
        self.settle()
        assert self.alice.session.phase is self.bob.session.phase is Phase.READY
        return self


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def states(phone: Phone) -> list[events.ConnectionChanged]:
    return [event for event in phone.published if isinstance(event, events.ConnectionChanged)]


def sent(phone: Phone, kind: type) -> list[m.Frame]:
    """Take a step, commit it, and return what it would send."""
    phone.take()
    while phone.steps:
        phone.commit()
    return [frame for frame in phone.sent_frames if isinstance(frame, kind)]


def test_the_login_goes_out_with_the_greeting(world: World) -> None:
    world.alice.connect()
    assert [type(frame) for frame in sent(world.alice, object)] == [m.Hello, m.Login]


def test_a_restart_of_the_server_is_waited_out_as_long_as_it_asks(world: World) -> None:
    world.online()
    assert world.alice.link is not None
    world.server.close(world.alice.link, Code.DRAINING, 5_000)
    world.alice.receive()
    assert world.alice.session.phase is Phase.OFFLINE
    assert 5.0 <= world.alice.session.retry_at_s - world.clock.s <= 6.25
    world.alice.take()
    while world.alice.steps:
        world.alice.commit()
    assert "shutting down" in states(world.alice)[-1].sentence


@pytest.mark.parametrize("code", [Code.REPLACED, Code.DEVICE_REVOKED, Code.ACCOUNT_UNKNOWN, Code.VERSION_UNSUPPORTED])
def test_a_final_code_stops_the_session_and_says_why(world: World, code: Code) -> None:
    world.online()
    assert world.alice.link is not None
    world.server.close(world.alice.link, code)
    world.settle()
    assert world.alice.session.phase is Phase.STOPPED
    last = states(world.alice)[-1]
    assert (last.state, last.code, last.sentence) == (ConnectionState.STOPPED, code, code.sentence)


def test_failures_back_off_with_jitter_up_to_a_minute(world: World) -> None:
    session = world.alice.session
    delays = []
    for _ in range(12):
        session.connecting()
        session.disconnected("nobody answers")
        delays.append(session.retry_at_s - world.clock.s)
        session.take_step()
    assert 0.25 <= delays[0] <= 0.5
    assert all(delay <= 60.0 for delay in delays)
    assert max(delays) > 10.0
    assert len(set(delays)) == len(delays)


def test_a_session_that_lasted_forgets_its_failures_and_a_short_one_does_not(world: World) -> None:
    world.online()
    for _ in range(6):
        world.alice.cut()
        world.settle()
    world.alice.cut()
    assert world.alice.session.retry_at_s - world.clock.s > 0.5
    world.settle()
    world.clock.s += 6.0
    world.alice.cut()
    assert world.alice.session.retry_at_s - world.clock.s <= 0.5


def test_a_short_drop_is_resumed_where_it_was(world: World) -> None:
    world.online()
    world.alice.send(world.bob, "one")
    world.settle()
    world.bob.cut()
    world.alice.send(world.bob, "two")
    world.settle()
    assert len(world.bob.shown) == 2
    assert world.bob.link is not None
    assert world.bob.link.login is not None
    assert world.bob.link.login.received_up_to == 1


def test_an_unresumed_session_acks_nothing_of_the_one_before(world: World) -> None:
    world.online()
    world.alice.send(world.bob, "one")
    world.settle()
    world.bob.cut()
    world.server.sessions.clear()
    world.bob.connect()
    world.settle()
    assert world.bob.link is not None
    assert not world.bob.link.violations


def test_a_batch_is_acked_once(world: World) -> None:
    world.online()
    for number in range(5):
        world.alice.send(world.bob, str(number))
    while world.alice.settle():  # the first is refused with the right lists
        pass
    world.bob.receive()
    acks = sent(world.bob, m.Ack)
    assert len(acks) == 1


def test_a_lost_read_mark_is_told_again_after_the_next_login(world: World) -> None:
    world.online()
    world.alice.send(world.bob, "hi")
    world.settle()
    world.bob.session.mark_read(AB, 1)
    assert sent(world.bob, m.Mark)
    world.bob.cut()
    world.settle()
    assert world.server.conversations[AB].marks[AccountId("bob")] == (1, 1)


def test_a_read_mark_is_told_even_after_a_crash_before_telling(world: World) -> None:
    world.online()
    world.alice.send(world.bob, "hi")
    world.settle()
    world.bob.session.mark_read(AB, 1)
    step = world.bob.session.take_step()
    world.bob.store.apply(step.changes)
    world.bob.crash()
    world.settle()
    assert world.server.conversations[AB].marks[AccountId("bob")] == (1, 1)


def test_a_receipt_missed_offline_is_fetched_at_the_next_login(world: World) -> None:
    world.online()
    world.alice.send(world.bob, "hi")
    world.settle()
    world.alice.cut()
    world.bob.session.mark_read(AB, 1)
    world.bob.settle()
    world.settle()
    assert any(isinstance(e, events.ReceiptChanged) and e.read == 1 for e in world.alice.published)


def test_a_receipt_of_what_was_accepted_unheard_is_fetched_with_its_tick(world: World) -> None:
    world.online()
    world.alice.send(world.bob, "now the devices are known")
    world.settle()
    world.bob.session.mark_read(AB, 1)
    world.settle()
    world.alice.send(world.bob, "hi")
    assert len(sent(world.alice, m.Send)) == 1
    world.alice.flush_to_server()
    world.alice.cut()
    world.bob.settle()
    world.bob.session.mark_read(AB, 2)
    world.bob.settle()
    world.settle()
    assert any(isinstance(e, events.ReceiptChanged) and e.read == 2 for e in world.alice.published)


def test_however_many_were_sent_unheard_one_question_follows(world: World) -> None:
    world.online()
    for number in range(40):
        world.alice.send(world.bob, str(number))
    sent(world.alice, m.Send)
    world.alice.crash()
    world.alice.settle()
    asked: list[m.Frame] = []
    for _ in range(100):
        world.alice.receive(1)
        world.alice.take()
        while world.alice.steps:
            world.alice.commit()
        asked += [frame for frame in world.alice.sent_frames if isinstance(frame, m.FetchMarks)]
        world.alice.flush_to_server()
    assert world.alice.session.pending == 0
    assert asked == [m.FetchMarks([AB])]


@pytest.mark.parametrize("retry_after_ms", [-1, 100])
def test_what_was_accepted_unheard_is_asked_about_though_what_followed_it_was_not(
    world: World, retry_after_ms: int
) -> None:
    world.online()
    world.alice.send(world.bob, "now the devices are known")
    world.settle()
    world.bob.session.mark_read(AB, 1)
    world.settle()
    world.alice.send(world.bob, "accepted")
    assert len(sent(world.alice, m.Send)) == 1
    world.alice.flush_to_server()
    world.alice.send(world.bob, "never sent")
    world.alice.take()
    world.alice.commit()
    world.alice.crash()
    world.bob.settle()
    world.bob.session.mark_read(AB, 2)
    world.bob.settle()
    refusals = [refusal(Code.BUSY, retry_after_ms)]
    world.server.refuse = lambda frame: refusals.pop() if refusals else None
    world.settle()
    world.clock.s += 10.0
    world.settle()
    assert any(isinstance(e, events.ReceiptChanged) and e.read == 2 for e in world.alice.published)


def test_reading_on_another_device_is_taken_over(world: World) -> None:
    world.online()
    world.alice.send(world.bob, "hi")
    world.settle()
    world.bob.session.receive(m.Receipt(AB, AccountId("bob"), 1, 1))
    world.settle()
    assert world.bob.store.chats()[0].unread == 0


def test_open_chats_are_opened_again_after_a_reconnect(world: World) -> None:
    world.online()
    world.alice.session.open_chat(AB)
    world.settle()
    world.alice.cut()
    world.settle()
    assert world.alice.link is not None
    assert world.alice.link.open_chats == {AB}


def test_typing_is_thinned_out_and_ends_by_itself(world: World) -> None:
    world.online()
    world.alice.session.open_chat(AB)
    world.bob.session.typing(AB, active=True)
    assert not sent(world.bob, m.Typing)
    world.bob.session.open_chat(AB)
    for _ in range(5):
        world.bob.session.typing(AB, active=True)
    assert len(sent(world.bob, m.Typing)) == 1
    world.settle()
    world.clock.s += 9.0
    world.settle()
    signs = [event.active for event in world.alice.published if isinstance(event, events.TypingChanged)]
    assert signs == [True, False]


def test_a_message_ends_the_typing_sign_of_its_sender(world: World) -> None:
    world.online()
    world.alice.session.open_chat(AB)
    world.bob.session.open_chat(AB)
    world.settle()
    world.bob.session.typing(AB, active=True)
    world.settle()
    world.bob.send(world.alice, "done")
    world.settle()
    signs = [event.active for event in world.alice.published if isinstance(event, events.TypingChanged)]
    assert signs == [True, False]


def test_closing_a_chat_ends_the_typing_signs_in_it(world: World) -> None:
    world.online()
    world.alice.session.open_chat(AB)
    world.alice.session.receive(m.TypingBy(AB, world.bob.account, True))
    world.alice.session.close_chat(AB)
    world.settle()
    signs = [event.active for event in world.alice.published if isinstance(event, events.TypingChanged)]
    assert signs == [True, False]


def test_a_silent_server_is_given_up_after_two_pings(world: World) -> None:
    world.online()
    world.clock.s += 50.0
    world.alice.session.advance()
    assert len(sent(world.alice, m.Ping)) == 1
    for _ in range(2):
        world.clock.s += 10.0
        world.alice.session.advance()
    assert world.alice.session.phase is Phase.OFFLINE


def test_anything_heard_counts_as_a_sign_of_life() -> None:
    pulse = Heartbeat(0.0)
    pulse.agreed(60)
    assert pulse.beat(45.0) is Beat.PING
    pulse.heard(46.0)
    assert pulse.beat(56.0) is Beat.QUIET
    assert pulse.next_deadline_s() == pytest.approx(90.0)


def test_an_app_in_the_background_asks_to_speak_less_often(world: World) -> None:
    world.online()
    world.alice.session.set_foreground(False)
    (frame,) = sent(world.alice, m.SetState)
    assert frame == m.SetState(False, 240, m.POWER_BATTERY)


def test_a_login_without_an_answer_is_given_up(world: World) -> None:
    world.alice.connect()
    world.clock.s += 21.0
    world.alice.session.advance()
    assert world.alice.session.phase is Phase.OFFLINE


def test_an_epoch_the_server_does_not_take_at_all_is_replaced_before_the_next_login(world: World) -> None:
    world.alice.connect()
    old = world.alice.store.snapshot().epoch
    world.alice.session.receive(m.Closing(Code.EPOCH_UNKNOWN, "", -1))
    world.settle()
    assert world.alice.link is not None
    assert world.alice.link.epoch == world.alice.store.snapshot().epoch != old


def test_a_failed_message_does_not_hold_up_the_next(world: World) -> None:
    world.online()
    answers = [refusal(Code.NOT_ALLOWED, -1)]
    world.server.refuse = lambda _: answers.pop() if answers else None
    world.alice.send(world.bob, "no")
    world.alice.send(world.bob, "yes")
    world.settle()
    assert len(world.alice.failed) == 1
    assert len(world.bob.shown) == 1


@pytest.mark.parametrize("heard", [1, 1_000])
def test_a_refusal_of_one_of_two_copies_does_not_say_that_the_other_was_not_accepted(world: World, heard: int) -> None:
    """On a slow line a copy follows; meanwhile one may be a member again (simulator, groups in flux, seed 644)."""
    world.online()
    answers = [refusal(Code.NOT_MEMBER, -1)]
    world.server.refuse = lambda _: answers.pop() if answers else None
    world.alice.send(world.bob, "yes")
    for wait_s in (ANSWER_WAIT_S, 0.0):
        assert sent(world.alice, m.Send)
        world.alice.flush_to_server()
        world.clock.s += wait_s
        world.alice.session.advance()
    assert not answers
    world.alice.receive(heard)
    world.settle()
    assert world.alice.failed == set()
    assert world.alice.session.pending == 0
    assert len(world.bob.shown) == 1


def test_a_refusal_of_every_copy_counts(world: World) -> None:
    world.online()
    world.server.refuse = lambda _: refusal(Code.NOT_MEMBER, -1)
    world.alice.send(world.bob, "no")
    for _ in range(2):
        assert sent(world.alice, m.Send)
        world.alice.flush_to_server()
        world.clock.s += ANSWER_WAIT_S
        world.alice.session.advance()
    world.settle()
    assert len(world.alice.failed) == 1
    assert not world.bob.shown


def test_a_reader_who_is_full_delays_that_chat_with_a_reason_and_no_other(world: World) -> None:
    world.online()
    world.server.refuse = lambda frame: (
        (Code.OVER_QUOTA, Code.OVER_QUOTA.sentence, 60_000) if frame.conversation == AB else None
    )
    world.alice.send(world.bob, "one")
    world.alice.send(world.bob, "two")
    world.alice.send(world.alice, "a note")
    world.settle()
    assert world.alice.session.pending == 2
    (delayed,) = [event for event in world.alice.published if isinstance(event, events.MessageDelayed)]
    assert (delayed.conversation, delayed.code) == (AB, Code.OVER_QUOTA)
    assert "store of waiting messages is full" in delayed.sentence
    world.server.refuse = lambda _: None
    world.clock.s += 76.0
    world.alice.session.advance()
    world.settle()
    assert world.alice.session.pending == 0
    assert len(world.bob.shown) == 2


def test_a_frame_of_a_later_version_is_skipped(world: World) -> None:
    world.online()
    world.alice.session.receive(m.Registered(9, AccountId("alice"), DEVICE))
    world.settle()
    assert world.alice.session.phase is Phase.READY


def test_a_notice_is_stored_told_and_acked(world: World) -> None:
    world.online()
    world.alice.send(world.bob, "hi")
    world.settle()
    world.server.enqueue(world.alice.device, m.Notice(0, AB, 1, AccountId("bob"), DEVICE, m.NOTICE_OVER_QUOTA))
    world.settle()
    (notice,) = [event for event in world.alice.published if isinstance(event, events.NotDelivered)]
    assert "queue on the server is full" in notice.sentence
    assert not world.server.queues[world.alice.device]


def test_a_notice_of_a_group_is_stored_for_each_device_that_it_names_and_told_as_one(world: World) -> None:
    world.online()
    world.alice.send(world.bob, "hi")
    world.settle()
    others = [m.Unreached(AccountId(f"m{it}"), DeviceId(bytes((it,)) * 16), m.NOTICE_OVER_QUOTA) for it in range(4)]
    world.server.enqueue(world.alice.device, m.Notice(0, AB, 1, AccountId("bob"), DEVICE, m.NOTICE_EXPIRED, others))
    world.settle()
    (notice,) = [event for event in world.alice.published if isinstance(event, events.NotDelivered)]
    assert len(notice.others) == 4
    assert "to 1 device of 1 member: it was not fetched" in notice.sentence
    assert "to 4 devices of 4 members: its queue on the server is full" in notice.sentence
    (message,) = world.alice.store.history(AB, 10)
    assert message.not_delivered == tuple(sentence + "." for sentence in notice.sentence[:-1].split(". "))


def test_a_complaint_about_no_request_is_told_and_the_connection_goes_on(world: World) -> None:
    world.online()
    world.alice.session.receive(m.Error(0, Code.UNKNOWN_FRAME, "what is that?", -1))
    world.alice.session.receive(m.Refused(ConversationId("alice:bob"), 0, b"e" * 16, 300, "gone", -1, 0))  # type: ignore[arg-type]
    world.settle()
    assert [e.sentence for e in world.alice.published if isinstance(e, events.ServerComplained)] == [
        "what is that?",
        "gone",
    ]


def test_a_request_is_answered_with_nothing_when_time_or_the_connection_ends(world: World) -> None:
    session = world.alice.session
    early = session.request(m.GetSettings)
    world.online()
    late = session.request(m.GetSettings)
    world.clock.s += 16.0
    session.advance()
    cut = session.request(m.GetSettings)
    step = session.take_step()
    assert [answer.request for answer in step.answers] == [late]
    session.disconnected("cut")
    assert [(answer.request, answer.frame) for answer in session.take_step().answers] == [(cut, None)]
    assert early < late < cut
