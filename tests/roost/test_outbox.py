"""Numbering, the window, and what each refusal means, message by message."""

from __future__ import annotations

import pytest

from protocol import ClientId, Code, ConversationId
from protocol.messages import Refused
from roost.outbox import ANSWER_WAIT_S, WINDOW_DEFAULT, Entry, Outbox, Outcome
from tests.roost.phone import SeededRandomness

RANDOMNESS = SeededRandomness(1)


def client_id(number: int) -> ClientId:
    return ClientId(number.to_bytes(16, "big"))


def outbox_with(count: int) -> Outbox:
    outbox = Outbox()
    for number in range(1, count + 1):
        outbox.add(client_id(number), b"", 0, 0)
    return outbox


def numbers(entries: list[Entry]) -> list[int]:
    return [entry.number for entry in entries]


def refuse(
    outbox: Outbox, message: int, code: Code, *, now_s: float = 0.0, retry_after_ms: int = -1, expected: int = 0
) -> Outcome:
    answer = Refused(ConversationId("a:b"), 0, client_id(message), code, code.sentence, retry_after_ms, expected)
    return outbox.refused(answer, now_s, RANDOMNESS)[0]


def test_a_window_is_sent_and_each_tick_makes_room_for_one() -> None:
    outbox = outbox_with(40)
    assert numbers(outbox.due(0.0)) == list(range(1, WINDOW_DEFAULT + 1))
    assert outbox.due(0.0) == []
    outbox.sent(1)
    assert numbers(outbox.due(0.0)) == [33]


def test_nothing_goes_out_that_would_make_the_server_forget_an_unanswered_send() -> None:
    outbox = outbox_with(80)
    outbox.due(0.0)
    for number in range(2, WINDOW_DEFAULT + 1):
        outbox.sent(number)
    assert outbox.due(0.0) == [], "the answer to the first is missing, and the server knows the last 32 only"
    assert numbers(outbox.due(ANSWER_WAIT_S)) == [1]
    outbox.sent(1)
    assert numbers(outbox.due(ANSWER_WAIT_S)) == list(range(WINDOW_DEFAULT + 1, 2 * WINDOW_DEFAULT + 1))


def test_a_refused_message_uses_no_number_and_those_behind_it_move_up() -> None:
    outbox = outbox_with(3)
    outbox.due(0.0)
    assert refuse(outbox, 1, Code.NOT_ALLOWED) is Outcome.FAILED
    assert outbox.numbers() == ((client_id(2), 1), (client_id(3), 2))
    assert outbox.next_number == 3


def test_nothing_overtakes_a_message_whose_former_number_is_not_answered_yet() -> None:
    outbox = outbox_with(3)
    outbox.due(0.0)
    refuse(outbox, 1, Code.NOT_ALLOWED)
    outbox.add(client_id(4), b"", 0, 0)
    assert outbox.due(0.0) == []
    refuse(outbox, 2, Code.NUMBER_GAP, expected=1)
    assert numbers(outbox.due(0.0)) == [1]
    refuse(outbox, 3, Code.NUMBER_GAP, expected=1)
    assert numbers(outbox.due(0.0)) == [2, 3]


@pytest.mark.parametrize("code", [Code.BUSY, Code.RATE_LIMITED, Code.WINDOW_FULL, Code.STORAGE_FULL, Code.OVER_QUOTA])
def test_a_refusal_for_now_waits_as_long_as_the_server_says_and_a_little_more(code: Code) -> None:
    outbox = outbox_with(1)
    outbox.due(0.0)
    assert refuse(outbox, 1, code, retry_after_ms=3_000) is Outcome.RETRY
    deadline_s = outbox.next_deadline_s()
    assert deadline_s is not None
    assert 3.0 <= deadline_s <= 3.75
    assert outbox.due(deadline_s - 0.01) == []
    assert outbox.next_deadline_s() == deadline_s  # its end may pass before anybody looks again
    assert numbers(outbox.due(deadline_s)) == [1]
    assert outbox.next_deadline_s() == deadline_s + ANSWER_WAIT_S


def test_a_tick_that_never_comes_is_asked_for_again_ever_more_slowly() -> None:
    outbox = outbox_with(1)
    outbox.due(0.0)
    assert outbox.due(ANSWER_WAIT_S - 0.1) == []
    assert numbers(outbox.due(ANSWER_WAIT_S)) == [1]
    assert outbox.due(ANSWER_WAIT_S * 2) == []
    assert numbers(outbox.due(ANSWER_WAIT_S * 3)) == [1]


@pytest.mark.parametrize("code", [Code.NUMBER_REUSED, Code.ALREADY_ACCEPTED, Code.EPOCH_UNKNOWN])
def test_a_number_of_another_life_means_a_new_epoch_and_not_a_tick(code: Code) -> None:
    outbox = outbox_with(2)
    outbox.due(0.0)
    assert refuse(outbox, 1, code) is Outcome.EPOCH_LOST
    assert len(outbox) == 2


def test_a_server_that_expects_a_number_it_has_confirmed_means_a_new_epoch() -> None:
    outbox = outbox_with(3)
    outbox.due(0.0)
    outbox.sent(1)
    assert refuse(outbox, 2, Code.NUMBER_GAP, expected=1) is Outcome.EPOCH_LOST


def test_a_gap_that_comes_back_again_and_again_is_not_answered_in_a_hot_loop() -> None:
    outbox = outbox_with(2)
    for _ in range(10):
        outbox.due(0.0)
        refuse(outbox, 2, Code.NUMBER_GAP, expected=1)
    assert outbox.due(0.0) == []
    assert outbox.next_deadline_s() is not None


def test_an_answer_nobody_waits_for_changes_nothing() -> None:
    outbox = outbox_with(1)
    assert refuse(outbox, 1, Code.NOT_ALLOWED) is Outcome.STALE
    assert refuse(outbox, 9, Code.NOT_ALLOWED) is Outcome.STALE
    assert outbox.sent(1) is None
    assert outbox.sent(7) is None
    assert len(outbox) == 1


def test_what_was_unanswered_is_uncertain_after_a_reconnect_until_it_is_answered() -> None:
    outbox = outbox_with(2)
    assert outbox.settled
    outbox.due(0.0)
    outbox.disconnected()
    assert not outbox.settled
    outbox.due(0.0)
    outbox.sent(1)
    refuse(outbox, 2, Code.NUMBER_REUSED)
    assert outbox.settled


@pytest.mark.parametrize("code", [Code.BUSY, Code.RATE_LIMITED, Code.WINDOW_FULL, Code.STORAGE_FULL])
def test_a_refusal_for_now_says_nothing_about_an_earlier_transmission_that_was_not_answered(code: Code) -> None:
    outbox = outbox_with(1)
    outbox.due(0.0)
    outbox.disconnected()
    outbox.due(0.0)
    refuse(outbox, 1, code, retry_after_ms=0)
    assert not outbox.settled, "a new epoch would make the server take it for another message"
    outbox.due(60.0)
    refuse(outbox, 1, Code.NUMBER_GAP, now_s=60.0, expected=1)
    assert outbox.settled


def test_the_answer_to_the_first_of_two_copies_says_nothing_about_the_second() -> None:
    """Found by the simulator (seed 766067): the second was accepted, and sent again under a new epoch."""
    outbox = outbox_with(2)
    outbox.due(0.0)
    assert not outbox.is_ambiguous
    outbox.due(ANSWER_WAIT_S)
    refuse(outbox, 2, Code.NUMBER_GAP, expected=1)
    outbox.sent(1)
    assert not outbox.settled
    assert outbox.is_ambiguous
    outbox.disconnected()
    assert not outbox.is_ambiguous
    assert numbers(outbox.due(60.0, only_uncertain=True)) == [2]
    assert outbox.due(60.0 + ANSWER_WAIT_S, only_uncertain=True) == [], "a slow server is given more time than before"
    refuse(outbox, 2, Code.NUMBER_GAP, now_s=60.0 + ANSWER_WAIT_S, expected=2)
    assert outbox.settled


def test_while_an_epoch_is_closed_only_the_uncertain_is_asked_again() -> None:
    outbox = Outbox(next_number=41)
    for number in range(1, 41):
        outbox.restore(Entry(client_id(number), number, b"", 0, 0))
    outbox.add(client_id(41), b"", 0, 0)
    for number in numbers(outbox.due(0.0, only_uncertain=True)):
        refuse(outbox, number, Code.NUMBER_REUSED)
    assert numbers(outbox.due(0.0, only_uncertain=True)) == list(range(33, 41))


def test_the_window_of_the_server_is_kept_but_never_above_what_it_remembers() -> None:
    outbox = outbox_with(100)
    outbox.set_window(4)
    assert len(outbox.due(0.0)) == 4
    outbox.set_window(1_000)
    assert len(outbox.due(0.0)) == WINDOW_DEFAULT - 4
