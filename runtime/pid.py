"""Identities: a process's address and a reference to one request, monitor or timer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .process import Process


class Pid:
    """The address of a process: node, incarnation and serial, so that it means the same on every node.

    Equal by value. A pid of this runtime also knows the living process, which is what makes a cast one attribute
    away from the mailbox; the knowledge ends with the process, so a kept pid keeps nothing of a dead actor.

    Attributes:
        node: Name of the node that runs, or ran, the process.
        serial: Number of the process in this life of its node, never used twice.
        incarnation: Which life of the node: a node that was started again gives its processes another one.
    """

    __slots__ = ("_process", "incarnation", "node", "serial")

    node: str
    serial: int
    incarnation: int

    def __init__(self, node: str, serial: int, incarnation: int = 0) -> None:
        self.node = node
        self.serial = serial
        self.incarnation = incarnation
        self._process: Process | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pid):
            return NotImplemented
        return self.serial == other.serial and self.node == other.node and self.incarnation == other.incarnation

    def __hash__(self) -> int:
        return self.serial

    def __repr__(self) -> str:
        return f"<{self.node}.{self.serial}>"


class Named(Pid):
    """A registered name on a node, for use where a pid is sent to, called or monitored, as OTP's `{Name, Node}`.

    Who holds the name is looked up where the message arrives.

    Attributes:
        name: The name; between nodes a text, bytes, a number, or a tuple of these.
    """

    __slots__ = ("name",)

    def __init__(self, node: str, name: Hashable) -> None:
        super().__init__(node, -1)
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and self.name == other.name and self.node == other.node

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<{self.node}.{self.name!r}>"


class Ref:
    """A reference to one monitor, call, timer or task; equal only to itself.

    One that has left its node has a number by which it is known when it comes back.
    """

    __slots__ = ("__weakref__", "_number")

    _number: int


class FarRef(Ref):
    """A reference that was made on another node; equal by value.

    Attributes:
        node: Name of that node.
        incarnation: Which life of it.
        number: Its number there.
    """

    __slots__ = ("incarnation", "node", "number")

    def __init__(self, node: str, incarnation: int, number: int) -> None:
        self.node = node
        self.incarnation = incarnation
        self.number = number

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FarRef):
            return NotImplemented
        return self.number == other.number and self.node == other.node and self.incarnation == other.incarnation

    def __hash__(self) -> int:
        return self.number

    def __repr__(self) -> str:
        return f"<FarRef {self.node}.{self.number}>"
