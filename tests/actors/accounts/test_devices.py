"""The server keeps the list that the primary signed, and takes nothing that it did not."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from actors.accounts.actor import AccountActor
from actors.accounts.api import Show, Subscribe
from protocol import AccountId, ClientId, Code, ConversationId, StaticKey, device_id_of
from protocol import messages as m
from protocol.device_list import IdentityKey, opened_devices, sealed_label
from runtime import KILLED, Actor
from tests.actors.office import Office, Visitor
from tests.actors.primary import Primary
from tests.actors.small_node import SmallDevice, SmallNode

DAY_S = 86_400


class Listener(Actor):
    """Keeps an account's process busy."""


def login_refusal(device: SmallDevice) -> int:
    return device.ask(device.a_login(), m.Error).code


def test_a_primary_registers_with_its_first_list_and_anyone_is_told_that_list() -> None:
    node = SmallNode()
    ann, bob = Primary(node, "ann"), Primary(node, "bob")
    own = ann.list()
    assert own.signed is not None
    assert opened_devices(own.signed, ann.phone.account).primary.static_key == ann.phone.key.public
    assert [(device.name, device.current) for device in own.own] == [("phone", True)]
    seen = bob.phone.ask(m.FetchDevices(1, ann.phone.account), m.DeviceList)
    assert (seen.signed, seen.devices, seen.version) == (own.signed, [ann.phone.device], own.version)
    assert (seen.labels, seen.own) == ([], []), "what devices are called is nobody else's business"
    assert bob.phone.ask(m.FetchDevices(1, AccountId("nobody")), m.Error).code == Code.ACCOUNT_UNKNOWN


def test_a_device_on_the_list_logs_in_and_the_others_are_told() -> None:
    node = SmallNode()
    ann = Primary(node, "ann")
    before = ann.list().version
    laptop = SmallDevice(node)
    ann.phone.take(m.Done)
    ann.phone.say(m.SignDevices(3, *ann.signed([ann.phone.key.public, laptop.key.public], ["phone", "laptop"])))
    told = [frame for frame in ann.phone.heard if isinstance(frame, m.DevicesChanged | m.Done)]
    assert {type(frame) for frame in told} == {m.DevicesChanged, m.Done}
    laptop.account = ann.phone.account
    assert laptop.ask(laptop.a_login(), m.Ready).devices_version == before + 1
    assert [device.name for device in laptop.ask(m.FetchDevices(1, AccountId("ann")), m.DeviceList).own] == [
        "phone",
        "laptop",
    ]


def test_a_device_that_is_signed_off_is_thrown_out() -> None:
    node = SmallNode()
    ann = Primary(node, "ann")
    laptop = ann.link("laptop")
    ann.sign([ann.phone.key.public], ["phone"], m.Done)
    assert [closing.code for closing in laptop.take(m.Closing)] == [Code.DEVICE_REVOKED]
    again = SmallDevice(node, key=laptop.key)
    again.account = ann.phone.account
    assert login_refusal(again) == Code.DEVICE_UNKNOWN


def test_the_primary_renames_a_device() -> None:
    node = SmallNode()
    ann = Primary(node, "ann")
    laptop = ann.link("laptop")
    ann.sign([ann.phone.key.public, laptop.key.public], ["phone", "old laptop"], m.Done)
    assert [device.name for device in ann.list().own] == ["phone", "old laptop"]


def test_the_same_list_again_is_no_change_and_an_older_or_equal_version_is_stale() -> None:
    node = SmallNode()
    ann = Primary(node, "ann")
    other = StaticKey.generate().public
    signed, labels = ann.signed([ann.phone.key.public, other], ["phone", "laptop"])
    ann.phone.ask(m.SignDevices(1, signed, labels), m.Done)
    version = ann.list().version
    ann.phone.ask(m.SignDevices(2, signed, labels), m.Done)
    for old in (1, 2):
        assert ann.sign([ann.phone.key.public], ["phone"], m.Error, version=old).code == Code.LIST_STALE
    assert (ann.list().version, ann.list().signed) == (version, signed)


def wrong_lists(ann: Primary, laptop: SmallDevice) -> dict[str, tuple[m.SignedDevices, list[bytes], Code]]:
    phone, new = ann.phone.key.public, StaticKey.generate().public
    good, labels = ann.signed([phone, laptop.key.public], ["phone", "laptop"])
    other = IdentityKey.generate()

    def of(keys: list[bytes], code: Code = Code.LIST_INVALID, **fields: Any) -> Any:
        return (*ann.signed(keys, [f"device {number}" for number in range(len(keys))], **fields), code)

    return {
        "another key signed it": of([phone], identity=other),
        "the signature does not fit": (m.SignedDevices(good.identity, good.body, bytes(64)), labels, Code.LIST_INVALID),
        "the primary is not the first": of([laptop.key.public, phone]),
        "the primary is missing": of([laptop.key.public]),
        "two new ones at once": of([phone, new, bytes(32)]),
        "too many": of([phone, *(bytes([number]) * 32 for number in range(5))], Code.DEVICES_MAX),
        "a label is missing": (good, labels[:1], Code.LIST_INVALID),
        "the labels are swapped": (good, labels[::-1], Code.LIST_INVALID),
        "a label is another": (good, [labels[0], sealed_label("laptop", "test")], Code.LIST_INVALID),
        "a name cannot be shown": (*ann.signed([phone], ["a\u202eb"]), Code.NAME_INVALID),
    }


def test_a_list_that_the_account_cannot_have_changes_nothing() -> None:
    node = SmallNode()
    ann = Primary(node, "ann")
    laptop = ann.link("laptop")
    before = ann.list()
    for why, (signed, labels, code) in wrong_lists(ann, laptop).items():
        assert ann.phone.ask(m.SignDevices(5, signed, labels), m.Error).code == code, why
    assert ann.list() == before


def test_only_the_primary_signs_even_if_another_device_has_the_identity_key() -> None:
    node = SmallNode()
    ann = Primary(node, "ann")
    laptop = ann.link("laptop")
    signed, labels = ann.signed([ann.phone.key.public], ["phone"])
    assert laptop.ask(m.SignDevices(1, signed, labels), m.Error).code == Code.NOT_PRIMARY
    nobody = node.device("zoe")
    assert nobody.ask(m.SignDevices(1, signed, labels), m.Error).code == Code.NOT_PRIMARY


def test_a_linked_device_can_leave_and_remove_no_other_and_nobody_removes_the_primary() -> None:
    node = SmallNode()
    ann = Primary(node, "ann")
    laptop, tablet = ann.link("laptop"), ann.link("tablet")
    phone = ann.phone.device
    assert laptop.ask(m.RemoveDevice(1, tablet.device), m.Error).code == Code.NOT_PRIMARY
    assert laptop.ask(m.RemoveDevice(1, phone), m.Error).code == Code.NOT_PRIMARY
    assert ann.phone.ask(m.RemoveDevice(1, phone), m.Error).code == Code.NOT_PRIMARY
    laptop.say(m.RemoveDevice(1, laptop.device))
    assert [closing.code for closing in laptop.take(m.Closing)] == [Code.DEVICE_REVOKED]
    assert set(ann.list().devices) == {phone, tablet.device}


def test_a_list_does_not_bring_back_who_has_left_since_the_one_before() -> None:
    node = SmallNode()
    ann = Primary(node, "ann")
    laptop, tablet = ann.link("laptop"), ann.link("tablet")
    phone = ann.phone.key.public
    laptop.say(m.RemoveDevice(1, laptop.device))
    unaware = ann.sign([phone, laptop.key.public, tablet.key.public], ["phone", "laptop", "tablet"], m.Error)
    assert unaware.code == Code.LIST_STALE
    assert set(ann.list().devices) == {ann.phone.device, tablet.device}
    ann.sign([phone, tablet.key.public], ["phone", "tablet"], m.Done)
    ann.sign([phone, tablet.key.public, laptop.key.public], ["phone", "tablet", "laptop"], m.Done)
    assert len(ann.list().devices) == 3, "by a list behind that it may be linked anew"


def test_a_key_that_is_another_accounts_device_cannot_be_listed() -> None:
    node = SmallNode()
    ann, bob = Primary(node, "ann"), Primary(node, "bob")
    assert (
        ann.sign([ann.phone.key.public, bob.phone.key.public], ["phone", "mine"], m.Error).code == Code.DEVICE_UNKNOWN
    )
    assert bob.list().devices == [bob.phone.device]


def test_a_code_alone_adds_no_device_to_an_account_with_a_primary() -> None:
    node = SmallNode()
    ann = Primary(node, "ann")
    ghost = SmallDevice(node)
    ghost.ask(m.RequestCode(1, "ann"), m.CodeSent)
    assert ghost.ask(m.Register(2, "ann", node.codes["ann"][-1], "Ann", "ghost"), m.Error).code == Code.LINK_NEEDED
    assert Primary(node, "ann", expect=m.Error).answer.code == Code.LINK_NEEDED
    assert ann.list().devices == [ann.phone.device]


def test_a_recovery_replaces_the_identity_and_every_device() -> None:
    node = SmallNode()
    ann = Primary(node, "ann")
    laptop = ann.link("laptop")
    ann.phone.heard.clear()
    new = Primary(node, "ann", recover=True)
    for device in (ann.phone, laptop):
        assert [closing.code for closing in device.take(m.Closing)] == [Code.DEVICE_REVOKED]
    found = new.list()
    assert found.devices == [new.phone.device]
    assert found.signed is not None
    assert found.signed.identity == new.identity.public != ann.identity.public


def test_a_registration_whose_answer_was_lost_is_said_again_and_keeps_the_list() -> None:
    node = SmallNode()
    ann = Primary(node, "ann")
    ann.link("laptop")
    before = ann.list()
    again = Primary(node, "ann", key=ann.phone.key, identity=ann.identity)
    assert again.list().devices == before.devices
    assert Primary(node, "ann", identity=ann.identity, recover=True, expect=m.Error).answer.code == Code.LIST_INVALID


def first_lists(ann: Primary) -> list[tuple[m.SignedDevices, bytes]]:
    phone = ann.phone.key.public
    labels = [sealed_label("phone"), sealed_label("laptop")]
    two, _ = ann.signed([phone, bytes(32)], ["phone", "laptop"])
    other, (label,) = ann.signed([bytes(32)], ["phone"])
    own, _ = ann.signed([phone], ["phone"])
    return [(two, labels[0]), (other, label), (own, labels[1])]


def test_a_first_list_names_the_device_that_registers_and_no_other() -> None:
    node = SmallNode()
    key = StaticKey.generate()
    ann = Primary(node, "ann", key=key)
    for signed, label in first_lists(ann):
        refused = Primary(node, "ann", key=key, signed=signed, label=label, recover=True, expect=m.Error)
        assert refused.answer.code == Code.LIST_INVALID


def test_an_account_whose_devices_nobody_signed_goes_on_until_it_is_recovered() -> None:
    node = SmallNode()
    first, second = node.device("ann"), SmallDevice(node)
    second.register("ann")
    assert first.ask(m.FetchDevices(1, AccountId("ann")), m.DeviceList).signed is None
    assert Primary(node, "ann", expect=m.Error).answer.code == Code.LINK_NEEDED
    new = Primary(node, "ann", recover=True)
    assert new.list().devices == [new.phone.device]


def test_a_linked_device_that_is_idle_for_long_goes_and_the_primary_stays() -> None:
    node = SmallNode(device_idle_s=30 * DAY_S)
    ann = Primary(node, "ann")
    laptop, tablet = ann.link("laptop"), ann.link("tablet")
    for device in (ann.phone, laptop, tablet):
        device.say(m.Bye())
    node.wait(1.0)
    node.clock.advance(20 * DAY_S)
    again = SmallDevice(node, key=tablet.key)
    again.account = ann.phone.account
    again.ask(again.a_login(), m.Ready)
    again.say(m.Bye())
    node.wait(1.0)
    node.clock.advance(11 * DAY_S)
    late = SmallDevice(node, key=laptop.key)
    late.account = ann.phone.account
    assert login_refusal(late) == Code.DEVICE_UNKNOWN
    node.clock.advance(3_650 * DAY_S)
    primary = SmallDevice(node, key=ann.phone.key)
    primary.account = ann.phone.account
    primary.ask(primary.a_login(), m.Ready)
    assert primary.ask(m.FetchDevices(1, AccountId("ann")), m.DeviceList).devices == [ann.phone.device]


def test_a_linked_device_that_is_connected_all_the_time_is_not_idle() -> None:
    node = SmallNode(device_idle_s=30 * DAY_S)
    ann = Primary(node, "ann")
    laptop, tablet = ann.link("laptop"), ann.link("tablet")
    tablet.say(m.Bye())
    for _ in range(3):
        node.wait(1.0)  # the account's process ends, and looks when it is asked for again
        node.clock.jump_wall(31 * DAY_S * 1_000)
        ann.list()
        assert ann.list().devices == [ann.phone.device, laptop.device]


@pytest.mark.parametrize("stays", [True, False])
def test_a_node_that_starts_anew_knows_which_device_was_connected_all_the_time_and_which_was_idle(stays: bool) -> None:
    node = SmallNode(device_idle_s=3 * DAY_S)
    ann = Primary(node, "ann")
    laptop = ann.link("laptop")
    for device in (ann.phone, laptop):
        device.say(m.SetState(False, 900))
    ann.phone.say(m.Bye())
    if not stays:
        laptop.say(m.Bye())
    for _ in range((3 * 24 + 18) * 4):
        node.clock.advance(900.0)
        node.settle()
        laptop.say(m.Ping(0))
    assert laptop.closed != stays
    node.clock.advance(DAY_S)  # a day on which the node is away
    after = SmallNode(device_idle_s=3 * DAY_S, before=node)
    again = SmallDevice(after, key=laptop.key)
    again.account = ann.phone.account
    if stays:
        again.ask(again.a_login(), m.Ready)
    else:
        assert login_refusal(again) == Code.DEVICE_UNKNOWN


def test_a_device_idles_also_while_its_account_is_in_use() -> None:
    node = SmallNode(device_idle_s=30 * DAY_S)
    ann = Primary(node, "ann")
    laptop = ann.link("laptop")
    laptop.say(m.Bye())
    listener = node.runtime.start(Listener())
    node.runtime.cast(node.router.account(ann.phone.account), Subscribe(listener))
    node.wait(1.0)
    node.clock.jump_wall(31 * DAY_S * 1_000)
    node.wait(1.0)
    assert laptop.device in ann.list().devices
    node.clock.advance(3_600)
    node.wait(1.0)
    again = SmallDevice(node, key=laptop.key)
    again.account = ann.phone.account
    assert login_refusal(again) == Code.DEVICE_UNKNOWN


def test_messages_for_a_device_that_went_come_back_as_notices() -> None:
    node = SmallNode(device_idle_s=30 * DAY_S)
    bob = node.device("bob")
    ann = Primary(node, "ann")
    laptop = ann.link("laptop")
    laptop.say(m.Bye())
    node.wait(1.0)
    bob.ask(m.Send(ConversationId("ann:bob"), 1, ClientId(bytes(16)), b"hi"), m.Sent)
    ann.sign([ann.phone.key.public], ["phone"], m.Done)
    node.wait(5.0)
    notices = bob.take(m.Notice)
    assert [(notice.device, notice.reason) for notice in notices] == [(laptop.device, m.NOTICE_REVOKED)]


@pytest.mark.parametrize("version", [0, 1])
def test_the_device_id_on_a_list_is_that_of_its_key(version: int) -> None:
    key = StaticKey.generate()
    ann = Primary(SmallNode(), "ann", key=key)
    signed, _ = ann.signed([key.public], ["phone"], version=version)
    assert opened_devices(signed, ann.phone.account).primary.device == device_id_of(key.public) == ann.phone.device


def test_an_account_stays_while_somebody_listens_and_goes_soon_after_that(seed: int) -> None:
    office = Office(seed)
    office.employ("ann", "ann's phone")
    listener = Visitor()
    pid = office.runtime.start(listener)
    office.runtime.cast(office.router.account(AccountId("ann")), Subscribe(pid))
    office.wait(60.0)
    name = ("account", AccountId("ann"))
    assert office.runtime.whereis(name) is not None
    office.runtime.exit(pid, KILLED)
    office.wait(6.0)
    assert office.runtime.whereis(name) is None


def test_an_account_that_has_gone_leaves_nothing_for_the_collector(seed: int) -> None:
    office = Office(seed)
    office.employ("ann", "ann's phone")
    office.runtime.cast(office.router.account(AccountId("ann")), Show(office.runtime.start(Visitor())))
    gc.collect()
    gc.disable()
    try:
        office.wait(6.0)
        accounts = [it for it in gc.get_objects() if isinstance(it, AccountActor)]
        assert not [it for it in accounts if it.process.runtime is office.runtime]
    finally:
        gc.enable()
