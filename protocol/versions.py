"""Which versions this code speaks, and how two sides agree on one."""

from collections.abc import Sequence
from typing import Final

from protocol.errors import Code, RemoteProtocolError

__all__ = ["PROLOGUE", "VERSIONS_SUPPORTED", "choose_version"]

PROLOGUE: Final = b"roost/1"
"""Noise prologue: a link of another major line fails its handshake instead of being misread."""

VERSIONS_SUPPORTED: Final = (1,)
"""Versions of the frames inside the link, best first."""


def choose_version(offered: Sequence[int]) -> int:
    """The best version that both sides speak.

    Args:
        offered: The versions of a Hello.

    Raises:
        RemoteProtocolError: VERSION_UNSUPPORTED, with both lists.
    """
    for version in VERSIONS_SUPPORTED:
        if version in offered:
            return version
    raise RemoteProtocolError(
        Code.VERSION_UNSUPPORTED,
        f"The client speaks versions {sorted(set(offered))}, this server {sorted(VERSIONS_SUPPORTED)}; "
        "update the older side.",
    )
