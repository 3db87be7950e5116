"""The book of a door against plain sets of who is inside."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.door import Door, DoorLimits, Visit

LIMITS = DoorLimits(connections_max=6, strangers_max=4, per_address_max=3, loopback_exempt=True)
ADDRESSES = ["192.0.2.1", "2001:db8::1", "127.0.0.1", "::1", ""]
HERE = {"127.0.0.1", "::1", ""}


@given(st.lists(st.tuples(st.sampled_from(["comes", "logs in", "leaves"]), st.integers(0, 9)), max_size=80))
def test_the_book_says_who_is_inside_and_refuses_who_is_too_many(steps: list[tuple[str, int]]) -> None:
    door = Door(LIMITS)
    inside: list[tuple[Visit, str]] = []
    strangers: set[int] = set()
    refused = 0
    for step, number in steps:
        if step == "comes":
            address = ADDRESSES[number % len(ADDRESSES)]
            crowded = Counter(where for _, where in inside)[address] >= LIMITS.per_address_max and address not in HERE
            full = len(inside) >= LIMITS.connections_max or len(strangers) >= LIMITS.strangers_max
            visit = door.enter(address)
            if crowded or full:
                assert isinstance(visit, str)
                refused += 1
            else:
                assert isinstance(visit, Visit)
                inside.append((visit, address))
                strangers.add(id(visit))
        elif inside:
            visit, _ = inside[number % len(inside)]
            strangers.discard(id(visit))
            if step == "logs in":
                visit.logged_in()
            else:
                visit.left()
                inside.pop(number % len(inside))
        assert (door.connections, door.strangers, door.refused) == (len(inside), len(strangers), refused)


@pytest.mark.parametrize("exempt", [True, False])
@pytest.mark.parametrize("address", ADDRESSES)
def test_this_host_is_free_of_the_limit_per_address_if_so_set(address: str, exempt: bool) -> None:
    door = Door(LIMITS._replace(loopback_exempt=exempt))
    assert door.limited(address) == (not (exempt and address in HERE))
