"""`roostctl shards` and `roostctl move-shard`: who has which shard, and the handing over of some."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final, TypedDict

from msgspec import Meta
from rich import box
from rich.console import Console
from rich.table import Table

from ctl.control import ask

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["Move", "Place", "move_shards", "shards"]

MOVE_S_MAX: Final = 610.0


class Place(TypedDict):
    """A shard, as a node tells who has it."""

    shard: Annotated[int, Meta(ge=0)]
    node: str
    due: str
    state: str


Move = TypedDict("Move", {"from": str, "to": str, "rows": int, "size_bytes": int, "still_s": float})


def shards(config: Path | None) -> int:
    """Print a row for each node: how many shards it has, how many it is due, and which it has.

    Args:
        config: The settings file of the host.

    Returns:
        0 if every shard is up, else 1.

    Raises:
        NotAnsweredError: No node runs here, or it does not answer.
        ConfigError: The settings file cannot be used.
    """
    places: list[Place] = ask(config, "GET", "/shards", list[Place])
    console = Console(highlight=False, markup=False)
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    table.add_column("node", no_wrap=True)
    table.add_column("has", justify="right", no_wrap=True)
    table.add_column("due", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("shards", overflow="fold")
    due = Counter(place["due"] for place in places)
    for node in sorted({place["node"] for place in places} | due.keys()):
        has = [place for place in places if place["node"] == node]
        states = ", ".join(sorted({place["state"] for place in has}))
        numbers = ranges(place["shard"] for place in has)
        table.add_row(node or "(nobody)", str(len(has)), str(due[node]), states, numbers)
    if console.is_terminal:
        console.print(table)
    else:
        Console(highlight=False, markup=False, width=1_000).print(table)
    misplaced = _misplaced(places)
    if misplaced:
        print(f"{len(misplaced)} are not where they are due; roostctl move-shard --all moves them")
    return 0 if all(place["state"] == "up" for place in places) else 1


def move_shards(config: Path | None, numbers: Sequence[int], to: str | None) -> int:
    """Hand shards over, one after the other, while people chat.

    Args:
        config: The settings file of the host.
        numbers: Which; all that are not where they are due, if there are none.
        to: The node that is to have them; None for the one that each is due to.

    Returns:
        0 if all have moved.

    Raises:
        NotAnsweredError: No node runs here, or one cannot be moved; those before it have moved.
        ConfigError: The settings file cannot be used.
    """
    places: list[Place] = ask(config, "GET", "/shards", list[Place])
    by_number = {place["shard"]: place for place in places}
    chosen = list(numbers) or [place["shard"] for place in _misplaced(places)]
    if not chosen:
        print("every shard is where it is due")
    for number in chosen:
        target = to or by_number[number]["due"]
        if by_number[number]["node"] == target:
            print(f"shard {number} is at {target} already")
            continue
        answer = ask(config, "POST", f"/shards/{number}/move", Move, {"to": target}, MOVE_S_MAX)
        print(
            f"shard {number} moved from {answer['from']} to {answer['to']}: "
            f"{answer['rows']} rows, {answer['size_bytes'] / 1e6:.1f} MB, still for {answer['still_s']:.3f} s",
            flush=True,
        )
    return 0


def _misplaced(places: list[Place]) -> list[Place]:
    return [place for place in places if place["node"] and place["node"] != place["due"]]


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as people write them: `0-3, 7`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
