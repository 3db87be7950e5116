"""Every setting: its key, default, limits and meaning, in the order of cluster.toml.

Each class is one section and holds what one part of the system is given; only node.py sees all of them. Making one by
hand checks nothing (tests set what they like); `config.reader` checks what comes from a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from config.rates import RatesConfig
from config.setting import Choice, Folder, Number, Switch, Tables, Text, Whole

_KIB: Final = 1 << 10
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
_DAY_S: Final = 86_400

WORKERS_MAX: Final = 64
"""As many as there are shards: one more would have none."""

_NODE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_NODE_NAME_IN_WORDS: Final = 'up to 64 of a-z, 0-9, ".", "_" and "-", such as "local"'
_LISTEN = re.compile(
    r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)"
    r":(?P<port>\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])",
    re.ASCII,
)
_LINK = re.compile(rf"(?!0\.0\.0\.0:|\[[0:]*\]:)(?!.*:0+$){_LISTEN.pattern}", re.ASCII)
_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CODE_SENDER = re.compile(r"log|[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """This host: who it is, where it keeps its data, and where it listens."""

    name: str = field(
        default="local",
        metadata=Text(
            "The name of this host and of its first worker, in logs, pids and [cluster].",
            _NODE_NAME,
            _NODE_NAME_IN_WORDS,
        ).metadata(),
    )
    data_folder: Path = field(
        default=Path("data"),
        metadata=Folder(
            "Where everything durable is kept, one host per folder. A relative path starts at this file's folder.",
        ).metadata(),
    )
    listen: str = field(
        default="127.0.0.1:7667",
        metadata=Text(
            "Where clients connect. Port 0 takes a free one, host 0.0.0.0 lets other machines in.",
            _LISTEN,
            'host:port, such as "127.0.0.1:7667" or "[::1]:7667"',
        ).metadata(),
    )
    workers: int = field(
        default=1,
        metadata=Whole(
            "Worker processes of this host, each a node of the cluster with shards of its own; one for each core that "
            "Roost shall use.",
            1,
            WORKERS_MAX,
        ).metadata(),
    )
    drain_timeout_s: int = field(
        default=5,
        metadata=Whole("How long a stopping node waits for its clients and its disk.", 0, 3600).metadata(),
    )

    @property
    def listen_host(self) -> str:
        """The host part of `listen`, an IPv6 address without its brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        """The port part of `listen`; 0 means any free one."""
        return int(self.listen.rpartition(":")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """One host of the cluster: an entry of `cluster.nodes`."""

    name: str = field(metadata=Text("Its `node.name`.", _NODE_NAME, _NODE_NAME_IN_WORDS).metadata())
    link: str = field(
        metadata=Text(
            "Where it listens for other hosts; its second worker does so one port above, and so on.",
            _LINK,
            'the host:port by which the other hosts reach it, such as "10.0.0.1:7668"',
        ).metadata(),
    )
    key: str = field(
        metadata=Text(
            "Its public key, which nobody else can speak for.",
            _PUBLIC_KEY,
            "the 64 digits that `roostctl node-key` prints on that host",
        ).metadata(),
    )
    workers: int = field(default=1, metadata=Whole("Its `node.workers`.", 1, WORKERS_MAX).metadata())
    weight: float = field(
        default=1.0,
        metadata=Number(
            "How many shards each of its workers takes, compared with those of others.", 0.01, 100
        ).metadata(),
    )

    @property
    def link_host(self) -> str:
        """The host part of `link`, an IPv6 address without its brackets."""
        return self.link.rpartition(":")[0].strip("[]")

    @property
    def link_port(self) -> int:
        """The port part of `link`."""
        return int(self.link.rpartition(":")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersConfig:
    """All hosts of the cluster, this one among them; they are the same on every host. Empty: this host is alone."""

    move_timeout_s: int = field(
        default=30,
        metadata=Whole(
            "A move of a shard that gets no further for so long is given up; the shard goes on where it was.", 1, 300
        ).metadata(),
    )
    nodes: tuple[HostConfig, ...] = field(
        default=(),
        metadata=Tables(
            "The hosts.",
            HostConfig,
            64,
            """\
[[cluster.nodes]]
name = "a"
link = "10.0.0.1:7668"
key = "5f1a...64 digits, from roostctl node-key"
workers = 1
weight = 1.0
""",
        ).metadata(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """What one client, one account or one network address may take up."""

    connections_max: int = field(
        default=18_000,
        metadata=Whole(
            "Open connections, at all workers together; each takes a file descriptor.", 1, 1_000_000
        ).metadata(),
    )
    connections_unauthenticated_max: int = field(
        default=2_000,
        metadata=Whole("Of these, connections that have not logged in yet.", 1, 1_000_000).metadata(),
    )
    connections_per_address_max: int = field(
        default=1_000,
        metadata=Whole("Open connections from one network address, for each worker.", 1, 1_000_000).metadata(),
    )
    loopback_exempt: bool = field(
        default=True,
        metadata=Switch(
            "Leaves this host itself out of the limits per network address, and all who come through a proxy on it.",
        ).metadata(),
    )
    handshake_timeout_s: int = field(
        default=10,
        metadata=Whole("From the connection to the end of its encryption handshake.", 1, 300).metadata(),
    )
    login_timeout_s: int = field(
        default=300,
        metadata=Whole("From the handshake to the login: the time to type a code.", 1, 3600).metadata(),
    )
    payload_size_bytes_max: int = field(
        default=64 * _KIB,
        metadata=Whole("The content of one message.", 1, 120 * _KIB).metadata(),
    )
    send_window: int = field(
        default=32,
        metadata=Whole("Messages that a device may have sent to one chat without their tick.", 1, 32).metadata(),
    )
    outbound_buffer_bytes_max: int = field(
        default=_MIB,
        metadata=Whole(
            "What waits for a client to read it; a slower reader is disconnected.", 4 * _KIB, 64 * _MIB
        ).metadata(),
    )
    delivery_window_bytes: int = field(
        default=256 * _KIB,
        metadata=Whole("Messages on their way to a device without its ack.", _KIB, 64 * _MIB).metadata(),
    )
    heartbeat_s_min: int = field(
        default=15,
        metadata=Whole("The shortest heartbeat interval that a device may ask for.", 1, 3600).metadata(),
    )
    heartbeat_s_max: int = field(
        default=900,
        metadata=Whole("The longest heartbeat interval that a device may ask for.", 1, _DAY_S).metadata(),
    )
    devices_per_account_max: int = field(
        default=5,
        metadata=Whole("Devices of one account.", 1, 100).metadata(),
    )
    device_idle_days: int = field(
        default=30,
        metadata=Whole(
            "A linked device that has not been here for so long is removed; the primary never is. 0: never.", 0, 3650
        ).metadata(),
    )
    link_lifetime_s: int = field(
        default=60,
        metadata=Whole("How long the code of a new device can be used to link it.", 10, 120).metadata(),
    )
    open_conversations_max: int = field(
        default=32,
        metadata=Whole("Chats that one connection watches for presence and typing.", 1, 1_000).metadata(),
    )
    relations_max: int = field(
        default=1_000,
        metadata=Whole("Contacts and blocked accounts of one account; one frame lists them.", 1, 1_900).metadata(),
    )
    group_members_max: int = field(
        default=1_024,
        metadata=Whole("Members of one group.", 2, 1_024).metadata(),
    )
    device_lists_required: bool = field(
        default=False,
        metadata=Switch("Refuses messages that do not say for which lists of devices they were made.").metadata(),
    )
    groups_per_account_max: int = field(
        default=1_000,
        metadata=Whole("Groups of one account; one frame lists them.", 1, 4_000).metadata(),
    )
    mass_block_accounts_min: int = field(
        default=10,
        metadata=Whole("Different accounts that block one before the log warns of it.", 1, 1_000).metadata(),
    )
    mass_block_window_s: int = field(
        default=_DAY_S,
        metadata=Whole("The time within which they do so.", 60, 365 * _DAY_S).metadata(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueConfig:
    """The messages that wait for one device."""

    entries_max: int = field(
        default=10_000,
        metadata=Whole(
            "Messages; the sender of one more is told so. If a queue crashes, a sixteenth more may come.",
            1,
            10_000_000,
        ).metadata(),
    )
    size_bytes_max: int = field(
        default=64 * _MIB,
        metadata=Whole("The same, counted in bytes.", _KIB, 64 * _GIB).metadata(),
    )
    ttl_s_default: int = field(
        default=30 * _DAY_S,
        metadata=Whole(
            "How long a message waits before it expires, with a notice to its sender.", 1, 3650 * _DAY_S
        ).metadata(),
    )
    ttl_s_max: int = field(
        default=90 * _DAY_S,
        metadata=Whole("The longest wait that a sender may ask for.", 1, 3650 * _DAY_S).metadata(),
    )
    delivery_attempts_max: int = field(
        default=8,
        metadata=Whole(
            "Connections that broke over a message before it is set aside, with a notice.", 1, 1_000
        ).metadata(),
    )
    sweep_interval_s: int = field(
        default=60,
        metadata=Whole(
            "How often expired messages are looked for, among 1,000 devices for each shard of a node.", 1, _DAY_S
        ).metadata(),
    )
    resume_window_s: int = field(
        default=120,
        metadata=Whole(
            "How long after a broken connection a device resumes without a full login; shorter if much comes for it.",
            0,
            _DAY_S,
        ).metadata(),
    )
    background_delay_s: int = field(
        default=5,
        metadata=Whole(
            "How long what is not urgent waits for a device in the background; six times as long if it saves power.",
            0,
            300,
        ).metadata(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalConfig:
    """The disk: when to commit, when to move, when to refuse."""

    commit_patience_ms: float = field(
        default=1.5,
        metadata=Number(
            "How long a lone message waits for others to share its fsync; an ack ten times that, 100 ms at most.",
            0.0,
            1_000.0,
        ).metadata(),
    )
    hot_window_bytes_max: int = field(
        default=64 * _MIB,
        metadata=Whole("The journal before waiting messages move to the inbox.", 64 * _KIB, 16 * _GIB).metadata(),
    )
    hot_window_s_max: int = field(
        default=30,
        metadata=Whole("The same, counted in time.", 1, 3600).metadata(),
    )
    store_size_bytes_max: int = field(
        default=64 * _GIB,
        metadata=Whole("The whole store; new messages are refused before it is full.", _MIB, 1 << 46).metadata(),
    )
    free_space_bytes_min: int = field(
        default=256 * _MIB,
        metadata=Whole("Free space on the disk below which new messages are refused.", 0, 1 << 46).metadata(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationConfig:
    """How people get an account."""

    open: bool = field(
        default=True,
        metadata=Switch("Whether new accounts and devices may register.").metadata(),
    )
    code_sender: str = field(
        default="log",
        metadata=Text(
            'What sends verification codes: "log" writes them to the log of the node, for a laptop.',
            _CODE_SENDER,
            '"log", or a sender of your own as "package.module:name"',
        ).metadata(),
    )
    code_lifetime_s: int = field(
        default=600,
        metadata=Whole("How long a code may be used.", 1, _DAY_S).metadata(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceConfig:
    """Who is there, and who is typing."""

    enabled: bool = field(
        default=True,
        metadata=Switch("Whether anyone sees presence, last seen and typing at all.").metadata(),
    )
    typing_interval_s_min: int = field(
        default=2,
        metadata=Whole("Typing signals of one device to one chat are passed on no more often.", 0, 60).metadata(),
    )
    offline_delay_s: int = field(
        default=10,
        metadata=Whole("How long after its last connection an account still counts as online.", 0, 3600).metadata(),
    )
    shed_lag_ms: int = field(
        default=500,
        metadata=Whole(
            "A node this far behind tells of no presence and no typing until it has caught up; 0: never.", 0, 60_000
        ).metadata(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """What the node says about itself; never content, never a secret."""

    level: str = field(
        default="info",
        metadata=Choice("The least important lines to print.", ("debug", "info", "warning", "error")).metadata(),
    )
    format: str = field(
        default="auto",
        metadata=Choice(
            "How lines look; auto is console on a terminal and json elsewhere.", ("auto", "json", "console")
        ).metadata(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """All settings of a node, as one value that never changes."""

    node: NodeConfig = field(default_factory=NodeConfig)
    cluster: MembersConfig = field(default_factory=MembersConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    queue: QueueConfig = field(default_factory=QueueConfig)
    journal: JournalConfig = field(default_factory=JournalConfig)
    rates: RatesConfig = field(default_factory=RatesConfig)
    registration: RegistrationConfig = field(default_factory=RegistrationConfig)
    presence: PresenceConfig = field(default_factory=PresenceConfig)
    log: LogConfig = field(default_factory=LogConfig)
