"""The process of a connection."""

from __future__ import annotations

from typing import Any, Final

from actors.accounts.api import Ask, LoggedIn, LoginRefused, RateLimiter, SignIn
from actors.connection.api import Admission, ConnectionLimits, Drain, Ended, Origin, Pressure, Transport
from actors.connection.pressed import Pressed
from actors.connection.routes import ROUTES, Session
from actors.connection.timers import CHECK, HURRY, REST, Check, Hurry, Rest, TooSlow
from actors.conversation.api import Sender
from actors.queue.api import Attach, Attached, Batch, Detach, Fault, Flow, Turn, decode_notice
from actors.router.api import Router, UnreachableError
from protocol import (
    AccountId,
    Code,
    ConversationId,
    DeviceId,
    IdentifierError,
    LocalProtocolError,
    RemoteProtocolError,
    ServerWire,
    SessionToken,
    choose_version,
    device_id_of,
    normalized_address,
)
from protocol.limits import FRAME_SIZE_BYTES_MAX
from protocol.messages import (
    POWER_SAVING,
    Bye,
    DevicesChanged,
    Error,
    Heartbeat,
    Hello,
    Login,
    Notice,
    Ping,
    Pong,
    Presence,
    Ready,
    Receipt,
    Refused,
    Register,
    RequestCode,
    Sent,
    SetState,
    TypingBy,
    UnknownFrame,
    Welcome,
)
from runtime import Actor, Crash, Down, Reason, Ref
from storage.records import MESSAGE

__all__ = ["ConnectionActor"]

BUSY_RETRY_MS: Final = 1_000
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
    """

    __slots__ = (
        "_admission",
        "_devices_version",
        "_heard_s",
        "_heartbeat_s",
        "_hurry",
        "_left",
        "_limiter",
        "_limits",
        "_login",
        "_monitor",
        "_origin",
        "_pressed",
        "_router",
        "_session",
        "_software",
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
    ) -> None:
        self._transport = transport
        self._wire = wire
        self._router = router
        self._limiter = limiter
        self._limits = limits
        self._software = software
        self._origin = origin
        self._admission = admission
        self._login: Login | None = None
        self._session: Session | None = None
        self._hurry: Ref | None = None
        self._monitor: Ref | None = None
        self._devices_version = 0
        self._left = False
        self._heartbeat_s = 0
        self._heard_s = 0.0
        self._pressed: Pressed | None = None

    def init(self) -> None:
        """Give the client some time to shake hands."""
        self._hurry = self.process.send_after(self._limits.handshake_timeout_s, HURRY)

    def terminate(self, reason: Reason) -> None:
        """Say why, if that was not done, and close the socket."""
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
            self._check()
        elif kind is Rest:
            self._wire.rest()
        elif kind is Hurry:
            late = Code.LOGIN_TIMEOUT if self._wire.handshake_complete else Code.HANDSHAKE_TIMEOUT
            self._close(late)
        elif kind is TooSlow:
            self._close(Code.SLOW_READER)
            self._transport.abort()
        elif kind is Down and (
            message.ref is self._monitor or (self._session is not None and self._session.owed(message))
        ):
            self._close(Code.BUSY, retry_after_ms=0)  # what has no answer comes again, and gets one

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

    def _sheddable(self, frame: Receipt | Presence | TypingBy) -> None:
        """A full socket gets messages first."""
        if self._pressed is None:
            self._send(frame)
        else:
            self._pressed.keep(frame)

    def _answered(self, frame: Sent | Refused) -> None:
        """The answer to a send; that there is no such account answers a look-up, too, and costs one."""
        session = self._session
        if session is not None:
            session.answered(frame.conversation)
            if type(frame) is Refused and frame.code == Code.RECIPIENT_UNKNOWN:
                wait_ms = session.wait_ms("lookups")
                if wait_ms:
                    self._close(Code.RATE_LIMITED, retry_after_ms=wait_ms)
                    return
        self._send(frame)

    def _close(self, code: Code, sentence: str | None = None, retry_after_ms: int | None = None) -> None:
        """Say why and end; the reason of the end is normal, so that it is no broken attempt at a message."""
        self._wire.close(code, sentence, retry_after_ms)
        self.process.stop()

    def _data(self, data: bytes) -> None:
        """Bytes from the client, cut anywhere."""
        process, wire = self.process, self._wire
        if not self._heard_s and self._origin.limited and self._too_often("connects", self._origin.address):
            return  # before the handshake, which costs us more than the stranger
        self._heard_s = process.runtime.clock.now_s()
        fault = False
        try:
            frames = wire.receive_data(data)
        except RemoteProtocolError as error:
            frames, fault = error.frames, True  # type: ignore[assignment]  # they are ServerEvents
        session = self._session
        for frame in frames:
            route = ROUTES.get(type(frame)) if session is not None else None
            if route is not None and session is not None:
                route(session, frame)
            else:
                self._own[type(frame)](self, frame)
        if session is None or fault:
            process.defer()  # the handshake has its own bytes; later whoever answers defers
        if fault:
            process.stop()

    def _too_often(self, operation: str, key: str) -> bool:
        """Whether the client has to come back later, which it is then told."""
        wait_s = self._limiter.take(operation, key, self.process.runtime.clock.now_s())
        if wait_s:
            self._close(Code.RATE_LIMITED, retry_after_ms=int(wait_s * 1000) + 1)
        return wait_s > 0

    def _hello(self, frame: Hello) -> None:
        limits = self._limits
        try:
            version = choose_version(frame.versions)
        except RemoteProtocolError as error:
            self._close(error.code, error.sentence)
            return
        self._send(
            Welcome(
                version,
                self._software,
                self.process.runtime.clock.wall_ms(),
                limits.payload_size_bytes_max,
                limits.window,
                FRAME_SIZE_BYTES_MAX,
            )
        )
        if self._hurry is not None:
            self.process.cancel(self._hurry)
        self._hurry = self.process.send_after(limits.login_timeout_s, HURRY)

    def _proved(self) -> tuple[DeviceId, bytes]:
        """The device and static key that the handshake has proved."""
        key = self._wire.remote_static_key
        assert key is not None, "frames come after the handshake"
        return device_id_of(key), key

    def _ask_account(self, frame: RequestCode | Register) -> None:
        """Registration, before any login: limited per address and per network address."""
        now_s = self.process.runtime.clock.now_s()
        try:
            account = normalized_address(frame.address)
        except IdentifierError as error:
            self._send(Error(frame.request, error.code, error.sentence, -1))
            return
        wait_s = 0.0
        network = self._origin.address if self._origin.limited else ""
        if network:
            wait_s = self._limiter.take("registrations", network, now_s)
        if not wait_s:  # a network by itself cannot use up what the owner of the address needs from another one
            operation = "codes" if type(frame) is RequestCode else "registers"
            wait_s = self._limiter.take(operation, f"{account} {network}", now_s)
        if not wait_s:
            wait_s = self._limiter.take(f"{operation}_in_all", account, now_s)
        if wait_s:
            self._send(Error(frame.request, Code.RATE_LIMITED, Code.RATE_LIMITED.sentence, int(wait_s * 1000) + 1))
            return
        device, key = self._proved()
        try:
            self.process.cast(self._router.account(account), Ask(self.process.pid, device, key, frame, network))
        except UnreachableError:
            self._send(Error(frame.request, Code.BUSY, Code.BUSY.sentence, BUSY_RETRY_MS))

    def _sign_in(self, frame: Login) -> None:
        if self._login is not None:
            self._send(Error(0, Code.WRONG_STATE, "A login is under way already; wait for its answer.", -1))
            return
        device, key = self._proved()
        if self._too_often("logins", device.hex()):
            return
        try:
            pid = self._router.account(normalized_address(frame.account))
        except IdentifierError as error:
            self._send(Error(0, error.code, error.sentence, -1))
        except UnreachableError:
            self._close(Code.BUSY, retry_after_ms=BUSY_RETRY_MS)
        else:
            self._login = frame
            self._monitor = self.process.monitor(pid)
            self.process.cast(pid, SignIn(self.process.pid, device, key))

    def _forget_monitor(self) -> None:
        """Whoever owed this connection an answer has given it."""
        if self._monitor is not None:
            self.process.demonitor(self._monitor)
            self._monitor = None

    def _login_refused(self, refusal: LoginRefused) -> None:
        """The answer tells who has an account here: a network gets as many of them as a device has look-ups."""
        self._login = None
        self._forget_monitor()
        if self._origin.limited and self._too_often("lookups", self._origin.address):
            return
        code = Code(refusal.code)  # type: ignore[call-arg]  # lookup by value
        self._send(Error(0, code, code.sentence, -1))

    def _logged_in(self, answer: LoggedIn) -> None:
        process, login = self.process, self._login
        assert login is not None
        self._forget_monitor()
        device, key = self._proved()
        account = answer.view.account
        self._devices_version = answer.view.devices_version
        try:
            queue = self._router.queue(device, account)
        except UnreachableError:
            self._close(Code.BUSY, retry_after_ms=BUSY_RETRY_MS)
            return
        sender = Sender(process.pid, account, device, login.epoch)
        self._session = Session(process, sender, queue, key, self._router, self._limiter, self._limits, self._send)
        # Until it answers; from then on it says itself that it ends, and two dictionaries less are kept (448 bytes).
        self._monitor = process.monitor(queue)
        process.cast(queue, Attach(process.pid, login.session, login.received_up_to, login.foreground, login.power))

    def _attached(self, attached: Attached) -> None:
        process, login, session = self.process, self._login, self._session
        assert login is not None
        assert session is not None
        sender = session.sender
        self._login = None
        if self._hurry is not None:
            process.cancel(self._hurry)
            self._hurry = None
        self._forget_monitor()
        self._monitor = session.found(attached.queue)
        self._admission.logged_in()
        self._agree(login)
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
        process.send_after(self._heartbeat_s + GRACE_S, CHECK)
        process.send_after(QUIET_S, REST)

    def _devices_changed(self, changed: DevicesChanged) -> None:
        """Told before Ready, it goes into it; two ways lead here, so it may come twice."""
        if changed.version > self._devices_version:
            self._devices_version = changed.version
            if self._session is not None and self._login is None:
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

    def _check(self) -> None:
        """A timer that only looks: it is set anew for the rest of the time, not at every frame."""
        silent_s = self.process.runtime.clock.now_s() - self._heard_s
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
            self.process.send_after(allowed_s - silent_s + 0.1, CHECK)

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
        Login: _sign_in,
        SetState: _set_state,
        Ping: _ping,
        Bye: _bye,
        UnknownFrame: _unknown,
    }
    _routes: Final[dict[type, Any]] = {
        bytes: _data,
        Batch: _deliver,
        Sent: _answered,
        Refused: _answered,
        Receipt: _sheddable,
        Presence: _sheddable,
        TypingBy: _sheddable,
        LoggedIn: _logged_in,
        LoginRefused: _login_refused,
        Attached: _attached,
        DevicesChanged: _devices_changed,
        Fault: _fault,
        Pressure: _pressure,
        Ended: _ended,
        Drain: _drain,
    }
