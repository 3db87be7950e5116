"""Whatever a member signs reaches the members as it was signed: the server drops it from no kind of change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from protocol import ClientId, InviteToken, invite_id_of
from protocol.messages import (
    ADMIN,
    ANNOUNCEMENT,
    CREATED,
    DISSOLVED,
    INVITE_REVOKED,
    INVITED,
    JOINED,
    LEFT,
    REMOVED,
    RENAMED,
    ROLE,
    CreateGroup,
    CreateInvite,
    GroupDone,
    JoinGroup,
)
from tests.actors.groups.club import TOKEN, Club

if TYPE_CHECKING:
    from collections.abc import Callable

ANN, BOB, CAT, DAN = "ann", "bob", "cat", "dan"
SIGNATURE = b"signed by the device"


def last_leaves(club: Club) -> Any:
    for name in (BOB, CAT):
        club.change(club[name], LEFT)
    return club.change(club[ANN], LEFT, signature=SIGNATURE)


CHANGES: Final[dict[str, tuple[int, tuple[str, ...], Callable[[Club], Any]]]] = {
    "created": (
        CREATED,
        (ANN,),
        lambda club: club[ANN].asks_account(CreateGroup(50, ClientId(b"d" * 16), "Second", signature=SIGNATURE)),
    ),
    "joined": (JOINED, (ANN, BOB, DAN), lambda club: club[DAN].asks_account(JoinGroup(50, club.id, TOKEN, SIGNATURE))),
    "left": (LEFT, (ANN, BOB, CAT), lambda club: club.change(club[CAT], LEFT, signature=SIGNATURE)),
    "removed": (REMOVED, (ANN, BOB, CAT), lambda club: club.change(club[ANN], REMOVED, CAT, signature=SIGNATURE)),
    "role": (ROLE, (ANN, BOB), lambda club: club.change(club[ANN], ROLE, CAT, ADMIN, signature=SIGNATURE)),
    "renamed": (RENAMED, (ANN, BOB), lambda club: club.change(club[ANN], RENAMED, name="New", signature=SIGNATURE)),
    "announcement": (
        ANNOUNCEMENT,
        (ANN, BOB),
        lambda club: club.change(club[ANN], ANNOUNCEMENT, announcement=True, signature=SIGNATURE),
    ),
    "invited": (
        INVITED,
        (ANN, BOB),
        lambda club: club[ANN].asks_group(CreateInvite(50, club.id, InviteToken(b"n" * 16), 60, 1, SIGNATURE)),
    ),
    "invite revoked": (
        INVITE_REVOKED,
        (ANN, BOB),
        lambda club: club.change(club[ANN], INVITE_REVOKED, invite=invite_id_of(TOKEN), signature=SIGNATURE),
    ),
    "dissolved": (DISSOLVED, (ANN, BOB), lambda club: club.change(club[ANN], DISSOLVED, signature=SIGNATURE)),
    "dissolved by the last who leaves": (DISSOLVED, (ANN,), last_leaves),
}


def test_every_kind_of_change_is_signed_here() -> None:
    assert {kind for kind, _, _ in CHANGES.values()} == set(range(CREATED, DISSOLVED + 1))


@pytest.mark.parametrize("what", CHANGES)
def test_the_signature_of_a_change_arrives_with_it_at_the_members(seed: int, what: str) -> None:
    club = Club(seed, ANN, BOB, CAT, DAN)
    club.gather(BOB, CAT)
    kind, told, ask = CHANGES[what]
    assert isinstance(ask(club), GroupDone)
    for name in told:
        change = club[name].changes[-1]
        assert (change.kind, change.signature) == (kind, SIGNATURE)
