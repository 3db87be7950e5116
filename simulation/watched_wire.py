"""The server's end of a wire under the eyes of the witness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from protocol import ServerWire, device_id_of
from protocol.messages import Closing, Deliver, Login, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol import Code, DeviceId, ServerEvent, StaticKey
    from simulation.witness import Witness

__all__ = ["WatchedWire"]

_decode_message = msgspec.msgpack.Decoder(Message).decode


class WatchedWire(ServerWire):
    """The server's end of a wire, which lets the witness see what it says."""

    __slots__ = ("_device", "_epoch", "_witness")

    def __init__(self, static_key: StaticKey, random_bytes: Callable[[int], bytes], witness: Witness) -> None:
        super().__init__(static_key, random_bytes=random_bytes)
        self._witness = witness
        self._epoch = b""
        self._device: DeviceId | None = None

    def receive_data(self, data: bytes) -> list[ServerEvent]:
        """Hear the client, and note the epoch under which it logs in."""
        events = super().receive_data(data)
        for event in events:
            if isinstance(event, Login):
                self._epoch = event.epoch
        return events

    def send(self, frame: object) -> None:
        """Say a frame, and tell."""
        super().send(frame)  # type: ignore[arg-type]  # checked by the wire itself
        self._tell(frame)

    def send_deliver(self, position: int, message: bytes) -> None:
        """Deliver, and tell."""
        super().send_deliver(position, message)
        self._tell(Deliver(position, _decode_message(message)))

    def close(self, code: Code, sentence: str | None = None, retry_after_ms: int | None = None) -> None:
        """Say why, and tell."""
        if not self.closed:
            self._tell(Closing(code, sentence or "", -1))
        super().close(code, sentence, retry_after_ms)

    def _tell(self, frame: object) -> None:
        if self._device is None:
            key = self.remote_static_key
            if key is None:
                return
            self._device = device_id_of(key)
        self._witness.told(self._device, frame, self._epoch)
