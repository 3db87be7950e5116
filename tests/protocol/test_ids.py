from __future__ import annotations

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Code, IdentifierError
from protocol.ids import (
    AccountId,
    Ulid,
    checked_conversation,
    device_id_of,
    direct_conversation,
    members_of,
    message_id,
    message_id_text,
    normalized_address,
    normalized_name,
    shard_of,
)

ADDRESSES = st.from_regex(r"[a-z0-9][a-z0-9._+@-]{0,63}", fullmatch=True).map(AccountId)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("ann", "ann"), (" Ann ", "ann"), ("BOB@Example.ORG", "bob@example.org"), ("4912345", "4912345"), ("a" * 64,) * 2],
)
def test_an_address_is_trimmed_and_made_small(written: str, meant: str) -> None:
    assert normalized_address(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "",
        "  ",
        "a" * 65,
        ".ann",
        "+49123",
        "-",
        "@",
        "ann bob",
        "ann\n",
        "a:b",
        "a/b",
        "#group",
        "änn",
        "\u212aelvin",
        "ann\0",
    ],
)
def test_anything_else_is_refused_with_a_sentence(written: str) -> None:
    with pytest.raises(IdentifierError, match="That is not an address: it ") as caught:
        normalized_address(written)
    assert caught.value.code is Code.ADDRESS_INVALID


@given(st.text(max_size=80))
def test_a_normalised_address_is_normal_and_fits_a_conversation(text: str) -> None:
    try:
        address = normalized_address(text)
    except IdentifierError:
        return
    assert normalized_address(address) == address
    assert members_of(direct_conversation(address, AccountId("ann"))) == tuple(sorted([address, AccountId("ann")]))


@given(ADDRESSES, ADDRESSES)
def test_a_direct_conversation_is_the_same_from_both_sides(one: AccountId, other: AccountId) -> None:
    conversation = direct_conversation(one, other)
    assert conversation == direct_conversation(other, one) == checked_conversation(conversation)
    assert set(members_of(conversation)) == {one, other}


def test_a_note_to_self_has_one_member_twice() -> None:
    assert members_of(direct_conversation(AccountId("ann"), AccountId("ann"))) == ("ann", "ann")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "ann",
        "ann:",
        ":ann",
        "bob:ann",
        "Ann:bob",
        "ann:bob:cid",
        "ann::bob",
        "ann: bob",
        "#team",
        "a" * 65 + ":b",
    ],
)
def test_what_is_no_conversation_is_refused(text: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        checked_conversation(text)
    assert caught.value.code is Code.CONVERSATION_INVALID


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (" Ann ", "Ann"),
        ("Zoe\u0308", "Zoë"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("می‌خواهم", "می‌خواهم"),
        ("שלום", "שלום"),
        ("x" * 64, "x" * 64),
        ("e\u0301" * 64, "é" * 64),
    ],
)
def test_a_name_is_trimmed_and_composed(written: str, shown: str) -> None:
    assert normalized_name(written) == shown
    assert unicodedata.is_normalized("NFC", shown)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "   ",
        "x" * 65,
        "x" * 100_000,
        "a\nb",
        "a\x00b",
        "a\x7fb",
        "a\u202eb",
        "a\u2066b",
        "a\u2028b",
        "a\u0378b",
        "a\ue000b",
        "a\ud800b",
        "\u200d",
        "\u0301",
        "\u3164\u2800",
    ],
    ids=ascii,
)
def test_a_name_that_misleads_or_shows_nothing_is_refused(written: str) -> None:
    with pytest.raises(IdentifierError, match="That name cannot be shown: ") as caught:
        normalized_name(written)
    assert caught.value.code is Code.NAME_INVALID


@given(st.text(max_size=70))
def test_a_normal_name_stays_as_it_is(text: str) -> None:
    try:
        name = normalized_name(text)
    except IdentifierError:
        return
    assert normalized_name(name) == name
    assert 1 <= len(name) <= 64


@given(ADDRESSES)
def test_a_shard_is_one_of_64_and_never_moves(address: AccountId) -> None:
    digest = hashlib.sha256(address.encode()).digest()
    assert shard_of(address) == (digest[0] * 256 + digest[1]) % 64


def test_some_shards_are_frozen() -> None:
    assert [shard_of(text) for text in ("ann", "bob", "cyd")] == [17, 54, 3]
    assert [shard_of(text) for text in ("ann:bob", "ann:cyd", "bob:cyd", "ann:ann")] == [54, 17, 3, 17]


@given(ADDRESSES, ADDRESSES)
def test_a_direct_chat_lives_with_one_of_its_members(one: AccountId, other: AccountId) -> None:
    assert shard_of(direct_conversation(one, other)) in {shard_of(one), shard_of(other)}


def test_the_chats_of_an_account_live_with_it_and_with_the_others_in_equal_parts() -> None:
    others = [AccountId(f"bob{number}") for number in range(2_000)]
    with_ann = sum(shard_of(direct_conversation(AccountId("ann"), other)) == shard_of("ann") for other in others)
    assert 900 < with_ann < 1_130


def test_a_device_is_the_start_of_the_hash_of_its_key() -> None:
    assert device_id_of(bytes(32)) == hashlib.sha256(bytes(32)).digest()[:16]


def test_a_message_id_is_a_ulid() -> None:
    identifier = message_id(1_469_918_176_385, bytes(10))
    assert message_id_text(identifier) == "01ARYZ6S410000000000000000"
    assert message_id_text(b"\xff" * 16) == "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"


@pytest.mark.parametrize(("time_ms", "size"), [(-1, 10), (2**48, 10), (0, 9), (0, 11)])
def test_a_message_id_from_wrong_parts_is_refused(time_ms: int, size: int) -> None:
    with pytest.raises(ValueError, match=r"48 bits|10 bytes"):
        message_id(time_ms, bytes(size))


@given(st.lists(st.integers(0, 2**48 - 100), max_size=30))
def test_ulids_rise_whatever_the_clock_does(times_ms: list[int]) -> None:
    ulid = Ulid(lambda size: b"\x55" * size)
    identifiers = [ulid.next(time_ms) for time_ms in times_ms]
    assert identifiers == sorted(set(identifiers))
    assert all(len(identifier) == 16 for identifier in identifiers)


def test_a_ulid_whose_randomness_is_used_up_borrows_the_next_millisecond() -> None:
    ulid = Ulid(lambda size: b"\xff" * size)
    first, second = ulid.next(1_000), ulid.next(1_000)
    assert second > first
    assert int.from_bytes(second[:6], "big") == 1_001


@pytest.mark.parametrize("time_ms", [-1, 2**48])
def test_a_time_outside_48_bits_is_refused(time_ms: int) -> None:
    with pytest.raises(ValueError, match="48 bits"):
        Ulid(bytes).next(time_ms)
