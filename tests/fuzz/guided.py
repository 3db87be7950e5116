"""One target under atheris: libFuzzer mutates, and what reaches new branches of our code is kept and mutated further.

``python -m tests.fuzz.guided TARGET SECONDS FOLDER`` is what `tests.fuzz` starts for each target, in a process of its
own, because libFuzzer never returns.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

SIZE_BYTES_MAX = 4_096
INPUT_TIMEOUT_S = 10
MEMORY_MIB_MAX = 2_048
OURS = ["actors", "cluster", "config", "ctl", "gateway", "protocol", "roost", "runtime", "storage"]
"""The packages in which a target's code lies: new branches of these are what the search goes for."""


def main(name: str, seconds: int, folder: Path) -> None:
    """Search until the time is over or something is found.

    Args:
        name: Of the target.
        seconds: How long.
        folder: Where the corpus grows, and where findings go.
    """
    with atheris.instrument_imports(include=OURS):
        from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    target.run(b"")  # what is made once, such as a template, is no memory of an input
    grown, found = folder / "corpus" / name, folder / "findings"
    for each in (grown, found):
        each.mkdir(parents=True, exist_ok=True)
    options = {
        "max_total_time": seconds,
        "max_len": SIZE_BYTES_MAX,
        "timeout": INPUT_TIMEOUT_S,
        "rss_limit_mb": MEMORY_MIB_MAX,
        "artifact_prefix": f"{found}/{name}-",
        "print_final_stats": 1,
    }
    arguments = [f"-{option}={value}" for option, value in options.items()]
    committed = target.corpus()[0].parent
    atheris.Setup([sys.argv[0], *arguments, str(grown), str(committed)], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
