"""Rate limits per operation and key: GCRA, one float a key, with what remains told to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Allowance", "Rate", "RateLimiter"]


class Rate(NamedTuple):
    """How often an operation may happen: `burst` at once, `per_s` in the long run."""

    burst: int
    per_s: float


class Allowance(NamedTuple):
    """What a key has left of one operation."""

    operation: str
    remaining: int
    reset_s: int


class RateLimiter:
    """The generic cell rate algorithm (ITU-T I.371) over many operations and keys.

    A key's whole state is its theoretical arrival time. Keys whose time has passed are
    as good as unknown, so they are swept when the table is full; the table never grows
    beyond `keys_max` keys that are in debt at this moment.

    Args:
        rates: operation -> its rate; an operation that is absent is not limited.
        keys_max: entries kept before expired ones are swept; when every entry is in debt, new keys are refused.
    """

    __slots__ = ("_arrivals_s", "_keys_max", "_rates")

    def __init__(self, rates: Mapping[str, Rate], keys_max: int = 100_000) -> None:
        self._rates = dict(rates)
        self._keys_max = keys_max
        self._arrivals_s: dict[tuple[str, str], float] = {}

    def take(self, operation: str, key: str, now_s: float) -> float:
        """Take one permit: 0.0 when allowed, else the seconds to wait before asking again."""
        rate = self._rates.get(operation)
        if rate is None:
            return 0.0
        step_s = 1.0 / rate.per_s
        arrivals_s = self._arrivals_s
        arrival_s = arrivals_s.get((operation, key))
        if arrival_s is None:
            if len(arrivals_s) >= self._keys_max and not self._sweep(now_s):
                return step_s
            arrival_s = now_s
        elif arrival_s < now_s:
            arrival_s = now_s
        wait_s = arrival_s + step_s - rate.burst * step_s - now_s
        if wait_s > 1e-9:
            return wait_s
        arrivals_s[(operation, key)] = arrival_s + step_s
        return 0.0

    def remaining(self, key: str, now_s: float, operations: tuple[str, ...]) -> list[Allowance]:
        """What `key` has left of each of `operations`, and when it is whole again."""
        allowances = []
        for operation in operations:
            rate = self._rates.get(operation)
            if rate is None:
                continue
            debt_s = max(0.0, self._arrivals_s.get((operation, key), now_s) - now_s)
            used = -int(-debt_s * rate.per_s // 1)
            allowances.append(Allowance(operation, max(0, rate.burst - used), -int(-debt_s // 1)))
        return allowances

    def _sweep(self, now_s: float) -> bool:
        self._arrivals_s = {key: at_s for key, at_s in self._arrivals_s.items() if at_s > now_s}
        return len(self._arrivals_s) < self._keys_max
