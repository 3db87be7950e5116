"""The idempotent producer against a plain table, and who may send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.accounts.api import AccountView
from actors.conversation.api import ConversationLimits, Sender
from actors.conversation.logic import FullQueues, authorise, recall, refused, targets_of, within_limits
from protocol import AccountId, ClientId, Code, ConversationId, DeviceId, Epoch
from protocol.messages import Send, Sent
from runtime import Pid
from storage import Accepted, ConversationView
from storage.conversation_view import EPOCHS_PER_DEVICE_MAX

CHAT = ConversationId("ann:bob")
ANN, BOB = AccountId("ann"), AccountId("bob")
PHONE, LAPTOP, BOBS, TABLET = (DeviceId(letter * 16) for letter in (b"p", b"l", b"b", b"t"))
LIMITS = ConversationLimits(payload_size_bytes_max=10, ttl_s_default=60, ttl_s_max=600)


def sender(device: DeviceId = PHONE, epoch: int = 0, account: AccountId = ANN) -> Sender:
    return Sender(Pid("test", 1), account, device, Epoch(epoch.to_bytes(8, "big")))


def send(number: int, client: int = 0, payload: bytes = b"hi", ttl_s: int = 0) -> Send:
    return Send(CHAT, number, ClientId(client.to_bytes(16, "big")), payload, ttl_s)


def accept(view: ConversationView, by: Sender, frame: Send) -> None:
    seq = view.next_seq
    message_id = seq.to_bytes(16, "big")
    view.apply(
        Accepted(
            CHAT, by.device, by.epoch, frame.number, frame.client_id, seq, message_id, by.account, [], 0, 0, seq, b""
        )
    )


@given(st.lists(st.tuples(st.sampled_from([PHONE, LAPTOP]), st.integers(0, 45), st.integers(0, 2)), max_size=80))
def test_a_producer_is_accepted_in_order_once_and_answered_again_from_its_last_32(
    sends: list[tuple[DeviceId, int, int]],
) -> None:
    view, plain = ConversationView(), dict[DeviceId, list[tuple[int, int]]]()
    seq = 0
    for device, number, variant in sends:
        by, history = sender(device), plain.setdefault(device, [])
        # Half of what comes is what a correct client would send next.
        number = len(history) + 1 if variant else number
        frame = send(number, client=number * 10 + (variant == 2 and number % 7 == 0))
        outcome = recall(view, by, frame)
        if number == len(history) + 1:
            assert outcome is None
            accept(view, by, frame)
            seq += 1
            history.append((int.from_bytes(frame.client_id, "big"), seq))
        elif number > len(history) or number < 1:
            assert outcome is not None
            assert not isinstance(outcome, Sent)
            assert (outcome.code, outcome.expected) == (Code.NUMBER_GAP, len(history) + 1)
        else:
            client, known_seq = history[number - 1]
            if number <= len(history) - 32:
                assert outcome is not None
                assert not isinstance(outcome, Sent)
                assert outcome.code == Code.ALREADY_ACCEPTED
            elif client != int.from_bytes(frame.client_id, "big"):
                assert outcome is not None
                assert not isinstance(outcome, Sent)
                assert outcome.code == Code.NUMBER_REUSED
            else:
                assert isinstance(outcome, Sent)
                assert (outcome.number, outcome.seq) == (number, known_seq)
    assert view.next_seq == seq + 1


def test_an_unknown_producer_begins_with_one_unless_its_history_may_be_forgotten() -> None:
    view = ConversationView()
    gap = recall(view, sender(), send(5))
    assert gap is not None
    assert not isinstance(gap, Sent)
    assert (gap.code, gap.expected) == (Code.NUMBER_GAP, 1)
    for epoch in range(EPOCHS_PER_DEVICE_MAX):
        accept(view, sender(epoch=epoch), send(1, client=epoch))
    over = recall(view, sender(epoch=99), send(5))
    assert over is not None
    assert not isinstance(over, Sent)
    assert (over.code, over.expected) == (Code.EPOCH_UNKNOWN, 1)
    assert recall(view, sender(epoch=99), send(1)) is None


def members(**changes: object) -> dict[AccountId, AccountView]:
    ann = AccountView(ANN, exists=True, devices=(PHONE, LAPTOP))
    bob = AccountView(BOB, exists=True, devices=(BOBS,))
    views = {ANN: ann, BOB: bob}
    for name, view in changes.items():
        assert isinstance(view, AccountView)
        views[AccountId(name)] = view
    return views


@pytest.mark.parametrize(
    ("by", "views", "code"),
    [
        (sender(), members(), None),
        (sender(account=AccountId("eve")), members(), Code.NOT_MEMBER),
        (sender(), members(bob=AccountView(BOB, exists=False)), Code.RECIPIENT_UNKNOWN),
        (sender(), members(bob=AccountView(BOB, exists=True, blocked=frozenset({ANN}))), Code.NOT_ALLOWED),
        (sender(), members(ann=AccountView(ANN, True, devices=(PHONE,), blocked=frozenset({BOB}))), Code.NOT_ALLOWED),
        (sender(BOBS), members(), Code.DEVICE_REVOKED),
    ],
)
def test_who_may_send(by: Sender, views: dict[AccountId, AccountView], code: Code | None) -> None:
    refusal = authorise(by, views)
    assert (refusal.code if refusal else None) == code


def test_a_message_has_its_limits_and_a_refusal_names_the_send() -> None:
    assert within_limits(send(1), LIMITS) is None
    large = within_limits(send(1, payload=b"x" * 11), LIMITS)
    assert large is not None
    assert large.code == Code.PAYLOAD_TOO_LARGE
    long = within_limits(send(1, ttl_s=601), LIMITS)
    assert long is not None
    assert long.code == Code.TTL_INVALID
    answer = refused(send(7, client=3), long)
    assert (answer.number, answer.client_id, answer.code) == (7, send(7, client=3).client_id, Code.TTL_INVALID)


def test_a_message_goes_to_every_device_but_the_one_that_sent_it() -> None:
    assert targets_of(members().values(), sender()) == [(ANN, [LAPTOP]), (BOB, [BOBS])]
    alone = {ANN: AccountView(ANN, exists=True, devices=(PHONE,))}
    assert targets_of(alone.values(), sender()) == []


TO_BOB = [("ann", [bytes(LAPTOP)]), ("bob", [bytes(BOBS), bytes(TABLET)])]


def test_a_message_is_refused_only_while_every_device_of_a_reader_is_full() -> None:
    full = FullQueues()
    assert not full
    full.heard(BOBS, full=True, now_s=10.0)
    full.heard(LAPTOP, full=True, now_s=10.0)  # the sender's own: it holds nothing up
    assert full
    assert full.judge(ANN, TO_BOB, 10.0) == (None, [])
    full.heard(TABLET, full=True, now_s=10.0)
    refusal, asked = full.judge(ANN, TO_BOB, 10.5)
    assert refusal is not None
    assert (refusal.code, refusal.retry_after_ms, asked) == (Code.OVER_QUOTA, 15_000, [])
    full.heard(TABLET, full=False, now_s=11.0)
    assert full.judge(ANN, TO_BOB, 11.0) == (None, [])


def test_old_word_of_a_full_queue_is_checked_before_it_is_believed_again() -> None:
    full = FullQueues()
    full.heard(BOBS, full=True, now_s=10.0)
    full.heard(TABLET, full=True, now_s=69.5)
    refusal, asked = full.judge(ANN, TO_BOB, 70.0)
    assert refusal is not None
    assert refusal.retry_after_ms == 1_000
    assert asked == [("bob", [BOBS])]
    full.heard(BOBS, full=True, now_s=70.1)
    refusal, asked = full.judge(ANN, TO_BOB, 70.2)
    assert refusal is not None
    assert (refusal.retry_after_ms, asked) == (15_000, [])


def test_nothing_is_known_to_be_full_after_the_devices_have_changed() -> None:
    full = FullQueues()
    full.heard(BOBS, full=True, now_s=10.0)
    full.forget_all()
    assert not full
