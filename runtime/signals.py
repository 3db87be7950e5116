"""What one runtime says to another: the verbs that cross from node to node, as values, without a network.

A pid in a signal is always whole. `number` names a call or monitor of the node that made it; together with the pid
of its process it is never used twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .messages import Message
    from .pid import Pid
    from .reasons import Reason


class Kind(IntEnum):
    """How a message was sent, and so which callback gets it."""

    CAST = 0
    SEND = 1
    SHEDDABLE = 2
    INSISTENT = 3


@dataclass(slots=True)
class Call:
    """A process asks another: the target's end answers it, too."""

    caller: Pid
    number: int
    target: Pid
    request: Message


@dataclass(slots=True)
class WhereIs:
    """A process asks another node who holds a name; the answer is a pid, or None."""

    caller: Pid
    number: int
    name: Hashable


@dataclass(slots=True)
class Answer:
    """A call is answered."""

    caller: Pid
    number: int
    value: Message


@dataclass(slots=True)
class Monitor:
    """A process wants to hear of another's end."""

    watcher: Pid
    number: int
    target: Pid


@dataclass(slots=True)
class Demonitor:
    """It no longer does, or no longer waits for that answer."""

    watcher: Pid
    number: int


@dataclass(slots=True)
class Ended:
    """What was monitored or called has ended, or was never there."""

    watcher: Pid
    number: int
    reason: Reason


@dataclass(slots=True)
class Link:
    """Two fates are tied."""

    source: Pid
    target: Pid


@dataclass(slots=True)
class Unlink:
    """They are untied; answered with `Unlinked`."""

    source: Pid
    target: Pid


@dataclass(slots=True)
class Unlinked:
    """The unlink has arrived: a link that comes after this was made after it."""

    source: Pid
    target: Pid


@dataclass(slots=True)
class ExitSignal:
    """An exit signal: of a link whose other end has ended, or sent by `exit`."""

    source: Pid
    target: Pid
    reason: Reason
    linked: bool


Signal: TypeAlias = Call | WhereIs | Answer | Monitor | Demonitor | Ended | Link | Unlink | Unlinked | ExitSignal
"""Everything but plain messages, which have a shorter way of their own."""
