"""The walk through the summaries that finds what has expired, without an index of it."""

from __future__ import annotations

from functools import partial

from storage.inbox import WALK_ROWS
from tests.storage.desk import Desk, entry_for


def test_a_walk_of_several_steps_finds_every_device_once_a_round_whichever_shard_asks() -> None:
    desk = Desk()
    devices = [b"device%05d" % number for number in range(2 * WALK_ROWS + 10)]
    for number, device in enumerate(devices, 1):
        desk.append(1, entry_for(device, number, expires_ms=500 if number % 2 else 0))
    desk.run()
    desk.store.move()
    desk.run()
    other = [desk.ask(partial(desk.store.expired, 2, 600, 9_999)) for _ in range(2)]
    assert other == [[], []], "the other shard has nothing, but it has walked"
    found = desk.ask(partial(desk.store.expired, 1, 600, 9_999))
    assert sorted(found) == devices[::2]
    again = [device for _ in range(3) for device in desk.ask(partial(desk.store.expired, 1, 600, 9_999))]
    assert sorted(again) == devices[::2], "they come by once more in the next round"


def test_no_more_is_handed_out_than_was_asked_for_and_the_rest_comes_by_again() -> None:
    desk = Desk()
    for number in range(1, 8):
        desk.append(1, entry_for(b"device%d" % number, number, expires_ms=500))
    desk.run()
    desk.store.move()
    desk.run()
    assert len(desk.ask(partial(desk.store.expired, 1, 600, 3))) == 3
    assert len(desk.ask(partial(desk.store.expired, 1, 600, 9))) == 7
