"""Whoever registers a device in our name is found out, and the person is told once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from protocol import AccountId, Code, DeviceId, Epoch, StaticKey
from protocol import messages as m
from protocol.device_list import IdentityKey, ListedDevice, label_digest, sealed_label, sign_devices
from roost.changes import Snapshot
from roost.device_record import decode_devices, encode_devices
from roost.devices import ASK_AGAIN_S, NEWS_MAX, KnownDevices
from roost.events import DeviceAdded, DeviceRemoved
from roost.linking import Introduction
from roost.requests import Requests
from roost.steps import Step
from tests.roost.model_server import ModelServer
from tests.roost.phone import HandClock, Phone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from roost.events import Event
    from tests.roost.model_server import Link

ALICE = AccountId("alice")
LAPTOP, TABLET = DeviceId(b"l" * 16), DeviceId(b"t" * 16)


class Server(ModelServer):
    """Remembers what it was asked, and may be too busy to list devices."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__(clock.wall_ms)
        self.asked: list[type] = []
        self.busy = False

    def receive(self, link: Link, frame: object) -> None:
        self.asked.append(type(frame))
        if self.busy and isinstance(frame, m.FetchDevices):
            link.out.append(m.Error(frame.request, Code.BUSY, "Later.", 1_000))
        else:
            super().receive(link, frame)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def server(clock: HandClock) -> Server:
    return Server(clock)


@pytest.fixture
def phone(tmp_path: Path, server: Server, clock: HandClock) -> Iterator[Phone]:
    phone = Phone("alice", tmp_path, server, clock)
    settle(phone)
    yield phone
    phone.store.close()


def settle(phone: Phone) -> None:
    for _ in range(5):  # a question and its answer are nothing that `Phone.settle` would count
        while phone.settle():
            pass


def come_back(phone: Phone) -> None:
    """Connect again, long after the connection was cut."""
    phone.clock.s += 100
    settle(phone)


def told(phone: Phone) -> list[Event]:
    return [event for event in phone.published if isinstance(event, DeviceAdded | DeviceRemoved)]


def test_the_devices_that_were_there_at_the_first_look_are_no_news(tmp_path: Path) -> None:
    clock = HandClock()
    server = ModelServer(clock.wall_ms)
    server.add("alice", LAPTOP)
    phone = Phone("alice", tmp_path, server, clock)
    settle(phone)
    assert told(phone) == []
    assert [device for device, _ in phone.store.snapshot().devices.devices] == [LAPTOP, phone.device]  # type: ignore[union-attr]
    phone.store.close()


def test_a_device_registered_or_removed_while_connected_is_told_at_once(phone: Phone) -> None:
    phone.server.add("alice", LAPTOP)
    settle(phone)
    assert told(phone) == [DeviceAdded(LAPTOP, "a device", 0)]
    phone.server.remove("alice", LAPTOP)
    settle(phone)
    assert told(phone)[1:] == [DeviceRemoved(LAPTOP, "a device", phone.clock.wall_ms())]


def test_a_device_registered_while_away_is_told_at_the_next_login(phone: Phone) -> None:
    phone.cut()
    phone.server.add("alice", LAPTOP)
    phone.server.add("alice", TABLET)
    phone.server.remove("alice", TABLET)  # came and went: the list has no trace of it
    come_back(phone)
    assert told(phone) == [DeviceAdded(LAPTOP, "a device", 0)]


def test_news_survives_every_crash_until_a_person_was_told(phone: Phone) -> None:
    phone.server.add("alice", LAPTOP)
    settle(phone)
    phone.crash()
    news = phone.session.devices.news
    assert news == (DeviceAdded(LAPTOP, "a device", 0),)
    phone.session.device_news_told(news)
    settle(phone)
    phone.crash()
    assert phone.session.devices.news == ()


def test_an_unchanged_list_is_not_asked_for(phone: Phone, server: Server) -> None:
    phone.cut()
    server.asked.clear()
    come_back(phone)
    assert m.Login in server.asked
    assert m.FetchDevices not in server.asked


def test_a_list_that_was_refused_is_asked_for_again(phone: Phone, server: Server) -> None:
    server.busy = True
    server.add("alice", LAPTOP)
    settle(phone)
    server.busy = False
    assert told(phone) == []
    phone.clock.s += ASK_AGAIN_S
    settle(phone)
    assert told(phone) == [DeviceAdded(LAPTOP, "a device", 0)]


def test_a_list_that_the_application_asks_for_brings_its_news_too(phone: Phone) -> None:
    phone.server.accounts[phone.account].devices[TABLET] = "tablet"  # the frame that tells of it was lost
    phone.session.request(lambda number: m.FetchDevices(number, phone.account))
    settle(phone)
    assert told(phone) == [DeviceAdded(TABLET, "tablet", 0)]


def test_no_more_news_is_kept_than_a_person_would_read(phone: Phone) -> None:
    for number in range(NEWS_MAX + 5):
        phone.server.add("alice", bytes([number]) * 16)
    settle(phone)
    assert len(told(phone)) == NEWS_MAX + 5
    assert len(phone.session.devices.news) == NEWS_MAX
    last = phone.session.devices.news[-1]
    assert isinstance(last, DeviceAdded)
    assert last.device == bytes([NEWS_MAX + 4]) * 16


@pytest.mark.parametrize("value", [b"", b"junk", bytes([0x94, 9, 1, 0x90, 0x90])])
def test_a_stored_list_in_an_unknown_form_is_seen_anew(value: bytes) -> None:
    assert decode_devices(value) is None


def test_a_stored_list_comes_back_as_it_was(phone: Phone) -> None:
    phone.server.add("alice", LAPTOP)
    settle(phone)
    phone.server.remove("alice", LAPTOP)
    settle(phone)
    known = phone.store.snapshot().devices
    assert known is not None
    assert len(known.news) == 2
    assert decode_devices(encode_devices(known)) == known


def test_a_list_that_is_on_its_way_has_removed_for_good_whom_it_left_out(clock: HandClock) -> None:
    keys = [StaticKey.generate() for _ in range(3)]
    identity = IdentityKey.generate()
    label = sealed_label("a device")
    listed = [ListedDevice(key.public, 1, label_digest(label)) for key in keys]
    primary, laptop, tablet = (entry.device for entry in listed)
    known = KnownDevices(Snapshot(ALICE, Epoch(bytes(8)), signer=identity))
    requests, step = Requests(), Step(1)
    answer = m.DeviceList(
        1, ALICE, 2, [primary, laptop, tablet], sign_devices(identity, ALICE, 1, listed), [label] * 3, []
    )
    known.listed(answer, requests, clock.now_s(), clock.wall_ms(), step)
    known.sign(known.entries_without(laptop), requests, clock.now_s(), step)
    assert [entry.device for entry, _ in known.entries_without(tablet)] == [primary], "no answer has come yet"
    known.listed(answer, requests, clock.now_s(), clock.wall_ms(), step)
    assert [entry.device for entry, _ in known.entries_without(tablet)] == [primary], "the answer is an older one"
    again = known.entries_with(Introduction(keys[1].public, "laptop", "linux", bytes(32)), clock.wall_ms())
    known.sign(again, requests, clock.now_s(), step)
    assert [entry.device for entry, _ in known.entries_without(tablet)] == [primary, laptop], "it was linked anew"


def test_while_a_list_has_no_answer_none_is_signed_by_itself_and_who_was_refused_stays(clock: HandClock) -> None:
    keys = [StaticKey.generate() for _ in range(3)]
    identity, label = IdentityKey.generate(), sealed_label("a device")
    listed = [ListedDevice(key.public, 1, label_digest(label)) for key in keys]
    primary, laptop, tablet = (entry.device for entry in listed)
    known = KnownDevices(Snapshot(ALICE, Epoch(bytes(8)), signer=identity))
    requests, now_s = Requests(), clock.now_s()
    signed = sign_devices(identity, ALICE, 1, listed)

    def shown(*present: DeviceId) -> list[m.SignDevices]:
        step = Step(1)
        known.listed(m.DeviceList(1, ALICE, 2, list(present), signed, [label] * 3, []), requests, now_s, 1, step)
        return [frame for frame in step.frames if isinstance(frame, m.SignDevices)]

    assert shown(primary, laptop, tablet) == []
    number = known.sign(known.entries_without(laptop), requests, now_s, Step(1))
    assert number is not None
    assert shown(primary, laptop) == [], "one made from what was before would undo what is on its way"
    known.answered(number, Code.RATE_LIMITED)
    assert [entry.device for entry, _ in known.entries_without(tablet)] == [primary, laptop], "its person was told"
    assert len(shown(primary, laptop)) == 1
