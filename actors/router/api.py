"""The routing table of a node."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

from protocol import AccountId, ConversationId, DeviceId, shard_of
from runtime import Pid, Runtime, StartError
from supervisors import KeyedSupervisor, TooManyChildrenError

__all__ = ["Household", "Router", "UnreachableError", "shard_number"]

Key = TypeVar("Key")

# SHA-256 of an id costs 0.9 µs, the cache 0.07.
shard_number = lru_cache(maxsize=1 << 16)(shard_of)


class UnreachableError(Exception):
    """The shard of an id is not there at this moment (it restarts, or it is full); ask again soon."""


class Household:
    """The keyed supervisors of one shard: whoever lives there."""

    __slots__ = ("accounts", "conversations", "presences", "queues")

    def __init__(
        self,
        accounts: KeyedSupervisor[AccountId],
        conversations: KeyedSupervisor[ConversationId],
        queues: KeyedSupervisor[tuple[DeviceId, AccountId]],
        presences: KeyedSupervisor[AccountId],
    ) -> None:
        self.accounts = accounts
        self.conversations = conversations
        self.queues = queues
        self.presences = presences


class Router:
    """Finds the process of an id. Everything of an account lives in the account's shard.

    Raises:
        UnreachableError: (every method but the `live_` ones) the process could not be started now.
    """

    __slots__ = ("_households", "_runtime")

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._households: dict[int, Household] = {}

    def settle(self, shard: int, household: Household) -> None:
        """A shard is built: this is where its processes start."""
        self._households[shard] = household

    def shard(self, shard: int) -> Pid:
        """The shard's own process."""
        pid = self._runtime.whereis(("shard", shard))
        if pid is None:
            raise UnreachableError(f"shard {shard} is restarting")
        return pid

    def account(self, account: AccountId) -> Pid:
        """The process that owns an account's devices, settings and lists."""
        pid = self._runtime.whereis(("account", account))
        return pid or self._ensure(self._households[shard_number(account)].accounts, account)

    def conversation(self, conversation: ConversationId) -> Pid:
        """The single writer of a conversation."""
        pid = self._runtime.whereis(("conversation", conversation))
        return pid or self._ensure(self._households[shard_number(conversation)].conversations, conversation)

    def queue(self, device: DeviceId, account: AccountId) -> Pid:
        """The process that owns what waits for a device."""
        pid = self._runtime.whereis(("queue", device))
        return pid or self._ensure(self._households[shard_number(account)].queues, (device, account))

    def presence(self, account: AccountId) -> Pid:
        """The process that knows which devices of an account are here."""
        pid = self._runtime.whereis(("presence", account))
        return pid or self._ensure(self._households[shard_number(account)].presences, account)

    def live_conversation(self, conversation: ConversationId) -> Pid | None:
        """The conversation's process if it runs already."""
        return self._runtime.whereis(("conversation", conversation))

    def live_queue(self, device: DeviceId) -> Pid | None:
        """The queue's process if it runs already: only then can its device be connected."""
        return self._runtime.whereis(("queue", device))

    def live_presence(self, account: AccountId) -> Pid | None:
        """The presence process if it runs already."""
        return self._runtime.whereis(("presence", account))

    @staticmethod
    def _ensure(supervisor: KeyedSupervisor[Key], key: Key) -> Pid:
        try:
            return supervisor.ensure(key)
        except (StartError, TooManyChildrenError) as error:
            raise UnreachableError(str(error)) from error
