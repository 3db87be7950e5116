"""The book of a door against plain sets of who is inside."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.door import STRANGERS_SHARE, Door, DoorLimits, Visit, network_of
from gateway.headcount import headcounts

LIMITS = DoorLimits(connections_max=20, strangers_max=16, per_address_max=3, loopback_exempt=True)
ADDRESSES = ["192.0.2.1", "2001:db8::1", "127.0.0.1", "::1", ""]
HERE = {"127.0.0.1", "::1", ""}


@given(st.lists(st.tuples(st.sampled_from(["comes", "logs in", "leaves"]), st.integers(0, 9)), max_size=80))
def test_the_book_says_who_is_inside_and_refuses_who_is_too_many(steps: list[tuple[str, int]]) -> None:
    door = Door(LIMITS)
    inside: list[tuple[Visit, str]] = []
    strangers: dict[int, str] = {}
    refused = 0
    for step, number in steps:
        if step == "comes":
            address = ADDRESSES[number % len(ADDRESSES)]
            crowded = address not in HERE and (
                Counter(where for _, where in inside)[address] >= LIMITS.per_address_max
                or Counter(strangers.values())[address] >= LIMITS.strangers_max // STRANGERS_SHARE
            )
            full = len(inside) >= LIMITS.connections_max or len(strangers) >= LIMITS.strangers_max
            visit = door.enter(address)
            if crowded or full:
                assert isinstance(visit, str)
                refused += 1
            else:
                assert isinstance(visit, Visit)
                inside.append((visit, address))
                strangers[id(visit)] = address
        elif inside:
            visit, _ = inside[number % len(inside)]
            strangers.pop(id(visit), None)
            if step == "logs in":
                visit.logged_in()
            else:
                visit.left()
                inside.pop(number % len(inside))
        assert (door.connections, door.strangers, door.refused) == (len(inside), len(strangers), refused)


@given(st.lists(st.tuples(st.sampled_from(["comes", "logs in", "leaves"]), st.integers(0, 9)), max_size=80))
def test_the_doors_of_a_host_have_one_limit_together(steps: list[tuple[str, int]]) -> None:
    limits = DoorLimits(connections_max=6, strangers_max=4, per_address_max=99, loopback_exempt=True)
    doors = [Door(limits, headcount) for headcount in headcounts(3)]
    inside: list[Visit] = []
    strangers: set[Visit] = set()
    for step, number in steps:
        if step == "comes":
            visit = doors[number % 3].enter("127.0.0.1")
            assert isinstance(visit, str) == (len(inside) >= 6 or len(strangers) >= 4)
            if isinstance(visit, Visit):
                inside.append(visit)
                strangers.add(visit)
        elif inside:
            visit = inside[number % len(inside)]
            strangers.discard(visit)
            if step == "logs in":
                visit.logged_in()
            else:
                visit.left()
                inside.remove(visit)
        assert sum(door.connections for door in doors) == len(inside)


def test_a_door_that_is_opened_anew_has_nobody_inside_any_more() -> None:
    limits = DoorLimits(connections_max=2, strangers_max=2, per_address_max=99, loopback_exempt=True)
    ours, theirs = headcounts(2)
    dead, other = Door(limits, ours), Door(limits, theirs)
    for door in (dead, other):
        door.enter("")
    assert isinstance(other.enter(""), str)
    Door(limits, ours)
    assert isinstance(other.enter(""), Visit)


@pytest.mark.parametrize("exempt", [True, False])
@pytest.mark.parametrize("address", ADDRESSES)
def test_this_host_is_free_of_the_limit_per_address_if_so_set(address: str, exempt: bool) -> None:
    door = Door(LIMITS._replace(loopback_exempt=exempt))
    assert door.limited(address) == (not (exempt and address in HERE))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::1"),
        ("", ""),
    ],
)
def test_a_network_is_counted_as_one_however_many_addresses_it_has(address: str, network: str) -> None:
    assert network_of(address) == network
