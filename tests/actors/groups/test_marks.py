"""Marks of a group: who is told how far the others are, and when."""

from __future__ import annotations

import pytest

from actors.receipts.api import Inquire
from protocol import AccountId, Code
from protocol.messages import LEFT, GroupMarks, GroupReceipt, Receipt, Sent
from tests.actors.groups.club import Club

ANN, BOB, CAT, DAN = "ann", "bob", "cat", "dan"


@pytest.fixture
def club(seed: int) -> Club:
    return Club(seed, ANN, BOB, CAT, DAN)


def test_who_has_written_is_told_in_counts_how_far_the_others_are(club: Club) -> None:
    club.gather(BOB, CAT, DAN)
    sent = club[ANN].says(club.id, "who reads?")
    assert isinstance(sent, Sent)
    club[BOB].acknowledges()
    club[CAT].acknowledges()
    club[CAT].reads(club.id, sent.seq)
    club.office.wait(2.0)
    receipt = club[ANN].visitor.all(GroupReceipt)[-1]
    (last,) = [step for step in receipt.steps if step.up_to == sent.seq]
    assert (last.members, last.delivered, last.read) == (3, 2, 1)
    assert club[BOB].visitor.all(GroupReceipt) == [], "who has not written is not told"
    assert club[ANN].visitor.all(Receipt) == []


def test_who_has_written_is_told_though_the_process_of_the_group_has_ended_since(club: Club) -> None:
    club.gather(BOB, CAT)
    sent = club[ANN].says(club.id, "who reads late?")
    assert isinstance(sent, Sent)
    club.office.wait(400.0)
    assert club.office.router.live_conversation(club.id) is None
    club[CAT].reads(club.id, sent.seq)
    club.office.wait(2.0)
    receipt = club[ANN].visitor.all(GroupReceipt)[-1]
    assert [(step.members, step.read) for step in receipt.steps if step.up_to == sent.seq] == [(2, 1)]
    assert club[BOB].visitor.all(GroupReceipt) == [], "who has not written is not told"


def test_however_many_acknowledge_there_is_one_receipt_a_tick(club: Club) -> None:
    club.gather(BOB, CAT, DAN)
    club[ANN].says(club.id, "all at once")
    for name in (BOB, CAT, DAN):
        club[name].acknowledges()
    club.office.wait(1.0)
    assert len(club[ANN].visitor.all(GroupReceipt)) == 1


def test_who_says_again_how_far_they_have_read_is_told_so_though_others_marks_are_on_their_way(club: Club) -> None:
    club.gather(BOB, CAT)
    club[BOB].reads(club.id, 3)
    club.office.wait(1.0)
    told = club[BOB].visitor.all(Receipt)
    club[CAT].reads(club.id, 3)
    club[BOB].reads(club.id, 3)
    assert club[BOB].visitor.all(Receipt) == [*told, Receipt(club.id, AccountId(BOB), 3, 3)]
    assert club[CAT].visitor.all(Receipt) == [], "not before it is on the disk"


def test_details_of_each_member_are_told_to_members_who_ask(club: Club) -> None:
    club.gather(BOB, CAT)
    sent = club[ANN].says(club.id, "who reads?")
    assert isinstance(sent, Sent)
    club[BOB].reads(club.id, sent.seq)
    club.office.wait(1.0)
    answer = club.marks(club[ANN])
    assert isinstance(answer, GroupMarks)
    assert {mark.account: mark.read for mark in answer.marks} == {ANN: 0, BOB: sent.seq, CAT: 0}
    assert club.marks(club[DAN]).code == Code.NOT_MEMBER


def test_who_asks_for_the_marks_of_a_group_gets_its_own_and_the_counts(club: Club) -> None:
    club.gather(BOB)
    club.office.runtime.cast(
        club.office.router.conversation(club.id), Inquire(AccountId(BOB), club[BOB].visitor.process.pid)
    )
    club.office.settle()
    assert [receipt.account for receipt in club[BOB].visitor.all(Receipt)] == [BOB]
    (receipt,) = club[BOB].visitor.all(GroupReceipt)
    assert receipt.steps[-1].up_to == 3


def test_marks_of_who_has_left_are_forgotten(club: Club) -> None:
    club.gather(BOB)
    club[BOB].reads(club.id, 3)
    club.office.wait(1.0)
    club.change(club[BOB], LEFT)
    club.office.wait(1.0)
    assert [mark.account for mark in club.marks(club[ANN]).marks] == [ANN]
