"""The witness: works out what follows from all that it sees, and tells the checkers.

It sees every record at the instant at which it becomes durable, every frame as it leaves a server, every process that
starts or ends, and all that devices commit to their own disks and show.

Nothing is raised where it is seen, because that may be inside an actor: `Witness.broken` is looked at after each event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from actors.groups.api import NOBODY, GroupState
from actors.notices.api import decode_missed
from actors.queue.api import decode_notice
from protocol import AccountId, Code, decode_change, decode_message, is_group, shard_of
from protocol.messages import (
    CHANGE,
    NOTICE_EXPIRED,
    NOTICE_OVER_QUOTA,
    NOTICE_POISON,
    NOTICE_REVOKED,
    Closing,
    Notice,
    Ready,
)
from simulation.audience import Audience
from simulation.brief import brief
from simulation.clubs import KINDS
from storage import MESSAGE, Table
from storage.records import Accepted, Acked, Entries, Marked, Record, Removed, Target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roost.changes import Change
    from roost.events import Event
    from runtime import Actor, Pid, Process, Reason
    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from simulation.world import World

__all__ = ["Checker", "EntryKey", "InvariantError", "Witness", "notice_key"]

EntryKey = tuple[int, str, int, str, bytes]
"""Kind (for a notice: its reason), conversation and seq; of a notice also the account and device that it is about."""

REMOVALS = {
    NOTICE_EXPIRED: "an expired message leaves with a notice",
    NOTICE_OVER_QUOTA: "a full queue lets a message go with a notice",
    NOTICE_REVOKED: "a revoked device's message leaves with a notice",
    NOTICE_POISON: "a poison message leaves with a notice",
}


class InvariantError(AssertionError):
    """An invariant is broken: which one, how it was seen, and when."""

    def __init__(self, invariant: str, story: str, time_s: float) -> None:
        super().__init__(f"{invariant}: {story} (at {time_s:.3f} s)")
        self.invariant = invariant
        self.story = story
        self.time_s = time_s


class Checker:
    """One invariant. Subclasses override what they want to hear of.

    Args:
        witness: Where it reports, and what it may ask.
    """

    name: ClassVar[str]

    def __init__(self, witness: Witness) -> None:
        self.witness = witness

    def breaks(self, story: str) -> None:
        """Report that the invariant does not hold."""
        self.witness.breaks(self.name, story)

    # What it may hear of.

    def written(self, node: SimulatedNode, position: int, shard: int, fenced: bool) -> None:
        """A record is durable; `fenced`: its writer had lost the shard before it wrote."""

    def accepted(self, node: SimulatedNode, position: int, record: Accepted) -> None:
        """A message is durable."""

    def grouped(self, record: Accepted, before: GroupState, after: GroupState) -> None:
        """A message of a group was accepted, which may have changed it."""

    def entered(self, device: bytes, position: int, key: EntryKey) -> None:
        """An entry waits for a device, durably."""

    def acked(self, device: bytes, key: EntryKey) -> None:
        """An entry was let go on its device's ack, durably."""

    def removed(self, device: bytes, key: EntryKey, record: Removed) -> None:
        """An entry was removed for a reason of the server's, durably."""

    def marked(self, record: Marked, before: tuple[int, int, int]) -> None:
        """A member's watermarks moved, durably."""

    def told(self, device: SimulatedDevice, frame: Any) -> None:
        """A frame leaves a server for this device."""

    def committed(self, device: SimulatedDevice, change: Change) -> None:
        """A device has something on its own disk."""

    def published(self, device: SimulatedDevice, event: Event) -> None:
        """A device's application hears of something."""

    def started(self, node: SimulatedNode, pid: Pid, actor: Actor) -> None:
        """A process runs."""

    def ended(self, node: SimulatedNode, pid: Pid, actor: Actor, reason: Reason) -> None:
        """A process has ended."""

    def crashed(self, node: SimulatedNode, actor: Actor) -> None:
        """A callback raised; `init` of an actor that then never started included."""

    def killed(self, node: SimulatedNode, pid: Pid) -> None:
        """The weather kills a process."""

    def turned(self, node: SimulatedNode, process: Process) -> None:
        """A process is given a turn."""

    def opened(self, node: SimulatedNode) -> None:
        """A node has opened the disk of its former life, and nobody has written yet."""

    def sampled(self, world: World) -> None:
        """A second has passed."""

    def travelled(self, event: object) -> None:
        """A courier has said or heard something; see `simulation.couriers`."""

    # What it is asked.

    def unrest(self, world: World) -> list[str]:
        """What has yet to come about, in the calm; it has `CALM_S_MAX` for that."""
        return []

    def calm(self, world: World) -> None:
        """Everything has come to rest; nothing goes wrong any more."""

    def remains(self, world: World) -> list[str]:
        """What is left at night, when everybody has gone; it has `NIGHT_S_MAX` to go."""
        return []


HEARD = (
    "written",
    "accepted",
    "grouped",
    "entered",
    "acked",
    "removed",
    "marked",
    "told",
    "committed",
    "published",
    "started",
    "ended",
    "crashed",
    "killed",
    "turned",
    "opened",
    "sampled",
    "travelled",
)


@dataclass
class Witness:
    """What became durable, and what follows from it.

    Attributes:
        devices: By device id.
        accepted: By conversation and seq.
        by_number: By device, epoch, conversation and number.
        waiting: By device: what waits for it, by position.
        let_go: By device, conversation and seq of a message: why it was removed.
        told_of: By what a group was to tell: the record with which it told.
        marks: By conversation and account: delivered, read, read as others may see it.
        former_marks: The highest marks of those who have left a group, where they may be on their way to a screen yet.
        audience: For which devices each message is.
        groups: By conversation: what its durable changes make of it.
        group_versions: The same by version, for all that there were.
    """

    world: World
    devices: dict[bytes, SimulatedDevice] = field(default_factory=dict)
    broken: list[InvariantError] = field(default_factory=list)
    accepted: dict[tuple[str, int], Accepted] = field(default_factory=dict)
    by_number: dict[tuple[bytes, bytes, str, int], Accepted] = field(default_factory=dict)
    waiting: dict[bytes, dict[int, EntryKey]] = field(default_factory=dict)
    let_go: dict[tuple[bytes, str, int], Removed] = field(default_factory=dict)
    told_of: dict[EntryKey, Removed] = field(default_factory=dict)
    marks: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)

    former_marks: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    groups: dict[str, GroupState] = field(default_factory=dict)
    group_versions: dict[tuple[str, int], GroupState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.audience = Audience(self)
        self._accepted_in: dict[tuple[int, int], tuple[SimulatedNode, int, float]] = {}
        self._delivered: set[tuple[bytes, str, int]] = set()
        self._answered: set[tuple[bytes, str, int]] = set()
        self._hear: dict[str, list[Any]] = {event: [] for event in HEARD}
        self.checkers: list[Checker] = []
        self.login_epoch = b""

    def listen(self, checkers: Iterable[Checker]) -> None:
        """Tell these checkers of all that happens from now on."""
        for checker in checkers:
            self.checkers.append(checker)
            for event in HEARD:
                if getattr(type(checker), event) is not getattr(Checker, event):
                    self._hear[event].append(getattr(checker, event))

    def breaks(self, invariant: str, story: str) -> None:
        """Note a broken invariant."""
        self.broken.append(InvariantError(invariant, story, self.world.agenda.now_s))

    def check(self) -> None:
        """Raise the first broken invariant, if there is one.

        Raises:
            InvariantError: There is one.
        """
        if self.broken:
            raise self.broken[0]

    def calm(self) -> None:
        """Ask every checker whether all is well at rest."""
        for checker in self.checkers:
            checker.calm(self.world)
            self.check()

    def unrest(self) -> list[tuple[str, str]]:
        """What has yet to come about in the calm, by the first checker that misses something; it is asked often."""
        return next(filter(None, ([(it.name, story) for story in it.unrest(self.world)] for it in self.checkers)), [])

    def remains(self) -> list[tuple[str, str]]:
        """What is left at night: by invariant."""
        return [(checker.name, story) for checker in self.checkers for story in checker.remains(self.world)]

    def sample(self) -> None:
        """A second has passed."""
        for hear in self._hear["sampled"]:
            hear(self.world)

    def devices_of(self, account: str) -> list[SimulatedDevice]:
        """The devices of an account, revoked ones included."""
        return [device for device in self.devices.values() if device.account == account]

    def lingers(self, device: SimulatedDevice) -> bool:
        """Whether what waits for a device may wait for the end of its time to live.

        A node that was cut off accepts for a device that has been removed. The queue finds that out when it would
        retire; if it dies before, nobody asks until the entries expire.
        """
        home = self.world.home(device.account)
        idle = home is None or home.runtime.whereis(("queue", device.id)) is None
        return device.doomed and self.world.is_cluster and idle and bool(self.waiting.get(device.id))

    # What nodes tell.

    def durable(self, node: SimulatedNode, position: int, shard: int, record: Record) -> None:
        """A record is on stable storage from now on."""
        self.world.log(f"{node.name} {position} {type(record).__name__} {brief(record)}")
        fenced = position in node.store.fenced_positions
        for hear in self._hear["written"]:
            hear(node, position, shard, fenced)
        if isinstance(record, Accepted):
            self._accepted(node, position, shard, record)
        elif isinstance(record, Entries):
            self._entries(node, position, shard, record)
        elif isinstance(record, Acked):
            self._acked(record)
        elif isinstance(record, Removed):
            self._removed(node, position, shard, record)
        elif isinstance(record, Marked):
            first = (record.account, record.delivered, record.read, record.read_shown)
            for account, delivered, read, read_shown in (first, *record.others):
                self._marked(Marked(record.conversation, account, delivered, read, read_shown))

    def _marked(self, record: Marked) -> None:
        key = (record.conversation, record.account)
        before = self.marks.get(key, (0, 0, 0))
        self.marks[key] = (record.delivered, record.read, record.read_shown)
        for hear in self._hear["marked"]:
            hear(record, before)

    def _accepted(self, node: SimulatedNode, position: int, shard: int, record: Accepted) -> None:
        for hear in self._hear["accepted"]:
            hear(node, position, record)
        self.accepted[record.conversation, record.seq] = record
        if is_group(record.conversation):
            self._grouped(record)
        self.by_number[record.producer, record.epoch, record.conversation, record.number] = record
        self._accepted_in[shard, position] = (node, node.life, self.world.agenda.now_s)
        for account, devices in record.targets:
            if shard_of(account) == shard:
                self._enter(position, devices, (MESSAGE, record.conversation, record.seq, "", b""))

    def highest_marks(self, conversation: str, account: str) -> tuple[int, int, int]:
        """The marks of an account, as they are or were before it left the last time."""
        present = self.marks.get((conversation, account), (0, 0, 0))
        former = self.former_marks.get((conversation, account), (0, 0, 0))
        delivered, read, shown = map(max, present, former)
        return delivered, read, shown

    def _grouped(self, record: Accepted) -> None:
        before = after = self.groups.get(record.conversation, NOBODY)
        if record.flags & CHANGE:
            change = decode_change(decode_message(record.body).payload)
            after = before.apply(AccountId(record.sender), change, record.seq, record.time_ms)
            self.groups[record.conversation] = self.group_versions[record.conversation, after.version] = after
            self.world.coverage.reached(f"a group changes: {KINDS[change.kind]}")
        for account in before.members.keys() - after.members.keys():
            key = (record.conversation, account)
            self.former_marks[key] = self.highest_marks(*key)
            self.marks.pop(key, None)
        for hear in self._hear["grouped"]:
            hear(record, before, after)

    def _entries(self, node: SimulatedNode, position: int, shard: int, record: Entries) -> None:
        nowhere = (node, node.life, 0.0)
        source, life, since_s = self._accepted_in.get((record.source, record.source_position), nowhere)
        if source is not node:
            self.world.coverage.reached("a message crosses from node to node")
            if node.linked_at_s.get(source.name, 0.0) > since_s:
                self.world.coverage.reached("a message crosses when its link is back")
        if source.life != life:
            self.world.coverage.reached("a fan-out is taken up again after a restart")
        if _has_more_to_hand_out(source, record.source):
            self.world.coverage.reached("a large fan-out goes out a few shards at a time")
        if record.source == shard:
            self.audience.brought(record)
        if record.kind == MESSAGE:
            key: EntryKey = (MESSAGE, record.conversation, record.seq, "", b"")
        else:
            key = notice_key(record.targets, record.conversation, record.seq, record.body)
        for _, devices in record.targets:
            self._enter(position, devices, key)

    def _enter(self, position: int, devices: list[bytes], key: EntryKey) -> None:
        for device in devices:
            for hear in self._hear["entered"]:
                hear(device, position, key)
            self.waiting.setdefault(device, {})[position] = key

    def _acked(self, record: Acked) -> None:
        waiting = self.waiting.get(record.device, {})
        for position in [position for position in waiting if position <= record.up_to]:
            key = waiting.pop(position)
            for hear in self._hear["acked"]:
                hear(record.device, key)

    def _removed(self, node: SimulatedNode, position: int, shard: int, record: Removed) -> None:
        waiting = self.waiting.get(record.device, {})
        self._accepted_in[shard, position] = (node, node.life, self.world.agenda.now_s)
        for gone in record.positions:
            key = waiting.pop(gone, None)
            if key is None:
                continue
            if is_group(record.account):
                self.told_of[key] = record
                self.world.coverage.reached("a group tells what its members missed")
            if key[0] == MESSAGE:
                self.let_go[record.device, key[1], key[2]] = record
                self.world.coverage.reached(REMOVALS.get(record.reason, f"removed for reason {record.reason}"))
            for hear in self._hear["removed"]:
                hear(record.device, key, record)
        for account, devices in record.targets:
            if shard_of(account) == shard:
                _, conversation, seq = record.notices[0]
                self._enter(position, devices, notice_key(record.targets, conversation, seq, record.bodies[0]))

    def moved(self, node: SimulatedNode, table: Table, key: bytes) -> None:
        """A commit puts an entry into the inbox, a body that several have, or a job into the outbox."""
        coverage = self.world.coverage
        if table == Table.OUTBOX:
            coverage.reached("what a shard has yet to take moves to the outbox")
            return
        if table == Table.BODIES:
            coverage.reached("several devices share a body")
            return
        if key[:1] != b"e":
            return
        coverage.reached("entries move to the inbox")
        device = self.devices.get(key[2 : 2 + key[1]])
        if device is not None and device.session is not None and device.draining:
            coverage.reached("entries move to the inbox while their device drains")

    def started(self, node: SimulatedNode, pid: Pid, actor: Actor) -> None:
        """A process runs."""
        if isinstance(actor, self.world.scenario.parts.shard):
            self.audience.shard_started(actor._shard)
        for hear in self._hear["started"]:
            hear(node, pid, actor)

    def ended(self, node: SimulatedNode, pid: Pid, actor: Actor, reason: Reason) -> None:
        """A process has ended."""
        for hear in self._hear["ended"]:
            hear(node, pid, actor, reason)

    def crashed(self, node: SimulatedNode, actor: Actor) -> None:
        """A callback raised."""
        for hear in self._hear["crashed"]:
            hear(node, actor)

    def killed(self, node: SimulatedNode, pid: Pid) -> None:
        """The weather kills a process."""
        for hear in self._hear["killed"]:
            hear(node, pid)

    def turned(self, node: SimulatedNode, process: Process) -> None:
        """A process is given a turn."""
        for hear in self._hear["turned"]:
            hear(node, process)

    def opened(self, node: SimulatedNode) -> None:
        """A node has opened its disk."""
        for hear in self._hear["opened"]:
            hear(node)

    def travelled(self, event: object) -> None:
        """A courier has said or heard something."""
        for hear in self._hear["travelled"]:
            hear(event)

    def told(self, device_id: bytes, frame: Any, login_epoch: bytes = b"") -> None:
        """A frame leaves a server, over a connection that has logged in under this epoch."""
        self.login_epoch = login_epoch
        device = self.devices.get(device_id)
        if device is None:
            return
        self.world.log(f"to {device.name}: {brief(frame)}")
        self._cover(device, frame)
        for hear in self._hear["told"]:
            hear(device, frame)

    def _cover(self, device: SimulatedDevice, frame: Any) -> None:
        """Note the rare branches that a frame shows."""
        reached = self.world.coverage.reached
        kind = type(frame).__name__
        if kind == "Sent" and frame.number:
            key = (device.id, frame.conversation, frame.seq)
            if key in self._answered:
                reached("a retry is answered with its old seq")
            self._answered.add(key)
        elif kind == "Deliver" and frame.position:
            key = (device.id, frame.message.conversation, frame.message.seq)
            if key in self._delivered:
                reached("a message is delivered again")
            else:
                self._delivered.add(key)
        elif kind == "Refused" and frame.number:
            if frame.code == Code.STORAGE_FULL:
                reached("a send is refused because the disk is full")
            elif frame.code == Code.NUMBER_GAP:
                reached("a gap in the numbers is refused")
        elif isinstance(frame, Ready) and frame.resumed:
            reached("a session is resumed")
        elif isinstance(frame, Closing) and frame.code == Code.REPLACED:
            reached("an older session is closed by a newer one")
        elif isinstance(frame, Notice):
            reached("a notice reaches the sender")

    # What devices tell.

    def committed(self, device: SimulatedDevice, change: Change) -> None:
        """A device has something on its own disk."""
        self.world.log(f"{device.name} stores {brief(change)}")
        for hear in self._hear["committed"]:
            hear(device, change)

    def published(self, device: SimulatedDevice, event: Event) -> None:
        """A device's application hears of something."""
        for hear in self._hear["published"]:
            hear(device, event)


def _has_more_to_hand_out(node: SimulatedNode, shard: int) -> bool:
    """Whether a shard holds something back for others."""
    pid = node.runtime.whereis(("shard", shard))
    spreading = None if pid is None or pid._process is None else getattr(pid._process._actor, "_spreading", None)
    return spreading is not None and spreading.holds_back


def notice_key(targets: list[Target], conversation: str, seq: int, body: bytes) -> EntryKey:
    """As what a notice waits: one that names many devices is known by the first of them."""
    notice = decode_missed(body) if is_group(targets[0][0]) else decode_notice(body)
    return (notice.reason, conversation, seq, notice.account, notice.device)
