"""The timers of a connection, as messages that carry nothing."""

from __future__ import annotations

from typing import Final

__all__ = ["CHECK", "HURRY", "REST", "Check", "Hurry", "Rest", "TooSlow"]


class Hurry:
    """The timer before which the handshake, and then the login, must be done."""


class Check:
    """The timer that looks for a sign of life."""


class Rest:
    """The timer that puts the ciphers of a quiet connection away."""


class TooSlow:
    """The timer of a socket that takes nothing."""


# One of each for all connections: 10,000 quiet ones would hold 20,000 of them.
HURRY: Final = Hurry()
CHECK: Final = Check()
REST: Final = Rest()
