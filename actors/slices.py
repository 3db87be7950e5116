"""From the settings file to each room's own frozen slice of it; nothing else sees the settings as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.accounts.api import AccountLimits, Rate
from actors.connection.api import ConnectionLimits
from actors.conversation.api import ConversationLimits
from actors.linking.api import LinkLimits
from actors.placement.api import MoveLimits
from actors.presence.api import Load, PresenceLimits
from actors.queue.api import QueueLimits
from actors.tree import MessengerLimits
from storage import StoreLimits

if TYPE_CHECKING:
    from config import ClusterConfig, RatesConfig

__all__ = ["connection_limits", "messenger_limits", "move_limits", "rates", "store_limits"]

SLOW_READER_S = 30.0
NETWORKS_PER_ACCOUNT = 4


def store_limits(config: ClusterConfig) -> StoreLimits:
    """The bounds of the store."""
    journal = config.journal
    return StoreLimits(
        commit_patience_s=journal.commit_patience_ms / 1000,
        hot_window_bytes_max=journal.hot_window_bytes_max,
        hot_window_s_max=float(journal.hot_window_s_max),
        free_space_bytes_min=journal.free_space_bytes_min,
    )


def messenger_limits(config: ClusterConfig, load: Load) -> MessengerLimits:
    """The slices of conversations, queues, accounts and presences."""
    limits, queue, registration = config.limits, config.queue, config.registration
    return MessengerLimits(
        ConversationLimits(
            limits.payload_size_bytes_max,
            queue.ttl_s_default,
            queue.ttl_s_max,
            limits.group_members_max,
            limits.device_lists_required,
        ),
        QueueLimits(
            queue.entries_max,
            queue.size_bytes_max,
            limits.delivery_window_bytes,
            queue.delivery_attempts_max,
            float(queue.resume_window_s),
            float(queue.background_delay_s),
        ),
        AccountLimits(
            limits.devices_per_account_max,
            limits.relations_max,
            registration.open,
            registration.code_lifetime_s,
            config.rates.code_attempts_max,
            limits.mass_block_accounts_min,
            limits.mass_block_window_s,
            limits.device_idle_days * 86_400,
            limits.groups_per_account_max,
        ),
        PresenceLimits(float(config.presence.offline_delay_s), float(config.presence.typing_interval_s_min), load),
        float(queue.sweep_interval_s),
        LinkLimits(limits.link_lifetime_s),
    )


def move_limits(config: ClusterConfig) -> MoveLimits:
    """The bounds of each move of a shard."""
    return MoveLimits(float(config.cluster.move_timeout_s))


def connection_limits(config: ClusterConfig, load: Load) -> ConnectionLimits:
    """What one connection may do."""
    limits = config.limits
    return ConnectionLimits(
        handshake_timeout_s=float(limits.handshake_timeout_s),
        login_timeout_s=float(limits.login_timeout_s),
        payload_size_bytes_max=limits.payload_size_bytes_max,
        window=limits.send_window,
        outbound_buffer_bytes_max=limits.outbound_buffer_bytes_max,
        slow_reader_s=SLOW_READER_S,
        heartbeat_s_min=limits.heartbeat_s_min,
        heartbeat_s_max=limits.heartbeat_s_max,
        open_conversations_max=limits.open_conversations_max,
        presence=config.presence.enabled,
        load=load,
    )


def rates(config: RatesConfig) -> dict[str, Rate]:
    """Operation -> how often; the names are those that `GetLimits` tells."""
    by_minute = {
        operation: Rate(getattr(config, f"{operation}_burst"), getattr(config, f"{operation}_per_minute") / 60)
        for operation in (
            "sends",
            "marks",
            "typing",
            "opens",
            "lookups",
            "queries",
            "changes",
            "groups",
            "joins",
            "logins",
            "connects",
            "links",
        )
    }
    codes = config.code_requests_per_hour
    tries = codes * config.code_attempts_max
    per_hour = {
        "codes": codes,
        "codes_in_all": NETWORKS_PER_ACCOUNT * codes,
        "registers": tries,
        "registers_in_all": NETWORKS_PER_ACCOUNT * tries,
        "registrations": config.registrations_per_address_per_hour,
    }
    return by_minute | {operation: Rate(count, count / 3600) for operation, count in per_hour.items()}
