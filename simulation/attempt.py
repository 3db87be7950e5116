"""A device's end of one socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulation.device import SimulatedDevice
    from simulation.network import Socket

__all__ = ["Attempt"]


class Attempt:
    """The device's end of one socket; only the latest one is heard."""

    __slots__ = ("_device",)

    def __init__(self, device: SimulatedDevice) -> None:
        self._device = device

    @property
    def _current(self) -> bool:
        return self._device.attempt is self

    def connected(self, socket: Socket) -> None:
        """The connection stands."""
        if self._current:
            self._device.connected(socket)
        else:
            socket.leave(told=True)

    def received(self, socket: Socket, data: bytes) -> None:
        """Bytes came."""
        if self._current:
            self._device.received_data(data)

    def lost(self, socket: Socket) -> None:
        """The connection has ended, or could not be made."""
        if self._current:
            self._device.lost()

    def pressed(self, socket: Socket, full: bool) -> None:
        """A device writes little; its own buffer is never full."""
