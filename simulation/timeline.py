"""What happened to some messages in a run: written, accepted, told, queued, delivered, stored, acked, with the faults.

A `Recorder` hears all that checkers hear. Afterwards a `timeline` is cut from it: the moments of the messages that a
violation speaks of, or of their conversation's watermarks, and what went wrong meanwhile.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.groups.api import NOBODY
from protocol import is_group
from protocol.messages import (
    NOTICE_EXPIRED,
    NOTICE_OVER_QUOTA,
    NOTICE_POISON,
    NOTICE_REVOKED,
    Deliver,
    Group,
    GroupReceipt,
    Notice,
    Ready,
    Receipt,
    Refused,
    Sent,
)
from roost.changes import Accepted as Ticked
from roost.changes import Failed, MarksChanged, NoticeStored, ProgressStored, Queued, ReceiptStored, Received
from roost.events import MessageReceived
from simulation.witness import Checker, EntryKey
from storage import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from protocol.messages import Step
    from roost.changes import Change
    from roost.events import Event
    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from simulation.storm import Violation
    from simulation.witness import Witness
    from simulation.world import World
    from storage.records import Accepted, Marked, Removed

__all__ = ["LINES_MAX", "Recorder", "timeline"]

LINES_MAX: Final = 120
"""Of a longer timeline the last lines are shown: the end is what failed."""

_SUBJECT: Final = re.compile(
    r"(?P<mark>\b(?:has|have|has read) )?(?P<conversation>[a-z]+\d*:[a-z]+\d*|#[0-7][0-9A-HJKMNP-TV-Z]{25})"
    r"(?:(?: is| got seq|, the second as|',)? (?P<seq>\d+))?"
)
"""A conversation of two or a group, with the seq if the story goes on with one."""

_WEATHER: Final = re.compile(r"(?P<time_s>\d+\.\d+) (?P<what>(?:FAULT|LIFE|CALM)\b.*)")
_REASONS: Final = {
    NOTICE_EXPIRED: "expired",
    NOTICE_OVER_QUOTA: "the queue is full",
    NOTICE_REVOKED: "the device is revoked",
    NOTICE_POISON: "poison",
}


@dataclass
class Moment:
    """Something that happened.

    Attributes:
        time_s: When.
        conversation: Where; "" for a device as a whole.
        seq: To which message; 0 if it has none yet, or for what belongs to none.
        is_mark: Whether it is about watermarks.
        text: What.
    """

    time_s: float
    conversation: str
    seq: int
    is_mark: bool
    text: str


class _Subject(NamedTuple):
    """What a violation speaks of: a message, or with seq 0 its conversation; and whether how far somebody is in it."""

    conversation: str
    seq: int
    is_mark: bool


class Recorder(Checker):
    """Writes down every moment of every message, and breaks nothing.

    Attributes:
        moments: In order of time.
        first_seqs: Of a send that was accepted again: by its conversation and newest seq, the one that it had first.
    """

    name = "a recorder"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self.moments: list[Moment] = []
        self.first_seqs: dict[tuple[str, int], int] = {}
        self._seqs: dict[bytes, int] = {}
        self._unnumbered: dict[bytes, list[Moment]] = {}
        self._written: dict[tuple[bytes, str, int], Moment] = {}
        self._deliveries: Counter[tuple[bytes, str, int]] = Counter()

    def _note(self, conversation: str, seq: int, text: str, is_mark: bool = False) -> Moment:
        moment = Moment(self.witness.world.agenda.now_s, conversation, seq, is_mark, text)
        self.moments.append(moment)
        return moment

    def _device(self, device: bytes) -> str:
        known = self.witness.devices.get(device)
        if known is not None:
            return known.name
        return device.decode() if device[:1] == b"#" else device.hex()[:8]

    # What becomes durable on a node.

    def accepted(self, node: SimulatedNode, position: int, record: Accepted) -> None:
        """Accepted: from now on what was written has a seq."""
        for moment in self._unnumbered.pop(record.client_id, ()):
            moment.seq = record.seq
        first = self._seqs.setdefault(record.client_id, record.seq)
        if record.client_id and first != record.seq:
            self.first_seqs[record.conversation, record.seq] = first
        targets = " ".join(self._device(device) for _, devices in record.targets for device in devices)
        text = f"{node.name} accepts number {record.number} of {self._device(record.producer)}, durably at {position}"
        self._note(record.conversation, record.seq, f"{text}, for {targets or 'nobody'}")

    def entered(self, device: bytes, position: int, key: EntryKey) -> None:
        """Queued."""
        self._note(key[1], key[2], f"{_what(key)} is queued for {self._device(device)} at {position}")

    def acked(self, device: bytes, key: EntryKey) -> None:
        """Acked."""
        self._note(key[1], key[2], f"{_what(key)} is forgotten for {self._device(device)}: acked")

    def removed(self, device: bytes, key: EntryKey, record: Removed) -> None:
        """Removed."""
        reason = _REASONS.get(record.reason, f"reason {record.reason}")
        told = " ".join(self._device(other) for _, devices in record.targets for other in devices)
        text = f"{_what(key)} is removed for {self._device(device)}: {reason}; to be told: {told or 'nobody'}"
        self._note(key[1], key[2], text)

    def marked(self, record: Marked, before: tuple[int, int, int]) -> None:
        """Watermarks."""
        text = f"marks of {record.account} are {(record.delivered, record.read, record.read_shown)}, before {before}"
        self._note(record.conversation, 0, text, is_mark=True)

    # What servers tell.

    def told(self, device: SimulatedDevice, frame: Any) -> None:
        """Told."""
        match frame:
            case Sent(number=number) if number:
                written = self._written.get((device.id, frame.conversation, number))
                if written is not None and not written.seq:
                    written.seq = frame.seq  # a ✓ for what was never accepted
                self._note(frame.conversation, frame.seq, f"✓ is told to {device}: number {number} is {frame.seq}")
            case Refused(number=number) if number:
                moment = self._note(frame.conversation, 0, f"{device} is told: refused with code {frame.code}")
                self._unnumbered.setdefault(frame.client_id, []).append(moment)
            case Deliver(position=position, message=message) if position:
                key = (device.id, message.conversation, message.seq)
                self._deliveries[key] += 1
                text = f"is sent to {device} at {position}, time {self._deliveries[key]}"
                self._note(message.conversation, message.seq, text)
            case Notice():
                text = f"{device} is told: it did not come to {self._device(frame.device)}"
                self._note(frame.conversation, frame.seq, text)
            case Receipt():
                text = f"{device} is told: {frame.account} is at {(frame.delivered, frame.read)}"
                self._note(frame.conversation, 0, text, is_mark=True)
            case Group():
                who = " ".join(member.account for member in frame.members)
                self._note(frame.conversation, 0, f"{device} is told of version {frame.version}, with {who}")
            case GroupReceipt():
                text = f"{device} is told behind {frame.behind}: {_steps(frame.steps)}"
                self._note(frame.conversation, 0, text, is_mark=True)
            case Ready():
                self._note("", 0, f"{device} {'resumes its session' if frame.resumed else 'logs in'}")

    # What devices keep and show.

    def committed(self, device: SimulatedDevice, change: Change) -> None:
        """Stored."""
        match change:
            case Queued():
                moment = self._note(change.conversation, 0, f"{device} writes it, as number {change.number}")
                self._unnumbered.setdefault(change.client_id, []).append(moment)
                self._written[device.id, change.conversation, change.number] = moment
            case Ticked():
                self._note(change.conversation, change.seq, f"{device} stores its ✓")
            case Failed():
                moment = self._note(change.conversation, 0, f"{device} gives it up: code {change.code}")
                self._unnumbered.setdefault(change.client_id, []).append(moment)
            case Received():
                self._note(change.conversation, change.seq, f"{device} stores it")
            case NoticeStored():
                text = f"{device} stores that it did not come to {self._device(change.device)}"
                self._note(change.conversation, change.seq, text)
            case MarksChanged():
                server = (change.server_delivered, change.server_read)
                text = f"{device} is at {(change.delivered, change.read)}, and knows that the server is at {server}"
                self._note(change.conversation, 0, text, is_mark=True)
            case ReceiptStored():
                text = f"{device} stores that {change.account} is at {(change.delivered, change.read)}"
                self._note(change.conversation, 0, text, is_mark=True)
            case ProgressStored():
                text = f"{device} stores behind {change.behind}: {_steps(change.steps)}"
                self._note(change.conversation, 0, text, is_mark=True)

    def published(self, device: SimulatedDevice, event: Event) -> None:
        """Shown."""
        if isinstance(event, MessageReceived) and not event.ephemeral:
            self._note(event.conversation, event.seq, f"{device} shows it")


def _what(key: EntryKey) -> str:
    return "it" if key[0] == MESSAGE else "a notice of it"


def _steps(steps: Iterable[Step]) -> str:
    return ", ".join(f"{it.delivered} have and {it.read} have read up to {it.up_to}" for it in steps)


def timeline(world: World, recorder: Recorder, violation: Violation) -> Iterator[str]:
    """The story of the messages that a violation speaks of, a line a moment, in simulated seconds.

    Args:
        world: The run, at its end; it has kept its log.
        recorder: What listened to it.
        violation: How it ended.
    """
    subjects = _subjects(recorder, violation.story)
    chosen = [moment for moment in recorder.moments if _belongs(moment, subjects)]
    if not subjects:  # a device that cannot come to rest, perhaps: what happened there
        words = set(re.findall(r"\w+", violation.story))
        named = words & {device.name for device in world.devices}
        chosen = [it for it in recorder.moments if it.conversation and named & set(re.findall(r"\w+", it.text))]
    begin_s = chosen[0].time_s if chosen else 0.0
    people = {name for subject in subjects for name in _members(world, subject.conversation)}
    devices = {device.name for device in world.devices if device.account in people or device.name in violation.story}
    around = [it for it in recorder.moments if not it.conversation and it.text.split()[0] in devices]
    lines = [(it.time_s, _line(it)) for it in [*chosen, *around] if it.time_s >= begin_s]
    lines += [(time_s, text) for time_s, text in _weather(world) if time_s >= begin_s]
    lines.sort(key=lambda line: line[0])
    if len(lines) > LINES_MAX:
        yield f"(the last {LINES_MAX} of {len(lines)} moments)"
    for time_s, text in lines[-LINES_MAX:]:
        yield f"{time_s:10.3f}  {text}"


def _subjects(recorder: Recorder, story: str) -> list[_Subject]:
    subjects = [
        _Subject(found["conversation"], int(found["seq"] or 0), bool(found["mark"]))
        for found in _SUBJECT.finditer(story)
    ]
    for conversation, seq, _ in tuple(subjects):
        first = recorder.first_seqs.get((conversation, seq))
        if first is not None:
            subjects.append(_Subject(conversation, first, False))
    return subjects


def _members(world: World, conversation: str) -> Iterable[str]:
    if is_group(conversation):
        return world.witness.groups.get(conversation, NOBODY).members
    return conversation.split(":")


def _belongs(moment: Moment, subjects: list[_Subject]) -> bool:
    """A message that is named; of a conversation that is named without one, its watermarks and what has no seq."""
    return any(
        moment.conversation == conversation and (moment.seq == seq or (is_mark and moment.is_mark))
        for conversation, seq, is_mark in subjects
    )


def _line(moment: Moment) -> str:
    name = f"{moment.conversation} {moment.seq or ''}".strip()
    return f"{name}: {moment.text}" if name else moment.text


def _weather(world: World) -> Iterator[tuple[float, str]]:
    for line in world.lines:
        found = _WEATHER.match(line)
        if found is not None:
            yield float(found["time_s"]), f"~~~ {found['what'].removeprefix('LIFE ')}"
