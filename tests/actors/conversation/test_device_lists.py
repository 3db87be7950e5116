"""A message is for the devices that there are: what was made for others is refused, and told what is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.conversation.api import ConversationLimits
from protocol import ClientId, Code, ConversationId, InviteToken, group_conversation, shard_of
from protocol import messages as m
from runtime import KILLED
from storage import EngineError
from tests.actors.small_node import COMMIT_PATIENCE_S, SmallDevice, SmallNode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHAT = ConversationId("ann:bob")
ANN, BOB = 0, 1


def send(number: int, text: str = "", lists: Sequence[int] = (), bundle: Mapping[SmallDevice, str] | None = None,
         conversation: ConversationId = CHAT, flags: int = 0) -> m.Send:  # fmt: skip
    payloads = [m.DevicePayload(device.device, own.encode()) for device, own in (bundle or {}).items()]
    client_id = ClientId(number.to_bytes(16, "big"))
    return m.Send(conversation, number, client_id, text.encode(), 0, flags, list(lists), payloads)


def said(device: SmallDevice) -> list[tuple[int, str]]:
    """Seq and words of what has come to a device."""
    return [(one.message.seq, one.message.payload.decode()) for one in device.take(m.Deliver)]


def stale(device: SmallDevice, frame: m.Send) -> m.Stale:
    refused = device.ask(frame, m.Refused)
    assert refused.code == Code.DEVICES_STALE, refused.sentence
    assert refused.stale is not None
    return refused.stale


def test_a_message_for_the_present_lists_is_taken_and_one_for_others_is_told_them() -> None:
    node = SmallNode()
    ann, bob = node.device("ann"), node.device("bob")
    told = stale(ann, send(1, "hi", [0, 0]))
    assert [(one.account, one.devices) for one in told.accounts] == [("ann", [ann.device]), ("bob", [bob.device])]
    assert told.lists == [one.version for one in told.accounts]
    assert (told.missing, told.extra, told.replaced) == ([bob.device], [], [])
    assert ann.ask(send(1, "hi", told.lists), m.Sent).seq == 1, "the refused send has used up no number"
    tablet = node.device("bob")
    later = stale(ann, send(2, "you", told.lists))
    assert later.lists == [told.lists[ANN], told.lists[BOB] + 1]
    assert later.missing == [tablet.device]
    assert ann.ask(send(2, "you", later.lists), m.Sent).seq == 2
    assert said(bob) == [(1, "hi"), (2, "you")]
    assert said(tablet) == [(2, "you")]


def test_a_retry_of_what_was_accepted_is_answered_however_old_its_lists_are() -> None:
    node = SmallNode()
    ann, _ = node.device("ann"), node.device("bob")
    lists = stale(ann, send(1, "hi", [0, 0])).lists
    first = ann.ask(send(1, "hi", lists), m.Sent)
    node.device("bob")
    assert ann.ask(send(1, "hi", lists), m.Sent) == first


def test_each_device_gets_its_own_payload_and_the_senders_others_the_same_seq() -> None:
    node = SmallNode()
    phone, laptop, bob, tablet = node.device("ann"), node.device("ann"), node.device("bob"), node.device("bob")
    for device in (laptop, bob, tablet):
        device.heard.clear()
    lists = stale(phone, send(1, "", [0, 0], {bob: "?"})).lists
    bundle = {laptop: "for the laptop", bob: "for the phone", tablet: "for the tablet"}
    assert phone.ask(send(1, "", lists, bundle), m.Sent).seq == 1
    assert said(laptop) == [(1, "for the laptop")]
    assert said(bob) == [(1, "for the phone")]
    assert said(tablet) == [(1, "for the tablet")]


def test_what_is_missing_extra_and_replaced_in_a_bundle_is_told_apart() -> None:
    node = SmallNode()
    ann, bob, tablet, watch = node.device("ann"), node.device("bob"), node.device("bob"), node.device("bob")
    before = stale(ann, send(1, "", [0, 0], {bob: "x"})).lists
    bob.ask(m.RemoveDevice(1, tablet.device), m.Done)
    bob.ask(m.RemoveDevice(2, watch.device), m.Done)
    again = SmallDevice(node, key=watch.key)
    again.register("bob")
    new = node.device("bob")
    told = stale(ann, send(1, "", before, {bob: "x", tablet: "x", watch: "x"}))
    assert (told.missing, told.extra, told.replaced) == ([new.device], [tablet.device], [watch.device])
    assert ann.ask(send(1, "", told.lists, {bob: "x", watch: "y", new: "z"}), m.Sent).seq == 1
    assert said(new) == [(1, "z")]


@pytest.mark.parametrize("wrong", ["a device too few", "a device too many", "the sending device"])
def test_a_bundle_that_names_the_right_lists_and_other_devices_is_told_which(wrong: str) -> None:
    node = SmallNode()
    ann, bob, tablet, eve = node.device("ann"), node.device("bob"), node.device("bob"), node.device("eve")
    lists = stale(ann, send(1, "", [0, 0], {bob: "x"})).lists
    bundle = {
        "a device too few": {bob: "x"},
        "a device too many": {bob: "x", tablet: "x", eve: "x"},
        "the sending device": {bob: "x", tablet: "x", ann: "x"},
    }[wrong]
    told = stale(ann, send(1, "", lists, bundle))
    missing = [tablet.device] if wrong == "a device too few" else []
    extra = {"a device too many": [eve.device], "the sending device": [ann.device]}.get(wrong, [])
    assert (told.missing, told.extra, told.replaced, told.accounts) == (missing, extra, [], [])
    assert not said(eve)


def test_a_bundle_with_a_doubled_device_a_payload_for_all_or_no_lists_is_the_clients_fault() -> None:
    node = SmallNode()
    ann, bob = node.device("ann"), node.device("bob")
    lists = stale(ann, send(1, "", [0, 0], {bob: "x"})).lists
    doubled = send(1, "", lists, {bob: "x"})
    doubled.payloads.append(m.DevicePayload(bob.device, b"y"))
    for frame in (doubled, send(1, "for all", lists, {bob: "x"}), send(1, "", (), {bob: "x"})):
        refused = ann.ask(frame, m.Refused)
        assert (refused.code, refused.retry_after_ms) == (Code.BUNDLE_INVALID, -1)
    assert ann.ask(send(1, "", lists, {bob: "x"}), m.Sent).seq == 1
    assert said(bob) == [(1, "x")]


def test_the_payloads_of_a_bundle_are_together_no_larger_than_one_may_be() -> None:
    node = SmallNode()
    ann, bob, tablet = node.device("ann"), node.device("bob"), node.device("bob")
    lists = stale(ann, send(1, "", [0, 0], {bob: "x"})).lists
    assert ann.ask(send(1, "", lists, {bob: "b" * 500, tablet: "t" * 501}), m.Refused).code == Code.PAYLOAD_TOO_LARGE
    assert ann.ask(send(1, "", lists, {bob: "b" * 500, tablet: "t" * 500}), m.Sent).seq == 1


def test_a_message_for_whoever_there_is_goes_to_all_unless_the_server_asks_for_lists() -> None:
    node = SmallNode()
    ann, bob, tablet = node.device("ann"), node.device("bob"), node.device("bob")
    assert ann.ask(send(1, "hi"), m.Sent).seq == 1
    assert (said(bob), said(tablet)) == ([(1, "hi")], [(1, "hi")])
    strict = SmallNode(conversation=ConversationLimits(1_000, 86_400, 86_400, lists_required=True))
    ann, _ = strict.device("ann"), strict.device("bob")
    assert ann.ask(send(1, "hi"), m.Refused).code == Code.LISTS_NEEDED
    assert ann.ask(send(1, "hi", stale(ann, send(1, "hi", [0, 0])).lists), m.Sent).seq == 1


def test_a_version_above_the_servers_is_answered_with_the_present_one_and_never_believed() -> None:
    """The account is of this very node, so there is nobody to ask; elsewhere it is asked first."""
    node = SmallNode()
    ann, bob = node.device("ann"), node.device("bob")
    lists = stale(ann, send(1, "hi", [0, 0])).lists
    told = stale(ann, send(1, "hi", [lists[ANN], lists[BOB] + 7]))
    assert told.lists == lists
    assert [one.account for one in told.accounts] == ["bob"]
    assert not said(bob)


def test_who_names_another_number_of_lists_than_there_are_accounts_asks_for_all() -> None:
    node = SmallNode()
    ann, bob = node.device("ann"), node.device("bob")
    told = stale(ann, send(1, "hi", [1]))
    assert told.accounts == []
    audience = ann.ask(m.FetchAudience(5, CHAT), m.Audience)
    assert audience.lists == told.lists
    assert [one.devices for one in audience.accounts] == [[ann.device], [bob.device]]
    assert audience.is_last


def test_the_audience_of_a_chat_is_told_to_its_members_only() -> None:
    node = SmallNode()
    node.device("ann")
    node.device("bob")
    eve = node.device("eve")
    assert eve.ask(m.FetchAudience(5, CHAT), m.Error).code == Code.NOT_MEMBER
    assert eve.ask(m.FetchAudience(6, ConversationId("eve:nobody")), m.Error).code == Code.RECIPIENT_UNKNOWN


def test_an_ephemeral_message_is_for_the_devices_that_there_are_too() -> None:
    node = SmallNode()
    ann, bob, tablet = node.device("ann"), node.device("bob"), node.device("bob")
    lists = stale(ann, send(0, "", [0, 0], {bob: "x"}, flags=m.EPHEMERAL)).lists
    assert ann.ask(send(0, "", lists, {bob: "b", tablet: "t"}, flags=m.EPHEMERAL), m.Sent).seq == 0
    assert (said(bob), said(tablet)) == ([(0, "b")], [(0, "t")])


def test_a_device_that_is_revoked_in_mid_send_is_refused_and_its_message_reaches_nobody() -> None:
    node = SmallNode()
    phone, laptop, bob = node.device("ann"), node.device("ann"), node.device("bob")
    lists = stale(laptop, send(1, "hi", [0, 0])).lists
    laptop.heard.clear()
    laptop.wire.send(send(1, "hi", lists))
    phone.wire.send(m.RemoveDevice(1, laptop.device))
    node.runtime.cast(phone.pid, phone.wire.data_to_send())
    node.runtime.cast(laptop.pid, laptop.wire.data_to_send())
    node.settle()
    answers = [frame for frame in laptop.heard if isinstance(frame, m.Sent | m.Refused)]
    closing = laptop.take(m.Closing)
    assert [one.code for one in closing] == [Code.DEVICE_REVOKED]
    arrived = said(bob)
    assert arrived == ([(1, "hi")] if any(isinstance(one, m.Sent) for one in answers) else [])


def begin_to_link(node: SmallNode, owner: SmallDevice) -> SmallDevice:
    """Another device of an account, whose list is on its way to the disk."""
    account, known, tablet = owner.account, node.router.listed(owner.account), SmallDevice(node)
    tablet.ask(m.RequestCode(1, account), m.CodeSent)
    tablet.account = account
    tablet.begin(m.Register(2, account, node.codes[account][-1], account, "tablet"))
    while node.router.listed(account) == known:
        node.committer.step()
        node.scheduler.run_for(COMMIT_PATIENCE_S)
    return tablet


def test_a_change_of_a_group_goes_to_a_device_that_is_being_linked() -> None:
    node = SmallNode()
    ann, bob = node.device("ann"), node.device("bob")
    at_bobs = next(
        own for own in (ClientId(bytes([number]) * 16) for number in range(256))
        if shard_of(group_conversation(ann.account, own)) == shard_of(bob.account)
    )  # else bob's shard would make good what the group has missed  # fmt: skip
    group = group_of(node, ann, bob, client_id=at_bobs)
    tablet = begin_to_link(node, bob)
    ann.heard.clear()
    ann.begin(m.ChangeGroup(9, group, 3, m.RENAMED, name="Kin"))
    node.settle()
    assert [done.seq for done in ann.take(m.GroupDone)] == [4]
    tablet.say(tablet.a_login())
    assert [one.message.seq for one in tablet.take(m.Deliver)] == [4]


@pytest.mark.parametrize("is_group", [False, True])
def test_nobody_is_told_of_a_list_before_it_is_on_the_disk(*, is_group: bool) -> None:
    node = SmallNode()
    ann, bob = node.device("ann"), node.device("bob")
    chat = group_of(node, ann, bob) if is_group else CHAT
    lists = stale(ann, send(1, "hi", [0] * (1 if is_group else 2), conversation=chat)).lists
    begin_to_link(node, bob)
    ann.heard.clear()
    ann.begin(send(1, "hi", lists, conversation=chat))
    ann.begin(m.FetchAudience(7, chat))
    assert [one.code for one in ann.heard if isinstance(one, m.Refused | m.Error)] == [Code.BUSY, Code.BUSY]
    ann.heard.clear()
    ann.begin(m.FetchDevices(8, bob.account))
    assert [one.devices for one in ann.take(m.DeviceList)] == [[bob.device]], "as it is on the disk"
    node.committer.fail(EngineError("the disk said no"))
    node.settle()
    node.wait(1.0)
    assert ann.ask(send(1, "hi", lists, conversation=chat), m.Sent).seq, "nothing has changed"


def group_of(
    node: SmallNode,
    owner: SmallDevice,
    *others: SmallDevice,
    client_id: ClientId = ClientId(b"g" * 16),  # noqa: B008
) -> ConversationId:
    token = InviteToken(b"t" * 16)
    made = owner.ask(m.CreateGroup(1, client_id, "Friends"), m.GroupDone)
    group = made.conversation
    owner.ask(m.CreateInvite(2, group, token, 3_600, 100), m.GroupDone)
    for other in others:
        other.ask(m.JoinGroup(1, group, token), m.GroupDone)
    return group


def test_a_group_names_all_its_lists_by_one_number_and_tells_what_has_changed_since() -> None:
    node = SmallNode()
    ann, bob, cid = node.device("ann"), node.device("bob"), node.device("cid")
    group = group_of(node, ann, bob)
    first = stale(ann, send(1, "hi", [0], conversation=group)).lists
    assert ann.ask(send(1, "hi", first, conversation=group), m.Sent).seq
    cid.ask(m.JoinGroup(1, group, InviteToken(b"t" * 16)), m.GroupDone)
    tablet = node.device("bob")
    told = stale(ann, send(2, "", first, {bob: "x"}, conversation=group))
    assert {one.account: set(one.devices) for one in told.accounts} == {
        "bob": {bob.device, tablet.device},
        "cid": {cid.device},
    }
    assert set(told.missing) == {cid.device, tablet.device}
    bundle = {bob: "b", tablet: "t", cid: "c"}
    tablet.heard.clear()
    assert ann.ask(send(2, "", told.lists, bundle, conversation=group), m.Sent).seq
    assert [words for _, words in said(tablet)] == ["t"]
    audience = ann.ask(m.FetchAudience(5, group), m.Audience)
    assert (audience.lists, [one.account for one in audience.accounts]) == (told.lists, ["ann", "bob", "cid"])


def test_the_number_of_a_group_is_the_same_after_its_process_was_lost() -> None:
    node = SmallNode()
    ann, bob = node.device("ann"), node.device("bob")
    group = group_of(node, ann, bob)
    lists = stale(ann, send(1, "hi", [0], conversation=group)).lists
    node.runtime.exit(node.router.conversation(group), KILLED)
    node.settle()
    assert ann.ask(send(1, "hi", lists, conversation=group), m.Sent).seq
