"""One frame as bytes, and back: strict, typed, one decoder a direction.

A frame that cannot be read is never a crash: malformed MessagePack is BAD_FRAME, a wrong field is BAD_FIELD and names
the field, and an unknown type is the event `UnknownFrame`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from protocol.errors import Code, LocalProtocolError, RemoteProtocolError
from protocol.messages import (
    CLIENT_FRAMES,
    SERVER_FRAMES,
    Alert,
    Change,
    ClientFrame,
    Frame,
    Message,
    ServerFrame,
    UnknownFrame,
)

__all__ = [
    "decode_alert",
    "decode_change",
    "decode_client_frame",
    "decode_message",
    "decode_server_frame",
    "encode_alert",
    "encode_change",
    "encode_deliver_head",
    "encode_frame",
    "encode_message",
    "encode_message_head",
    "encode_payload",
    "tag_of",
]

_encode: Final[Callable[[object], bytes]] = msgspec.msgpack.Encoder().encode
_decode_client: Final[Callable[[bytes], ClientFrame]] = msgspec.msgpack.Decoder(ClientFrame).decode
_decode_server: Final[Callable[[bytes], ServerFrame]] = msgspec.msgpack.Decoder(ServerFrame).decode
_decode_message: Final = msgspec.msgpack.Decoder(Message).decode
_decode_change: Final = msgspec.msgpack.Decoder(Change).decode
_decode_alert: Final = msgspec.msgpack.Decoder(Alert).decode
_decode_items: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_any: Final = msgspec.msgpack.Decoder().decode

_FIELD_PATH: Final = re.compile(r"^(?P<problem>.*) - at `\$\[(?P<index>\d+)\](?P<inside>[^`]*)`$", re.DOTALL)
_ITEMS_SHOWN: Final = re.compile(r"^Expected `array` of at least length (?P<least>\d+), got (?P<got>\d+)$")
_NO_PAYLOAD: Final = _encode(b"")
_DELIVER_HEAD: Final = b"\x93\x26"  # an array of three items, the first is the type 38
_UNREADABLE: Final = (ValueError, RecursionError)  # msgspec's DecodeError and bad UTF-8 are both ValueError


def tag_of(frame: type[Frame]) -> int:
    """The type number of a frame's class."""
    return cast("int", cast("Any", frame).__struct_config__.tag)


_CLIENT_TAGS: Final[Mapping[int, type[Frame]]] = {tag_of(frame): frame for frame in CLIENT_FRAMES}
_SERVER_TAGS: Final[Mapping[int, type[Frame]]] = {tag_of(frame): frame for frame in SERVER_FRAMES}


def encode_frame(frame: Frame) -> bytes:
    """A frame without its length bytes."""
    return _encode(frame)


def encode_message(message: Message) -> bytes:
    """The array of a message, made once and carried in every Deliver of it."""
    return _encode(message)


def decode_message(data: bytes) -> Message:
    """The message that `encode_message` wrote.

    Raises:
        LocalProtocolError: These bytes are not a message: what we stored ourselves is damaged.
    """
    try:
        return _decode_message(data)
    except _UNREADABLE as error:
        raise LocalProtocolError(Code.INTERNAL, f"stored bytes are not a message: {error}") from error


def encode_change(change: Change) -> bytes:
    """The payload of a message that is a change of a group."""
    return _encode(change)


def decode_change(payload: bytes) -> Change:
    """The change that a message with the flag CHANGE carries.

    Raises:
        RemoteProtocolError: BAD_FIELD: it is none.
    """
    try:
        return _decode_change(payload)
    except _UNREADABLE as error:
        raise RemoteProtocolError(
            Code.BAD_FIELD, "A change of a group cannot be read; ask for a newer client."
        ) from error


def encode_deliver_head(position: int) -> bytes:
    """What precedes the message's array in a Deliver frame.

    Args:
        position: The queue position.
    """
    return _DELIVER_HEAD + _encode(position)


def encode_message_head(message: Message) -> bytes:
    """A message's array up to its payload, which `encode_payload` makes, for each device its own.

    Args:
        message: With an empty payload.
    """
    return _encode(message)[: -len(_NO_PAYLOAD)]


def encode_payload(payload: bytes) -> bytes:
    """The end of a message's array."""
    return _encode(payload)


def encode_alert(alert: Alert) -> bytes:
    """The body of an alert record."""
    return _encode(alert)


def decode_alert(body: bytes) -> Alert:
    """The alert of a record's body.

    Raises:
        RemoteProtocolError: BAD_RECORD.
    """
    try:
        return _decode_alert(body)
    except _UNREADABLE as error:
        raise RemoteProtocolError(
            Code.BAD_RECORD, "The server's alert cannot be read; is it a Roost server?"
        ) from error


def decode_client_frame(data: bytes) -> ClientFrame | UnknownFrame:
    """What a client said.

    Raises:
        RemoteProtocolError: BAD_FRAME or BAD_FIELD.
    """
    try:
        return _decode_client(data)
    except _UNREADABLE as error:
        return _explain(data, _CLIENT_TAGS, error)


def decode_server_frame(data: bytes) -> ServerFrame | UnknownFrame:
    """What a server said.

    Raises:
        RemoteProtocolError: BAD_FRAME or BAD_FIELD.
    """
    try:
        return _decode_server(data)
    except _UNREADABLE as error:
        return _explain(data, _SERVER_TAGS, error)


def _explain(data: bytes, known: Mapping[int, type[Frame]], error: Exception) -> UnknownFrame:
    """Say what is wrong with a frame that failed; an unknown type is no error."""
    try:
        items = _decode_items(data)
        tag = _decode_any(items[0]) if items else None
    except _UNREADABLE:
        raise RemoteProtocolError(
            Code.BAD_FRAME, "A frame is not one complete MessagePack array; fix the client."
        ) from error
    if type(tag) is not int or tag < 0:
        raise RemoteProtocolError(
            Code.BAD_FRAME, "A frame is an array that starts with its type, a number from 0; fix the client."
        ) from error
    frame = known.get(tag)
    if frame is None:
        return UnknownFrame(tag)
    raise RemoteProtocolError(Code.BAD_FIELD, _field_sentence(frame, str(error))) from error


def _field_sentence(frame: type[Frame], problem: str) -> str:
    fields: Sequence[str] = frame.__struct_fields__
    missing = _ITEMS_SHOWN.match(problem)
    if missing is not None and int(missing["got"]) <= len(fields):
        return f"{frame.__name__}: the field {fields[int(missing['got']) - 1]} is missing; fix the client."
    path = _FIELD_PATH.match(problem)
    if path is None:
        return f"{frame.__name__}: a text field is not UTF-8; fix the client."
    field = fields[int(path["index"]) - 1] + path["inside"]
    return f"{frame.__name__}: the field {field} is wrong: {path['problem']}; fix the client."
