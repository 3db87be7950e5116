"""What is on its way to the disk may not arrive: nobody is told of it, nor refused because of it, before it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.accounts.api import Ask
from protocol import AccountId, ClientId, Code, ConversationId, InviteToken
from protocol import messages as m
from runtime import Crash
from storage import EngineError
from tests.actors.primary import Primary
from tests.actors.small_node import SmallDevice, SmallNode

if TYPE_CHECKING:
    from collections.abc import Callable

CHAT = ConversationId("ann:bob")
TOKEN = InviteToken(b"t" * 16)


def removal_on_its_way(node: SmallNode, ann: Primary, laptop: SmallDevice) -> None:
    """A laptop's removal is in a commit that nobody has made yet; the change before it is durable, and told."""
    phone = ann.phone.key.public
    ann.phone.begin(m.SignDevices(3, *ann.signed([phone, laptop.key.public], ["phone", "old laptop"])))
    node.scheduler.run_for(1.0)
    ann.phone.begin(m.SignDevices(4, *ann.signed([phone], ["phone"])))
    ann.phone.heard.clear()
    assert node.committer.step()
    node.scheduler.run_for(1.0)
    assert ann.phone.take(m.Done) == [m.Done(3)]
    assert node.committer.waiting


def ended(node: SmallNode, *, arrives: bool) -> None:
    """What is on its way arrives, or does not."""
    if not arrives:
        assert node.committer.fail(EngineError("the disk is full"))
    node.settle()


def codes(device: SmallDevice) -> list[int]:
    """Why it was turned away."""
    return [frame.code for frame in device.heard if isinstance(frame, m.Error | m.Refused | m.Closing)]


def a_send(number: int, conversation: ConversationId = CHAT) -> m.Send:
    return m.Send(conversation, number, ClientId(number.to_bytes(16, "big")), b"hi", 0, 0)


def test_a_device_hears_of_its_removal_when_that_is_on_the_disk_and_not_with_a_change_before_it() -> None:
    """Seed 3918352741: the change before it was told, the removal was lost with the node, and the device was gone."""
    node = SmallNode()
    ann = Primary(node, "ann")
    laptop = ann.link("laptop")
    removal_on_its_way(node, ann, laptop)
    assert not laptop.take(m.Closing)
    ended(node, arrives=False)
    node.wait(5.0)
    assert Code.DEVICE_REVOKED not in codes(laptop)
    again = SmallDevice(node, key=laptop.key)
    again.account = ann.phone.account
    again.ask(again.a_login(), m.Ready)


def logs_in_while_it_is_removed() -> tuple[SmallNode, Primary, SmallDevice]:
    """A laptop on another connection, whose removal is on its way."""
    node = SmallNode()
    ann = Primary(node, "ann")
    laptop = ann.link("laptop")
    again = SmallDevice(node, key=laptop.key)
    again.account = ann.phone.account
    removal_on_its_way(node, ann, laptop)
    again.begin(again.a_login())
    return node, ann, again


@pytest.mark.parametrize("arrives", [True, False])
def test_a_login_of_a_device_whose_removal_is_on_its_way_waits_for_that(*, arrives: bool) -> None:
    node, _, again = logs_in_while_it_is_removed()
    assert not codes(again)
    ended(node, arrives=arrives)
    assert codes(again) == [Code.DEVICE_UNKNOWN if arrives else Code.BUSY]


def test_a_login_waits_for_the_change_that_decides_it_and_for_none_behind() -> None:
    node, ann, again = logs_in_while_it_is_removed()
    ann.phone.begin(m.SetRelation(9, AccountId("eve"), "contact"))
    assert node.committer.step()
    node.scheduler.run_for(0.1)
    assert node.committer.waiting
    assert codes(again) == [Code.DEVICE_UNKNOWN]


@pytest.mark.parametrize("arrives", [True, False])
def test_a_request_of_a_device_whose_removal_is_on_its_way_waits_for_that(*, arrives: bool) -> None:
    node = SmallNode()
    ann = Primary(node, "ann")
    laptop = ann.link("laptop")
    removal_on_its_way(node, ann, laptop)
    laptop.begin(m.ListDevices(7))
    assert not codes(laptop)
    ended(node, arrives=arrives)
    assert set(codes(laptop)) == {Code.DEVICE_REVOKED if arrives else Code.BUSY}


@pytest.mark.parametrize("arrives", [True, False])
def test_a_supplement_for_a_device_whose_removal_is_on_its_way_is_not_refused_for_good_before_it(
    *, arrives: bool
) -> None:
    node = SmallNode()
    ann, bob = Primary(node, "ann"), node.device("bob")
    laptop = ann.link("laptop")
    removal_on_its_way(node, ann, laptop)
    bob.heard.clear()
    bob.begin(m.Supplement(8, CHAT, 1, ann.phone.account, laptop.device, b"late"))
    assert not codes(bob)
    ended(node, arrives=arrives)
    (refused,) = bob.take(m.Error)
    assert (refused.code, refused.retry_after_ms) == ((Code.DEVICE_UNKNOWN, -1) if arrives else (Code.BUSY, 1_000))


QUESTIONS: dict[str, Callable[[SmallDevice], Any]] = {
    "the settings": lambda _: m.GetSettings(7),
    "contacts and block list": lambda _: m.ListRelations(7),
    "the devices": lambda _: m.ListDevices(7),
    "a look-up": lambda _: m.Lookup(7, AccountId("ann")),
    "the same removal again": lambda laptop: m.RemoveDevice(7, laptop.device),
}


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_that_tells_of_a_change_comes_behind_it(question: str, *, arrives: bool) -> None:
    node = SmallNode()
    phone, laptop = node.device("ann"), node.device("ann")
    phone.heard.clear()
    phone.begin(m.RemoveDevice(3, laptop.device))
    phone.begin(m.SetRelation(4, AccountId("bob"), "blocked"))
    phone.begin(QUESTIONS[question](laptop))
    assert not [frame for frame in phone.heard if getattr(frame, "request", 0) == 7]
    ended(node, arrives=arrives)
    (answer,) = [frame for frame in phone.heard if getattr(frame, "request", 0) == 7]
    assert (getattr(answer, "code", 0) == Code.BUSY) is not arrives
    assert {frame.code for frame in phone.heard if isinstance(frame, m.Error)} <= {Code.BUSY, Code.DEVICE_UNKNOWN}


def test_everyone_whose_change_hangs_on_a_failed_one_is_told_to_come_again() -> None:
    node = SmallNode()
    ann = node.device("ann")
    ann.heard.clear()
    for number, other in enumerate(("bob", "cat", "dan")):
        ann.begin(m.SetRelation(number, AccountId(other), "contact"))
    ended(node, arrives=False)
    assert [error.code for error in ann.take(m.Error)] == [Code.BUSY] * 3
    assert ann.ask(m.ListRelations(9), m.Relations).contacts == []


def test_what_is_built_on_a_lost_change_is_lost_with_it() -> None:
    """It lay in the mailbox before word of the loss: written, it would have brought the lost change back."""
    node = SmallNode()
    ann, laptop, tablet = node.device("ann"), node.device("ann"), node.device("ann")
    ann.begin(m.RemoveDevice(3, laptop.device))
    ann.heard.clear()
    removal = Ask(ann.pid, ann.device, ann.key.public, m.RemoveDevice(8, tablet.device))
    node.runtime.cast(node.router.account(ann.account), removal)  # which does not run before word of the failure comes
    assert node.committer.fail(EngineError("the disk is full"))
    node.settle()
    assert codes(ann) == [Code.BUSY, Code.BUSY]
    node.wait(1.0)
    devices = {device.device for device in ann.ask(m.ListDevices(9), m.Devices).devices}
    assert devices == {ann.device, laptop.device, tablet.device}


def test_whoever_waits_for_a_change_of_an_account_that_ends_is_told_to_come_again() -> None:
    node = SmallNode()
    ann, laptop = node.device("ann"), node.device("ann")
    ann.begin(m.RemoveDevice(3, laptop.device))
    ann.begin(m.GetSettings(7))
    ann.heard.clear()
    node.runtime.exit(node.router.account(ann.account), Crash(RuntimeError("a fault elsewhere")))
    node.settle()
    assert codes(ann) == [Code.BUSY, Code.BUSY]


def test_so_many_wait_for_one_change_and_whoever_comes_then_is_told_to_come_again() -> None:
    node = SmallNode()
    ann = Primary(node, "ann")
    laptop = ann.link("laptop")
    others = [SmallDevice(node, key=laptop.key) for _ in range(3)]
    removal_on_its_way(node, ann, laptop)
    for number in range(300):
        ann.phone.begin(m.Lookup(number + 10, ann.phone.account))
    busy = [error.code for error in ann.phone.take(m.Error)]
    assert set(busy) == {Code.BUSY}
    for again in others:
        again.account = ann.phone.account
        again.begin(again.a_login())
    assert [codes(again) for again in others] == [[Code.BUSY]] * 3
    node.settle()
    assert len(busy) + len(ann.phone.take(m.Profile)) == 300


def test_nothing_goes_by_a_list_that_did_not_come_to_the_disk() -> None:
    """What was accepted in this moment would have passed the laptop by, which was never removed, and nobody told."""
    node = SmallNode()
    bob, ann, laptop = node.device("bob"), node.device("ann"), node.device("ann")
    assert bob.ask(a_send(1), m.Sent).seq == 1
    laptop.heard.clear()
    bob.heard.clear()
    ann.begin(m.RemoveDevice(3, laptop.device))
    bob.begin(m.FetchAudience(7, CHAT))  # now the chat goes by the list that is on its way
    assert node.committer.fail(EngineError("the disk is full"))
    bob.begin(a_send(2))
    node.committer.run_until_idle()
    node.scheduler.run_until_idle()
    assert codes(bob) == [Code.BUSY, Code.BUSY]
    node.wait(1.0)
    assert bob.ask(a_send(2), m.Sent).seq == 2
    assert [one.message.seq for one in laptop.take(m.Deliver)] == [2]


def test_a_block_that_is_on_its_way_turns_nobody_away_for_good() -> None:
    node = SmallNode()
    bob, ann, laptop = node.device("bob"), node.device("ann"), node.device("ann")
    assert bob.ask(a_send(1), m.Sent).seq == 1
    ann.begin(m.RemoveDevice(3, laptop.device))
    ann.begin(m.SetRelation(4, AccountId("bob"), "blocked"))
    node.committer.step()
    node.scheduler.run_for(0.1)
    bob.heard.clear()
    bob.begin(a_send(2))
    while node.committer.fail(EngineError("the disk is full")):
        node.scheduler.run_for(0.001)
    node.wait(1.0)
    assert Code.NOT_ALLOWED not in codes(bob)
    assert ann.ask(m.ListRelations(9), m.Relations).blocked == []


class Circle:
    """A group of Ann's with Bob in it."""

    def __init__(self) -> None:
        self.node = SmallNode()
        self.ann, self.bob = self.node.device("ann"), self.node.device("bob")
        self.id = self.ann.ask(m.CreateGroup(1, ClientId(b"g" * 16), "Friends"), m.GroupDone).conversation
        self.ann.ask(m.CreateInvite(2, self.id, TOKEN, 3_600, 100), m.GroupDone)
        self.bob.ask(m.JoinGroup(1, self.id, TOKEN), m.GroupDone)
        assert self.bob.ask(a_send(1, self.id), m.Sent).seq == 4

    def changes(self, kind: int, **fields: Any) -> None:
        """Ann changes it, and that is on its way."""
        self.ann.heard.clear()
        self.bob.heard.clear()
        self.ann.begin(m.ChangeGroup(9, self.id, 3, kind, **fields))
        assert self.node.committer.waiting


TURNED_AWAY: dict[str, tuple[int, dict[str, Any], Code]] = {
    "a removal": (m.REMOVED, {"account": AccountId("bob")}, Code.NOT_MEMBER),
    "a group in which only admins speak": (m.ANNOUNCEMENT, {"announcement": True}, Code.ANNOUNCEMENT_ONLY),
}


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("change", TURNED_AWAY)
def test_a_send_is_not_refused_for_good_by_a_change_of_its_group_that_is_on_its_way(
    change: str, *, arrives: bool
) -> None:
    kind, fields, code = TURNED_AWAY[change]
    circle = Circle()
    circle.changes(kind, **fields)
    circle.bob.begin(a_send(2, circle.id))
    assert codes(circle.bob) == [Code.BUSY]
    ended(circle.node, arrives=arrives)
    circle.bob.heard.clear()
    circle.bob.say(a_send(2, circle.id))
    circle.node.wait(1.0)
    assert codes(circle.bob) == ([code] if arrives else [])
    assert [sent.seq for sent in circle.bob.take(m.Sent)] == ([] if arrives else [5])


REQUESTS: dict[str, Callable[[ConversationId], Any]] = {
    "an invite": lambda group: m.CreateInvite(7, group, InviteToken(b"n" * 16), 3_600, 1),
    "a change": lambda group: m.ChangeGroup(7, group, 3, m.RENAMED, name="Bob's"),
    "the marks": lambda group: m.FetchGroupMarks(7, group),
    "whom a message goes to": lambda group: m.FetchAudience(7, group),
}


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_is_not_refused_for_good_by_a_removal_that_is_on_its_way(request_: str, *, arrives: bool) -> None:
    circle = Circle()
    circle.changes(m.REMOVED, account=AccountId("bob"))
    circle.bob.begin(REQUESTS[request_](circle.id))
    assert not set(codes(circle.bob)) - {Code.BUSY}
    ended(circle.node, arrives=arrives)
    hangs = request_ in ("an invite", "a change")
    assert codes(circle.bob) == [Code.NOT_MEMBER if arrives and hangs else Code.BUSY]


@pytest.mark.parametrize("arrives", [True, False])
def test_that_a_change_is_stale_is_told_when_the_one_before_it_is_on_the_disk(*, arrives: bool) -> None:
    circle = Circle()
    circle.changes(m.RENAMED, name="Kin")
    circle.ann.begin(m.ChangeGroup(7, circle.id, 3, m.RENAMED, name="Clan"))
    assert not circle.ann.heard
    ended(circle.node, arrives=arrives)
    stale = [frame.version for frame in circle.ann.heard if isinstance(frame, m.GroupStale)]
    assert stale == ([4] if arrives else [])
    assert codes(circle.ann) == ([] if arrives else [Code.BUSY, Code.BUSY])
