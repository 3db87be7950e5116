"""What a message has become: the fold of everything that was done to it, the same in every order of arrival.

Each account has one register of each kind on each message: its edit, its deletion, its reaction. A register keeps the
operation with the highest `seq`, which the server gave and all devices see alike. So registers are merged by a maximum:
commutative, associative and idempotent, however often and in whatever order operations come, also before the message
that they are about (last-writer-wins registers: Shapiro, Preguiça, Baquero, Zawirski, "A comprehensive study of
Convergent and Commutative Replicated Data Types", INRIA 7506, 2011, section 3.2). Nothing here can grow: a flood of
reactions of one account is one register.

Whether an edit comes in time is told by the two message ids alone, so it does not depend on what else is known. Whose
message it is, is known only with the message; until then the registers of all who claim it are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from roost.content import Content, Deleted, Deletion, Edit, Reaction, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocol import AccountId, MessageId
    from roost.content import Operation

__all__ = [
    "EDIT_WINDOW_MS", "OPENED", "Folded", "Reacted", "Register", "RegisterKind", "folded", "merged", "register_of",
]  # fmt: skip

OPENED: Final = "opened"
"""The value of a HIDDEN register of which only the words are gone."""
EDIT_WINDOW_MS: Final = 15 * 60 * 1000
"""How long after its message an edit still counts, by the server's times of both."""
_ULID_TIME_SIZE_BYTES: Final = 6


class RegisterKind(IntEnum):
    """What a register holds; the numbers stand in databases."""

    EDIT = 1
    DELETION = 2
    REACTION = 3
    HIDDEN = 4
    """Our own wish not to see a message any more; it never comes from others."""


@dataclass(frozen=True, slots=True)
class Register:
    """The latest operation of a kind that an account did to a message."""

    account: AccountId
    kind: RegisterKind
    seq: int
    value: str


@dataclass(frozen=True, slots=True)
class Reacted:
    """An account's reaction to a message."""

    account: AccountId
    emoji: str


@dataclass(frozen=True, slots=True)
class Folded:
    """A message as it is now."""

    content: Content
    edited: bool
    reactions: tuple[Reacted, ...]


def in_time(target: MessageId, edit: MessageId) -> bool:
    """Return whether an edit came within the window; a ULID begins with the server's time of its message."""
    written_ms, edited_ms = (int.from_bytes(one[:_ULID_TIME_SIZE_BYTES], "big") for one in (target, edit))
    return edited_ms - written_ms <= EDIT_WINDOW_MS


def register_of(operation: Operation, account: AccountId, seq: int, message_id: MessageId | None) -> Register | None:
    """Return what an operation leaves in a register; None if it counts nowhere, as an edit that comes too late.

    Args:
        operation: what was done.
        account: who did it.
        seq: its place in the conversation.
        message_id: of the operation's own message; None if the server does not have it yet.
    """
    match operation:
        case Reaction(_, emoji):
            return Register(account, RegisterKind.REACTION, seq, emoji)
        case Edit(target, text):
            if message_id is not None and not in_time(target, message_id):
                return None
            return Register(account, RegisterKind.EDIT, seq, text)
        case Deletion():
            return Register(account, RegisterKind.DELETION, seq, "")


def merged(one: Register | None, other: Register) -> Register:
    """Return the later of two values of the same register."""
    return one if one is not None and one.seq >= other.seq else other


def counts(register: Register, sender: AccountId) -> bool:
    """Return whether an account may do this to a message of `sender`: all may react, the rest is for its author."""
    return register.kind is RegisterKind.REACTION or register.account == sender


def folded(content: Content, sender: AccountId, registers: Iterable[Register]) -> Folded:
    """Return a message after everything that was done to it.

    Args:
        content: what it said at first.
        sender: who wrote it.
        registers: what was done, in any order; not more than one of an account and kind.
    """
    edit: Register | None = None
    reactions: list[Register] = []
    for register in registers:
        if not counts(register, sender):
            continue
        match register.kind:
            case RegisterKind.DELETION:
                return Folded(Deleted(), False, ())
            case RegisterKind.EDIT:
                edit = register
            case RegisterKind.REACTION if register.value:
                reactions.append(register)
            case _:
                pass
    if edit is not None and isinstance(content, Text):
        content = replace(content, text=edit.value)
    else:
        edit = None
    reactions.sort(key=lambda register: register.seq)
    return Folded(content, edit is not None, tuple(Reacted(one.account, one.value) for one in reactions))
