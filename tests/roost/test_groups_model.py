"""A device's copy of a group against a model server, while people come and go and everything around it breaks."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from protocol import AccountId, ClientId, InviteToken, group_conversation, invite_id_of
from protocol import messages as m
from roost.content import encode_text
from roost.group import Standing
from tests.roost.model_server import ModelServer
from tests.roost.phone import HandClock, Phone

if TYPE_CHECKING:
    from tests.roost.model_groups import ModelGroup

ALICE, BOB, CAROL, DAVE = (AccountId(name) for name in ("alice", "bob", "carol", "dave"))
CLUB = group_conversation(ALICE, ClientId(bytes(16)))
WHO = st.sampled_from([ALICE, BOB])
FEW = st.integers(1, 12)
DEEDS = st.tuples(
    st.sampled_from(["rename", "announce", "come", "come", "go", "remove", "role", "invite", "revoke"]),
    st.sampled_from([BOB, CAROL, DAVE]),
    st.integers(0, 2),
)
INVITES = [invite_id_of(InviteToken(bytes([number]) * 16)) for number in range(3)]


class Clubbing(RuleBasedStateMachine):
    """Alice owns a club; bob, carol and dave are in it or not. Alice and bob have devices."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = HandClock()
        self.server = ModelServer(self.clock.wall_ms)
        self.groups = self.server.groups
        self.phones: dict[AccountId, Phone] = {}
        self.count = 0
        self.lost: set[AccountId] = set()

    @initialize(seed=st.integers(0, 1_000), late=st.booleans())
    def begin(self, seed: int, late: bool) -> None:
        self.groups.create(CLUB, ALICE, "Club")
        for offset, name in enumerate((ALICE, BOB)):
            self.phones[name] = Phone(name, self.folder, self.server, self.clock, seed + offset)
            if not late:
                self.phones[name].settle()

    @property
    def group(self) -> ModelGroup:
        return self.groups.all[CLUB]

    # What people do.

    @rule(deeds=st.lists(DEEDS, min_size=1, max_size=12), talk=st.sampled_from([(), (ALICE,), (BOB,), (ALICE, BOB)]))
    def happens(self, deeds: list[tuple[str, AccountId, int]], talk: tuple[AccountId, ...]) -> None:
        for deed in deeds:
            self.change(*deed)
        for who in talk:
            for _ in range(4):
                self.phones[who].settle()

    def change(self, what: str, who: AccountId, number: int) -> None:
        group, is_member = self.group, who in self.group.members
        match what:
            case "rename":
                self.groups.change(CLUB, ALICE, m.RENAMED, name=f"Club {number}")
            case "announce":
                self.groups.change(CLUB, ALICE, m.ANNOUNCEMENT, announcement=number == 0)
            case "come" if not is_member:
                self.groups.change(CLUB, who, m.JOINED, invite=INVITES[number])
            case "go" if is_member:
                self.groups.change(CLUB, who, m.LEFT)
            case "remove" if is_member:
                self.groups.change(CLUB, ALICE, m.REMOVED, account=who)
            case "role" if is_member:
                self.groups.change(CLUB, ALICE, m.ROLE, account=who, role=number)
            case "invite":
                expires_ms = 2**40 + number
                self.groups.change(CLUB, ALICE, m.INVITED, invite=INVITES[number], expires_ms=expires_ms, uses=2)
            case "revoke" if INVITES[number] in group.invites:
                self.groups.change(CLUB, ALICE, m.INVITE_REVOKED, invite=INVITES[number])
            case _:
                pass

    @rule(who=WHO, count=FEW, times=st.integers(0, 4))
    def write(self, who: AccountId, count: int, times: int) -> None:
        for _ in range(count):
            self.count += 1
            self.phones[who].session.send(CLUB, encode_text(str(self.count)))
        for _ in range(times):
            self.phones[who].settle()

    # What happens to them.

    @rule(who=WHO, part=st.sampled_from(["take", "commit", "to server", "to client", "connect", "read"]), count=FEW)
    def move(self, who: AccountId, part: str, count: int) -> None:
        phone = self.phones[who]
        match part:
            case "take":
                phone.take()
            case "commit":
                phone.commit()
            case "to server":
                phone.flush_to_server(count)
            case "to client":
                phone.receive(count)
            case "connect":
                phone.connect()
            case _:
                phone.session.mark_read(CLUB, phone.store.last_seq(CLUB))

    @rule(who=WHO, mishap=st.sampled_from(["cut", "crash", "lost answer", "asked for"]), data=st.data())
    def mishap(self, who: AccountId, mishap: str, data: st.DataObject) -> None:
        phone = self.phones[who]
        match mishap:
            case "cut":
                phone.cut()
            case "crash":
                phone.crash()
            case "asked for":
                phone.session.groups.describe(CLUB)
            case _:
                told = (m.Sent, m.Group, m.Groups)
                answers = [frame for frame in phone.link.out if isinstance(frame, told)] if phone.link else []
                if phone.link and answers:
                    phone.link.out.remove(data.draw(st.sampled_from(answers)))

    @rule(who=WHO)
    def back_up_or_restore(self, who: AccountId) -> None:
        phone, copy = self.phones[who], self.folder / f"{who}.copy"
        if copy.exists():
            phone.restore(copy)
            copy.unlink()
            phone.shown.clear()
        else:
            phone.back_up(copy)

    @rule(who=WHO)
    def queue_is_lost(self, who: AccountId) -> None:
        """What waited was given up, because it had expired or there was no room: nothing tells of it but the gap."""
        phone = self.phones[who]
        phone.cut()
        self.server.queues[phone.device].clear()
        self.lost.add(who)

    @rule(seconds=st.sampled_from([0.6, 16.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.s += seconds
        for phone in self.phones.values():
            phone.settle()

    # What always holds.

    @invariant()
    def what_is_stored_is_never_newer_than_what_is_so(self) -> None:
        for phone in self.phones.values():
            stored = phone.store.group(CLUB)
            if stored is not None:
                assert stored.group.version <= self.group.version

    @invariant()
    def nothing_is_shown_twice(self) -> None:
        for phone in self.phones.values():
            assert all(count == 1 for count in phone.shown.values())

    # And when the weather clears.

    def teardown(self) -> None:
        try:
            if self.phones:
                self.clear_weather()
                for phone in self.phones.values():
                    phone.crash()  # who has not heard of their removal learns of it with the next start
                self.groups.change(CLUB, ALICE, m.RENAMED, name="The end")  # what is old is seen to be old
                self.clear_weather()
                for phone in self.phones.values():
                    self.check(phone, self.group)
        finally:
            for phone in self.phones.values():
                phone.store.close()
            shutil.rmtree(self.folder)

    def clear_weather(self) -> None:
        quiet = 0
        for _ in range(2_000):
            if any([phone.settle() for phone in self.phones.values()]):
                quiet = 0
                continue
            quiet += 1
            if quiet > 8:
                return
            self.clock.s += 16.0
        raise AssertionError("the weather never cleared")

    def check(self, phone: Phone, group: ModelGroup) -> None:
        assert phone.session.pending == 0
        stored = phone.store.group(CLUB)
        member = group.members.get(phone.account)
        if stored is not None:
            assert stored.group == phone.session.groups.of(CLUB)
        if member is not None:
            assert stored is not None
            known = stored.group
            assert (known.standing, known.role) == (Standing.MEMBER, member.role)
            assert (known.name, known.announcement, known.version) == (group.name, group.announcement, group.version)
            told = [(one.account, one.role, one.joined_seq) for one in stored.members]
            assert told == sorted((one.account, one.role, one.joined_seq) for one in group.members.values())
        else:
            assert stored is None or not stored.group.is_open
        if phone.account == ALICE:
            assert stored is not None
            assert {one.invite: one.uses_left for one in stored.invites} == {
                one.invite: one.uses_left for one in group.invites.values()
            }
        if not phone.restored and phone.account not in self.lost:
            seqs = [message.seq for message in phone.store.history(CLUB, 100_000) if message.seq]
            first = 2 if phone.account == ALICE else 1  # the club is older than her device
            targets = enumerate(group.targets, start=1)
            assert seqs == [seq for seq, who in targets if seq >= first and phone.account in who]


TestClubbing = Clubbing.TestCase
TestClubbing.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
