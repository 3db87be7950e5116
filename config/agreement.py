"""Settings that must agree with one another, each pair with its reason."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from config.errors import ConfigError
from config.setting import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.schema import ClusterConfig


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
