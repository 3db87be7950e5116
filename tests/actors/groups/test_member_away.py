"""A group of which nobody has heard since its process started, while the host of one member is away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.accounts.api import Supply
from actors.conversation.api import Sender, Submit
from actors.conversation.membership import Members
from actors.groups.api import GroupAsk, GroupState, Member, Watch
from actors.queue.api import NoticeBody, decode_notice
from actors.receipts.api import Inquire
from protocol import AccountId, ClientId, Code, Epoch, shard_of
from protocol import messages as m
from runtime import KILLED
from storage.records import MESSAGE
from tests.actors.groups.club import Club, Person
from tests.actors.office import Visitor, device_of

if TYPE_CHECKING:
    from actors.router.api import Household

ANN, BOB, CAT = "ann", "bob", "cat"
DESK, TABLET = "bob's phone", "bob's tablet"
"""Bob has the second one in the directory, too, but it is not linked before he is away."""


class Away:
    """The host of an account is away: its shard is, and the process of the group starts anew.

    Args:
        club: Where.
        name: Of the account.
    """

    def __init__(self, club: Club, name: str) -> None:
        office = self._office = club.office
        self._shard = shard_of(AccountId(name))
        assert self._shard not in {shard_of(AccountId(ANN)), shard_of(club.id)}, "these stay"
        self._household: Household = office.router._households[self._shard]
        office.runtime.exit(office.router.account(AccountId(name)), KILLED)
        office.router.lists_forgotten(self._shard)
        office.router.leave(self._shard)
        office.runtime.exit(office.router.conversation(club.id), KILLED)
        office.settle()

    def ends(self) -> None:
        """It is back."""
        self._office.router.settle(self._shard, self._household)
        self._office.wait(2.0)


@pytest.fixture
def club(seed: int) -> Club:
    club = Club(seed, ANN, BOB, CAT)
    club.gather(BOB, CAT)
    return club


def says(
    club: Club, person: Person, text: str, lists: list[int], bundle: dict[str, str] | None = None
) -> m.Sent | m.Refused:
    """What is answered to a message for named lists."""
    person.number += 1
    payloads = [m.DevicePayload(device_of(device)[0], own.encode()) for device, own in (bundle or {}).items()]
    client_id = ClientId(b"named" + bytes(10) + bytes([person.number]))
    send = m.Send(club.id, person.number, client_id, text.encode(), 0, 0, lists, payloads)
    sender = Sender(person.visitor.process.pid, person.name, device_of(person.device)[0], Epoch(b"epoch--1"))
    before = len(person.visitor.heard)
    club.office.runtime.cast(club.office.router.conversation(club.id), Submit(sender, [send]))
    club.office.wait(3.0)
    (answer,) = [frame for frame in person.visitor.heard[before:] if isinstance(frame, m.Sent | m.Refused)]
    if isinstance(answer, m.Refused):
        person.number -= 1
    return answer


def stale(answer: object) -> m.Stale:
    assert isinstance(answer, m.Refused), answer
    assert answer.stale is not None
    return answer.stale


def notices(person: Person) -> list[NoticeBody]:
    entries = [entry for entry in person.visitor.heard if isinstance(entry, tuple) and entry[1] != MESSAGE]
    return [decode_notice(entry[2]) for entry in entries]


def test_a_member_whose_host_is_away_delays_nobody_and_gets_what_was_said_when_it_is_back(club: Club) -> None:
    away = Away(club, BOB)
    assert club[ANN].says(club.id, "hello") is None, "a moment is waited for him"
    club.office.wait(3.0)
    (sent,) = club[ANN].visitor.all(m.Sent)
    assert club[CAT].texts == ["hello"]
    again = club[CAT].says(club.id, "hello yourself")
    assert isinstance(again, m.Sent), "nothing is waited for twice"
    club.office.wait(60.0)
    assert club[BOB].texts == []
    away.ends()
    assert club[BOB].texts == ["hello", "hello yourself"]
    assert club[BOB].seqs[-2:] == [sent.seq, again.seq]
    assert isinstance(club[BOB].says(club.id, "good morning"), m.Sent)
    assert not club.office.crashes


def test_every_device_of_a_member_who_was_away_gets_it_even_one_that_was_linked_meanwhile(club: Club) -> None:
    away = Away(club, BOB)
    club[ANN].says(club.id, "hello")
    club.office.wait(3.0)
    club.office.employ(BOB, DESK, TABLET)
    away.ends()
    assert club[BOB].texts == ["hello"]
    assert club.office.attach(BOB, TABLET).texts == ["hello"]


def test_what_waits_for_a_member_who_is_away_outlives_the_groups_own_host(club: Club) -> None:
    Away(club, BOB)
    club[ANN].says(club.id, "hello")
    club.office.wait(3.0)
    assert club[ANN].visitor.all(m.Sent)
    club.office.committer.crash()
    club.office.boot()
    club.office.wait(2.0)
    club[BOB].back()
    assert "hello" in club[BOB].texts


def test_the_lists_of_a_group_are_those_of_whoever_was_heard_of(club: Club) -> None:
    """What is the same for all is for the account that is away as well, once its shard says which devices it has."""
    whole = stale(says(club, club[ANN], "hello", [0])).lists
    away = Away(club, BOB)
    told = stale(says(club, club[ANN], "hello", whole))
    assert told.lists != whole
    assert isinstance(says(club, club[ANN], "hello", told.lists), m.Sent)
    away.ends()
    assert club[BOB].texts == ["hello"]
    assert notices(club[ANN]) == []
    later = stale(says(club, club[ANN], "you", told.lists))
    assert (later.lists, later.missing) == (whole, [device_of(DESK)[0]])
    assert isinstance(says(club, club[ANN], "you", later.lists), m.Sent)


def test_a_bundle_names_no_device_of_who_is_away_and_its_sender_hears_which_devices_lack_it(club: Club) -> None:
    away = Away(club, BOB)
    told = stale(says(club, club[ANN], "", [0], {DESK: "b", club[CAT].device: "c"}))
    assert (told.missing, told.extra) == ([], [device_of(DESK)[0]])
    sent = says(club, club[ANN], "", told.lists, {club[CAT].device: "c"})
    assert isinstance(sent, m.Sent)
    away.ends()
    assert club[CAT].texts == ["c"]
    assert club[BOB].texts == []
    missing = NoticeBody(club.id, sent.seq, AccountId(BOB), device_of(DESK)[0], m.NOTICE_MISSING)
    assert notices(club[ANN]) == [missing]
    visitor = Visitor()
    frame = m.Supplement(1, club.id, sent.seq, AccountId(BOB), device_of(DESK)[0], b"b")
    pid = club.office.runtime.start(visitor)
    club.office.runtime.cast(club.office.router.account(AccountId(BOB)), Supply(pid, AccountId(ANN), frame))
    club.office.settle()
    assert visitor.all(m.Done) == [m.Done(1)]
    assert club[BOB].texts == ["b"]


def test_who_is_put_out_while_away_hears_of_it_and_of_nothing_behind_it(club: Club) -> None:
    away = Away(club, BOB)
    club[ANN].says(club.id, "hello")
    club.office.wait(3.0)
    assert isinstance(club.change(club[ANN], m.REMOVED, BOB), m.GroupDone)
    assert isinstance(club[ANN].says(club.id, "at last"), m.Sent)
    away.ends()
    assert club[BOB].texts == ["hello"]
    assert [change.kind for change in club[BOB].changes][-1] == m.REMOVED
    club.office.wait(10.0)
    assert club.groups(club[BOB]) == []


def test_a_member_of_whom_nothing_was_heard_is_asked_to_wait_and_its_devices_stay_hidden(club: Club) -> None:
    away = Away(club, BOB)
    club[ANN].says(club.id, "hello")
    club.office.wait(3.0)
    assert club[BOB].says(club.id, "hi") == m.Refused(
        club.id, 1, ClientId((1).to_bytes(16, "big")), Code.BUSY, Code.BUSY.sentence, 1_000, 0
    )
    group, runtime = club.office.router.conversation(club.id), club.office.runtime
    for name in (BOB, ANN):
        person = club[name]
        connection, account, device = person.visitor.process.pid, person.name, device_of(person.device)[0]
        runtime.cast(group, Inquire(account, connection))
        runtime.cast(group, Watch(connection, account))
        runtime.cast(group, GroupAsk(connection, account, device, m.FetchAudience(7, club.id)))
    club.office.wait(5.0)
    club.marks(club[BOB])
    assert [(error.code, error.retry_after_ms) for error in club[BOB].visitor.all(m.Error)] == [(Code.BUSY, 1_000)] * 2
    (audience,) = club[ANN].visitor.all(m.Audience)
    assert [one.account for one in audience.accounts] == [ANN, CAT]
    assert [mark.account for mark in club.marks(club[ANN]).marks] == [ANN, BOB, CAT]
    assert not club.office.crashes
    away.ends()
    assert isinstance(club[BOB].says(club.id, "hi"), m.Sent)


def test_members_of_the_groups_own_shard_are_always_waited_for(club: Club) -> None:
    """What is accepted is an entry of theirs at once: nobody would look again which devices they have."""
    process, router = club[ANN].visitor.process, club.office.router
    members = Members(process, router, shard_of(AccountId(BOB)))
    members.state = GroupState(1, members={name: Member(m.MEMBER, 1) for name in (ANN, BOB)})
    members.take(club.office.view(ANN))
    members.wait_no_longer()
    assert not members.is_complete()
    members.take(club.office.view(BOB))
    assert members.is_complete()
