"""What did not reach the members of a group is told to its sender together, once, whatever dies meanwhile."""

from __future__ import annotations

from collections import Counter

import pytest

from actors.notices.api import target_of
from actors.notices.logic import Collection
from actors.queue.api import NoticeBody, QueueLimits, decode_notice
from protocol import DeviceId, is_group, shard_of
from protocol.messages import NOTICE_OVER_QUOTA
from runtime import KILLED
from storage import NOTICE, MemoryEngine
from tests.actors.groups.club import Club
from tests.actors.office import device_of

SMALL = QueueLimits(entries_max=8, size_bytes_max=1 << 20, window_bytes=1 << 16, attempts_max=5, resume_window_s=60.0)
AWAY = ("bob", "cat", "dan", "eve")
TOLD_S = 8.0


@pytest.fixture
def club(seed: int) -> Club:
    """A group of which only Ann lets go of what comes; the others have room for one more message."""
    club = Club(seed, "ann", *AWAY, queue=SMALL)
    club.gather(*AWAY)
    for number in range(SMALL.entries_max):
        club["ann"].says(club.id, f"{number}")
        club["ann"].acknowledges()
    club.office.wait(TOLD_S)
    return club


def tellings(club: Club) -> list[NoticeBody]:
    """The notices that came to Ann in this session."""
    heard = club["ann"].visitor.heard
    return [decode_notice(entry[2]) for entry in heard if isinstance(entry, tuple) and entry[1] == NOTICE]


def told(club: Club) -> Counter[tuple[int, str]]:
    """Which devices missed which message, by what Ann was told."""
    found: Counter[tuple[int, str]] = Counter()
    for notice in tellings(club):
        found.update([(notice.seq, notice.account), *((notice.seq, account) for account, _, _ in notice.others)])
    return found


def waiting_at_group(club: Club) -> int:
    ((account, (device,)),) = [target_of(club.id)]
    found: list[int] = []
    club.office.store.load_queue(shard_of(account), device, lambda view: found.append(view.count))
    club.office.settle()
    return found[0]


def says_too_much(club: Club) -> int:
    """One more message, which none of the others has room for."""
    sent = club["ann"].says(club.id, "too much")
    assert sent is not None
    return sent.seq  # type: ignore[union-attr]  # it is accepted, whoever is full


def test_one_notice_names_all_devices_that_a_message_did_not_reach(club: Club) -> None:
    before = len(tellings(club))
    seq = says_too_much(club)
    assert len(tellings(club)) == before, "what comes within a second is told together"
    club.office.wait(TOLD_S)
    (notice,) = tellings(club)[before:]
    assert (notice.conversation, notice.seq, len(notice.others)) == (club.id, seq, len(AWAY) - 1)
    named = {(notice.account, notice.device, notice.reason), *notice.others}
    assert named == {(name, device_of(f"{name}'s phone")[0], NOTICE_OVER_QUOTA) for name in AWAY}
    assert waiting_at_group(club) == 0


def test_a_full_member_holds_up_nobody_and_others_get_the_message_at_once(club: Club) -> None:
    club["bob"].acknowledges()
    club["bob"].acknowledges()
    says_too_much(club)
    assert club["bob"].texts[-1] == "too much"
    club.office.wait(TOLD_S)
    assert {account for _, account in told(club)} >= {"cat", "dan", "eve"}


@pytest.mark.parametrize("boots", [False, True])
def test_what_dies_before_it_has_told_is_started_again_and_tells_once(club: Club, boots: bool) -> None:
    """The collector alone, or the whole node, after any number of steps of what it has to do."""
    for steps in range(0, 60, 3):
        seq = says_too_much(club)
        for _ in range(steps):
            club.office.step()
        if boots:
            assert isinstance(club.office.engine, MemoryEngine)
            club.office.committer.crash()
            club.office.engine = club.office.engine.crash()
            club.office.boot()
            for person in club.people.values():
                person.back()
        else:
            collector = club.office.runtime.whereis(("queue", DeviceId(club.id.encode())))
            if collector is not None:
                club.office.runtime.exit(collector, KILLED)
        club.office.wait(TOLD_S)
        counts = told(club)
        assert [counts[seq, name] for name in AWAY] == [1] * len(AWAY), f"after {steps} steps"
        assert waiting_at_group(club) == 0
        club["ann"].acknowledges()
    assert not club.office.crashes


def test_a_collector_without_work_ends(club: Club) -> None:
    says_too_much(club)
    club.office.wait(TOLD_S)
    assert is_group(club.id)
    club.office.wait(130.0)
    assert club.office.runtime.whereis(("queue", DeviceId(club.id.encode()))) is None
    assert Collection().is_empty
