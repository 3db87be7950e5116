"""Getting messages into mailboxes. A mailbox exists only while it holds messages or its process has its turn.

An idle process has no mailbox at all, because an empty deque takes 760 bytes and making one takes 50 ns. So
`process._mailbox is not None` also says: this process waits in the run queue, or is running.

A cast lies in the mailbox as it is; everything else lies in one of the envelopes below.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .messages import From, Message
    from .process import Process


class Info:
    """An envelope for `handle_info`."""

    __slots__ = ("message",)

    def __init__(self, message: Message) -> None:
        self.message = message


class Request:
    """An envelope for `handle_call`."""

    __slots__ = ("caller", "request")

    def __init__(self, request: Message, caller: From) -> None:
        self.request = request
        self.caller = caller


ENVELOPES: Final = frozenset({Info, Request})


def enqueue(target: Process, item: object) -> bool:
    """Put a message into a living process's mailbox, unless the mailbox is at its limit.

    Returns:
        Whether there was room.
    """
    mailbox = target._mailbox
    if mailbox is None:
        deliver(target, item)
        return True
    if len(mailbox) >= target.mailbox_limit:
        target.runtime._refuse(target, item)
        return False
    mailbox.append(item)
    return True


def deliver(target: Process, item: object) -> None:
    """Put a message of the system into a living process's mailbox, however full that is."""
    mailbox = target._mailbox
    if mailbox is not None:
        mailbox.append(item)
        return
    target._mailbox = deque((item,))
    scheduler = target._scheduler
    scheduler.ready.append(target)
    if scheduler.asleep:
        scheduler.wake()


def content(item: object) -> Message:
    """What a mailbox item holds, for hooks."""
    if type(item) is Info:
        return item.message
    if type(item) is Request:
        return item.request
    return item
