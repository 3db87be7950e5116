"""Receipts only move forward, never tell more than is so, and end up true."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from protocol.messages import Receipt
from simulation.witness import Checker

if TYPE_CHECKING:
    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from simulation.witness import Witness
    from simulation.world import World
    from storage.records import Accepted, Marked

__all__ = ["ReceiptsAreTrue"]


class ReceiptsAreTrue(Checker):
    """Watermarks of the journal, of the wire and of the screens."""

    name = "receipts only move forward, and end up true"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._written: dict[tuple[str, str], list[int]] = {}

    def marked(self, record: Marked, before: tuple[int, int, int]) -> None:
        """A watermark grows."""
        after = (record.delivered, record.read, record.read_shown)
        if any(new < old for old, new in zip(before, after, strict=True)):
            self.breaks(f"{record.account} in {record.conversation} went from {before} to {after}")

    def accepted(self, node: SimulatedNode, position: int, record: Accepted) -> None:
        """Remember what everybody has written: a mark means something for these only."""
        self._written.setdefault((record.conversation, record.sender), []).append(record.seq)

    def told(self, device: SimulatedDevice, frame: Any) -> None:
        """A receipt tells what is durable, and what is so."""
        if not isinstance(frame, Receipt):
            return
        delivered, read, _ = self.witness.marks.get((frame.conversation, frame.account), (0, 0, 0))
        if frame.delivered > delivered or frame.read > read:
            self.breaks(f"{device} heard of marks of {frame.account} in {frame.conversation} that are not durable")
        if frame.delivered > self._had(frame.account, frame.conversation):
            self.breaks(f"{device} heard that {frame.account} has {frame.conversation} {frame.delivered}")

    def _had(self, account: str, conversation: str) -> int:
        """The highest seq that any device of the account has stored; its own messages count."""
        had = 0
        for device in self.witness.devices_of(account):
            had = max(had, device.highest.get(conversation, 0))
        return had

    def calm(self, world: World) -> None:
        """Every screen shows what the other's devices have, unless they hide it."""
        for person in world.people:
            for chat in person.chats:
                self._compare(world, person.account, chat, person.secretive)

    def _compare(self, world: World, account: str, chat: str, secretive: bool) -> None:
        delivered, read, _ = self.witness.marks.get((chat, account), (0, 0, 0))
        devices = self.witness.devices_of(account)
        for name, mark, level in (("delivered", delivered, _delivered), ("read", read, _read)):
            least = max((level(device, chat) for device in devices if not device.doomed), default=0)
            most = max(max(level(device, chat), device.highest.get(chat, 0)) for device in devices)
            if not least <= mark <= most:
                self.breaks(f"the server has {name} {mark} of {account} in {chat}, their devices {least}")
        for other in world.people:
            if other.account == account or chat not in other.chats or secretive or other.secretive:
                continue
            for device in other.devices:
                seen = device.receipts.get((chat, account), (0, 0))
                mine = self._written.get((chat, other.account), [])
                if not device.doomed and _on_own(mine, seen) != _on_own(mine, (delivered, read)):
                    self.breaks(f"{device} sees {account} in {chat} at {seen}, not {(delivered, read)}")


def _on_own(written: list[int], marks: tuple[int, int]) -> list[int]:
    """How many of somebody's own messages were delivered, and read."""
    return [bisect_right(written, mark) for mark in marks]


def _delivered(device: SimulatedDevice, chat: str) -> int:
    return max(device.delivered.get(chat, 0), device.read.get(chat, 0))


def _read(device: SimulatedDevice, chat: str) -> int:
    return device.read.get(chat, 0)
