"""Settings that must agree with one another, each pair with its reason."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from config.errors import ConfigError
from config.nodes import host_nodes
from config.schema import WORKERS_MAX
from config.setting import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.schema import ClusterConfig, HostConfig

_PORT_MAX: Final = 65_535
_NAME_LENGTH_MAX: Final = 64


class _AtMost(NamedTuple):
    """One setting must not exceed another."""

    key: str
    bound: str
    reason: str


_PAIRS: Final = (
    _AtMost(
        "limits.connections_unauthenticated_max",
        "limits.connections_max",
        "connections without a login count among all",
    ),
    _AtMost("limits.heartbeat_s_min", "limits.heartbeat_s_max", "no interval lies between them"),
    _AtMost("limits.payload_size_bytes_max", "limits.delivery_window_bytes", "a message must fit into the window"),
    _AtMost(
        "limits.delivery_window_bytes", "limits.outbound_buffer_bytes_max", "a full window must fit into the buffer"
    ),
    _AtMost("limits.payload_size_bytes_max", "queue.size_bytes_max", "a message must fit into the queue"),
    _AtMost("queue.ttl_s_default", "queue.ttl_s_max", "the default wait must be one that may be asked for"),
    _AtMost("journal.hot_window_bytes_max", "journal.store_size_bytes_max", "the journal lies inside the store"),
)


def disagreements(config: ClusterConfig) -> Iterator[ConfigError]:
    """Each pair of settings that cannot both hold, as the error to raise."""
    for key, bound, reason in _PAIRS:
        value, limit = attrgetter(key)(config), attrgetter(bound)(config)
        if value > limit:
            problem = f"is {written(value)}, more than {bound} with {written(limit)}"
            yield ConfigError(key, problem, f"lower the one or raise the other, for {reason}")
    if config.cluster.nodes:
        yield from _strangers(config)
        yield from _namesakes(config.cluster.nodes)


def _strangers(config: ClusterConfig) -> Iterator[ConfigError]:
    """What is wrong between this host's own settings and its entry of the cluster."""
    name, workers = config.node.name, config.node.workers
    entry = next((host for host in config.cluster.nodes if host.name == name), None)
    if entry is None:
        names = ", ".join(written(host.name) for host in config.cluster.nodes[:5])
        problem = f"is {written(name)}, which is no host of [[cluster.nodes]]"
        yield ConfigError("node.name", problem, f"write the name of this host among them (they are {names}), or add it")
    elif entry.workers != workers:
        key = f"{_place(entry)}.workers"
        problem = f"is {workers}, but {key} says {entry.workers} of this same host"
        yield ConfigError("node.workers", problem, "make them the same, the latter on every host")
    count = sum(host.workers for host in config.cluster.nodes)
    if count > WORKERS_MAX:
        problem = f"have {count} workers together"
        yield ConfigError("cluster.nodes", problem, f"have at most {WORKERS_MAX}, for there are as many shards")


def _namesakes(hosts: tuple[HostConfig, ...]) -> Iterator[ConfigError]:
    """Hosts that are not to be told apart: by name, by key, or by where they listen."""
    names: dict[str, HostConfig] = {}
    keys: dict[str, HostConfig] = {}
    links: dict[str, HostConfig] = {}
    for host in hosts:
        place = _place(host)
        other = keys.setdefault(host.key, host)
        if other is not host:
            fix = "give each the key that `roostctl node-key` prints there, and never copy node.key to another host"
            yield ConfigError(f"{place}.key", f"is that of {_place(other)}", fix)
        if host.link_port + host.workers - 1 > _PORT_MAX:
            problem = f"leaves no ports for {host.workers} workers, which listen one above the other"
            yield ConfigError(f"{place}.link", problem, "take a lower port")
        for node in host_nodes(host):
            other = names.setdefault(node.name, host)
            if other is not host:
                problem = f"makes a node {written(node.name)}, which {_place(other)} has, too"
                yield ConfigError(f"{place}.name", problem, "give each host another name; worker 2 of a is a.2")
                break
            if len(node.name) > _NAME_LENGTH_MAX:
                yield ConfigError(f"{place}.name", f"is too long for {host.workers} workers", "take a shorter one")
                break
            other = links.setdefault(str(node.link), host)
            if other is not host:
                problem = f"is {written(host.link)}, and {node.link} is where {_place(other)} listens, too"
                yield ConfigError(f"{place}.link", problem, "give each worker of a host a port of its own")
                break


def _place(host: HostConfig) -> str:
    return f"cluster.nodes[{written(host.name)}]"
