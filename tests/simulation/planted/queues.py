"""Bugs of a device's queue: what it sends, forgets and lets go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.notices.actor import CollectorActor
from actors.queue.actor import QueueActor
from actors.queue.api import Acknowledge, Attach
from actors.queue.logic import QueueState
from actors.queue.removals import Removals
from actors.shard.api import Enqueue
from actors.tree import Parts
from simulation import Scenario
from storage import QueueView
from storage.records import Acked, Removed
from tests.simulation.planted.bug import DELETED, EMPTY, LOST, ORDER, PRESENCE, RESTS, Bug, rough

if TYPE_CHECKING:
    from actors.accounts.api import AccountView
    from actors.notices.logic import Telling
    from storage import Entry

__all__ = ["BUGS"]


class AckBeyondAcked(QueueActor):
    """An ack lets go of all that was sent, not of what it names."""

    __slots__ = ()

    def _write_ack(self) -> None:
        if self._state.sent_up_to > self._ack_written:
            self._ack_written = self._state.sent_up_to
            self._disk.append(Acked(self._device, self._ack_written, self._account), self.process.pid)


class AckOffByOne(QueueActor):
    """An ack lets go of one position more than it names."""

    __slots__ = ()

    def _acknowledge(self, ack: Acknowledge) -> None:
        super()._acknowledge(Acknowledge(ack.connection, min(ack.up_to + 1, self._state.sent_up_to)))

    _routes = QueueActor._routes | {Acknowledge: _acknowledge}  # type: ignore[misc]  # the parent's is final


class DroppedAtFullWindow(QueueActor):
    """An entry that comes while the window is full counts as sent."""

    __slots__ = ()

    def _enqueue(self, enqueue: Enqueue) -> None:
        super()._enqueue(enqueue)
        if self._connection is not None and not self._state.window_open and not self._reading:
            self._state.all_read()

    _routes = QueueActor._routes | {Enqueue: _enqueue}  # type: ignore[misc]  # the parent's is final


class GoesOn(QueueState):
    """A queue that takes what was sent for what has arrived."""

    __slots__ = ()

    def begin(self) -> None:
        read_up_to = self.read_up_to
        super().begin()
        self.read_up_to = read_up_to


class NewSessionGoesOn(QueueActor):
    """A new session goes on where the last one ended."""

    __slots__ = ()

    def receive_info(self, message: Any) -> None:
        super().receive_info(message)
        if type(message) is QueueView:
            self._state.__class__ = GoesOn


class StaleConnectionKept(QueueActor):
    """Whoever connects while another connection stands is attached, and the other one is sent to."""

    __slots__ = ()

    def _attach(self, attach: Attach) -> None:
        stale = self._connection
        super()._attach(attach)
        if stale is not None:
            self._connection = stale

    _routes = QueueActor._routes | {Attach: _attach}  # type: ignore[misc]  # the parent's is final


class Wordless(Removals):
    """Tells nobody."""

    __slots__ = ()

    def _write(self, entry: Entry, reason: int, sender: AccountView | None) -> None:
        super()._write(entry, reason, None)


class AnyAnswer(Removals):
    """Takes the answer that comes late, about another account, for the one that it waits for."""

    __slots__ = ()

    def account_known(self, view: AccountView) -> None:
        for sender in [sender for sender in self._asked if sender != view.account]:
            for entry, reason in self._asked.pop(sender):
                self._write(entry, reason, view)
        super().account_known(view)


class LateReplyTaken(QueueActor):
    """The queue whose removals do so."""

    __slots__ = ()

    def _some_removals(self) -> Removals:
        removals = super()._some_removals()
        removals.__class__ = AnyAnswer
        return removals


class RemovedWithoutNotice(QueueActor):
    """Whatever expires or is too much goes without a word."""

    __slots__ = ()

    def _some_removals(self) -> Removals:
        removals = super()._some_removals()
        removals.__class__ = Wordless
        return removals


def _planted(queue: type[QueueActor]) -> Scenario:
    return Scenario(parts=Parts(queue=queue))


class TellsNobody(CollectorActor):
    """What did not reach the members of a group goes, and nobody is told."""

    __slots__ = ()

    def _tell(self, telling: Telling, sender: AccountView) -> None:
        record = Removed(self._group.encode(), self._group, telling.positions, telling.missed[0].reason, [], [], [])
        self._disk.append(record, self.process.pid)


BUGS: Final = {
    "cumulative ack off by one": Bug(_planted(AckOffByOne), DELETED),
    "ack of all that was sent": Bug(_planted(AckBeyondAcked), DELETED),
    "entry dropped at a full window": Bug(_planted(DroppedAtFullWindow), LOST, ORDER, DELETED, RESTS),
    "new session that goes on": Bug(_planted(NewSessionGoesOn), LOST, ORDER, DELETED, RESTS),
    "late reply taken for a new one": Bug(_planted(LateReplyTaken), DELETED),
    "stale connection kept in the queue actor": Bug(
        Scenario(parts=Parts(queue=StaleConnectionKept), faults=rough(client_crashes=60, a_handler_raises=0)),
        RESTS,
        EMPTY,
        PRESENCE,
    ),
    "expiry without notice": Bug(_planted(RemovedWithoutNotice), DELETED),
    "group that tells nobody": Bug(Scenario(parts=Parts(collector=TellsNobody)), DELETED),
}
