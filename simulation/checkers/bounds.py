"""Bounds: whatever somebody could make grow has an end, which is stated here with its reason."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from roost.outboxes import PENDING_MAX
from simulation.checkers.supervision import ORDER_OF_SHARD, permanent_roles
from simulation.node import CONNECTION_LIMITS
from simulation.witness import Checker
from storage import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime import Process
    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from simulation.world import World

__all__ = ["Bounds"]

MAILBOX_MAX: Final = 512
"""In a mailbox or in front of a process that loads: a window of 16 sends, or a page of 128 entries, from each of a few
devices; or a page of 256 removals that became durable at once. What is always handled at once never piles up, however
long a run lasts."""

CONNECTIONS_OF_DEVICE_MAX: Final = 6
"""A login throws out the connection before it; beside the two there are those that never got so far, which end after
10 or 15 seconds, while a device tries again every few."""

TIMERS_OF_PROCESS_MAX: Final = 4
"""A connection has the most: for the handshake, the heartbeat, the ciphers and a slow reader. Others have two, which
leaves room for timers of processes that have ended and are not due yet."""

HELPERS_MAX: Final = 8
"""Reapers, and whoever asks from outside the actors: there for a moment."""

SHARDS_MOVING_MAX: Final = 4
"""Shards whose processes run although the disk does not say yet, or says no longer, that they live there."""

PENDING_BYTES_MAX: Final = 256 << 10
"""On the way to the disk: what all devices can have under way in their windows while the slowest commit lasts."""

HOT_SLACK_BYTES: Final = 128 << 10
"""Above twice the hot window new messages are refused; acks, marks and removals pass, for they make room. This is what
they bring until the mover has looked again and come to its end: a thousand removals of 72 bytes from the queues of one
or two removed devices, and what was accepted before."""

BACKLOG_MAX: Final = 512
"""Changes and events of a session that its program has not taken: a window of entries that came during one commit."""

KEYS_OF_ACCOUNT: Final = 2
"""An account in the directory: its record, and when it was last seen."""

KEYS_OF_NODE_MAX: Final = 16
"""What the store keeps there of itself, and whoever was asked for and has no account."""

DIRECTORY_VALUE_BYTES_MAX: Final = 4 << 10
"""An account with its devices and lists, or a conversation's snapshot without its producers."""

PRODUCER_BYTES_MAX: Final = 2 << 10
"""What a conversation's snapshot remembers of a producer: its last 32 sends."""

OWED: Final = b"owed/"
DEVICES_MAX: Final = 5
TIMERS_OF_SHARD: Final = 2
"""What a shard does at all times: tell how far it has come, and look for what has expired."""


class _Measure(NamedTuple):
    """Something that may not grow without end."""

    what: str
    value: int
    most: int


class Bounds(Checker):
    """Looks at everything once a second, and at each mailbox when its process has a turn."""

    name = "nothing grows without bound"

    def turned(self, node: SimulatedNode, process: Process) -> None:
        """A mailbox is as full as it gets when its process is about to handle it."""
        if process.waiting > MAILBOX_MAX:
            self.breaks(f"{process.waiting} messages wait for {process} of {node.name}, more than {MAILBOX_MAX}")

    def sampled(self, world: World) -> None:
        """Compare everything with its bound."""
        for measure in self._measures(world):
            if measure.value > measure.most:
                self.breaks(f"{measure.what}: {measure.value}, more than {measure.most}")

    def _measures(self, world: World) -> Iterator[_Measure]:
        for link, count in Counter(socket.link for socket in world.network.open).items():
            yield _Measure(f"sockets of {link}", count, CONNECTIONS_OF_DEVICE_MAX)
        for device in world.devices:
            if device.session is not None:
                yield _Measure(f"backlog of {device}", device.session.backlog, BACKLOG_MAX)
                yield _Measure(f"outbox of {device}", device.session.pending, PENDING_MAX)
        for node in world.nodes:
            if node.up:
                residents = [device for device in world.devices if node in device.nodes]
                yield from self._processes(node, residents)
                yield from self._stores(node, residents)

    def _processes(self, node: SimulatedNode, residents: list[SimulatedDevice]) -> Iterator[_Measure]:
        accounts, chats = _people(node, residents)
        statistics = node.runtime.statistics()
        connections = len(node.connections.which_children())
        yield _Measure(f"connections of {node.name}", connections, CONNECTIONS_OF_DEVICE_MAX * len(residents))
        keyed = 2 * accounts + chats + len(residents)  # an account and its presence, conversations, queues
        running = sum(type(name) is tuple and name[0] == "shard" for name in node.runtime.names())
        moving = max(0, running - len(node.shards))
        yield _Measure(f"shards that come to {node.name} or leave it", moving, SHARDS_MOVING_MAX)
        permanent = len(permanent_roles(node)) + moving * (1 + len(ORDER_OF_SHARD))
        most = permanent + keyed + connections + HELPERS_MAX
        yield _Measure(f"processes of {node.name}", statistics.processes, most)
        yield _Measure(f"timers of {node.name}", statistics.timers, TIMERS_OF_PROCESS_MAX * most)
        for process in node.runtime._processes.values():
            writers = getattr(getattr(process._actor, "_session", None), "writers", None)
            if writers is not None and writers.in_flight:
                most = max(writers.in_flight.values())
                yield _Measure(f"sends in flight of {process}", most, CONNECTION_LIMITS.window)
            stash = getattr(process._actor, "_stash", None)
            if stash:
                yield _Measure(f"what waits for {process} to load", len(stash), MAILBOX_MAX)

    def _stores(self, node: SimulatedNode, residents: list[SimulatedDevice]) -> Iterator[_Measure]:
        accounts, chats = _people(node, residents)
        statistics = node.store.statistics()
        yield _Measure(f"bytes on their way to the disk of {node.name}", statistics.pending_bytes, PENDING_BYTES_MAX)
        most = 2 * node.sizes.hot_window_bytes + HOT_SLACK_BYTES
        yield _Measure(f"bytes in the hot journal of {node.name}", statistics.hot_bytes, most)
        directory = node.disk._tables[Table.DIRECTORY].values
        most = KEYS_OF_ACCOUNT * accounts + chats + len(residents) + KEYS_OF_NODE_MAX
        owed = sum(key.startswith(OWED) for key in directory)  # what devices are to be brought: no more than was said
        yield _Measure(f"messages owed at {node.name}", owed, DEVICES_MAX * len(self.witness.accepted))
        yield _Measure(f"keys in the directory of {node.name}", len(directory) - owed, most)
        largest = max((len(value) for value in directory.values()), default=0)
        most = DIRECTORY_VALUE_BYTES_MAX + PRODUCER_BYTES_MAX * len(self.witness.devices)
        yield _Measure(f"bytes of a value in the directory of {node.name}", largest, most)

    def remains(self, world: World) -> list[str]:
        """At night there is nobody on a node but those who always are, and nobody is connected."""
        found = [f"a socket of {socket.link} is open" for socket in world.network.open]
        for node in world.nodes:
            statistics = node.runtime.statistics()
            permanent = len(permanent_roles(node)) + world.is_cluster  # a courier never sleeps
            if statistics.processes > permanent:
                found.append(f"{node.name} has {statistics.processes - permanent} processes that nobody needs")
            timers_max = TIMERS_OF_SHARD * len(node.shards) + HELPERS_MAX
            if statistics.timers > timers_max:
                found.append(f"{node.name} has {statistics.timers} timers, more than {timers_max}")
        return found


def _people(node: SimulatedNode, residents: list[SimulatedDevice]) -> tuple[int, int]:
    """How many accounts and conversations a node may have to do with; a stranger who was asked for is one more."""
    accounts = len({device.account for device in residents})
    return accounts + 1, accounts * (accounts + 1) // 2
