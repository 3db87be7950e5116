"""Ways in which a verification code travels to the owner of an address."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol import AccountId

__all__ = ["CodeSender", "LogCodeSender", "code_sender"]


class CodeSender(Protocol):
    """The way a verification code travels to the owner of an address (a log line, an SMS, an e-mail).

    It runs as a task in a thread, so it may block.
    """

    via: str

    def send(self, address: AccountId, code: str, lifetime_s: int) -> None:
        """Send the code, or raise."""
        ...


class LogCodeSender:
    """For a laptop: the operator reads the code where the node runs. The one secret that a log may hold, by choice."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self.via = "the log of the server"

    def send(self, address: AccountId, code: str, lifetime_s: int) -> None:
        """Write the code where the operator sees it."""
        self._write(f"verification code for {address}: {code} (valid for {lifetime_s // 60} minutes)")


def code_sender(name: str, write: Callable[[str], None]) -> CodeSender:
    """The sender that the settings name.

    Args:
        name: "log", or "package.module:name" of a `CodeSender` (an object, or a class without arguments).
        write: Where the log sender writes.

    Raises:
        ValueError: There is no such sender; says what to correct.
    """
    if name == "log":
        return LogCodeSender(write)
    module_name, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"registration.code_sender {name!r} cannot be loaded: {error}") from error
    sender = found() if isinstance(found, type) else found
    if not callable(getattr(sender, "send", None)) or not isinstance(getattr(sender, "via", None), str):
        raise ValueError(
            f"registration.code_sender {name!r} must have send(address, code, lifetime_s) and a text `via`"
        )
    return cast("CodeSender", sender)
