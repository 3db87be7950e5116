"""The signed list of devices: only what the identity signed for this very account is believed."""

from __future__ import annotations

import pickle

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from protocol import AccountId, Code
from protocol.device_list import (
    DeviceListError,
    IdentityKey,
    ListedDevice,
    checked_label,
    label_digest,
    opened_devices,
    sealed_label,
    sign_devices,
)
from protocol.limits import LABEL_SIZE_BYTES_MAX, LISTED_DEVICES_MAX
from protocol.messages import SignedDevices

ANN, BOB = AccountId("ann"), AccountId("bob")
KEY = IdentityKey(bytes(32))
LABEL = sealed_label("phone", "linux", lambda size: bytes(size))


def listed(number: int) -> ListedDevice:
    return ListedDevice(number.to_bytes(32, "big"), number, label_digest(LABEL))


def forged(body: object) -> SignedDevices:
    """What a client that holds the key may sign, right or wrong."""
    data = msgspec.msgpack.encode(body)
    return SignedDevices(KEY.public, data, KEY.sign(b"roost/devices/1\x00" + data))


@given(st.integers(0, 2**63 - 1), st.integers(1, LISTED_DEVICES_MAX))
def test_what_was_signed_is_read_again(version: int, count: int) -> None:
    devices = tuple(listed(number) for number in range(count))
    roll = opened_devices(sign_devices(KEY, ANN, version, devices), ANN)
    assert (roll.identity, roll.version, roll.devices, roll.primary) == (KEY.public, version, devices, devices[0])
    assert roll.entry(devices[-1].device) is not None
    assert roll.entry(listed(count).device) is None


def test_a_list_looks_like_this_to_the_byte() -> None:
    signed = sign_devices(KEY, ANN, 7, [listed(1)])
    assert signed.body.hex() == f"9401a3616e6e079193c420{1:064x}01c420{label_digest(LABEL).hex()}"
    # by another library than the one that signs
    assert signed.signature == Ed25519PrivateKey.from_private_bytes(bytes(32)).sign(
        b"roost/devices/1\x00" + signed.body
    )


@given(st.data())
def test_a_list_of_which_any_bit_was_changed_is_refused(data: st.DataObject) -> None:
    signed = sign_devices(KEY, ANN, 1, [listed(1), listed(2)])
    field = data.draw(st.sampled_from(["identity", "body", "signature"]))
    value = bytearray(getattr(signed, field))
    value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DeviceListError) as raised:
        opened_devices(msgspec.structs.replace(signed, **{field: bytes(value)}), ANN)
    assert raised.value.code is Code.LIST_INVALID


@pytest.mark.parametrize(
    "body",
    [
        [1, "bob", 1, [[bytes(32), 0, bytes(32)]]],
        [2, "ann", 1, [[bytes(32), 0, bytes(32)]]],
        [1, "ann", 1, [[bytes(32), 0, bytes(32)], [bytes(32), 1, bytes(32)]]],
        [1, "ann", 1, []],
        [1, "ann", -1, [[bytes(32), 0, bytes(32)]]],
        [1, "ann", 1, [[bytes(31), 0, bytes(32)]]],
        [1, "ann", 1, [[bytes(32), 0, bytes(33)]]],
        [1, "ann", 1, [[number.to_bytes(32, "big"), 0, bytes(32)] for number in range(LISTED_DEVICES_MAX + 1)]],
        {"ann": 1},
        [],
    ],
)
def test_what_no_list_may_say_is_refused_although_it_is_signed(body: object) -> None:
    with pytest.raises(DeviceListError):
        opened_devices(forged(body), ANN)


def test_a_signature_over_the_bare_body_is_refused() -> None:
    signed = sign_devices(KEY, ANN, 1, [listed(1)])
    with pytest.raises(DeviceListError):
        opened_devices(SignedDevices(KEY.public, signed.body, KEY.sign(signed.body)), ANN)
    with pytest.raises(DeviceListError):
        opened_devices(signed, BOB)


def test_an_identity_of_low_order_signs_nothing() -> None:
    with pytest.raises(DeviceListError):
        opened_devices(SignedDevices(b"\x01" + bytes(31), b"body", b"\x01" + bytes(63)), ANN)


def test_a_label_is_read_and_one_that_was_not_signed_is_refused() -> None:
    assert checked_label(listed(1), LABEL).name == "phone"
    assert checked_label(listed(1), LABEL).platform == "linux"
    huge = bytes(LABEL_SIZE_BYTES_MAX + 1)
    for label in (sealed_label("phone", "linux"), b"", LABEL + b"\x00"):
        with pytest.raises(DeviceListError):
            checked_label(listed(1), label)
    for label in (huge, b"\x93\xc4", msgspec.msgpack.encode([bytes(16), ""])):
        with pytest.raises(DeviceListError):
            checked_label(ListedDevice(bytes(32), 0, label_digest(label)), label)


def test_the_longest_label_there_may_be_has_room() -> None:
    assert len(sealed_label("🐦" * 64, "x" * 99)) <= LABEL_SIZE_BYTES_MAX


def test_an_identity_key_shows_no_secret_and_cannot_be_pickled() -> None:
    key = IdentityKey.generate()
    assert key.seed_bytes().hex() not in repr(key)
    assert IdentityKey(key.seed_bytes()).public == key.public
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        IdentityKey(bytes(31))
