"""Promises 1, 2, 3 and 5: durable before the tick, nothing lost, shown once, deleted on the device's own ack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors.notices.api import target_of
from protocol import encode_message, encode_message_head, is_group
from protocol.messages import NOTICE_MISSING, NOTICE_OVER_QUOTA, NOTICE_POISON, Deliver, Notice, Sent
from roost.changes import Accepted as Ticked
from roost.changes import Failed, Queued, Received
from roost.content import decode_content
from roost.events import MessageReceived
from roost.own_state import MessagesGone, Records, StateWanted
from simulation.witness import Checker, EntryKey, notice_key
from storage import MESSAGE

if TYPE_CHECKING:
    from protocol.messages import Message
    from roost.changes import Change
    from roost.events import Event
    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from simulation.witness import Witness
    from simulation.world import World
    from storage.records import Accepted, Removed

__all__ = ["AcceptedIsDurable", "DeletedOnAck", "NothingIsLost", "ShownOnce"]


class AcceptedIsDurable(Checker):
    """Nobody is told of a message that is not on stable storage, and what is there is what was written."""

    name = "promise 1: what is accepted is durable"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._written: dict[bytes, bytes] = {}
        self._places: dict[tuple[bytes, int], EntryKey] = {}

    def entered(self, device: bytes, position: int, key: EntryKey) -> None:
        """A position stands for one entry, for ever: devices name by it what they let go."""
        known = self._places.setdefault((device, position), key)
        if known != key:
            owner = self.witness.devices.get(device, device)
            self.breaks(f"position {position} of {owner!r} stands for {known} and for {key}")

    def told(self, device: SimulatedDevice, frame: Any) -> None:
        """A tick or a delivery names what is durable, and names it rightly."""
        witness = self.witness
        if isinstance(frame, Sent) and frame.number:
            epoch = witness.login_epoch or device.epoch
            known = witness.by_number.get((device.id, epoch, frame.conversation, frame.number))
            if known is None or (known.seq, known.message_id) != (frame.seq, frame.message_id):
                self.breaks(f"{device} was told that number {frame.number} of {frame.conversation} is {frame.seq}")
        elif isinstance(frame, Deliver) and frame.position:
            message = frame.message
            record = witness.accepted.get((message.conversation, message.seq))
            if record is None or record.message_id != message.message_id or not self._says(record, device, message):
                self.breaks(f"{device} was sent {message.conversation} {message.seq}, which is not durable")
            self._compare(device, frame.position, (MESSAGE, message.conversation, message.seq, "", b""))
        elif isinstance(frame, Notice):
            key = (frame.reason, frame.conversation, frame.seq, frame.account, frame.device)
            self._compare(device, frame.position, key)

    def _says(self, record: Accepted, device: SimulatedDevice, message: Message) -> bool:
        """Whether a message is what was accepted for a device; one that was brought there may have its own payload."""
        if record.body + (record.tails or {}).get(device.id, b"") == encode_message(message):
            return True
        was_brought = (device.id, record.conversation, record.seq) in self.witness.audience.supplied
        head = encode_message_head(msgspec.structs.replace(message, payload=b""))
        return was_brought and record.body.startswith(head)

    def _compare(self, device: SimulatedDevice, position: int, key: EntryKey) -> None:
        durable = self._places.get((device.id, position))
        if durable != key:
            self.breaks(f"{device} was sent {key[1]} {key[2]} at {position}, where {durable} is on the disk")

    def committed(self, device: SimulatedDevice, change: Change) -> None:
        """What a device notes as accepted is; and what it gets is what another one wrote."""
        if isinstance(change, Queued):
            self._written[change.client_id] = change.payload
        elif isinstance(change, Ticked):
            record = self.witness.accepted.get((change.conversation, change.seq))
            if record is None or (record.client_id, record.message_id) != (change.client_id, change.message_id):
                self.breaks(f"{device} has a tick for {change.conversation} {change.seq}, which is another message")
        elif isinstance(change, Received):
            record = self.witness.accepted.get((change.conversation, change.seq))
            if record is not None and record.producer and self._written.get(record.client_id) != change.payload:
                self.breaks(f"{device} got another text of {change.conversation} {change.seq} than was written")


class NothingIsLost(Checker):
    """Everything that was written is accepted or refused; what is accepted reaches every device, or its notice does."""

    name = "promise 2: nothing accepted is lost"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._written: dict[bytes, tuple[SimulatedDevice, str]] = {}
        self._ended: set[bytes] = set()
        self._own_state: set[bytes] = set()
        self._unheard: set[tuple[bytes, EntryKey]] = set()

    def accepted(self, node: SimulatedNode, position: int, record: Accepted) -> None:
        """It is meant for every device that is durably its account's, and for nobody else's."""
        if is_group(record.conversation):
            return  # see `membership`
        meant = {device for _, devices in record.targets for device in devices}
        for device in self.witness.devices.values():
            member = device.account in record.conversation.split(":") and device.id != record.producer
            wanted = member and device in self.witness.audience.expected(record, device.account)
            if record.client_id in self._own_state:
                wanted = False  # no device keeps it, and who was passed by asks for what it says
            if wanted and device.id not in meant and not self.witness.audience.passes_by(record, device):
                self.breaks(f"{record.conversation} {record.seq} was not meant for {device}")
            elif not member and device.id in meant:
                self.breaks(f"{record.conversation} {record.seq} was meant for {device}, who has no part in it")

    def committed(self, device: SimulatedDevice, change: Change) -> None:
        """Follow what was written to its end."""
        if isinstance(change, Queued):
            self._written[change.client_id] = (device, change.conversation)
            if isinstance(decode_content(change.payload), Records | MessagesGone | StateWanted):
                self._own_state.add(change.client_id)
        elif isinstance(change, Ticked | Failed):
            self._ended.add(change.client_id)

    def removed(self, device: bytes, key: EntryKey, record: Removed) -> None:
        """A device with twice its quota waiting, or that a notice breaks, is told no more (decisions 10 and 18)."""
        if key[0] != MESSAGE and record.reason in (NOTICE_OVER_QUOTA, NOTICE_POISON):
            self._unheard.add((device, key))

    def unrest(self, world: World) -> list[str]:
        """What was accepted for a device of which the conversation did not know is brought there."""
        return self.witness.audience.unrest(self._unheard)

    def calm(self, world: World) -> None:
        """Ask of each message where it has come to."""
        for client_id, (device, conversation) in self._written.items():
            if client_id not in self._ended and not device.doomed:
                self.breaks(f"a message of {device} in {conversation} was neither accepted nor refused")
        for (conversation, seq), record in self.witness.accepted.items():
            for _, devices in record.targets:
                for target in devices:
                    self._arrived(conversation, seq, self.witness.devices[target])

    def _arrived(self, conversation: str, seq: int, device: SimulatedDevice) -> None:
        if (conversation, seq) in device.received:
            return
        removed = self.witness.let_go.get((device.id, conversation, seq))
        if removed is None and self.witness.lingers(device):
            return
        if removed is None:
            self.breaks(f"{conversation} {seq} never came to {device}, and nobody was told")
            return
        notice = (removed.reason, conversation, seq, device.account, device.id)
        if is_group(conversation):
            told = self.witness.told_of.get(notice)
            if told is None:
                self.breaks(f"{conversation} {seq} never came to {device}, and the group told nobody")
                return
            removed = told
        for _, devices in removed.targets:
            waits_as = notice_key(removed.targets, conversation, seq, removed.bodies[0])
            for target in devices:
                sender = self.witness.devices[target]
                unheard = sender.doomed or (sender.id, waits_as) in self._unheard
                if notice not in sender.notices and not unheard:
                    self.breaks(f"{sender} was never told that {conversation} {seq} did not come to {device}")


class ShownOnce(Checker):
    """A send is accepted once, queued once for each device, stored and shown there once."""

    name = "promise 3: at least once on the wire, once on the screen"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._accepted: set[bytes] = set()
        self._entered: set[tuple[bytes, EntryKey]] = set()
        self._stored: set[tuple[bytes, bytes]] = set()
        self._shown: set[tuple[bytes, bytes]] = set()

    def accepted(self, node: SimulatedNode, position: int, record: Accepted) -> None:
        """A send has one seq; what a conversation says itself is no send."""
        if not record.producer:
            return
        if record.client_id in self._accepted:
            self.breaks(
                f"a send of {record.sender} was accepted twice in {record.conversation}, the second as {record.seq}"
            )
        self._accepted.add(record.client_id)

    def entered(self, device: bytes, position: int, key: EntryKey) -> None:
        """A message waits once for a device."""
        again = key[0] == NOTICE_MISSING or (device, key[1], key[2]) in self.witness.audience.supplied
        if (device, key) in self._entered and not again:  # after a crash both may come once more, and are known
            self.breaks(f"{key[1]} {key[2]} was queued twice for {self.witness.devices.get(device, device)!r}")
        self._entered.add((device, key))

    def committed(self, device: SimulatedDevice, change: Change) -> None:
        """A message is stored once on a device."""
        if isinstance(change, Received):
            if (device.id, change.message_id) in self._stored:
                self.breaks(f"{device} stores {change.conversation} {change.seq} twice")
            self._stored.add((device.id, change.message_id))

    def published(self, device: SimulatedDevice, event: Event) -> None:
        """A message is shown once on a device, when it is stored there."""
        if isinstance(event, MessageReceived) and not event.ephemeral:
            if (device.id, event.message_id) in self._shown:
                self.breaks(f"{device} shows {event.conversation} {event.seq} twice")
            if (device.id, event.message_id) not in self._stored:
                self.breaks(f"{device} shows {event.conversation} {event.seq}, which it has not stored")
            self._shown.add((device.id, event.message_id))


class DeletedOnAck(Checker):
    """The server forgets nothing that its device has not stored, save with a notice to those who sent it."""

    name = "promise 5: deleted only on the device's own ack, or with a notice"

    def acked(self, device: bytes, key: EntryKey) -> None:
        """Let go on an ack: the device has it."""
        owner = self.witness.devices[device]
        has = (key[1], key[2]) in owner.received if key[0] == MESSAGE else key in owner.notices
        if not has:
            self.breaks(f"{key[1]} {key[2]} was let go before {owner} had stored it")

    def removed(self, device: bytes, key: EntryKey, record: Removed) -> None:
        """Let go for a reason: the sender's other devices are to be told, those linked since then perhaps."""
        at_group = is_group(record.account)
        if key[0] != MESSAGE and not at_group:
            return
        if not at_group and is_group(key[1]):
            if record.targets != [target_of(key[1])]:
                self.breaks(f"{key[1]} {key[2]} was removed, and its group is not to tell")
            return
        device = key[4] if at_group else device
        accepted = self.witness.accepted[key[1], key[2]]
        told = {other for _, devices in record.targets for other in devices}
        others = self.witness.devices_of(accepted.sender)
        knows = {accepted.producer, *dict(accepted.targets).get(accepted.sender, [])}
        owed = {other.id for other in others if other.id in knows and not other.doomed} - {device}
        allowed = {other.id for other in others} - (set() if at_group else {device})  # it may hear of others with it
        if not owed <= told <= allowed:
            self.breaks(f"{key[1]} {key[2]} was removed with {len(told)} notices, not {len(owed)}")

    def told(self, device: SimulatedDevice, frame: Any) -> None:
        """A notice speaks of a removal that was one, and says why."""
        if isinstance(frame, Notice) and frame.reason != NOTICE_MISSING:
            others = [(it.account, it.device, it.reason) for it in frame.others]
            for account, missed, reason in ((frame.account, frame.device, frame.reason), *others):
                removed = self.witness.let_go.get((missed, frame.conversation, frame.seq))
                if removed is None or (removed.reason, removed.account) != (reason, account):
                    self.breaks(f"{device} heard of a removal in {frame.conversation} that was none")
