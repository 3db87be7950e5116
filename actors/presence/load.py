"""How far the node is behind its clock, and whether presence and typing are shed until it has caught up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runtime import Actor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BEAT_S", "CALM_BEATS", "LATE_BEATS", "Load", "LoadActor"]

BEAT_S: Final = 1.0
LATE_BEATS: Final = 3
"""So many late beats in a row are load; a single one is a pause."""
CALM_BEATS: Final = 10
"""So many in a row, at less than half the lag, and it is over."""


class Load:
    """Whether the node has more to do than it can, with hysteresis.

    Args:
        shed_lag_s: A beat that comes later than this is late; 0 sheds nothing, ever.
        say: Writes a warning to the log: the name of the event, and its fields.

    Attributes:
        shedding: Whether presence and typing are left out, so that messages are not late (promise 6).
    """

    __slots__ = ("_beats", "_say", "shed_lag_s", "shedding")

    def __init__(self, shed_lag_s: float = 0.0, say: Callable[..., Any] | None = None) -> None:
        self.shed_lag_s = shed_lag_s
        self.shedding = False
        self._say = say
        self._beats = 0

    def measured(self, lag_s: float) -> None:
        """A beat came so many seconds late."""
        turning = lag_s * 2 < self.shed_lag_s if self.shedding else lag_s > self.shed_lag_s > 0
        self._beats = self._beats + 1 if turning else 0
        if self._beats < (CALM_BEATS if self.shedding else LATE_BEATS):
            return
        self._beats = 0
        self.shedding = not self.shedding
        if self._say is not None:
            self._say("presence_shed" if self.shedding else "presence_back", lag_ms=round(lag_s * 1000))


class Beat:
    """The timer whose lateness is measured: it waits its turn among the actors, as a message does."""


class LoadActor(Actor):
    """Measures the load while it lives.

    Args:
        load: Is told of every beat.
    """

    __slots__ = ("_due_s", "_load")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._due_s = 0.0

    def init(self) -> None:
        """Begin to beat."""
        self._wait()

    def handle_info(self, message: Any) -> None:
        """A beat."""
        if type(message) is Beat:
            self._load.measured(self.process.runtime.clock.now_s() - self._due_s)
            self._wait()

    def _wait(self) -> None:
        self._due_s = self.process.runtime.clock.now_s() + BEAT_S
        self.process.send_after(BEAT_S, Beat())
