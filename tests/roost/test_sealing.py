"""A message between two has a payload for each device, made for the devices that there are, again if these change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from protocol import AccountId, Code, DeviceId, direct_conversation
from protocol import messages as m
from protocol.device_list import IdentityKey
from roost import events
from roost.content import Text, decode_content, encode_text
from roost.device_trust import first_pin
from tests.roost.two_phones import TwoPhones

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from protocol import ConversationId
    from tests.roost.phone import Phone

AB = direct_conversation(AccountId("alice"), AccountId("bob"))
NEW = DeviceId(b"n" * 16)


class Tagger:
    """Seals by saying for whom, and opens what is for one device only."""

    def __init__(self, own: str) -> None:
        self.own = own
        self.phones: dict[DeviceId, str] = {}

    def seal(self, conversation: ConversationId, payload: bytes, device: DeviceId) -> bytes:
        return b"\xc1" + device + payload

    def open(self, conversation: ConversationId, payload: bytes, device: DeviceId) -> bytes:
        if not payload.startswith(b"\xc1"):
            return payload
        assert self.phones[DeviceId(payload[1:17])] == self.own
        return payload[17:]


class World(TwoPhones):
    def __init__(self, folder: Path) -> None:
        taggers = Tagger("alice"), Tagger("bob")
        super().__init__(folder, taggers)
        for tagger in taggers:
            tagger.phones = {self.alice.device: "alice", self.bob.device: "bob"}
        self.sent: list[m.Send] = []
        self.server.refuse = lambda frame: self.sent.append(frame)  # None refuses nothing
        self.settle()

    def read(self, phone: Phone) -> list[str]:
        contents = [event.content for event in phone.published if isinstance(event, events.MessageReceived)]
        return [content.text for content in contents if isinstance(content, Text)]

    def bundles(self) -> list[set[DeviceId]]:
        return [{own.device for own in frame.payloads} for frame in self.sent]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_no_message_carries_a_payload_that_all_could_read(world: World) -> None:
    for text in ("one", "two"):
        world.alice.send(world.bob, text)
        world.settle()
    assert world.read(world.bob) == ["one", "two"]
    assert [frame.payload for frame in world.sent] == [b"", b"", b""]
    assert not [own for frame in world.sent for own in frame.payloads if b"one" in own.payload[:17]]


def test_the_first_message_asks_for_the_devices_and_those_that_follow_have_a_payload_for_each(world: World) -> None:
    for text in ("one", "two"):
        world.alice.send(world.bob, text)
        world.settle()
    assert world.server.lists.stale_sends == 1
    assert world.bundles() == [set(), {world.bob.device}, {world.bob.device}]
    assert world.sent[0].lists == [2, 0], "our own was told at the login, and no list has version 0"


def test_a_new_device_of_the_reader_gets_a_payload_of_its_own(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    world.server.add("bob", NEW)
    world.alice.send(world.bob, "two")
    world.settle()
    assert world.read(world.bob) == ["one", "two"]
    assert world.bundles()[-2:] == [{world.bob.device}, {world.bob.device, NEW}]
    (waiting,) = [entry for entry in world.server.queues[NEW].values() if isinstance(entry, m.Message)]
    assert waiting.payload[1:17] == NEW


def test_a_new_device_of_our_own_is_known_before_the_next_message(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    world.server.add("alice", NEW)
    world.settle()
    world.alice.send(world.bob, "two")
    world.settle()
    assert world.bundles()[-1] == {world.bob.device, NEW}
    assert world.server.lists.stale_sends == 1


def test_a_removed_device_is_sent_nothing_more(world: World) -> None:
    world.server.add("bob", NEW)
    world.alice.send(world.bob, "one")
    world.settle()
    world.server.remove("bob", NEW)
    world.alice.send(world.bob, "two")
    world.settle()
    assert world.bundles()[-2:] == [{world.bob.device, NEW}, {world.bob.device}]
    assert world.read(world.bob) == ["one", "two"]


def test_a_note_to_oneself_without_another_device_says_nothing_to_the_server(world: World) -> None:
    notes = direct_conversation(AccountId("alice"), AccountId("alice"))
    world.alice.session.send(notes, b"mine")
    world.settle()
    assert [message.payload for message in world.server.conversations[notes].log] == [b""]
    assert [(frame.lists, frame.payloads) for frame in world.sent] == [([2], [])]


def test_lists_that_are_right_and_devices_that_are_not_are_asked_for_anew(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    bob = world.server.accounts[AccountId("bob")]
    bob.devices[NEW] = "under the same version, as after a server was restored"
    world.server.queues[NEW] = type(world.server.queues[world.bob.device])()
    world.alice.send(world.bob, "two")
    world.settle()
    world.clock.s += 5.0
    world.settle()
    assert world.bundles()[-1] == {world.bob.device, NEW}
    assert world.read(world.bob) == ["one", "two"]


def test_a_program_that_starts_anew_asks_for_the_devices_again_and_sends_in_order(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    world.alice.crash()
    for text in ("two", "three"):
        world.alice.send(world.bob, text)
    world.settle()
    assert world.read(world.bob) == ["one", "two", "three"]
    assert not world.alice.failed


def test_a_device_that_missed_a_message_is_brought_a_payload_of_its_own(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    world.server.enqueue(world.alice.device, m.Notice(0, AB, 1, AccountId("bob"), NEW, m.NOTICE_MISSING))
    world.settle()
    (brought,) = world.server.lists.supplements
    assert brought.payload[1:17] == NEW
    assert decode_content(brought.payload[17:]) == Text("one")


def test_something_for_this_moment_is_sealed_too_once_the_devices_are_known(world: World) -> None:
    assert world.alice.session.send_ephemeral(AB, b"lost with its moment")
    world.settle()
    assert world.alice.session.send_ephemeral(AB, b"now")
    world.settle()
    assert not [event for event in world.alice.published if isinstance(event, events.ServerComplained)]
    received = [event for event in world.bob.published if isinstance(event, events.MessageReceived)]
    assert [event.ephemeral for event in received] == [True]


def test_what_nobody_sealed_reaches_a_device_that_seals_as_it_came(world: World) -> None:
    world.bob.sealer = None
    world.bob.crash()
    world.bob.send(world.alice, "plain")
    world.settle()
    assert world.read(world.alice) == ["plain"]


def test_a_refused_bundle_tells_its_sender_why(world: World) -> None:
    world.server.refuse = lambda _: (Code.PAYLOAD_TOO_LARGE, "too large", -1)
    world.alice.send(world.bob, "one")
    world.settle()
    assert [event.code for event in world.alice.published if isinstance(event, events.MessageFailed)] == [
        Code.PAYLOAD_TOO_LARGE
    ]


def test_a_bundle_that_no_server_takes_fails_and_what_follows_goes_out(world: World) -> None:
    for number in range(5):
        world.server.add("bob", bytes([number]) * 16)
    world.server.refuse = lambda frame: (
        (Code.PAYLOAD_TOO_LARGE, "too large", -1) if len(frame.payload) > world.server.payload_size_bytes_max else None
    )
    large = world.alice.session.send(AB, encode_text("x" * 15_000))
    world.alice.send(world.bob, "small")
    world.settle()
    assert world.alice.failed == {large.hex()}
    assert world.read(world.bob) == ["small"]


def test_devices_of_a_list_that_is_not_believed_get_nothing(world: World) -> None:
    world.alice.send(world.bob, "one")
    world.settle()
    identity = IdentityKey.generate()
    world.alice.session._devices._pin = first_pin(identity.public)
    world.server.add("alice", NEW)
    world.settle()
    assert [event for event in world.alice.published if isinstance(event, events.DevicesForged)]
    audiences = world.alice.session._outboxes.audiences
    assert NEW not in audiences._devices[AccountId("alice")][1]
