"""What `Client.send` gives back: a message on its way, to be awaited as far as one likes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from roost.history import MessageState

if TYPE_CHECKING:
    from protocol import ConversationId
    from roost.errors import RoostError

__all__ = ["Sending"]

_RANKS: Final = {
    MessageState.PENDING: 0,
    MessageState.SENT: 1,
    MessageState.DELIVERED: 2,
    MessageState.READ: 3,
}


class Sending:
    """A message of ours on its way.

    It is durable in the local outbox before anybody gets this handle, so dropping the handle, or a crash, changes
    nothing: the message is sent when the server can be reached.

    Attributes:
        conversation: where it goes.
        id: its key in the history.
        seq: its place in the conversation; 0 before the server has it.
        state: how far it has come.
        delay: why the server does not take it for now; empty if it does.
    """

    def __init__(self, conversation: ConversationId, key: str) -> None:
        self.conversation = conversation
        self.id = key
        self.seq = 0
        self.delay = ""
        self.state = MessageState.PENDING
        self._error: RoostError | None = None
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    async def sent(self) -> None:
        """Wait for ✓: the server has the message on stable storage.

        Raises:
            SendFailedError: the server will never take it.
            StoppedError: the session ended for good; the message stays in the outbox.
            ConnectionClosedError: the client was closed first; the message stays in the outbox.
        """
        await self._wait_for(MessageState.SENT)

    async def delivered(self) -> None:
        """Wait for ✓✓: a device of the reader has it. A note to self has no other reader. Raises as `sent`."""
        await self._wait_for(MessageState.DELIVERED)

    async def read(self) -> None:
        """Wait until the reader has seen it, if they let us know. Raises as `sent`."""
        await self._wait_for(MessageState.READ)

    async def _wait_for(self, state: MessageState) -> None:
        if self._error is not None:
            raise self._error
        rank = _RANKS[state]
        if self.state is MessageState.FAILED or _RANKS[self.state] >= rank:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((rank, future))
        await future

    def reached(self, state: MessageState) -> None:
        """Record how far the message has come; a lower state than the present one changes nothing."""
        if self.state is MessageState.FAILED or _RANKS[state] <= _RANKS[self.state]:
            return
        self.state = state
        reached = _RANKS[state]
        for rank, future in self._waiting:
            if rank <= reached and not future.done():
                future.set_result(None)
        self._waiting = [(rank, future) for rank, future in self._waiting if rank > reached]

    def failed(self, error: RoostError, *, final: bool) -> None:
        """End every wait with an error.

        Args:
            error: what to raise.
            final: whether the message itself has failed, and not only the waiting.
        """
        if final:
            self.state = MessageState.FAILED
        self._error = error
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()
