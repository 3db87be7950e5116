"""What a message says: typed content inside the payload that the server never looks into.

A payload is one MessagePack map: `v` the version of this format, `t` the type of content, `b` what it says
(docs/contents.md). A newer type or version than ours is kept as it came and shown as `UnknownContent`, so that an
older application says "update" where it cannot show. Some contents stand in the history, others are *operations* on a
message that stands there (`roost.operations` says what they come to).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from protocol import MessageId
from protocol.messages import CHANGE
from roost.group import GroupChange, group_change_of
from roost.own_state import OWN_STATE_READERS, MessagesGone, OwnState, Records, StateWanted

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CONTENT_VERSION",
    "EMOJI_LENGTH_MAX",
    "TIMER_S_MAX",
    "Content",
    "Deleted",
    "Deletion",
    "Edit",
    "Operation",
    "Reaction",
    "Text",
    "TimerSet",
    "UnknownContent",
    "ViewOnce",
    "decode_content",
    "encode_operation",
    "encode_text",
    "encode_timer",
    "encode_view_once",
    "is_emoji",
    "is_shown",
    "text_to_view_once",
]

CONTENT_VERSION: Final = 1
TIMER_S_MAX: Final = 2**32 - 1
EMOJI_LENGTH_MAX: Final = 16
"""Code points of a reaction: the longest emoji that people use, a family or a flag, has seven to ten."""
_TYPE_LENGTH_MAX: Final = 64
_TARGET_SIZE_BYTES: Final = 16
_NOT_IN_EMOJI: Final = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})


@dataclass(frozen=True, slots=True)
class Text:
    """A text message.

    Args:
        text: what it says.
        reply_to: the message that it answers; there may be none such here.
        forwarded: whether it was written elsewhere, and passed on.
        disappears_s: seconds after reading at which every device forgets it; 0 for never.
    """

    text: str
    reply_to: MessageId | None = None
    forwarded: bool = False
    disappears_s: int = 0


@dataclass(frozen=True, slots=True)
class ViewOnce:
    """A text that is shown once. It is never part of a content or event: `Client.open_once` gives it, once.

    Args:
        opened: whether there is nothing left to open; always so with whoever wrote it.
        disappears_s: as for a text.
    """

    opened: bool = False
    disappears_s: int = 0


@dataclass(frozen=True, slots=True)
class TimerSet:
    """Somebody set the time after which messages of this conversation disappear; 0 switches it off."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """What stands where its author deleted a message for everyone; it is never sent."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """The sender's reaction to a message; an empty one takes it back."""

    target: MessageId
    emoji: str


@dataclass(frozen=True, slots=True)
class Edit:
    """The author's new text for a message."""

    target: MessageId
    text: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """The author deletes a message for everyone."""

    target: MessageId


@dataclass(frozen=True, slots=True)
class UnknownContent:
    """Content that this version cannot show.

    Args:
        type: the type the sender named; empty if the payload could not be read at all.
    """

    type: str

    @property
    def sentence(self) -> str:
        """Return what to show instead of the content."""
        if not self.type:
            return "This message could not be read."
        return "This message needs a newer version of Roost. Please update your app."


Operation = Reaction | Edit | Deletion
Content = Text | ViewOnce | TimerSet | Deleted | Operation | OwnState | GroupChange | UnknownContent

_Reference = Annotated[bytes, Meta(min_length=_TARGET_SIZE_BYTES, max_length=_TARGET_SIZE_BYTES)]
_Seconds = Annotated[int, Meta(ge=0, le=TIMER_S_MAX)]


class _Header(msgspec.Struct, frozen=True):
    v: int
    t: str


class _Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text, to be read as often as one likes or once (then `b` is nil when it was)."""

    v: int
    t: str
    b: str | None
    r: _Reference | None = None
    f: bool = False
    x: _Seconds = 0


class _Timer(msgspec.Struct, frozen=True):
    v: int
    t: str
    b: _Seconds


class _Reaction(msgspec.Struct, frozen=True):
    v: int
    t: str
    b: tuple[_Reference, Annotated[str, Meta(max_length=EMOJI_LENGTH_MAX)]]


class _Edit(msgspec.Struct, frozen=True):
    v: int
    t: str
    b: tuple[_Reference, str]


class _Deletion(msgspec.Struct, frozen=True):
    v: int
    t: str
    b: _Reference


_encode = msgspec.msgpack.Encoder().encode
_header = msgspec.msgpack.Decoder(_Header).decode
_said = msgspec.msgpack.Decoder(_Said).decode
_timer = msgspec.msgpack.Decoder(_Timer).decode
_reaction = msgspec.msgpack.Decoder(_Reaction).decode
_edit = msgspec.msgpack.Decoder(_Edit).decode
_deletion = msgspec.msgpack.Decoder(_Deletion).decode
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def is_shown(content: Content) -> bool:
    """Return whether a content stands in the history, and is not only something done to it or told to ourselves."""
    return not isinstance(content, Reaction | Edit | Deletion | Records | StateWanted | MessagesGone)


def is_emoji(text: str) -> bool:
    """Return whether a text can stand as a reaction: short, in one piece, and something to see."""
    categories = [unicodedata.category(character) for character in text[: EMOJI_LENGTH_MAX + 1]]
    return (
        0 < len(categories) <= EMOJI_LENGTH_MAX
        and _NOT_IN_EMOJI.isdisjoint(categories)
        and any(category[0] in "LNPS" for category in categories)
    )


def encode_text(
    text: str, *, reply_to: MessageId | None = None, forwarded: bool = False, disappears_s: int = 0
) -> bytes:
    """Return the payload of a text message."""
    return _encode(_Said(CONTENT_VERSION, "text", text, reply_to, forwarded, disappears_s))


def encode_view_once(text: str | None, *, disappears_s: int = 0) -> bytes:
    """Return the payload of a text to be shown once; with None, what is kept after it was."""
    return _encode(_Said(CONTENT_VERSION, "once", text, x=disappears_s))


def encode_timer(seconds: int) -> bytes:
    """Return the payload that sets a conversation's timer."""
    return _encode(_Timer(CONTENT_VERSION, "timer", seconds))


def encode_operation(operation: Operation) -> bytes:
    """Return the payload of an operation."""
    match operation:
        case Reaction(target, emoji):
            return _encode(_Reaction(CONTENT_VERSION, "react", (target, emoji)))
        case Edit(target, text):
            return _encode(_Edit(CONTENT_VERSION, "edit", (target, text)))
        case Deletion(target):
            return _encode(_Deletion(CONTENT_VERSION, "delete", target))


def decode_content(payload: bytes, flags: int = 0) -> Content:
    """Return what a payload says; never raises, because the payload came from a stranger.

    Args:
        payload: what was sent.
        flags: of the message; the server sets one on its own messages about changes of a group.
    """
    if flags & CHANGE:
        return group_change_of(payload) or UnknownContent("change of a group")
    try:
        header = _header(payload)
    except _UNREADABLE:
        return UnknownContent("")
    unknown = UnknownContent(header.t[:_TYPE_LENGTH_MAX] or "unnamed")
    reader = _READERS.get(header.t) if header.v == CONTENT_VERSION else None
    if reader is None:
        return unknown
    try:
        return reader(payload) or unknown
    except _UNREADABLE:
        return unknown


def text_to_view_once(payload: bytes) -> str | None:
    """Return the text of a view-once message; None if it was opened already, or is none."""
    if isinstance(decode_content(payload), ViewOnce):
        return _said(payload).b
    return None


def _text_of(payload: bytes) -> Text | None:
    said = _said(payload)
    if said.b is None:
        return None
    return Text(said.b, None if said.r is None else MessageId(said.r), said.f, said.x)


def _view_once_of(payload: bytes) -> ViewOnce:
    said = _said(payload)
    return ViewOnce(said.b is None, said.x)


def _reaction_of(payload: bytes) -> Reaction | None:
    target, emoji = _reaction(payload).b
    return Reaction(MessageId(target), emoji) if not emoji or is_emoji(emoji) else None


def _edit_of(payload: bytes) -> Edit:
    target, text = _edit(payload).b
    return Edit(MessageId(target), text)


_READERS: Final[dict[str, Callable[[bytes], Content | None]]] = {
    "text": _text_of,
    "once": _view_once_of,
    "timer": lambda payload: TimerSet(_timer(payload).b),
    "react": _reaction_of,
    "edit": _edit_of,
    "delete": lambda payload: Deletion(MessageId(_deletion(payload).b)),
    **OWN_STATE_READERS,
}
