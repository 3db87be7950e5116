"""What a stranger can do to an address that is not theirs: nothing that its owner feels."""

from __future__ import annotations

from actors.accounts.api import Rate
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
    assert set(wrong_codes(stranger, "ann", 20)) == {Code.CODE_WRONG}
    stranger.ask(m.RequestCode(1, "ann"), m.CodeSent)
    assert set(wrong_codes(stranger, "ann", 20)) == {Code.CODE_WRONG}
    code = node.codes["ann"][0]
    assert owner.ask(m.Register(2, "ann", code, "Ann", "phone"), m.Registered).account == "ann"


def test_who_has_used_up_the_own_code_needs_a_new_one_and_everyone_elses_still_works() -> None:
    node = SmallNode()
    first, second = SmallDevice(node, OWNER), SmallDevice(node, OWNER)
    first.ask(m.RequestCode(1, "ann"), m.CodeSent)
    second.ask(m.RequestCode(1, "ann"), m.CodeSent)
    burnt, good = node.codes["ann"]
    wrong_codes(first, "ann", 4)
    assert first.ask(m.Register(2, "ann", burnt, "Ann", "phone"), m.Error).code == Code.CODE_WRONG
    second.ask(m.Register(2, "ann", good, "Ann", "phone"), m.Registered)


def test_a_stranger_who_asks_for_codes_and_guesses_is_limited_by_network_and_the_owner_is_not() -> None:
    node = SmallNode({"codes": Rate(2, 1 / 3600), "registers": Rate(3, 1 / 3600)})
    stranger, owner = SmallDevice(node, STRANGER), SmallDevice(node, OWNER)
    for number in (1, 2):
        stranger.ask(m.RequestCode(number, "ann"), m.CodeSent)
    assert stranger.ask(m.RequestCode(3, "ann"), m.Error).code == Code.RATE_LIMITED
    assert wrong_codes(stranger, "ann", 4)[-1] == Code.RATE_LIMITED
    owner.register("ann")
