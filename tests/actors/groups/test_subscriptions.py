"""A group hears of its members' accounts, of every change of each, and of nobody else's."""

from __future__ import annotations

import pytest

from actors.accounts.api import Ask
from actors.groups.api import GroupAsk, Watch
from protocol import AccountId, Code
from protocol.messages import (
    LEFT,
    REMOVED,
    ChangeGroup,
    Error,
    GroupDone,
    GroupHere,
    GroupMarks,
    JoinGroup,
    Sent,
    SetSettings,
)
from runtime import Reason
from tests.actors.groups.club import TOKEN, Club, Person
from tests.actors.office import device_of

ANN, BOB, CAT = "ann", "bob", "cat"
A_WHILE_S = 10.0


def hides_reads(person: Person) -> None:
    device, key = device_of(person.device)
    ask = Ask(person.visitor.process.pid, device, key, SetSettings(9, read_receipts=False))
    person.office.runtime.cast(person.office.router.account(person.name), ask)
    person.office.settle()


def reads_shown(club: Club, name: str) -> int:
    answer = club.marks(club[ANN])
    assert isinstance(answer, GroupMarks)
    (mark,) = [mark for mark in answer.marks if mark.account == name]
    return mark.read


def is_loaded(club: Club, name: str) -> bool:
    """Whether the account's process runs, which ends once nobody wants anything of it."""
    return club.office.runtime.whereis(("account", AccountId(name))) is not None


def test_an_account_that_has_left_is_let_go_of_and_one_that_stays_is_not(seed: int) -> None:
    club = Club(seed, ANN, BOB, CAT)
    club.gather(BOB, CAT)
    club.office.wait(A_WHILE_S)
    assert [is_loaded(club, name) for name in (ANN, BOB, CAT)] == [True, True, True]
    club.change(club[ANN], REMOVED, BOB)
    club.office.wait(A_WHILE_S)
    assert [is_loaded(club, name) for name in (ANN, BOB, CAT)] == [True, False, True]
    club.change(club[CAT], LEFT)
    club.office.wait(A_WHILE_S)
    assert [is_loaded(club, name) for name in (ANN, BOB, CAT)] == [True, False, False]
    assert isinstance(club[ANN].says(club.id, "alone"), Sent)


def test_an_account_is_let_go_of_whose_group_has_ended_without_a_word(seed: int) -> None:
    club = Club(seed, ANN, BOB)
    club.gather(BOB)
    club.office.runtime.exit(club.office.router.conversation(club.id), Reason("somebody pulled the plug"))
    club.office.settle()
    club.office.wait(A_WHILE_S)
    assert [is_loaded(club, name) for name in (ANN, BOB)] == [False, False]


def test_an_account_that_was_not_let_in_is_let_go_of(seed: int) -> None:
    club = Club(seed, ANN, BOB)
    club.invite(club[ANN])
    tablet = Person(club.office, BOB, "a tablet that is not his")
    refused = tablet.asks_group(JoinGroup(50, club.id, TOKEN))
    assert isinstance(refused, Error)
    assert refused.code == Code.DEVICE_REVOKED
    club.office.wait(A_WHILE_S)
    assert [is_loaded(club, name) for name in (ANN, BOB)] == [True, False]


def test_who_leaves_with_the_group_open_is_known_until_that_is_on_the_disk(seed: int) -> None:
    club = Club(seed, ANN, BOB, CAT)
    club.gather(BOB)
    office, bob = club.office, club[BOB]
    tablet = Person(office, CAT, "a tablet that is not hers")
    group = office.router.conversation(club.id)
    for person in club.people.values():
        office.runtime.cast(group, Watch(person.visitor.process.pid, person.name))
    office.view(CAT)  # from here on nothing is committed, nor read from the disk
    for person, frame in ((bob, ChangeGroup(50, club.id, 0, LEFT)), (tablet, JoinGroup(51, club.id, TOKEN))):
        ask = GroupAsk(person.visitor.process.pid, person.name, device_of(person.device)[0], frame)
        office.runtime.cast(group, ask)
    for _ in range(5):
        office.scheduler.run_until_idle()
        office.clock.advance(1.0)
    assert not bob.visitor.all(GroupDone)[1:]
    assert tablet.visitor.all(Error), "somebody else was let go of meanwhile"
    assert club[ANN].visitor.all(GroupHere)[-1].members_count == 1
    office.wait(A_WHILE_S)
    assert club[ANN].visitor.all(GroupHere)[-1].members_count == 0
    assert not is_loaded(club, BOB)
    assert not office.crashes


@pytest.mark.parametrize("away_s", [0.0, 1.0, 30.0])
def test_of_an_account_that_has_come_back_every_later_change_is_heard(seed: int, away_s: float) -> None:
    club = Club(seed, ANN, BOB)
    club.gather(BOB)
    club.change(club[BOB], LEFT)
    club.office.wait(away_s)
    assert isinstance(club.join(club[BOB]), GroupDone)
    club.office.wait(30.0)
    sent = club[ANN].says(club.id, "welcome back")
    assert isinstance(sent, Sent)
    assert club[BOB].texts == ["welcome back"]
    club[BOB].reads(club.id, sent.seq)
    club.office.wait(2.0)
    assert reads_shown(club, BOB) == sent.seq
    hides_reads(club[BOB])
    assert reads_shown(club, BOB) == 0


def test_who_comes_back_before_it_is_on_the_disk_that_they_left_is_heard_of(seed: int) -> None:
    club = Club(seed, ANN, BOB)
    club.gather(BOB)
    office, bob = club.office, club[BOB]
    group = office.router.conversation(club.id)
    device, _ = device_of(bob.device)
    for frame in (ChangeGroup(50, club.id, 0, LEFT), JoinGroup(51, club.id, TOKEN)):
        office.runtime.cast(group, GroupAsk(bob.visitor.process.pid, bob.name, device, frame))
        office.scheduler.run_until_idle()
        office.store.flush()  # each goes by a commit of its own
    office.settle()
    assert len(bob.visitor.all(GroupDone)) == 3
    office.wait(30.0)
    assert isinstance(club[ANN].says(club.id, "still here?"), Sent)
    assert bob.texts == ["still here?"]
    hides_reads(bob)
    bob.reads(club.id, 1)
    assert reads_shown(club, BOB) == 0
