"""A primary device that links another one, as `roost.own_devices` does, in pieces between which anything may happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from protocol.messages import DeviceList, Done, FetchDevices, JoinLink, LinkPassed
from roost.errors import LinkError
from roost.linking import Offer, Sponsor
from roost.steps import LINK

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from protocol.messages import Frame, SignedDevices
    from roost.link_code import LinkCode
    from roost.session import Session
    from simulation.device import SimulatedDevice

__all__ = ["Sponsorship"]

WAIT_S: Final = 30.0
READ_S: Final = (0.2, 4.0)
"""How long a person takes to read what the new device calls itself, and to say yes."""
_READING: Final = -1


class Sponsorship:
    """One attempt; it ends with the program, with an answer that is no, or with an end of patience.

    Args:
        device: The primary.
        code: What the new device shows.
    """

    def __init__(self, device: SimulatedDevice, code: LinkCode) -> None:
        self.over = False
        self._device = device
        self._waits = 0
        self._signed: SignedDevices | None = None
        self._talk = self._linking(code)
        self._go_on(None)

    def _go_on(self, frame: Frame | None) -> None:
        """The server says something, or the new device."""
        if self.over:
            return
        try:
            wanted = self._talk.send(frame)
        except (StopIteration, LinkError):
            self.over = True
            return
        self._waits += 1
        waits = self._waits
        if wanted == _READING:
            self._device.later(self._device.chance.uniform(*READ_S), lambda: self._go_on(None))
        else:
            self._device.expect(wanted, self._go_on)
            self._device.later(WAIT_S, lambda: self._lose_patience(waits))

    def _lose_patience(self, waits: int) -> None:
        self.over = self.over or waits == self._waits

    def _linking(self, code: LinkCode) -> Generator[int, Any, None]:
        """Yields the number of the request whose answer it waits for, or LINK."""
        device = self._device
        listed = yield self._ask(lambda number: FetchDevices(number, device.account))
        if not isinstance(listed, DeviceList) or listed.signed is None:
            return
        offer = Offer(device.account, device.node.static_key.public, listed.signed.identity)
        sponsor = Sponsor(code, offer, device.chance.randbytes)
        if not isinstance((yield self._ask(lambda number: JoinLink(number, code.rendezvous))), Done):
            return
        self._pass(sponsor.begin())
        introduction = sponsor.met(_payload((yield LINK)))
        yield _READING
        self._pass(sponsor.offer())
        sponsor.accepted(_payload((yield LINK)))
        fetched = yield self._ask(lambda number: FetchDevices(number, device.account))
        taken = isinstance(fetched, DeviceList) and isinstance((yield self._sign(introduction)), Done)
        if not taken:
            self._pass(sponsor.declined("The server has not taken the list."))
        elif self._signed is not None:
            self._pass(sponsor.linked(self._signed))

    def _ask(self, frame_of: Callable[[int], Frame]) -> int:
        return self._asked(lambda session: session.request(frame_of))

    def _sign(self, introduction: Any) -> int:
        device = self._device

        def sign(session: Session) -> int:
            entries = session.devices.entries_with(introduction, device.clock.wall_ms(), device.chance.randbytes)
            number = session.sign_devices(entries)
            self._signed = session.devices.signed
            return number

        return self._asked(sign)

    def _asked(self, action: Callable[[Any], int]) -> int:
        numbers: list[int] = []
        self._device.act(lambda session: numbers.append(action(session)))
        if not numbers:
            raise LinkError("The session has stopped.")
        return numbers[0]

    def _pass(self, payload: bytes) -> None:
        self._device.act(lambda session: session.pass_link(payload))


def _payload(frame: Frame | None) -> bytes:
    if not isinstance(frame, LinkPassed):
        raise LinkError("The new device has gone.")
    return frame.payload
