"""How many restarts are too many: at most `intensity` within any `period_s`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile


@dataclass(frozen=True, slots=True)
class RestartWindow:
    """The restarts of the latest period.

    Attributes:
        intensity: How many restarts a period may see.
        period_s: Its length, in seconds.
        restarts: When the latest ones were, the youngest first; never more than `intensity` + 1.
    """

    intensity: int
    period_s: float
    restarts: tuple[float, ...] = ()

    def restarted(self, now_s: float) -> tuple[RestartWindow, bool]:
        """Count a restart.

        Args:
            now_s: When it happens.

        Returns:
            The window with it, and whether it is still within the intensity.
        """
        recent = takewhile(lambda at_s: at_s >= now_s - self.period_s, self.restarts)
        window = replace(self, restarts=(now_s, *recent)[: self.intensity + 1])
        return window, len(window.restarts) <= self.intensity
