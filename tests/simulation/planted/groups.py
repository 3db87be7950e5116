"""Bugs of groups."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from actors.conversation.actor import ConversationActor
from actors.conversation.counted import Counted
from actors.conversation.governance import Governance
from actors.conversation.logic import Refusal
from actors.conversation.membership import Members
from actors.tree import Parts
from simulation import CLUBBY, FLAPPING
from simulation.checkers.counts import CountsAreTrue
from simulation.checkers.finality import Finality
from simulation.checkers.membership import Membership
from simulation.world import Scenario
from storage import ConversationView
from tests.simulation.planted.bug import Bug, rough

if TYPE_CHECKING:
    from actors.conversation.api import Sender
    from actors.groups.api import GroupAsk, GroupState
    from protocol import AccountId
    from protocol.messages import Change
    from runtime import Pid
    from storage.records import Target

__all__ = ["BUGS"]


RESTLESS: Final = replace(CLUBBY, write_every_s=0.3, burst=3, club_every_s=0.3)


class WithMembers(ConversationActor):
    """A group whose members are of a class with a bug."""

    __slots__ = ()
    members: ClassVar[type[Members]]

    def receive_info(self, message: Any) -> None:
        if type(message) is ConversationView and type(self._members) is Members:
            self._members.__class__ = self.members
        super().receive_info(message)


class Unaware(Members):
    """Whom a sender's messages go to is kept over a change of the members."""

    __slots__ = ()

    def become(self, state: GroupState) -> None:
        targets, versions = dict(self.targets), dict(self.versions)
        super().become(state)
        self.targets.update(targets)
        self.versions.update(versions)


class TargetsOutliveALeave(WithMembers):
    """Members who have left still get what is said."""

    __slots__ = ()
    members = Unaware


class Hasty(Governance):
    """What is on its way to the disk is taken for what is there."""

    __slots__ = ()

    def _write(self, ask: GroupAsk, change: Change, now_ms: int) -> None:
        super()._write(ask, change, now_ms)
        self._members.durable = self._members.state


class ChangeToldEarly(ConversationActor):
    """A group is described as it will be if its changes reach the disk."""

    __slots__ = ()

    def receive_info(self, message: Any) -> None:
        super().receive_info(message)
        if type(message) is ConversationView and self._group is not None:
            self._group.governance.__class__ = Hasty


class Rash(Members):
    """Who may not write once a change has come to the disk is told so before it has."""

    __slots__ = ()

    def _admit(self, sender: Sender) -> Refusal | list[Target]:
        code = self.state.may_write(sender.account)
        return super()._admit(sender) if code is None else Refusal(code)


class RefusedEarly(WithMembers):
    """A member is refused for good because of a removal that does not happen."""

    __slots__ = ()
    members = Rash


class TellsOfOneself(Counted):
    """Writes down who has received and read what, and tells everybody of themselves alone."""

    __slots__ = ()

    def tell(self, readers: list[AccountId]) -> None:
        for account in filter(self._members.belongs, readers):
            self.tell_own(account)

    def answer(self, account: AccountId, connection: Pid) -> None:
        self._process.cast_sheddable(connection, self._own(account))


class CountsNeverTold(ConversationActor):
    """Nobody ever hears who has got what they said in a group."""

    __slots__ = ()

    def receive_info(self, message: Any) -> None:
        super().receive_info(message)
        if type(message) is ConversationView and self._group is not None:
            self._group.counted.__class__ = TellsOfOneself


BUGS: Final = {
    "targets of a group kept over a leave": Bug(
        Scenario(parts=Parts(conversation=TargetsOutliveALeave)), Membership.name
    ),
    "receipts of a group never told": Bug(
        Scenario(people=(FLAPPING,) * 3, nodes=1, accepted_min=0, parts=Parts(conversation=CountsNeverTold)),
        CountsAreTrue.name,
    ),
    "change of a group told before it is durable": Bug(
        Scenario(parts=Parts(conversation=ChangeToldEarly)), Membership.name, Finality.name
    ),
    "send refused for a removal that is not durable": Bug(
        Scenario(
            people=(RESTLESS,) * 4,
            nodes=1,
            accepted_min=0,
            faults=rough(commit_fails=400.0, disk_is_slow=60.0),
            parts=Parts(conversation=RefusedEarly),
        ),
        Finality.name,
    ),
}
