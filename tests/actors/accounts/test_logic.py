"""The account as data."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.accounts.logic import Account, decode_account, encode_account
from protocol import AccountId, device_id_of
from storage import StoreVersionError

ANN, BOB = AccountId("ann"), AccountId("bob")
KEYS = [bytes([number]) * 32 for number in range(4)]


def ann() -> Account:
    return Account("ann", 1, "Ann").with_device(KEYS[0], "phone", 5)


def test_a_device_is_its_key_and_the_same_key_again_only_changes_its_name() -> None:
    account = ann().with_device(KEYS[1], "laptop", 6).with_device(KEYS[0], "new phone", 7)
    assert [record.name for record in account.devices] == ["new phone", "laptop"]
    device = device_id_of(KEYS[0])
    assert account.holds(device, KEYS[0])
    assert not account.holds(device, KEYS[1])
    assert not account.without_device(device).holds(device, KEYS[0])


def test_the_list_of_devices_has_a_version_of_its_own() -> None:
    account = ann()
    device = device_id_of(KEYS[1])
    added = account.with_device(KEYS[1], "laptop", 6)
    removed = added.without_device(device)
    assert added.devices_version == account.devices_version + 1
    assert removed.devices_version == added.devices_version + 1
    renamed = account.with_settings(None, None, None, "Anna").with_relation(BOB, "blocked")
    assert renamed.view().devices_version == account.view().devices_version


def test_an_account_written_before_lists_had_versions_counts_from_one() -> None:
    value = encode_account(Account("ann", 1, "Ann"))
    items = msgspec.msgpack.decode(value[1:])
    older = value[:1] + msgspec.msgpack.encode(items[:10])
    assert decode_account(older).devices_version == 1


@given(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 60), st.sampled_from("bcde")), max_size=20))
def test_many_that_block_an_account_are_noticed_once_each_time_they_are_many(
    accounts_min: int, blocks: list[tuple[int, str]]
) -> None:
    account, now_ms, window_ms = ann(), 1_000, 100
    counted: dict[str, int] = {}
    for passed_ms, who in blocks:
        now_ms += passed_ms
        counted = {each: at_ms for each, at_ms in counted.items() if at_ms > now_ms - window_ms} | {who: now_ms}
        account, many = decode_account(encode_account(account)).blocked_by(
            AccountId(who), now_ms, window_ms, accounts_min
        )
        assert many == (len(counted) >= accounts_min)
        if many:
            counted = {}
    assert account.view() == ann().view()
    assert len(account.blockers) < accounts_min


@given(st.lists(st.sampled_from(["contact", "blocked", "none"]), max_size=10))
def test_another_account_is_a_contact_or_blocked_or_neither(relations: list[str]) -> None:
    account = ann()
    for relation in relations:
        version = account.version
        account = account.with_relation(BOB, relation)
        assert account.version == version + 1
        assert (BOB in account.contacts, BOB in account.blocked) == (relation == "contact", relation == "blocked")


def test_settings_change_only_what_is_named() -> None:
    changed = ann().with_settings(None, "nobody", None, None)
    assert (changed.read_receipts, changed.last_seen, changed.online, changed.display_name) == (
        True,
        "nobody",
        "everyone",
        "Ann",
    )


def test_a_login_is_no_change_that_others_hear_of() -> None:
    account = ann()
    seen = account.seen(device_id_of(KEYS[0]), 99)
    assert seen.view() == account.view()
    assert seen.devices[0].last_login_ms == 99


def test_an_account_comes_back_from_the_disk_as_it_was_and_a_newer_one_is_refused() -> None:
    account = ann().with_relation(BOB, "contact").with_settings(False, "contacts", "nobody", "A")
    value = encode_account(account)
    assert decode_account(value) == account
    with pytest.raises(StoreVersionError, match="schema 2"):
        decode_account(bytes((2,)) + value[1:])
