"""The known devices as one stored value: MessagePack, with a number for its form."""

from __future__ import annotations

from typing import Final

import msgspec

from protocol import DeviceId
from roost.changes import DevicesKnown
from roost.events import DeviceAdded, DeviceNews, DeviceRemoved, DevicesForged

__all__ = ["decode_devices", "encode_devices"]

_FORM: Final = 2
_KINDS: Final = {DeviceRemoved: 0, DeviceAdded: 1, DevicesForged: 2}


class _News(msgspec.Struct, array_like=True, frozen=True):
    kind: int
    device: bytes
    text: str
    time_ms: int

    def opened(self) -> DeviceNews | None:
        """The news; None for one of a newer version."""
        match self.kind:
            case 0:
                return DeviceRemoved(DeviceId(self.device), self.text, self.time_ms)
            case 1:
                return DeviceAdded(DeviceId(self.device), self.text, self.time_ms)
            case 2:
                return DevicesForged(self.text, self.time_ms)
            case _:
                return None


class _Record(msgspec.Struct, array_like=True, frozen=True):
    form: int
    version: int
    devices: list[tuple[bytes, str]]
    news: list[_News]


_decode = msgspec.msgpack.Decoder(_Record).decode
_encode = msgspec.msgpack.Encoder().encode


def encode_devices(known: DevicesKnown) -> bytes:
    """The value to store."""
    news = [_closed(one) for one in known.news]
    return _encode(_Record(_FORM, known.version, list(known.devices), news))


def decode_devices(value: bytes) -> DevicesKnown | None:
    """What was stored; None if nothing was, or in a form that this version does not know: the list is seen anew."""
    try:
        record = _decode(value)
    except (ValueError, RecursionError):  # msgspec's DecodeError and bad UTF-8 are both ValueError
        return None
    if record.form != _FORM:
        return None
    news = tuple(opened for one in record.news if (opened := one.opened()) is not None)
    return DevicesKnown(record.version, tuple((DeviceId(device), name) for device, name in record.devices), news)


def _closed(news: DeviceNews) -> _News:
    if isinstance(news, DevicesForged):
        return _News(_KINDS[DevicesForged], b"", news.sentence, news.time_ms)
    return _News(_KINDS[type(news)], news.device, news.name, news.time_ms)
