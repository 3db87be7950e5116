"""Every limit of the wire, in one place: what an outsider may make us hold, and how wide a field is.

A limit that a peer has to know is announced in ``Welcome`` or fixed for the protocol version; docs/protocol.md
repeats them, and a test compares.
"""

from dataclasses import dataclass
from typing import Final

__all__ = [
    "ADDRESS_LENGTH_MAX",
    "BUNDLE_DEVICES_MAX",
    "DEFAULT_LIMITS",
    "FETCH_MARKS_MAX",
    "FRAME_SIZE_BYTES_MAX",
    "FRAME_SIZE_BYTES_MAX_BEFORE_READY",
    "GROUP_MEMBERS_MAX",
    "GROUP_NAME_LENGTH_MAX",
    "INVITES_MAX",
    "INVITE_LIFETIME_S_MAX",
    "LABEL_SIZE_BYTES_MAX",
    "LINK_PAYLOAD_SIZE_BYTES_MAX",
    "LISTED_DEVICES_MAX",
    "LIST_BODY_SIZE_BYTES_MAX",
    "LIST_LENGTH_MAX",
    "NAME_LENGTH_MAX",
    "NUMBER_MAX",
    "PAYLOAD_SIZE_BYTES_MAX",
    "RECEIPT_STEPS_MAX",
    "RECORD_PLAINTEXT_SIZE_BYTES_MAX",
    "RECORD_SIZE_BYTES_MAX",
    "SEND_WINDOW",
    "SENTENCE_LENGTH_MAX",
    "SIGNATURE_SIZE_BYTES_MAX",
    "STALE_ENTRIES_MAX",
    "TAG_SIZE_BYTES",
    "TEXT_LENGTH_MAX",
    "U32_MAX",
    "VERSIONS_MAX",
    "WireLimits",
]

NUMBER_MAX: Final = 2**63 - 1
"""Largest integer of any field: it fits a signed 64-bit integer in every language and in SQLite."""

U32_MAX: Final = 2**32 - 1

TAG_SIZE_BYTES: Final = 16
"""Size of an AES-GCM authentication tag."""

RECORD_SIZE_BYTES_MAX: Final = 65_535
"""Largest record body: the length field has two bytes, and Noise allows no longer message."""

RECORD_PLAINTEXT_SIZE_BYTES_MAX: Final = RECORD_SIZE_BYTES_MAX - TAG_SIZE_BYTES

FRAME_SIZE_BYTES_MAX: Final = 131_072
"""Largest frame of version 1, without its three length bytes."""

FRAME_SIZE_BYTES_MAX_BEFORE_READY: Final = 4_096
"""Largest frame, and largest record body, that a client may send before ``Ready``.

Anyone can finish a handshake with a key made a second ago, so until the login only this much is buffered.
"""

PAYLOAD_SIZE_BYTES_MAX: Final = 65_536
"""Default of the largest ``Send`` payload; the figure in force is in ``Welcome``."""

SEND_WINDOW: Final = 32
"""Sends of one producer (device, epoch, conversation) that may wait for their answer."""

ADDRESS_LENGTH_MAX: Final = 64
"""Characters of a normalised address."""

NAME_LENGTH_MAX: Final = 64
"""Code points of a normalised display or device name."""

TEXT_LENGTH_MAX: Final = 256
"""Characters of any text field on the wire: wider than the rules of `ids`, so that a value that breaks a rule gets
the answer of that rule instead of a closed connection."""

SENTENCE_LENGTH_MAX: Final = 1_024
"""Characters of the sentence in an answer."""

VERSIONS_MAX: Final = 16
"""Versions that a ``Hello`` may offer."""

FETCH_MARKS_MAX: Final = 1_024
"""Conversations in one ``FetchMarks``; a server may allow fewer and then answers TOO_MANY_OPEN."""

LIST_LENGTH_MAX: Final = 16_384
"""Entries of a list in a server's answer."""

LISTED_DEVICES_MAX: Final = 100
"""Devices of a signed list: as many as an operator may allow an account."""

LIST_BODY_SIZE_BYTES_MAX: Final = 12_288
"""Body of a signed list of devices: that many, with 80 bytes each, and some room to grow."""

BUNDLE_DEVICES_MAX: Final = 1_024
"""Devices for which a ``Send`` may carry a payload of their own; all payloads together are as large as one may be."""

STALE_ENTRIES_MAX: Final = 1_024
"""Entries of each list of a ``Stale``."""

LABEL_SIZE_BYTES_MAX: Final = 512
"""Label of a device: a name of 64 code points, a platform and a salt."""

LINK_PAYLOAD_SIZE_BYTES_MAX: Final = 16_384
"""What one device passes to another at once while they are linked: a signed list, sealed."""
GROUP_MEMBERS_MAX: Final = 1_024
"""Members of a group; a server may allow fewer and then answers GROUP_FULL."""

GROUP_NAME_LENGTH_MAX: Final = 100
"""Code points of a group's normalised name."""

INVITES_MAX: Final = 20
"""Invites of a group that somebody may still use."""

INVITE_LIFETIME_S_MAX: Final = 30 * 86_400
"""How long an invite may be good."""

RECEIPT_STEPS_MAX: Final = 256
"""Steps of a ``GroupReceipt``: one for each of the recent messages, at most; usually a few."""

SIGNATURE_SIZE_BYTES_MAX: Final = 256
"""Signature of a change of a group."""


@dataclass(frozen=True, slots=True)
class WireLimits:
    """The limits that a deployment may choose, shared by all its connections.

    Attributes:
        frame_size_bytes_max: Largest frame accepted from a client once its session is ready; told in ``Welcome``.
    """

    frame_size_bytes_max: int = FRAME_SIZE_BYTES_MAX

    def __post_init__(self) -> None:
        """Refuse limits that version 1 cannot keep.

        Raises:
            ValueError: A limit is outside its range; the text names it.
        """
        if not FRAME_SIZE_BYTES_MAX_BEFORE_READY <= self.frame_size_bytes_max <= FRAME_SIZE_BYTES_MAX:
            raise ValueError("frame_size_bytes_max must be 4,096 to 131,072 bytes")


DEFAULT_LIMITS: Final = WireLimits()
