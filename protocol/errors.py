"""The codes of the wire and the two exceptions: the peer's fault, or ours (after h11).

Every refusal carries a code, a sentence that says whose fault it is and what to do, and whether a retry can help.
The hundreds group the codes: 1xx link and protocol (the connection closes), 2xx account and login, 3xx sending,
4xx limits, 5xx server.
"""

from enum import IntEnum
from typing import Literal, Self

__all__ = ["Code", "Fault", "IdentifierError", "LocalProtocolError", "ProtocolError", "RemoteProtocolError", "code_of"]

Fault = Literal["client", "peer", "server"]
"""Who has to act: the client that sent it, another person or device, or the server's operator."""


class Code(IntEnum):
    """What went wrong, as a number that never changes its meaning.

    Attributes:
        fault: Whose fault it is.
        sentence: The default sentence for people.
        retry: Whether the same request may succeed later without being changed.
    """

    fault: Fault
    sentence: str
    retry: bool

    def __new__(cls, number: int, fault: Fault, retry: bool, sentence: str) -> Self:
        """Make one member with its facts."""
        code = int.__new__(cls, number)
        code._value_ = number
        code.fault = fault
        code.retry = retry
        code.sentence = sentence
        return code

    BAD_RECORD = (
        100,
        "client",
        False,
        "A link record is malformed or fails authentication; use a Roost client and connect again.",
    )
    HANDSHAKE_FAILED = (
        101,
        "client",
        False,
        "The Noise handshake failed; check the protocol version and the server's pinned key.",
    )
    HANDSHAKE_TIMEOUT = (102, "client", True, "The handshake took too long; connect again on a better link.")
    BAD_FRAME = (103, "client", False, "A frame is not a MessagePack array that starts with its type; fix the client.")
    FRAME_TOO_LARGE = (104, "client", False, "A frame is larger than this connection allows; send less at once.")
    WRONG_STATE = (105, "client", False, "That frame is not allowed in this state of the session; fix the client.")
    UNKNOWN_FRAME = (
        106,
        "client",
        False,
        "This server does not know that frame type; do without it or ask for a newer server.",
    )
    VERSION_UNSUPPORTED = (
        107,
        "client",
        False,
        "None of the offered protocol versions is spoken here; update the older side.",
    )
    BAD_FIELD = (108, "client", False, "A field of a frame has the wrong type, length or range; fix the client.")
    HEARTBEAT_MISSED = (109, "client", True, "Nothing was heard for longer than the agreed heartbeat; connect again.")
    REPLACED = (
        110,
        "client",
        False,
        "This device has logged in on another connection; use that one and do not reconnect here.",
    )
    ACK_BEYOND_SENT = (
        111,
        "client",
        False,
        "The client acknowledged a position it was never sent; nothing was forgotten, fix the client.",
    )
    SLOW_READER = (112, "client", True, "The client did not read its messages for too long; connect again to go on.")
    LOGIN_TIMEOUT = (113, "client", True, "No login arrived in time; connect again and log in at once.")

    ADDRESS_INVALID = (
        200,
        "client",
        False,
        "That is not an address: use 1 to 64 of the characters a-z 0-9 . _ + @ - and start with a letter or digit.",
    )
    CODE_WRONG = (201, "client", False, "The verification code is wrong; check it or ask for a new one.")
    CODE_EXPIRED = (
        202,
        "client",
        False,
        "The verification code has expired, is used up or was sent for another device; ask for a new one.",
    )
    ACCOUNT_UNKNOWN = (203, "client", False, "There is no such account here; check the address or register it.")
    DEVICE_UNKNOWN = (204, "client", False, "This device does not belong to that account; register it, or link it.")
    DEVICE_REVOKED = (205, "client", False, "This device was removed from its account; register it, or link it again.")
    DEVICES_MAX = (206, "client", False, "The account has as many devices as it may; remove one from another device.")
    NAME_INVALID = (
        207,
        "client",
        False,
        "That name cannot be shown: use 1 to 64 visible characters without control or direction-override characters.",
    )
    SETTING_INVALID = (
        208,
        "client",
        False,
        "That is not a value of this setting; choose one of the values in the protocol document.",
    )
    REGISTRATION_CLOSED = (209, "server", False, "This server takes no new accounts; ask its operator.")
    LINK_NEEDED = (
        210,
        "client",
        False,
        "This account has a primary device: link this one with it, or recover the account if that device is lost.",
    )
    LINK_UNKNOWN = (
        211,
        "client",
        False,
        "No device waits under that code, or no longer; show a new code and try again.",
    )
    LINK_EXPIRED = (212, "client", False, "The code was not used in time; show a new one and try again.")
    LINK_ENDED = (213, "peer", False, "The other device left before both were linked; show a new code and try again.")
    LIST_INVALID = (
        214,
        "client",
        False,
        "The list of devices is not rightly signed, or not one that this account may have; fix the client.",
    )
    LIST_STALE = (
        215,
        "client",
        False,
        "A newer list of devices is known here; fetch it, and sign one with a higher version.",
    )
    NOT_PRIMARY = (216, "client", False, "Only the primary device of the account can do that; do it there.")

    RECIPIENT_UNKNOWN = (300, "client", False, "There is no account with that address here; check the address.")
    NOT_ALLOWED = (301, "peer", False, "The other side does not accept this; do not repeat it.")
    NOT_MEMBER = (302, "client", False, "You are not a member of that conversation; ask a member to add you.")
    CONVERSATION_INVALID = (
        303,
        "client",
        False,
        "That is not a conversation id: write the two addresses, sorted, with a colon between them, or the group's id.",
    )
    PAYLOAD_TOO_LARGE = (304, "client", False, "The message is larger than this server takes; shorten or split it.")
    NUMBER_GAP = (
        305,
        "client",
        False,
        "A number was skipped; send again from the expected number, in order.",
    )
    NUMBER_REUSED = (
        306,
        "client",
        False,
        "That number was used for another message; start a new epoch and number from 1.",
    )
    ALREADY_ACCEPTED = (
        307,
        "client",
        False,
        "That number was used long ago, maybe for another message; start a new epoch and number from 1.",
    )
    WINDOW_FULL = (308, "client", True, "Too many sends wait for their answer; wait for one before the next.")
    EPOCH_UNKNOWN = (309, "client", False, "The server does not know this epoch; log in again with a new one.")
    TTL_INVALID = (310, "client", False, "The time to live is longer than this server keeps messages; shorten it.")

    GROUP_RIGHTS = (
        311,
        "client",
        False,
        "Your role in this group does not allow that; ask one of its admins or its owner.",
    )
    ANNOUNCEMENT_ONLY = (312, "client", False, "Only the admins of this group write in it; ask one of them.")
    INVITE_INVALID = (
        313,
        "client",
        False,
        "That invite is wrong, expired, used up or revoked; ask an admin of the group for a new one.",
    )
    GROUP_FULL = (314, "peer", False, "The group has as many members as it may; ask an admin to remove somebody.")
    CHANGE_INVALID = (
        315,
        "client",
        False,
        "That is no change that can be asked of a group; choose one of the kinds in the protocol document.",
    )

    DEVICES_STALE = (
        316,
        "client",
        False,
        "The message was made for other devices than there are; make it for those in the answer and send it again.",
    )
    BUNDLE_INVALID = (
        317,
        "client",
        False,
        "A bundle has one payload for each device of the lists it names, and none for all; fix the client.",
    )
    LISTS_NEEDED = (
        318,
        "client",
        False,
        "This server takes only messages that say for which device lists they were made; update the client.",
    )

    RATE_LIMITED = (400, "client", True, "Too many requests of this kind; wait as long as the answer says.")
    TOO_MANY_CONNECTIONS = (401, "server", True, "The server has as many connections as it takes; try again later.")
    OVER_QUOTA = (402, "peer", True, "The recipient's store of waiting messages is full; try again later.")
    TOO_MANY_OPEN = (403, "client", False, "Too many conversations at once; close some or ask for fewer.")

    BUSY = (500, "server", True, "The server is busy; try again later.")
    STORAGE_FULL = (501, "server", True, "The server's disk is full; its operator has to make room, try again later.")
    DRAINING = (502, "server", True, "The server is shutting down or restarting; connect again later.")
    INTERNAL = (503, "server", True, "The server made a mistake and has logged it; try again later.")
    NOT_AVAILABLE = (504, "server", True, "The part of the server that keeps this is not available; try again later.")

    @property
    def group(self) -> int:
        """The hundreds: 1 link and protocol, 2 account, 3 sending, 4 limits, 5 server."""
        return self.value // 100


def code_of(number: int) -> Code | None:
    """The code of a number from the wire, or None for one of a newer version.

    Args:
        number: The ``code`` field of an answer.
    """
    try:
        return Code(number)  # type: ignore[call-arg]  # lookup by value, not __new__
    except ValueError:
        return None


class ProtocolError(Exception):
    """What both sides' errors share: a code and a sentence, fields and not prose.

    Attributes:
        code: What went wrong.
        sentence: Whose fault it is and what to do, for people; holds no content and no secret.
    """

    def __init__(self, code: Code, sentence: str | None = None) -> None:
        """Make the error.

        Args:
            code: What went wrong.
            sentence: A sentence for this case; the code's own sentence when None.
        """
        self.code = code
        self.sentence = code.sentence if sentence is None else sentence
        super().__init__(code, self.sentence)

    def __str__(self) -> str:
        """Code name, number and sentence."""
        return f"{self.code.name} ({self.code.value}): {self.sentence}"


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol; the connection is closed, nothing else is touched.

    Attributes:
        frames: What the same call to ``receive_data`` had already decoded before the fault. They are legal and may be
            acted on; a peer cannot count on it.
    """

    def __init__(self, code: Code, sentence: str | None = None) -> None:
        """Make the error with no frames before it."""
        super().__init__(code, sentence)
        self.frames: list[object] = []


class LocalProtocolError(ProtocolError):
    """We tried something that the protocol forbids; nothing was changed and nothing was sent."""


class IdentifierError(ProtocolError):
    """An address, name or conversation id breaks its rule; the sentence says which and how to write it."""
