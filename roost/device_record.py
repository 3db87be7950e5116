"""The known devices as one stored value: MessagePack, with a number for its form."""

from __future__ import annotations

from typing import Final

import msgspec

from protocol import DeviceId
from roost.changes import DevicesKnown
from roost.events import DeviceAdded, DeviceRemoved

__all__ = ["decode_devices", "encode_devices"]

_FORM: Final = 1


class _News(msgspec.Struct, array_like=True, frozen=True):
    added: bool
    device: bytes
    name: str
    time_ms: int


class _Record(msgspec.Struct, array_like=True, frozen=True):
    form: int
    version: int
    devices: list[tuple[bytes, str]]
    news: list[_News]


_decode = msgspec.msgpack.Decoder(_Record).decode
_encode = msgspec.msgpack.Encoder().encode


def encode_devices(known: DevicesKnown) -> bytes:
    """The value to store."""
    news = [_News(isinstance(one, DeviceAdded), one.device, one.name, one.time_ms) for one in known.news]
    return _encode(_Record(_FORM, known.version, list(known.devices), news))


def decode_devices(value: bytes) -> DevicesKnown | None:
    """What was stored; None if nothing was, or in a form that this version does not know: the list is seen anew."""
    try:
        record = _decode(value)
    except (ValueError, RecursionError):  # msgspec's DecodeError and bad UTF-8 are both ValueError
        return None
    if record.form != _FORM:
        return None
    news = tuple(
        (DeviceAdded if one.added else DeviceRemoved)(DeviceId(one.device), one.name, one.time_ms)
        for one in record.news
    )
    return DevicesKnown(record.version, tuple((DeviceId(device), name) for device, name in record.devices), news)
