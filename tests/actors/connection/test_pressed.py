"""What a connection keeps for a socket that is full."""

from __future__ import annotations

from actors.connection.pressed import KEPT_MAX, Pressed
from protocol import AccountId, ConversationId
from protocol.messages import Presence, Receipt, TypingBy
from runtime import Ref


def receipt(account: str, delivered: int) -> Receipt:
    return Receipt(ConversationId(f"ann:{account}"), AccountId(account), delivered, 0)


def test_the_newest_receipt_and_presence_of_each_wait_and_typing_does_not() -> None:
    """Found by the simulator (seed 20447): a receipt that met a full socket was lost until the next login."""
    pressed = Pressed(Ref())
    away, here = Presence(AccountId("bob"), False, 7, 0), Presence(AccountId("bob"), True, 0, 1)
    for frame in (receipt("bob", 3), away, TypingBy(ConversationId("ann:bob"), AccountId("bob"), True)):
        pressed.keep(frame)
    for frame in (receipt("cid", 1), receipt("bob", 4), here):
        pressed.keep(frame)
    assert list(pressed.kept) == [receipt("bob", 4), here, receipt("cid", 1)]


def test_what_is_kept_is_bounded_and_what_is_there_still_moves_on() -> None:
    pressed = Pressed(Ref())
    for number in range(KEPT_MAX + 10):
        pressed.keep(receipt(f"a{number}", 1))
    pressed.keep(receipt("a0", 2))
    kept = list(pressed.kept)
    assert len(kept) == KEPT_MAX
    assert kept[0] == receipt("a0", 2)
