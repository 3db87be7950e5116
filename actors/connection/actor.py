"""The process of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.accounts.api import LoggedIn, LoginRefused, RateLimiter
from actors.connection.api import (
    Admission,
    ConnectionLimits,
    Drain,
    Ended,
    Luggage,
    Origin,
    Pressure,
    Siblings,
    Transport,
)
from actors.connection.entry import Depart, Entry, ask_account, unacted
from actors.connection.link import LinkEnd
from actors.connection.pressed import Pressed
from actors.connection.routes import Session, act
from actors.connection.timers import REST, Check, Hurry, Rest, TooSlow, check
from actors.queue.api import Attached, Batch, Detach, Fault, Flow, Turn, decode_notice
from actors.shard.api import Answers
from protocol import (
    AccountId,
    Code,
    ConversationId,
    DeviceId,
    LocalProtocolError,
    RemoteProtocolError,
    ServerWire,
    SessionToken,
)
from protocol.messages import (
    POWER_SAVING,
    Bye,
    DevicesChanged,
    Error,
    GroupHere,
    GroupReceipt,
    Heartbeat,
    Hello,
    JoinLink,
    Login,
    Notice,
    OpenLink,
    PassLink,
    Ping,
    Pong,
    Presence,
    Ready,
    Receipt,
    Refused,
    Register,
    RegisterPrimary,
    RequestCode,
    Sent,
    SetState,
    TypingBy,
    UnknownFrame,
    Unreached,
)
from runtime import NORMAL, Actor, Crash, Down, Reason, Ref
from storage.records import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.router.api import Router
    from protocol import ServerEvent

__all__ = ["ConnectionActor"]

FOREGROUND_HEARTBEAT_S_MAX: Final = 120
GRACE_S: Final = 5.0
QUIET_S: Final = 0.5
BROKEN: Final = Reason("broken")


class ConnectionActor(Actor):
    """Speaks with one client.

    Args:
        transport: The client's socket.
        wire: The protocol's end of it.
        router: Where accounts, conversations and queues are found.
        limiter: Rate limits of the node.
        limits: What one connection may do.
        software: Name and version, told to the client.
        origin: Where it comes from.
        admission: The door's book.
        siblings: Who else on this host may take it over; None where there is nobody.
        luggage: What a sibling that has handed it over knows of it.
    """

    __slots__ = (
        "_devices_version",
        "_entry",
        "_heard_s",
        "_heartbeat_s",
        "_left",
        "_limiter",
        "_limits",
        "_link",
        "_monitor",
        "_origin",
        "_pressed",
        "_router",
        "_session",
        "_transport",
        "_wire",
    )

    def __init__(
        self,
        transport: Transport,
        wire: ServerWire,
        router: Router,
        limiter: RateLimiter,
        limits: ConnectionLimits,
        software: str,
        origin: Origin,
        admission: Admission,
        siblings: Siblings | None = None,
        luggage: Luggage | None = None,
    ) -> None:
        self._transport = transport
        self._wire = wire
        self._router = router
        self._limiter = limiter
        self._limits = limits
        self._origin = origin
        self._entry: Entry | None = Entry(
            wire, router, limiter, limits, software, origin, admission, siblings, luggage, self._send, self._close
        )
        self._session: Session | None = None
        self._monitor: Ref | None = None
        self._devices_version = 0
        self._link: LinkEnd | None = None
        self._left = False
        self._heartbeat_s = 0
        self._heard_s = 0.0
        self._pressed: Pressed | None = None

    def init(self) -> None:
        """Give the client some time."""
        assert self._entry is not None, "it has just been made"
        self._entry.begin(self.process)

    def terminate(self, reason: Reason) -> None:
        """Say why, if that was not done, and close the socket; or hand it to a sibling."""
        entry = self._entry
        if entry is not None and entry.departure is not None and reason is NORMAL:
            entry.depart(self._transport)
            return
        if isinstance(reason, Crash):
            self._wire.close(Code.INTERNAL)
        elif not self._wire.closed and not self._left and reason is not BROKEN:
            self._wire.close(Code.DRAINING)
        if reason is not BROKEN:
            self._flush()
        self._transport.close()

    def handle_cast(self, message: Any) -> None:
        """Bytes of the client, what others say to it, and frames for it."""
        handler = self._routes.get(type(message))
        if handler is not None:
            handler(self, message)
        else:
            self._send(message)

    def handle_info(self, message: Any) -> None:
        """Timers, and the end of the queue."""
        kind = type(message)
        if kind is Check:
            self._check(message)
        elif kind is Rest:
            self._wire.rest()
        elif kind is Hurry:
            late = Code.LOGIN_TIMEOUT if self._wire.handshake_complete else Code.HANDSHAKE_TIMEOUT
            self._close(late)
        elif kind is TooSlow:
            self._close(Code.SLOW_READER)
            self._transport.abort()
        elif kind is Down and not (self._link is not None and self._link.ended(message)) and self._owed(message):
            self._close(Code.BUSY, retry_after_ms=0)  # what has no answer comes again, and gets one

    def _owed(self, down: Down) -> bool:
        """Whether a process has ended that owes this client an answer."""
        if down.ref is (self._monitor if self._entry is None else self._entry.monitor):
            return True
        writers = None if self._session is None else self._session.writers
        return writers is not None and writers.owed(down)

    def handle_deferred(self) -> None:
        """One record and one write for all that this round brought."""
        self._flush()

    def _flush(self) -> None:
        data = self._wire.data_to_send()
        if data:
            transport = self._transport
            transport.write(data)
            if transport.get_write_buffer_size() > self._limits.outbound_buffer_bytes_max:
                transport.abort()
                self.process.stop(BROKEN)

    def _send(self, frame: Any) -> None:
        if not self._wire.closed:
            try:
                self._wire.send(frame)
            except LocalProtocolError as error:
                if error.code is not Code.WRONG_STATE:  # an answer that comes after a login was refused
                    raise
            self.process.defer()

    def _sheddable(self, frame: Receipt | Presence | TypingBy | GroupReceipt | GroupHere) -> None:
        """A full socket gets messages first."""
        if self._pressed is None:
            self._send(frame)
        else:
            self._pressed.keep(frame)

    def _answered(self, frame: Sent | Refused) -> None:
        """The answer to a send; that there is no such account answers a look-up, too, and costs one."""
        session = self._session
        if session is not None:
            if session.writers is not None:
                session.writers.answered(frame.conversation)
            if type(frame) is Refused and frame.code in (Code.RECIPIENT_UNKNOWN, Code.NOT_MEMBER):
                wait_ms = session.wait_ms("lookups")
                if wait_ms:
                    self._close(Code.RATE_LIMITED, retry_after_ms=wait_ms)
                    return
        self._send(frame)

    def _all_answered(self, answers: Answers) -> None:
        for frame in answers.frames:
            self._answered(frame)

    def _close(self, code: Code, sentence: str | None = None, retry_after_ms: int | None = None) -> None:
        """Say why and end; the reason of the end is normal, so that it is no broken attempt at a message."""
        self._wire.close(code, sentence, retry_after_ms)
        self.process.stop()

    def _data(self, data: bytes) -> None:
        """Bytes from the client, cut anywhere."""
        process, wire, entry = self.process, self._wire, self._entry
        if entry is not None:
            if entry.departure is not None:
                entry.departure.data += data
                return
            if not self._heard_s and self._origin.limited and entry.too_often("connects", self._origin.address):
                return  # before the handshake, which costs us more than the stranger
        self._heard_s = process.runtime.clock.now_s()
        fault = False
        try:
            frames = wire.receive_data(data)
        except RemoteProtocolError as error:
            frames, fault = error.frames, True  # type: ignore[assignment]  # they are ServerEvents
        session = self._session
        if session is None:
            self._enter(frames)
        else:
            act(session, frames, lambda frame: self._own[type(frame)](self, frame))
        if session is None or fault:
            process.defer()  # the handshake has its own bytes; later whoever answers defers
        if fault:
            process.stop()

    def _enter(self, frames: Sequence[ServerEvent]) -> None:
        """Frames of a client that has no session, one of which may tell that it belongs to a sibling."""
        entry = self._entry
        assert entry is not None, "there is no session yet"
        for index, frame in enumerate(frames):
            if entry.leave(frame, frames[index + 1 :], self._transport):
                return
            self._own[type(frame)](self, frame)

    def _arrived(self, luggage: Luggage) -> None:
        """A sibling has accepted this client, and heard its first frames."""
        self._heard_s = self.process.runtime.clock.now_s()
        self._enter(unacted(luggage))
        self._data(luggage.data)

    def _departs(self, _: Depart) -> None:
        self.process.stop()

    def _hello(self, frame: Hello) -> None:
        if self._entry is not None:
            self._entry.hello(frame)

    def _sign_in(self, frame: Login) -> None:
        if self._entry is not None:
            self._entry.sign_in(frame)

    def _ask_account(self, frame: RequestCode | Register | RegisterPrimary) -> None:
        ask_account(self.process, self._wire, self._router, self._limiter, self._origin, frame, self._send)

    def _open_link(self, frame: OpenLink) -> None:
        """Limited by network address: who waits there is a stranger."""
        origin = self._origin
        wait_s = self._limiter.take("links", origin.address, self._heard_s) if origin.limited else 0.0
        if wait_s:
            self._send(Error(frame.request, Code.RATE_LIMITED, Code.RATE_LIMITED.sentence, int(wait_s * 1000) + 1))
        else:
            self._link_end().open(frame)

    def _join_link(self, frame: JoinLink) -> None:
        session = self._session
        assert session is not None, "the state table lets it pass only after Ready"
        wait_ms = session.wait_ms("changes")
        if wait_ms:
            session.fail(frame.request, Code.RATE_LIMITED, wait_ms)
        else:
            self._link_end().join(frame)

    def _pass_link(self, frame: PassLink) -> None:
        self._link_end().carry(frame)

    def _link_end(self) -> LinkEnd:
        if self._link is None:
            self._link = LinkEnd(self.process, self._router, self._send)
        return self._link

    def _login_refused(self, refusal: LoginRefused) -> None:
        if self._entry is not None:
            self._entry.refused(refusal)

    def _logged_in(self, answer: LoggedIn) -> None:
        if self._entry is not None:
            self._devices_version = answer.view.devices_version
            self._session = self._entry.logged_in(answer)

    def _attached(self, attached: Attached) -> None:
        process, entry, session = self.process, self._entry, self._session
        assert entry is not None, "the queue answers once"
        assert session is not None, "it was asked in the name of one"
        self._entry = None
        self._monitor = session.found(attached.queue)
        sender = session.sender
        self._agree(entry.attached())
        self._send(
            Ready(
                sender.account,
                sender.device,
                SessionToken(attached.session),
                attached.resumed,
                self._heartbeat_s,
                attached.waiting,
                process.runtime.clock.wall_ms(),
                self._devices_version,
            )
        )
        process.send_after(self._heartbeat_s + GRACE_S, check(process.runtime.clock.now_s()))
        process.send_after(QUIET_S, REST)

    def _devices_changed(self, changed: DevicesChanged) -> None:
        """Told before Ready, it goes into it; two ways lead here, so it may come twice."""
        if changed.version > self._devices_version:
            self._devices_version = changed.version
            if self._entry is None:
                self._send(changed)

    def _agree(self, device: Login | SetState) -> None:
        """The heartbeat of this device: what it wishes, within the limits; brisk while a person looks, if it can."""
        longest_s = self._limits.heartbeat_s_max
        if device.foreground and device.power != POWER_SAVING:
            longest_s = min(longest_s, FOREGROUND_HEARTBEAT_S_MAX)
        self._heartbeat_s = max(self._limits.heartbeat_s_min, min(device.heartbeat_s, longest_s))

    def _set_state(self, frame: SetState) -> None:
        session = self._session
        assert session is not None, "the state table lets it pass only after Ready"
        wait_ms = session.wait_ms("opens")  # whoever watches is told of every turn
        if wait_ms:
            session.fail(0, Code.RATE_LIMITED, wait_ms)
            return
        self._agree(frame)
        self._send(Heartbeat(self._heartbeat_s))
        session.cast_queue(Turn(self.process.pid, frame.foreground, frame.power))

    def _check(self, set_before: Check) -> None:
        """A timer that only looks: it is set anew for the rest of the time, not at every frame."""
        now_s = self.process.runtime.clock.now_s()
        silent_s = now_s - self._heard_s
        allowed_s = self._heartbeat_s * 1.5 + GRACE_S
        session = self._session
        if session is not None and not self.process.runtime.is_alive(session.queue):
            self._close(Code.BUSY, retry_after_ms=0)
        elif silent_s > allowed_s:
            self._wire.close(Code.HEARTBEAT_MISSED)
            self._flush()
            self.process.stop(BROKEN)
        else:
            if silent_s > QUIET_S:
                self._wire.rest()
            if session is not None:
                session.watch_again()
                if set_before.stays(now_s):
                    session.stays()
            self.process.send_after(allowed_s - silent_s + 0.1, check(now_s))

    def _deliver(self, batch: Batch) -> None:
        wire = self._wire
        if wire.closed:
            return
        for position, kind, body in batch.entries:
            if kind == MESSAGE:
                wire.send_deliver(position, body)
            else:
                notice = decode_notice(body)
                wire.send(
                    Notice(
                        position,
                        ConversationId(notice.conversation),
                        notice.seq,
                        AccountId(notice.account),
                        DeviceId(notice.device),
                        notice.reason,
                        [Unreached(AccountId(it[0]), DeviceId(it[1]), it[2]) for it in notice.others],
                    )
                )
        self.process.defer()

    def _fault(self, fault: Fault) -> None:
        self._close(Code(fault.code))  # type: ignore[call-arg]  # lookup by value

    def _pressure(self, pressure: Pressure) -> None:
        if self._session is not None:
            self._session.cast_queue(Flow(self.process.pid, not pressure.full))
        pressed = self._pressed
        if pressure.full and pressed is None:
            self._pressed = Pressed(self.process.send_after(self._limits.slow_reader_s, TooSlow()))
        elif not pressure.full and pressed is not None:
            self._pressed = None
            self.process.cancel(pressed.timer)
            for frame in pressed.kept:
                self._send(frame)

    def _ended(self, ended: Ended) -> None:
        self.process.stop(BROKEN)

    def _drain(self, drain: Drain) -> None:
        self._close(Code.DRAINING, retry_after_ms=drain.retry_after_ms)

    def _bye(self, _: Bye) -> None:
        """The client leaves: what was to be said is said, and nothing after it."""
        if self._session is not None:
            self.process.cast(self._session.queue, Detach(self.process.pid))
        self._left = True
        self.process.stop()

    def _ping(self, frame: Ping) -> None:
        self._send(Pong(frame.token))

    def _unknown(self, frame: UnknownFrame) -> None:
        self._send(Error(0, Code.UNKNOWN_FRAME, Code.UNKNOWN_FRAME.sentence, -1))

    _own: Final[dict[type, Any]] = {
        Hello: _hello,
        RequestCode: _ask_account,
        Register: _ask_account,
        RegisterPrimary: _ask_account,
        OpenLink: _open_link,
        JoinLink: _join_link,
        PassLink: _pass_link,
        Login: _sign_in,
        SetState: _set_state,
        Ping: _ping,
        Bye: _bye,
        UnknownFrame: _unknown,
    }
    _routes: Final[dict[type, Any]] = {
        bytes: _data,
        Luggage: _arrived,
        Depart: _departs,
        Batch: _deliver,
        Sent: _answered,
        Refused: _answered,
        Answers: _all_answered,
        Receipt: _sheddable,
        Presence: _sheddable,
        TypingBy: _sheddable,
        GroupReceipt: _sheddable,
        GroupHere: _sheddable,
        LoggedIn: _logged_in,
        LoginRefused: _login_refused,
        Attached: _attached,
        DevicesChanged: _devices_changed,
        Fault: _fault,
        Pressure: _pressure,
        Ended: _ended,
        Drain: _drain,
    }
