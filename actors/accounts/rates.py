"""Rate limits per operation and key: GCRA, one float a key, with what remains told to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Allowance", "Rate", "RateLimiter"]

SWEEP_INTERVAL_S: Final = 1.0


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
    beyond `keys_max` keys. Each operation has a table of its own: strangers who ask for
    codes under invented names fill that of the codes, and nobody's messages wait for it.

    Args:
        rates: operation -> its rate; an operation that is absent is not limited.
        keys_max: keys of one operation kept before those that owe nothing are swept, at most once a second; when
            every key owes, new ones are refused.
    """

    __slots__ = ("_arrivals_s", "_keys_max", "_rates", "_swept_s")

    def __init__(self, rates: Mapping[str, Rate], keys_max: int = 100_000) -> None:
        self._rates = dict(rates)
        self._keys_max = keys_max
        self._arrivals_s: dict[str, dict[str, float]] = {operation: {} for operation in rates}
        self._swept_s: dict[str, float] = {}

    def take(self, operation: str, key: str, now_s: float) -> float:
        """Take one permit: 0.0 when allowed, else the seconds to wait before asking again."""
        rate = self._rates.get(operation)
        if rate is None:
            return 0.0
        step_s = 1.0 / rate.per_s
        arrivals_s = self._arrivals_s[operation]
        arrival_s = arrivals_s.get(key)
        if arrival_s is None:
            if len(arrivals_s) >= self._keys_max and not self._sweep(operation, now_s):
                return step_s
            arrival_s = now_s
        elif arrival_s < now_s:
            arrival_s = now_s
        wait_s = arrival_s + step_s - rate.burst * step_s - now_s
        if wait_s > 1e-9:
            return wait_s
        arrivals_s[key] = arrival_s + step_s
        return 0.0

    def remaining(self, key: str, now_s: float, operations: tuple[str, ...]) -> list[Allowance]:
        """What `key` has left of each of `operations`, and when it is whole again."""
        allowances = []
        for operation in operations:
            rate = self._rates.get(operation)
            if rate is None:
                continue
            debt_s = max(0.0, self._arrivals_s[operation].get(key, now_s) - now_s)
            used = -int(-debt_s * rate.per_s // 1)
            allowances.append(Allowance(operation, max(0, rate.burst - used), -int(-debt_s // 1)))
        return allowances

    def _sweep(self, operation: str, now_s: float) -> bool:
        """Forget who owes nothing; whether there is room. A full table takes milliseconds, so not for each stranger."""
        if now_s - self._swept_s.get(operation, -SWEEP_INTERVAL_S) < SWEEP_INTERVAL_S:
            return False
        self._swept_s[operation] = now_s
        arrivals_s = self._arrivals_s[operation]
        for key in [key for key, at_s in arrivals_s.items() if at_s <= now_s]:
            del arrivals_s[key]
        return len(arrivals_s) < self._keys_max
