"""Why a process ended: the values that links, monitors and unanswered calls carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a process ended, or why a call got no answer.

    Attributes:
        name: OTP's atom for it, in lower case.
    """

    name: str

    @property
    def is_normal(self) -> bool:
        """Whether a transient child that ended so stays ended: normal, shutdown or shutdown with a detail."""
        return self.name in _NORMAL_NAMES

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Shutdown(Reason):
    """An orderly end that says more, as OTP's `{shutdown, Term}`.

    Attributes:
        detail: What the one who asked for the end wants observers to know.
    """

    detail: Any

    def __init__(self, detail: Any) -> None:
        object.__setattr__(self, "name", "shutdown")
        object.__setattr__(self, "detail", detail)

    def __str__(self) -> str:
        return f"shutdown: {self.detail}"


@dataclass(frozen=True, slots=True)
class Crash(Reason):
    """A callback raised, and the exception ended the process.

    Attributes:
        exception: What was raised, with its traceback.
    """

    exception: BaseException

    def __init__(self, exception: BaseException) -> None:
        object.__setattr__(self, "name", "crash")
        object.__setattr__(self, "exception", exception)

    def __str__(self) -> str:
        return f"crash: {type(self.exception).__name__}"


class RemoteCrashError(Exception):
    """A process of another node crashed. Only the kind of its error travels, for the text may hold what is private.

    Attributes:
        kind: Name of the exception's class there.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


NORMAL: Final = Reason("normal")
"""The work is done. A linked process that does not trap exits lives on."""
SHUTDOWN: Final = Reason("shutdown")
"""A supervisor, or the runtime, asked for an orderly end."""
KILLED: Final = Reason("killed")
"""Sent with `exit` it cannot be trapped; seen by links and monitors it is a reason like any other."""
NOPROC: Final = Reason("noproc")
"""There was no such process when it was linked, monitored or called."""
NODEDOWN: Final = Reason("nodedown")
"""Its node is not linked with this one, or the link broke: it may live or not, and nobody here can tell."""
TIMEOUT: Final = Reason("timeout")
"""A call was not answered in time."""
MAILBOX_FULL: Final = Reason("mailbox_full")
"""A call was refused because the target's mailbox was at its limit."""
NAME_TAKEN: Final = Reason("name_taken")
"""A process could not start under a name that another living process holds."""

_NORMAL_NAMES: Final = frozenset({"normal", "shutdown"})
