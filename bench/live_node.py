"""A real node in a process of its own, for whoever needs to start one, watch it, kill it and start it again."""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

__all__ = ["ADMIN", "PROJECT", "SUPERVISOR", "WORKER", "LiveNode", "NodeError", "Settings", "free_port", "merged"]

PROJECT: Final = Path(__file__).parents[1]
START_WAIT_S: Final = 20.0
STOP_WAIT_S: Final = 20.0
LINE_WAIT_S: Final = 10.0
ADMIN: Final = "roost-admin"
SUPERVISOR: Final = "roost-super"
WORKER: Final = "roost-worker"

_HELLO: Final = r"Roost is at \S+, data in .*, key ([0-9a-f]{64});"
# Below the ports that the system gives to clients: a client that dials the port of a node that is down could else be
# given that very port, meet itself, and keep the node from coming back.
_PORTS: Final = range(15_000, 30_000)

_CRASHES: Final = ("actor_crashed", "tree_gave_up", "worker_replaced", "host_failed", "Traceback")

Settings = dict[str, dict[str, Any]]
"""Section -> key -> value, as in cluster.toml."""


class NodeError(Exception):
    """The node did not do what was waited for; the text ends in what it printed."""


def free_port() -> int:
    """A port on which nobody listens at the moment."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def merged(*layers: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Settings in which later layers win, key by key."""
    settings: Settings = {}
    for layer in layers:
        for section, values in layer.items():
            settings.setdefault(section, {}).update(values)
    return settings


class LiveNode:
    """`node.py` with a folder of its own: a launcher, and the processes below it.

    Args:
        folder: Where its settings file and its data are kept; made if it is missing.
        settings: What differs from the defaults.
        command: What runs node.py; nothing for this very Python.
        arguments: For node.py, besides where its settings are.
        address: Where clients find it, as host:port; nothing for a free port of this machine.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        command: Iterable[str] = (),
        arguments: Iterable[str] = (),
        address: str = "",
    ) -> None:
        self.folder = folder
        self.address = address or f"127.0.0.1:{free_port()}"
        self.server_key = b""
        self.lines: list[str] = []
        self._settings = settings or {}
        self._command = tuple(command) or (sys.executable,)
        self._arguments = tuple(arguments)
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._news = threading.Condition()
        self._ended = True
        self._codes_read: dict[str, int] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    def start(self, **settings: dict[str, Any]) -> None:
        """Start, and wait for the start-up line.

        Args:
            settings: Sections to lay over those of the constructor, for this and every later start.

        Raises:
            NodeError: It ended, or said nothing.
        """
        self.launch(**settings)
        try:
            self.server_key = bytes.fromhex(self.wait_line(_HELLO, START_WAIT_S)[1])
        except NodeError:
            self.kill()
            raise

    def launch(self, **settings: dict[str, Any]) -> None:
        """Start without waiting for anything; the settings are as for `start`."""
        assert self._process is None, "it runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        own: Settings = {"node": {"listen": self.address, "data_folder": "data"}, "log": {"format": "json"}}
        self._settings = merged(self._settings, settings)
        path = self.folder / "cluster.toml"
        path.write_text(_toml(merged(own, self._settings)), encoding="utf-8")
        self.lines.clear()
        self._codes_read.clear()
        self._ended = False
        self._process = subprocess.Popen(
            [*self._command, str(PROJECT / "node.py"), "--config", str(path), *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            text=True,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The launcher's process id."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def processes(self) -> dict[str, int]:
        """The process ids of its tree by the names that `ps` shows; "launcher" is the worker where there is no tree."""
        below = {name: pid for pid in _descendants(self.pid) if (name := _read(f"/proc/{pid}/comm").strip())}
        return {"launcher": self.pid, **(below or {WORKER: self.pid})}

    def workers(self) -> list[int]:
        """The process ids of its workers, the first worker's first."""
        return [pid for name, pid in sorted(self.processes().items()) if name.startswith(WORKER)]

    @property
    def data_folder(self) -> Path:
        """Where it keeps its data."""
        return self.folder / "data"

    @property
    def output(self) -> str:
        """Everything it has printed since its last start."""
        with self._news:
            return "\n".join(self.lines)

    @property
    def crashes(self) -> list[str]:
        """What it has logged about actors of its own that crashed."""
        with self._news:
            return [line for line in self.lines if any(event in line for event in _CRASHES)]

    def kill(self) -> None:
        """SIGKILL of the launcher, which is the end of the whole tree: none has a chance to do anything more.

        Their output ends with the last of them, so nothing of it is left when this returns.
        """
        if self._process is not None:
            self._process.kill()
            self.wait()

    def terminate(self) -> int:
        """SIGTERM; returns its exit status.

        Raises:
            NodeError: It goes on.
        """
        assert self._process is not None, "it does not run"
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end and return its exit status.

        Raises:
            NodeError: It goes on.
        """
        process, reader = self._process, self._reader
        assert process is not None, "it does not run"
        assert reader is not None, "it has one since its start"
        try:
            return process.wait(STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise NodeError(f"the node did not end within {STOP_WAIT_S:.0f} s\n{self.output}") from None
        finally:
            reader.join()
            self._process = None

    def wait_line(self, pattern: str, timeout_s: float = LINE_WAIT_S) -> re.Match[str]:
        """The first match of a pattern in a line that it has printed, or will print.

        Raises:
            NodeError: It ended before, or it took too long.
        """
        return self._wait_nth(pattern, 0, timeout_s)

    def code_for(self, account: str) -> str:
        """The verification code of an account; each call gives the next that was sent.

        Raises:
            NodeError: None was sent.
        """
        number = self._codes_read.get(account, 0)
        self._codes_read[account] = number + 1
        return self._wait_nth(_code(account).pattern, number, LINE_WAIT_S)[1]

    def codes_of(self, account: str) -> list[str]:
        """The verification codes of an account that it has sent since its start, the oldest first."""
        with self._news:
            return [match[1] for line in self.lines for match in _code(account).finditer(line)]

    def _wait_nth(self, pattern: str, number: int, timeout_s: float) -> re.Match[str]:
        expression = re.compile(pattern)
        deadline_s = time.monotonic() + timeout_s
        with self._news:
            while True:
                found = [match for line in self.lines if (match := expression.search(line))]
                if len(found) > number:
                    return found[number]
                left_s = deadline_s - time.monotonic()
                if self._ended or left_s <= 0:
                    why = "ended" if self._ended else f"did not within {timeout_s:.0f} s"
                    printed = "\n".join(self.lines)
                    raise NodeError(f"the node was to print {pattern!r}, and {why}. It printed:\n{printed}")
                self._news.wait(left_s)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None, "it was asked for"
        with process.stdout as stream:
            for line in stream:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


def _code(account: str) -> re.Pattern[str]:
    return re.compile(rf"verification code for {re.escape(account)}: (\d+)")


def _read(path: str) -> str:
    """What the kernel says of a process; nothing of one that has just ended."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _descendants(pid: int) -> Iterator[int]:
    for child in map(int, _read(f"/proc/{pid}/task/{pid}/children").split()):
        yield child
        yield from _descendants(child)


def _toml(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Text, numbers and truth are written in TOML as in JSON; a list holds tables."""
    lines = []
    for section, values in settings.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, list)]
        for key, tables in values.items():
            for table in tables if isinstance(tables, list) else ():
                lines.append(f"[[{section}.{key}]]")
                lines += [f"{name} = {json.dumps(value)}" for name, value in table.items()]
    return "\n".join(lines) + "\n"
