"""A supervisor of actors that exist on demand, one for each key: conversations, queues, accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from .dynamic import DynamicSupervisor
from .errors import SpecError, UnknownRequestError
from .requests import StartActor
from .spec import WORKER_SHUTDOWN_S

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from runtime import Actor, From, Message, Pid

    from .spec import ShutdownDeadline

Key = TypeVar("Key")


class KeyedSupervisor(DynamicSupervisor, Generic[Key]):
    """Holds at most one living child for each key and starts it when somebody needs it.

    A child is temporary: one that crashed, or stopped because it was idle, is started again by the next `ensure`.

    Args:
        start: Makes the actor of a key.
        name_of: The name under which the runtime registers that actor; different keys need different names.
        children_max: How many children it may have.
        shutdown_s: How many seconds the children may take to stop before they are killed; BRUTAL_KILL or INFINITY.
        mailbox_limit: How many messages may wait for each of them; the runtime's limit if None.

    Raises:
        SpecError: An argument is wrong.
    """

    __slots__ = ("_mailbox_limit", "_name_of", "_start")

    def __init__(
        self,
        start: Callable[[Key], Actor],
        name_of: Callable[[Key], Hashable],
        children_max: int = 1_000_000,
        *,
        shutdown_s: ShutdownDeadline = WORKER_SHUTDOWN_S,
        mailbox_limit: int | None = None,
    ) -> None:
        super().__init__(children_max=children_max, shutdown_s=shutdown_s)
        for field, function in (("start", start), ("name_of", name_of)):
            if not callable(function):
                raise SpecError(field, "must be a function of the key")
        self._start = start
        self._name_of = name_of
        self._mailbox_limit = mailbox_limit

    def ensure(self, key: Key) -> Pid:
        """The living child of a key, started now if there is none.

        Any code in the runtime's thread may call this, as any process may call OTP's `supervisor:start_child`.

        Args:
            key: Whose child.

        Raises:
            StartError: It did not start, or this supervisor is ending or has ended.
            TooManyChildrenError: There are as many as there may be.
            ReentryError: Called from inside the start of another child of this supervisor.
        """
        name = self._name_of(key)
        process = getattr(self, "process", None)
        pid = None if process is None else process.runtime.whereis(name)
        return self._add(key, lambda: self._start(key), name, self._mailbox_limit) if pid is None else pid

    def handle_call(self, request: Message, caller: From) -> None:
        """Answer a request; children come by `ensure` alone, so that each has its key."""
        if isinstance(request, StartActor):
            self.process.reply(caller, UnknownRequestError("StartActor"))
        else:
            super().handle_call(request, caller)
