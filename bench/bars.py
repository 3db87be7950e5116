"""The bars: every figure that `make bench` owes, with what it must be and what is aimed at. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BARS", "RUNTIME_BARS", "Bar", "Row", "line", "percentile", "rows"]

Row = dict[str, Any]
"""One line of the result: bar, value, unit, better, must, aim, met."""


class Bar(NamedTuple):
    """One figure.

    Attributes:
        bar: Its name.
        unit: Of the figure.
        must: What it must be at least ("higher") or at most ("lower"); None: it is there for comparison.
        aim: What is aimed at.
        better: Which way is better.
        wall: Whether it is wall time, and so void on a slow disk.
    """

    bar: str
    unit: str
    must: float | None = None
    aim: float | None = None
    better: Literal["lower", "higher"] = "lower"
    wall: bool = False

    def met(self, value: float | None) -> bool | None:
        """Whether the figure is what it must be; a missing one is not, whatever it is for."""
        if value is None:
            return False
        if self.must is None:
            return None
        return value <= self.must if self.better == "lower" else value >= self.must


BARS = (
    Bar("online: CPU a message", "us CPU", 40, 20),
    Bar("online: messages a second", "1/s", 20_000, 45_000, "higher", wall=True),
    Bar("workers: CPU a message of two, to that of one", "x", 1.6, 1.4),
    Bar("workers: messages that two can take, to one", "x", 1.5, 1.6, "higher"),
    Bar("workers: CPU of a login at two", "us CPU", 600, 450),
    Bar("paced: CPU a message", "us CPU", 250, 100),
    Bar("paced: send to delivered, p50", "ms", wall=True),
    Bar("paced: send to delivered, p99", "ms", 15, 6, wall=True),
    Bar("offline: stored, CPU a message", "us CPU", 35, 20),
    Bar("offline: drained, CPU a message", "us CPU", 15, 8),
    Bar("groups: 200, 8 in flight, CPU a delivery", "us CPU", 10, 5),
    Bar("groups: 200, 1 in flight, CPU a delivery", "us CPU", 40, 25),
    Bar("groups: 1024, 8 in flight, CPU a delivery", "us CPU", 10, 5),
    Bar("groups: 1024, 1 in flight, CPU a delivery", "us CPU", 40, 25),
    Bar("groups: joining one of 1024, CPU", "ms CPU", 20, 10),
    Bar("groups: first message to a cold one of 1024, CPU", "ms CPU"),
    Bar("away: 1024, the first, CPU a member", "us CPU", 12, 8),
    Bar("away: 1024, the first after a rest, CPU a member", "us CPU"),
    Bar("away: 1024, the first after a rest, pages a member beyond the bodies", "bytes", 128, 100),
    Bar("away: 1024, the next, CPU a member", "us CPU", 12, 8),
    Bar("away: 1024, the next, pages a member beyond the bodies", "bytes", 128, 100),
    Bar("away: 200, the first after a rest, CPU a member", "us CPU"),
    Bar("away: 200, the first after a rest, pages a member beyond the bodies", "bytes"),
    Bar("away: 200, the next, CPU a member", "us CPU", 12, 8),
    Bar("away: 200, the next, pages a member beyond the bodies", "bytes", 128, 100),
    Bar("hot: p99 of a chat elsewhere, times as long", "times", 2, 1.5, wall=True),
    Bar("devices: CPU a message with 1 more, to that with one", "times", 1.6, 1.4),
    Bar("devices: CPU a message with 2 more, to that with one", "times", 2.2, 1.8),
    Bar("devices: CPU a message with 3 more, to that with one", "times", 2.8, 2.2),
    Bar("devices: CPU a message with 4 more, to that with one", "times", 3.4, 2.6),
    Bar("weather: groups in flux, broken seeds of 1,000", "seeds", 0, 0),
    Bar("weather: groups in flux, 1,000 seeds", "min", wall=True),
    Bar("idle: memory of a connection", "KiB", 8, 4),
    Bar("login: CPU", "us CPU", 600, 350),
    Bar("crowd: idle connections on four workers", "people", 60_000, 60_000, "higher"),
    Bar("crowd: memory of a connection", "KiB", 8, 4),
    Bar("restart: first client served", "s", 5, 1, wall=True),
    Bar("crash: accepted messages lost in 20 kills", "messages", 0, 0),
    Bar("remote: message between two nodes, sender", "us CPU", 6, 4),
    Bar("remote: message between two nodes, receiver", "us CPU", 6, 4),
    Bar("remote: end of a killed process told", "s", 0.5, 0.1),
    Bar("remote: end of a silent node told", "s", 4, 4),
    Bar("cross: CPU of two nodes a message", "us CPU", 70, 40),
    Bar("cross: messages a second", "1/s", better="higher", wall=True),
    Bar("move: longest wait for a tick", "s", 1, 0.3, wall=True),
    Bar("move: messages lost, doubled or turned round", "messages", 0, 0),
    Bar("replace: killed worker answers again, p50", "ms", wall=True),
    Bar("replace: killed worker answers again, p99", "ms", 300, 150, wall=True),
    Bar("replace: killed one of two answers again, p50", "ms", wall=True),
    Bar("replace: killed one of two answers again, p99", "ms", 300, 150, wall=True),
    Bar("host: memory besides the worker", "MiB"),
    Bar("host: CPU besides the worker, idle", "ms CPU/s"),
)
"""The messenger's, in the order of the table."""

RUNTIME_BARS = (
    Bar("runtime: message between two actors", "us CPU", 1.0, 0.8),
    Bar("runtime: message, asyncio task and queue", "us CPU"),
    Bar("runtime: message, pykka", "us CPU"),
    Bar("runtime: idle actor", "bytes", 600, 500),
    Bar("runtime: idle asyncio task and queue", "bytes"),
    Bar("runtime: actors in one process", "actors", 1_000_000, 1_000_000, "higher"),
    Bar("runtime: restart of a crashed child", "us CPU", 100, 50),
    Bar("runtime: 100,000 heartbeats, idle for a second", "ms CPU"),
)
"""The actor runtime's, as `bench.runtime_bars` names them; its own must and aim are the same."""


def rows(bars: Sequence[Bar], figures: Mapping[str, float]) -> list[Row]:
    """A row a bar, in their order; a bar without a figure is there too, and not met.

    Args:
        bars: Which.
        figures: Bar -> figure.
    """
    return [_row(bar, figures.get(bar.bar)) for bar in bars]


def _row(bar: Bar, value: float | None) -> Row:
    return {
        "bar": bar.bar,
        "value": None if value is None else round(value, 3),
        "unit": bar.unit,
        "better": bar.better,
        "must": bar.must,
        "aim": bar.aim,
        "met": bar.met(value),
    }


def line(row: Row, *, void: bool = False) -> str:
    """A row for people.

    Args:
        row: From `rows`.
        void: Whether the disk was too slow for this figure to mean anything.
    """
    value, must, aim = ("-" if row[key] is None else f"{row[key]:,}" for key in ("value", "must", "aim"))
    met = {True: "yes", False: "NO", None: "-"}[row["met"]] + (" (void: slow disk)" if void else "")
    return f"{row['bar']:<48} {value:>12} {row['unit']:<8} {must:>9} {aim:>9}  {met}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least so many percent of them do not exceed (nearest rank).

    Args:
        values: At least one, in any order.
        percent: Above 0, up to 100.

    Raises:
        ValueError: There is no value, or no such percentile.
    """
    if not values or not 0 < percent <= 100:
        raise ValueError(f"no {percent}th percentile of {len(values)} values")
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]
