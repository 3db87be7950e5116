"""Identities: a process's address and a reference to one request, monitor or timer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .process import Process


class Pid:
    """The address of a process: node and serial, so that it means the same on every node.

    Equal by value. A pid of this runtime also knows the living process, which is what makes a cast one attribute
    away from the mailbox; the knowledge ends with the process, so a kept pid keeps nothing of a dead actor.

    Attributes:
        node: Name of the node that runs, or ran, the process.
        serial: Number of the process on its node, never used twice.
    """

    __slots__ = ("_process", "node", "serial")

    node: str
    serial: int

    def __init__(self, node: str, serial: int) -> None:
        self.node = node
        self.serial = serial
        self._process: Process | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pid):
            return NotImplemented
        return self.serial == other.serial and self.node == other.node

    def __hash__(self) -> int:
        return self.serial

    def __repr__(self) -> str:
        return f"<{self.node}.{self.serial}>"


class Ref:
    """A reference to one monitor, call, timer or task; equal only to itself."""

    __slots__ = ()
