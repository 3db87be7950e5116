"""Ambushes on a node's actors: who is killed when mail comes to it, and whose handler raises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runtime import Crash
from runtime.lifetime import end
from runtime.mailbox import Info, Request
from simulation.trap import InjectedError

if TYPE_CHECKING:
    from runtime import Pid, Process
    from simulation.coverage import Coverage

__all__ = [
    "ACTORS",
    "ACTORS_OF_CLUSTERS",
    "CALL",
    "CALLED_IN_CLUSTERS",
    "DEFERRED",
    "HANDLERS",
    "MOMENTS",
    "Ambush",
    "Mine",
    "crash_at",
    "crash_in",
    "crash_of",
    "handler_of",
]

ACTORS: Final = (
    "AccountActor",
    "CollectorActor",
    "ConnectionActor",
    "ConversationActor",
    "DynamicSupervisor",
    "JournalActor",
    "KeyedSupervisor",
    "PresenceActor",
    "QueueActor",
    "RendezvousActor",
    "ShardActor",
    "Supervisor",
)
"""The classes of which every node has actors that get something to do."""

RARELY_CALLED: Final = ("CollectorActor", "RendezvousActor")
"""Those of them that have little to do, and are to be met all the same."""

ACTORS_OF_CLUSTERS: Final = ("ArrivalActor", "DepartureActor", "Groups", "Links", "Membership", "PlacementActor")
"""Those of which the nodes of a cluster have some besides."""

CALLED_IN_CLUSTERS: Final = ("PlacementActor", "Supervisor")
"""Those whom somebody calls: on a node for itself nobody calls anybody."""

CALL: Final = "handle_call"
DEFERRED: Final = "handle_deferred"
HANDLERS: Final = ("handle_cast", "handle_info", DEFERRED)
"""Those that are called on every node."""

MOMENTS: Final = ("before it does anything", "behind all it does")
CLASSES: Final = frozenset((*ACTORS, *ACTORS_OF_CLUSTERS))


def crash_of(actor: str) -> str:
    """What the coverage calls a crash of an actor of this class."""
    return f"a handler raises in {actor}"


def crash_in(handler: str) -> str:
    """What the coverage calls a crash in this handler."""
    return f"{handler} raises"


def crash_at(moment: str) -> str:
    """What the coverage calls a crash at this moment of a handler."""
    return f"a handler raises {moment}"


@dataclass(slots=True)
class Mine:
    """Lies in the way of the actors of one class.

    Attributes:
        calls_left: At which of their next turns it springs, by the call with which a turn begins; 1 for the very next.
        after: Whether the handler runs first, so that all it did is done.
        handler: Which one; empty for any.
    """

    calls_left: int
    after: bool
    handler: str = ""


class Ambush:
    """What waits for the actors of one node.

    Args:
        coverage: Where it notes that it has sprung.

    Attributes:
        is_laid: Whether anybody is waited for.
    """

    __slots__ = ("_coverage", "_fault", "_mail", "_mines", "_pid", "is_laid")

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self._mines: dict[str, Mine] = {}
        self._fault = ""
        self._pid: Pid | None = None
        self._mail: str | None = None
        self.is_laid = False

    def lie_in_wait(self, fault: str, pid: Pid | None, mail: str = "") -> None:
        """Kill a process when next there is something from another one in its mailbox.

        Args:
            fault: Which kind of fault strikes then.
            pid: Which one; None for whoever gets such mail first.
            mail: Name of the message that it waits for; empty for any.
        """
        self._fault, self._pid, self._mail, self.is_laid = fault, pid, mail, True

    def lay(self, actor: str, mine: Mine) -> None:
        """Let a handler raise, in the next life of the node if it does not come to it in this one.

        Args:
            actor: The class of the actor, as in `ACTORS`.
            mine: When.
        """
        self._mines[actor] = mine
        self.is_laid = True

    def forget_victim(self) -> None:
        """The process to be killed is gone with its node."""
        self._mail = None
        self.is_laid = bool(self._mines)

    def disarm(self) -> None:
        """Wait for nobody."""
        self._mines.clear()
        self.forget_victim()

    def catches(self, process: Process) -> bool:
        """Whether a process that is about to have its turn is the one that is to be killed instead."""
        if self._mail is None:
            return False
        mail = {type(item).__name__ for item in process._mailbox or () if type(item) is not Info}
        if self._pid not in (None, process.pid) or not mail or (self._mail and self._mail not in mail):
            return False
        self.forget_victim()
        self._coverage.struck(self._fault)
        self._coverage.reached("an actor dies with its mail")
        return True

    def mine_for(self, process: Process, handler: str) -> Mine | None:
        """What springs when a handler is called; None if nothing does.

        Args:
            process: Whose handler.
            handler: Its name; empty for none.
        """
        mine = self._mines.get(_class_of(process)) if handler else None
        if mine is None or mine.handler not in ("", handler):
            return None
        mine.calls_left -= 1
        return mine if mine.calls_left <= 0 else None

    def spring(self, process: Process, handler: str, mine: Mine) -> None:
        """A handler raises, as far as anybody can see; one whose process has ended meanwhile has had its end."""
        if process._actor is None:
            return
        name = _class_of(process)
        del self._mines[name]
        self.is_laid = bool(self._mines) or self._mail is not None
        self._coverage.struck("a handler raises")
        self._coverage.reached(crash_of(name))
        self._coverage.reached(crash_in(handler))
        self._coverage.reached(crash_at(MOMENTS[mine.after]))
        error = InjectedError(f"{handler} of {name}")
        process.runtime._crashed(process, error)
        end(process, Crash(error))


def handler_of(process: Process) -> str:
    """The handler with which a process's turn begins; empty if it has none to run."""
    mailbox = process._mailbox
    if not mailbox or process._actor is None or process._ending is not None:
        return ""
    kind = type(mailbox[0])
    cast, info, _ = HANDLERS
    return info if kind is Info else CALL if kind is Request else cast


def _class_of(process: Process) -> str:
    """The class of an actor, as in `ACTORS`; a planted bug is of the class of which it is a kind."""
    kinds = type(process._actor).__mro__
    return next((kind.__name__ for kind in kinds if kind.__name__ in CLASSES), "")
