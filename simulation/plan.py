"""A plan in one line of text: what a run does differently from its seed, so that a command can replay it exactly.

`until=42.5 talk=500 silent=dora,eve 12.031:node-dies:9f3a01bc`: the storm lasts 42.5 s, people then talk until 500
messages are accepted, two of them do nothing, and at 12.031 s of the storm a node dies. What makes people, nodes and
messages stays as the seed decides it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from simulation.faults import FAULTS, Fault

if TYPE_CHECKING:
    from simulation.world import Scenario

__all__ = ["Plan", "PlanError"]

_KINDS = {kind.replace(" ", "-"): kind for kind in FAULTS}


class PlanError(ValueError):
    """The text is no plan; the sentence says what is wrong with it."""


@dataclass(frozen=True)
class Plan:
    """What goes wrong in a run, for how long, and who keeps still.

    Attributes:
        storm_s: How long the storm lasts.
        accepted_min: People go on talking behind the storm until so many messages were accepted.
        faults: What goes wrong, in order of time.
        silent: Accounts of people who do nothing.
    """

    storm_s: float
    accepted_min: int = 0
    faults: tuple[Fault, ...] = ()
    silent: tuple[str, ...] = ()

    @classmethod
    def drawn(cls, seed: int, scenario: Scenario) -> Plan:
        """The plan that a seed draws."""
        faults = tuple(scenario.faults.plan(seed, scenario.is_cluster(seed)))
        return cls(scenario.faults.storm_s, scenario.accepted_min, faults, scenario.silent)

    @classmethod
    def parse(cls, text: str, scenario: Scenario) -> Plan:
        """Read a plan.

        Args:
            text: As `str` writes it.
            scenario: How long the storm and the talk last unless the text names the storm's end.

        Raises:
            PlanError: It is none.
        """
        storm_s, accepted_min = scenario.faults.storm_s, scenario.accepted_min
        if "until=" in text:
            accepted_min = 0
        silent: tuple[str, ...] = ()
        faults = []
        for word in text.split():
            if word.startswith("until="):
                storm_s = _seconds(word.removeprefix("until="), word)
            elif word.startswith("talk="):
                accepted_min = _count(word.removeprefix("talk="), word)
            elif word.startswith("silent="):
                silent = tuple(word.removeprefix("silent=").split(","))
            else:
                faults.append(_fault(word))
        return cls(storm_s, accepted_min, tuple(sorted(faults, key=lambda fault: fault.time_s)), silent)

    def __str__(self) -> str:
        words = [f"until={self.storm_s:g}"]
        if self.accepted_min:
            words.append(f"talk={self.accepted_min}")
        if self.silent:
            words.append(f"silent={','.join(self.silent)}")
        return " ".join([*words, *(f"{it.time_s!r}:{it.kind.replace(' ', '-')}:{it.luck:x}" for it in self.faults)])

    def scenario(self, scenario: Scenario) -> Scenario:
        """The scenario as this plan has it."""
        faults = replace(scenario.faults, storm_s=self.storm_s)
        return replace(scenario, faults=faults, accepted_min=self.accepted_min, silent=self.silent)


def _seconds(text: str, word: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise PlanError(f"{word!r} in the plan names no time: write seconds, as in 12.5.")
    return seconds


def _count(text: str, word: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise PlanError(f"{word!r} in the plan counts no messages: write a whole number, as in talk=500.")
    return int(text)


def _fault(word: str) -> Fault:
    time, _, rest = word.partition(":")
    name, _, luck = rest.partition(":")
    time_s = _seconds(time, word)
    kind = _KINDS.get(name)
    if kind is None:
        raise PlanError(f"{word!r} in the plan names no fault: write time:fault:luck, the fault as one of {_known()}.")
    try:
        return Fault(time_s, kind, int(luck, 16))
    except ValueError:
        raise PlanError(f"{word!r} in the plan has no luck: end it with a hexadecimal number, as printed.") from None


def _known() -> str:
    return ", ".join(_KINDS)
