"""The links of this node to the others: one a pair, who dials, who wins, who is silent; the runtime's Distribution.

It reads no socket and no clock but its runtime's: the network tells it of connections and bytes, and it writes.
docs/distribution.md says what is promised, and docs/decisions why it is done so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cluster.channel import Channel
from cluster.codes import LinkCode, LinkError
from cluster.frames import ClockFrame, GoodbyeFrame, HeartbeatFrame, HelloFrame, PostFrame, UpFrame
from cluster.membership import NodeClock, NodeDown, NodeRefused, NodeUp
from cluster.network import Accepted, DialFailed, Dialled, Lost, Received, Writable
from cluster.session import Session, SessionState
from cluster.translation import Translation
from runtime import Actor, Call, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.frames import LinkFrame
    from cluster.membership import NodeChange
    from cluster.network import Connection, Network
    from cluster.peers import Identity, Peer
    from cluster.table import MessageTable
    from runtime import Message, Pid, Reason, Runtime, Signal

__all__ = ["LINKS", "LinkLimits", "Links"]

LINKS: Final = "cluster.links"
"""The name under which the actor is registered."""

FLUSH_SIZE_BYTES: Final = 1 << 18
"""What waits for one node is written at once when it grows beyond this, and otherwise once a tick."""

STRANGER_REPORT_S: Final = 1.0
CLOCK_APART_S: Final = 10.0
"""A difference between two clocks that is told: more than a frame can be late without the link being given up."""
_BEAT: Final = "beat"
_LASTING: Final = frozenset(
    {
        LinkCode.KEY_UNKNOWN,
        LinkCode.KEY_WRONG,
        LinkCode.NAME_WRONG,
        LinkCode.VERSION_UNSUPPORTED,
        LinkCode.SETTINGS_DIFFER,
        LinkCode.HANDSHAKE_FAILED,
        LinkCode.JUNK,
    }
)
"""What does not mend itself."""


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Times and bounds of links.

    Attributes:
        beat_s: How often silence, deadlines and dials are looked at.
        heartbeat_s: How often each side says that it lives.
        silent_s: After how long without a frame, or without a sign that ours are read, a link is down: three
            heartbeats and half of one for grace.
        up_s: How long a connection may take until the link is up.
        redial_s_max: The longest wait between two dials; they begin at a quarter of a second.
        redial_refused_s: The wait after a refusal that somebody has to mend.
        outbound_size_bytes_max: What may wait for one node.
        waiting_max: Connections that were accepted and are not up.
        ties_max: Processes of one node that may be tied to some of this one.
    """

    beat_s: float = 0.25
    heartbeat_s: float = 1.0
    silent_s: float = 3.5
    up_s: float = 5.0
    redial_s_max: float = 2.0
    redial_refused_s: float = 10.0
    outbound_size_bytes_max: int = 8 << 20
    waiting_max: int = 64
    ties_max: int = 1_000_000


class Links(Actor):
    """All links of one node.

    Args:
        me: Who we are, and who the others are.
        table: Which messages cross.
        network: Where connections come from.
        observer: Told of each change, in the runtime's thread.
        limits: Times and bounds.

    Attributes:
        incarnations: The nodes that are linked now, each with its life.
    """

    __slots__ = (
        "_channels",
        "_dial_at",
        "_dial_wait",
        "_dialling",
        "_dials",
        "_dirty",
        "_greeted",
        "_last_dial",
        "_limits",
        "_linked",
        "_me",
        "_network",
        "_observer",
        "_random_bytes",
        "_report_at_s",
        "_runtime",
        "_table",
        "_translation",
        "incarnations",
    )

    _runtime: Runtime
    _translation: Translation

    def __init__(
        self,
        me: Identity,
        table: MessageTable,
        network: Network,
        observer: Callable[[NodeChange], object],
        limits: LinkLimits | None = None,
    ) -> None:
        self._me = me
        self._table = table
        self._network = network
        self._observer = observer
        self._limits = limits or LinkLimits()
        self.incarnations: dict[str, int] = {}
        self._channels: dict[Connection, Channel] = {}
        self._linked: dict[str, Channel] = {}
        self._greeted: dict[str, Channel] = {}
        self._dialling: dict[str, Channel | None] = {}
        self._dials: dict[int, tuple[str, float]] = {}
        self._last_dial = 0
        self._dial_at: dict[str, float] = {}
        self._dial_wait: dict[str, float] = {}
        self._dirty: list[Channel] = []
        self._report_at_s = 0.0

    def init(self) -> None:
        """Become the runtime's distribution, and begin to dial and accept.

        Raises:
            ValueError: The runtime is not the node, or not the life of it, that the identity names.
        """
        runtime = self._runtime = self.process.runtime
        if (runtime.node, runtime.incarnation) != (self._me.name, self._me.incarnation):
            raise ValueError(f"the runtime of {runtime.node} cannot be linked as {self._me.name}, or not in this life")
        self._translation = Translation(runtime, self._table)
        self._random_bytes = runtime.randomness.bytes
        runtime.foreign.attach(self)
        pid = self.process.pid
        self._network.open(lambda event: runtime.cast(pid, event))
        self.process.send_after(0.0, _BEAT)

    def terminate(self, reason: Reason) -> None:
        """Take leave of everybody."""
        self._network.close()
        for channel in tuple(self._channels.values()):
            self._end(channel, LinkError(LinkCode.CLOSING, f"{self._me.name} stops, or its links start anew."))
        self._runtime.foreign.attach(None)

    # What the runtime hands over, called from any process's callback.

    def post(self, pid: Pid, kind: Kind, message: Message) -> bool:
        """Take a message for a linked node; see `runtime.Distribution`."""
        channel = self._linked[pid.node]
        frame = self._translation.post(pid, kind, message, channel.session.version)
        outbound = channel.outbound
        taken = outbound.put(frame) if kind is not Kind.SHEDDABLE else outbound.put_sheddable(frame)
        if not channel.is_dirty:
            self._soil(channel)
        elif outbound.size_bytes > FLUSH_SIZE_BYTES:
            channel.flush()
        return taken

    def carry(self, node: str, signal: Signal) -> bool:
        """Take a signal for a linked node; see `runtime.Distribution`."""
        channel = self._linked[node]
        frame = self._translation.signal(signal, channel.session.version)
        if not channel.is_dirty:
            self._soil(channel)
        if isinstance(signal, Call):
            return channel.outbound.put(frame)
        if not channel.outbound.put_owed(frame):
            channel.overflowed = True
        return True

    def _soil(self, channel: Channel) -> None:
        channel.is_dirty = True
        self._dirty.append(channel)
        self.process.defer()

    def handle_deferred(self) -> None:
        """Write what the tick has gathered."""
        dirty, self._dirty = self._dirty, []
        for channel in dirty:
            channel.is_dirty = False
            if channel.overflowed and self._linked.get(channel.session.peer) is channel:
                sentence = f"{channel.session.peer} takes in less than this node owes it; see what holds it up."
                self._end(channel, LinkError(LinkCode.OVERFLOW, sentence))
            else:
                channel.flush()

    # What the network tells.

    def handle_cast(self, message: Message) -> None:
        """A connection, its bytes, or its end."""
        match message:
            case Received(connection, data):
                channel = self._channels.get(connection)
                if channel is not None:
                    self._receive(channel, data)
                connection.taken(len(data))
            case Writable(connection):
                channel = self._channels.get(connection)
                if channel is not None:
                    channel.flush()
            case Accepted(connection):
                self._accept(connection)
            case Dialled(number, connection):
                self._dialled(number, connection)
            case DialFailed(number):
                self._dial_failed(number)
            case Lost(connection, problem):
                channel = self._channels.get(connection)
                if channel is not None:
                    self._end(channel, LinkError(LinkCode.LOST, f"The connection broke: {problem}."))
            case _:
                super().handle_cast(message)

    def handle_info(self, message: Message) -> None:
        """The beat."""
        if message != _BEAT:
            self.process.ignore(message)
            return
        self.process.send_after(self._limits.beat_s, _BEAT)
        now_s = self._runtime.clock.now_s()
        for channel in tuple(self._channels.values()):
            fault = channel.fault(now_s, self._limits.silent_s)
            if fault is not None:
                self._end(channel, fault)
            elif channel.is_heartbeat_due(now_s, self._limits.heartbeat_s):
                channel.say_heartbeat(now_s, self._runtime.clock.wall_ms())
        for number in [number for number, (_, by_s) in self._dials.items() if now_s >= by_s]:
            self._dial_failed(number)
        for peer in self._me.peers.values():
            self._dial_if_due(peer, now_s)

    def _accept(self, connection: Connection) -> None:
        """Hear a dialler out; where too many are being heard, the one that has taken longest goes.

        So strangers that say nothing cannot keep a node out: its handshake takes milliseconds.
        """
        waiting = [channel for channel in self._channels.values() if not (channel.is_up or channel.session.is_dialler)]
        if len(waiting) >= self._limits.waiting_max:
            sentence = f"{len(waiting)} others dialled {self._me.name} at once; dial again."
            self._end(waiting[0], LinkError(LinkCode.TOO_SLOW, sentence))
        self._open(connection, Session(self._me, None, self._random_bytes))

    def _open(self, connection: Connection, session: Session) -> Channel:
        now_s = self._runtime.clock.now_s()
        channel = Channel(connection, session, now_s + self._limits.up_s, self._limits.outbound_size_bytes_max)
        self._channels[connection] = channel
        channel.write_session()
        return channel

    def _dial_if_due(self, peer: Peer, now_s: float) -> None:
        name = peer.name
        if peer.address is None or name in self._linked or name in self._dialling or name in self._greeted:
            return
        if now_s >= self._dial_at.get(name, 0.0):
            number = self._last_dial = self._last_dial + 1
            self._dials[number] = (name, now_s + self._limits.up_s)
            self._dialling[name] = None
            self._network.dial(number, peer.address)

    def _dialled(self, number: int, connection: Connection) -> None:
        name = self._undialled(number)
        if name is None:
            connection.close()
            return
        self._dialling[name] = self._open(connection, Session(self._me, self._me.peers[name], self._random_bytes))

    def _dial_failed(self, number: int) -> None:
        name = self._undialled(number)
        if name is not None:
            del self._dialling[name]
            self._wait_to_dial(name, None)

    def _undialled(self, number: int) -> str | None:
        """Whom that dial was for, if it still waits for its answer."""
        name, _ = self._dials.pop(number, ("", 0.0))
        return name if name in self._dialling and self._dialling[name] is None else None

    def _wait_to_dial(self, name: str, code: LinkCode | None) -> None:
        """Set the moment of the next dial: sooner at first, later after each failure, never together with the peer."""
        limits = self._limits
        if code in _LASTING:
            wait_s = limits.redial_refused_s
        else:
            wait_s = self._dial_wait.get(name, limits.beat_s)
            self._dial_wait[name] = min(2 * wait_s, limits.redial_s_max)
        self._dial_at[name] = self._runtime.clock.now_s() + wait_s * (0.5 + self._runtime.randomness.random())

    def _receive(self, channel: Channel, data: bytes) -> None:
        fault: LinkError | None = None
        try:
            frames = channel.session.receive(data)
        except LinkError as error:
            frames, fault = error.frames, error
        channel.heard_s = self._runtime.clock.now_s()
        for frame in frames:
            self._take(channel, frame)
        if channel.connection not in self._channels:
            return
        if fault is not None:
            self._end(channel, fault)
            return
        channel.write_session()
        peer = channel.session.peer
        if self._linked.get(peer) is channel and self._runtime.foreign.tied(peer) > self._limits.ties_max:
            sentence = f"{peer} ties more than {self._limits.ties_max} of its processes to {self._me.name}; tie fewer."
            self._end(channel, LinkError(LinkCode.FLOOD, sentence))

    def _take(self, channel: Channel, frame: LinkFrame) -> None:
        session = channel.session
        if type(frame) is PostFrame:
            if self._linked.get(session.peer) is channel:
                self._translation.receive_post(frame)
        elif isinstance(frame, HelloFrame):
            self._greet(channel)
        elif isinstance(frame, UpFrame):
            self._greeted.pop(session.peer, None)
            self._rise(channel)
        elif isinstance(frame, HeartbeatFrame):
            channel.take_heartbeat(frame.heard, channel.heard_s)
        elif isinstance(frame, ClockFrame):
            self._compare_clocks(channel, frame)
        elif not isinstance(frame, GoodbyeFrame) and self._linked.get(session.peer) is channel:
            self._translation.receive(session.peer, session.incarnation, frame)

    def _compare_clocks(self, channel: Channel, frame: ClockFrame) -> None:
        """Tell when a peer's clock is found to be far from ours, and when it is no more."""
        ahead_s = (frame.wall_ms - self._runtime.clock.wall_ms()) / 1000
        is_apart = abs(ahead_s) > CLOCK_APART_S
        if is_apart != channel.is_clock_apart and self._linked.get(channel.session.peer) is channel:
            channel.is_clock_apart = is_apart
            self._observer(NodeClock(channel.session.peer, ahead_s if is_apart else 0.0))

    def _greet(self, channel: Channel) -> None:
        """Both Hellos are as they should be: let the link come up, unless another one of the pair stays."""
        session = channel.session
        name = session.peer
        if session.state is not SessionState.GREETED:
            return
        if session.is_dialler:
            session.confirm()
            self._rise(channel)
            return
        ours = self._dialling.get(name)
        if ours is not None and self._me.name < name:
            self._end(channel, LinkError(LinkCode.DIALLED_BOTH, f"{self._me.name} and {name} dialled at once."))
            return
        self._dialling.pop(name, None)
        for other, code in ((ours, LinkCode.DIALLED_BOTH), (self._greeted.get(name), LinkCode.REPLACED)):
            if other is not None:
                self._end(other, LinkError(code, f"{name} has dialled {self._me.name}, and that link stays."))
        self._greeted[name] = channel
        session.greet()

    def _rise(self, channel: Channel) -> None:
        session = channel.session
        name = session.peer
        self._dialling.pop(name, None)
        former = self._linked.get(name)
        if former is not None:
            self._end(former, LinkError(LinkCode.REPLACED, f"{name} has lost this link and made another."))
        channel.rise(self._runtime.clock.now_s())
        self._linked[name] = channel
        self.incarnations[name] = session.incarnation
        self._dial_wait.pop(name, None)
        channel.write_session()
        self._observer(NodeUp(name, session.incarnation))

    def _end(self, channel: Channel, error: LinkError) -> None:
        """Close a connection; if it was a link, everything that spanned it hears of it."""
        if self._channels.pop(channel.connection, None) is None:
            return
        session = channel.session
        name = session.peer
        channel.flush()
        session.leave(error.code, error.sentence)
        channel.write_session()
        channel.connection.close()
        for waiting in (self._greeted, self._dialling):
            if waiting.get(name) is channel:
                del waiting[name]
        if self._linked.get(name) is channel:
            del self._linked[name]
            incarnation = self.incarnations.pop(name)
            self._runtime.foreign.node_down(name)
            self._wait_to_dial(name, error.code)
            self._observer(NodeDown(name, incarnation, error.code, error.sentence))
            return
        if session.is_dialler and name not in self._linked:
            self._wait_to_dial(name, error.code)
        if error.code in _LASTING:
            self._report(NodeRefused(name, error.code, error.sentence))

    def _report(self, refused: NodeRefused) -> None:
        """Tell of a refusal; of strangers not more often than once a second, for anybody can knock."""
        now_s = self._runtime.clock.now_s()
        if not refused.node:
            if now_s < self._report_at_s:
                return
            self._report_at_s = now_s + STRANGER_REPORT_S
        self._observer(refused)
