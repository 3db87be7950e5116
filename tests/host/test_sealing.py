"""The seal: only who has the key makes one, and only for the mailbox that it names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisors.host.sealing import ForgedFrameError, opened, sealed

KEYS = st.binary(min_size=32, max_size=32)
PORTS = st.integers(1, 65_535)


@given(KEYS, PORTS, st.binary())
def test_what_was_sealed_opens(key: bytes, port: int, payload: bytes) -> None:
    assert opened(key, port, sealed(key, port, payload)) == payload


@given(KEYS, PORTS, st.binary(max_size=64), st.data())
def test_one_changed_bit_anywhere_is_a_forgery(key: bytes, port: int, payload: bytes, data: st.DataObject) -> None:
    frame = bytearray(sealed(key, port, payload))
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ForgedFrameError):
        opened(key, port, bytes(frame))


@given(KEYS, PORTS, st.binary(), PORTS, KEYS)
def test_another_key_or_another_port_is_a_forgery(
    key: bytes, port: int, payload: bytes, other_port: int, other_key: bytes
) -> None:
    frame = sealed(key, port, payload)
    for tried_key, tried_port in {(key, other_port), (other_key, port)} - {(key, port)}:
        with pytest.raises(ForgedFrameError):
            opened(tried_key, tried_port, frame)


@given(KEYS, PORTS, st.binary(max_size=40))
def test_junk_is_a_forgery(key: bytes, port: int, junk: bytes) -> None:
    with pytest.raises(ForgedFrameError):
        opened(key, port, junk)
