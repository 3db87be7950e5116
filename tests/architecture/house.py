"""What the house consists of, as its own folders tell."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_OUTSIDE: Final = {"tests", "docs", "examples", "deploy", "build", "dist"}


def packages() -> list[str]:
    """The top-level packages."""
    return sorted(init.parent.name for init in ROOT.glob("[a-z]*/__init__.py") if init.parent.name not in _OUTSIDE)


def rooms() -> list[Path]:
    """The folders of the rooms of actors/."""
    return sorted(init.parent for init in (ROOT / "actors").glob("*/__init__.py"))
