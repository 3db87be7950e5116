"""A simulated device: the real session over its real database, and what a runner does for them, in pieces.

Between any two pieces (a step is decided, committed, spoken) other things happen, and the device may die.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from protocol import AccountId, ClientWire, ConversationId, DeviceId, RemoteProtocolError, State, device_id_of
from protocol.messages import (
    NOTICE_MISSING,
    Alert,
    Deliver,
)
from roost.changes import EpochRenewed, MarksChanged, Missed, NoticeStored, ReceiptStored, Received
from roost.errors import OutboxFullError
from roost.events import DeviceMissed, MessageReceived, PresenceChanged, QueueDrained, StateAsked
from roost.sealing import Sealing
from roost.session import Phase
from runtime import SeededRandomness
from simulation.agenda import HostClock, chance_of
from simulation.attempt import Attempt
from simulation.enrolment import enrolment_of
from simulation.envelopes import Envelopes
from simulation.sharing import Sharing
from simulation.sponsorship import Sponsorship

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from protocol.device_list import IdentityKey
    from protocol.messages import Frame
    from roost.changes import Change
    from roost.link_code import LinkCode
    from roost.session import Session
    from roost.steps import Step
    from simulation.network import Socket
    from simulation.node import SimulatedNode
    from simulation.world import World

__all__ = ["SimulatedDevice"]

COMMIT_S: Final = (0.0005, 0.01)
MOMENT_S: Final = 0.0001
HANDSHAKE_WAIT_S: Final = 10.0
ENROLMENT_RETRY_S: Final = 0.5
AWAY_S: Final = 1.0
WANDERS: Final = 0.2
"""Part of the connections for which a device tries another node though the last one has answered."""


class SimulatedDevice:
    """One device of one person.

    Args:
        world: Where it is.
        account: Whose it is.
        name: Its name in logs.
        nodes: Those that it may connect to.
        folder: Where its database lies.

    Attributes:
        id: Its device id.
        node: To which it connects, or tried to last.
        running: Whether its program runs.
        radio: Whether it has a network.
        life: Grows with each start and each end of its program; what belongs to another life is void.
        session: The session; None before the device is registered and while its program does not run.
        epoch: Under which it numbers its messages, as stored.
        registered: Whether the account has confirmed it.
        doomed: Whether somebody has asked the server to remove it.
        doubts: How often it was led to doubt its numbers.
        received: What its database holds: by conversation and seq, the message id, in order of arrival.
        highest: By conversation, the highest seq in its database.
        delivered: The same, of other people's messages.
        notices: Notices in its database: reason, conversation, seq, account, device.
        read: By conversation: how far it was read, as stored.
        receipts: By conversation and account: delivered and read, as stored.
        seen: By account: the last presence that was shown.
        unread: By conversation: the latest seq that was shown and not yet read.
        dies_after_commit: If its program dies at its next commit, before anybody hears of that: whom to tell.
        messages_too_many: How many of the next deliveries kill its program; for each, whom to tell.
        draining: Whether it is connected and its queue has not yet said that it is empty.
        attempt: Its end of the latest socket.
        store: Its database.
        sharing: What it tells the other devices of its account.
        signs_off: Whether it is asking for a list without some device.
        pumping: Whether it carries out what its session has decided.
    """

    def __init__(
        self, world: World, account: AccountId, name: str, nodes: tuple[SimulatedNode, ...], folder: Path
    ) -> None:
        self.world = world
        self.account = account
        self.name = name
        self.nodes = nodes
        self.node = nodes[0]
        self.path = folder / f"{name}.db"
        self.chance: random.Random = chance_of(world.seed, f"device {name}")
        self.clock = HostClock(world.agenda, self.chance.uniform(0.995, 1.005), self.chance.randrange(-60_000, 60_000))
        self._randomness = SeededRandomness(self.chance.getrandbits(32))
        self.store = world.scenario.database(self.path, durable=False)
        self.key = self.store.static_key(self.chance.randbytes)
        self.id: DeviceId = device_id_of(self.key.public)
        self.epoch = self.store.fact("epoch", b"")
        self.link = name
        self.running = self.registered = self.doomed = self.draining = self.signs_off = False
        self.radio = True
        self.life = 0
        self.session: Session | None = None
        self.doubts = 0
        self.received: dict[tuple[str, int], bytes] = {}
        self.highest: dict[str, int] = {}
        self.delivered: dict[str, int] = {}
        self.notices: set[tuple[int, str, int, str, bytes]] = set()
        self.read: dict[str, int] = {}
        self.receipts: dict[tuple[str, str], tuple[int, int]] = {}
        self.seen: dict[str, bool | None] = {}
        self.unread: dict[ConversationId, int] = {}
        self.attempt: Attempt | None = None
        self._socket: Socket | None = None
        self._wire: ClientWire | None = None
        self._greeted = False
        self.pumping = False
        self.dies_after_commit: Callable[[], None] | None = None
        self.messages_too_many: list[Callable[[], None]] = []
        self._connecting = False
        self._answered = False
        self._wanderlust = chance_of(world.seed, f"wanderlust of {name}")
        self._alarm_s = float("inf")
        self._sponsorship: Sponsorship | None = None
        self._asked: dict[int, Callable[[Frame | None], None]] = {}
        self.sharing = Sharing(self, self.store)
        self._enrolment = enrolment_of(self)
        world.witness.devices[self.id] = self

    def __repr__(self) -> str:
        return self.name

    @property
    def is_primary(self) -> bool:
        """Whether it is the first device of its account."""
        return self.name == f"{self.account}1"

    @property
    def is_signing(self) -> bool:
        """Whether a list is being made; the real client makes one after another."""
        return self.signs_off or not (self._sponsorship is None or self._sponsorship.over)

    @property
    def identity(self) -> IdentityKey:
        """The account's identity, which its primary keeps."""
        return self.store.identity_key(self.chance.randbytes)

    # Its program.

    def start(self, foreground: bool = True) -> None:
        """Start the program on what its database holds."""
        if self.running:
            return
        self.world.log(f"LIFE {self.name} starts")
        self.life += 1
        self.running = True
        self.pumping = self._connecting = False
        self._alarm_s = float("inf")
        if self.life > 1:
            self.store = self.world.scenario.database(self.path, durable=False)
            self.sharing = Sharing(self, self.store)
        if self.registered:
            self._open_session(foreground)
        self._connect_soon(0.0)

    def _open_session(self, foreground: bool) -> None:
        sealing = Sealing(Envelopes(self), self.id) if self.world.seals else None
        self.session = self.world.scenario.session(
            self.store.snapshot(), self.clock, self._randomness, foreground=foreground, sealing=sealing
        )

    def crash(self, told: bool) -> None:
        """The program dies: what was not committed never was.

        Args:
            told: Whether the node hears of it.
        """
        if not self.running:
            return
        self.world.log(f"LIFE {self.name} crashes")
        self.life += 1
        self.running = self.signs_off = False
        self.session = self._sponsorship = None
        self._asked.clear()
        self._enrolment = enrolment_of(self)
        self.seen.clear()
        self._hang_up(told)
        self.store.close()

    def _die_for(self, away_s: float) -> None:
        """Crash, and come back after a while."""
        self.crash(told=True)
        self.later(away_s, self.start)

    def close(self) -> None:
        """The simulation is over."""
        if self.running:
            self.store.close()

    def later(self, delay_s: float, action: Callable[[], object]) -> None:
        """Do something after a while, if this life lasts so long."""
        life = self.life
        self.world.agenda.after(delay_s, lambda: action() if self.life == life else None)

    # What the person's application does.

    @property
    def online(self) -> bool:
        """Whether its session is ready."""
        return self.session is not None and self.session.phase is Phase.READY

    def act(self, action: Callable[[Session], object]) -> None:
        """Let the application call its session."""
        if self.session is not None and self.session.phase is not Phase.STOPPED:
            try:
                action(self.session)
            except OutboxFullError:
                self.world.coverage.reached("an outbox is full")
            self._wake()

    def expect(self, request: int, answered: Callable[[Frame | None], None]) -> None:
        """Let somebody hear the answer to a request, or the next thing passed under LINK; None if none comes."""
        self._asked[request] = answered

    def calm_down(self) -> None:
        """Nothing goes wrong any more."""
        self.dies_after_commit = None
        self.messages_too_many.clear()
        self.set_radio(True)
        self.start()

    def reconnect(self) -> None:
        """Leave, and come back at once."""
        self.act(lambda session: session.leave())

    def doubt_numbers(self) -> None:
        """Begin a new epoch when nothing is uncertain any more, as after the restoration of a copy."""
        self.doubts += 1
        self.act(lambda session: setattr(session._outboxes, "renewing", True))

    def set_radio(self, on: bool) -> None:
        """The network comes or goes."""
        if on == self.radio:
            return
        self.world.log(f"LIFE {self.name} {'has its network again' if on else 'loses its network'}")
        self.radio = on
        if on:
            self.world.network.cut.discard(self.link)
            self._connect_soon(0.0)
        else:
            self.world.network.cut.add(self.link)

    # The pump: steps are carried out one after another.

    def _wake(self) -> None:
        if not self.pumping and self.session is not None:
            self.pumping = True
            self.later(MOMENT_S, self._pump)

    def _pump(self) -> None:
        session = self.session
        assert session is not None, "a pump runs within one life"
        step = session.take_step()
        if not step:
            self.pumping = False
            self._set_alarm()
            self._connect_soon(max(0.0, session.retry_at_s - self.clock.now_s()))
        elif step.changes:
            self.later(self.chance.uniform(*COMMIT_S), lambda: self._commit(step))
        else:
            self._speak(step)

    def _commit(self, step: Step) -> None:
        for event in self.store.apply(step.changes):
            if isinstance(event, DeviceMissed):
                self.act(lambda session, missed=event: session.supplement(missed))  # type: ignore[misc]
            elif isinstance(event, StateAsked):
                self.sharing.answer()
        for change in step.changes:
            self._remember(change)
            self.sharing.committed(change)
            self.world.witness.committed(self, change)
        if self.dies_after_commit is not None:
            self.dies_after_commit()
            self.dies_after_commit = None
            self._die_for(AWAY_S)
            return
        self.later(MOMENT_S, lambda: self._speak(step))

    def _speak(self, step: Step) -> None:
        session = self.session
        assert session is not None, "a pump runs within one life"
        if self._wire is not None and self._greeted and step.connection == session.connection:
            self.say(*step.frames)
            if step.disconnect:
                self._hang_up(told=True)
                session.disconnected("The connection was closed.")
        for answer in step.answers:
            if (answered := self._asked.pop(answer.request, None)) is not None:
                answered(answer.frame)
        for event in step.events:
            self._show(event)
            self.world.witness.published(self, event)
        self._pump()

    def _remember(self, change: object) -> None:
        if isinstance(change, Received):
            self.received[change.conversation, change.seq] = change.message_id
            self.highest[change.conversation] = max(change.seq, self.highest.get(change.conversation, 0))
            if change.sender != self.account:
                self.delivered[change.conversation] = max(change.seq, self.delivered.get(change.conversation, 0))
        elif isinstance(change, EpochRenewed):
            self.epoch = change.epoch
        elif isinstance(change, NoticeStored):
            self.notices.add((change.reason, change.conversation, change.seq, change.account, change.device))
        elif isinstance(change, Missed):
            self.notices.add((NOTICE_MISSING, change.conversation, change.seq, change.account, change.device))
        elif isinstance(change, MarksChanged):
            self.read[change.conversation] = change.read
        elif isinstance(change, ReceiptStored):
            delivered, read = self.receipts.get((change.conversation, change.account), (0, 0))
            self.receipts[change.conversation, change.account] = (
                max(delivered, change.delivered, change.read),
                max(read, change.read),
            )

    def _show(self, event: object) -> None:
        if isinstance(event, MessageReceived) and not event.ephemeral:
            if event.sender != self.account:
                self.unread[event.conversation] = max(event.seq, self.unread.get(event.conversation, 0))
        elif isinstance(event, QueueDrained):
            self.sharing.drained()
        elif isinstance(event, PresenceChanged):
            self.seen[event.account] = event.online

    def _set_alarm(self) -> None:
        session = self.session
        deadline_s = None if session is None else session.next_deadline_s()
        if deadline_s is None:
            return
        due_s = self.clock.true_s(deadline_s)
        if due_s < self._alarm_s:
            self._alarm_s = due_s
            self.later(max(0.0, due_s - self.world.agenda.now_s), lambda: self._ring(due_s))

    def _ring(self, due_s: float) -> None:
        if due_s == self._alarm_s:
            self._alarm_s = float("inf")
            if self.session is not None:
                self.session.advance()
                self._wake()

    # The connection.

    def _connect_soon(self, delay_s: float) -> None:
        """Connect again when it is time, unless that is under way."""
        if self._connecting or self._socket is not None or not self.running:
            return
        if self.session is not None and self.session.phase is not Phase.OFFLINE:
            return
        self._connecting = True
        self.later(delay_s, self._connect)

    def _connect(self) -> None:
        self._connecting = False
        if self._socket is not None or self.pumping:
            return  # what was received is stored before the next connection; the pump's end comes back here
        if self.session is not None:
            if self.session.phase is not Phase.OFFLINE:
                return
            self.session.connecting()
            self._wake()
        self._connecting = True
        self._greeted = False
        self._choose_node()
        attempt = self.attempt = Attempt(self)
        self.world.network.connect(self.link, attempt, self.node.listen)
        self.later(HANDSHAKE_WAIT_S + 2.0, lambda: self._too_slow(attempt))

    def _choose_node(self) -> None:
        """Stay with a node that has answered, mostly; of those that did not, try another."""
        if len(self.nodes) > 1 and (not self._answered or self._wanderlust.random() < WANDERS):
            self.node = self._wanderlust.choice(self.nodes)
        self._answered = False

    def _too_slow(self, attempt: Attempt) -> None:
        if attempt is self.attempt and not self._greeted:
            self._lost("The handshake took too long.")

    def connected(self, socket: Socket) -> None:
        """The TCP connection stands: shake hands."""
        self._connecting = False
        self._socket = socket
        self._wire = ClientWire(self.key, self.node.static_key.public, random_bytes=self.chance.randbytes)
        self._flush()

    def say(self, *frames: object) -> None:
        """Send frames; those that a closed wire cannot take are dropped, as the real client drops them."""
        wire = self._wire
        for frame in frames:
            if wire is not None and wire.state not in (State.CLOSED, State.LEAVING):
                wire.send(frame)  # type: ignore[arg-type]  # checked by the wire itself
        self._flush()

    def _flush(self) -> None:
        if self._wire is not None and self._socket is not None:
            data = self._wire.data_to_send()
            if data:
                self._socket.send(data)

    def received_data(self, data: bytes) -> None:
        """Bytes from the node."""
        wire = self._wire
        assert wire is not None, "bytes come over a connection"
        try:
            events: list[Any] = list(wire.receive_data(data))
        except RemoteProtocolError as error:
            self.world.witness.breaks("both ends understand each other", f"{self} was told nonsense: {error}")
            return
        if wire.handshake_complete and not self._greeted:
            self._greeted = self._answered = True
            self._flush()
            self._greet()
        for event in events:
            if isinstance(event, Alert):
                self._lost(event.sentence, event.retry_after_ms)
                return
            if self.session is None:
                self._enrolment.heard(event)
            elif self.messages_too_many and isinstance(event, Deliver):
                self.messages_too_many.pop()()
                self._die_for(AWAY_S)
                return
            else:
                self.draining = self.draining or type(event).__name__ == "Ready"
                if type(event).__name__ == "Drained":
                    self.draining = False
                self.session.receive(event)
        if self.session is not None:
            self._wake()

    def _greet(self) -> None:
        if self.session is not None:
            self.session.connected()
            self._wake()
        else:
            self._enrolment.greet()

    def enrolled(self, changes: list[Change]) -> None:
        """It is a device of its account.

        Args:
            changes: What it has learned on the way.
        """
        self.store.apply(changes)
        self.store.set_facts(account=self.account.encode(), server=b"simulation:1")
        self.registered = True
        self._hang_up(told=True)
        self._open_session(foreground=True)
        self._connect_soon(0.0)

    def give_up(self) -> None:
        """This connection is of no use."""
        self._lost("The server did not answer in time, or said no.")

    def sponsor(self, code: LinkCode) -> None:
        """A person brings the code of a new device; in vain if this one is busy, or away."""
        if self.online and not self.is_signing:
            self._sponsorship = Sponsorship(self, code)

    def _hang_up(self, told: bool) -> None:
        socket, self._socket, self._wire, self.attempt = self._socket, None, None, None
        self._connecting = False
        self.draining = False
        self._enrolment.ended()
        if socket is not None:
            socket.leave(told)

    def lost(self) -> None:
        """The connection has ended."""
        self._lost("The connection ended.")

    def _lost(self, sentence: str, retry_after_ms: int = -1) -> None:
        self._hang_up(told=True)
        if self.session is not None:
            self.session.disconnected(sentence, retry_after_ms)
            self._wake()
        else:
            self._connect_soon(ENROLMENT_RETRY_S)
