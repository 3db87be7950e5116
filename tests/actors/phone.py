"""A tiny correct client: what docs/protocol.md asks of one, and nothing else.

What it has committed survives `Phone.crash`; a connection, and what came over it and is not committed, does not.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from protocol import (
    AccountId,
    ClientId,
    ClientWire,
    Code,
    ConversationId,
    DeviceId,
    Epoch,
    RemoteProtocolError,
    SessionToken,
    State,
    StaticKey,
    device_id_of,
)
from protocol import messages as m
from tests.actors.witness import LIVENESS, NOTHING_LOST, ONCE, ORDER, RECEIPTS

if TYPE_CHECKING:
    import random

    from tests.actors.house import House, Link
    from tests.actors.witness import EntryKey

WINDOW = 8
PING_AFTER_S = 4.0
SILENCE_S = 14.0
RETRY_S = 0.3


@dataclass
class Pending:
    """A message without its answer."""

    number: int
    client_id: ClientId
    payload: bytes
    ttl_s: int


@dataclass
class Chat:
    """One conversation on this device's disk.

    Attributes:
        outbox: Messages without their answer, in order.
        composed: How many messages were ever written here.
        shown: Seqs on the screen, in the order in which they came.
        delivered: Highest seq that came from another account.
        read: Highest seq that was read here.
        marks: By account: delivered and read, as heard.
        unsent: Index into the outbox: what was not sent on this connection; not on disk.
    """

    outbox: list[Pending] = field(default_factory=list)
    composed: int = 0
    shown: list[int] = field(default_factory=list)
    delivered: int = 0
    read: int = 0
    marks: dict[str, tuple[int, int]] = field(default_factory=dict)
    unsent: int = 0


class Phone:
    """One device of one person.

    Args:
        house: Where it connects.
        account: Whose it is.
        name: Its name, for stories.
        chance: Its part of the seed.
    """

    def __init__(self, house: House, account: str, name: str, chance: random.Random) -> None:
        self.house = house
        self.name = name
        self.account = AccountId(account)
        self.key = StaticKey.generate(chance.randbytes)
        self.device: DeviceId = device_id_of(self.key.public)
        self.epoch = Epoch(chance.randbytes(8))
        self.registered = False
        self.chats: dict[ConversationId, Chat] = {}
        self.messages: dict[bytes, m.Message] = {}
        self.notices: set[EntryKey] = set()
        self.sent: dict[bytes, tuple[str, int]] = {}
        self.session = SessionToken(b"")
        self.committed_up_to = 0
        self._chance = chance
        self.refusals: dict[int, int] = {}
        self.link: Link | None = None
        self.retry_s = 0.0
        self.glimpses = 0
        self._hang_up()
        house.witness.phones[self.device] = self

    def __repr__(self) -> str:
        return f"{self.name} of {self.account}"

    def _hang_up(self) -> None:
        self.wire: ClientWire | None = None
        self.link = None
        self.ready = False
        self.greeted = False
        self.uncommitted: deque[tuple[int, m.Message | m.Notice]] = deque()
        self.acked_up_to = 0
        self.last_position = 0
        self.heard_s = self.said_s = self.house.clock.now_s()

    @property
    def _now_s(self) -> float:
        return self.house.clock.now_s()

    # What the witness asks.

    def has(self, key: EntryKey) -> bool:
        """Whether this device has committed a message, or a notice."""
        _, conversation, seq, account, _ = key
        if account:
            return key in self.notices
        return conversation in self.chats and seq in self.chats[ConversationId(conversation)].shown

    def had(self, conversation: str) -> int:
        """The highest seq that this device has of a conversation."""
        chat = self.chats.get(ConversationId(conversation))
        return 0 if chat is None else max(chat.shown, default=0)

    # The connection.

    def connect(self) -> None:
        """Open a connection and begin the handshake."""
        self._hang_up()
        self.wire = ClientWire(self.key, random_bytes=self._chance.randbytes)
        self.link = self.house.accept(self)
        self._flush()

    def drop(self, told: bool) -> None:
        """Lose the connection; the server hears of it, or believes in it for a while."""
        link = self.link
        self._hang_up()
        if link is not None:
            if told:
                self.house.end(link)
            else:
                link.abort()

    def leave(self) -> None:
        """Say goodbye."""
        if self.link is not None and self.ready:
            self._say(m.Bye())

    def decrypt(self, link: Link, data: bytes) -> list[object]:
        """What the server wrote; nothing for a connection that this phone has given up."""
        if link is not self.link or self.wire is None:
            return []
        try:
            return list(self.wire.receive_data(data))
        except RemoteProtocolError as error:
            self.house.witness.breaks(LIVENESS, f"{self} cannot understand the server: {error}")
            return []

    def _flush(self) -> None:
        if self.wire is not None and self.link is not None:
            data = self.wire.data_to_send()
            if data and not self.link.closing:
                self.said_s = self._now_s
                self.link.up.append(data)

    def _say(self, frame: Any) -> None:
        if self.wire is not None and self.wire.state in (State.READY, State.OPEN, State.GREETED, State.GREETING):
            self.wire.send(frame)
            self._flush()

    def hear(self) -> bool:
        """Take one frame that has arrived; False if there was none."""
        link = self.link
        if link is None:
            return False
        if self.wire is not None and self.wire.handshake_complete and not self.greeted:
            self.greeted = True
            self._say(m.Hello([1], "phone"))
            self._say(self._login() if self.registered else m.RequestCode(1, self.account))
        self._flush()
        if not link.down:
            if link.closing:
                self._hang_up()
                self.retry_s = max(self.retry_s, self._now_s + self._chance.random() * RETRY_S)
                return True
            return False
        self.heard_s = self._now_s
        frame = link.down.popleft()
        handler = self._handlers.get(type(frame))
        if handler is not None:
            handler(self, frame)
        return True

    def tick(self) -> bool:
        """What a client does by the clock: connect again, ping, give up a silent connection."""
        now_s = self._now_s
        if self.link is None:
            if now_s < self.retry_s:
                return False
            self.connect()
            return True
        if now_s - self.heard_s > SILENCE_S:
            self.drop(told=True)
            return True
        if self.ready and now_s - max(self.said_s, self.heard_s) > PING_AFTER_S:
            self._say(m.Ping(1))
            return True
        return False

    def crash(self) -> None:
        """The client's process ends; its disk stays."""
        self.drop(told=self._chance.random() < 0.5)

    def _login(self) -> m.Login:
        return m.Login(self.account, self.epoch, True, 10, self.session, self.committed_up_to)

    # What the server says.

    def _code_sent(self, frame: m.CodeSent) -> None:
        self._say(m.Register(2, self.account, self.house.codes.sent[self.account], str(self.account), self.name))

    def _registered(self, frame: m.Registered) -> None:
        self.registered = True
        self._say(self._login())

    def _error(self, frame: m.Error) -> None:
        if self.ready:
            return
        if self.registered and frame.code not in (Code.BUSY, Code.NOT_AVAILABLE):
            self.house.witness.breaks(NOTHING_LOST, f"{self} cannot log in: {frame.sentence}")
        self.drop(told=True)

    def _ready(self, frame: m.Ready) -> None:
        self.ready = True
        self.session = frame.session
        if not frame.resumed:
            self.committed_up_to = 0
        self.acked_up_to = self.committed_up_to
        self.last_position = 0
        for conversation, chat in self.chats.items():
            chat.unsent = 0
            if chat.delivered or chat.read:
                self._say(m.Mark(conversation, chat.delivered, chat.read))
        if self.chats:
            self._say(m.FetchMarks(list(self.chats)))

    def _deliver(self, frame: m.Deliver) -> None:
        if frame.position == 0:
            self.glimpses += 1
            return
        self._came(frame.position, frame.message)

    def _notice(self, frame: m.Notice) -> None:
        self._came(frame.position, frame)

    def _came(self, position: int, what: m.Message | m.Notice) -> None:
        if position <= self.last_position:
            self.house.witness.breaks(ORDER, f"{self} got position {position} behind {self.last_position}")
        self.last_position = position
        self.uncommitted.append((position, what))

    def _sent(self, frame: m.Sent) -> None:
        chat = self.chats.setdefault(frame.conversation, Chat())
        for index, pending in enumerate(chat.outbox):
            if pending.number == frame.number:
                self.sent[pending.client_id] = (frame.conversation, frame.seq)
                del chat.outbox[index]
                if index < chat.unsent:
                    chat.unsent -= 1
                return

    def _refused(self, frame: m.Refused) -> None:
        chat = self.chats.setdefault(frame.conversation, Chat())
        if frame.number == 0:
            return
        self.refusals[frame.code] = self.refusals.get(frame.code, 0) + 1
        number = frame.number
        if frame.code == Code.NUMBER_GAP:
            number = frame.expected
            if chat.outbox and number < chat.outbox[0].number:
                self.house.witness.breaks(NOTHING_LOST, f"{number} of {self} had its tick, and is expected again")
        elif frame.code in (Code.BUSY, Code.WINDOW_FULL, Code.STORAGE_FULL, Code.OVER_QUOTA):
            self.retry_s = self._now_s + RETRY_S
        elif frame.code == Code.ALREADY_ACCEPTED:
            chat.outbox = [pending for pending in chat.outbox if pending.number != number]
        else:
            self.house.witness.breaks(ONCE, f"a send of {self} was refused: {frame.sentence}")
        before = sum(pending.number < number for pending in chat.outbox)
        chat.unsent = min(chat.unsent, before)

    def _receipt(self, frame: m.Receipt) -> None:
        chat = self.chats.setdefault(frame.conversation, Chat())
        delivered, read = chat.marks.get(frame.account, (0, 0))
        chat.marks[frame.account] = (max(delivered, frame.delivered), max(read, frame.read))
        if frame.read > frame.delivered:
            self.house.witness.breaks(RECEIPTS, f"{frame.account} has read more than was delivered")

    def _closing(self, frame: m.Closing) -> None:
        unearned = {Code.ACK_BEYOND_SENT, Code.WRONG_STATE, Code.DEVICE_REVOKED}
        if frame.code in unearned or (frame.code == Code.INTERNAL and not self.house.faults):
            self.house.witness.breaks(LIVENESS, f"{self} was sent away: {frame.sentence}")
        link = self.link
        self._hang_up()
        if link is not None:
            link.abort()
        self.retry_s = max(self.retry_s, self._now_s + self._chance.random() * RETRY_S)

    # What a person does.

    def compose(self, conversation: ConversationId, ttl_s: int = 0) -> None:
        """Write a message: it is in the outbox, on disk."""
        chat = self.chats.setdefault(conversation, Chat())
        chat.composed += 1
        payload = f"{self.name} {chat.composed}".encode() + b"." * self._chance.randrange(60)
        chat.outbox.append(Pending(chat.composed, ClientId(self._chance.randbytes(16)), payload, ttl_s))

    def wave(self, conversation: ConversationId) -> None:
        """Say what is only for those who are here now: open the chat, type, an ephemeral message."""
        if self.ready:
            self._say(m.Open(conversation))
            self._say(m.SetState(self._chance.random() < 0.5, 10, self._chance.choice((0, 0, 1, 2))))
            self._say(m.Typing(conversation, self._chance.random() < 0.5))
            self._say(m.Send(conversation, 0, ClientId(self._chance.randbytes(16)), b"now", 0, m.EPHEMERAL))

    def send(self) -> bool:
        """Send what the window has room for; False if there was nothing."""
        if not self.ready or self._now_s < self.retry_s:
            return False
        busy = False
        for conversation, chat in self.chats.items():
            for pending in chat.outbox[chat.unsent : WINDOW]:
                send = m.Send(conversation, pending.number, pending.client_id, pending.payload, pending.ttl_s)
                self._say(msgspec.structs.replace(send, flags=m.URGENT) if pending.number % 3 == 0 else send)
                chat.unsent += 1
                busy = True
        return busy

    def commit(self) -> bool:
        """Bring what came to the disk; False if there was nothing."""
        busy = bool(self.uncommitted)
        while self.uncommitted:
            position, what = self.uncommitted.popleft()
            if isinstance(what, m.Notice):
                self.notices.add((what.reason, what.conversation, what.seq, what.account, what.device))
            else:
                self._show(what)
            self.committed_up_to = position
        return busy

    def _show(self, message: m.Message) -> None:
        if message.message_id in self.messages:
            return
        self.messages[message.message_id] = message
        chat = self.chats.setdefault(message.conversation, Chat())
        if message.seq in chat.shown:
            self.house.witness.breaks(ONCE, f"{self} shows two messages as {message.conversation} {message.seq}")
        elif chat.shown and message.seq < chat.shown[-1]:
            self.house.witness.breaks(ORDER, f"{self} got {message.conversation} {message.seq} behind {chat.shown[-1]}")
        chat.shown.append(message.seq)
        if message.sender != self.account:
            chat.delivered = max(chat.delivered, message.seq)

    def ack(self) -> bool:
        """Acknowledge what is committed; False if there was nothing."""
        if not self.ready or self.committed_up_to <= self.acked_up_to:
            return False
        self.acked_up_to = self.committed_up_to
        self._say(m.Ack(self.acked_up_to))
        return True

    def look(self) -> None:
        """Read everything in one chat."""
        unread = [name for name, chat in self.chats.items() if chat.delivered > chat.read]
        if unread:
            conversation = self._chance.choice(unread)
            chat = self.chats[conversation]
            chat.read = chat.delivered
            if self.ready:
                self._say(m.Mark(conversation, chat.delivered, chat.read))

    _handlers: ClassVar[dict[type, Any]] = {
        m.CodeSent: _code_sent,
        m.Registered: _registered,
        m.Error: _error,
        m.Ready: _ready,
        m.Deliver: _deliver,
        m.Notice: _notice,
        m.Sent: _sent,
        m.Refused: _refused,
        m.Receipt: _receipt,
        m.Closing: _closing,
    }
