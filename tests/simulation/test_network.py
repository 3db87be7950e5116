"""The simulated network keeps what TCP promises its users, whatever becomes of the segments."""

from __future__ import annotations

import random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.agenda import Agenda
from simulation.coverage import Coverage
from simulation.network import (
    CONNECT_WAIT_S,
    HIGH_WATER_BYTES,
    LOW_WATER_BYTES,
    RETRANSMISSION_S,
    RETRANSMISSIONS_MAX,
    SOCKET_BUFFER_BYTES,
    Conditions,
    Network,
    Pipe,
    Socket,
)

WAY: Final = "way"
END: Final = b""

conditions = st.builds(
    Conditions,
    latency_s=st.sampled_from([(0.002, 0.03), (0.01, 2.0), (0.5, 0.5)]),
    loss=st.sampled_from([0.0, 0.05, 0.3, 0.8]),
    duplication=st.sampled_from([0.0, 0.3, 1.0]),
)
writes = st.lists(st.binary(min_size=1, max_size=4_000), max_size=12)


def network_of(seed: int = 1) -> Network:
    return Network(Agenda(), random.Random(seed), Coverage())


def rest(network: Network) -> None:
    """Let everything happen that ever will."""
    while network.agenda.next_s() is not None:
        network.agenda.run_next()


class Line:
    """A stream of one direction, whose reader writes down what it gets: bytes, and in the end the end."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.dead = False
        self.heard: list[bytes] = []
        self.pipe = Pipe(self, WAY, self.heard.append, lambda: self.heard.append(END))

    def give_up(self) -> None:
        self.dead = True


class End:
    """An end of a connection, which writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[str | bytes | bool] = []

    def connected(self, socket: Socket) -> None:
        self.heard.append("connected")

    def received(self, socket: Socket, data: bytes) -> None:
        self.heard.append(data)

    def lost(self, socket: Socket) -> None:
        self.heard.append("lost")

    def pressed(self, socket: Socket, full: bool) -> None:
        self.heard.append(full)

    @property
    def data(self) -> bytes:
        return b"".join(it for it in self.heard if isinstance(it, bytes))


def connected(network: Network) -> tuple[Socket, End, End]:
    """A connection that stands: itself, the device's end, the node's end."""
    client, server = End(), End()
    sockets: list[Socket] = []

    def listen(socket: Socket) -> End:
        sockets.append(socket)
        return server

    network.connect(WAY, client, listen)
    rest(network)
    assert (client.heard, server.heard) == (["connected"], ["connected"])
    client.heard.clear()
    server.heard.clear()
    return sockets[0], client, server


# What a reader gets.


@settings(max_examples=200)
@given(seed=st.integers(0, 1_000), now=conditions, said=writes, gap_s=st.sampled_from([0.0, 0.01, 1.0]))
def test_bytes_come_in_order_and_once_and_the_end_behind_them_or_the_line_is_given_up(
    seed: int, now: Conditions, said: list[bytes], gap_s: float
) -> None:
    line = Line(network_of(seed))
    line.network.conditions = now
    for number, data in enumerate(said):
        line.network.agenda.at(number * gap_s, lambda data=data: line.pipe.send(data))  # type: ignore[misc]
    line.network.agenda.at(len(said) * gap_s, line.pipe.close)
    rest(line.network)
    whole = b"".join(said)
    if line.dead:
        assert now.loss > 0
        assert whole.startswith(b"".join(line.heard))
    else:
        assert line.heard.pop() == END
        assert END not in line.heard
        assert b"".join(line.heard) == whole
    line.network.conditions = Conditions()
    line.pipe.send(b"too late")
    line.pipe.close()
    assert line.network.agenda.next_s() is None, "nothing is said behind the end"


@settings(max_examples=200)
@given(
    seed=st.integers(0, 1_000),
    now=conditions,
    said=writes,
    pauses=st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20)), max_size=3),
    clogs=st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20)), max_size=2),
)
def test_a_reader_who_pauses_and_a_way_that_is_clogged_lose_nothing_and_the_end_waits_for_both(
    seed: int,
    now: Conditions,
    said: list[bytes],
    pauses: list[tuple[float, float]],
    clogs: list[tuple[float, float]],
) -> None:
    line = Line(network_of(seed))
    network, pipe = line.network, line.pipe
    network.conditions = Conditions(now.latency_s, 0.0, now.duplication)

    def pause() -> None:
        pipe.paused = True

    for begin_s, lasts_s in pauses:
        network.agenda.at(begin_s, pause)
        network.agenda.at(begin_s + lasts_s, pipe.resume)
    for begin_s, lasts_s in clogs:
        network.agenda.at(begin_s, lambda: network.clog(WAY))
        network.agenda.at(begin_s + lasts_s, lambda: network.unclog(WAY))
    for number, data in enumerate(said):
        network.agenda.at(number * 0.5, lambda data=data: pipe.send(data))  # type: ignore[misc]
    network.agenda.at(len(said) * 0.5, pipe.close)
    rest(network)
    assert not line.dead
    assert line.heard.pop() == END
    assert END not in line.heard
    assert b"".join(line.heard) == b"".join(said)


def test_a_paused_reader_reads_the_rest_before_it_hears_of_the_end() -> None:
    line = Line(network_of())
    line.pipe.paused = True
    line.pipe.send(b"goodbye")
    line.pipe.close()
    rest(line.network)
    assert line.heard == []
    line.pipe.resume()
    assert b"".join(line.heard[:-1]) == b"goodbye"
    assert line.heard[-1] == END
    line.pipe.resume()
    assert line.heard.count(END) == 1


def test_a_reader_who_stops_in_the_middle_of_what_waited_goes_on_where_it_stopped() -> None:
    network = network_of()
    heard: list[bytes] = []

    def read(data: bytes) -> None:
        heard.append(data)
        line.pipe.paused = True

    line = Line(network)
    line.pipe = Pipe(line, WAY, read, lambda: heard.append(END))
    line.pipe.paused = True
    for data in (b"one", b"two"):
        line.pipe.send(data)
        rest(network)
    line.pipe.close()
    rest(network)
    for _ in range(20):
        line.pipe.resume()
    assert b"".join(heard) == b"onetwo"
    assert heard.index(END) == len(heard) - 1


def test_nothing_is_read_on_a_connection_that_is_over() -> None:
    line = Line(network_of())
    line.pipe.paused = True
    line.pipe.send(b"never read")
    line.pipe.close()
    rest(line.network)
    line.give_up()
    line.pipe.resume()
    assert line.heard == []


# What is lost on the way.


def test_a_way_on_which_nothing_passes_is_given_up_after_all_its_pauses() -> None:
    line = Line(network_of())
    line.network.cut.add(WAY)
    line.pipe.send(b"x")
    rest(line.network)
    assert line.dead
    assert line.network.agenda.now_s == pytest.approx(RETRANSMISSION_S * (2 ** (RETRANSMISSIONS_MAX + 1) - 1))


def test_a_cut_that_is_mended_in_time_costs_time_and_no_byte() -> None:
    line = Line(network_of())
    line.network.cut.add(WAY)
    line.pipe.send(b"late")
    line.network.agenda.at(5.0, lambda: line.network.cut.discard(WAY))
    rest(line.network)
    assert b"".join(line.heard) == b"late"
    assert line.network.agenda.now_s > 5.0


def test_a_clogged_way_holds_everything_until_it_is_not() -> None:
    line = Line(network_of())
    line.network.clog(WAY)
    line.pipe.send(b"held")
    rest(line.network)
    assert line.heard == []
    line.network.unclog(WAY)
    rest(line.network)
    assert b"".join(line.heard) == b"held"


def test_a_slow_way_is_slow_and_no_other_one() -> None:
    network = network_of()
    network.slow[WAY] = Conditions(latency_s=(5.0, 5.0))
    slow, usual = Line(network), Line(network)
    usual.pipe = Pipe(usual, "another way", usual.heard.append, lambda: None)
    for line in (slow, usual):
        line.pipe.send(b"x")
    while not usual.heard:
        network.agenda.run_next()
    assert network.agenda.now_s < 1.0
    rest(network)
    assert (slow.heard, network.agenda.now_s) == ([b"x"], 5.0)


def test_what_piles_up_is_counted_without_what_two_kernels_hold() -> None:
    line = Line(network_of())
    line.pipe.paused = True
    line.pipe.send(bytes(SOCKET_BUFFER_BYTES))
    assert line.pipe.backlog_bytes == 0
    line.pipe.send(bytes(10))
    assert line.pipe.backlog_bytes == 10
    rest(line.network)
    assert line.pipe.backlog_bytes == 10
    line.pipe.resume()
    assert line.pipe.backlog_bytes == 0


def test_a_network_reaches_what_it_is_there_for() -> None:
    network = network_of(3)
    network.conditions = Conditions((0.01, 2.0), 0.2, 0.5)
    line = Line(network)
    for _ in range(50):
        line.pipe.send(bytes(3_000))
    rest(network)
    for branch in ("a segment is lost", "a segment comes twice", "a segment overtakes another"):
        assert network.coverage.branches[branch] > 0


# What both ends of a connection hear.


def test_what_either_end_says_before_it_leaves_is_heard_before_it_is_missed() -> None:
    for leaves_first in ("client", "server"):
        network = network_of()
        socket, client, server = connected(network)
        socket.send(b"from the device")
        socket.write(b"from the node")
        rest(network)
        assert (client.data, server.data) == (b"from the node", b"from the device")
        if leaves_first == "client":
            socket.send(b", last words")
            socket.leave()
        else:
            socket.write(b", last words")
            socket.close()
        rest(network)
        there = server if leaves_first == "client" else client
        assert there.data.endswith(b", last words")
        assert there.heard[-1] == "lost"
        assert [it for it in (client if there is server else server).heard if it == "lost"] == []
        assert network.open == {}


def test_nobody_listens_or_nothing_passes_is_the_end_of_an_attempt() -> None:
    network = network_of()
    refused, waits = End(), End()
    network.connect(WAY, refused, lambda socket: None)
    rest(network)
    assert refused.heard == ["lost"]
    network.cut.add(WAY)
    begun_s = network.agenda.now_s
    network.connect(WAY, waits, lambda socket: End())
    rest(network)
    assert waits.heard == ["lost"]
    assert network.agenda.now_s - begun_s == CONNECT_WAIT_S
    assert network.open == {}


def test_a_device_that_leaves_without_a_word_is_found_out_by_the_next_byte() -> None:
    network = network_of()
    socket, client, server = connected(network)
    socket.leave(told=False)
    rest(network)
    assert server.heard == []
    socket.write(b"are you there")
    rest(network)
    assert server.heard == ["lost"]
    assert client.heard == []


@pytest.mark.parametrize("told", [True, False])
def test_a_host_that_is_gone_says_so_or_is_found_out_by_the_next_byte(told: bool) -> None:
    network = network_of()
    socket, client, server = connected(network)
    socket.vanish(told)
    socket.write(b"a killed process says nothing")
    rest(network)
    assert client.heard == (["lost"] if told else [])
    if not told:
        socket.send(b"are you there")
        rest(network)
    assert client.heard == ["lost"]
    assert server.heard == []


def test_an_abort_throws_away_what_has_not_come_and_the_device_hears_of_it() -> None:
    network = network_of()
    socket, client, _ = connected(network)
    network.slow[WAY] = Conditions(latency_s=(9.0, 9.0))
    socket.write(b"too slow")
    socket.abort()
    rest(network)
    assert client.heard == ["lost"]


def test_a_node_is_told_once_that_its_reader_is_slow_and_once_that_it_is_not() -> None:
    network = network_of()
    socket, client, server = connected(network)
    socket.down.paused = True
    for _ in range(3):
        socket.write(bytes(HIGH_WATER_BYTES))
    rest(network)
    assert server.heard == [True]
    assert socket.get_write_buffer_size() > HIGH_WATER_BYTES
    socket.down.resume()
    rest(network)
    assert server.heard == [True, False]
    assert socket.get_write_buffer_size() < LOW_WATER_BYTES
    assert len(client.data) == 3 * HIGH_WATER_BYTES


def test_when_a_network_heals_everything_passes_and_everybody_reads() -> None:
    network = network_of()
    socket, client, _ = connected(network)
    network.conditions = Conditions(loss=0.99)
    network.slow[WAY] = Conditions(latency_s=(99.0, 99.0), loss=0.99)
    network.cut.add("elsewhere")
    network.clog(WAY)
    socket.down.paused = True
    socket.write(b"at last")
    rest(network)
    network.heal()
    rest(network)
    assert client.data == b"at last"
    assert (network.cut, network.clogged, network.slow) == (set(), {}, {})
    assert network.conditions == Conditions()
