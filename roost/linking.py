"""How a new device and the primary of an account talk through a server that neither has to trust; pure.

Both know a one-time secret, which the new device shows and the primary's person carries over. With it they make a
Noise NNpsk0 handshake: whoever does not know it, the server included, cannot take part, and can only make it fail.
docs/protocol.md, section 13.2, says each message; Signal's provisioning is the model.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from protocol import AccountId, IdentifierError, normalized_address, normalized_name
from protocol.device_list import DeviceListError, DeviceRoll, opened_devices
from protocol.limits import LIST_BODY_SIZE_BYTES_MAX, SENTENCE_LENGTH_MAX, TEXT_LENGTH_MAX
from protocol.messages import SignedDevices
from protocol.noise import NNPSK0_AESGCM_SHA256, CipherState, Handshake, NoiseError
from roost.errors import LinkError

if TYPE_CHECKING:
    from protocol.keys import RandomBytes
    from roost.link_code import LinkCode

__all__ = ["CODE_LIFETIME_S", "Introduction", "Newcomer", "Offer", "Sponsor"]

CODE_LIFETIME_S: Final = 60.0
_PROLOGUE: Final = b"roost/link/1"
_BROKEN: Final = (
    "What came from the other side is not from the device with that code: the code was mistyped or is used up, or "
    "somebody stands in between. Nothing was linked; show a new code and try again."
)

_Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
_Text = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]


class Introduction(msgspec.Struct, array_like=True, tag=1, frozen=True):
    """Who the new device is, and which server it sees."""

    static_key: _Key
    name: _Text
    platform: _Text
    server_key: _Key


class Offer(msgspec.Struct, array_like=True, tag=2, frozen=True):
    """What the new device must know: its account, the server's key, and whose signature to believe."""

    account: _Text
    server_key: _Key
    identity: _Key


class _Accepted(msgspec.Struct, array_like=True, tag=3, frozen=True):
    """The new device has stored the offer."""


class _Declined(msgspec.Struct, array_like=True, tag=4, frozen=True):
    """One of the two does not go on."""

    sentence: Annotated[str, Meta(max_length=SENTENCE_LENGTH_MAX)]


class _Linked(msgspec.Struct, array_like=True, tag=5, frozen=True):
    """The server has taken a list with the new device on it."""

    identity: _Key
    body: Annotated[bytes, Meta(max_length=LIST_BODY_SIZE_BYTES_MAX)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Introduction | Offer | _Accepted | _Declined | _Linked).decode


class _End:
    """One end of the sealed talk; after an error it is of no more use."""

    __slots__ = ("_handshake", "_receiving", "_sending")

    def __init__(self, code: LinkCode, *, initiator: bool, random_bytes: RandomBytes) -> None:
        self._handshake = Handshake(
            initiator=initiator,
            static=None,
            prologue=_PROLOGUE + code.rendezvous,
            suite=NNPSK0_AESGCM_SHA256,
            random_bytes=random_bytes,
            secret=code.key,
        )
        self._sending: CipherState | None = None
        self._receiving: CipherState | None = None

    def _split(self) -> None:
        self._sending, self._receiving = self._handshake.split()

    def _sealed(self, message: object) -> bytes:
        assert self._sending is not None, "the handshake comes first"
        return self._sending.encrypt(_encode(message))

    def _opened(self, payload: bytes, expected: type[Any]) -> Any:
        try:
            if self._receiving is None:
                message = _decode(self._handshake.read(payload))
            else:
                message = _decode(self._receiving.decrypt(payload))
        except (NoiseError, ValueError, RecursionError) as error:
            raise LinkError(_BROKEN) from error
        if isinstance(message, _Declined):
            raise LinkError(message.sentence or "The other device has declined.")
        if not isinstance(message, expected):
            raise LinkError(_BROKEN)
        return message

    def declined(self, sentence: str) -> bytes:
        """Say that this ends here."""
        return self._sealed(_Declined(sentence[:SENTENCE_LENGTH_MAX]))


class Newcomer(_End):
    """The new device's end.

    Args:
        code: What it shows.
        introduction: Who it is.
        shown_s: When it showed the code.
        random_bytes: Source of the ephemeral key.
    """

    __slots__ = ("_introduction", "_offer", "_shown_s")

    def __init__(
        self, code: LinkCode, introduction: Introduction, shown_s: float, random_bytes: RandomBytes = os.urandom
    ) -> None:
        super().__init__(code, initiator=False, random_bytes=random_bytes)
        self._introduction = introduction
        self._shown_s = shown_s
        self._offer: Offer | None = None

    def meet(self, payload: bytes, now_s: float) -> bytes:
        """Take the first message of whoever knows the code; the answer introduces this device.

        Raises:
            LinkError: It does not know it, or the code is too old.
        """
        if now_s >= self._shown_s + CODE_LIFETIME_S:
            raise LinkError("The code is older than a minute. Show a new one and try again.")
        try:
            self._handshake.read(payload)
            answer = self._handshake.write(_encode(self._introduction))
        except NoiseError as error:
            raise LinkError(_BROKEN) from error
        self._split()
        return answer

    def offered(self, payload: bytes) -> Offer:
        """Take what the primary offers.

        Raises:
            LinkError: It is nothing of the primary's, or the primary has declined.
        """
        offer: Offer = self._opened(payload, Offer)
        try:
            normal = normalized_address(offer.account)
        except IdentifierError as error:
            raise LinkError(_BROKEN) from error
        if normal != offer.account:
            raise LinkError(_BROKEN)
        self._offer = offer
        return offer

    def accepted(self) -> bytes:
        """Say that the offer is stored."""
        return self._sealed(_Accepted())

    def linked(self, payload: bytes) -> SignedDevices:
        """Take the list that this device is on.

        Raises:
            LinkError: It is not, or the identity that was offered did not sign it.
        """
        assert self._offer is not None, "the offer comes first"
        message: _Linked = self._opened(payload, _Linked)
        signed = SignedDevices(message.identity, message.body, message.signature)
        self.check(signed)
        return signed

    def check(self, signed: SignedDevices) -> DeviceRoll:
        """What a list says, if it is the account's and names this device.

        Raises:
            LinkError: It is not, or does not.
        """
        assert self._offer is not None, "the offer comes first"
        try:
            roll = opened_devices(signed, AccountId(self._offer.account))
        except DeviceListError as error:
            raise LinkError(_BROKEN) from error
        keys = [listed.static_key for listed in roll.devices]
        if roll.identity != self._offer.identity or self._introduction.static_key not in keys[1:]:
            raise LinkError(_BROKEN)
        return roll


class Sponsor(_End):
    """The primary's end.

    Args:
        code: What the new device shows.
        offer: What it must know.
        random_bytes: Source of the ephemeral key.
    """

    __slots__ = ("_offer",)

    def __init__(self, code: LinkCode, offer: Offer, random_bytes: RandomBytes = os.urandom) -> None:
        super().__init__(code, initiator=True, random_bytes=random_bytes)
        self._offer = offer

    def sees_same_server(self, introduction: Introduction) -> bool:
        """Whether the new device has shaken hands with the key that we know: if not, a person has to say why."""
        return introduction.server_key == self._offer.server_key

    def begin(self) -> bytes:
        """The first message."""
        return self._handshake.write()

    def met(self, payload: bytes) -> Introduction:
        """Take the answer: who the new device is.

        Raises:
            LinkError: It does not know the code, or cannot be shown to a person.
        """
        introduction: Introduction = self._opened(payload, Introduction)
        self._split()
        try:
            normalized_name(introduction.name)
        except IdentifierError as error:
            raise LinkError(error.sentence) from error
        return introduction

    def offer(self) -> bytes:
        """The person has said yes."""
        return self._sealed(self._offer)

    def accepted(self, payload: bytes) -> None:
        """Take the new device's word that it has stored the offer.

        Raises:
            LinkError: It has not.
        """
        self._opened(payload, _Accepted)

    def linked(self, signed: SignedDevices) -> bytes:
        """Say that it is on the list."""
        return self._sealed(_Linked(signed.identity, signed.body, signed.signature))
