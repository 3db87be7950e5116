"""The lines between simulated nodes: a connection as TCP gives it to those that use it."""

from __future__ import annotations

import random

import pytest

from cluster.network import Accepted, Dialled, Lost, Received
from simulation.agenda import Agenda
from simulation.coverage import Coverage
from simulation.lines import Exchange, NodeNetwork
from simulation.network import Network


@pytest.mark.parametrize("seed", range(20))
def test_who_dialled_hears_that_it_is_connected_before_any_byte_of_the_other_end(seed: int) -> None:
    """Seed 790586: the first part of a goodbye came before its connection, and the rest was taken for junk."""
    agenda = Agenda()
    exchange = Exchange(Network(agenda, random.Random(seed), Coverage()), frozenset)
    heard: list[object] = []

    def take_leave_at_once(event: object) -> bool:
        if isinstance(event, Accepted):
            event.connection.write(b"goodbye")
            event.connection.close()
        return True

    def hear(event: object) -> bool:
        heard.append(event)
        return True

    NodeNetwork(exchange, "far").open(take_leave_at_once)
    near = NodeNetwork(exchange, "near")
    near.open(hear)
    near.dial(1, "far")
    while agenda.next_s() is not None:
        agenda.run_next()
    assert [type(event) for event in heard] == [Dialled] + [Received] * (len(heard) - 2) + [Lost]
    assert b"".join(event.data for event in heard if isinstance(event, Received)) == b"goodbye"
