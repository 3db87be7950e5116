"""Hosts with a network of their own each, on one machine: namespaces joined by a bridge, whose wires can be cut.

All of it lives in namespaces that `confined` makes first, this process and the folder of network names included; they
end with the process, however it ends, so there is nothing to clean up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from bench.live_cluster import Spot

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Wires", "WiresError", "confined", "missing"]

PROGRAMS: Final = {
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "ip": "iproute2",
    "tc": "iproute2",
    "iptables": "iptables",
}
"""What is needed, and the package that brings it."""
SYSTEM_PATH: Final = "/usr/sbin:/sbin"  # not in everybody's PATH
CONFINED: Final = "--confined"
NETWORK: Final = "10.77.0"
CLIENT_PORT: Final = 7667
LINK_PORT: Final = 7668
LOSS: Final = 0.03
DELAY: Final[tuple[str, ...]] = ("netem", "delay", "40ms", "10ms")
NARROW: Final[tuple[str, ...]] = ("tbf", "rate", "2mbit", "burst", "16kb", "latency", "200ms")


class WiresError(Exception):
    """This machine does not allow it; the text says what it said."""


def missing() -> list[str]:
    """What this machine lacks: a sentence for each program that is not there."""
    return [f"{name} is missing: install {package}" for name, package in PROGRAMS.items() if _found(name) is None]


def confined(*arguments: str) -> list[str]:
    """The command that runs this Python in namespaces of its own, as somebody who may do everything there.

    All of it ends with whoever runs this command.

    Args:
        arguments: For Python.
    """
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    kinds = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    return ["setpriv", "--pdeathsig", "KILL", "unshare", *user, *kinds, sys.executable, *arguments]


class Wires:
    """A bridge where the clients are, and a wire from it to each host.

    Args:
        names: Of the hosts; at most 200, of at most 11 letters.

    Attributes:
        spots: Where each host stands, by its name.
        rough: How a rough line is made here, in words.

    Raises:
        WiresError: The kernel does not allow it.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._addresses = {name: f"{NETWORK}.{number}" for number, name in enumerate(names, 1)}
        self.spots = {
            name: Spot(f"{address}:{CLIENT_PORT}", f"{address}:{LINK_PORT}", (*_inside(name), sys.executable))
            for name, address in self._addresses.items()
        }
        _do("mount", "-t", "tmpfs", "wires", "/run")  # for the names of networks and the lock of iptables
        _do("ip", "link", "set", "lo", "up")
        _do("ip", "link", "add", "bridge", "type", "bridge")
        _do("ip", "address", "add", f"{NETWORK}.254/24", "dev", "bridge")
        _do("ip", "link", "set", "bridge", "up")
        for name, address in self._addresses.items():
            _do("ip", "netns", "add", name)
            _do("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "wire", "netns", name)
            _do("ip", "link", "set", f"to-{name}", "master", "bridge", "up")
            _do("ip", "-netns", name, "address", "add", f"{address}/24", "dev", "wire")
            for device in ("lo", "wire"):
                _do("ip", "-netns", name, "link", "set", device, "up")
            self._filter(name, "-L", "OUTPUT")  # says so now if it cannot be had
        first = next(iter(self._addresses))
        try:
            self._queue(first, "add", *DELAY)
        except WiresError:
            self._delay = NARROW
            self.rough = f"{LOSS:.0%} of all packets lost, 2 Mbit/s and a queue of 200 ms (no netem in this kernel)"
        else:
            self._queue(first, "del")
            self._delay = DELAY
            self.rough = f"{LOSS:.0%} of all packets lost, the others 40 ms late, give or take 10"

    def cut(self, source: str, target: str) -> None:
        """Nothing that a host sends reaches another any more; the way back stays."""
        self._filter(source, "-A", "OUTPUT", "-d", self._addresses[target], "-j", "DROP")

    def part(self, one: Sequence[str], other: Sequence[str]) -> None:
        """Nothing passes between two groups of hosts, either way."""
        for here in one:
            for there in other:
                self.cut(here, there)
                self.cut(there, here)

    def roughen(self) -> None:
        """Each line loses some of what its host sends, and is slow with the rest."""
        for name in self._addresses:
            dropping = ("-m", "statistic", "--mode", "random", "--probability", str(LOSS), "-j", "DROP")
            self._filter(name, "-A", "OUTPUT", "-o", "wire", *dropping)
            self._queue(name, "add", *self._delay)

    def smooth(self) -> None:
        """No line is slow any more."""
        for name in self._addresses:
            self._queue(name, "del")

    def mend(self) -> None:
        """Nothing is cut or lost any more."""
        for name in self._addresses:
            self._filter(name, "-F", "OUTPUT")

    def _filter(self, name: str, *arguments: str) -> None:
        _do(*_inside(name), _found("iptables") or "iptables", "--wait", *arguments)

    def _queue(self, name: str, act: str, *arguments: str) -> None:
        _do("tc", "-netns", name, "qdisc", act, "dev", "wire", "root", *arguments)


def _inside(name: str) -> tuple[str, ...]:
    return (_found("ip") or "ip", "netns", "exec", name)


def _found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}")


def _do(program: str, *arguments: str) -> None:
    done = subprocess.run([_found(program) or program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise WiresError(f"{program} {' '.join(arguments)}: {done.stderr.strip() or f'status {done.returncode}'}")
