"""Process groups across nodes, as OTP's `pg`: who belongs together, known everywhere, agreed on nowhere.

Each node's actor knows the members of its own node, watches them, and tells its peers; of other nodes it believes what
their actors say, and forgets all of it when they, or the links to them, end. So views differ while word is on its way
or a link is down, and are equal again soon after: each side sends the whole of its own members at every NodeUp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cluster.membership import MEMBERSHIP, NodeUp, Subscribe
from runtime import Actor, Down, Named, Pid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster.table import MessageTable
    from runtime import Message, Ref

__all__ = ["GROUPS", "GroupNameError", "Groups", "GroupsFullError", "NotAMemberError", "register_group_messages"]

GROUPS: Final = "cluster.groups"
"""The name under which the actor is registered."""
GROUP_NAME_LENGTH_MAX: Final = 255
MEMBERSHIPS_MAX: Final = 1_000_000
RETRY_S: Final = 0.5
_SUBSCRIBE: Final = "subscribe"
_CATCH_UP: Final = "catch up"
_PART_MAX: Final = 1_000
"""Memberships in one message: it stays far below a frame."""


class GroupNameError(ValueError):
    """A group's name is empty or too long."""


class GroupsFullError(Exception):
    """As many memberships exist here as may; leave some group first."""


class NotAMemberError(Exception):
    """A process was to leave a group that it is not in."""


@dataclass(frozen=True, slots=True)
class Discover:
    """An actor of another node asks for the members there, and wants to hear of every change."""

    asker: Pid


@dataclass(frozen=True, slots=True)
class Joined:
    """Processes of the sender's node have joined; `anew`: whatever was told before is void."""

    sender: Pid
    members: list[tuple[str, Pid]]
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """Processes of the sender's node have left, once each."""

    sender: Pid
    members: list[tuple[str, Pid]]


def register_group_messages(table: MessageTable) -> None:
    """Let the actors of all nodes talk to each other; the three highest numbers are theirs."""
    for tag, kind in enumerate((Discover, Joined, Left), 65_533):
        if table.type_of(tag) is not kind:
            table.register(kind, tag)


class Groups(Actor):
    """The groups, as this node sees them.

    Code in the runtime's thread joins, leaves and reads by plain calls, as OTP's `pg` is read from a table.
    """

    __slots__ = ("_behind", "_count", "_local", "_membership", "_monitors", "_remote")

    def __init__(self) -> None:
        self._local: dict[str, list[Pid]] = {}
        self._monitors: dict[Pid, tuple[Ref, list[str]]] = {}
        self._remote: dict[Pid, tuple[Ref, dict[str, list[Pid]]]] = {}
        self._behind: set[Pid] = set()
        self._membership: Ref | None = None
        self._count = 0

    def init(self) -> None:
        """Ask to be told of nodes."""
        self._subscribe()

    def _subscribe(self) -> None:
        membership = Named(self.process.runtime.node, MEMBERSHIP)
        self._membership = self.process.monitor(membership)
        self.process.cast(membership, Subscribe(self.process.pid))

    def join(self, group: str, pid: Pid) -> None:
        """Let a process of this node join; it may join several times, and leaves as often.

        Raises:
            GroupNameError: The name is empty or longer than 255 characters.
            GroupsFullError: There are as many memberships as there may be.
            ValueError: The process is of another node; it joins there.
        """
        if not 0 < len(group) <= GROUP_NAME_LENGTH_MAX:
            raise GroupNameError(f"a group's name has 1 to {GROUP_NAME_LENGTH_MAX} characters, not {len(group)}")
        if pid.node != self.process.runtime.node:
            raise ValueError(f"{pid} is of another node: it joins there")
        if self._count >= MEMBERSHIPS_MAX:
            raise GroupsFullError(f"{MEMBERSHIPS_MAX} memberships exist on this node already, which is the limit")
        if not self.process.runtime.is_alive(pid):
            return
        if pid not in self._monitors:
            self._monitors[pid] = (self.process.monitor(pid), [])
        self._monitors[pid][1].append(group)
        self._local.setdefault(group, []).append(pid)
        self._count += 1
        self._tell(Joined(self.process.pid, [(group, pid)]))

    def leave(self, group: str, pid: Pid) -> None:
        """Let a process of this node leave, once.

        Raises:
            NotAMemberError: It is not in the group, or not of this node.
        """
        ref, groups = self._monitors.get(pid, (None, []))
        if group not in groups or ref is None:
            raise NotAMemberError(f"{pid} is not in the group {group!r} on this node")
        groups.remove(group)
        if not groups:
            self.process.demonitor(ref)
            del self._monitors[pid]
        self._forget([(group, pid)])

    def members(self, group: str) -> list[Pid]:
        """The members on all nodes, those of this one first; one that joined twice is there twice."""
        members = self.local_members(group)
        for _, groups in self._remote.values():
            members += groups.get(group, ())
        return members

    def local_members(self, group: str) -> list[Pid]:
        """The members on this node."""
        return list(self._local.get(group, ()))

    def which_groups(self) -> list[str]:
        """The groups that have members."""
        return sorted({*self._local, *(group for _, groups in self._remote.values() for group in groups)})

    def handle_cast(self, message: Message) -> None:
        """What the actors of other nodes say."""
        match message:
            case Discover(asker):
                self._know(asker)
                self._introduce(asker)
            case Joined(sender, members, anew):
                groups = self._know(sender)
                if anew:
                    groups.clear()
                for group, pid in members:
                    groups.setdefault(group, []).append(pid)
            case Left(sender, members):
                _remove(self._know(sender), members)
            case _:
                super().handle_cast(message)

    def handle_info(self, message: Message) -> None:
        """A node is up, a member or another node's actor has ended."""
        match message:
            case NodeUp(node):
                self.process.cast(Named(node, GROUPS), Discover(self.process.pid))
            case Down(ref) if ref is self._membership:
                self.process.send_after(RETRY_S, _SUBSCRIBE)
            case Down(_, pid):
                self._behind.discard(pid)
                if self._remote.pop(pid, None) is None:
                    _, groups = self._monitors.pop(pid, (None, []))
                    self._forget([(group, pid) for group in groups])
            case str() if message == _SUBSCRIBE:
                self._subscribe()
            case str() if message == _CATCH_UP:
                behind, self._behind = self._behind, set()
                for peer in behind:
                    self._introduce(peer)
            case _:
                self.process.ignore(message)

    def _know(self, peer: Pid) -> dict[str, list[Pid]]:
        if peer not in self._remote:
            self._remote[peer] = (self.process.monitor(peer), {})
        return self._remote[peer][1]

    def _introduce(self, peer: Pid) -> None:
        """Send the whole of this node's members, in parts of a bounded size."""
        members = [(group, pid) for group, pids in self._local.items() for pid in pids]
        parts = [members[start : start + _PART_MAX] for start in range(0, len(members), _PART_MAX)] or [[]]
        for number, part in enumerate(parts):
            self._say(peer, Joined(self.process.pid, part, anew=number == 0))

    def _forget(self, members: list[tuple[str, Pid]]) -> None:
        if members:
            _remove(self._local, members)
            self._count -= len(members)
            self._tell(Left(self.process.pid, members))

    def _tell(self, change: Joined | Left) -> None:
        for peer in self._remote:
            self._say(peer, change)

    def _say(self, peer: Pid, change: Joined | Left) -> None:
        """Tell a peer; one whose link is full is told everything anew in a while."""
        if peer not in self._behind and not self.process.cast(peer, change):
            if not self._behind:
                self.process.send_after(RETRY_S, _CATCH_UP)
            self._behind.add(peer)


def _remove(groups: dict[str, list[Pid]], members: Iterable[tuple[str, Pid]]) -> None:
    for group, pid in members:
        pids = groups.get(group, [])
        if pid in pids:
            pids.remove(pid)
        if not pids:
            groups.pop(group, None)
