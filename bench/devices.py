"""Devices: what a message costs whose reader has several devices online, to one whose reader has one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

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
KEEPS_UP = 0.8
"""What a device must have had of what all have on average: those who fall behind would cost too little."""


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


class Reader(Client):
    """One of the devices of a reader.

    Args:
        person: Whose device it is.
    """

    def __init__(self, person: Person) -> None:
        super().__init__(person)
        self.count = 0

    def delivered(self, deliver: Any) -> None:
        """A message has come to this device, too."""
        self.count += 1


async def _measure(node: MeasuredNode, writers: Sequence[Person], readers: Sequence[Sequence[Person]]) -> float:
    """Microseconds of CPU for each message to people with these devices.

    Args:
        node: Where all of them are.
        writers: Who writes; to each reader for the first time.
        readers: The devices of each.
    """
    pairs = [Writer(writer, devices[0]) for writer, devices in zip(writers, readers, strict=True)]
    clients = [[Reader(device) for device in devices] for devices in readers]
    flowed = await flow([node], pairs, [it for some in clients for it in some])
    had = sum(it.count for some in clients for it in some)
    due = sum(max(it.count for it in some) * len(some) for some in clients)
    if had < due * KEEPS_UP:
        raise RuntimeError(f"the devices have {had} messages of {due}: they do not keep up")
    return flowed.cpu_us


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder; the quieter of two rounds counts."""
    readers = [[devices_of(first, extra) for first in people(f"bob{extra}.", PAIRS)] for extra in range(EXTRA_MAX + 1)]
    writers = [people(f"ann{each}.", PAIRS) for each in range(ROUNDS)]
    register(folder, [*(one for some in writers for one in some), *(one for some in readers for one, *_ in some)])
    for extra in range(1, EXTRA_MAX + 1):  # one after another: each asks for a code of its account
        register(folder, [devices[extra] for some in readers[extra:] for devices in some])
    cpu_us = [float("inf")] * len(readers)
    with MeasuredNode(folder, profile) as node:
        for each in range(ROUNDS):
            for extra, some in enumerate(readers):
                cpu_us[extra] = min(cpu_us[extra], uvloop.run(_measure(node, writers[each], some)))
    figures = {name: cost / cpu_us[0] for name, cost in zip(names_of_bars(), cpu_us[1:], strict=True)}
    return figures | {"devices: CPU a message with one": cpu_us[0]}
