"""The durable fan-out between a shard and all others: both ends of it, with their effects. Its logic is in `logic`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from actors.router.api import Router, UnreachableError
from actors.shard.api import Disk, PaceLimits, answers, inform
from actors.shard.latecomers import Latecomers
from actors.shard.logic import Inbound, Job, Outbound
from actors.shard.pace import Pace
from protocol import shard_of
from runtime import Named
from storage.records import MESSAGE, NOTICE, Accepted, Entries, Removed, Target

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from actors.shard.pulse import Pulse
    from runtime import Process

__all__ = ["AskAgain", "OutboxPage", "Resync", "SendAgain", "Spread", "Spreading", "Step", "Taken", "parts_of"]

RESYNC_DELAY_S: Final = 0.2
HELD_S: Final = 0.02
HELD_MAX: Final = 50
"""How often a chain waits for accounts whose devices the conversation knew; they hold nobody up for ever."""
WHOLE_TARGETS_MAX: Final = 2
OUTBOX_PAGE_RECORDS: Final = 200
CROSSING_BYTES_MAX: Final = 256 << 10
"""Bodies in one message to another node: with the largest last one it fits into a frame of a link."""


class Spread(msgspec.Struct, array_like=True, frozen=True):
    """From a source shard: jobs with something for accounts of this one, chained to position `previous`."""

    source: int
    previous: int
    jobs: Sequence[Job]


class Resync(msgspec.Struct, array_like=True, frozen=True):
    """From a target shard: send again everything behind this cursor."""

    target: int
    cursor: int


class Taken(msgspec.Struct, array_like=True, frozen=True):
    """From a target shard: everything up to this position is on its disk."""

    target: int
    up_to: int


class AskAgain(NamedTuple):
    """The timer that asks a source shard for what is missing."""

    source: int


class SendAgain(NamedTuple):
    """The timer that goes on with a target for which there was no room on its link."""

    target: int


class Step:
    """The timer that goes on with large fan-outs."""


STEP: Final = Step()


class OutboxPage(NamedTuple):
    """From the disk: jobs that some target may not have taken.

    Attributes:
        target: For whom it was read; None at the start of the shard, for all.
        after: Position behind which it was read.
        jobs: At most `OUTBOX_PAGE_RECORDS`.
    """

    target: int | None
    after: int
    jobs: list[Job]

    @property
    def is_last(self) -> bool:
        """Whether nothing lies behind it."""
        return len(self.jobs) < OUTBOX_PAGE_RECORDS

    @property
    def up_to(self) -> int:
        """Position up to which it says everything."""
        return self.jobs[-1][0] if self.jobs else self.after


class Spreading:
    """What a shard sends to other shards, and what it takes from them.

    Args:
        process: The process of the shard.
        disk: The shard's slice of the store.
        router: Where the other shards are found.
        cursors: By source shard: the highest position that is on the disk here.
        pace: How fast large fan-outs go out.
        pulse: Of the shard; it wants one whenever a source has yet to be told something.

    Attributes:
        latecomers: Who was linked, or removed, while a message was on its way to this shard.
    """

    __slots__ = (
        "_disk",
        "_held",
        "_holding",
        "_inbound",
        "_outbound",
        "_pace",
        "_process",
        "_pulse",
        "_router",
        "_shard",
        "_stepping",
        "latecomers",
    )

    def __init__(
        self,
        process: Process,
        disk: Disk,
        router: Router,
        cursors: dict[int, int],
        pace: PaceLimits,
        pulse: Pulse,
    ) -> None:
        self._process = process
        self._pulse = pulse
        self._disk = disk
        self._router = router
        self._shard = disk.shard
        self._pace = Pace(pace, process.runtime.clock.now_s())
        self._stepping = False
        self._inbound = {source: Inbound(cursor) for source, cursor in cursors.items()}
        self._outbound: dict[int, Outbound] = {}
        self.latecomers = Latecomers(process, disk, router)
        self._holding: set[int] = set()  # sources whose chains wait
        self._held: dict[int, int] = {}  # by source: how often one has

    # As a source.

    def read_outbox(self, target: int | None, after: int) -> None:
        """Ask the disk for a page."""
        read = answers(self._process, lambda jobs: OutboxPage(target, after, jobs))
        self._disk.store.read_outbox(self._shard, after, OUTBOX_PAGE_RECORDS, *read)

    def send_page(self, page: OutboxPage) -> None:
        """Send what a page holds for its target, or for all."""
        if page.target is None:
            for target, jobs in self._by_target(page.jobs).items():
                self.send(target, jobs)
            return
        outbound = self._outbound_to(page.target)
        jobs = self._by_target(page.jobs).get(page.target, [])
        if self._deliver(page.target, *outbound.read(page.up_to, jobs, page.is_last)):
            self._read_on(page.target)

    def _by_target(self, jobs: list[Job]) -> dict[int, list[Job]]:
        found: dict[int, list[Job]] = {}
        for position, record in jobs:
            for target, part in parts_of(record).items():
                if target != self._shard:
                    found.setdefault(target, []).append((position, part))
        return found

    def send_all(self, spreads: Mapping[int, list[Job]], prompt: Collection[int]) -> None:
        """Send jobs that are new.

        Args:
            spreads: By target.
            prompt: Those of the targets that get theirs at once; what the others get is from large fan-outs alone, and
                may have to wait for its turn.
        """
        if len(prompt) < len(spreads) and self._pace.holds(spreads, self._process.runtime.clock.now_s()):
            for target in prompt:
                self.send(target, [])
            self._step_later()
            return
        for target, jobs in spreads.items():
            self.send(target, jobs)

    @property
    def holds_back(self) -> bool:
        """Whether some target has yet to be sent something, because it is not its turn."""
        return self._pace.waits

    def step(self) -> None:
        """It is the turn of the next targets that wait."""
        self._stepping = False
        for target in self._pace.turns():
            self.send(target, [])
        self._step_later()

    def _step_later(self) -> None:
        if self._pace.waits and not self._stepping:
            self._stepping = True
            self._process.send_after(self._pace.step_s, STEP)

    def send(self, target: int, jobs: list[Job]) -> None:
        """Send jobs that are new; those that the target has no room for are read from the disk later."""
        self._deliver(target, *self._outbound_to(target).send(self._pace.joined(target, jobs)))

    def _outbound_to(self, target: int) -> Outbound:
        outbound = self._outbound.get(target)
        if outbound is None:
            outbound = self._outbound[target] = Outbound()
        return outbound

    def _deliver(self, target: int, previous: int, jobs: Sequence[Job]) -> bool:
        """Cast a chain of jobs, in pieces if it crosses to another node; whether the target may be given more now."""
        if not jobs:
            return True
        try:
            pid = self._router.shard(target)
        except UnreachableError:
            if self._router.node_of(target) != self._process.runtime.node:
                self._outbound_to(target).forget()
            return False  # one that restarts asks by itself when it is back
        pieces = _pieces(jobs) if type(pid) is Named else (jobs,)
        for piece in pieces:
            if not self._process.insist(pid, Spread(self._shard, previous, piece)):
                self._outbound_to(target).forget()
                self._process.send_after(RESYNC_DELAY_S, SendAgain(target))
                return False
            previous = piece[-1][0]
        return True

    def resync(self, resync: Resync) -> None:
        """A target is back, or has found a gap: send behind its cursor again, from memory or from the disk."""
        outbound = self._outbound.get(resync.target)
        if outbound is not None and self._deliver(resync.target, resync.cursor, outbound.resend(resync.cursor)):
            self._read_on(resync.target)

    def taken(self, taken: Taken) -> None:
        """A target has something on its disk: this shard's may forget it, and there is room for more."""
        outbound = self._outbound.get(taken.target)
        if outbound is not None:
            for position in outbound.taken(taken.up_to):
                self._disk.store.taken(self._shard, position, taken.target)
            self._read_on(taken.target)

    def send_again(self, target: int) -> None:
        """Go on with a target, if there is something for it."""
        if target in self._outbound:
            self._read_on(target)

    def _read_on(self, target: int) -> None:
        after = self._outbound_to(target).wants()
        if after is not None:
            self.read_outbox(target, after)

    # As a target.

    def spread(self, spread: Spread) -> None:
        """Take the jobs that are new: one record each, with the entries of all devices of this shard."""
        source = spread.source
        inbound = self._inbound.get(source)
        if inbound is None:
            inbound = self._inbound[source] = Inbound()
        if source in self._holding:
            return
        latecomers = self.latecomers
        parts = [latecomers.plain(record) for _, record in spread.jobs]
        if None in parts and self._hold(source, inbound.appended, spread.jobs):
            return
        jobs = inbound.take(spread.previous, spread.jobs)
        if jobs is None:
            self.ask(source)
            return
        if not jobs:
            self._pulse.want()  # the source has not heard that these were taken
        for (position, record), plain in zip(jobs, parts[len(parts) - len(jobs) :], strict=True):
            targets = latecomers.targets(record) if plain is None else plain
            if plain is None:
                latecomers.doubt(record)
            self._disk.append(_entries(source, position, record, targets), inbound.attempt)

    def _hold(self, source: int, appended: int, jobs: Sequence[Job]) -> bool:
        """Whether a chain has to wait, because of somebody in it nobody knows here which devices they have."""
        latecomers = self.latecomers
        new = [record for position, record in jobs if position > appended]
        held = self._held.get(source, 0)
        unknown = latecomers.unknown(new, unheard_only=held >= HELD_MAX)
        if unknown:
            self._held[source] = held + 1
            latecomers.look_up(unknown)
        elif not latecomers.settle(new, inform(self._process, lambda _: AskAgain(source))):
            self._held.pop(source, None)
            return False
        self._holding.add(source)
        self._process.send_after(HELD_S, AskAgain(source))
        return True

    def ask_again(self, source: int) -> None:
        """The time is over after which a source is asked again, or what was waited for has come before that."""
        self._holding.discard(source)
        self.ask(source)

    def durable(self, record: Entries) -> None:
        """What was taken is on the disk; a supplement came from nowhere."""
        if record.source != self._shard:
            self._inbound[record.source].durable = record.source_position
            self._pulse.want()

    def failed(self, record: Entries, attempt: object) -> None:
        """What was taken did not reach the disk: it is asked for once more."""
        inbound = self._inbound.get(record.source)  # none: this shard has restarted, and asks for all of it again
        if inbound is not None and inbound.failed(attempt):
            self._process.send_after(RESYNC_DELAY_S, AskAgain(record.source))

    def ask(self, source: int) -> None:
        """Ask a source for everything behind the cursor."""
        inbound = self._inbound.get(source)
        self._tell(source, Resync(self._shard, 0 if inbound is None else inbound.appended))

    def meet(self, sources: Iterable[int]) -> None:
        """These shards can be reached anew: what was said meanwhile, in either direction, is lost."""
        for source in sources:
            if source != self._shard:
                if source in self._inbound:
                    self._inbound[source].told = 0
                    self._pulse.want()
                self.ask(source)
                self.send_again(source)  # what it asks may have come before word of where it is

    def tell_taken(self) -> None:
        """Tell the sources how far this shard has come."""
        for source, inbound in self._inbound.items():
            news = inbound.news()
            if news is not None:
                self._tell(source, Taken(self._shard, news))

    def _tell(self, shard: int, message: object) -> None:
        """To another shard; when one that is away is back, both sides ask."""
        try:
            self._process.insist(self._router.shard(shard), message)
        except UnreachableError:
            return


def parts_of(record: Accepted | Removed) -> dict[int, Accepted | Removed]:
    """The record for each shard that has targets of it, in the order of its targets.

    One of two accounts goes to both as it is. That of a group is cut: each shard gets its own targets, and nobody the
    group's state; else every shard would look through all 1,024 members, and every node would be sent them.
    """
    targets = record.targets
    if len(targets) <= WHOLE_TARGETS_MAX:
        return {shard_of(account): record for account, _ in targets}
    by_shard: dict[int, list[int]] = {}
    for index, target in enumerate(targets):
        by_shard.setdefault(shard_of(target[0]), []).append(index)
    if isinstance(record, Removed):
        return {
            shard: msgspec.structs.replace(record, targets=[targets[index] for index in own])
            for shard, own in by_shard.items()
        }
    return {shard: _part(record, own) for shard, own in by_shard.items()}


def _part(record: Accepted, own: list[int]) -> Accepted:
    targets, versions = [record.targets[index] for index in own], record.versions
    return Accepted(
        record.conversation,
        record.producer,
        record.epoch,
        record.number,
        record.client_id,
        record.seq,
        record.message_id,
        record.sender,
        targets,
        record.expires_ms,
        record.flags,
        record.time_ms,
        record.body,
        versions=[versions[index] for index in own] if versions else versions,
        is_exact=record.is_exact,
        tails=_tails(record.tails, targets),
    )


def _tails(tails: dict[bytes, bytes] | None, targets: list[Target]) -> dict[bytes, bytes] | None:
    """What the devices of some targets get."""
    if tails is None:
        return None
    return {device: tails[device] for _, devices in targets for device in devices if device in tails}


def _pieces(jobs: Sequence[Job]) -> list[Sequence[Job]]:
    """Parts of a chain that each fit into a message between nodes."""
    pieces: list[Sequence[Job]] = []
    first, size_bytes = 0, 0
    for index, (_, record) in enumerate(jobs):
        size_bytes += _size_bytes(record)
        if size_bytes > CROSSING_BYTES_MAX and index > first:
            pieces.append(jobs[first:index])
            first, size_bytes = index, _size_bytes(record)
    pieces.append(jobs[first:])
    return pieces


def _size_bytes(record: Accepted | Removed) -> int:
    """About what a record takes on its way."""
    if isinstance(record, Removed):
        bodies = sum(map(len, record.bodies))
    else:
        bodies = len(record.body) + (sum(map(len, record.tails.values())) if record.tails is not None else 0)
    return bodies + 256 + sum(32 + 18 * len(devices) for _, devices in record.targets)


def _entries(source: int, position: int, record: Accepted | Removed, targets: list[Target]) -> Entries:
    """The record with which a target shard takes its part of a job."""
    if isinstance(record, Removed):
        ((_, conversation, seq),) = record.notices
        expires_ms, body = record.expires_ms, record.bodies[0]
        return Entries(source, position, targets, NOTICE, conversation, seq, record.account, expires_ms, 0, body)
    return Entries(
        source,
        position,
        targets,
        MESSAGE,
        record.conversation,
        record.seq,
        record.sender,
        record.expires_ms,
        record.flags,
        record.body,
        _tails(record.tails, targets),
    )
