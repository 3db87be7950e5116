from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest

from protocol.keys import EphemeralKey, KeyExchangeError, PrivateKey, StaticKey

RFC = json.loads((Path(__file__).parents[1] / "vectors" / "noise_x25519.json").read_text())


@pytest.mark.parametrize("vector", RFC["multiplications"])
def test_the_multiplications_of_rfc_7748_come_out(vector: dict[str, str]) -> None:
    key = PrivateKey(bytes.fromhex(vector["scalar"]))
    assert key.exchange(bytes.fromhex(vector["u"])).hex() == vector["out"]


def test_the_iterated_multiplication_of_rfc_7748_comes_out() -> None:
    scalar = point = bytes.fromhex(RFC["iterated"]["start"])
    for turn in range(1, 1_001):
        scalar, point = PrivateKey(scalar).exchange(point), scalar
        if turn == 1:
            assert scalar.hex() == RFC["iterated"]["after_1"]
    assert scalar.hex() == RFC["iterated"]["after_1000"]


def test_the_exchange_of_rfc_7748_comes_out_on_both_sides() -> None:
    vector = {name: bytes.fromhex(value) for name, value in RFC["exchange"].items()}
    ann, bob = StaticKey(vector["alice_private"]), EphemeralKey(vector["bob_private"])
    assert (ann.public, bob.public) == (vector["alice_public"], vector["bob_public"])
    assert ann.exchange(bob.public) == bob.exchange(ann.public) == vector["shared"]


@pytest.mark.parametrize("point", RFC["low_order"])
def test_a_low_order_point_is_refused(point: str) -> None:
    with pytest.raises(KeyExchangeError):
        StaticKey(bytes(range(32))).exchange(bytes.fromhex(point))


def test_a_public_key_of_another_size_is_refused() -> None:
    with pytest.raises(KeyExchangeError):
        StaticKey(bytes(range(32))).exchange(bytes(31))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_private_key_has_32_bytes_and_the_error_does_not_show_them(size: int) -> None:
    secret = b"\xa7" * size
    with pytest.raises(ValueError, match="32 bytes") as caught:
        StaticKey(secret)
    assert "a7" not in str(caught.value)


def test_a_key_survives_being_saved_and_shows_only_its_public_half() -> None:
    key = StaticKey.generate()
    same = StaticKey.from_bytes(key.private_bytes())
    assert same.public == key.public
    for text in (repr(key), str(key), f"{key}"):
        assert key.public.hex() in text
        assert key.private_bytes().hex() not in text
        assert repr(key.private_bytes()) not in text


def test_a_key_can_neither_be_pickled_nor_copied() -> None:
    key = StaticKey.generate()
    for spread in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            spread(key)


def test_two_generated_keys_differ() -> None:
    assert StaticKey.generate().public != StaticKey.generate().public
