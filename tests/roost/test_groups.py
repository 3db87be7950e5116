"""What a device knows of groups, and how it asks: folding, gaps, pages, answers that are lost, changes of others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import roost
from protocol import (
    AccountId,
    ClientId,
    Code,
    ConversationId,
    DeviceId,
    InviteToken,
    encode_change,
    group_conversation,
    message_id,
)
from protocol import messages as m
from roost.content import decode_content, encode_text
from roost.group import Standing
from roost.plain import shown
from tests.roost.model_server import ModelServer
from tests.roost.phone import HandClock, Phone
from tests.roost.stories import next_event, people, story
from tests.roost.tcp_server import TcpServer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

ALICE, BOB, CAROL, DAVE, ERIN = (AccountId(name) for name in ("alice", "bob", "carol", "dave", "erin"))
CLUB = group_conversation(ALICE, ClientId(bytes(16)))


class World:
    """Alice owns a club, and has one device."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.server = ModelServer(self.clock.wall_ms)
        self.groups = self.server.groups
        self.alice = Phone(ALICE, folder, self.server, self.clock)
        self.groups.create(CLUB, ALICE, "Club")

    def settle(self, phone: Phone | None = None) -> None:
        """Let a device do what it can without time passing."""
        for _ in range(12):
            (phone or self.alice).settle()

    def known(self) -> roost.Group:
        group = self.alice.session.groups.of(CLUB)
        assert group is not None
        return group

    def asked(self, kind: type[Any]) -> list[Any]:
        """What the device has said since it was asked last, carried to the server by hand."""
        self.alice.take()
        while self.alice.steps:
            self.alice.commit()
        return [frame for frame in self.alice.sent_frames if isinstance(frame, kind)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_new_device_learns_of_the_groups_of_its_account(world: World) -> None:
    for who in (BOB, CAROL, DAVE):
        world.groups.change(CLUB, who, m.JOINED)
    world.server.queues[world.alice.device].clear()
    world.settle()
    details = world.alice.store.group(CLUB)
    assert details is not None
    assert (details.group.name, details.group.version) == ("Club", 4)
    assert [one.account for one in details.members] == [ALICE, BOB, CAROL, DAVE]
    assert world.alice.store.snapshot().groups == (details.group,)


def test_pages_of_different_versions_are_asked_for_again(world: World) -> None:
    world.settle()

    def answered(version: int, accounts: list[AccountId], *, is_last: bool) -> m.DescribeGroup:
        """Answer the latest question with a page; the next one."""
        asked = world.asked(m.DescribeGroup)[-1]
        page = [m.Member(account, m.OWNER, 1) for account in accounts]
        world.alice.session.receive(m.Group(asked.request, CLUB, version, 9, "Club", False, 3, page, [], is_last))
        following: m.DescribeGroup = world.asked(m.DescribeGroup)[-1]
        return following

    world.alice.session.groups.want(CLUB)
    assert answered(4, [ALICE, BOB], is_last=False).after == BOB
    assert answered(5, [CAROL], is_last=True).after == ""  # somebody has come meanwhile, perhaps before alice
    assert answered(5, [AccountId("aaron"), ALICE], is_last=False).after == ALICE
    answered(5, [BOB, CAROL], is_last=True)
    details = world.alice.store.group(CLUB)
    assert details is not None
    assert [one.account for one in details.members] == ["aaron", ALICE, BOB, CAROL]
    assert details.group.version == 5


def test_what_is_wanted_while_the_answer_is_on_its_way_is_asked_for_once_more(world: World) -> None:
    world.settle()
    number = world.alice.session.groups.describe(CLUB)
    (asked,) = world.asked(m.DescribeGroup)
    again = world.alice.session.groups.describe(CLUB)
    page = [m.Member(ALICE, m.OWNER, 1)]
    world.alice.session.receive(m.Group(asked.request, CLUB, 1, 1, "Club", False, 1, page, [], True))
    step = world.alice.session.take_step()
    assert not {number, again} & {answer.request for answer in step.answers}  # it may be older than the second question
    (asked,) = [frame for frame in step.frames if isinstance(frame, m.DescribeGroup)]
    world.alice.session.receive(m.Group(asked.request, CLUB, 1, 1, "Club", False, 1, page, [], True))
    assert [answer.request for answer in world.alice.session.take_step().answers][-2:] == [number, again]


def test_of_a_group_that_we_left_nothing_is_asked_and_nothing_is_told(world: World) -> None:
    world.groups.change(CLUB, BOB, m.JOINED)
    world.groups.change(CLUB, ALICE, m.ROLE, account=BOB, role=m.OWNER)
    world.settle()
    world.alice.session.send(CLUB, encode_text("last words"))
    world.groups.change(CLUB, BOB, m.REMOVED, account=ALICE)
    world.settle()
    assert world.known().standing is Standing.REMOVED
    world.alice.session.mark_read(CLUB, world.alice.store.last_seq(CLUB))
    assert world.asked(m.Mark) == []
    world.alice.cut()
    world.alice.connect()
    world.asked(m.Login)
    world.alice.flush_to_server()
    world.alice.receive()
    assert world.asked(m.Mark) == world.asked(m.FetchMarks) == world.asked(m.DescribeGroup) == []
    assert [chat.unread for chat in world.alice.store.chats()] == [0]


def test_a_gap_between_the_versions_is_asked_about_and_meanwhile_nothing_is_guessed(world: World) -> None:
    world.settle()
    world.groups.change(CLUB, BOB, m.JOINED)
    world.alice.cut()
    world.server.queues[world.alice.device].clear()
    world.groups.change(CLUB, ALICE, m.RENAMED, name="Renamed")
    world.alice.connect()
    world.alice.settle()
    assert (world.known().version, world.known().name) == (1, "Club")
    world.settle()
    assert (world.known().version, world.known().name) == (3, "Renamed")
    assert [one.account for one in world.alice.store.group(CLUB).members] == [ALICE, BOB]  # type: ignore[union-attr]


def test_who_was_removed_while_the_message_of_it_was_lost_learns_it_with_the_next_start(world: World) -> None:
    world.settle()
    world.groups.change(CLUB, BOB, m.JOINED)
    world.groups.change(CLUB, BOB, m.ROLE, account=BOB, role=m.OWNER)
    world.settle()
    world.alice.cut()
    world.groups.change(CLUB, BOB, m.REMOVED, account=ALICE)
    world.server.queues[world.alice.device].clear()
    world.settle()
    assert world.known().is_open
    world.alice.crash()
    world.settle()
    assert world.known().standing is Standing.LEFT


def test_a_server_that_has_no_time_is_asked_again_when_it_said_and_not_before(world: World) -> None:
    world.settle()
    world.alice.session.groups.want(CLUB)
    (first,) = world.asked(m.DescribeGroup)
    world.alice.session.receive(m.Error(first.request, Code.RATE_LIMITED, "Later.", 3_000))
    world.alice.sent_frames.clear()
    assert world.asked(m.DescribeGroup) == []
    deadline_s = world.alice.session.next_deadline_s()
    assert deadline_s is not None
    assert deadline_s <= world.clock.s + 3.0
    world.clock.s += 3.0
    assert len(world.asked(m.DescribeGroup)) == 1


def test_a_server_that_does_not_tell_which_groups_there_are_is_not_asked_over_and_over(world: World) -> None:
    world.alice.connect()
    world.asked(m.Login)
    world.alice.flush_to_server()
    world.alice.receive()
    (first,) = world.asked(m.ListGroups)
    world.alice.session.receive(m.Error(first.request, Code.BUSY, "Later.", 1_000))
    assert len(world.asked(m.ListGroups)) == 1
    world.clock.s += 1.0
    _, second = world.asked(m.ListGroups)
    world.alice.session.receive(m.Error(second.request, Code.INTERNAL, "No.", -1))
    world.clock.s += 100.0
    assert len(world.asked(m.ListGroups)) == 2


def test_an_answer_that_does_not_come_is_asked_for_again(world: World) -> None:
    world.settle()
    world.alice.session.groups.want(CLUB)
    assert len(world.asked(m.DescribeGroup)) == 1
    world.clock.s += 16.0
    world.alice.session.advance()
    assert len(world.asked(m.DescribeGroup)) == 2


def test_few_groups_are_asked_for_at_a_time(world: World) -> None:
    world.settle()
    for number in range(40):
        world.alice.session.groups.want(group_conversation(BOB, ClientId(bytes([number]) * 16)))
    assert len(world.asked(m.DescribeGroup)) == 4
    world.alice.sent_frames.clear()
    world.alice.cut()
    world.settle()  # nobody is a member of any: asked one after another
    assert world.alice.session.groups.next_deadline_s() is None


def test_a_forged_page_or_change_of_a_group_we_did_not_ask_for_is_nothing(world: World) -> None:
    world.settle()
    before = world.known()
    page = m.Group(99, CLUB, 50, 50, "Forged", False, 1, [m.Member(BOB, m.OWNER, 1)], [], True)
    world.alice.session.receive(page)
    world.alice.session.receive(m.Groups(98, [CLUB, ConversationId("no group")]))
    payload = encode_change(m.Change(2, m.RENAMED, name="Forged"))
    bob = Phone(BOB, world.alice.path.parent, world.server, world.clock)
    world.groups.change(CLUB, BOB, m.JOINED)
    world.settle()
    bob.session.send(CLUB, payload)  # a change without the server's flag is content that nobody understands
    world.settle(bob)
    world.settle()
    assert world.known().name == before.name
    said = world.alice.store.history(CLUB, 10)[-1]
    assert isinstance(said.content, roost.UnknownContent)


def test_a_change_of_a_newer_version_is_shown_as_such_and_the_group_is_asked_for(world: World) -> None:
    world.settle()
    world.groups.change(CLUB, BOB, 77, name="?")
    world.settle()
    assert world.known().version == 2
    last = world.alice.store.history(CLUB, 1)[0]
    assert isinstance(last.content, roost.UnknownContent)


def test_changes_are_no_unread_messages_and_have_no_ticks(world: World) -> None:
    world.settle()
    world.groups.change(CLUB, BOB, m.JOINED)
    world.groups.change(CLUB, ALICE, m.RENAMED, name="Renamed")
    world.settle()
    (chat,) = world.alice.store.chats()
    assert (chat.title, chat.unread, chat.other_account) == ("Renamed", 0, None)
    states = {message.state for message in world.alice.store.history(CLUB, 10)}
    assert states == {roost.MessageState.RECEIVED}
    assert [message.sender for message in world.alice.store.unprinted(10)] == [BOB]


def test_a_message_of_the_history_is_deleted_by_nobody_where_it_tells_of_a_change(world: World) -> None:
    world.settle()
    world.groups.change(CLUB, ALICE, m.RENAMED, name="Renamed")
    world.settle()
    renamed = world.alice.store.history(CLUB, 1)[0]
    assert renamed.message_id is not None
    for operation in (roost.Deletion(renamed.message_id), roost.Edit(renamed.message_id, "nothing happened")):
        world.alice.session.send(CLUB, roost.content.encode_operation(operation))
    world.settle()
    (after,) = [one for one in world.alice.store.history(CLUB, 10) if one.message_id == renamed.message_id]
    assert after.content == renamed.content


def test_counts_of_a_message_never_fall_while_as_many_shall_have_it(world: World) -> None:
    for who in (BOB, CAROL):
        world.groups.change(CLUB, who, m.JOINED)
    world.settle()
    world.alice.session.send(CLUB, encode_text("hi"))
    world.settle()
    seq = world.alice.store.last_seq(CLUB)

    def told(*steps: m.Step) -> roost.Progress | None:
        world.alice.session.receive(m.GroupReceipt(CLUB, 0, list(steps)))
        world.settle()
        return world.alice.store.history(CLUB, 1)[0].progress

    assert told(m.Step(seq, 2, 2, 1)) == roost.Progress(2, 2, 1)
    assert told(m.Step(seq - 1, 2, 2, 2), m.Step(seq + 5, 2, 1, 1)) == roost.Progress(2, 2, 1)  # as after a crash
    assert world.alice.store.history(CLUB, 1)[0].state is roost.MessageState.DELIVERED
    assert told(m.Step(seq, 1, 1, 0)) == roost.Progress(1, 1, 0)  # somebody has left
    assert told(m.Step(seq, 1, 1, 1)) == roost.Progress(1, 1, 1)
    assert world.alice.store.history(CLUB, 1)[0].state is roost.MessageState.READ


def write_elsewhere(world: World) -> m.Message:
    """A message that another device of Alice's has written; it comes when it is her queue's turn."""
    server = world.server
    conversation = server.conversations[CLUB]
    seq = len(conversation.log) + 1
    identifier = message_id(server.time_ms(), seq.to_bytes(10, "big"))
    payload = encode_text("from elsewhere")
    message = m.Message(CLUB, seq, ALICE, DeviceId(b"e" * 16), identifier, server.time_ms(), 0, payload)
    conversation.log.append(message)
    world.groups.all[CLUB].targets.append(frozenset(world.groups.members(CLUB)))
    return message


def test_counts_that_overtake_their_message_are_kept_for_it(world: World) -> None:
    """Found by the simulator (seed 900856): dora's third device showed one tick for ever, all others two."""
    world.groups.change(CLUB, BOB, m.JOINED)
    world.settle()
    message = write_elsewhere(world)
    world.server.conversations[CLUB].marks[BOB] = (message.seq, message.seq)
    world.alice.session.receive(world.groups.receipt(CLUB, ALICE))
    world.settle()
    world.server.enqueue(world.alice.device, message)
    world.alice.receive()
    assert world.asked(m.FetchMarks) == []
    assert world.alice.store.history(CLUB, 1)[0].progress == roost.Progress(1, 1, 1)


def test_counts_that_overtake_their_tick_are_kept_for_it(world: World) -> None:
    world.groups.change(CLUB, BOB, m.JOINED)
    world.settle()
    world.alice.session.send(CLUB, encode_text("now the devices are known"))
    world.settle()
    world.alice.session.send(CLUB, encode_text("hi"))
    assert len(world.asked(m.Send)) == 1
    world.alice.flush_to_server()
    seq = len(world.server.conversations[CLUB].log)
    world.server.conversations[CLUB].marks[BOB] = (seq, seq)
    world.alice.session.receive(world.groups.receipt(CLUB, ALICE))
    world.settle()
    assert world.alice.store.history(CLUB, 1)[0].progress == roost.Progress(1, 1, 1)


def test_counts_of_what_another_device_has_written_are_fetched_once_the_queue_is_empty(world: World) -> None:
    world.groups.change(CLUB, BOB, m.JOINED)
    world.settle()
    world.alice.cut()
    message = write_elsewhere(world)
    world.server.conversations[CLUB].marks[BOB] = (message.seq, message.seq)
    world.server.enqueue(world.alice.device, message)
    world.settle()
    assert world.alice.store.history(CLUB, 1)[0].progress == roost.Progress(1, 1, 1)
    message = write_elsewhere(world)
    world.server.enqueue(world.alice.device, message)
    world.alice.receive()
    assert world.asked(m.FetchMarks) == [], "it is told when somebody has this one"


@pytest.mark.parametrize("kind", list(roost.ChangeKind))
def test_each_change_is_said_in_words(kind: roost.ChangeKind) -> None:
    change = m.Change(1, kind, BOB, m.ADMIN, "Club\x1b[31m", True, b"i" * 16, 2**41, 3)  # type: ignore[arg-type]
    content = decode_content(encode_change(change), m.CHANGE)
    assert isinstance(content, roost.GroupChange)
    words = shown(content)
    assert words
    assert words.isprintable()


# How the client asks.


@story
async def test_a_change_whose_answer_was_lost_with_the_connection_is_made_once(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as [alice]:
        groups = server.model.groups
        groups.meanwhile = server.drop_all
        alice.retry_now()
        group = await alice.groups.create("Club")
        groups.meanwhile = server.drop_all
        await alice.groups.rename(group, "Renamed")
        groups.meanwhile = server.drop_all
        assert not (await alice.groups.leave(group)).is_open
        (model,) = groups.all.values()
        assert (model.name, model.version) == ("Renamed", 3)


@story
async def test_a_change_that_is_still_meant_is_asked_for_again_though_others_changed_something_else(
    folder: Path,
) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as [alice]:
        groups = server.model.groups
        group = await alice.groups.create("Club")
        where = group.conversation
        groups.change(where, BOB, m.JOINED)
        groups.meanwhile = lambda: groups.change(where, CAROL, m.JOINED)
        after = await alice.groups.rename(group, "Renamed")
        assert (after.name, after.version) == ("Renamed", 4)
        groups.meanwhile = lambda: groups.change(where, DAVE, m.JOINED)
        await alice.groups.set_role(group, BOB, roost.Role.ADMIN)
        groups.meanwhile = lambda: groups.change(where, ERIN, m.JOINED)
        await alice.groups.dissolve(group)
        assert groups.all[where].members == {}


@story
async def test_a_change_of_what_somebody_else_has_changed_meanwhile_is_not_made(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as [alice]:
        groups = server.model.groups
        group = await alice.groups.create("Club")
        where = group.conversation
        groups.change(where, BOB, m.JOINED)
        await alice.groups.describe(group)
        changes: list[tuple[int, dict[str, Any]]] = [
            (m.RENAMED, {"name": "Bob's"}),
            (m.ROLE, {"account": BOB, "role": m.ADMIN}),
            (m.ROLE, {"account": BOB, "role": m.OWNER}),
        ]
        asks: list[Callable[[], Coroutine[Any, Any, roost.Group]]] = [
            lambda: alice.groups.rename(group, "Alice's"),
            lambda: alice.groups.remove(group, BOB),
            lambda: alice.groups.dissolve(group),
        ]
        for (kind, fields), ask in zip(changes, asks, strict=True):
            groups.meanwhile = partial(groups.change, where, ALICE, kind, **fields)
            with pytest.raises(roost.GroupStaleError, match="nothing was done"):
                await ask()
        assert groups.all[where].name == "Bob's"
        assert BOB in groups.all[where].members
        assert (await alice.groups.rename(group, "Alice's")).name == "Alice's"


@story
async def test_without_a_connection_groups_can_be_looked_at_and_not_changed(folder: Path) -> None:
    async with TcpServer() as server:
        async with people(server, folder, "alice") as [alice]:
            await alice.groups.create("Club")
        await server.stop()
        async with roost.connect("alice", folder=folder) as alone:
            (group,) = alone.groups.list()
            assert (await alone.groups.details("club")).group == group
            with pytest.raises(roost.NotConnectedError):
                await alone.groups.rename(group, "Renamed")
            await alone.send("#club", "for later")
        await server.start()


@story
async def test_a_group_is_found_by_its_name_and_one_that_is_not_there_or_not_alone_is_not(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as [alice]:
        first = await alice.groups.create("Club")
        assert alice.conversation_with("#CLUB") == first.conversation
        assert alice.conversation_with(first.conversation.lower()) == first.conversation
        with pytest.raises(roost.AddressError, match="no group called 'nothing'"):
            alice.conversation_with("#nothing")
        second = await alice.groups.create("club")
        with pytest.raises(roost.AddressError, match="More than one group"):
            alice.conversation_with("#club")
        await alice.groups.leave(second)
        assert alice.conversation_with("#club") == first.conversation
        with pytest.raises(roost.TextError, match="cannot be shown"):
            await alice.groups.create("x" * 1_000_000)
        with pytest.raises(roost.InviteLinkError):
            await alice.groups.join("please")


@story
async def test_marks_are_asked_for_page_by_page_and_say_whom_a_message_has_reached(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as [alice, bob]:
        group = await alice.groups.create("Club")
        link = await alice.groups.create_invite(group, uses=3)
        for who in (CAROL, DAVE):
            server.model.groups.change(group.conversation, who, m.JOINED, invite=link.invite)
        events = bob.events()
        await bob.groups.join(link)
        sending = await alice.send(group.conversation, "hi")
        while (await next_event(events, roost.MessageReceived)).content != roost.Text("hi"):
            pass  # changes come first
        await sending.sent()
        await bob.mark_read(group.conversation)
        counted = alice.events()
        assert len(await alice.groups.marks(group)) == 4
        while (await alice.groups.message_info(sending)).read != (BOB,):
            await next_event(counted, roost.ProgressChanged)
        info = await alice.groups.message_info(sending)
        assert (info.delivered, info.waiting) == ((), (CAROL, DAVE))
        server.model.groups.change(group.conversation, ERIN, m.JOINED)
        assert (await alice.groups.message_info(sending)).waiting == (CAROL, DAVE)  # erin came later


def test_an_unknown_token_is_worth_nothing() -> None:
    link = roost.InviteLink(CLUB, InviteToken(bytes(16)))
    assert link == roost.InviteLink.parse(str(link))
