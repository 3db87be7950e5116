"""The session: everything a client decides, without a socket, a disk, a clock or a thread.

Whoever runs it feeds frames, times and the application's wishes in, and carries out what `take_step`
returns: first commit its changes, then send its frames and publish its events. Nothing else is asked of
the runner, so the same session runs in the client, in tests and in a simulator.

The life of a connection: after `connecting`, `connected` (the link is encrypted) sends Hello and Login at
once; Welcome and Ready come back; then the outbox goes out, the queue comes in, and marks and open chats
are repeated. When it ends, `retry_at_s` says when to connect again, unless the session has stopped for good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol import ClientId, Code
from protocol.messages import (
    CHANGE,
    Bye,
    Closing,
    Deliver,
    DeviceList,
    DevicesChanged,
    Done,
    Drained,
    Error,
    Group,
    GroupHere,
    GroupReceipt,
    Groups,
    Heartbeat,
    Hello,
    LinkEnded,
    LinkPassed,
    Login,
    Notice,
    PassLink,
    Ping,
    Pong,
    Presence,
    Ready,
    Receipt,
    Refused,
    Sent,
    SetState,
    TypingBy,
    Welcome,
)
from roost.arrivals import Arrivals
from roost.chats import Chats
from roost.devices import KnownDevices
from roost.events import ConnectionChanged, ConnectionState, QueueDrained, ServerComplained
from roost.heartbeat import Beat, heartbeat_wanted_s
from roost.heartbeat import Heartbeat as Pulse
from roost.known_groups import KnownGroups
from roost.marks import Marks
from roost.outboxes import Outboxes
from roost.phase import Phase
from roost.power import Power
from roost.reconnection import FINAL_CODES, Reconnection
from roost.requests import Requests
from roost.steps import LINK, Answered, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from protocol import ConversationId
    from protocol.device_list import ListedDevice
    from protocol.messages import Frame
    from roost.changes import Snapshot
    from roost.events import DeviceMissed, DeviceNews
    from roost.group import Standing
    from roost.ports import Clock, Randomness
    from roost.sealing import Sealing

__all__ = ["SOFTWARE", "VERSIONS", "Phase", "Session"]

VERSIONS: Final = [1]
SOFTWARE: Final = "roost-sdk/0.1"
_CLIENT_ID_SIZE_BYTES: Final = 16
_LOGIN_WAIT_S: Final = 20.0
_PAYLOAD_SIZE_BYTES_MAX_DEFAULT: Final = 65_536

_ASKING_ANEW: Final = "Answers were lost or late, so the server is asked on a new connection which messages it has."
_NEW_EPOCH: Final = "Numbering the unsent messages anew, because this database was restored from a copy."


class Session:
    """One device's session with its server.

    Args:
        snapshot: what the database holds; nothing else has to be read later.
        clock: the time, for deadlines and for stamping messages.
        randomness: ids, epochs and jitter.
        foreground: whether a person is looking, which decides how often the device must speak.
        power: how the device is fed.
        sealing: makes each device its own payload; None for one payload for all.

    Attributes:
        groups: what is known of our groups.
    """

    __slots__ = (
        "_arrivals",
        "_chats",
        "_clock",
        "_connection",
        "_devices",
        "_handlers",
        "_login_until_s",
        "_marks",
        "_outboxes",
        "_pulse",
        "_randomness",
        "_reconnection",
        "_requests",
        "_step",
        "account",
        "foreground",
        "groups",
        "payload_size_bytes_max",
        "phase",
        "power",
        "retry_at_s",
    )

    def __init__(
        self,
        snapshot: Snapshot,
        clock: Clock,
        randomness: Randomness,
        *,
        foreground: bool = True,
        power: Power = Power.BATTERY,
        sealing: Sealing | None = None,
    ) -> None:
        self.account = snapshot.account
        self.phase = Phase.OFFLINE
        self.foreground = foreground
        self.power = power
        self.payload_size_bytes_max = _PAYLOAD_SIZE_BYTES_MAX_DEFAULT
        self.retry_at_s = 0.0
        self._clock = clock
        self._randomness = randomness
        self._connection = 0
        self._login_until_s = 0.0
        self._reconnection = Reconnection(randomness)
        self._pulse = Pulse(clock.now_s())
        self._requests = Requests()
        self._outboxes = Outboxes(snapshot, randomness, self._requests, sealing)
        self._arrivals = Arrivals(snapshot, sealing)
        self.groups = KnownGroups(snapshot, self._requests, clock)
        self._marks = Marks(snapshot, self.groups.is_closed)
        self._chats = Chats()
        self._devices = KnownDevices(snapshot)
        self._step = Step(0)
        self._handlers = self._handler_table()

    # What the runner calls.

    def connecting(self) -> None:
        """An attempt to connect begins; `connected` or `disconnected` has to follow."""
        if self.phase is Phase.OFFLINE:
            self.phase = Phase.CONNECTING
            self._step.events.append(ConnectionChanged(ConnectionState.CONNECTING))

    def connected(self) -> None:
        """The link is encrypted and the server's key is the right one: greet and log in."""
        now_s = self._clock.now_s()
        self._connection += 1
        self._step.connection = self._connection
        self._step.disconnect = False
        self.phase = Phase.LOGGING_IN
        self._login_until_s = now_s + _LOGIN_WAIT_S
        self._pulse = Pulse(now_s)
        heartbeat_s = heartbeat_wanted_s(foreground=self.foreground, power=self.power)
        self._step.frames.append(Hello(VERSIONS, SOFTWARE))
        self._step.frames.append(
            Login(
                self.account,
                self._outboxes.epoch,
                self.foreground,
                heartbeat_s,
                self._arrivals.token,
                self._arrivals.received_up_to,
                self.power,
            )
        )

    def disconnected(self, sentence: str, retry_after_ms: int = -1) -> None:
        """The connection ended, or could not be made; does nothing if we have given it up ourselves.

        Args:
            sentence: why.
            retry_after_ms: how long the server asked to wait; -1 if it did not.
        """
        if self.phase in (Phase.OFFLINE, Phase.STOPPED):
            return
        now_s = self._clock.now_s()
        self._forget_connection()
        self.phase = Phase.OFFLINE
        delay_s = self._reconnection.failed(now_s, retry_after_ms)
        self.retry_at_s = now_s + delay_s
        self._step.events.append(ConnectionChanged(ConnectionState.OFFLINE, sentence, retry_in_s=delay_s))

    def stop(self, sentence: str, code: int = 0) -> None:
        """End the session for good: no further connection is made."""
        if self.phase is Phase.STOPPED:
            return
        self._forget_connection()
        self.phase = Phase.STOPPED
        self._step.disconnect = True
        self._step.events.append(ConnectionChanged(ConnectionState.STOPPED, sentence, code))

    def leave(self) -> None:
        """Say goodbye; the runner closes the connection after this step."""
        self._step.frames += [Bye()] if self.phase in (Phase.LOGGING_IN, Phase.READY) else []
        self._step.disconnect = True

    def receive(self, frame: Frame) -> None:
        """Take a frame from the server; one that means nothing here is skipped."""
        self._pulse.heard(self._clock.now_s())
        handler = self._handlers.get(type(frame))
        if handler is not None:
            handler(frame)
        else:
            self._requests.answer(frame, self._step)
        if isinstance(frame, Done | Error):
            self._devices.answered(frame.request, frame.code if isinstance(frame, Error) else 0)
            self._outboxes.supplements.answered(frame, self._clock.now_s(), self._step)

    def advance(self) -> None:
        """Do what has become due; call it at `next_deadline_s`."""
        now_s = self._clock.now_s()
        self._chats.advance(now_s, self._step)
        self._requests.expire(now_s, self._step)
        self._devices.advance(self._requests, now_s, self._step)
        if self.phase is Phase.LOGGING_IN and now_s >= self._login_until_s:
            self._break_off("The server did not answer the login in time.")
        elif self.phase is Phase.READY:
            match self._pulse.beat(now_s):
                case Beat.PING:
                    self._step.frames.append(Ping(int(now_s * 1000)))
                case Beat.DEAD:
                    self._break_off("The server does not answer any more.")
                case Beat.QUIET:
                    pass

    def next_deadline_s(self) -> float | None:
        """Return when `advance` and `take_step` are to be called although nothing happened."""
        deadlines = [it.next_deadline_s() for it in (self._chats, self._requests, self._devices)]
        if self.phase is Phase.LOGGING_IN:
            deadlines.append(self._login_until_s)
        elif self.phase is Phase.READY:
            deadlines += [it.next_deadline_s() for it in (self._pulse, self._outboxes, self.groups)]
        return min((deadline_s for deadline_s in deadlines if deadline_s is not None), default=None)

    def take_step(self) -> Step:
        """Return everything decided since the last call."""
        if self.phase is Phase.READY:
            now_s = self._clock.now_s()
            self.groups.ask(now_s, self._step)
            if self._outboxes.asks_anew:
                self._break_off(_ASKING_ANEW)
            elif self._outboxes.renew_if_settled(self._step):
                self.groups.doubt()
                self._break_off(_NEW_EPOCH)  # a connection logs in once, under one epoch
            else:
                self._outboxes.transmit(now_s, self._step)
                self._marks.tell(self._outboxes.heard_late(), self._step)
                self._arrivals.acknowledge(self._step)
            if self._step.frames:
                self._pulse.spoke(now_s)
        self._marks.store(self._step)
        step, self._step = self._step, Step(self._connection)
        return step

    # What the application wishes.

    def send(self, conversation: ConversationId, payload: bytes, *, ttl_s: int = 0, flags: int = 0) -> ClientId:
        """Queue a message and return its id; it is durable once the next step's changes are committed.

        Raises:
            OutboxFullError: too many messages wait already.
        """
        client_id = ClientId(self._randomness.bytes(_CLIENT_ID_SIZE_BYTES))
        self._outboxes.add(conversation, client_id, payload, ttl_s, flags, self._clock.wall_ms(), self._step)
        self._chats.typing(conversation, False, self._clock.now_s(), self._step)
        return client_id

    def send_ephemeral(self, conversation: ConversationId, payload: bytes) -> bool:
        """Send something for this moment only, stored nowhere; False if there is no connection."""
        if self.phase is not Phase.READY:
            return False
        client_id = ClientId(self._randomness.bytes(_CLIENT_ID_SIZE_BYTES))
        self._outboxes.transmit_ephemeral(conversation, client_id, payload, self._step)
        return True

    def supplement(self, missed: DeviceMissed) -> None:
        """Bring a message of ours to a device that missed it."""
        self._outboxes.supplements.bring(missed, self._clock.now_s())

    def mark_read(self, conversation: ConversationId, seq: int) -> None:
        """Everything in the conversation up to `seq` has been read."""
        self._marks.read(conversation, seq, self._step)

    def open_chat(self, conversation: ConversationId) -> None:
        """Ask for presence and typing of a conversation until it is closed, also after reconnects."""
        self._chats.open(conversation, ready=self.phase is Phase.READY, step=self._step)

    def close_chat(self, conversation: ConversationId) -> None:
        """Ask no more for presence and typing of a conversation."""
        self._chats.close(conversation, ready=self.phase is Phase.READY, step=self._step)

    def typing(self, conversation: ConversationId, *, active: bool) -> None:
        """Tell the others that a person types in an open chat, or stopped; call it at every key, it is thinned out."""
        if self.phase is Phase.READY:
            self._chats.typing(conversation, active, self._clock.now_s(), self._step)

    def set_foreground(self, foreground: bool) -> None:
        """A person has begun or stopped looking."""
        self._set_state(foreground, self.power)

    def set_power(self, power: Power) -> None:
        """The device is fed in another way."""
        self._set_state(self.foreground, power)

    def _set_state(self, foreground: bool, power: Power) -> None:
        if (foreground, power) != (self.foreground, self.power):
            self.foreground, self.power = foreground, power
            if self.phase is Phase.READY:
                heartbeat_s = heartbeat_wanted_s(foreground=foreground, power=power)
                self._step.frames.append(SetState(foreground, heartbeat_s, power))

    def device_news_told(self, news: tuple[DeviceNews, ...]) -> None:
        """A person was told of these changes."""
        self._devices.news_told(news, self._step)

    @property
    def devices(self) -> KnownDevices:
        """What is known of our devices."""
        return self._devices

    def close_group(self, conversation: ConversationId, standing: Standing) -> None:
        """We have left a group, or ended it."""
        self.groups.close(conversation, standing, self._step)

    def sign_devices(self, entries: Sequence[tuple[ListedDevice, bytes]]) -> int:
        """Sign these devices as the account's, and hand the list in; the answer comes as that of `request` does."""
        number = None
        if self.phase is Phase.READY:
            number = self._devices.sign(entries, self._requests, self._clock.now_s(), self._step)
        return self._requests.refuse(self._step) if number is None else number

    def pass_link(self, payload: bytes) -> None:
        """Pass something to the device that we are linking; what comes back is in a step's `answers` under LINK."""
        if self.phase is Phase.READY:
            self._step.frames.append(PassLink(payload))

    def request(self, frame_of: Callable[[int], Frame]) -> int:
        """Ask the server something; the answer comes in a step's `answers` under the returned number.

        Args:
            frame_of: makes the frame from the number of the request.
        """
        if self.phase is not Phase.READY:
            return self._requests.refuse(self._step)
        return self._requests.ask(frame_of, self._clock.now_s(), self._step)

    @property
    def connection(self) -> int:
        """The number of the latest connection; a step's frames are for the one it names."""
        return self._connection

    @property
    def backlog(self) -> int:
        """How much waits for `take_step`; a runner reads no more from the server while it is large."""
        return len(self._step.changes) + len(self._step.events)

    @property
    def pending(self) -> int:
        """How many messages wait for their ✓."""
        return len(self._outboxes)

    # What the server says.

    def _handler_table(self) -> dict[type, Callable[..., None]]:
        return {
            Welcome: self._on_welcome,
            Ready: self._on_ready,
            Sent: self._on_sent,
            Refused: lambda frame: self._outboxes.refused(frame, self._clock.now_s(), self._step),
            Deliver: self._on_deliver,
            Notice: lambda frame: self._arrivals.notice(frame, self._step),
            Receipt: lambda frame: self._marks.receipt(frame, self._step),
            GroupReceipt: self._on_group_receipt,
            GroupHere: lambda frame: self._chats.here(frame, self._step),
            Group: self._on_group,
            Groups: lambda frame: self.groups.listed(frame, self._step),
            Presence: lambda frame: self._chats.presence(frame, self._step),
            TypingBy: lambda frame: self._chats.typing_by(frame, self._clock.now_s(), self._step),
            Drained: self._on_drained,
            Heartbeat: lambda frame: self._pulse.agreed(frame.heartbeat_s),
            Pong: lambda _: None,
            DevicesChanged: lambda frame: self._devices_at(frame.version),
            DeviceList: self._on_devices,
            LinkPassed: lambda frame: self._step.answers.append(Answered(LINK, frame)),
            LinkEnded: lambda frame: self._step.answers.append(Answered(LINK, frame)),
            Error: self._on_error,
            Closing: lambda frame: self._refused_login(frame.code, frame.sentence, frame.retry_after_ms),
        }

    def _on_welcome(self, frame: Welcome) -> None:
        self.payload_size_bytes_max = frame.payload_size_bytes_max
        self._outboxes.set_window(frame.window)

    def _on_ready(self, frame: Ready) -> None:
        self.phase = Phase.READY
        self._reconnection.ready(self._clock.now_s())
        self._pulse.agreed(frame.heartbeat_s)
        self._arrivals.ready(frame)
        self._chats.ready(self._step)
        self._marks.ready(self._step)
        self.groups.ready(frame.waiting)
        self._devices_at(frame.devices_version)
        self._step.events.append(ConnectionChanged(ConnectionState.ONLINE, waiting=frame.waiting))

    def _devices_at(self, version: int) -> None:
        self._outboxes.audiences.own(version)
        self._devices.told(version, self._requests, self._clock.now_s(), self._step)

    def _on_devices(self, frame: DeviceList) -> None:
        if frame.account == self.account:
            now_s, now_ms = self._clock.now_s(), self._clock.wall_ms()
            if self._devices.listed(frame, self._requests, now_s, now_ms, self._step):
                self._outboxes.audiences.listed(frame.account, frame.version, frame.devices)
        self._requests.answer(frame, self._step)

    def _on_sent(self, frame: Sent) -> None:
        if frame.number:
            self._outboxes.sent(frame, self._step)
            self._marks.written(frame.conversation, frame.seq)
            self.groups.belongs(frame.conversation, frame.seq)

    def _on_deliver(self, frame: Deliver) -> None:
        message = self._arrivals.deliver(frame, self._step)
        if message is None:
            return
        self._chats.message_from(message.conversation, message.sender, self._step)
        if message.seq:
            own = message.sender == self.account and not message.flags & CHANGE
            self._marks.received(message.conversation, message.seq, own=own)
            self.groups.received(message, self._step)

    def _on_group_receipt(self, frame: GroupReceipt) -> None:
        self._marks.progress(frame, self._step)
        self.groups.belongs(frame.conversation, frame.steps[-1].up_to if frame.steps else 0)

    def _on_group(self, frame: Group) -> None:
        was_closed = self.groups.is_closed(frame.conversation)
        self.groups.described(frame, self._step)
        if was_closed and not self.groups.is_closed(frame.conversation):
            self._marks.reopened(frame.conversation)

    def _on_drained(self, _: Drained) -> None:
        self._marks.drained()
        self._step.events.append(QueueDrained())

    def _on_error(self, frame: Error) -> None:
        if frame.request:
            self.groups.refused(frame, self._step)
        elif self.phase is Phase.LOGGING_IN:
            self._refused_login(frame.code, frame.sentence, frame.retry_after_ms)
        else:
            self._step.events.append(ServerComplained(frame.code, frame.sentence))

    def _refused_login(self, code: int, sentence: str, retry_after_ms: int) -> None:
        if code == Code.EPOCH_UNKNOWN:
            self._outboxes.renew(self._step)
            self.groups.doubt()
            self._break_off(_NEW_EPOCH)
        elif code in FINAL_CODES:
            self.stop(sentence, code)
        else:
            self._break_off(sentence, retry_after_ms)

    def _break_off(self, sentence: str, retry_after_ms: int = -1) -> None:
        self._step.disconnect = True
        self.disconnected(sentence, retry_after_ms)

    def _forget_connection(self) -> None:
        self._step.frames.clear()
        self._outboxes.disconnected()
        self._marks.disconnected()
        self._chats.disconnected(self._step)
        self._devices.disconnected()
        self.groups.disconnected()
        self._requests.disconnected(self._step)
