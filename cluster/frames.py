"""The frames of a link, version 1: MessagePack arrays `[type, fields...]`, both ways the same.

A process of the sender or the receiver is named by its serial alone, because a link joins one life of a node with one
life of another. A type number never changes its meaning; a frame may grow at its end, by fields with defaults. An
unknown type is skipped and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from cluster.codes import LinkCode, LinkError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "FRAME_SIZE_BYTES_MAX",
    "FRAME_SIZE_BYTES_MAX_BEFORE_UP",
    "VERSIONS_SUPPORTED",
    "LinkFrame",
    "decode_frame",
    "encode_frame",
]

VERSIONS_SUPPORTED: Final = (1,)
"""Versions of these frames that this code speaks, best first."""
FRAME_SIZE_BYTES_MAX: Final = 1 << 20
FRAME_SIZE_BYTES_MAX_BEFORE_UP: Final = 1 << 15

Serial = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Tag = Annotated[int, Meta(ge=0, le=65_535)]
NodeName = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=400)]


class _Base(msgspec.Struct, array_like=True, tag_field="frame"):
    """What every frame is."""


class HelloFrame(_Base, tag=0):
    """Who speaks: the first frame of both sides. `settings` has a digest of each setting that all must share."""

    node: NodeName
    incarnation: Number
    versions: Annotated[list[int], Meta(max_length=16)]
    settings: Annotated[dict[Annotated[str, Meta(max_length=100)], bytes], Meta(max_length=200)]


class UpFrame(_Base, tag=1):
    """The dialler has seen the other's Hello and counts the link as up."""


class GoodbyeFrame(_Base, tag=2):
    """The last frame: why this side ends the link."""

    code: int
    sentence: Text


class HeartbeatFrame(_Base, tag=3):
    """Once a second. `heard`: how many frames of the other side, since the link is up, have been read."""

    heard: Number


class ClockFrame(_Base, tag=4):
    """Once a minute: what the calendar of this side shows, in milliseconds since 1970."""

    wall_ms: Number


class PostFrame(_Base, tag=10):
    """A message for a process."""

    kind: Annotated[int, Meta(ge=0, le=3)]
    target: Serial
    type: Tag
    message: msgspec.Raw


class PostNamedFrame(_Base, tag=11):
    """A message for whoever has a name."""

    kind: Annotated[int, Meta(ge=0, le=3)]
    name: Any
    type: Tag
    message: msgspec.Raw


class CallFrame(_Base, tag=12):
    """A request to a process."""

    caller: Serial
    number: Number
    target: Serial
    type: Tag
    request: msgspec.Raw


class CallNamedFrame(_Base, tag=13):
    """A request to whoever has a name."""

    caller: Serial
    number: Number
    name: Any
    type: Tag
    request: msgspec.Raw


class WhereIsFrame(_Base, tag=14):
    """Who has this name?"""

    caller: Serial
    number: Number
    name: Any


class AnswerFrame(_Base, tag=15):
    """The answer to a call."""

    caller: Serial
    number: Number
    type: Tag
    value: msgspec.Raw


class MonitorFrame(_Base, tag=16):
    """A process watches another."""

    watcher: Serial
    number: Number
    target: Serial


class MonitorNamedFrame(_Base, tag=17):
    """A process watches whoever has a name now."""

    watcher: Serial
    number: Number
    name: Any


class DemonitorFrame(_Base, tag=18):
    """It watches no more, or waits for no answer any more."""

    watcher: Serial
    number: Number


class EndedFrame(_Base, tag=19):
    """What was watched or asked has ended, or was never there."""

    watcher: Serial
    number: Number
    reason: list[Any]


class LinkToFrame(_Base, tag=20):
    """Two processes are linked."""

    source: Serial
    target: Serial


class UnlinkFrame(_Base, tag=21):
    """They are no more."""

    source: Serial
    target: Serial


class UnlinkedFrame(_Base, tag=22):
    """The unlink has arrived."""

    source: Serial
    target: Serial


class ExitFrame(_Base, tag=23):
    """An exit signal."""

    source: Serial
    target: Serial
    reason: list[Any]
    linked: bool


class UnknownLinkFrame:
    """A frame of a type that a newer node knows."""

    __slots__ = ()


LinkFrame = (
    HelloFrame
    | UpFrame
    | GoodbyeFrame
    | HeartbeatFrame
    | ClockFrame
    | PostFrame
    | PostNamedFrame
    | CallFrame
    | CallNamedFrame
    | WhereIsFrame
    | AnswerFrame
    | MonitorFrame
    | MonitorNamedFrame
    | DemonitorFrame
    | EndedFrame
    | LinkToFrame
    | UnlinkFrame
    | UnlinkedFrame
    | ExitFrame
)

_TAGS: Final = frozenset(frame.__struct_config__.tag for frame in LinkFrame.__args__)
_decode: Final[Callable[[bytes], LinkFrame]] = msgspec.msgpack.Decoder(LinkFrame).decode
_decode_items: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_any: Final = msgspec.msgpack.Decoder().decode

encode_frame: Final = msgspec.msgpack.Encoder().encode
"""A frame, or the tuple of its items, as bytes; messages inside go through the codec's own encoder."""


def decode_frame(data: bytes) -> LinkFrame | UnknownLinkFrame:
    """The frame of these bytes.

    Raises:
        LinkError: JUNK, with the name of the field.
    """
    try:
        return _decode(data)
    except (ValueError, RecursionError) as error:
        try:
            items = _decode_items(data)
            tag = _decode_any(items[0]) if items else None
        except (ValueError, RecursionError):
            tag = None
        if type(tag) is int and tag >= 0 and tag not in _TAGS:
            return UnknownLinkFrame()
        raise LinkError(
            LinkCode.JUNK, f"A frame of the link cannot be read ({error}); update the older node."
        ) from None
