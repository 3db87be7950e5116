"""How far a verification has come: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Advance"]

LINE_EVERY_S: Final = 10.0


class Advance:
    """Shows how far it is.

    Args:
        what: What is counted, in the plural.
        total: How many there will be.
        console: Where it is shown; None for standard output.
    """

    def __init__(self, what: str, total: int, console: Console | None = None) -> None:
        self._console = console or Console(soft_wrap=True, highlight=False)
        self._what = what
        self._total = total
        self._told_s = time.monotonic()
        self._bar: Progress | None = None
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn(what),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[news]}"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task(what, total=total, news="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def at(self, count: int, news: str) -> None:
        """So many are done.

        Args:
            count: How many.
            news: A few words about them.
        """
        if self._bar is not None:
            self._bar.update(self._task, completed=count, news=news)
        elif time.monotonic() - self._told_s >= LINE_EVERY_S:
            self._told_s = time.monotonic()
            print(f"{count} of {self._total} {self._what}: {news}", flush=True)
