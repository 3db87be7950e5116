"""What an application can ask the server: settings, people, limits. Each needs a connection."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from protocol.messages import (
    Done,
    GetLimits,
    GetSettings,
    Limits,
    ListRelations,
    Lookup,
    Profile,
    Relations,
    SetRelation,
    SetSettings,
    Settings,
)
from roost.conversations import account_address
from roost.errors import NotConnectedError
from roost.own_devices import OwnDevices, refused_or
from roost.steps import LINK

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol import AccountId
    from protocol.messages import Frame
    from roost.errors import RoostError
    from roost.steps import Answered

__all__ = ["AccountSettings", "Person", "Queries", "RateLimit", "RelatedAccounts"]

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

    devices: OwnDevices

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

    async def limits(self) -> list[RateLimit]:
        """Return what is left of our rate limits."""
        answer = await self._ask(GetLimits, Limits)
        return [RateLimit(one.operation, one.remaining, one.reset_s) for one in answer.limits]

    async def _ask(self, frame_of: Callable[[int], Frame], expected: type[Answer]) -> Answer:
        number = self._request(frame_of)
        return await self._answer_to(number, expected)

    async def _answer_to(self, number: int, expected: type[Answer]) -> Answer:
        """Wait for the answer to a request."""
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        return refused_or(await future, expected)

    def _answered(self, answer: Answered) -> None:
        """Take the answer to a request."""
        if answer.request == LINK:
            self.devices.arrived(answer.frame)
            return
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
