"""Where a server listens: host and port, as people write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from roost.errors import AddressError

__all__ = ["PORT_DEFAULT", "SERVER_DEFAULT", "ServerAddress"]

PORT_DEFAULT: Final = 7667
SERVER_DEFAULT: Final = f"127.0.0.1:{PORT_DEFAULT}"
_HOST_LENGTH_MAX: Final = 253
_SHOWN_LENGTH_MAX: Final = 80


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A host name or IP address with a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``host``, ``host:port``, ``[v6]`` or ``[v6]:port``.

        Raises:
            AddressError: it is none of these.
        """
        text = text.strip()
        if "/" in text:
            raise _not_an_address(text)
        if text.startswith("["):
            host, bracket, rest = text[1:].partition("]")
            if not bracket or (rest and not rest.startswith(":")):
                raise _not_an_address(text)
            port = rest[1:]
        elif text.count(":") > 1:
            shown = _shown(text)
            raise AddressError(f"{shown} looks like an IPv6 address; write it in brackets: [{shown}]:{PORT_DEFAULT}")
        else:
            host, _, port = text.partition(":")
        if not _can_be_looked_up(host):
            raise _not_an_address(text)
        if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65_535):
            raise AddressError(f"{_shown(port)} is not a port; a port is a number from 1 to 65535.")
        return cls(host.lower(), int(port) if port else PORT_DEFAULT)

    @property
    def file_name(self) -> str:
        """The address as a part of a file name."""
        return f"{self.host.replace(':', '_').replace('%', '_')}_{self.port}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _can_be_looked_up(host: str) -> bool:
    """Whether a resolver takes it; what it makes of a host that nobody can have is no error of a socket."""
    if not host or len(host) > _HOST_LENGTH_MAX or not host.isprintable():
        return False
    if any(character.isspace() or character in "/@[]" for character in host):
        return False
    try:
        host.lower().encode("idna")
    except UnicodeError:
        return False
    return True


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH_MAX else f"{text[:_SHOWN_LENGTH_MAX]}..."


def _not_an_address(text: str) -> AddressError:
    return AddressError(f"{_shown(text)!r} is not a server address. Write HOST:PORT, such as {SERVER_DEFAULT}.")
