"""Search for inputs that break a promise, or try one input again.

    python -m tests.fuzz --seconds 60                 every target under atheris, one after the other
    python -m tests.fuzz --seconds 60 server_wire     these targets only
    python -m tests.fuzz --replay server_wire FILE    one input, without atheris

The exit status is 1 if anything was found.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.fuzz.targets import TARGETS

FOLDER: Final = Path(".fuzz")
GRACE_S: Final = 60
LINES_SHOWN: Final = 40
_CHATTER: Final = re.compile(rb"INFO: |#\d|WARNING: Failed to find function")
_COVERAGE: Final = re.compile(rb"cov: (\d+) ft: (\d+)")
_RUNS: Final = re.compile(rb"stat::number_of_executed_units:\s*(\d+)|^#(\d+)", re.MULTILINE)
_ARTIFACT: Final = re.compile(rb"Test unit written to (\S+)")


def main(arguments: list[str] | None = None) -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Search for inputs that break a promise.")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--replay", nargs=2, metavar=("TARGET", "FILE"), help="try one input again")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all if none is named")
    chosen = parser.parse_args(arguments)
    names = [*chosen.targets, *(chosen.replay or ())[:1]]
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"there is no target {unknown[0]}; there are {', '.join(TARGETS)}")
    if chosen.replay:
        name, file = chosen.replay
        TARGETS[name].run(b"")
        TARGETS[name].check(Path(file).read_bytes())
        print(f"{file} breaks no promise of {name}: {TARGETS[name].promise}")
        return 0
    print(f"{'target':22} {'runs':>12} {'seconds':>8} {'coverage':>9} {'features':>9}  findings", flush=True)
    return max([searched(name, chosen.seconds) for name in chosen.targets or TARGETS])


def searched(name: str, seconds: int) -> int:
    """Search in one target and print its line; returns 1 if something was found."""
    began_s = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz.guided", name, str(seconds), str(FOLDER)]
    try:
        process = subprocess.run(command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, timeout=seconds + GRACE_S)
        output, status = process.stdout, process.returncode
    except subprocess.TimeoutExpired as expired:
        output, status = expired.stdout or b"", 1
    runs = max((int(one or other) for one, other in _RUNS.findall(output)), default=0)
    coverage, features = (int(figure) for figure in (_COVERAGE.findall(output) or [(0, 0)])[-1])
    found = [file.decode() for file in _ARTIFACT.findall(output)]
    print(
        f"{name:22} {runs:12,} {time.monotonic() - began_s:8.0f} {coverage:9,} {features:9,}  {len(found) or status}",
        flush=True,
    )
    if not status:
        return 0
    lines = [line for line in output.splitlines() if not _CHATTER.match(line)]
    print(b"\n".join(lines[-LINES_SHOWN:]).decode(errors="replace"))
    for file in found:
        print(f"Replay it: python -m tests.fuzz --replay {name} {file}", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
