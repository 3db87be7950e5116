"""What is acknowledged is gone: queues and outboxes by the store's own word, and at night all the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.notices.api import collecting_group
from protocol import DeviceId, shard_of
from simulation.witness import Checker
from storage import Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from simulation.world import World
    from storage import Entry, StorageError

__all__ = ["NothingIsLeft", "RestartFinds"]

PAGE_COUNT: Final = 100_000
PAGE_BYTES: Final = 1 << 30


class NothingIsLeft(Checker):
    """Nothing waits for anybody; and when some time has passed, nothing of it is kept."""

    name = "queues and journals are empty when all is acked"

    def unrest(self, world: World) -> list[str]:
        """What waits for a device, a removed one included, or for another shard; notices count."""
        found = [
            f"{device.decode()} has {len(waiting)} devices to tell of"
            for device, waiting in self.witness.waiting.items()
            if waiting and collecting_group(DeviceId(device)) is not None
        ]
        for node in world.nodes:
            for device in _residents(self, node):
                count = _answer(lambda done, failed, device=device, node=node: _view(node, device, done, failed))  # type: ignore[misc]
                if count and not self.witness.lingers(device):
                    found.append(f"{count} wait for {device}, by the store")
            found += [f"{node.name} keeps a copy of shard {shard}, which never came" for shard in node.store.arrivals()]
            for shard in node.shards:
                if _answer(lambda done, failed, shard=shard, node=node: _untaken(node, shard, done, failed)):  # type: ignore[misc]
                    found.append(f"shard {shard} of {node.name} has something that another one has yet to take")
        return found

    def remains(self, world: World) -> list[str]:
        """What the disk holds of messages: it should be nothing but what each queue and conversation has come to."""
        found: list[str] = []
        if any(self.witness.lingers(device) for device in world.devices):
            return found
        for node in world.nodes:
            statistics = node.store.statistics()
            for what, value in (
                ("bytes in the hot journal", statistics.hot_bytes),
                ("devices in the hot journal", statistics.hot_devices),
                ("conversations in the hot journal", statistics.hot_conversations),
                ("hot records that a shard has yet to take", statistics.hot_outbox),
            ):
                if value:
                    found.append(f"{node.name} keeps {value} {what}")
            tables = ((Table.JOURNAL, b""), (Table.OUTBOX, b""), (Table.BODIES, b""))
            for table, start in (*tables, *((Table.INBOX, prefix) for prefix in (b"e", b"n", b"s"))):
                kept = sum(key.startswith(start) for key in node.disk._tables[table].values)
                if kept:
                    found.append(f"{node.name} keeps {kept} keys in {table.name}")
        return found


class RestartFinds(Checker):
    """A node that starts again finds in each queue what is durable, and nothing else."""

    name = "a restart finds what was durable"

    def opened(self, node: SimulatedNode) -> None:
        """Compare the store's queues with what is known to wait; reads that are to fail are left to the node."""
        to_fail, node.disk.reads_to_fail = node.disk.reads_to_fail, 0
        for device in _residents(self, node):
            pages: list[list[Entry]] = []
            node.store.read_queue(
                shard_of(device.account), device.id, 0, PAGE_COUNT, PAGE_BYTES, pages.append, lambda error: None
            )
            if not pages and node.world.is_cluster:
                continue  # it purges a copy that is void first, and answers behind that
            positions = {entry.position for page in pages for entry in page}
            waiting = set(self.witness.waiting.get(device.id, ()))
            if positions != waiting:
                lost, new = sorted(waiting - positions), sorted(positions - waiting)
                self.breaks(f"{node.name} started without {lost} for {device}, and with {new} that were gone")
        node.disk.reads_to_fail = to_fail


def _residents(checker: Checker, node: SimulatedNode) -> list[SimulatedDevice]:
    devices = checker.witness.devices.values()
    return [it for it in devices if node in it.nodes and shard_of(it.account) in node.shards]


def _view(node: SimulatedNode, device: SimulatedDevice, done: Callable[[int], Any], failed: Any) -> None:
    node.store.load_queue(shard_of(device.account), device.id, lambda view: done(view.count), failed)


def _untaken(node: SimulatedNode, shard: int, done: Callable[[int], Any], failed: Any) -> None:
    node.store.read_outbox(shard, 0, 1, lambda jobs: done(len(jobs)), failed)


def _answer(ask: Callable[[Callable[[int], Any], Callable[[StorageError], Any]], object]) -> int:
    """Ask the store for a number; -1 while something before it is on its way to the disk."""
    found: list[int] = []
    ask(found.append, lambda error: None)
    return found[0] if found else -1
