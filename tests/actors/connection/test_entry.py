"""A connection that leaves for the worker which has its account, byte by byte and turn by turn."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.connection.api import Drain, Ended, Luggage
from actors.connection.entry import unacted
from protocol import Code
from protocol import messages as m
from runtime import KILLED
from tests.actors.small_node import SmallDevice, SmallNode

if TYPE_CHECKING:
    from actors.connection.api import Transport
    from protocol import AccountId

LOGIN_TIMEOUT_S = 300.0


class Siblings:
    """Worker `b` has everybody whose address does not say that they live here."""

    def __init__(self) -> None:
        self.held: list[Transport] = []
        self.taken: list[tuple[str, Transport, Luggage]] = []

    def sibling_of(self, account: AccountId) -> str | None:
        """As `actors.connection.api.Siblings`."""
        return None if account.startswith("here") else "b"

    def hold(self, transport: Transport) -> None:
        """As `actors.connection.api.Siblings`."""
        self.held.append(transport)

    def take(self, sibling: str, transport: Transport, luggage: Luggage) -> None:
        """As `actors.connection.api.Siblings`."""
        self.taken.append((sibling, transport, luggage))


def the_first_words(device: SmallDevice) -> list[bytes]:
    """All that a client of an account says up to its session and a little further, in several records."""
    parts = []
    rounds: list[list[m.ClientFrame]] = [
        [m.Hello([1], "small"), m.Ping(1)],
        [device.a_login()],
        [m.Ping(2), m.Ping(3)],
    ]
    for frames in rounds:
        for frame in frames:
            device.wire.send(frame)
        parts.append(device.wire.data_to_send())
    return parts


def greeted(node: SmallNode, home: SmallNode, registered: SmallDevice | None = None) -> SmallDevice:
    """A device of an account of `home` that connects to `node`, up to the end of the handshake."""
    registered = registered or home.device("ann")
    device = SmallDevice(node, key=registered.key, hello=False)
    device.account = registered.account
    return device


def test_nothing_that_a_client_says_is_lost_or_doubled_wherever_it_is_when_it_moves() -> None:
    siblings = Siblings()
    node, home = SmallNode(siblings=siblings), SmallNode()
    ann = home.device("ann")

    @given(cuts=st.lists(st.integers(0, 400), max_size=6), at_once=st.integers(1, 7))
    def it_moves(cuts: list[int], at_once: int) -> None:
        siblings.held.clear()
        siblings.taken.clear()
        device = greeted(node, home, ann)
        data = b"".join(the_first_words(device))
        edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        pieces = [data[start:end] for start, end in pairwise(edges)]
        while pieces and not siblings.held:
            for piece in pieces[:at_once]:
                node.runtime.cast(device.pid, piece)
            del pieces[:at_once]
            node.settle()
        ((sibling, transport, luggage),) = siblings.taken
        assert (sibling, transport, siblings.held) == ("b", device, [device])
        assert not device.closed
        assert not node.runtime.is_alive(device.pid)
        device.arrive(home, luggage)
        for piece in pieces:
            home.runtime.cast(device.pid, piece)
        home.settle()
        assert type(device.heard[0]) is m.Welcome
        kinds = sorted(type(frame).__name__ for frame in device.heard)
        assert kinds == ["Drained", "Pong", "Pong", "Pong", "Ready", "Welcome"]
        assert [frame.token for frame in device.heard if isinstance(frame, m.Pong)] == [1, 2, 3]
        assert device.ask(m.Ping(4), m.Pong).token == 4
        device.say(m.Bye())

    it_moves()


def test_what_a_connection_takes_along_shows_nothing_of_it() -> None:
    siblings = Siblings()
    node, home = SmallNode(siblings=siblings), SmallNode()
    device = greeted(node, home)
    node.runtime.cast(device.pid, b"".join(the_first_words(device)))
    node.settle()
    ((_, _, luggage),) = siblings.taken
    assert repr(luggage) == "Luggage(...)"
    assert unacted(luggage)[0] == device.a_login()


def test_frames_that_nobody_knows_are_answered_by_whoever_has_the_account() -> None:
    siblings = Siblings()
    node, home = SmallNode(siblings=siblings), SmallNode()
    device = greeted(node, home)
    parts = the_first_words(device)
    device.wire._plaintext = bytearray(b"\x00\x00\x03\x91\xcc\xc8")
    node.runtime.cast(device.pid, b"".join(parts) + device.wire.data_to_send())
    node.settle()
    ((_, _, luggage),) = siblings.taken
    device.arrive(home, luggage)
    assert [error.code for error in device.heard if isinstance(error, m.Error)] == [Code.UNKNOWN_FRAME]


def test_a_move_gives_a_client_no_more_time_to_log_in() -> None:
    siblings = Siblings()
    node, home = SmallNode(siblings=siblings), SmallNode()
    device = SmallDevice(node)
    node.wait(100.0)
    device.say(m.RequestCode(1, "ann"))
    ((_, _, luggage),) = siblings.taken
    home.wait(100.0)
    device.heard.clear()
    device.arrive(home, luggage)
    assert [type(frame) for frame in device.heard] == [m.CodeSent]
    home.wait(LOGIN_TIMEOUT_S - 101.0)
    assert not device.closed
    home.wait(2.0)
    assert [closing.code for closing in device.take(m.Closing)] == [Code.LOGIN_TIMEOUT]


def test_a_login_that_is_too_late_when_it_arrives_is_told_so() -> None:
    siblings = Siblings()
    node, home = SmallNode(siblings=siblings), SmallNode()
    device = SmallDevice(node)
    device.say(m.RequestCode(1, "ann"))
    ((_, _, luggage),) = siblings.taken
    home.wait(LOGIN_TIMEOUT_S + 1.0)
    device.arrive(home, luggage)
    home.wait(0.1)
    assert [closing.code for closing in device.take(m.Closing)] == [Code.LOGIN_TIMEOUT]


@pytest.mark.parametrize("moves_last", [True, False])
def test_of_two_connections_the_one_opened_later_stays_whichever_moves_and_logs_in_last(moves_last: bool) -> None:
    siblings = Siblings()
    node, home = SmallNode(siblings=siblings), SmallNode()
    ann = home.device("ann")
    node.wait(home.clock.now_s() - node.clock.now_s())
    older = greeted(node, home, ann)
    home.wait(0.5)
    newer = greeted(home, home, ann)
    node.runtime.cast(older.pid, b"".join(the_first_words(older)))
    node.settle()
    ((_, _, luggage),) = siblings.taken

    def log_in() -> None:
        newer.say(m.Hello([1], "small"), newer.a_login())

    def move() -> None:
        older.arrive(home, luggage)

    for act in (log_in, move) if moves_last else (move, log_in):
        home.wait(0.5)
        act()
    assert [closing.code for closing in older.take(m.Closing)] == [Code.REPLACED]
    assert newer.ask(m.Ping(4), m.Pong).token == 4


def test_whom_this_worker_has_answered_it_keeps() -> None:
    siblings = Siblings()
    node = SmallNode(siblings=siblings)
    device = SmallDevice(node)
    device.register("here.ann")
    device.say(m.RequestCode(3, "somebody"))
    device.ask(device.a_login(), m.Ready)
    device.say(m.RequestCode(4, "somebody"))
    assert siblings.taken == []


def test_who_has_broken_the_protocol_behind_its_login_goes_nowhere() -> None:
    siblings = Siblings()
    node, home = SmallNode(siblings=siblings), SmallNode()
    device = greeted(node, home)
    node.runtime.cast(device.pid, b"".join(the_first_words(device)) + b"junk")
    node.settle()
    assert siblings.taken == []
    assert device.closed


@pytest.mark.parametrize("word", [Ended(), Drain(500), "kill"])
def test_whatever_happens_in_the_turn_between_the_socket_is_left_to_one(word: object) -> None:
    home = SmallNode()
    ann = home.device("ann")
    ends = set()
    for steps in range(12):
        siblings = Siblings()
        node = SmallNode(siblings=siblings)
        device = greeted(node, home, ann)
        node.runtime.cast(device.pid, b"".join(the_first_words(device)))
        for _ in range(steps):
            node.scheduler.step()
        if word == "kill":
            node.runtime.exit(device.pid, KILLED)
        else:
            node.runtime.cast(device.pid, word)
        node.settle()
        assert not node.runtime.is_alive(device.pid)
        assert len(siblings.taken) <= 1
        assert word == "kill" or device.closed == (not siblings.taken)
        ends.add(bool(siblings.taken))
    assert True in ends
