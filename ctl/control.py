"""Asks a node that runs on this host, by HTTP on the Unix socket in its data folder."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from config import load_node
from gateway import CONTROL_SOCKET

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NotAnsweredError", "ask", "read_answer", "settings_file"]

TIMEOUT_S: Final = 15.0


class NotAnsweredError(Exception):
    """The node did not grant what was asked, or there is none; the text says why and what to do."""


class _Refusal(msgspec.Struct):
    error: str = ""
    code: str = ""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_s)
        self.sock.connect(str(self._path))


def settings_file(config: Path | None) -> tuple[Path, bool]:
    """The settings file that a command is about, and whether it has to be there."""
    return config or Path("cluster.toml"), config is not None


def ask(
    config: Path | None,
    method: str,
    path: str,
    kind: Any,
    body: Mapping[str, object] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Any:
    """What the first node of this host answers.

    Args:
        config: The settings file of the host; None for cluster.toml here, or the defaults.
        method: GET or POST.
        path: What is asked for, as `/nodes`.
        kind: The type of a good answer.
        body: More about it.
        timeout_s: How long to wait.

    Returns:
        The answer.

    Raises:
        NotAnsweredError: There is no node, or it does not grant it.
        ConfigError: The settings file cannot be used.
    """
    file, required = settings_file(config)
    folder = load_node(file, required=required).data_folder
    connection = _UnixConnection(folder / CONTROL_SOCKET, timeout_s)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotAnsweredError(
            f"no node runs with the data folder {folder}: start it, or name its settings with --config"
        ) from None
    except TimeoutError:
        raise NotAnsweredError(f"the node did not answer within {timeout_s:g} s; ask again, or see its log") from None
    except PermissionError:
        raise NotAnsweredError(f"only the user who runs the node may ask it: {folder} belongs to another") from None
    except OSError as error:
        raise NotAnsweredError(f"the node in {folder} cannot be asked: {error}") from error
    except (http.client.HTTPException, ValueError) as error:
        raise _unreadable(error) from error
    finally:
        connection.close()
    return read_answer(response.status, answer, kind)


def read_answer(status: int, answer: bytes, kind: Any) -> Any:
    """What the node says.

    Args:
        status: Of HTTP.
        answer: The body.
        kind: The type of a good answer.

    Raises:
        NotAnsweredError: It is a refusal, or nothing of that type.
    """
    refused = status >= http.client.BAD_REQUEST
    try:
        content = msgspec.json.decode(answer, type=_Refusal if refused else kind)
    except (ValueError, RecursionError) as error:  # a DecodeError and bad UTF-8 are both ValueError
        if not refused:
            raise _unreadable(error) from error
        content = _Refusal()
    if not refused:
        return content
    sentence = content.error or f"the node answered {status}; see its log"
    raise NotAnsweredError(f"{sentence} (code {content.code})" if content.code else sentence)


def _unreadable(error: Exception) -> NotAnsweredError:
    kind = type(error).__name__
    return NotAnsweredError(f"the node said what roostctl cannot read ({kind}): update the older one")
