"""What is shown of a cluster while people chat: a table drawn again and again, or lines where nobody watches."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from bench.ledger import Counts

__all__ = ["HostSight", "Sight", "View", "status", "table"]

LINE_EVERY_S: Final = 2.0
BAR_SHARDS: Final = 4


class HostSight(NamedTuple):
    """One host.

    Attributes:
        name: Its name.
        state: What was done to it last.
        shards: Who has which shard, as this host sees it; empty if it does not answer.
        online: Devices that are connected to it.
        devices: Devices that come to its door.
    """

    name: str
    state: str
    shards: Sequence[dict[str, Any]]
    online: int
    devices: int


class Sight(NamedTuple):
    """All of it, at one moment.

    Attributes:
        elapsed_s: Since it began.
        hosts: The hosts.
        counts: The books; "lost" is what is on its way.
        accepted_per_s: Ticks a second, lately.
        moves: Shards that were handed over.
        kills: Hosts that were killed.
    """

    elapsed_s: float
    hosts: Sequence[HostSight]
    counts: Counts
    accepted_per_s: float
    moves: int
    kills: int


def table(sight: Sight) -> Table:
    """For a terminal."""
    counts = sight.counts
    grid = Table(
        box=box.ROUNDED,
        title=f"{sight.elapsed_s:.0f} s: {counts.accepted:,} accepted, {sight.accepted_per_s:,.0f} a second",
        caption=(
            f"on their way {counts.lost}, shown twice {counts.shown_twice}, out of order {counts.out_of_order}, "
            f"moves {sight.moves}, kills {sight.kills}"
        ),
    )
    grid.add_column("host")
    grid.add_column("state", min_width=12)
    grid.add_column("has", justify="right")
    grid.add_column("shards", min_width=64 // BAR_SHARDS)
    grid.add_column("sees")
    grid.add_column("online", justify="right")
    held = _held(sight)
    for host in sight.hosts:
        style = "green" if host.state == "up" else "yellow" if host.shards else "red"
        has = held[host.name]
        bar = "▪" * -(-has // BAR_SHARDS)
        grid.add_row(host.name, host.state, str(has), bar, _sees(host), f"{host.online}/{host.devices}", style=style)
    return grid


def status(sight: Sight) -> str:
    """For a pipe or a log."""
    held = _held(sight)
    hosts = ", ".join(f"{host.name} {host.state} with {held[host.name]} shards" for host in sight.hosts)
    return (
        f"{hosts}; {sight.accepted_per_s:.0f} a second; accepted {sight.counts.accepted}, on their way "
        f"{sight.counts.lost}, shown twice {sight.counts.shown_twice}, out of order {sight.counts.out_of_order}"
    )


def _held(sight: Sight) -> Counter[str]:
    """How many shards each host has: the newest word on each, for a host that is away cannot say it itself."""
    newest: dict[int, dict[str, Any]] = {}
    for host in sight.hosts:
        for row in host.shards:
            known = newest.get(row["shard"])
            if known is None or row["epoch"] > known["epoch"]:
                newest[row["shard"]] = row
    return Counter(row["node"] for row in newest.values())


def _sees(host: HostSight) -> str:
    """The hosts to which it is linked, as far as they have shards."""
    return " ".join(sorted({row["node"] for row in host.shards if row["state"] == "up"} - {host.name, ""}))


class View:
    """Shows sights and tells what happens; as a context it has the lower part of the terminal.

    Args:
        console: Where; None for standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(soft_wrap=True, highlight=False)
        self._live: Live | None = None
        self._told_s = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, elapsed_s: float, text: str) -> None:
        """Tell what happens."""
        self._told_s = elapsed_s
        self._print(elapsed_s, text)

    def show(self, sight: Sight) -> None:
        """Draw it; without a terminal a line now and then."""
        if self._live is not None:
            self._live.update(table(sight), refresh=True)
        elif sight.elapsed_s - self._told_s >= LINE_EVERY_S:
            self._told_s = sight.elapsed_s
            self._print(sight.elapsed_s, status(sight))

    def _print(self, elapsed_s: float, text: str) -> None:
        self._console.print(f"{elapsed_s:6.2f} s  {text}", markup=False)
        self._console.file.flush()
