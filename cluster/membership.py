"""Who is up: told to whoever asked to be told, as Erlang's `net_kernel:monitor_nodes`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runtime import Actor, Down

if TYPE_CHECKING:
    from cluster.codes import LinkCode
    from runtime import From, Message, Pid, Ref

__all__ = [
    "MEMBERSHIP",
    "ListNodes",
    "Membership",
    "NodeChange",
    "NodeClock",
    "NodeDown",
    "NodeRefused",
    "NodeStatus",
    "NodeUp",
    "Subscribe",
    "Unsubscribe",
]

MEMBERSHIP: Final = "cluster.membership"
"""The name under which the actor is registered."""


@dataclass(frozen=True, slots=True)
class NodeUp:
    """A node is linked with this one.

    Attributes:
        node: Its name.
        incarnation: Its life.
    """

    node: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class NodeDown:
    """The link to a node has ended; what spanned it has been told already.

    Attributes:
        node: Its name.
        incarnation: Its life; a later NodeUp with the same one means that it lived on.
        code: Why.
        sentence: For people.
    """

    node: str
    incarnation: int
    code: LinkCode
    sentence: str


@dataclass(frozen=True, slots=True)
class NodeRefused:
    """A link did not come up, and will not before somebody acts.

    Attributes:
        node: The peer's name; empty if nobody knows who it is.
        code: Why.
        sentence: For people: whose fault it is and what to do.
    """

    node: str
    code: LinkCode
    sentence: str


@dataclass(frozen=True, slots=True)
class NodeClock:
    """A linked node's clock is far from this one's, or is so no more.

    Attributes:
        node: Its name.
        ahead_s: How far it is ahead, negative if it is behind; 0 if the two agree again. Which of them is wrong, none
            of them knows.
    """

    node: str
    ahead_s: float


NodeChange = NodeUp | NodeDown | NodeRefused | NodeClock
"""What an observer is told."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A cast: tell this process, by `send`, of the nodes that are up now and of every change, until it ends."""

    pid: Pid


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """A cast: tell it no more."""

    pid: Pid


@dataclass(frozen=True, slots=True)
class ListNodes:
    """A call: the NodeStatus of every node that was ever heard of."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What is known of a node.

    Attributes:
        node: Its name.
        is_up: Whether it is linked now.
        last: What was told of it last.
        clock_ahead_s: How far its clock is ahead of this node's, if that is far, and it is linked.
    """

    node: str
    is_up: bool
    last: NodeUp | NodeDown | NodeRefused
    clock_ahead_s: float = 0.0


class Membership(Actor):
    """Keeps who is up, and tells.

    A subscriber that must not miss anything monitors this actor, and subscribes again when it has ended.
    """

    __slots__ = ("_clocks", "_last", "_subscribers", "_up")

    def __init__(self) -> None:
        self._clocks: dict[str, float] = {}
        self._up: dict[str, NodeUp] = {}
        self._last: dict[str, NodeUp | NodeDown | NodeRefused] = {}
        self._subscribers: dict[Pid, Ref] = {}

    def init(self) -> None:
        """Know the nodes that are up already, if this is not the first start."""
        for node, incarnation in self.process.runtime.foreign.linked.items():
            self._last[node] = self._up[node] = NodeUp(node, incarnation)

    def handle_cast(self, message: Message) -> None:
        """A change, or who wants to hear of changes."""
        match message:
            case NodeUp(node):
                self._up[node] = message
                self._tell(message)
            case NodeDown(node):
                self._up.pop(node, None)
                self._clocks.pop(node, None)
                self._tell(message)
            case NodeRefused():
                self._tell(message)
            case NodeClock(node, ahead_s):
                self._clocks[node] = ahead_s
            case Subscribe(pid):
                if pid not in self._subscribers:
                    self._subscribers[pid] = self.process.monitor(pid)
                    for up in self._up.values():
                        self.process.send(pid, up)
            case Unsubscribe(pid):
                ref = self._subscribers.pop(pid, None)
                if ref is not None:
                    self.process.demonitor(ref)
            case _:
                super().handle_cast(message)

    def handle_call(self, request: Message, caller: From) -> None:
        """The nodes."""
        if not isinstance(request, ListNodes):
            super().handle_call(request, caller)
        statuses = (
            NodeStatus(node, node in self._up, last, self._clocks.get(node, 0.0))
            for node, last in sorted(self._last.items())
        )
        self.process.reply(caller, tuple(statuses))

    def handle_info(self, message: Message) -> None:
        """A subscriber has ended."""
        if isinstance(message, Down):
            self._subscribers.pop(message.pid, None)
        else:
            self.process.ignore(message)

    def _tell(self, change: NodeUp | NodeDown | NodeRefused) -> None:
        if change.node:
            self._last[change.node] = change
        for pid in self._subscribers:
            self.process.send(pid, change)
