"""Somebody between client and server who cuts, doubles, reorders, flips and injects whatever passes.

What holds against them: no frame is taken that was not said, and each is taken in its order, once; the only error is
`RemoteProtocolError`; whoever was lied to closes for good, and the server's last word carries its code.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocol import ClientWire, Code, RemoteProtocolError, ServerWire
from protocol import messages as m
from protocol.limits import RECORD_SIZE_BYTES_MAX
from protocol.records import HEADER_SIZE_BYTES
from tests.protocol import links
from tests.protocol.frame_examples import EXAMPLES

SAID_BY_CLIENT: list[m.ClientFrame] = [
    links.HELLO,
    links.LOGIN,
    *(it for it in EXAMPLES if isinstance(it, m.Send | m.Ack | m.Ping | m.Lookup | m.FetchMarks)),
]
SAID_BY_SERVER: list[m.ServerFrame] = [
    links.WELCOME,
    links.READY,
    *(it for it in EXAMPLES if isinstance(it, m.Sent | m.Deliver | m.Pong | m.Profile | m.Receipt)),
]
IN_TRANSIT_MAX = 12
JUNK = b"\xff" * (HEADER_SIZE_BYTES + RECORD_SIZE_BYTES_MAX)
"""No header begins so, and it ends any record that has begun."""


class Direction:
    """One way of the link: what is on the line, what was said, and what was taken for said."""

    def __init__(self, sender: ServerWire | ClientWire, receiver: ServerWire | ClientWire) -> None:
        self.sender = sender
        self.receiver = receiver
        self.line: list[bytes] = []
        self.said: list[object] = []
        self.taken: list[object] = []
        self.error: RemoteProtocolError | None = None
        self.alerts: list[m.Alert] = []

    def collect(self) -> None:
        """Put on the line what the sender has to write, one segment a record."""
        data = self.sender.data_to_send()
        while data:
            end = HEADER_SIZE_BYTES + int.from_bytes(data[1:HEADER_SIZE_BYTES], "big")
            self.line.append(data[:end])
            data = data[end:]

    def deliver(self, data: bytes) -> None:
        """Give bytes to the receiver."""
        closed = self.receiver.closed
        try:
            events: list[object] = list(self.receiver.receive_data(data))
        except RemoteProtocolError as error:
            self.error, events = error, error.frames
            assert self.receiver.closed
        assert not (closed and events), "a closed wire takes nothing"
        self.alerts += [event for event in events if isinstance(event, m.Alert)]
        self.taken += [event for event in events if not isinstance(event, m.Alert)]


class Attacker(RuleBasedStateMachine):
    """The link and the one who holds it."""

    @initialize(stage=st.sampled_from(("fresh", "greeting", "ready")))
    def link(self, stage: str) -> None:
        server, client = {"fresh": links.fresh, "greeting": links.greeting, "ready": links.ready}[stage]()
        self.up, self.down = Direction(client, server), Direction(server, client)
        self.server, self.client = server, client

    directions = st.sampled_from(("up", "down"))
    places = st.integers(0, IN_TRANSIT_MAX - 1)

    def way(self, name: str) -> Direction:
        """The direction, with everything on the line that is to be there."""
        way: Direction = getattr(self, name)
        way.collect()
        return way

    @rule(choice=st.integers(0, 1_000))
    def the_client_says_something(self, choice: int) -> None:
        frames = [frame for frame in SAID_BY_CLIENT if type(frame) in self.client._says]
        if frames:
            self.client.send(frames[choice % len(frames)])
            self.up.said.append(frames[choice % len(frames)])

    @rule(choice=st.integers(0, 1_000))
    def the_server_says_something(self, choice: int) -> None:
        frames = [frame for frame in SAID_BY_SERVER if type(frame) in self.server._says]
        frames = [frame for frame in frames if frame is not links.READY or links.LOGIN in self.up.taken]
        if frames:
            self.server.send(frames[choice % len(frames)])
            self.down.said.append(frames[choice % len(frames)])

    @rule(name=directions)
    def everything_passes(self, name: str) -> None:
        way = self.way(name)
        line, way.line = way.line, []
        for segment in line:
            way.deliver(segment)

    @rule(name=directions, at=places)
    def one_segment_passes_before_its_turn(self, name: str, at: int) -> None:
        way = self.way(name)
        if way.line:
            way.deliver(way.line.pop(at % len(way.line)))

    @rule(name=directions, at=places)
    def one_segment_is_lost(self, name: str, at: int) -> None:
        way = self.way(name)
        if way.line:
            way.line.pop(at % len(way.line))

    @rule(name=directions, at=places)
    def one_segment_is_doubled(self, name: str, at: int) -> None:
        way = self.way(name)
        if way.line and len(way.line) < IN_TRANSIT_MAX:
            way.line.insert(at % len(way.line), way.line[at % len(way.line)])

    @rule(name=directions, at=places, byte=st.integers(0, 10_000), bit=st.integers(0, 7))
    def one_bit_is_flipped(self, name: str, at: int, byte: int, bit: int) -> None:
        way = self.way(name)
        if way.line:
            segment = bytearray(way.line[at % len(way.line)])
            segment[byte % len(segment)] ^= 1 << bit
            way.line[at % len(way.line)] = bytes(segment)

    @rule(name=directions, at=places, place=st.integers(0, 10_000))
    def one_segment_is_cut_in_two(self, name: str, at: int, place: int) -> None:
        way = self.way(name)
        if way.line and len(way.line) < IN_TRANSIT_MAX:
            segment = way.line.pop(at % len(way.line))
            place %= len(segment)
            way.line[at:at] = [part for part in (segment[:place], segment[place:]) if part]

    @rule(name=directions, at=places, data=st.binary(min_size=1, max_size=40))
    def something_is_injected(self, name: str, at: int, data: bytes) -> None:
        way = self.way(name)
        if len(way.line) < IN_TRANSIT_MAX:
            way.line.insert(at, data)

    @rule(name=directions, at=places)
    def one_segment_is_sent_back(self, name: str, at: int) -> None:
        way = self.way(name)
        other = self.way("up" if name == "down" else "down")
        if way.line and len(other.line) < IN_TRANSIT_MAX:
            other.line.append(way.line.pop(at % len(way.line)))

    @precondition(lambda self: self.server.handshake_complete and not self.server.closed)
    @rule()
    def the_server_closes(self) -> None:
        self.server.close(Code.DRAINING)
        self.down.said.append(m.Closing(Code.DRAINING, Code.DRAINING.sentence, 0))

    @invariant()
    def nothing_is_taken_that_was_not_said(self) -> None:
        for way in (self.up, self.down):
            taken = [it for it in way.taken if not isinstance(it, m.Closing)]
            said = [it for it in way.said if not isinstance(it, m.Closing)]
            assert taken == said[: len(taken)]

    @invariant()
    def an_alert_is_believed_only_where_nothing_better_can_be_had(self) -> None:
        assert len(self.down.alerts) <= 1
        assert not self.up.alerts
        if self.down.alerts:
            assert self.client.closed
            assert not self.down.taken

    @invariant()
    def whoever_was_lied_to_is_closed_and_says_why(self) -> None:
        for way in (self.up, self.down):
            if way.error is not None:
                assert way.receiver.closed
                assert way.error.code in Code
                assert way.receiver.receive_data(b"\x02\x00\x20" + bytes(32)) == []

    def teardown(self) -> None:
        """In the end both sides are closed, each with a code: whatever comes next on a broken link is wrong."""
        for way in (self.up, self.down) if hasattr(self, "up") else ():
            way.collect()
            if not way.receiver.closed:
                way.deliver(JUNK)
            assert way.receiver.closed
            closings = [it for it in (*self.down.said, *way.taken) if isinstance(it, m.Closing)]
            assert way.error is not None or way.alerts or closings


TestAttacker = Attacker.TestCase
TestAttacker.settings = settings(max_examples=100, stateful_step_count=30)
