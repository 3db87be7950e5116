"""The disk, what actors keep in the directory and in what waits: groups, who has missed what, who has which shard."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from actors.accounts.memberships import decode_groups, encode_groups
from actors.groups.api import decode_group, encode_group
from actors.notices.api import decode_missed, encode_missed
from actors.notices.logic import Collection
from actors.placement.api import Place
from actors.placement.logic import Atlas, decode_places, encode_places
from actors.shard.api import decode_owed, encode_owed
from protocol import InviteToken
from protocol.ids import SHARDS
from roost.device_trust import decode_pin, encode_pin
from storage import StoreCorruptError, StoreVersionError
from tests.fuzz.target import Target, check_sentence

if TYPE_CHECKING:
    from collections.abc import Callable

UNREADABLE = (StoreCorruptError, StoreVersionError)

Value = TypeVar("Value")


def _read(data: bytes, decode: Callable[[bytes], Value], encode: Callable[[Value], bytes]) -> Value | None:
    """The value of these bytes, which comes back when it is written again; None if they are none, with a sentence."""
    try:
        value = decode(data)
    except UNREADABLE as error:
        check_sentence(str(error))
        return None
    assert decode(encode(value)) == value
    return value


def missed_record(data: bytes) -> None:
    """What waits at a group: a message that did not reach a device; and how it is told."""
    missed = _read(data, decode_missed, encode_missed)
    if missed is not None:
        collection = Collection()
        for position in (1, 1, 2):
            collection.add(position, missed)
        (telling,) = collection.take(missed.sender)
        assert (telling.positions, telling.missed) == ([1, 2], [missed, missed])


def group_record(data: bytes) -> None:
    """The state of a group, and the questions that it answers."""
    state = _read(data, decode_group, encode_group)
    if state is not None:
        for account in ("ann", *state.members):
            assert (state.role(account) is None) <= (state.may_write(account) is not None)
        for now_ms in (0, 1 << 62):
            state.told_invites(now_ms)
            state.invite_of(InviteToken(bytes(16)), now_ms)


def owed_record(data: bytes) -> None:
    """What a device has yet to get by a supplement."""
    _read(data, decode_owed, encode_owed)


def account_groups(data: bytes) -> None:
    """The list of an account's groups."""
    _read(data, decode_groups, encode_groups)


def shard_places(data: bytes) -> None:
    """What a node remembers of the shards of others, and what it makes of that when it starts."""
    places = _read(data, decode_places, encode_places)
    if places is not None:
        assert all(shard in range(SHARDS) for shard in places)
        atlas = Atlas("a", {"a": 1.0, "b": 1.0}, places)
        assert atlas.orphans().keys() <= places.keys()
        assert not atlas.claims(range(SHARDS)), "nobody has spoken yet"
        for shard, place in places.items():
            assert not atlas.put(shard, place), "it was known"
            atlas.put(shard, Place("c", place.epoch + 1))
        assert all(place.node == "c" for place in atlas.places.values())


def device_pin(data: bytes) -> None:
    """The list of devices that is believed, in a client's own database; what cannot be read is not believed."""
    pin = decode_pin(data)
    if pin is not None:
        assert decode_pin(encode_pin(pin)) == pin
        assert (len(pin.identity), len(pin.digest)) == (32, 32)


RECORD_TARGETS = (
    Target("missed_record", missed_record, "what was missed, told once for each place, or StoreCorruptError"),
    Target("group_record", group_record, "a group that can be asked, or StoreCorruptError or StoreVersionError"),
    Target("owed_record", owed_record, "what is owed, or StoreCorruptError"),
    Target("account_groups", account_groups, "the groups, or StoreCorruptError or StoreVersionError"),
    Target("shard_places", shard_places, "places of shards that there are, or StoreCorruptError"),
    Target("device_pin", device_pin, "a pin of the right sizes, or None"),
)
