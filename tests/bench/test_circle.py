from __future__ import annotations

from bench.circle import Circle

FRIENDS = Circle({"ann": ("phone", "laptop"), "bob": ("phone",), "cid": ("phone",), "dee": ("phone",)})


def test_everybody_writes_to_those_beside_them() -> None:
    assert {person: FRIENDS.neighbours(person) for person in ("ann", "bob", "dee")} == {
        "ann": ["bob", "dee"],
        "bob": ["cid", "ann"],
        "dee": ["ann", "cid"],
    }


def test_a_stream_is_shown_by_all_devices_of_both_but_the_one_that_writes() -> None:
    streams = FRIENDS.streams()
    assert len(streams) == 2 * len(FRIENDS.devices) == 10
    assert streams["ann/laptop>bob"] == {"ann/phone", "bob/phone"}
    assert streams["bob/phone>ann"] == {"ann/phone", "ann/laptop"}
    assert streams["cid/phone>dee"] == {"dee/phone"}
