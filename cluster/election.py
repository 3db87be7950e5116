"""Who runs which service, as one node sees it. Pure: lives, their cards and the time in; decisions out.

Every supervisor of services fills in a *card*: whom it hears directly, and the state of each service with it. All that
a supervisor knows goes to its neighbours whenever it changes, so in a part of the cluster that is connected, though
perhaps not each with each, everybody soon holds the same cards, and decides alike:

- A service that runs stays where it is. If it runs twice, as after a partition, the rendezvous winner among those who
  run it keeps it, and the others stop.
- One that runs nowhere waits a while, for a link that broke may be back at once. Then the rendezvous winner among those
  who may run it starts it.
- A supervisor with which it did not hold is spent: it runs the service no more, unless an operator says so.

A card belongs to one life of one supervisor, named by its pid, so nothing of an earlier life counts. Cards that no
chain of neighbours leads to are forgotten; neighbours are those who name each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from cluster.rendezvous import rendezvous
from runtime import Pid  # noqa: TC001  # a card crosses, and its types are looked up then

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["SERVICES_MAX", "Card", "Election", "Start", "State", "Stop", "is_service_name"]

SERVICES_MAX: Final = 64
SERVICE_NAME_LENGTH_MAX: Final = 64
LIVES_MAX: Final = 64
"""Supervisors in one connected part; with these three, all cards fit one frame."""
PATIENCE_S: Final = 1.0
"""How long a service that runs nowhere is left so: longer than a broken link takes to be made anew."""
HASTE_S: Final = 0.1
"""The same when it is certain that a node is gone."""
HASTE_LASTS_S: Final = 2.0
"""Two neighbours find out about a silent node at most so far apart."""


def is_service_name(name: object) -> bool:
    """Whether this can be the name of a service: 1 to 64 characters of ASCII."""
    return isinstance(name, str) and name.isascii() and 0 < len(name) <= SERVICE_NAME_LENGTH_MAX


class State(IntEnum):
    """What a service is with one supervisor; the numbers cross, and never change their meaning."""

    IDLE = 0
    """It does not run here, and may."""
    RUNNING = 1
    STOPPING = 2
    """It was told to stop, and has not ended yet."""
    SPENT = 3
    """It did not hold here, or this supervisor is about to end."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a supervisor says of itself.

    Attributes:
        life: The supervisor's pid.
        version: Grows with every change.
        weight: The share of services that it should get, relative to others.
        neighbours: The supervisors that it hears directly.
        states: Its services.
    """

    life: Pid
    version: int
    weight: float
    neighbours: tuple[Pid, ...]
    states: dict[str, State]

    @property
    def is_sound(self) -> bool:
        """Whether it keeps the limits."""
        return (
            len(self.neighbours) <= LIVES_MAX
            and len(self.states) <= SERVICES_MAX
            and all(is_service_name(service) for service in self.states)
            and 0 < self.weight < math.inf
        )


@dataclass(frozen=True, slots=True)
class Start:
    """Start this service here."""

    service: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop this service here: it runs elsewhere."""

    service: str


class Election:
    """The services of a connected part of the cluster, as one of its supervisors knows them.

    Args:
        me: The supervisor.
        services: The names of its services.
        weight: The share of services that it should get, above 0.

    Attributes:
        cards: Of every supervisor in this part, this one first.
        edition: Grows with every change of `cards`.
    """

    __slots__ = ("_due_s", "_hastened_until_s", "_me", "cards", "edition")

    def __init__(self, me: Pid, services: Iterable[str], weight: float = 1.0) -> None:
        self._me = me
        self._due_s: dict[str, float] = {}
        self._hastened_until_s = -math.inf
        self.cards = {me: Card(me, 1, weight, (), dict.fromkeys(services, State.IDLE))}
        self.edition = 1

    @property
    def mine(self) -> Card:
        """This supervisor's own card."""
        return self.cards[self._me]

    def versions(self) -> dict[Pid, int]:
        """How recent each card is; two supervisors with the same versions know the same."""
        return {life: card.version for life, card in self.cards.items()}

    def meet(self, life: Pid) -> None:
        """A supervisor is heard directly from now on."""
        if life != self._me and life not in self.mine.neighbours:
            self._update(replace(self.mine, neighbours=(*self.mine.neighbours, life)))

    def lose(self, life: Pid) -> None:
        """A supervisor has ended, or the link to it is down."""
        if life in self.mine.neighbours:
            rest = tuple(neighbour for neighbour in self.mine.neighbours if neighbour != life)
            self._update(replace(self.mine, neighbours=rest))

    def put(self, service: str, state: State) -> None:
        """A service of this supervisor has become something."""
        if self.mine.states[service] is not state:
            self._update(replace(self.mine, states=self.mine.states | {service: state}))

    def hear(self, cards: Sequence[Card]) -> None:
        """A neighbour tells all that it knows; what breaks the limits is left out."""
        before = self.versions()
        for card in cards[:LIVES_MAX]:
            known = self.cards.get(card.life)
            if card.life != self._me and card.is_sound and (known is None or known.version < card.version):
                self.cards[card.life] = card
        self._forget_unreachable()
        self.edition += self.versions() != before

    def hasten(self, now_s: float) -> None:
        """It is certain that a node is gone: what runs nowhere because of that need not wait for it."""
        self._hastened_until_s = now_s + HASTE_LASTS_S
        self._due_s = {service: min(due_s, now_s + HASTE_S) for service, due_s in self._due_s.items()}

    def owner(self, service: str) -> Pid | None:
        """Who runs a service, or is to keep it where several do; None if nobody does."""
        return self._winner(service, State.RUNNING)

    def is_abandoned(self, service: str) -> bool:
        """Whether nobody in this part runs a service, and nobody will."""
        states = {card.states.get(service, State.SPENT) for card in self.cards.values()}
        return states == {State.SPENT}

    def decide(self, now_s: float) -> list[Start | Stop]:
        """What this supervisor has to do now; each is to be put down before this is asked again."""
        decisions: list[Start | Stop] = []
        patience_s = HASTE_S if now_s <= self._hastened_until_s else PATIENCE_S
        for service, state in self.mine.states.items():
            owner = self.owner(service)
            if owner is not None or self._with(service, State.STOPPING):
                self._due_s.pop(service, None)
                if state is State.RUNNING and owner != self._me:
                    decisions.append(Stop(service))
                continue
            is_due = now_s >= self._due_s.setdefault(service, now_s + patience_s)
            if is_due and self._winner(service, State.IDLE) == self._me:
                decisions.append(Start(service))
        return decisions

    def next_due_s(self, now_s: float) -> float | None:
        """When to decide next, if nothing changes before; None: not before something does."""
        return min((due_s for due_s in self._due_s.values() if due_s > now_s), default=None)

    def _with(self, service: str, state: State) -> list[Card]:
        return [card for card in self.cards.values() if card.states.get(service) is state]

    def _winner(self, service: str, state: State) -> Pid | None:
        """The rendezvous winner among those with whom a service is so; of two lives of one node, the same for all."""
        cards = self._with(service, state)
        if not cards:
            return None
        node = rendezvous(service, {card.life.node: card.weight for card in cards})
        lives = (card.life for card in cards if card.life.node == node)
        return min(lives, key=lambda life: (life.incarnation, life.serial))

    def _update(self, card: Card) -> None:
        self.cards[self._me] = replace(card, version=card.version + 1)
        self._forget_unreachable()
        self.edition += 1

    def _forget_unreachable(self) -> None:
        reached = {self._me: self.mine}
        waiting = [self.mine]
        while waiting:
            card = waiting.pop()
            for life in card.neighbours:
                neighbour = self.cards.get(life)
                if neighbour is None or life in reached or card.life not in neighbour.neighbours:
                    continue
                if len(reached) < LIVES_MAX:
                    reached[life] = neighbour
                    waiting.append(neighbour)
        self.cards = reached
