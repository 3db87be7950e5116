"""How a device becomes one of its account: by a verification code, or linked by the account's primary device.

Where accounts have a primary, it signs the list of devices; the others are linked by it, over a rendezvous and with a
code that a person carries over. Elsewhere every device registers with a code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol import Epoch, shard_of
from protocol.device_list import sealed_label
from protocol.messages import (
    Closing,
    CodeSent,
    Error,
    Hello,
    LinkEnded,
    LinkOpened,
    LinkPassed,
    Login,
    OpenLink,
    PassLink,
    Ready,
    Register,
    Registered,
    RegisterPrimary,
    RequestCode,
    Welcome,
)
from roost.changes import Pinned
from roost.device_trust import pin_of
from roost.errors import LinkError
from roost.link_code import LinkCode
from roost.linking import CODE_LIFETIME_S, Introduction, Newcomer
from roost.reconnection import NO_DEVICE_ANY_MORE
from roost.registration import ANSWER_WAIT_S, first_list, registered_changes
from roost.session import SOFTWARE, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Generator

    from simulation.device import SimulatedDevice

__all__ = ["PLATFORM", "Enrolment", "enrolment_of"]

PLATFORM: Final = "simulation"
CARRY_S: Final = (0.3, 3.0)
"""How long a person takes to carry a code from one device to another."""
CONFIRM_WAIT_S: Final = 130.0
_NO_EPOCH: Final = Epoch(bytes(8))


def enrolment_of(device: SimulatedDevice) -> Enrolment:
    """How this device becomes one of its account."""
    if not device.world.has_primaries:
        return ByCode(device)
    return AsPrimary(device) if device.is_primary else ByLink(device)


class Enrolment:
    """What a device says and hears until it is one of its account; an attempt ends with its connection.

    Args:
        device: Which.
    """

    def __init__(self, device: SimulatedDevice) -> None:
        self._device = device
        self._waits = 0

    def greet(self) -> None:
        """The link is encrypted."""
        self._wait(ANSWER_WAIT_S)
        self._device.say(Hello(VERSIONS, SOFTWARE))

    def heard(self, frame: object) -> None:
        """The server says something."""

    def ended(self) -> None:
        """The connection has ended, or is of no more use."""
        self._waits += 1

    def _wait(self, wait_s: float) -> None:
        """Whoever says nothing for so long is given up."""
        self._waits += 1
        waits = self._waits
        self._device.later(wait_s, lambda: self._device.give_up() if waits == self._waits else None)


class ByCode(Enrolment):
    """As `roost register` did before there were primaries: each device with a code of its own."""

    def heard(self, frame: object) -> None:
        """The server says something."""
        device = self._device
        if isinstance(frame, Welcome):
            device.say(RequestCode(1, device.account))
        elif isinstance(frame, CodeSent):
            self._register(device.node.codes.sent[device.account])
        elif isinstance(frame, Registered):
            self._registered()
        elif isinstance(frame, Error | Closing):
            device.give_up()

    def _register(self, code: str) -> None:
        device = self._device
        device.say(Register(2, device.account, code, str(device.account), device.name))

    def _registered(self) -> None:
        self._device.enrolled([])


class AsPrimary(ByCode):
    """As `roost register` does; an attempt whose answer was lost is made again, with the same identity."""

    def _register(self, code: str) -> None:
        device = self._device
        label = sealed_label(device.name, PLATFORM, device.chance.randbytes)
        first = first_list(device.identity, device.account, device.key.public, label, device.clock.wall_ms())
        device.say(RegisterPrimary(2, device.account, code, str(device.account), *first))

    def _registered(self) -> None:
        self._device.enrolled(registered_changes(self._device.account, self._device.identity))


class ByLink(Enrolment):
    """As `roost link` does: it shows a code, and whoever knows that code tells it what it needs.

    Unlike there, another attempt is made with the same key, so that no device is left on a list of which nobody knows.
    """

    def __init__(self, device: SimulatedDevice) -> None:
        super().__init__(device)
        self._attempts = 0
        self._is_doubtful = self._is_met = False
        self._talk: Generator[float, bytes, None] | None = None

    def heard(self, frame: object) -> None:
        """The server says something."""
        device = self._device
        if isinstance(frame, Welcome) and self._is_doubtful:
            device.say(Login(device.account, _NO_EPOCH))
        elif isinstance(frame, Welcome):
            self._open()
        elif isinstance(frame, LinkOpened | LinkPassed) and self._talk is not None:
            self._is_met = isinstance(frame, LinkPassed)
            self._go_on(frame.payload if isinstance(frame, LinkPassed) else None)
        elif isinstance(frame, Ready):
            device.world.coverage.reached("a device hears from the server that it was linked")
            device.enrolled([])
        elif isinstance(frame, Error | Closing | LinkEnded):
            self._is_doubtful = self._is_doubtful and frame.code not in NO_DEVICE_ANY_MORE
            device.give_up()

    def ended(self) -> None:
        """The connection has ended, or is of no more use."""
        super().ended()
        self._attempts += 1
        self._talk = None

    def _open(self) -> None:
        device = self._device
        shards = device.world.busy_shards if device.world.is_cluster else device.node.shards
        code = LinkCode.generate(device.chance.randbytes)
        while shard_of(code.rendezvous.hex()) not in shards:
            code = LinkCode.generate(device.chance.randbytes)
        self._talk = self._linking(code)
        device.say(OpenLink(1, code.rendezvous))

    def _go_on(self, payload: bytes | None) -> None:
        assert self._talk is not None, "it waits for this"
        try:
            wait_s = self._talk.send(payload) if payload is not None else next(self._talk)
        except StopIteration:
            return
        except LinkError:
            self._device.give_up()
            return
        self._wait(wait_s)

    def _linking(self, code: LinkCode) -> Generator[float, bytes, None]:
        """Yields how long it waits for what the primary passes next."""
        device = self._device
        introduction = Introduction(device.key.public, device.name, PLATFORM, device.node.static_key.public)
        newcomer = Newcomer(code, introduction, device.clock.now_s(), device.chance.randbytes)
        self._show(code, self._attempts)
        device.say(PassLink(newcomer.meet((yield CODE_LIFETIME_S + 1.0), device.clock.now_s())))
        newcomer.offered((yield CONFIRM_WAIT_S))
        self._is_doubtful = True
        device.say(PassLink(newcomer.accepted()))
        signed = newcomer.linked((yield CONFIRM_WAIT_S))
        device.world.coverage.reached("a device is linked by its primary")
        device.enrolled([Pinned(device.account, pin_of(signed, newcomer.check(signed).version))])

    def _show(self, code: LinkCode, attempt: int) -> None:
        """A person carries the code over, again and again until the primary has met this device."""

        def carry() -> None:
            if attempt == self._attempts and not self._is_met:
                devices = self._device.world.devices
                next(it for it in devices if it.account == self._device.account and it.is_primary).sponsor(code)
                self._show(code, attempt)

        self._device.later(self._device.chance.uniform(*CARRY_S), carry)
