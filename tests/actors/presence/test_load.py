"""A node that is behind sheds presence and typing, and brings them back by itself."""

from __future__ import annotations

from actors.presence.api import Load, Vanish
from actors.presence.load import BEAT_S, CALM_BEATS, LATE_BEATS
from protocol import ClientId, Code, ConversationId
from protocol import messages as m
from runtime import KILLED
from tests.actors.small_node import SmallDevice, SmallNode

CHAT = ConversationId("ann:bob")


def live(node: SmallNode, devices: tuple[SmallDevice, ...], duration_s: float) -> None:
    """Time passes, and every device gives its signs of life."""
    for _ in range(int(duration_s // 50)):
        node.wait(50.0)
        for device in devices:
            device.say(m.Ping(1))


def test_one_pause_is_no_load_and_a_short_calm_is_no_end_of_it() -> None:
    told: list[str] = []
    load = Load(0.5, lambda event, **fields: told.append(event))
    for lag_s in (*[0.6] * (LATE_BEATS - 1), 0.5, 0.6):
        load.measured(lag_s)
    assert not load.shedding
    for _ in range(LATE_BEATS):
        load.measured(0.6)
    assert load.shedding
    for lag_s in (*[0.2] * (CALM_BEATS - 1), 0.3, 0.2):
        load.measured(lag_s)
    assert load.shedding
    for _ in range(CALM_BEATS - 1):
        load.measured(0.2)
    assert not load.shedding
    assert told == ["presence_shed", "presence_back"]


def test_a_lag_of_nothing_means_that_nothing_is_ever_shed() -> None:
    load = Load(0.0)
    for _ in range(100):
        load.measured(60.0)
    assert not load.shedding


def test_the_beat_of_a_node_tells_how_late_it_is() -> None:
    node = SmallNode(load=Load(0.5))
    node.wait(60 * BEAT_S)
    assert not node.load.shedding
    node.lag(0.6, LATE_BEATS)
    assert node.load.shedding
    node.wait((CALM_BEATS + 1) * BEAT_S)
    assert not node.load.shedding


def test_a_busy_node_carries_messages_without_presence_and_both_come_back_by_themselves() -> None:
    node = SmallNode(load=Load(0.5))
    ann, bob = node.device("ann"), node.device("bob")
    ann.say(m.Open(CHAT))
    assert [frame.online for frame in ann.take(m.Presence)] == [True]
    node.lag(0.6, LATE_BEATS)
    error = bob.ask(m.Open(CHAT), m.Error)
    assert (error.code, error.request) == (Code.NOT_AVAILABLE, 0)
    assert "busy" in error.sentence
    bob.say(m.Typing(CHAT, True), m.SetState(False, 60))
    assert ann.heard == []
    bob.ask(m.Send(CHAT, 1, ClientId(b"c" * 16), b"now"), m.Sent)
    assert ann.take(m.Deliver)[0].message.payload == b"now"
    live(node, (ann, bob), 150.0)
    assert [frame.online for frame in ann.take(m.Presence)] == [False]
    assert [frame.online for frame in bob.take(m.Presence)] == [True]


def test_watchers_of_a_presence_that_crashed_hear_again_without_opening_the_chat_again() -> None:
    node = SmallNode()
    ann, bob = node.device("ann"), node.device("bob")
    ann.say(m.Open(CHAT))
    ann.take(m.Presence)
    pid = node.router.live_presence(bob.account)
    assert pid is not None
    node.runtime.exit(pid, KILLED)
    node.settle()
    bob.say(m.SetState(False, 60))
    assert ann.take(m.Presence) == []
    live(node, (ann, bob), 150.0)
    assert [frame.online for frame in ann.take(m.Presence)] == [False]


def test_a_lost_word_of_a_queue_is_found_out_by_asking_again() -> None:
    node = SmallNode()
    ann, bob = node.device("ann"), node.device("bob")
    ann.say(m.Open(CHAT))
    assert ann.take(m.Presence)[0].online
    pid = node.router.live_presence(bob.account)
    assert pid is not None
    node.runtime.cast(pid, Vanish(bob.device))  # as if the Appear that followed it had been shed
    node.wait(1.0)
    assert not ann.take(m.Presence)[0].online
    live(node, (ann, bob), 400.0)
    assert ann.take(m.Presence)[-1].online
