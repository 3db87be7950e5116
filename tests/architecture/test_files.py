"""Files stay readable, and name nothing of the machine they were written on."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.architecture.house import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES_MAX = 500
# What tools and running nodes leave behind.
LEFT_BEHIND = {"__pycache__", "build", "dist", "data", "htmlcov"}
HIDDEN_BUT_OURS = {".ci"}
# Each pattern is written so that it does not find itself.
OF_A_MACHINE = re.compile(r"/(?:wor[k]|tm[p]|roo[t]|opt/py[p]i)/|py[e]nv|index-ur[l]|find-link[s]|trusted-hos[t]")
OF_A_MERGE = re.compile(r"^(?:<{7}|={7}|>{7})(?: |$)")


def files() -> Iterator[Path]:
    """Every file of the project."""
    for folder, below, names in os.walk(ROOT):
        below[:] = [
            name
            for name in below
            if name in HIDDEN_BUT_OURS
            or not (name.startswith(".") or name in LEFT_BEHIND or name.endswith(".egg-info"))
        ]
        yield from (Path(folder, name) for name in names if name != ".git" and not name.startswith(".coverage"))


def test_no_file_outgrows_its_noun() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_bytes().splitlines()) for path in files() if path.suffix == ".py"
    }
    assert {name: length for name, length in lengths.items() if length > LINES_MAX} == {}


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """Where a pattern stands in the files, and what it found."""
    return [
        f"{path.relative_to(ROOT)}:{number} {match[0]}"
        for path in files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if (match := pattern.search(line))
    ]


def test_no_file_names_a_place_of_this_machine() -> None:
    assert lines_with(OF_A_MACHINE) == []


def test_no_file_was_left_in_the_middle_of_a_merge() -> None:
    assert lines_with(OF_A_MERGE) == []
