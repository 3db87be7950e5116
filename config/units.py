"""The unit in a key's name, and what people write instead of a number in that unit.

Every key ends in its unit, so a value is a bare number: `drain_timeout_s = 5`. Someone who writes "5s" or "1 min" all
the same is told the number to write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}
_BYTES: Final = {
    **dict.fromkeys(("b", "byte", "bytes"), 1.0),
    **{name: 1000.0**power for power, name in enumerate(("kb", "mb", "gb", "tb"), 1)},
    **{
        name: 1024.0**power
        for power, names in enumerate(("k kib", "m mib", "g gib", "t tib"), 1)
        for name in names.split()
    },
}


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that a key can name.

    Args:
        name: the unit in full and in the plural.
        factors: what each written suffix is worth in this unit.
        steps: the larger units to describe a value in, largest first, with their worth.
    """

    name: str
    factors: Mapping[str, float]
    steps: tuple[tuple[str, int], ...] = ()

    def describe(self, value: float) -> str:
        """A value in the largest unit that gives a whole number, or "" where the bare number says it best."""
        for name, worth in self.steps:
            if value >= worth and value % worth == 0:
                count = int(value // worth)
                return f"{count} {name.removesuffix('s') if count == 1 else name}"
        return ""


SECONDS: Final = Unit("seconds", MappingProxyType(_SECONDS), (("days", 86400), ("hours", 3600), ("minutes", 60)))
MILLISECONDS: Final = Unit("milliseconds", MappingProxyType({name: 1000 * worth for name, worth in _SECONDS.items()}))
BYTES: Final = Unit("bytes", MappingProxyType(_BYTES), (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)))
PER_MINUTE: Final = Unit("times a minute", MappingProxyType({}))
PER_HOUR: Final = Unit("times an hour", MappingProxyType({}))

_NAMED: Final = (
    (re.compile(r"_per_minute$"), PER_MINUTE),
    (re.compile(r"_per_hour$"), PER_HOUR),
    (re.compile(r"_bytes(_|$)"), BYTES),
    (re.compile(r"_ms(_|$)"), MILLISECONDS),
    (re.compile(r"_s(_|$)"), SECONDS),
)
_WRITTEN: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", re.ASCII)


def unit_of(key: str) -> Unit | None:
    """The unit that a key's name carries; None for a bare count or a value that is no number."""
    name = key.rpartition(".")[2]
    return next((unit for pattern, unit in _NAMED if pattern.search(name)), None)


def number_meant(key: str, written: str) -> float | None:
    """The number in the key's unit that a text such as "30s" or "64 KiB" means; None where that is a guess."""
    match = _WRITTEN.fullmatch(written)
    if match is None:
        return None
    number, suffix = float(match[1]), match[2].lower()
    if not suffix:
        return number
    unit = unit_of(key)
    if unit is None or suffix not in unit.factors:
        return None
    return number * unit.factors[suffix]
