"""Messages are made for the devices that there are, again and again, and brought to those that were missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from protocol import AccountId, Code, DeviceId, direct_conversation
from protocol import messages as m
from roost import events
from roost.audiences import Audiences
from roost.content import Reaction, Text, decode_content, encode_operation
from roost.steps import Step
from tests.roost.two_phones import TwoPhones

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AB = direct_conversation(AccountId("alice"), AccountId("bob"))
NEW = DeviceId(b"n" * 16)


class World(TwoPhones):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.settle()

    def log(self) -> list[str]:
        said = [decode_content(message.payload) for message in self.server.conversations[AB].log]
        return [content.text for content in said if isinstance(content, Text)]

    def missing(self, seq: int) -> m.Notice:
        return m.Notice(0, AB, seq, AccountId("bob"), NEW, m.NOTICE_MISSING)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_a_first_message_learns_the_lists_and_those_that_follow_are_right_at_once(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    assert (world.log(), world.server.lists.stale_sends) == (["one"], 1)
    for text in ("two", "three"):
        world.alice.send(world.bob, text)
    world.settle()
    assert (world.log(), world.server.lists.stale_sends) == (["one", "two", "three"], 1)


def test_what_was_learnt_outlives_the_program(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    world.alice.crash()
    world.alice.send(world.bob, "two")
    world.settle()
    assert (world.log(), world.server.lists.stale_sends) == (["one", "two"], 1)


def test_a_list_that_changes_under_a_window_of_messages_turns_none_of_them_round(world: World) -> None:
    world.alice.send(world.bob, "0")
    world.settle()
    for number in range(1, 20):
        world.alice.send(world.bob, str(number))
        if number % 6 == 0:
            world.server.add("bob", bytes([number]) * 16)
            world.alice.settle()
    for _ in range(5):  # whose list changes again and again is not hammered at
        world.settle()
        world.clock.s += 1.0
    assert world.log() == [str(number) for number in range(20)]
    assert not world.alice.failed


def test_a_server_that_shows_an_older_list_than_before_is_not_followed(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    world.server.lists.offset = -1
    world.alice.send(world.bob, "two")
    world.settle()
    assert world.log() == ["one"]
    failed = [event for event in world.alice.published if isinstance(event, events.MessageFailed)]
    assert [event.code for event in failed] == [Code.DEVICES_STALE]
    world.alice.send(world.bob, "a person tries again")
    world.settle()
    assert world.log() == ["one", "a person tries again"]


def test_a_message_that_a_new_device_missed_is_brought_there_once(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    for _ in range(2):
        world.server.enqueue(world.alice.device, world.missing(1))
        world.settle()
    brought = world.server.lists.supplements
    assert [(one.conversation, one.seq, one.account, one.device) for one in brought[:1]] == [(AB, 1, "bob", NEW)]
    assert decode_content(brought[0].payload) == Text("one")
    assert not [event for event in world.alice.published if isinstance(event, events.NotDelivered)]
    world.alice.crash()
    count = len(brought)
    world.settle()
    assert len(brought) == count, "what was answered is not brought again"


def test_a_supplement_outlives_a_crash_and_waits_as_long_as_the_server_says(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    world.server.lists.supplement_error = (Code.BUSY, "", 5_000)
    world.server.enqueue(world.alice.device, world.missing(1))
    world.settle()
    assert len(world.server.lists.supplements) == 1
    world.clock.s += 5.0
    world.settle()
    assert len(world.server.lists.supplements) == 2
    world.alice.crash()
    world.server.lists.supplement_error = None
    world.settle()
    assert len(world.server.lists.supplements) == 3
    world.clock.s += 60.0
    world.settle()
    assert len(world.server.lists.supplements) == 3


def test_a_device_that_is_gone_is_brought_nothing_any_more(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    world.server.lists.supplement_error = (Code.DEVICE_UNKNOWN, "", -1)
    world.server.enqueue(world.alice.device, world.missing(1))
    world.settle()
    world.alice.crash()
    world.settle()
    assert len(world.server.lists.supplements) == 1


def test_word_of_what_is_missing_may_come_before_the_tick_of_the_message(world: World) -> None:
    world.alice.send(world.bob, "one")
    for _ in range(4):  # until the server has it, and before its answer is read
        world.alice.settle() if AB not in world.server.conversations else None
        if world.server.conversations.get(AB) and world.server.conversations[AB].log:
            break
        world.alice.settle()
    world.alice.crash()
    world.server.enqueue(world.alice.device, world.missing(1))
    world.settle()
    assert [decode_content(one.payload) for one in world.server.lists.supplements] == [Text("one")]


def test_a_reaction_that_was_missed_is_brought_as_the_register_that_it_became(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    target = world.server.conversations[AB].log[0].message_id
    world.alice.session.send(AB, encode_operation(Reaction(target, "👍")))
    world.settle()
    world.server.enqueue(world.alice.device, world.missing(2))
    world.settle()
    assert [decode_content(one.payload) for one in world.server.lists.supplements] == [Reaction(target, "👍")]


def test_what_a_device_never_had_or_has_forgotten_is_left_to_others(world: World) -> None:
    world.server.enqueue(world.alice.device, world.missing(9))
    world.settle()
    assert not world.server.lists.supplements


def test_an_ephemeral_message_to_new_devices_is_lost_with_its_moment_and_the_next_is_not(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    world.server.add("bob", NEW)
    assert world.alice.session.send_ephemeral(AB, b"now")
    world.settle()
    assert not [event for event in world.alice.published if isinstance(event, events.ServerComplained)]


def test_an_answer_that_crosses_with_news_of_our_own_list_is_no_older_list(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    audiences = Audiences(world.alice.store.snapshot())
    own, bobs = audiences.known(AB)
    audiences.own(own + 1)
    assert audiences.learn(AB, m.Stale([own, bobs + 1], [], [], [], []), Step(1)), "written before it had heard of ours"
    assert audiences.known(AB) == [own + 1, bobs + 1]
    assert not audiences.learn(AB, m.Stale([own, bobs], [], [], [], []), Step(1)), "bob's has gone back"
