"""Where a session stands."""

from __future__ import annotations

from enum import Enum, auto

__all__ = ["Phase"]


class Phase(Enum):
    """Where a session stands."""

    OFFLINE = auto()
    CONNECTING = auto()
    LOGGING_IN = auto()
    READY = auto()
    STOPPED = auto()
