from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from protocol.keys import StaticKey
from protocol.noise import AESGCM_SHA256, COUNTER_MAX, NNPSK0_AESGCM_SHA256, CipherState, Handshake, NoiseError, Suite
from tests.protocol.links import random_bytes_of

if TYPE_CHECKING:
    from collections.abc import Callable

VECTORS = Path(__file__).parents[1] / "vectors"
XX = json.loads((VECTORS / "noise_xx.json").read_text())["vectors"]
NNPSK0 = json.loads((VECTORS / "noise_nnpsk0.json").read_text())["vectors"]


class ChaChaPolyState(CipherState):
    """The other cipher of the specification, whose counter is little-endian."""

    __slots__ = ()
    aead = ChaCha20Poly1305

    def nonce(self) -> bytes:
        return bytes(4) + self.counter.to_bytes(8, "little")


CIPHERS = {"AESGCM": CipherState, "ChaChaPoly": ChaChaPolyState}


def suite_named(name: str) -> Suite:
    if name == AESGCM_SHA256.name:
        return AESGCM_SHA256
    _, pattern, _, cipher, hash_name = name.split("_")
    tokens = NNPSK0_AESGCM_SHA256.pattern if pattern == "NNpsk0" else AESGCM_SHA256.pattern
    return Suite(name, CIPHERS[cipher], hash_name.lower(), tokens)


def handshakes(suite: Suite = AESGCM_SHA256, prologue: bytes = b"roost/1") -> tuple[Handshake, Handshake]:
    initiator, responder = (
        Handshake(
            initiator=first,
            static=StaticKey.generate(random_bytes_of(f"static {first}")),
            prologue=prologue,
            suite=suite,
            random_bytes=random_bytes_of(f"ephemeral {first}"),
        )
        for first in (True, False)
    )
    return initiator, responder


def always(data: bytes) -> Callable[[int], bytes]:
    return lambda size: data[:size]


def finished() -> tuple[Handshake, Handshake]:
    initiator, responder = handshakes()
    responder.read(initiator.write())
    initiator.read(responder.write())
    responder.read(initiator.write())
    return initiator, responder


@pytest.mark.parametrize("vector", [*XX, *NNPSK0], ids=lambda vector: vector["protocol_name"])
def test_every_public_vector_is_reproduced_to_the_byte(vector: dict[str, Any]) -> None:
    suite = suite_named(vector["protocol_name"])
    sides = [
        Handshake(
            initiator=prefix == "init",
            static=StaticKey(bytes.fromhex(vector[f"{prefix}_static"])) if f"{prefix}_static" in vector else None,
            prologue=bytes.fromhex(vector[f"{prefix}_prologue"]),
            suite=suite,
            random_bytes=always(bytes.fromhex(vector[f"{prefix}_ephemeral"])),
            secret=bytes.fromhex("".join(vector.get(f"{prefix}_psks", []))),
        )
        for prefix in ("init", "resp")
    ]
    ciphers: list[tuple[CipherState, CipherState]] = []
    for index, message in enumerate(vector["messages"]):
        payload, expected = bytes.fromhex(message["payload"]), bytes.fromhex(message["ciphertext"])
        writer, reader = index % 2, 1 - index % 2
        if not sides[0].finished:
            assert sides[writer].write(payload) == expected
            assert sides[reader].read(expected) == payload
            continue
        ciphers = ciphers or [side.split() for side in sides]
        assert ciphers[writer][0].encrypt(payload) == expected
        assert ciphers[reader][1].decrypt(expected) == payload
    assert sides[0].handshake_hash == sides[1].handshake_hash == bytes.fromhex(vector["handshake_hash"])
    if "resp_static" in vector:
        assert sides[0].remote_static == StaticKey(bytes.fromhex(vector["resp_static"])).public


def test_the_suites_that_are_used_are_among_the_vectors() -> None:
    assert AESGCM_SHA256.name in {vector["protocol_name"] for vector in XX}
    assert NNPSK0_AESGCM_SHA256.name in {vector["protocol_name"] for vector in NNPSK0}


def secret_handshakes(*secrets: bytes) -> tuple[Handshake, Handshake]:
    initiator, responder = (
        Handshake(initiator=first, static=None, prologue=b"", suite=NNPSK0_AESGCM_SHA256, secret=secret)
        for first, secret in zip((True, False), secrets, strict=True)
    )
    return initiator, responder


def test_who_does_not_know_the_secret_is_found_out_by_the_first_message() -> None:
    initiator, responder = secret_handshakes(bytes(32), b"\x01" + bytes(31))
    with pytest.raises(NoiseError):
        responder.read(initiator.write())


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(33)])
def test_a_secret_of_another_size_is_refused(secret: bytes) -> None:
    with pytest.raises(ValueError, match=f"secret of {len(secret)} bytes"):
        secret_handshakes(secret, secret)
    with pytest.raises(ValueError, match="secret of 32 bytes"):
        Handshake(initiator=True, static=StaticKey.generate(), prologue=b"", secret=bytes(32))


def test_each_side_learns_the_others_static_key_and_both_hash_the_same() -> None:
    initiator, responder = finished()
    assert responder.remote_static == StaticKey.generate(random_bytes_of("static True")).public
    assert initiator.remote_static == StaticKey.generate(random_bytes_of("static False")).public
    assert initiator.handshake_hash == responder.handshake_hash


def test_another_prologue_fails_the_handshake() -> None:
    initiator, _ = handshakes(prologue=b"roost/1")
    _, responder = handshakes(prologue=b"roost/2")
    responder.read(initiator.write())
    with pytest.raises(NoiseError):
        initiator.read(responder.write())


@pytest.mark.parametrize("step", [0, 1, 2])
def test_every_truncation_of_every_handshake_message_is_refused(step: int) -> None:
    for size in range({0: 32, 1: 96, 2: 64}[step]):
        initiator, responder = handshakes()
        writer, reader = initiator, responder
        for _ in range(step):
            reader.read(writer.write())
            writer, reader = reader, writer
        message = writer.write()
        with pytest.raises(NoiseError):
            reader.read(message[:size])


@given(step=st.sampled_from([1, 2]), data=st.data())
def test_any_changed_bit_of_a_sealed_handshake_message_is_refused(step: int, data: st.DataObject) -> None:
    initiator, responder = handshakes()
    writer, reader = initiator, responder
    for _ in range(step):
        reader.read(writer.write())
        writer, reader = reader, writer
    message = bytearray(writer.write())
    bit = data.draw(st.integers(0, 8 * len(message) - 1))
    # X25519 ignores the top bit of a key, but the hash over the message does not.
    message[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NoiseError):
        reader.read(bytes(message))


def test_a_changed_first_message_is_noticed_by_the_second() -> None:
    initiator, responder = handshakes()
    first = bytearray(initiator.write())
    first[0] ^= 1
    responder.read(bytes(first))
    with pytest.raises(NoiseError):
        initiator.read(responder.write())


def test_a_replayed_handshake_fails_at_its_third_message_because_the_responder_is_fresh() -> None:
    initiator, responder = handshakes()
    first = initiator.write()
    responder.read(first)
    initiator.read(responder.write())
    third = initiator.write()
    responder.read(third)
    victim = Handshake(
        initiator=False,
        static=StaticKey.generate(random_bytes_of("static False")),
        prologue=b"roost/1",
        random_bytes=random_bytes_of("another ephemeral"),
    )
    victim.read(first)
    victim.write()
    with pytest.raises(NoiseError):
        victim.read(third)


def test_a_reflected_ephemeral_key_is_refused() -> None:
    initiator, _ = handshakes()
    first = initiator.write()
    with pytest.raises(NoiseError, match="own ephemeral key"):
        initiator.read(first + bytes(64))


def test_our_own_static_key_coming_back_is_refused() -> None:
    static = StaticKey.generate(random_bytes_of("the only key"))
    initiator = Handshake(initiator=True, static=static, prologue=b"", random_bytes=random_bytes_of("a"))
    responder = Handshake(initiator=False, static=static, prologue=b"", random_bytes=random_bytes_of("b"))
    responder.read(initiator.write())
    with pytest.raises(NoiseError, match="own static key"):
        initiator.read(responder.write())


def test_our_own_static_key_is_taken_where_another_process_of_this_host_may_answer() -> None:
    static = StaticKey.generate(random_bytes_of("the only key"))
    one, other = (
        Handshake(
            initiator=initiator, static=static, prologue=b"", random_bytes=random_bytes_of(source), own_allowed=True
        )
        for initiator, source in ((True, "a"), (False, "b"))
    )
    other.read(one.write())
    one.read(other.write())
    other.read(one.write())
    assert one.handshake_hash == other.handshake_hash
    assert one.remote_static == other.remote_static == static.public


@pytest.mark.parametrize("point", json.loads((VECTORS / "noise_x25519.json").read_text())["low_order"])
def test_a_low_order_ephemeral_key_is_refused(point: str) -> None:
    _, responder = handshakes()
    responder.read(bytes.fromhex(point))
    with pytest.raises(NoiseError, match="low order"):
        responder.write()


def test_a_message_out_of_turn_is_refused() -> None:
    initiator, responder = handshakes()
    with pytest.raises(NoiseError, match="not our turn"):
        responder.write()
    with pytest.raises(NoiseError, match="not the peer's turn"):
        initiator.read(bytes(32))
    with pytest.raises(NoiseError, match="not finished"):
        initiator.split()
    first, second = finished()
    for side in (first, second):
        with pytest.raises(NoiseError):
            side.write()
        with pytest.raises(NoiseError):
            side.read(bytes(96))


def test_a_handshake_message_longer_than_noise_allows_is_refused() -> None:
    _, responder = handshakes()
    with pytest.raises(NoiseError, match="too long"):
        responder.read(bytes(65_536))


def test_the_two_directions_have_different_keys_and_a_record_cannot_be_sent_back() -> None:
    initiator, responder = finished()
    send, receive = initiator.split()
    sealed = send.encrypt(b"to the responder")
    with pytest.raises(NoiseError):
        receive.decrypt(sealed)
    assert responder.split()[1].decrypt(sealed) == b"to the responder"


def test_a_repeated_dropped_or_swapped_message_is_refused_and_moves_no_counter() -> None:
    initiator, responder = finished()
    send, receive = initiator.split()[0], responder.split()[1]
    sealed = [send.encrypt(text) for text in (b"one", b"two", b"three")]
    assert receive.decrypt(sealed[0]) == b"one"
    for wrong in (sealed[0], sealed[2], sealed[1][:-1], b""):
        with pytest.raises(NoiseError):
            receive.decrypt(wrong)
        assert receive.counter == 1
    assert receive.decrypt(sealed[1]) == b"two"


def test_a_handshake_message_without_room_for_its_tag_is_refused() -> None:
    initiator, responder = handshakes()
    responder.read(initiator.write())
    second = responder.write()
    with pytest.raises(NoiseError, match="too short"):
        initiator.read(second[:-1])


def test_no_nonce_is_ever_used_twice_and_the_last_one_is_never_used() -> None:
    cipher = CipherState(bytes(32))
    cipher.counter = COUNTER_MAX
    assert cipher.nonce() == bytes(4) + b"\xff" * 7 + b"\xfe"
    sealed = cipher.encrypt(b"last")
    with pytest.raises(NoiseError, match="nonces"):
        cipher.encrypt(b"one more")
    with pytest.raises(NoiseError, match="nonces"):
        cipher.decrypt(sealed)


def test_a_cipher_put_to_rest_goes_on_where_it_stopped() -> None:
    initiator, responder = finished()
    send, receive = initiator.split()[0], responder.split()[1]
    for text in (b"one", b"two"):
        assert receive.decrypt(send.encrypt(text)) == text
        send.rest()
        receive.rest()
    assert send.counter == receive.counter == 2
