"""Devices: what a message costs whose reader has several devices online, to one whose reader has one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import uvloop

from bench.client import Client
from bench.measured_node import MeasuredNode
from bench.online import Writer, flow
from bench.person import Person, people
from bench.registration import register
from protocol import StaticKey, device_id_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PAIRS = 40
EXTRA_MAX = 4
ROUNDS = 2


def devices_of(first: Person, extra: int) -> list[Person]:
    """All devices of a person.

    Args:
        first: The first of them.
        extra: How many there are beside it.
    """
    keys = (hashlib.sha256(b"roost bench %d %s" % (each, first.account.encode())).digest() for each in range(extra))
    others = [StaticKey(key) for key in keys]
    return [first, *(Person(first.account, key, device_id_of(key.public)) for key in others)]


def names_of_bars() -> list[str]:
    """What the figures are called, by how many extra devices there are."""
    return [f"devices: CPU a message with {extra} more, to that with one" for extra in range(1, EXTRA_MAX + 1)]


async def _measure(node: MeasuredNode, readers: Sequence[Sequence[Person]]) -> float:
    """Microseconds of CPU for each message to people with these devices.

    Args:
        node: Where all of them are.
        readers: The devices of each.
    """
    writers = people("ann", PAIRS)
    pairs = [Writer(writer, devices[0]) for writer, devices in zip(writers, readers, strict=True)]
    flowed = await flow([node], pairs, [Client(device) for devices in readers for device in devices])
    return flowed.cpu_us


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder; the quieter of two rounds counts."""
    readers = [
        [devices_of(first, extra) for first in people(f"bob{extra}.", PAIRS)] for extra in range(EXTRA_MAX + 1)
    ]
    register(folder, [*people("ann", PAIRS), *(one for some in readers for devices in some for one in devices)])
    cpu_us = [float("inf")] * len(readers)
    with MeasuredNode(folder, profile) as node:
        for _ in range(ROUNDS):
            for extra, some in enumerate(readers):
                cpu_us[extra] = min(cpu_us[extra], uvloop.run(_measure(node, some)))
    figures = {name: cost / cpu_us[0] for name, cost in zip(names_of_bars(), cpu_us[1:], strict=True)}
    return figures | {"devices: CPU a message with one": cpu_us[0]}
