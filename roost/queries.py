"""What an application can ask the server: settings, people, devices, limits. Each needs a connection."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from protocol.messages import (
    Devices,
    Done,
    Error,
    GetLimits,
    GetSettings,
    Limits,
    ListDevices,
    ListRelations,
    Lookup,
    Profile,
    Relations,
    RemoveDevice,
    SetRelation,
    SetSettings,
    Settings,
)
from roost.conversations import account_address
from roost.errors import ConnectionClosedError, NotConnectedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol import AccountId, DeviceId
    from protocol.messages import Frame
    from roost.errors import RoostError
    from roost.steps import Answered

__all__ = ["AccountSettings", "KnownDevice", "Person", "Queries", "RateLimit", "RelatedAccounts"]

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """What others may see: `last_seen` and `online` are "everyone", "contacts" or "nobody"."""

    display_name: str
    read_receipts: bool
    last_seen: str
    online: str


@dataclass(frozen=True, slots=True)
class Person:
    """An account as others see it."""

    account: AccountId
    display_name: str
    devices: int


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device of our account; `current` is this one. Times are milliseconds since 1970."""

    device: DeviceId
    name: str
    created_ms: int
    last_login_ms: int
    current: bool


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How often an operation may still be done, and in how many seconds its allowance is full again."""

    operation: str
    remaining: int
    reset_s: int


@dataclass(frozen=True, slots=True)
class RelatedAccounts:
    """Who is a contact and who is blocked."""

    contacts: tuple[AccountId, ...]
    blocked: tuple[AccountId, ...]


class Queries(ABC):
    """Questions to the server.

    Every method raises `NotConnectedError` if there is no connection or it ended before the answer, `RefusedError`
    with the server's reason if it said no, and `AddressError` if an account's address is not written correctly.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[Frame]] = {}

    @abstractmethod
    def _request(self, frame_of: Callable[[int], Frame]) -> int:
        """Send a request made from its number, and return the number."""

    async def settings(self) -> AccountSettings:
        """Return our settings."""
        return _settings(await self._ask(GetSettings, Settings))

    async def change_settings(
        self,
        *,
        display_name: str | None = None,
        read_receipts: bool | None = None,
        last_seen: str | None = None,
        online: str | None = None,
    ) -> AccountSettings:
        """Change what is not None and return all settings."""
        return _settings(
            await self._ask(
                lambda number: SetSettings(number, read_receipts, last_seen, online, display_name), Settings
            )
        )

    async def lookup(self, address: str) -> Person:
        """Return who has an address."""
        account = account_address(address)
        answer = await self._ask(lambda number: Lookup(number, account), Profile)
        return Person(answer.account, answer.display_name, answer.devices)

    async def contact(self, address: str) -> None:
        """Make an account a contact, who sees what our settings show to contacts."""
        await self._relate(address, "contact")

    async def block(self, address: str) -> None:
        """Refuse everything from an account from now on."""
        await self._relate(address, "blocked")

    async def unblock(self, address: str) -> None:
        """Block an account no longer; it is no contact either."""
        await self._relate(address, "none")

    async def _relate(self, address: str, relation: str) -> None:
        account = account_address(address)
        await self._ask(lambda number: SetRelation(number, account, relation), Done)

    async def relations(self) -> RelatedAccounts:
        """Return who is a contact and who is blocked."""
        answer = await self._ask(ListRelations, Relations)
        return RelatedAccounts(tuple(answer.contacts), tuple(answer.blocked))

    async def devices(self) -> list[KnownDevice]:
        """Return the devices of our account."""
        answer = await self._ask(ListDevices, Devices)
        return [
            KnownDevice(one.device, one.name, one.created_ms, one.last_login_ms, one.current) for one in answer.devices
        ]

    async def remove_device(self, device: DeviceId) -> None:
        """Remove a device from our account: it can neither log in nor be sent to any more."""
        await self._ask(lambda number: RemoveDevice(number, device), Done)

    async def limits(self) -> list[RateLimit]:
        """Return what is left of our rate limits."""
        answer = await self._ask(GetLimits, Limits)
        return [RateLimit(one.operation, one.remaining, one.reset_s) for one in answer.limits]

    async def _ask(self, frame_of: Callable[[int], Frame], expected: type[Answer]) -> Answer:
        number = self._request(frame_of)
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        frame = await future
        if isinstance(frame, Error):
            raise RefusedError(frame.sentence, frame.code, frame.retry_after_ms)
        if not isinstance(frame, expected):
            raise ConnectionClosedError(f"The server answered with {type(frame).__name__}, which is no answer to that.")
        return frame

    def _answered(self, answer: Answered) -> None:
        """Take the answer to a request."""
        future = self._waiting.pop(answer.request, None)
        if future is None or future.done():
            return
        if answer.frame is None:
            future.set_exception(NotConnectedError("The server cannot be asked now: there is no connection to it."))
        else:
            future.set_result(answer.frame)

    def _end_queries(self, error: RoostError) -> None:
        """End every wait with an error."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()


def _settings(answer: Settings) -> AccountSettings:
    return AccountSettings(answer.display_name, answer.read_receipts, answer.last_seen, answer.online)
