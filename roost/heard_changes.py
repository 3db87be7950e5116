"""The changes of a group that come while one is asked for: they tell what became of it if its answer was lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from roost.errors import NotConnectedError
from roost.events import MessageReceived
from roost.group import GroupChange

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protocol import ConversationId, DeviceId
    from roost.streams import EventStream

__all__ = ["HeardChanges"]

_WAIT_S: Final = 20.0
_UNKNOWN: Final = (
    "The connection broke before the server answered, and somebody else changed the group meanwhile. "
    "Look at the group: it may be done or not."
)


class HeardChanges:
    """The changes of one group since this was made, by their versions.

    Args:
        conversation: the group.
        events: of the client, from now on.
    """

    def __init__(self, conversation: ConversationId, events: EventStream) -> None:
        self._conversation = conversation
        self._events = events
        self._changes: dict[int, tuple[DeviceId, GroupChange]] = {}

    async def contain(self, device: DeviceId, wanted: Mapping[str, Any], versions: range) -> bool:
        """Whether a device made a change of some versions; waits until that is known.

        Args:
            device: who would have made it.
            wanted: the fields of the change that matter, by name.
            versions: those that the group has had since.

        Raises:
            NotConnectedError: not all of them came, so nobody knows.
        """
        try:
            async with asyncio.timeout(_WAIT_S):
                while not any(self._is_wanted(version, device, wanted) for version in versions):
                    if all(version in self._changes for version in versions):
                        return False
                    self._take(await anext(self._events))
        except (TimeoutError, StopAsyncIteration):
            raise NotConnectedError(_UNKNOWN) from None
        return True

    def _is_wanted(self, version: int, device: DeviceId, wanted: Mapping[str, Any]) -> bool:
        author, change = self._changes.get(version, (None, None))
        return author == device and all(getattr(change, name) == value for name, value in wanted.items())

    def _take(self, event: object) -> None:
        if isinstance(event, MessageReceived) and event.conversation == self._conversation:
            change = event.content
            if isinstance(change, GroupChange):
                self._changes[change.version] = (event.device, change)
