"""What a connection may say to a rendezvous, and for how long one lasts."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from runtime import Pid

__all__ = ["Carry", "Join", "LinkLimits", "Wait"]


class Wait(msgspec.Struct, array_like=True, frozen=True):
    """A connection without an account waits here; answered with `LinkOpened` or `Error`."""

    connection: Pid
    request: int


class Join(msgspec.Struct, array_like=True, frozen=True):
    """A connection of an account has come; answered with `Done` or `Error`."""

    connection: Pid
    request: int


class Carry(msgspec.Struct, array_like=True, frozen=True):
    """Give this to the other connection, as `LinkPassed`."""

    connection: Pid
    payload: bytes


class LinkLimits(NamedTuple):
    """How long a rendezvous lasts.

    Attributes:
        lifetime_s: How long the one that waits can be joined.
        talk_s: How long both have from then on: a person reads a name, and says yes.
    """

    lifetime_s: int = 60
    talk_s: int = 120
