"""What other rooms may say to an account, and what they hear from it."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import msgspec

from actors.accounts.codes import CodeSender, code_sender
from actors.accounts.logic import lists_device
from actors.accounts.rates import Allowance, Rate, RateLimiter
from actors.accounts.view import AccountView
from protocol import AccountId, DeviceId
from protocol.messages import (
    CreateGroup,
    FetchDevices,
    GetSettings,
    JoinGroup,
    ListDevices,
    ListGroups,
    ListRelations,
    Lookup,
    Register,
    RegisterPrimary,
    RemoveDevice,
    RequestCode,
    SetRelation,
    SetSettings,
    SignDevices,
    Supplement,
)
from runtime import Pid

__all__ = [
    "AccountLimits",
    "AccountView",
    "Allowance",
    "Ask",
    "Blocked",
    "CodeSender",
    "DeviceLeft",
    "DeviceRevoked",
    "LoggedIn",
    "LoginRefused",
    "Rate",
    "RateLimiter",
    "Show",
    "SignIn",
    "Stayed",
    "Subscribe",
    "Supply",
    "Unsubscribe",
    "code_sender",
    "lists_device",
]


class Subscribe(msgspec.Struct, array_like=True, frozen=True):
    """Send `subscriber` the view of this account now and after every change (as casts of `AccountView`)."""

    subscriber: Pid


class Unsubscribe(msgspec.Struct, array_like=True, frozen=True):
    """Send `subscriber` no more views."""

    subscriber: Pid


class Show(msgspec.Struct, array_like=True, frozen=True):
    """Send `asker` the view of this account once."""

    asker: Pid


class SignIn(msgspec.Struct, array_like=True, frozen=True):
    """A connection proved that it holds `static_key`; is it a device of this account?"""

    connection: Pid
    device: DeviceId
    static_key: bytes


class LoggedIn(msgspec.Struct, array_like=True, frozen=True):
    """Answer to `SignIn`: yes."""

    view: AccountView


class LoginRefused(msgspec.Struct, array_like=True, frozen=True):
    """Answer to `SignIn`: no, with a code of `protocol.Code`."""

    code: int


class Stayed(msgspec.Struct, array_like=True, frozen=True):
    """From a connection that was not opened just now: its device is still here; said now and then."""

    device: DeviceId


AccountFrame: TypeAlias = (
    RequestCode
    | Register
    | GetSettings
    | SetSettings
    | SetRelation
    | Lookup
    | ListDevices
    | RemoveDevice
    | ListRelations
    | RegisterPrimary
    | SignDevices
    | FetchDevices
    | CreateGroup
    | JoinGroup
    | ListGroups
)


class Ask(msgspec.Struct, array_like=True, frozen=True):
    """A client's request about this account, answered with frames straight to `connection`.

    `device`, `static_key` and `network` (empty if its networks are not limited) are those of the connection that asks.
    """

    connection: Pid
    device: DeviceId
    static_key: bytes
    frame: AccountFrame
    network: str = ""


class Supply(msgspec.Struct, array_like=True, frozen=True):
    """From a device of the account `sender`: a message for a device of this account which it missed.

    Answered with frames straight to `connection`.
    """

    connection: Pid
    sender: AccountId
    frame: Supplement


class DeviceRevoked(msgspec.Struct, array_like=True, frozen=True):
    """To a queue: its device is no longer one of the account's; said again until it answers `DeviceLeft`."""

    account: Pid


class DeviceLeft(msgspec.Struct, array_like=True, frozen=True):
    """From the queue of a revoked device: everything that waited has left, each message with its notice."""

    device: DeviceId


class Blocked(msgspec.Struct, array_like=True, frozen=True):
    """From another account, `by`: it does not want to hear from this one any more."""

    by: AccountId


class AccountLimits(NamedTuple):
    """What an account may have, and how people get one.

    Attributes:
        devices_max: Devices of the account.
        relations_max: Contacts and blocked accounts together.
        registration_open: Whether new accounts and devices may register.
        code_lifetime_s: How long a code may be used.
        code_attempts_max: Wrong codes before a new one must be requested.
        mass_block_accounts_min: So many different accounts that block one are worth a look of the operator...
        mass_block_window_s: ... if they do it within this time.
        device_idle_s: A linked device that has not been here for so long is removed, up to a day later; 0: never.
        groups_max: Groups that it may be in.
    """

    devices_max: int
    relations_max: int
    registration_open: bool
    code_lifetime_s: int
    code_attempts_max: int
    mass_block_accounts_min: int = 10
    mass_block_window_s: int = 86_400
    device_idle_s: int = 0
    groups_max: int = 1_000
