from __future__ import annotations

import asyncio

from bench.person import people
from bench.registration import Codes


def test_codes_are_found_even_when_two_share_a_line() -> None:
    lines = [
        "Roost is at 127.0.0.1:1, data in data",
        "verification code for ann0: 012345 (valid for 10 minutes)verification code for ann1: 543210 (valid for",
        "",
    ]

    async def both() -> list[str]:
        codes = Codes(lines)
        return [await codes.wait_code("ann1"), await codes.wait_code("ann0")]

    assert asyncio.run(both()) == ["543210", "012345"]


def test_the_same_people_are_there_in_every_run() -> None:
    assert [person.device for person in people("ann", 3)] == [person.device for person in people("ann", 3)]
    assert len({person.device for person in people("ann", 3) + people("bob", 3)}) == 6
