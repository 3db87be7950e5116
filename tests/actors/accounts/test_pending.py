"""The verification codes that an account waits for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.accounts.pending import CODES_MAX, PendingCodes
from protocol import AccountId, Code, DeviceId

ANN = AccountId("ann")
OWN, OTHER = "198.51.100.9", "203.0.113.7"


def device(number: int) -> DeviceId:
    return DeviceId(number.to_bytes(16, "big"))


def codes(attempts_max: int = 2) -> PendingCodes:
    return PendingCodes(ANN, lifetime_s=10, attempts_max=attempts_max)


def test_a_code_works_once_and_in_time() -> None:
    pending = codes()
    for now_s, wrong in ((9.9, None), (10.0, Code.CODE_EXPIRED)):
        issued = pending.issue(device(1), OWN, "123456", 0.0)
        assert b"123456" not in issued.digest
        assert pending.judge(device(1), "123456", now_s) == wrong
        assert pending.judge(device(1), "123456", 0.0) == Code.CODE_EXPIRED
        assert not pending.waits(0.0)


def test_a_code_waits_for_its_lifetime() -> None:
    pending = codes()
    pending.issue(device(1), OWN, "123456", 0.0)
    assert pending.waits(9.9)
    assert not pending.waits(10.0)


def test_a_device_that_has_used_up_its_tries_needs_a_new_code() -> None:
    pending = codes()
    pending.issue(device(1), OWN, "123456", 0.0)
    assert [pending.judge(device(1), "000000", 0.0) for _ in range(3)] == [
        Code.CODE_WRONG,
        Code.CODE_WRONG,
        Code.CODE_EXPIRED,
    ]
    assert pending.judge(device(1), "123456", 0.0) == Code.CODE_EXPIRED
    pending.issue(device(1), OWN, "654321", 0.0)
    assert pending.judge(device(1), "654321", 0.0) is None


def test_a_code_is_of_no_use_to_a_device_that_did_not_ask_for_it() -> None:
    pending = codes()
    pending.issue(device(1), OWN, "123456", 0.0)
    assert pending.judge(device(2), "123456", 0.0) == Code.CODE_EXPIRED
    pending.issue(device(2), OTHER, "000000", 0.0)
    assert pending.judge(device(2), "123456", 0.0) == Code.CODE_WRONG
    assert pending.judge(device(1), "123456", 0.0) is None


def test_a_code_that_could_not_be_sent_takes_no_later_one_along() -> None:
    pending = codes()
    first = pending.issue(device(1), OWN, "123456", 0.0)
    pending.issue(device(1), OWN, "654321", 0.0)
    pending.withdraw(first)
    assert pending.judge(device(1), "654321", 0.0) is None
    pending.withdraw(pending.issue(device(1), OWN, "111111", 0.0))
    assert pending.judge(device(1), "111111", 0.0) == Code.CODE_EXPIRED


@given(
    before=st.lists(st.integers(0, 4), max_size=3 * CODES_MAX),
    after=st.lists(st.integers(0, 4), max_size=3 * CODES_MAX),
)
def test_no_number_of_devices_in_a_few_networks_pushes_out_a_code_of_another_network(
    before: list[int], after: list[int]
) -> None:
    pending = codes()
    for number, network in enumerate(before):
        pending.issue(device(number), f"{OTHER}:{network}", "000000", 0.0)
    pending.issue(device(10_000), OWN, "123456", 0.0)
    for number, network in enumerate(after, start=1_000):
        pending.issue(device(number), f"{OTHER}:{network}", "000000", 0.0)
    assert pending.judge(device(10_000), "123456", 0.0) is None


def test_the_codes_that_are_kept_have_a_limit_and_make_room_by_themselves() -> None:
    pending = codes()
    for number in range(10 * CODES_MAX):
        pending.issue(device(number), OTHER, "000000", 0.0)
    good = [number for number in range(10 * CODES_MAX) if pending.judge(device(number), "000000", 0.0) is None]
    assert good == list(range(9 * CODES_MAX, 10 * CODES_MAX))
