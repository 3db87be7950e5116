"""Receipts only move forward, never tell more than is so, and end up true."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

from protocol.messages import Receipt
from roost.changes import MarksChanged
from simulation.witness import Checker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from roost.changes import Change
    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from simulation.witness import Witness
    from simulation.world import World
    from storage.records import Accepted, Marked

__all__ = ["MarkBound", "ReceiptsAreTrue", "bounds_of"]


class ReceiptsAreTrue(Checker):
    """Watermarks of the journal, of the wire and of the screens."""

    name = "receipts only move forward, and end up true"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._written: dict[tuple[str, str], list[tuple[int, bytes]]] = {}
        self._own: dict[tuple[bytes, str], tuple[int, int]] = {}

    def marked(self, record: Marked, before: tuple[int, int, int]) -> None:
        """A watermark grows."""
        after = (record.delivered, record.read, record.read_shown)
        if any(new < old for old, new in zip(before, after, strict=True)):
            self.breaks(f"{record.account} in {record.conversation} went from {before} to {after}")

    def accepted(self, node: SimulatedNode, position: int, record: Accepted) -> None:
        """Remember what everybody has written: a mark means something for these only."""
        self._written.setdefault((record.conversation, record.sender), []).append((record.seq, record.producer))

    def told(self, device: SimulatedDevice, frame: Any) -> None:
        """A receipt tells what is durable, and what is so."""
        if not isinstance(frame, Receipt):
            return
        delivered, read, shown = self.witness.highest_marks(frame.conversation, frame.account)
        if frame.delivered > delivered or frame.read > read:
            self.breaks(f"{device} heard of marks of {frame.account} in {frame.conversation} that are not durable")
        if frame.account != device.account and frame.read > shown:
            self.breaks(f"{device} heard that {frame.account} has read {frame.conversation}, who does not show it")
        devices = self.witness.devices_of(frame.account)
        if frame.delivered > max(each.highest.get(frame.conversation, 0) for each in devices):
            self.breaks(f"{device} heard that {frame.account} has {frame.conversation} {frame.delivered}")
        if frame.read > max(each.read.get(frame.conversation, 0) for each in devices):
            self.breaks(f"{device} heard that {frame.account} has read {frame.conversation} {frame.read}")

    def committed(self, device: SimulatedDevice, change: Change) -> None:
        """What a device knows of its own marks only grows, too."""
        if isinstance(change, MarksChanged):
            key = (device.id, change.conversation)
            before, after = self._own.get(key, (0, 0)), (change.delivered, change.read)
            if any(new < old for old, new in zip(before, after, strict=True)):
                self.breaks(f"{device} went from {before} to {after} in {change.conversation}")
            self._own[key] = after

    def unrest(self, world: World) -> list[str]:
        """Screens that do not show what the other's devices have, though nobody hides it."""
        found: list[str] = []
        for person in world.people:
            for chat in person.chats:
                found += self._kept(person.account, chat)
                if not person.secretive:
                    found += self._shown(world, person.account, chat)
        return found

    def _kept(self, account: str, chat: str) -> Iterator[str]:
        """Where the server knows less than the devices, or more."""
        marks = self.witness.marks.get((chat, account), (0, 0, 0))
        for mark, bound in zip(marks, bounds_of(self.witness, account, chat), strict=False):
            if not bound.least <= mark <= bound.most:
                yield f"the server has {bound.what} {mark} of {account} in {chat}, their devices {bound.least}"

    def _shown(self, world: World, account: str, chat: str) -> Iterator[str]:
        """Where another's screen shows other marks than the server has."""
        delivered, read, _ = self.witness.marks.get((chat, account), (0, 0, 0))
        for other in world.people:
            if other.account == account or chat not in other.chats or other.secretive:
                continue
            for device in other.devices:
                seen = device.receipts.get((chat, account), (0, 0))
                written = self._written.get((chat, other.account), [])
                # One's other device may have written what expired before it came here: no screen shows a tick of it.
                mine = [seq for seq, by in written if by == device.id or (chat, seq) in device.received]
                if not device.doomed and _on_own(mine, seen) != _on_own(mine, (delivered, read)):
                    yield f"{device} sees {account} in {chat} at {seen}, not {(delivered, read)}"


class MarkBound(NamedTuple):
    """How far an account is by its devices: a removed one may have got further, and may have told it or not."""

    what: str
    least: int
    most: int


def bounds_of(witness: Witness, account: str, chat: str) -> tuple[MarkBound, MarkBound]:
    """How far an account has received a conversation, and read it."""
    devices = witness.devices_of(account)

    def least(level: Callable[[SimulatedDevice, str], int]) -> int:
        return max((level(device, chat) for device in devices if not device.doomed), default=0)

    read = max(_read(device, chat) for device in devices)
    received = max(device.highest.get(chat, 0) for device in devices)
    return MarkBound("delivered", least(_delivered), max(read, received)), MarkBound("read", least(_read), read)


def _on_own(written: list[int], marks: tuple[int, int]) -> list[int]:
    """How many of somebody's own messages were delivered, and read."""
    return [bisect_right(written, mark) for mark in marks]


def _delivered(device: SimulatedDevice, chat: str) -> int:
    return max(device.delivered.get(chat, 0), device.read.get(chat, 0))


def _read(device: SimulatedDevice, chat: str) -> int:
    return device.read.get(chat, 0)
