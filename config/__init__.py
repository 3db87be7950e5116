"""The settings of a node: cluster.toml in, frozen dataclasses out, once, before anything starts.

Reading order:

- `units`: the unit in a key's name, and what someone who wrote "30s" meant.
- `setting`: what one setting may be, and the sentence that refuses anything else.
- `schema`: every setting with its default, limits and meaning; one dataclass a section. `rates` is the longest one.
- `agreement`: settings that must agree with one another.
- `nodes`: the nodes that the settings describe, and what all of them must agree on.
- `reader`: `load`, `load_node` and `parse`; all that is wrong in one `ConfigError`.
- `reference`: cluster.toml and docs/configuration.md, written from the schema.

Invariants: a `ClusterConfig` from `load` is complete, within its limits and in agreement with itself, and never
changes. A file that does not fit is refused as a whole, and every wrong key in it is named with its fix. A key is
written once, in the schema: the shipped file, the page and the checks come from there. The package imports nothing of
ours and reads one file; each actor is given its own section, so only node.py sees all of them.
"""

from config.errors import ConfigError
from config.nodes import ClusterNode, cluster_nodes, shared_settings, worker_folder, worker_name
from config.rates import RatesConfig
from config.reader import load, load_node, parse
from config.schema import (
    WORKERS_MAX,
    ClusterConfig,
    HostConfig,
    JournalConfig,
    LimitsConfig,
    LogConfig,
    MembersConfig,
    NodeConfig,
    PresenceConfig,
    QueueConfig,
    RegistrationConfig,
)

__all__ = [
    "WORKERS_MAX",
    "ClusterConfig",
    "ClusterNode",
    "ConfigError",
    "HostConfig",
    "JournalConfig",
    "LimitsConfig",
    "LogConfig",
    "MembersConfig",
    "NodeConfig",
    "PresenceConfig",
    "QueueConfig",
    "RatesConfig",
    "RegistrationConfig",
    "cluster_nodes",
    "load",
    "load_node",
    "parse",
    "shared_settings",
    "worker_folder",
    "worker_name",
]
