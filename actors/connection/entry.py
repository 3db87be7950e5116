"""What happens to a client before its session stands: greeting, registration, login; or the move to a sibling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.accounts.api import Ask, LoggedIn, LoginRefused, RateLimiter, SignIn
from actors.connection.api import Luggage
from actors.connection.routes import Session
from actors.connection.timers import HURRY
from actors.conversation.api import Sender
from actors.queue.api import Attach
from actors.router.api import Router, UnreachableError
from protocol import (
    Code,
    DeviceId,
    IdentifierError,
    RemoteProtocolError,
    choose_version,
    device_id_of,
    normalized_address,
)
from protocol.codec import decode_client_frame, encode_frame
from protocol.limits import FRAME_SIZE_BYTES_MAX
from protocol.messages import Error, Hello, Login, Register, RegisterPrimary, RequestCode, UnknownFrame, Welcome
from runtime import Named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.connection.api import Admission, ConnectionLimits, Origin, Siblings, Transport
    from protocol import ServerEvent, ServerWire
    from runtime import Pid, Process, Ref

__all__ = ["DEPART", "Depart", "Entry", "ask_account", "unacted"]

BUSY_RETRY_MS: Final = 1_000
_NAMING: Final = (Login, Register, RegisterPrimary, RequestCode)


class Depart:
    """To oneself: all that the client had said before its socket was held has come."""


DEPART: Final = Depart()


class _Departure:
    """A connection on its way to a sibling.

    Attributes:
        sibling: Who takes it over.
        wire: What was exported of its wire.
        frames: What the client has said and nobody has acted on.
        data: What came behind that.
    """

    __slots__ = ("data", "frames", "sibling", "wire")

    def __init__(self, sibling: str, wire: bytes, frames: list[bytes]) -> None:
        self.sibling = sibling
        self.wire = wire
        self.frames = frames
        self.data = b""


class Entry:
    """The way in of one connection; forgotten when its session stands.

    Args:
        wire: The protocol's end of it.
        router: Where accounts and queues are found.
        limiter: Rate limits of the node.
        limits: What one connection may do.
        software: Name and version, told to the client.
        origin: Where it comes from.
        admission: The door's book.
        siblings: Who else on this host may take it over; None where there is nobody.
        luggage: What a sibling that has handed it over knows of it.
        send: Says a frame to the client.
        close: Says why, and ends the connection.

    Attributes:
        login: The login under way.
        monitor: Watches whoever owes it an answer.
        departure: Set once it is on its way to a sibling.
    """

    __slots__ = (
        "_admission",
        "_close",
        "_hurry",
        "_limiter",
        "_limits",
        "_login_by_s",
        "_luggage",
        "_opened_s",
        "_origin",
        "_process",
        "_router",
        "_send",
        "_siblings",
        "_software",
        "_wire",
        "departure",
        "login",
        "monitor",
    )

    _process: Process
    _hurry: Ref

    def __init__(
        self,
        wire: ServerWire,
        router: Router,
        limiter: RateLimiter,
        limits: ConnectionLimits,
        software: str,
        origin: Origin,
        admission: Admission,
        siblings: Siblings | None,
        luggage: Luggage | None,
        send: Callable[[Any], None],
        close: Callable[..., None],
    ) -> None:
        self._wire = wire
        self._router = router
        self._limiter = limiter
        self._limits = limits
        self._software = software
        self._origin = origin
        self._admission = admission
        self._siblings = siblings
        self._luggage = luggage
        self._send = send
        self._close = close
        self._login_by_s = self._opened_s = 0.0
        self.login: Login | None = None
        self.monitor: Ref | None = None
        self.departure: _Departure | None = None

    def begin(self, process: Process) -> None:
        """Give the client some time: to shake hands, or what a sibling has left it to log in."""
        self._process = process
        luggage, self._luggage = self._luggage, None
        wait_s = self._limits.handshake_timeout_s
        now_s = self._opened_s = process.runtime.clock.now_s()
        if luggage is not None:
            self._siblings = None  # one move is enough: two that each take it for the other's would play ball with it
            self._opened_s, self._login_by_s = luggage.opened_s, luggage.login_by_s
            wait_s = max(0.0, luggage.login_by_s - now_s)
            process.cast(process.pid, luggage)  # the first in the mailbox, for nobody else knows it yet
        self._hurry = process.send_after(wait_s, HURRY)

    def leave(self, frame: ServerEvent, rest: Sequence[ServerEvent], transport: Transport) -> bool:
        """Whether the connection moves to the sibling that has the account which this frame names.

        The first frame that names one decides: an answer that is asked for here would find nobody.

        Args:
            frame: What the client said.
            rest: What it said behind that.
            transport: Its socket, which is not read any more from here on.
        """
        siblings = self._siblings
        if siblings is None or not isinstance(frame, _NAMING) or self._wire.closed:
            return False
        name = frame.account if isinstance(frame, Login) else frame.address
        try:
            sibling = siblings.sibling_of(normalized_address(name))
        except IdentifierError:
            return False
        if sibling is None or transport.get_write_buffer_size():  # or it has not even taken a greeting
            self._siblings = None
            return False
        siblings.hold(transport)
        self.departure = _Departure(sibling, self._wire.export(), [_encoded(said) for said in (frame, *rest)])
        self._process.cast(self._process.pid, DEPART)  # behind the bytes that are in the mailbox already
        return True

    def depart(self, transport: Transport) -> None:
        """Hand the socket over, with all that is known of it; whatever becomes of it, it is not ours any more."""
        departure, siblings = self.departure, self._siblings
        assert departure is not None, "it leaves"
        assert siblings is not None, "they take it"
        luggage = Luggage(departure.wire, departure.frames, departure.data, self._opened_s, self._login_by_s)
        siblings.take(departure.sibling, transport, luggage)

    def hello(self, frame: Hello) -> None:
        """Agree on a version, and wait for the login."""
        process, limits = self._process, self._limits
        try:
            version = choose_version(frame.versions)
        except RemoteProtocolError as error:
            self._close(error.code, error.sentence)
            return
        self._send(
            Welcome(
                version,
                self._software,
                process.runtime.clock.wall_ms(),
                limits.payload_size_bytes_max,
                limits.window,
                FRAME_SIZE_BYTES_MAX,
            )
        )
        process.cancel(self._hurry)
        self._hurry = process.send_after(limits.login_timeout_s, HURRY)
        self._login_by_s = process.runtime.clock.now_s() + limits.login_timeout_s

    def sign_in(self, frame: Login) -> None:
        """Ask the account whether this device is one of its own."""
        process = self._process
        if self.login is not None:
            self._send(Error(0, Code.WRONG_STATE, "A login is under way already; wait for its answer.", -1))
            return
        device, key = proved(self._wire)
        if self.too_often("logins", device.hex()):
            return
        try:
            pid = self._router.account(normalized_address(frame.account))
        except IdentifierError as error:
            self._send(Error(0, error.code, error.sentence, -1))
        except UnreachableError:
            self._close(Code.BUSY, retry_after_ms=BUSY_RETRY_MS)
        else:
            self.login = frame
            self.monitor = process.monitor(pid)
            self._tell(pid, SignIn(process.pid, device, key))

    def too_often(self, operation: str, key: str) -> bool:
        """Whether the client has to come back later, which it is then told."""
        wait_s = self._limiter.take(operation, key, self._process.runtime.clock.now_s())
        if wait_s:
            self._close(Code.RATE_LIMITED, retry_after_ms=int(wait_s * 1000) + 1)
        return wait_s > 0

    def refused(self, refusal: LoginRefused) -> None:
        """The answer tells who has an account here: a network gets as many of them as a device has look-ups."""
        self.login = None
        self._forget_monitor()
        if refusal.code == Code.BUSY:
            self._close(Code.BUSY, retry_after_ms=BUSY_RETRY_MS)
            return
        if self._origin.limited and self.too_often("lookups", self._origin.address):
            return
        code = Code(refusal.code)  # type: ignore[call-arg]  # lookup by value
        self._send(Error(0, code, code.sentence, -1))

    def logged_in(self, answer: LoggedIn) -> Session | None:
        """The account knows the device: ask its queue for it."""
        process, login = self._process, self.login
        assert login is not None, "it was asked"
        self._forget_monitor()
        device, key = proved(self._wire)
        account = answer.view.account
        try:
            queue = self._router.queue(device, account)
        except UnreachableError:
            self._close(Code.BUSY, retry_after_ms=BUSY_RETRY_MS)
            return None
        sender = Sender(process.pid, account, device, login.epoch)
        session = Session(process, sender, queue, key, self._router, self._limiter, self._limits, self._send)
        # Until it answers; from then on it says itself that it ends, and two dictionaries less are kept (448 bytes).
        self.monitor = process.monitor(queue)
        offer = login.session, login.received_up_to, login.foreground, login.power
        return session if self._tell(queue, Attach(process.pid, *offer, self._opened_s)) else None

    def _tell(self, pid: Pid, message: SignIn | Attach) -> bool:
        """Ask whoever is watched for an answer; if it has no room, there would be none, and the client comes again."""
        tell = self._process.insist if type(pid) is Named else self._process.cast
        asked = tell(pid, message)
        if not asked:
            self._close(Code.BUSY, retry_after_ms=BUSY_RETRY_MS)
        return asked

    def attached(self) -> Login:
        """The queue has it: nothing is to be waited for any more. Returns the login that is answered."""
        login = self.login
        assert login is not None, "the queue was asked for it"
        self._process.cancel(self._hurry)
        self._forget_monitor()
        self._admission.logged_in()
        return login

    def _forget_monitor(self) -> None:
        """Whoever owed this connection an answer has given it."""
        if self.monitor is not None:
            self._process.demonitor(self.monitor)
            self.monitor = None


def ask_account(
    process: Process,
    wire: ServerWire,
    router: Router,
    limiter: RateLimiter,
    origin: Origin,
    frame: RequestCode | Register | RegisterPrimary,
    send: Callable[[Any], None],
) -> None:
    """Registration: limited per address and per network address.

    Args:
        process: Who asks.
        wire: Knows the device.
        router: Where accounts are found.
        limiter: Rate limits of the node.
        origin: Where the client comes from.
        frame: What it asks.
        send: Says a frame to it.
    """
    now_s = process.runtime.clock.now_s()
    try:
        account = normalized_address(frame.address)
    except IdentifierError as error:
        send(Error(frame.request, error.code, error.sentence, -1))
        return
    wait_s = 0.0
    network = origin.address if origin.limited else ""
    if network:
        wait_s = limiter.take("registrations", network, now_s)
    if not wait_s:  # a network by itself cannot use up what the owner of the address needs from another one
        operation = "codes" if type(frame) is RequestCode else "registers"
        wait_s = limiter.take(operation, f"{account} {network}", now_s)
    if not wait_s:
        wait_s = limiter.take(f"{operation}_in_all", account, now_s)
    if wait_s:
        send(Error(frame.request, Code.RATE_LIMITED, Code.RATE_LIMITED.sentence, int(wait_s * 1000) + 1))
        return
    device, key = proved(wire)
    try:
        process.cast(router.account(account), Ask(process.pid, device, key, frame, network))
    except UnreachableError:
        send(Error(frame.request, Code.BUSY, Code.BUSY.sentence, BUSY_RETRY_MS))


def proved(wire: ServerWire) -> tuple[DeviceId, bytes]:
    """The device and static key that the handshake has proved."""
    key = wire.remote_static_key
    assert key is not None, "frames come after the handshake"
    return device_id_of(key), key


def unacted(luggage: Luggage) -> list[ServerEvent]:
    """The frames that a sibling has read and not acted on."""
    return [decode_client_frame(frame) for frame in luggage.frames]


def _encoded(frame: ServerEvent) -> bytes:
    return msgspec.msgpack.encode([frame.tag]) if isinstance(frame, UnknownFrame) else encode_frame(frame)
