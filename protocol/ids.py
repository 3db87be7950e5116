"""Who and what: the identifiers of the wire, how each is made, and how one from outside is normalised.

Each kind is its own type, so that mypy refuses a device where an account is meant.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NewType

from protocol.errors import Code, IdentifierError
from protocol.limits import ADDRESS_LENGTH_MAX, NAME_LENGTH_MAX

__all__ = [
    "SHARDS",
    "AccountId",
    "ClientId",
    "ConversationId",
    "DeviceId",
    "Epoch",
    "InviteId",
    "InviteToken",
    "MessageId",
    "SessionToken",
    "Ulid",
    "checked_conversation",
    "device_id_of",
    "direct_conversation",
    "group_conversation",
    "invite_id_of",
    "is_group",
    "members_of",
    "message_id",
    "message_id_text",
    "normalized_address",
    "normalized_name",
    "shard_of",
]

AccountId = NewType("AccountId", str)
"""A normalised address, see `normalized_address`."""
ConversationId = NewType("ConversationId", str)
"""``a:b`` for a direct chat of two accounts, sorted; ``a:a`` is the note to self; ``#`` and a ULID for a group."""
DeviceId = NewType("DeviceId", bytes)
"""First 16 bytes of SHA-256 of the device's static public key."""
MessageId = NewType("MessageId", bytes)
"""The server's 16-byte ULID of an accepted message. Order comes from ``seq``, never from this."""
ClientId = NewType("ClientId", bytes)
"""16 random bytes that the sending client made for one message and keeps through every retry."""
Epoch = NewType("Epoch", bytes)
"""8 random bytes made together with a client's local database; a new database is a new producer."""
InviteToken = NewType("InviteToken", bytes)
"""16 random bytes that the client of an admin made: who knows them may join the group."""
InviteId = NewType("InviteId", bytes)
"""First 16 bytes of SHA-256 of an invite's token: names the invite, and lets nobody in."""
SessionToken = NewType("SessionToken", bytes)
"""16 bytes with which a short drop is resumed, or empty."""

SHARDS: Final = 64
"""Number of shards, fixed for good: it decides where data lives."""

_ADDRESS: Final = re.compile(r"[a-z0-9][a-z0-9._+@-]*", re.ASCII)
_GROUP: Final = re.compile(r"#[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
# Embeddings, overrides and isolates: they reorder the text that follows them on someone else's screen.
_BIDI_CONTROLS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Letters and a symbol that are drawn as nothing: Hangul fillers and the empty Braille pattern.
_BLANKS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_CATEGORIES_REFUSED: Final = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_TIME_MS_MAX: Final = 2**48 - 1
_ULID_RANDOM_MAX: Final = 2**80 - 1


def normalized_address(text: str) -> AccountId:
    """The account that a person means by an address.

    Spaces around it are dropped and ASCII capitals become small; anything else that is not allowed is refused
    rather than repaired, so that two spellings never meet in one account by accident.

    Args:
        text: What the person wrote.

    Raises:
        IdentifierError: ADDRESS_INVALID, with the reason.
    """
    address = text.strip(" ")
    # ASCII first: lower() maps U+212A KELVIN SIGN to an ordinary k.
    if not address.isascii():
        raise _invalid_address("it has a character outside ASCII")
    address = address.lower()
    if not address:
        raise _invalid_address("it is empty")
    if len(address) > ADDRESS_LENGTH_MAX:
        raise _invalid_address(f"it is longer than {ADDRESS_LENGTH_MAX} characters")
    if _ADDRESS.fullmatch(address) is None:
        raise _invalid_address("it has a character that is not allowed, or does not start with a letter or digit")
    return AccountId(address)


def _invalid_address(reason: str) -> IdentifierError:
    return IdentifierError(
        Code.ADDRESS_INVALID,
        f"That is not an address: {reason}; use 1 to {ADDRESS_LENGTH_MAX} of the characters a-z 0-9 . _ + @ - "
        "and start with a letter or digit.",
    )


def normalized_name(text: str, length_max: int = NAME_LENGTH_MAX) -> str:
    """A display, device or group name as it may be shown to others: NFC, trimmed, 1 to `length_max` code points.

    Refused are control characters, line separators, direction embeddings, overrides and isolates, private use,
    surrogates and code points that Unicode has not assigned; joiners stay, emoji and Persian need them. Letters
    that are drawn as nothing stay, too, but make no name alone.

    Args:
        text: What the person wrote.
        length_max: Code points that it may have.

    Raises:
        IdentifierError: NAME_INVALID, with the reason.
    """
    # Judge the length first: normalising costs time, and NFC at most triples the code points.
    if len(text) > 4 * length_max:
        raise _invalid_name(f"it is longer than {length_max} characters", length_max)
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise _invalid_name("it is empty", length_max)
    if len(name) > length_max:
        raise _invalid_name(f"it is longer than {length_max} characters", length_max)
    visible = False
    for character in name:
        category = unicodedata.category(character)
        if category in _CATEGORIES_REFUSED or character in _BIDI_CONTROLS:
            raise _invalid_name(f"it contains U+{ord(character):04X}, which is invisible or reorders text", length_max)
        visible = visible or (category[0] in "LNPS" and character not in _BLANKS)
    if not visible:
        raise _invalid_name("nothing of it is visible", length_max)
    return name


def _invalid_name(reason: str, length_max: int) -> IdentifierError:
    return IdentifierError(
        Code.NAME_INVALID,
        f"That name cannot be shown: {reason}; use 1 to {length_max} visible characters.",
    )


def direct_conversation(one: AccountId, other: AccountId) -> ConversationId:
    """The conversation of two accounts, the same whoever starts it; of an account with itself, its notes."""
    return ConversationId(f"{one}:{other}" if one <= other else f"{other}:{one}")


def members_of(conversation: str) -> tuple[AccountId, AccountId]:
    """The two accounts of a direct conversation; both are the same in a note to self.

    Args:
        conversation: A conversation id, possibly from outside.

    Raises:
        IdentifierError: CONVERSATION_INVALID: not two normalised addresses in order.
    """
    one, colon, other = conversation.partition(":")
    if (
        colon
        and one <= other
        and len(one) <= ADDRESS_LENGTH_MAX
        and len(other) <= ADDRESS_LENGTH_MAX
        and _ADDRESS.fullmatch(one) is not None
        and _ADDRESS.fullmatch(other) is not None
    ):
        return AccountId(one), AccountId(other)
    raise IdentifierError(Code.CONVERSATION_INVALID)


def checked_conversation(text: str) -> ConversationId:
    """A conversation id from outside, checked.

    Raises:
        IdentifierError: CONVERSATION_INVALID.
    """
    members_of(text)
    return ConversationId(text)


def group_conversation(creator: AccountId, client_id: ClientId) -> ConversationId:
    """The group that an account makes under an id of its client: the same at every retry, and nobody else's.

    Args:
        creator: Who makes it.
        client_id: 16 random bytes of its client.
    """
    digest = hashlib.sha256(b"roost/1 group\0" + creator.encode() + b"\0" + client_id).digest()
    return ConversationId("#" + message_id_text(digest[:16]))


def is_group(conversation: str) -> bool:
    """Whether an id, possibly from outside, is that of a group."""
    return _GROUP.fullmatch(conversation) is not None


def invite_id_of(token: InviteToken) -> InviteId:
    """The invite that a token opens."""
    return InviteId(hashlib.sha256(token).digest()[:16])


@lru_cache(maxsize=1 << 16)  # the hash costs 0.9 us, the cache 0.04
def shard_of(identifier: str) -> int:
    """The shard of an account or a conversation, 0 to 63: first two bytes of SHA-256, big-endian, modulo 64.

    A direct chat lives with one of its two members; the last bit of the hash of its id says with which.
    """
    digest = hashlib.sha256(identifier.encode()).digest()
    one, colon, other = identifier.partition(":")
    if colon:
        return shard_of(other if digest[-1] & 1 else one)
    return int.from_bytes(digest[:2], "big") % SHARDS


def device_id_of(static_public_key: bytes) -> DeviceId:
    """The device that holds a static key.

    Args:
        static_public_key: The 32-byte X25519 public key that the handshake has proved.
    """
    return DeviceId(hashlib.sha256(static_public_key).digest()[:16])


def message_id(time_ms: int, randomness: bytes) -> MessageId:
    """A ULID as bytes: 48 bits of time, 80 bits of randomness.

    Args:
        time_ms: Milliseconds since 1970.
        randomness: 10 bytes.

    Raises:
        ValueError: The time does not fit 48 bits or the randomness is not 10 bytes.
    """
    if not 0 <= time_ms <= _ULID_TIME_MS_MAX:
        raise ValueError("time_ms must fit 48 bits")
    if len(randomness) != 10:
        raise ValueError("randomness must be 10 bytes")
    return MessageId(time_ms.to_bytes(6, "big") + randomness)


def message_id_text(identifier: bytes) -> str:
    """The 26 characters in which people and logs write a ULID (Crockford's base 32)."""
    number = int.from_bytes(identifier, "big")
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


class Ulid:
    """Makes message ids that rise, even within a millisecond or when the clock steps back (ULID specification).

    Within one millisecond the randomness of the last id is counted up, so most ids cost no new randomness.
    """

    __slots__ = ("_random", "_random_bytes", "_time_ms")

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        """Make a generator.

        Args:
            random_bytes: Source of randomness: given n, it returns n bytes.
        """
        self._random_bytes = random_bytes
        self._time_ms = -1
        self._random = 0

    def next(self, time_ms: int) -> MessageId:
        """The next id.

        Args:
            time_ms: Milliseconds since 1970, now. A time before the last one counts as the last one.

        Raises:
            ValueError: The time does not fit 48 bits.
        """
        if not 0 <= time_ms <= _ULID_TIME_MS_MAX:
            raise ValueError("time_ms must fit 48 bits")
        if time_ms > self._time_ms or self._random == _ULID_RANDOM_MAX:
            self._time_ms = max(time_ms, self._time_ms + 1)
            self._random = int.from_bytes(self._random_bytes(10), "big")
        else:
            self._random += 1
        return MessageId((self._time_ms << 80 | self._random).to_bytes(16, "big"))
