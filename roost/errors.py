"""What can go wrong, as sentences a person can act on.

Every error is a `RoostError`: `sentence` says what happened and what to do, `code` is the wire's
code where the server named one (0 otherwise), and further fields carry the facts.
"""

from __future__ import annotations

__all__ = [
    "AccountInUseError",
    "AccountMissingError",
    "AddressError",
    "ConnectionClosedError",
    "DevicesForgedError",
    "GroupError",
    "GroupStaleError",
    "InviteLinkError",
    "LinkError",
    "MessageError",
    "NotConnectedError",
    "OutboxFullError",
    "RefusedError",
    "RoostError",
    "SendFailedError",
    "ServerKeyChangedError",
    "ServerUnreachableError",
    "StoppedError",
    "StoreError",
    "StoreNewerError",
    "TextError",
]


class RoostError(Exception):
    """The base of everything this package raises on purpose.

    Args:
        sentence: what happened and what to do, for a person to read.
        code: the code the server gave, or 0.
    """

    def __init__(self, sentence: str, code: int = 0) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = int(code)


class AddressError(RoostError):
    """An account or server address is not written correctly; nothing was sent."""


class TextError(RoostError):
    """A text is empty or too long to be one message; nothing was sent."""


class MessageError(RoostError):
    """A message is not here any more, or that cannot be done with it; nothing was sent."""


class GroupError(RoostError):
    """That cannot be done in a group, as far as this device knows; nothing was sent."""


class GroupStaleError(GroupError):
    """Somebody else changed the group at the same time, so that what was asked for may not be meant any more.

    Nothing was changed; look at the group and ask again.
    """


class InviteLinkError(GroupError):
    """A text is no invite to a group, or not the whole of one; nothing was sent."""


class ServerUnreachableError(RoostError):
    """No server answered at the address; it may be down, or the address wrong."""


class ServerKeyChangedError(RoostError):
    """The server's key is not the one this device trusts: a new server, or someone in between."""


class NotConnectedError(RoostError):
    """This needs the server, and there is no connection to it at the moment."""


class ConnectionClosedError(RoostError):
    """The connection ended before the server answered; asking again is safe."""


class StoppedError(RoostError):
    """The session ended for good (replaced, revoked, version unsupported) and will not reconnect."""


class LinkError(RoostError):
    """A new device was not linked; nothing of the account has changed."""


class DevicesForgedError(RoostError):
    """The list of an account's devices is not what its primary device signed; nothing of it is believed."""


class RefusedError(RoostError):
    """The server refused a request.

    Args:
        sentence: the server's reason.
        code: the wire code of the refusal.
        retry_after_ms: when a retry makes sense, in milliseconds; -1 if it never does.
    """

    def __init__(self, sentence: str, code: int, retry_after_ms: int = -1) -> None:
        super().__init__(sentence, code)
        self.retry_after_ms = retry_after_ms


class SendFailedError(RoostError):
    """A message was refused for good; it is kept in the history, marked as failed."""


class OutboxFullError(RoostError):
    """Too many messages wait to be sent; try again when some have gone."""


class AccountMissingError(RoostError):
    """No account is registered in the folder, or more than one and none was named."""


class AccountInUseError(RoostError):
    """Another process on this machine is using the account's database."""


class StoreError(RoostError):
    """The account's database could not be read or written."""


class StoreNewerError(StoreError):
    """The account's database was written by a newer version of Roost and is left untouched."""
