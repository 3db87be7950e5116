"""Why a link between two nodes was refused or ended: a code for programs and a sentence for people."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

__all__ = ["LinkCode", "LinkError", "MessageTooLargeError", "UnregisteredError"]

SENTENCE_LENGTH_MAX: Final = 400


class LinkCode(IntEnum):
    """What ended a link; the numbers never change their meaning."""

    JUNK = 1
    """The peer sent what is no frame of a link."""
    HANDSHAKE_FAILED = 2
    """The Noise handshake failed."""
    KEY_UNKNOWN = 3
    """Whoever dialled has a key that belongs to no node of this cluster."""
    KEY_WRONG = 4
    """Whoever answered has another key than the node that was dialled."""
    NAME_WRONG = 5
    """The peer's key belongs to a node of another name."""
    VERSION_UNSUPPORTED = 6
    """The two nodes share no version of the link protocol."""
    SETTINGS_DIFFER = 7
    """A setting that all nodes must share differs."""
    DIALLED_BOTH = 8
    """Both dialled at once, and the other link stays."""
    SILENT = 9
    """Nothing was heard for longer than three heartbeats."""
    STALLED = 10
    """The peer speaks but takes nothing in."""
    OVERFLOW = 11
    """The peer takes so little in that what may not be dropped has outgrown its limit."""
    TOO_SLOW = 12
    """The link was not up in time."""
    REPLACED = 13
    """The peer has linked again, so it has lost this link."""
    CLOSING = 14
    """The node stops."""
    LOST = 15
    """The connection broke."""
    FLOOD = 16
    """The peer ties more processes to this node than may be tied."""
    WRONG_STATE = 17
    """A frame came before the link was up, or twice."""


class LinkError(Exception):
    """A link cannot begin or go on; it is closed, and no other is touched.

    Attributes:
        code: Why.
        sentence: For people: whose fault it is and what to do; no content and no secret.
        frames: What the same bytes had brought before the fault; it may be acted on.
    """

    def __init__(self, code: LinkCode, sentence: str) -> None:
        super().__init__(code, sentence)
        self.code = code
        self.sentence = sentence[:SENTENCE_LENGTH_MAX]
        self.frames: list[Any] = []

    def __str__(self) -> str:
        return f"{self.code.name} ({self.code.value}): {self.sentence}"


class UnregisteredError(Exception):
    """A message was to go to another node, and its type is not one that crosses.

    Attributes:
        type_name: Name of the type.
    """

    def __init__(self, type_name: str, problem: str = "is not registered") -> None:
        super().__init__(
            f"{type_name} {problem}: only types of the message table go to other nodes; register it, or send what is"
        )
        self.type_name = type_name


class MessageTooLargeError(Exception):
    """A message was to go to another node and is larger than a frame may be.

    Attributes:
        type_name: Name of its type.
        size_bytes: Its size.
    """

    def __init__(self, type_name: str, size_bytes: int, size_bytes_max: int) -> None:
        super().__init__(
            f"a {type_name} of {size_bytes} bytes was to go to another node, but at most {size_bytes_max} may: "
            "send it in parts"
        )
        self.type_name = type_name
        self.size_bytes = size_bytes
