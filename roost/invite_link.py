"""The link that lets people into a group: the group's id and a secret, as text that can be passed on."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from protocol import ConversationId, InviteId, InviteToken, invite_id_of, is_group
from roost.errors import InviteLinkError

if TYPE_CHECKING:
    from protocol.keys import RandomBytes

__all__ = ["InviteLink"]

_PREFIX: Final = "roost://group/"
_TOKEN_SIZE_BYTES: Final = 16
_TOKEN_LENGTH: Final = 28
_SHOWN_LENGTH_MAX: Final = 80


@dataclass(frozen=True, slots=True, repr=False)
class InviteLink:
    """An invite, as whoever has it may use it. The last two characters of its text find a mistake.

    Args:
        conversation: the group.
        token: 16 random bytes, of which the server keeps only a hash.
    """

    conversation: ConversationId
    token: InviteToken

    @classmethod
    def generate(cls, conversation: ConversationId, random_bytes: RandomBytes = os.urandom) -> Self:
        """A fresh link."""
        return cls(conversation, InviteToken(random_bytes(_TOKEN_SIZE_BYTES)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a link as people paste it, with or without what stands before the group's id.

        Raises:
            InviteLinkError: it is none, or not whole.
        """
        plain = "".join(text.split())
        if plain.lower().startswith(_PREFIX):
            plain = plain[len(_PREFIX) :]
        group, _, secret = plain.upper().partition("/")
        conversation = "#" + group.removeprefix("#")
        try:
            bits = base64.b32decode(secret + "====") if len(secret) == _TOKEN_LENGTH else b""
        except (binascii.Error, ValueError):
            bits = b""
        link = cls(ConversationId(conversation), InviteToken(bits[:_TOKEN_SIZE_BYTES]))
        if not is_group(conversation) or len(link.token) != _TOKEN_SIZE_BYTES or link._secret != secret:
            shown = text.strip()
            shown = shown if len(shown) <= _SHOWN_LENGTH_MAX else f"{shown[:_SHOWN_LENGTH_MAX]}..."
            raise InviteLinkError(
                f"{shown!r} is no invite to a group, or not the whole of one. It looks like {_PREFIX}01ARZ3.../MFRGG..."
            )
        return link

    @property
    def invite(self) -> InviteId:
        """Which invite it is; this lets nobody in."""
        return invite_id_of(self.token)

    @property
    def _secret(self) -> str:
        text = base64.b32encode(self.token).decode().rstrip("=")
        digest = hashlib.sha256(b"roost/invite/check" + self.conversation.encode() + self.token).digest()
        return text + base64.b32encode(digest).decode()[: _TOKEN_LENGTH - len(text)]

    @property
    def text(self) -> str:
        """The link, to be passed on."""
        return f"{_PREFIX}{self.conversation.removeprefix('#')}/{self._secret}"

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"InviteLink({self.conversation!r}, ...)"
