"""Groups in a world: who founds them, and what people do in them. Nobody waits for an answer: more wishes come soon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from protocol import AccountId, ClientId, InviteToken, group_conversation, invite_id_of
from protocol.messages import (
    ADMIN,
    ANNOUNCEMENT,
    DISSOLVED,
    INVITE_REVOKED,
    LEFT,
    MEMBER,
    OWNER,
    REMOVED,
    RENAMED,
    ROLE,
    ChangeGroup,
    CreateGroup,
    CreateInvite,
    DescribeGroup,
    FetchGroupMarks,
    JoinGroup,
    ListGroups,
)
from roost.content import encode_text
from simulation.agenda import chance_of

if TYPE_CHECKING:
    from protocol import ConversationId
    from protocol.messages.groups import GroupClientFrame as Wish
    from simulation.device import SimulatedDevice
    from simulation.people import Person
    from simulation.world import World

__all__ = ["KINDS", "Club", "Clubber", "clubs_of"]

ACTS: Final = {
    "write": 10,
    "join": 5,
    "leave": 1,
    "remove": 2,
    "role": 3,
    "rename": 1,
    "announce": 1,
    "revoke": 1,
    "ask": 1,
    "found": 1,
    "dissolve": 0.2,
}

KINDS = (
    "created",
    "joined",
    "left",
    "removed",
    "role",
    "renamed",
    "announcement",
    "invited",
    "invite revoked",
    "dissolved",
)
"""Changes of a group, by their numbers, in the words of the report."""


class Club:
    """A group that may come to be.

    Args:
        founder: Who makes it.
        number: Tells it from the founder's others.
    """

    def __init__(self, founder: AccountId, number: int) -> None:
        self.founder = founder
        self.client_id = ClientId(f"club {number}".encode().ljust(16, b"."))
        self.token = InviteToken(f"token {number}".encode().ljust(16, b"."))
        self.id: ConversationId = group_conversation(founder, self.client_id)


def clubs_of(world: World, accounts: list[AccountId], count_min: int) -> list[Club]:
    """The groups of those who live together: none in some worlds, one or two in others, but so many at least."""
    chance = chance_of(world.seed, f"clubs of {accounts[0]}")
    return [Club(chance.choice(accounts), number) for number in range(max(count_min, chance.choice((0, 1, 1, 2))))]


class Clubber:
    """A person, as far as they belong to groups or would like to.

    Args:
        person: Who it is.
        clubs: The groups of those around them.
    """

    def __init__(self, person: Person, clubs: list[Club]) -> None:
        self.person = person
        self.clubs = clubs
        self.chance = chance_of(person.world.seed, f"clubber {person.account}")
        self._written = 0

    def act(self) -> None:
        """Do something in a group."""
        device = self.person.any_device(self.chance)
        if device is None or not self.clubs:
            return
        club = self.chance.choice(self.clubs)
        name = self.chance.choices(list(ACTS), list(ACTS.values()))[0]
        if name == "write":
            self._write(device, club)
            return
        frame = self._wish(name, club)
        self._ask(device, frame)
        if self.chance.random() < 0.2:
            self._ask(device, frame)  # as after an answer that was lost
        if self.chance.random() < 0.3:
            self._ask(device, DescribeGroup(0, club.id))  # at once, while the change is on its way to the disk

    def watch(self, device: SimulatedDevice) -> None:
        """In the calm: have all groups open, so that each speaks to whoever has to hear something yet."""
        for club in self.clubs:
            device.act(lambda session, club=club: session.open_chat(club.id))  # type: ignore[misc]

    def _ask(self, device: SimulatedDevice, frame: Wish) -> None:
        device.act(lambda session: session.request(lambda number: msgspec.structs.replace(frame, request=number)))

    def _write(self, device: SimulatedDevice, club: Club) -> None:
        for _ in range(self.chance.randint(1, 4)):
            self._written += 1
            payload = encode_text(f"{self.person.account} to all {self._written}")
            device.act(lambda session, payload=payload: session.send(club.id, payload))  # type: ignore[misc]

    def _wish(self, name: str, club: Club) -> Wish:
        state = self.person.world.witness.groups.get(club.id)
        members = sorted(state.members) if state is not None else []
        version = state.version if state is not None and self.chance.random() < 0.8 else self.chance.randrange(9)
        other = AccountId(self.chance.choice([*members, self.person.account]))
        if name == "found" and self.person.account == club.founder:
            return CreateGroup(0, club.client_id, "Club")
        if name in ("found", "join"):
            if state is None and self.person.account == club.founder:
                return CreateGroup(0, club.client_id, "Club")
            if state is not None and not state.invites and self.chance.random() < 0.8:
                lifetime_s = self.chance.choice((5, 3_600, 3_600, 3_600))
                return CreateInvite(0, club.id, club.token, lifetime_s, self.chance.choice((1, 50)))
            return JoinGroup(0, club.id, club.token)
        if name == "leave" and len(members) == 1 and self.chance.random() < 0.9:
            name = "ask"  # who is alone would end the group with that
        match name:
            case "leave":
                return ChangeGroup(0, club.id, version, LEFT)
            case "remove":
                return ChangeGroup(0, club.id, version, REMOVED, other)
            case "role":
                return ChangeGroup(0, club.id, version, ROLE, other, self.chance.choice((MEMBER, ADMIN, ADMIN, OWNER)))
            case "rename":
                return ChangeGroup(0, club.id, version, RENAMED, name=f"Club {self.chance.randrange(9)}")
            case "announce":
                only = self.chance.random() < 0.5
                return ChangeGroup(0, club.id, version, ANNOUNCEMENT, announcement=only)
            case "dissolve":
                return ChangeGroup(0, club.id, version, DISSOLVED)
            case "revoke":
                return ChangeGroup(0, club.id, version, INVITE_REVOKED, invite=invite_id_of(club.token))
            case _:
                asks: tuple[Wish, ...] = (DescribeGroup(0, club.id), FetchGroupMarks(0, club.id), ListGroups(0))
                return self.chance.choice(asks)
