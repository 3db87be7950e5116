"""What supervisors raise, or answer instead of a pid."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from runtime import Pid


class SupervisorError(Exception):
    """Any error of this package."""


class SpecError(SupervisorError):
    """A child spec or a set of flags is wrong; nothing was started.

    Attributes:
        field: The field that is wrong.
        problem: What is wrong with it, and what would be right.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class ChildNotFoundError(SupervisorError):
    """The supervisor has no such child.

    Attributes:
        id: What was asked for.
    """

    def __init__(self, id: Hashable) -> None:
        super().__init__(f"there is no child {id!r}: ask WhichChildren for those there are")
        self.id = id


class ChildExistsError(SupervisorError):
    """The supervisor has a child of that id already, running or not.

    Attributes:
        id: The id.
        pid: The child's process, if it runs.
    """

    def __init__(self, id: Hashable, pid: Pid | None) -> None:
        super().__init__(f"there is a child {id!r} already: delete it first, or choose another id")
        self.id = id
        self.pid = pid


class ChildRunningError(SupervisorError):
    """The child runs, or is about to be restarted: terminate it first.

    Attributes:
        id: The child.
    """

    def __init__(self, id: Hashable) -> None:
        super().__init__(f"the child {id!r} runs, or is being restarted: terminate it first")
        self.id = id


class TooManyChildrenError(SupervisorError):
    """The supervisor has as many children as it may have; try again when some have ended.

    Attributes:
        children_max: The limit.
    """

    def __init__(self, children_max: int) -> None:
        super().__init__(f"there are {children_max} children already, which is the limit")
        self.children_max = children_max


class BusyError(SupervisorError):
    """The supervisor is stopping children, and too many requests wait for the end of that; try again later."""

    def __init__(self) -> None:
        super().__init__("too many requests wait until children have stopped: try again later")


class UnknownRequestError(SupervisorError):
    """The supervisor does not know this request.

    Attributes:
        request: Name of the request's class.
    """

    def __init__(self, request: str) -> None:
        super().__init__(f"a supervisor does not know the request {request}")
        self.request = request
