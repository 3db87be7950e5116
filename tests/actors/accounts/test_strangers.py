"""What a stranger can do to an address that is not theirs: nothing that its owner feels."""

from __future__ import annotations

from actors import slices
from actors.accounts.api import Rate
from config import RatesConfig
from protocol import Code
from protocol import messages as m
from tests.actors.small_node import SmallDevice, SmallNode

OWNER, STRANGER = "198.51.100.9", "203.0.113.7"


def wrong_codes(stranger: SmallDevice, address: str, count: int) -> list[int]:
    """The answers to so many wrong codes."""
    return [
        stranger.ask(m.Register(number, address, "wrong", "Eve", "eve"), m.Error).code for number in range(1, count + 1)
    ]


def test_a_stranger_who_guesses_burns_no_code_of_the_owner() -> None:
    node = SmallNode()
    owner, stranger = SmallDevice(node, OWNER), SmallDevice(node, STRANGER)
    owner.ask(m.RequestCode(1, "ann"), m.CodeSent)
    assert set(wrong_codes(stranger, "ann", 20)) == {Code.CODE_EXPIRED}
    stranger.ask(m.RequestCode(1, "ann"), m.CodeSent)
    assert wrong_codes(stranger, "ann", 20) == [Code.CODE_WRONG] * 3 + [Code.CODE_EXPIRED] * 17
    code = node.codes["ann"][0]
    assert owner.ask(m.Register(2, "ann", code, "Ann", "phone"), m.Registered).account == "ann"


def test_who_has_used_up_the_own_code_needs_a_new_one_and_everyone_elses_still_works() -> None:
    node = SmallNode()
    first, second = SmallDevice(node, OWNER), SmallDevice(node, OWNER)
    first.ask(m.RequestCode(1, "ann"), m.CodeSent)
    second.ask(m.RequestCode(1, "ann"), m.CodeSent)
    burnt, good = node.codes["ann"]
    wrong_codes(first, "ann", 4)
    assert first.ask(m.Register(2, "ann", burnt, "Ann", "phone"), m.Error).code == Code.CODE_EXPIRED
    second.ask(m.Register(2, "ann", good, "Ann", "phone"), m.Registered)


def test_a_stranger_who_asks_for_codes_and_guesses_is_limited_by_network_and_the_owner_is_not() -> None:
    node = SmallNode({"codes": Rate(2, 1 / 3600), "registers": Rate(3, 1 / 3600)})
    stranger, owner = SmallDevice(node, STRANGER), SmallDevice(node, OWNER)
    for number in (1, 2):
        stranger.ask(m.RequestCode(number, "ann"), m.CodeSent)
    assert stranger.ask(m.RequestCode(3, "ann"), m.Error).code == Code.RATE_LIMITED
    assert wrong_codes(stranger, "ann", 4)[-1] == Code.RATE_LIMITED
    owner.register("ann")


def test_a_code_is_of_no_use_to_a_stranger_who_learns_it() -> None:
    node = SmallNode()
    owner, stranger = SmallDevice(node, OWNER), SmallDevice(node, STRANGER)
    owner.ask(m.RequestCode(1, "ann"), m.CodeSent)
    code = node.codes["ann"][0]
    assert stranger.ask(m.Register(1, "ann", code, "Eve", "eve"), m.Error).code == Code.CODE_EXPIRED
    stranger.ask(m.RequestCode(2, "ann"), m.CodeSent)
    assert stranger.ask(m.Register(3, "ann", code, "Eve", "eve"), m.Error).code == Code.CODE_WRONG
    owner.ask(m.Register(2, "ann", code, "Ann", "phone"), m.Registered)


def test_strangers_of_many_networks_with_many_devices_push_no_code_of_the_owner_out() -> None:
    rates = RatesConfig()
    node = SmallNode(slices.rates(rates))
    owner = SmallDevice(node, OWNER)
    owner.ask(m.RequestCode(1, "ann"), m.CodeSent)
    sent = 0
    for number in range(12 * slices.NETWORKS_PER_ACCOUNT):
        stranger = SmallDevice(node, f"203.0.113.{number % (2 * slices.NETWORKS_PER_ACCOUNT)}")
        stranger.say(m.RequestCode(1, "ann"))
        sent += len(stranger.take(m.CodeSent))
    assert sent == slices.NETWORKS_PER_ACCOUNT * rates.code_requests_per_hour - 1, "the sender is no spam cannon"
    owner.ask(m.Register(2, "ann", node.codes["ann"][0], "Ann", "phone"), m.Registered)


def test_a_code_outlives_the_connection_that_asked_for_it() -> None:
    node = SmallNode()
    asked = SmallDevice(node, OWNER)
    asked.ask(m.RequestCode(1, "ann"), m.CodeSent)
    again = SmallDevice(node, STRANGER, asked.key)
    again.ask(m.Register(2, "ann", node.codes["ann"][0], "Ann", "phone"), m.Registered)


def test_two_devices_that_race_for_the_last_place_of_an_account_do_not_both_get_it() -> None:
    node = SmallNode()
    devices = [SmallDevice(node, OWNER) for _ in range(6)]
    for device in devices:
        device.ask(m.RequestCode(1, "ann"), m.CodeSent)
    codes = node.codes["ann"]
    for device, code in zip(devices[:4], codes, strict=False):
        device.ask(m.Register(2, "ann", code, "Ann", "phone"), m.Registered)
    for device, code in zip(devices[4:], codes[4:], strict=True):
        device.wire.send(m.Register(2, "ann", code, "Ann", "phone"))
        node.runtime.cast(device.pid, device.wire.data_to_send())
    node.settle()
    answers = [len(device.take(m.Registered)) for device in devices[4:]]
    assert sorted(answers) == [0, 1]
