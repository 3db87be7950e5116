"""Measure every bar: `python -m bench` (or `make bench`) prints a line a bar and writes bench/latest.json.

`--only online` measures one scenario; `--profile FILE` leaves the node's cProfile statistics in that scenario there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from bench import (
    away,
    crashes,
    cross,
    crowd,
    devices,
    groups,
    hot,
    idle,
    moving,
    offline,
    online,
    paced,
    remote,
    replace,
    restart,
    runtime_bars,
    weather,
    workers,
)
from bench.bars import BARS, RUNTIME_BARS, line, percentile, rows
from bench.disk import SYNC_P99_MS_MAX, sync_times_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.bars import Row

    Scenario = Callable[[Path, Path | None], dict[str, float]]

LATEST = Path(__file__).with_name("latest.json")


def _runtime(folder: Path, profile: Path | None) -> dict[str, float]:
    return {row["bar"]: row["value"] for row in runtime_bars.run()}


# The runtime's bars come first: their process is still small.
SCENARIOS: dict[str, Scenario] = {
    "runtime": _runtime,
    "online": online.run,
    "workers": workers.run,
    "paced": paced.run,
    "offline": offline.run,
    "groups": groups.run,
    "devices": devices.run,
    "away": away.run,
    "hot": hot.run,
    "weather": weather.run,
    "idle": idle.run,
    "crowd": crowd.run,
    "restart": restart.run,
    "crash": crashes.run,
    "remote": remote.run,
    "cross": cross.run,
    "move": moving.run,
    "replace": replace.run,
}


def measure(scenarios: Mapping[str, Scenario], profile: Path | None) -> tuple[dict[str, float], float, bool]:
    """Run scenarios, each in a fresh folder.

    Args:
        scenarios: By name.
        profile: Where the node's profile goes.

    Returns:
        Bar -> figure, the p99 of the disk's sync in milliseconds, and whether every scenario came to its end.
    """
    figures: dict[str, float] = {}
    syncs_ms: list[float] = []
    worked = True
    for name, scenario in scenarios.items():
        began_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="roost-bench-") as folder:
            syncs_ms += sync_times_ms(Path(folder))
            try:
                figures |= scenario(Path(folder), profile)
            except Exception:  # one scenario that fails leaves its bars without a figure, and the others run
                traceback.print_exc()
                worked = False
            syncs_ms += sync_times_ms(Path(folder))
        print(f"{name}: {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)
    return figures, percentile(syncs_ms, 99), worked


def write(result: Sequence[Row], path: Path = LATEST) -> None:
    """Leave the rows for machines."""
    path.write_text(json.dumps(result, indent=1) + "\n")


def report(result: Sequence[Row], figures: Mapping[str, float], sync_p99_ms: float) -> None:
    """Print a line a bar, and what is to be known about the machine."""
    walls = {bar.bar for bar in BARS if bar.wall}
    void = sync_p99_ms > SYNC_P99_MS_MAX
    print(f"{'bar':<48} {'figure':>12} {'unit':<8} {'must':>9} {'aim':>9}  met")
    for row in result:
        print(line(row, void=void and row["bar"] in walls))
    for name in sorted(figures.keys() - {row["bar"] for row in result}):
        print(f"{name}: {figures[name]:.1f}")
    print(f"fsync p99 {sync_p99_ms:.2f} ms (above {SYNC_P99_MS_MAX:g} ms the wall times are void)")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; returns 0 if every scenario came to its end, whatever its figures are."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure every bar of Roost.")
    parser.add_argument("--only", choices=list(SCENARIOS), help="measure this scenario alone, and write nothing")
    parser.add_argument(
        "--profile", type=Path, help="with --only: run its node under cProfile, statistics to this file"
    )
    chosen = parser.parse_args(arguments)
    if chosen.profile is not None and chosen.only is None:
        parser.error("--profile needs --only")
    scenarios = SCENARIOS if chosen.only is None else {chosen.only: SCENARIOS[chosen.only]}
    figures, sync_p99_ms, worked = measure(scenarios, chosen.profile)
    result = rows([*BARS, *RUNTIME_BARS], figures)
    if chosen.only is not None:
        result = [row for row in result if row["bar"] in figures]
    else:
        write(result)
    report(result, figures, sync_p99_ms)
    return 0 if worked else 1


if __name__ == "__main__":
    sys.exit(main())
