"""The routing table of a node: which shards live here, which elsewhere, and how their actors are reached.

An actor of a shard of this node is a pid, started when somebody needs it. One of another node is a name that stands for
it there, `("at", kind, key...)`: whatever comes for it starts it if need be, there, through `Router.resolve`. So every
verb of the runtime works the same from anywhere, and nobody waits for an answer to "where".
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from protocol import AccountId, ConversationId, DeviceId, shard_of
from runtime import Named, Pid, Runtime, StartError
from supervisors import KeyedSupervisor, TooManyChildrenError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from actors.accounts.api import AccountView

__all__ = ["Household", "Router", "UnreachableError"]

Key = TypeVar("Key")

_AT: Final = "at"
NO_LISTS: Final[Mapping[AccountId, AccountView]] = MappingProxyType({})
LISTS_REMEMBERED: Final = 256
"""Lists of devices that were written last."""


class UnreachableError(Exception):
    """The shard of an id is not there at this moment (it restarts, moves, its node is away, or it is full)."""


class Household:
    """The keyed supervisors of one shard: whoever lives there.

    Attributes:
        lists: The accounts that are loaded, as they are on the disk or on their way there.
    """

    __slots__ = ("accounts", "conversations", "lists", "lost", "presences", "queues", "rendezvous")

    def __init__(
        self,
        accounts: KeyedSupervisor[AccountId],
        conversations: KeyedSupervisor[ConversationId],
        queues: KeyedSupervisor[tuple[DeviceId, AccountId]],
        presences: KeyedSupervisor[AccountId],
        rendezvous: KeyedSupervisor[bytes],
    ) -> None:
        self.accounts = accounts
        self.conversations = conversations
        self.queues = queues
        self.presences = presences
        self.rendezvous = rendezvous
        self.lists: dict[AccountId, AccountView] = {}
        self.lost: set[AccountId] = set()


class Router:
    """Finds the process of an id. Everything of an account lives in the account's shard.

    Attributes:
        places: Shard -> node, for shards that live elsewhere.
        lists_written: How many lists of devices have changed on this node.

    Raises:
        UnreachableError: (every method but the `live_` ones) it cannot be reached, or could not be started, now.
    """

    __slots__ = ("_households", "_runtime", "_written", "lists_written", "places")

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._households: dict[int, Household] = {}
        self.places: dict[int, str] = {}
        self.lists_written = 0
        self._written: deque[AccountId] = deque(maxlen=LISTS_REMEMBERED)
        runtime.foreign.resolver = self.resolve

    def settle(self, shard: int, household: Household) -> None:
        """A shard is built: this is where its processes start."""
        self._households[shard] = household
        self.places.pop(shard, None)

    def leave(self, shard: int) -> None:
        """A shard lives here no more."""
        self._households.pop(shard, None)

    # The lists of devices. A conversation whose copy is older than what the disk was told before its own record would
    # pass a device by; so an account shows here what it writes before it is written.

    def listed(self, account: AccountId) -> AccountView | None:
        """An account of this node as it is, or will be in a moment; None for one that is not loaded, or elsewhere."""
        household = self._households.get(shard_of(account))
        return None if household is None else household.lists.get(account)

    def lists_of(self, shard: int) -> Mapping[AccountId, AccountView]:
        """The accounts of a shard of this node that are loaded, as `listed` says."""
        household = self._households.get(shard)
        return NO_LISTS if household is None else household.lists

    def written_last(self, count: int) -> Iterable[AccountId] | None:
        """The accounts whose lists changed last, so many of them; None if so many are not remembered."""
        return islice(reversed(self._written), count) if count <= len(self._written) else None

    def list_written(self, view: AccountView) -> None:
        """An account begins to write itself."""
        before = self.listed(view.account)
        self.list_loaded(view)
        if before is None or before.devices_version != view.devices_version:
            self._note(view.account)

    def _note(self, account: AccountId) -> None:
        self.lists_written += 1
        self._written.append(account)

    def list_loaded(self, view: AccountView) -> None:
        """An account was read from the disk."""
        household = self._households.get(shard_of(view.account))
        if household is not None:
            household.lists[view.account] = view
            household.lost.discard(view.account)

    def list_forgotten(self, account: AccountId) -> None:
        """An account ends, and nothing of it is on its way to the disk. One that crashes is kept, for something may."""
        household = self._households.get(shard_of(account))
        if household is not None:
            household.lists.pop(account, None)

    def list_lost(self, account: AccountId) -> None:
        """What an account has shown is not on the disk, and will not be; who goes by it is to look again."""
        household = self._households.get(shard_of(account))
        if household is not None:
            household.lists.pop(account, None)
            household.lost.add(account)
        self._note(account)

    def has_lost(self, account: AccountId) -> bool:
        """Whether what an account of this node has shown last was lost, and nobody has read it since."""
        household = self._households.get(shard_of(account))
        return household is not None and account in household.lost

    def lists_forgotten(self, shard: int) -> None:
        """A shard starts anew."""
        household = self._households.get(shard)
        if household is not None:
            household.lists.clear()
            household.lost.clear()

    def node_of(self, shard: int) -> str | None:
        """The node on which a shard lives; None if nobody knows."""
        return self._runtime.node if shard in self._households else self.places.get(shard)

    def shard(self, shard: int) -> Pid:
        """The shard's own process."""
        pid = self._runtime.whereis(("shard", shard))
        if pid is not None:
            return pid
        if shard in self._households:
            raise UnreachableError(f"shard {shard} is restarting")
        return self._elsewhere(shard, ("shard", shard))

    def live_shard(self, shard: int) -> Pid | None:
        """The shard's own process, if it runs on this node."""
        return self._runtime.whereis(("shard", shard))

    def account(self, account: AccountId) -> Pid:
        """The process that owns an account's devices, settings and lists."""
        pid = self._runtime.whereis(("account", account))
        if pid is not None:
            return pid
        household = self._households.get(shard := shard_of(account))
        if household is None:
            return self._elsewhere(shard, (_AT, "account", account))
        return self._ensure(household.accounts, account)

    def conversation(self, conversation: ConversationId) -> Pid:
        """The single writer of a conversation."""
        pid = self._runtime.whereis(("conversation", conversation))
        if pid is not None:
            return pid
        household = self._households.get(shard := shard_of(conversation))
        if household is None:
            return self._elsewhere(shard, (_AT, "conversation", conversation))
        return self._ensure(household.conversations, conversation)

    def queue(self, device: DeviceId, account: AccountId) -> Pid:
        """The process that owns what waits for a device."""
        pid = self._runtime.whereis(("queue", device))
        if pid is not None:
            return pid
        household = self._households.get(shard := shard_of(account))
        if household is None:
            return self._elsewhere(shard, (_AT, "queue", device, account))
        return self._ensure(household.queues, (device, account))

    def presence(self, account: AccountId) -> Pid:
        """The process that knows which devices of an account are here."""
        pid = self._runtime.whereis(("presence", account))
        if pid is not None:
            return pid
        household = self._households.get(shard := shard_of(account))
        if household is None:
            return self._elsewhere(shard, (_AT, "presence", account))
        return self._ensure(household.presences, account)

    def rendezvous(self, meeting: bytes) -> Pid:
        """Where two devices meet to be linked; in a shard of its own name, for it belongs to no account."""
        pid = self._runtime.whereis(("rendezvous", meeting))
        if pid is not None:
            return pid
        household = self._households.get(shard := shard_of(meeting.hex()))
        if household is None:
            return self._elsewhere(shard, (_AT, "rendezvous", meeting))
        return self._ensure(household.rendezvous, meeting)

    def live_rendezvous(self, meeting: bytes) -> Pid | None:
        """The rendezvous if somebody waits there; elsewhere a name that reaches it if somebody does."""
        return self._live(("rendezvous", meeting), meeting.hex())

    def live_conversation(self, conversation: ConversationId) -> Pid | None:
        """The conversation's process if it runs already; elsewhere a name that reaches it if it does."""
        return self._live(("conversation", conversation), conversation)

    def live_queue(self, device: DeviceId, account: AccountId) -> Pid | None:
        """The queue's process if it runs already (only then can its device be connected); or a name, as above."""
        return self._live(("queue", device), account)

    def queue_here(self, device: bytes) -> Pid | None:
        """The queue's process if it runs on this node."""
        return self._runtime.whereis(("queue", device))

    def live_presence(self, account: AccountId) -> Pid | None:
        """The presence process if it runs already; or a name, as above."""
        return self._live(("presence", account), account)

    def resolve(self, name: Hashable) -> Pid | None:
        """Start, if need be, whom a name of another node's router stands for; None for one that does not live here."""
        try:
            match name:
                case ("at", "account", str(account)):
                    pid = self.account(AccountId(account))
                case ("at", "conversation", str(conversation)):
                    pid = self.conversation(ConversationId(conversation))
                case ("at", "queue", bytes(device), str(account)):
                    pid = self.queue(DeviceId(device), AccountId(account))
                case ("at", "presence", str(account)):
                    pid = self.presence(AccountId(account))
                case ("at", "rendezvous", bytes(meeting)):
                    pid = self.rendezvous(meeting)
                case _:
                    return None
        except UnreachableError:
            return None
        return None if type(pid) is Named else pid

    def _live(self, name: tuple[str, Hashable], owner: str) -> Pid | None:
        pid = self._runtime.whereis(name)
        if pid is not None or not self.places:
            return pid
        node = self.places.get(shard_of(owner))
        return Named(node, name) if node is not None and node in self._runtime.foreign.linked else None

    def _elsewhere(self, shard: int, name: Hashable) -> Named:
        node = self.places.get(shard)
        if node is None:
            raise UnreachableError(f"nobody has shard {shard} now")
        if node not in self._runtime.foreign.linked:
            raise UnreachableError(f"shard {shard} is at {node}, which is away")
        return Named(node, name)

    @staticmethod
    def _ensure(supervisor: KeyedSupervisor[Key], key: Key) -> Pid:
        try:
            return supervisor.ensure(key)
        except (StartError, TooManyChildrenError) as error:
            raise UnreachableError(str(error)) from error
