"""A small server in memory that keeps the rules of the wire: what the client's tests talk to.

Written from the contract, not from the server's rooms, it is a second opinion on both. Whoever uses it carries frames.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from protocol import (
    AccountId,
    ClientId,
    Code,
    ConversationId,
    DeviceId,
    Epoch,
    MessageId,
    SessionToken,
    is_group,
    members_of,
    message_id,
)
from protocol import messages as m
from protocol.device_list import checked_label, opened_devices
from tests.roost.model_groups import ModelGroups, devices_of
from tests.roost.model_lists import ModelLists

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 32
QUEUE_WINDOW = 100


@dataclass
class Producer:
    last: int = 0
    ring: OrderedDict[int, tuple[ClientId, int, MessageId, int]] = field(default_factory=OrderedDict)


@dataclass
class Conversation:
    log: list[m.Message] = field(default_factory=list)
    client_ids: list[ClientId] = field(default_factory=list)
    producers: dict[tuple[DeviceId, Epoch], Producer] = field(default_factory=dict)
    marks: dict[AccountId, tuple[int, int]] = field(default_factory=dict)


@dataclass
class Link:
    device: DeviceId
    out: list[m.ServerFrame] = field(default_factory=list)
    account: AccountId | None = None
    epoch: Epoch | None = None
    login: m.Login | None = None
    delivered_up_to: int = 0
    open_chats: set[ConversationId] = field(default_factory=set)
    closed: bool = False
    violations: list[str] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        return self.account is not None and not self.closed


@dataclass
class Account:
    display_name: str
    devices: dict[DeviceId, str] = field(default_factory=dict)
    read_receipts: bool = True
    last_seen: str = "everyone"
    online: str = "everyone"
    contacts: set[AccountId] = field(default_factory=set)
    blocked: set[AccountId] = field(default_factory=set)
    last_seen_ms: int = 0
    devices_version: int = 1
    signed: m.SignedDevices | None = None
    labels: list[bytes] = field(default_factory=list)


class ModelServer:
    """The whole server; `refuse` may name a refusal for a Send: (code, sentence, retry_after_ms)."""

    def __init__(self, time_ms: Callable[[], int] | None = None) -> None:
        self.time_ms = time_ms or count(1_700_000_000_000, 1_000).__next__
        self.accounts: dict[AccountId, Account] = {}
        self.conversations: dict[ConversationId, Conversation] = {}
        self.queues: dict[DeviceId, OrderedDict[int, m.Message | m.Notice]] = {}
        self.sessions: dict[DeviceId, tuple[SessionToken, int]] = {}
        self.links: list[Link] = []
        self.position = 0
        self.counter = 0
        self.meetings: dict[bytes, list[Link]] = {}
        self.code = "123456"
        self.refuse: Callable[[m.Send], tuple[Code, str, int] | None] = lambda _: None
        self.payload_size_bytes_max = 65_536
        self.groups = ModelGroups(self)
        self.lists = ModelLists(self)

    def add(self, account: str, device: bytes, name: str = "") -> None:
        entry = self.accounts.setdefault(AccountId(account), Account(name or account))
        entry.devices[DeviceId(device)] = "a device"
        self._devices_changed(AccountId(account))
        self.queues.setdefault(DeviceId(device), OrderedDict())

    def remove(self, account: str, device: bytes) -> None:
        del self.accounts[AccountId(account)].devices[DeviceId(device)]
        self._devices_changed(AccountId(account))

    def _devices_changed(self, account: AccountId) -> None:
        self.accounts[account].devices_version += 1
        for link in self.links:
            if link.ready and link.account == account:
                link.out.append(m.DevicesChanged(self.accounts[account].devices_version))

    def connect(self, device: bytes) -> Link:
        link = Link(DeviceId(device))
        self.links.append(link)
        return link

    def disconnect(self, link: Link) -> None:
        link.closed = True
        if link in self.links:
            self.links.remove(link)
        if link.account is not None:
            self.accounts[link.account].last_seen_ms = self.time_ms()
            self._tell_presence(link.account)

    def close(self, link: Link, code: Code, retry_after_ms: int = -1) -> None:
        link.out.append(m.Closing(code, code.sentence, retry_after_ms))
        self.disconnect(link)

    def receive(self, link: Link, frame: object) -> None:
        if link.closed:
            return
        handler = getattr(self, f"_on_{type(frame).__name__.lower()}", None)
        if handler is None and (self.groups.receive(link, frame) or self.lists.receive(link, frame)):
            return
        if handler is None:
            link.out.append(m.Error(0, Code.UNKNOWN_FRAME, Code.UNKNOWN_FRAME.sentence, -1))
        else:
            handler(link, frame)

    # Greeting and login.

    def _on_hello(self, link: Link, frame: m.Hello) -> None:
        link.out.append(m.Welcome(1, "model", self.time_ms(), self.payload_size_bytes_max, WINDOW, 131_072))

    def _on_requestcode(self, link: Link, frame: m.RequestCode) -> None:
        link.out.append(m.CodeSent(frame.request, "log", 600))

    def _on_register(self, link: Link, frame: m.Register) -> None:
        if frame.code != self.code:
            link.out.append(m.Error(frame.request, Code.CODE_WRONG, Code.CODE_WRONG.sentence, -1))
            return
        self.add(frame.address, link.device, frame.display_name)
        self.accounts[AccountId(frame.address)].devices[link.device] = frame.device_name
        link.out.append(m.Registered(frame.request, AccountId(frame.address), link.device))

    def _on_registerprimary(self, link: Link, frame: m.RegisterPrimary) -> None:
        if frame.code != self.code:
            link.out.append(m.Error(frame.request, Code.CODE_WRONG, Code.CODE_WRONG.sentence, -1))
            return
        account = AccountId(frame.address)
        if account in self.accounts and not frame.recover:
            link.out.append(m.Error(frame.request, Code.LINK_NEEDED, Code.LINK_NEEDED.sentence, -1))
            return
        self.accounts.pop(account, None)
        self.add(frame.address, link.device, frame.display_name)
        self._sign(account, frame.signed, [frame.label])
        link.out.append(m.Registered(frame.request, account, link.device))

    def _sign(self, account: AccountId, signed: m.SignedDevices, labels: list[bytes]) -> None:
        entry, roll = self.accounts[account], opened_devices(signed, account)
        names = [checked_label(one, label).name for one, label in zip(roll.devices, labels, strict=True)]
        entry.devices = {one.device: name for one, name in zip(roll.devices, names, strict=True)}
        entry.signed, entry.labels = signed, labels
        for device in entry.devices:
            self.queues.setdefault(device, OrderedDict())
        self._devices_changed(account)

    def _on_openlink(self, link: Link, frame: m.OpenLink) -> None:
        self.meetings[frame.rendezvous] = [link]
        link.out.append(m.LinkOpened(frame.request, 60))

    def _on_joinlink(self, link: Link, frame: m.JoinLink) -> None:
        if len(self.meetings.get(frame.rendezvous, [])) != 1:
            link.out.append(m.Error(frame.request, Code.LINK_UNKNOWN, Code.LINK_UNKNOWN.sentence, -1))
        else:
            self.meetings[frame.rendezvous].append(link)
            link.out.append(m.Done(frame.request))

    def _on_passlink(self, link: Link, frame: m.PassLink) -> None:
        for pair in self.meetings.values():
            if link in pair and len(pair) == 2:
                pair[1 - pair.index(link)].out.append(m.LinkPassed(frame.payload))

    def _on_signdevices(self, link: Link, frame: m.SignDevices) -> None:
        if link.ready and link.account is not None:
            self._sign(link.account, frame.signed, frame.labels)
            link.out.append(m.Done(frame.request))

    def _on_fetchdevices(self, link: Link, frame: m.FetchDevices) -> None:
        entry = self.accounts[frame.account]
        own = frame.account == link.account
        known = [m.Device(d, name, 0, 0, d == link.device) for d, name in entry.devices.items()] if own else []
        labels = entry.labels if own else []
        link.out.append(
            m.DeviceList(
                frame.request, frame.account, entry.devices_version, list(entry.devices), entry.signed, labels, known
            )
        )

    def _on_login(self, link: Link, frame: m.Login) -> None:
        if link.device not in self.accounts.get(frame.account, Account("")).devices:
            self.close(link, Code.DEVICE_UNKNOWN)
            return
        for other in [one for one in self.links if one is not link and one.device == link.device and one.ready]:
            self.close(other, Code.REPLACED)
        token, sent_up_to = self.sessions.get(link.device, (SessionToken(b""), 0))
        resumed = bool(frame.session) and frame.session == token and frame.received_up_to <= sent_up_to
        self.counter += 1
        token = SessionToken(self.counter.to_bytes(16, "big"))
        link.account, link.epoch, link.login = frame.account, frame.epoch, frame
        link.delivered_up_to = frame.received_up_to if resumed else 0
        self.sessions[link.device] = (token, link.delivered_up_to)
        queue = self.queues[link.device]
        waiting = sum(position > link.delivered_up_to for position in queue)
        version = self.accounts[frame.account].devices_version
        link.out.append(
            m.Ready(frame.account, link.device, token, resumed, frame.heartbeat_s, waiting, self.time_ms(), version)
        )
        self._pump(link)
        link.out.append(m.Drained(max(queue, default=0)))
        self._tell_presence(frame.account)

    def _on_bye(self, link: Link, frame: m.Bye) -> None:
        self.disconnect(link)

    # Messages.

    def _on_send(self, link: Link, frame: m.Send) -> None:
        refusal = self._judged(link, frame)
        if refusal is not None:
            code, sentence, retry_after_ms, expected = refusal
            link.out.append(
                m.Refused(frame.conversation, frame.number, frame.client_id, code, sentence, retry_after_ms, expected)
            )

    def _judged(self, link: Link, frame: m.Send) -> tuple[Code, str, int, int] | None:
        assert link.account is not None
        members = self._members(frame.conversation)
        if link.account not in members and not is_group(frame.conversation):
            return Code.NOT_MEMBER, Code.NOT_MEMBER.sentence, -1, 0
        if frame.flags & m.EPHEMERAL:
            if not self.lists.refuses(link, frame):
                self._spread(link, frame, self._message(link, frame, 0))
            return None
        conversation = self.conversations.setdefault(frame.conversation, Conversation())
        assert link.epoch is not None
        producer = conversation.producers.setdefault((link.device, link.epoch), Producer())
        if frame.number in producer.ring:
            client_id, seq, identifier, time_ms = producer.ring[frame.number]
            if client_id != frame.client_id:
                return Code.NUMBER_REUSED, Code.NUMBER_REUSED.sentence, -1, 0
            link.out.append(m.Sent(frame.conversation, frame.number, seq, identifier, time_ms))
            return None
        if frame.number <= producer.last:
            return Code.ALREADY_ACCEPTED, Code.ALREADY_ACCEPTED.sentence, -1, 0
        if frame.number > producer.last + 1:
            return Code.NUMBER_GAP, Code.NUMBER_GAP.sentence, -1, producer.last + 1
        code = self.groups.refusal(frame.conversation, link.account) if is_group(frame.conversation) else None
        if code is not None:
            return code, code.sentence, -1, 0
        if not is_group(frame.conversation) and any(member not in self.accounts for member in members):
            return Code.RECIPIENT_UNKNOWN, Code.RECIPIENT_UNKNOWN.sentence, -1, 0
        if (refusal := self.refuse(frame)) is not None:
            return *refusal, 0
        if not self.lists.refuses(link, frame):
            self._accept(link, frame, conversation, producer)
        return None

    def _message(self, link: Link, frame: m.Send, seq: int) -> m.Message:
        assert link.account is not None
        self.counter += 1
        identifier = message_id(self.time_ms(), self.counter.to_bytes(10, "big"))
        return m.Message(
            frame.conversation, seq, link.account, link.device, identifier, self.time_ms(), frame.flags, frame.payload
        )

    def _accept(self, link: Link, frame: m.Send, conversation: Conversation, producer: Producer) -> None:
        seq = len(conversation.log) + 1
        message = self._message(link, frame, seq)
        identifier = message.message_id
        conversation.log.append(message)
        conversation.client_ids.append(frame.client_id)
        producer.last = frame.number
        producer.ring[frame.number] = (frame.client_id, seq, identifier, message.time_ms)
        if len(producer.ring) > WINDOW:
            producer.ring.popitem(last=False)
        link.out.append(m.Sent(frame.conversation, frame.number, seq, identifier, message.time_ms))
        self._spread(link, frame, message)

    def _spread(self, link: Link, frame: m.Send, message: m.Message) -> None:
        if message.seq and is_group(frame.conversation):
            self.groups.all[frame.conversation].targets.append(frozenset(self._members(frame.conversation)))
        for device in [it for who in sorted(self._members(frame.conversation)) for it in devices_of(self, who)]:
            own = self.lists.own(frame, message, device) if device != link.device else None
            if own is not None and message.seq:
                self.enqueue(device, own)
            elif own is not None:
                for other in self._ready_links(device):
                    other.out.append(m.Deliver(0, own))

    def _members(self, conversation: ConversationId) -> set[AccountId]:
        return self.groups.members(conversation) if is_group(conversation) else set(members_of(conversation))

    def change_message(self, where: ConversationId, author: AccountId, device: DeviceId, payload: bytes) -> m.Message:
        """A message of the server's own in the sequence of a group."""
        log = self.conversations.setdefault(where, Conversation()).log
        self.counter += 1
        identifier = message_id(self.time_ms(), self.counter.to_bytes(10, "big"))
        log.append(m.Message(where, len(log) + 1, author, device, identifier, self.time_ms(), m.CHANGE, payload))
        return log[-1]

    def enqueue_all(self, account: AccountId, message: m.Message) -> None:
        for device in devices_of(self, account):
            self.enqueue(device, message)

    def enqueue(self, device: DeviceId, entry: m.Message | m.Notice) -> None:
        self.position += 1
        if isinstance(entry, m.Notice):
            entry = msgspec.structs.replace(entry, position=self.position)
        self.queues[device][self.position] = entry
        for link in self._ready_links(device):
            self._pump(link)

    def _ready_links(self, device: DeviceId) -> list[Link]:
        return [link for link in self.links if link.device == device and link.ready]

    def _pump(self, link: Link) -> None:
        queue = self.queues[link.device]
        unacked = sum(position <= link.delivered_up_to for position in queue)
        for position, entry in queue.items():
            if position <= link.delivered_up_to:
                continue
            if unacked >= QUEUE_WINDOW:
                break
            unacked += 1
            link.delivered_up_to = position
            link.out.append(entry if isinstance(entry, m.Notice) else m.Deliver(position, entry))
        self.sessions[link.device] = (self.sessions[link.device][0], link.delivered_up_to)

    def _on_ack(self, link: Link, frame: m.Ack) -> None:
        if frame.up_to > link.delivered_up_to:
            link.violations.append(f"ack {frame.up_to} beyond {link.delivered_up_to}")
            self.close(link, Code.ACK_BEYOND_SENT)
            return
        queue = self.queues[link.device]
        for position in [position for position in queue if position <= frame.up_to]:
            entry = queue.pop(position)
            if isinstance(entry, m.Message) and link.account is not None and entry.sender != link.account:
                self._mark(link.account, entry.conversation, entry.seq, 0)
        self._pump(link)

    # Receipts.

    def _on_mark(self, link: Link, frame: m.Mark) -> None:
        assert link.account is not None
        self._mark(link.account, frame.conversation, frame.delivered, frame.read)

    def _mark(self, account: AccountId, identifier: ConversationId, delivered: int, read: int) -> None:
        conversation = self.conversations.setdefault(identifier, Conversation())
        old = conversation.marks.get(account, (0, 0))
        new = (max(old[0], delivered, read), max(old[1], read))
        if new == old:
            return
        conversation.marks[account] = new
        for link in self.links:
            if link.ready and link.account is not None and link.account in self._members(identifier):
                if is_group(identifier) and link.account != account:
                    link.out.append(self.groups.receipt(identifier, link.account))
                else:
                    link.out.append(m.Receipt(identifier, account, *new))

    def _on_fetchmarks(self, link: Link, frame: m.FetchMarks) -> None:
        for identifier in frame.conversations:
            conversation = self.conversations.get(identifier, Conversation())
            assert link.account is not None
            if is_group(identifier):
                if link.account in self._members(identifier):
                    own = conversation.marks.get(link.account, (0, 0))
                    link.out += [
                        m.Receipt(identifier, link.account, *own), self.groups.receipt(identifier, link.account)
                    ]  # fmt: skip
                continue
            for member in sorted(self._members(identifier)):
                link.out.append(m.Receipt(identifier, member, *conversation.marks.get(member, (0, 0))))

    # The moment.

    def _presence(self, account: AccountId) -> m.Presence:
        online = sum(link.ready and link.account == account for link in self.links)
        return m.Presence(account, online > 0, self.accounts[account].last_seen_ms, online)

    def _tell_presence(self, account: AccountId) -> None:
        for link in self.links:
            if (
                link.ready
                and link.account != account
                and any(account in members_of(c) for c in link.open_chats if not is_group(c))
            ):
                link.out.append(self._presence(account))

    def _on_open(self, link: Link, frame: m.Open) -> None:
        link.open_chats.add(frame.conversation)
        if is_group(frame.conversation):
            others = {it.account for it in self.links if it.ready and frame.conversation in it.open_chats}
            link.out.append(m.GroupHere(frame.conversation, len(others - {link.account})))
            return
        for member in members_of(frame.conversation):
            if member != link.account and member in self.accounts:
                link.out.append(self._presence(member))

    def _on_close(self, link: Link, frame: m.Close) -> None:
        link.open_chats.discard(frame.conversation)

    def _on_typing(self, link: Link, frame: m.Typing) -> None:
        assert link.account is not None
        for other in self.links if frame.conversation in link.open_chats else ():
            if other.ready and other.account != link.account and frame.conversation in other.open_chats:
                other.out.append(m.TypingBy(frame.conversation, link.account, frame.active))

    def _on_setstate(self, link: Link, frame: m.SetState) -> None:
        link.out.append(m.Heartbeat(frame.heartbeat_s))

    def _on_ping(self, link: Link, frame: m.Ping) -> None:
        link.out.append(m.Pong(frame.token))

    # Requests.

    def _settings(self, link: Link, request: int) -> m.Settings:
        assert link.account is not None
        account = self.accounts[link.account]
        return m.Settings(request, account.read_receipts, account.last_seen, account.online, account.display_name)

    def _on_getsettings(self, link: Link, frame: m.GetSettings) -> None:
        link.out.append(self._settings(link, frame.request))

    def _on_setsettings(self, link: Link, frame: m.SetSettings) -> None:
        assert link.account is not None
        account = self.accounts[link.account]
        account.read_receipts = account.read_receipts if frame.read_receipts is None else frame.read_receipts
        account.last_seen = frame.last_seen or account.last_seen
        account.online = frame.online or account.online
        account.display_name = frame.display_name or account.display_name
        link.out.append(self._settings(link, frame.request))

    def _on_setrelation(self, link: Link, frame: m.SetRelation) -> None:
        assert link.account is not None
        account = self.accounts[link.account]
        account.contacts.discard(frame.account)
        account.blocked.discard(frame.account)
        if frame.relation != "none":
            (account.contacts if frame.relation == "contact" else account.blocked).add(frame.account)
        link.out.append(m.Done(frame.request))

    def _on_listrelations(self, link: Link, frame: m.ListRelations) -> None:
        assert link.account is not None
        account = self.accounts[link.account]
        link.out.append(m.Relations(frame.request, sorted(account.contacts), sorted(account.blocked)))

    def _on_lookup(self, link: Link, frame: m.Lookup) -> None:
        account = self.accounts.get(frame.account)
        if account is None:
            code = Code.ACCOUNT_UNKNOWN
            link.out.append(m.Error(frame.request, code, code.sentence, -1))
        else:
            link.out.append(m.Profile(frame.request, frame.account, account.display_name, len(account.devices)))

    def _on_getlimits(self, link: Link, frame: m.GetLimits) -> None:
        link.out.append(m.Limits(frame.request, [m.Limit("send", 99, 10)]))

    def _on_listdevices(self, link: Link, frame: m.ListDevices) -> None:
        assert link.account is not None
        devices = self.accounts[link.account].devices
        link.out.append(
            m.Devices(frame.request, [m.Device(d, name, 0, 0, d == link.device) for d, name in devices.items()])
        )

    def _on_removedevice(self, link: Link, frame: m.RemoveDevice) -> None:
        assert link.account is not None
        self.accounts[link.account].devices.pop(frame.device, None)
        link.out.append(m.Done(frame.request))
