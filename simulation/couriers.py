"""Couriers: an actor a node that carries numbered parcels to those of all others, to see what links promise.

What a courier says to another is a journey: it begins with the other's pid and a monitor, and ends when that tells.
`checkers/journeys.py` holds that nothing is missing in the middle of a journey, and at rest nothing at its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from runtime import Actor, Down, Named, NoReply, Pid, Reply
from simulation.agenda import chance_of

if TYPE_CHECKING:
    from cluster import MessageTable
    from runtime import From, Message, Ref
    from simulation.node import SimulatedNode

__all__ = ["COURIER", "Answered", "Began", "Came", "Courier", "Ended", "Left", "register_parcels"]

COURIER: Final = "courier"
ROUND_S: Final = (0.3, 4.0)
PARCELS_MAX: Final = 4
HEAVY_SIZE_BYTES: Final = 12_000
RETIRES: Final = 0.02
"""Part of the rounds after which a courier makes room for another one."""

ASKS: Final = 0.4
"""Part of the rounds in which a courier asks others who they are although it knows."""

KEEPS: Final = 0.7
"""Part of the questions that wait another round for their answer."""

ASK_TIMEOUT_S: Final = 15.0


class Parcel(msgspec.Struct, array_like=True, frozen=True):
    """Number so and so of a journey."""

    journey: int
    number: int
    load: bytes = b""


class WhoAreYou(msgspec.Struct, array_like=True, frozen=True):
    """A question; the answer repeats its number."""

    number: int


class ItIsMe(msgspec.Struct, array_like=True, frozen=True):
    """The answer to that question."""

    number: int
    courier: Pid


def register_parcels(table: MessageTable) -> None:
    """Let parcels cross."""
    table.register(Parcel, 60_001)
    table.register(WhoAreYou, 60_002)
    table.register(ItIsMe, 60_003)


class Began(NamedTuple):
    """A courier has set out to another one."""

    journey: int
    source: Pid
    target: Pid


class Left(NamedTuple):
    """A parcel of a journey was handed over to the runtime."""

    journey: int
    number: int


class Came(NamedTuple):
    """A parcel has come to a courier."""

    journey: int
    number: int
    target: Pid


class Ended(NamedTuple):
    """The one who set out was told that the other is down."""

    journey: int


class Answered(NamedTuple):
    """A question was answered."""

    node: str
    asked: int
    answered: int
    courier: Pid


class Journey(NamedTuple):
    """To whom a courier carries parcels, and how it will hear of their end."""

    number: int
    target: Pid
    monitor: Ref


class Courier(Actor):
    """The courier of one node, until it retires.

    Args:
        node: Its node, whose witness is told of everything.
    """

    __slots__ = ("_asked", "_chance", "_count", "_journeys", "_node", "_owed")

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node
        self._chance = chance_of(node.world.seed, f"courier {node.name} {node.life} {node.world.agenda.now_s}")
        self._asked: dict[Ref, tuple[int, str]] = {}
        self._journeys: dict[str, Journey] = {}
        self._count: dict[str, int] = {}
        self._owed: list[tuple[From, int]] = []

    def init(self) -> None:
        """Set out from time to time."""
        self.process.send_after(self._chance.uniform(*ROUND_S), "a round")

    def handle_cast(self, message: Message) -> None:
        """A parcel has come."""
        assert isinstance(message, Parcel), "couriers are sent nothing else"
        self._node.witness.travelled(Came(message.journey, message.number, self.process.pid))

    def handle_call(self, request: Message, caller: From) -> None:
        """Somebody asks who this is; the answer comes in one of the next rounds."""
        assert isinstance(request, WhoAreYou), "couriers are asked nothing else"
        self._owed.append((caller, request.number))

    def handle_info(self, message: Message) -> None:
        """An answer, the end of a journey, or time to set out."""
        match message:
            case str():
                self._set_out()
            case Reply(ref, ItIsMe(number, courier)):
                self._begin(*self._asked.pop(ref), number, courier)
            case NoReply(ref):
                del self._asked[ref]
            case Down(ref):
                node = next(node for node, journey in self._journeys.items() if journey.monitor is ref)
                self._node.witness.travelled(Ended(self._journeys.pop(node).number))

    def _begin(self, asked: int, node: str, answered: int, courier: Pid) -> None:
        witness = self._node.witness
        witness.travelled(Answered(node, asked, answered, courier))
        if node not in self._journeys:
            journey = self._journeys[node] = Journey(asked, courier, self.process.monitor(courier))
            self._count[node] = 0
            witness.travelled(Began(journey.number, self.process.pid, courier))

    def _set_out(self) -> None:
        """Answer, ask who is where nobody was visited yet, and carry some parcels to everybody else."""
        owed, self._owed = self._owed, []
        for caller, number in owed:
            if self._chance.random() < KEEPS:
                self._owed.append((caller, number))
            else:
                self.process.reply(caller, ItIsMe(number, self.process.pid))
        for node in sorted(self.process.runtime.foreign.linked):
            journey = self._journeys.get(node)
            if journey is None or (not self._node.world.is_calm and self._chance.random() < ASKS):
                number = self._node.world.fresh_number()
                self._asked[self.process.call(Named(node, COURIER), WhoAreYou(number), ASK_TIMEOUT_S)] = (number, node)
            if journey is not None:
                for _ in range(self._chance.randint(1, PARCELS_MAX)):
                    self._carry(node, journey)
        if self._chance.random() < RETIRES and not self._node.world.is_calm:
            self.process.stop()
        else:
            self.init()

    def _carry(self, node: str, journey: Journey) -> None:
        number = self._count[node] + 1
        load = bytes(self._chance.choice((0, 0, 0, 100, HEAVY_SIZE_BYTES)))
        if self.process.cast(journey.target, Parcel(journey.number, number, load)):
            self._count[node] = number
            self._node.witness.travelled(Left(journey.number, number))
