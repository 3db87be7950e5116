"""A group is changed, the answer is lost, and somebody else changes it: what was done stays done, and theirs stays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import roost
from protocol import AccountId, ClientId, ConversationId, DeviceId, MessageId, group_conversation
from protocol import messages as m
from roost.heard_changes import HeardChanges
from roost.streams import EventStream
from tests.roost.stories import people, story, wait_offline
from tests.roost.tcp_server import TcpServer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

ALICE, BOB, CAROL = (AccountId(name) for name in ("alice", "bob", "carol"))
CLUB = group_conversation(ALICE, ClientId(bytes(16)))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ((m.ANNOUNCEMENT, {"announcement": True}), (BOB, m.ANNOUNCEMENT, {"announcement": False})),
        ((m.RENAMED, {"name": "Alice's"}), (BOB, m.RENAMED, {"name": "Bob's"})),
        ((m.REMOVED, {"account": CAROL}), (CAROL, m.JOINED, {})),
        ((m.ROLE, {"account": CAROL, "role": m.ADMIN}), (BOB, m.ROLE, {"account": CAROL, "role": m.OWNER})),
    ],
    ids=["announcement", "name", "member", "role"],
)
def test_a_retry_after_a_lost_answer_undoes_nothing_that_somebody_else_did_since(
    ours: tuple[int, dict[str, Any]], theirs: tuple[AccountId, int, dict[str, Any]], tmp_path: Path
) -> None:
    @story
    async def check(folder: Path) -> None:
        async with TcpServer() as server, people(server, folder, "alice") as [alice]:
            where, after = await changed_in_vain(server, alice, ours, theirs, device=alice.device)
            there = server.model.groups.all[where]
            assert there.version == 6, "nothing was done a second time"
            assert (after.version, after.name, after.announcement) == (6, there.name, there.announcement)

    check(tmp_path)


@story
async def test_a_change_of_another_device_is_not_taken_for_the_one_whose_answer_was_lost(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as [alice]:
        on, off = ((m.ANNOUNCEMENT, {"announcement": switch}) for switch in (True, False))
        _, after = await changed_in_vain(server, alice, on, (BOB, *off), device=b"another of alice")
        assert (after.version, after.announcement) == (7, True)


async def changed_in_vain(
    server: TcpServer,
    alice: roost.Client,
    ours: tuple[int, dict[str, Any]],
    theirs: tuple[AccountId, int, dict[str, Any]],
    *,
    device: bytes,
) -> tuple[ConversationId, roost.Group]:
    """Alice asks for a change; it is made by a device of hers, then somebody makes another, and no answer comes."""
    groups = server.model.groups
    where = (await alice.groups.create("Club")).conversation
    for who in (BOB, CAROL):
        groups.change(where, who, m.JOINED)
    groups.change(where, ALICE, m.ROLE, account=BOB, role=m.OWNER)
    await alice.groups.describe(where)

    def meanwhile() -> None:
        (kind, fields), (author, other, others) = ours, theirs
        groups.change(where, ALICE, kind, device=DeviceId(device), **fields)
        groups.change(where, author, other, **others)
        server.drop_all()

    groups.meanwhile = meanwhile
    (kind, fields), change = ours, alice.groups
    asks: dict[int, Callable[..., Coroutine[Any, Any, roost.Group]]] = {
        m.ANNOUNCEMENT: change.set_announcement,
        m.RENAMED: change.rename,
        m.REMOVED: change.remove,
        m.ROLE: lambda group, account, role: change.set_role(group, account, roost.Role(role)),
    }
    asking = asyncio.create_task(asks[kind](where, *fields.values()))
    await wait_offline(alice)
    alice.retry_now()
    return where, await asking


@story
async def test_whoever_cannot_know_whether_a_change_was_made_says_so(folder: Path) -> None:
    del folder
    events = EventStream()
    heard = HeardChanges(CLUB, events)
    change = roost.GroupChange(roost.ChangeKind.RENAMED, 3, name="Alice's")
    message_id, device = MessageId(bytes(16)), DeviceId(b"a device of hers")
    for where in (group_conversation(BOB, ClientId(bytes(16))), CLUB):
        events.put(roost.MessageReceived(where, "00", 9, ALICE, device, message_id, 0, change, ephemeral=False))
    events.end()
    wanted = {"kind": m.RENAMED, "name": "Alice's"}
    assert await heard.contain(device, wanted, range(3, 5)), "what else came does not matter"
    assert not await heard.contain(device, {**wanted, "name": "Bob's"}, range(3, 4))
    assert not await heard.contain(DeviceId(bytes(16)), wanted, range(3, 4))
    with pytest.raises(roost.NotConnectedError, match="may be done or not"):
        await heard.contain(device, wanted, range(4, 5))
