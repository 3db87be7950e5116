"""The conversations that a client sends to, each of which owes it an answer to each send."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime import Down, Pid, Process, Ref

__all__ = ["Writers"]


class Writers:
    """Who owes answers to one session; made with its first send, for most who are there only listen (192 bytes less).

    Args:
        process: The connection's.

    Attributes:
        in_flight: Conversation -> sends that wait for their answer.
    """

    __slots__ = ("_pids", "_process", "_watches", "in_flight")

    def __init__(self, process: Process) -> None:
        self._process = process
        self._pids: dict[str, Pid] = {}
        self._watches: dict[Ref, str] = {}
        self.in_flight: dict[str, int] = {}

    def watch(self, conversation: str, pid: Pid) -> None:
        """Hear of the end of whoever gets the next sends; once a burst: a writer that dies owes answers."""
        if conversation not in self.in_flight and self._pids.get(conversation) != pid:
            self._pids[conversation] = pid
            self._watches[self._process.monitor(pid)] = conversation

    def sent(self, conversation: str, count: int) -> None:
        """So many more wait for their answer."""
        self.in_flight[conversation] = self.in_flight.get(conversation, 0) + count

    def answered(self, conversation: str) -> None:
        """A send was accepted or refused: its place in the window is free."""
        count = self.in_flight.get(conversation, 0)
        if count > 1:
            self.in_flight[conversation] = count - 1
        else:
            self.in_flight.pop(conversation, None)

    def owed(self, down: Down) -> bool:
        """A process that was watched has ended; whether it was a conversation that owes this client an answer."""
        conversation = self._watches.pop(down.ref, None)
        if conversation is None or self._pids.get(conversation) != down.pid:
            return False
        del self._pids[conversation]
        return conversation in self.in_flight
