"""The groups of an account, as it knows them: a record beside its own, read when somebody wants it.

The groups decide who belongs to them, and tell it; here is only what a new device asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from actors.directory_keys import groups_key
from actors.groups.api import Belongs, GroupAsk, Knows
from actors.router.api import Router, UnreachableError
from actors.shard.api import Disk, answers, inform
from protocol import AccountId, Code, ConversationId, group_conversation
from protocol.messages import CreateGroup, Error, Groups, JoinGroup, ListGroups
from storage import EngineError, StoreCorruptError
from storage.records import UNREADABLE, check_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actors.accounts.api import Ask
    from runtime import Process

__all__ = ["GroupsLoaded", "GroupsSaved", "Memberships", "decode_groups", "encode_groups"]

SCHEMA: Final = 1
WHERE: Final = "the directory's record of an account's groups"
WAITING_MAX: Final = 1_000
RETRY_MS: Final = 1_000
FULL: Final = "Your account is in as many groups as it may be; leave one first."

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[str]).decode


class GroupsLoaded(NamedTuple):
    """From the disk: the record, or None."""

    value: bytes | None


class GroupsSaved(NamedTuple):
    """From the disk: a change is durable, or is not."""

    ok: bool
    told: Belongs


class Memberships:
    """Which groups one account belongs to.

    Args:
        process: The process of the account.
        account: Which one.
        disk: Its shard of the store.
        router: Where groups are found.
        groups_max: How many it may be in.
    """

    __slots__ = ("_account", "_disk", "_groups", "_groups_max", "_process", "_router", "_saving", "_waiting")

    def __init__(self, process: Process, account: AccountId, disk: Disk, router: Router, groups_max: int) -> None:
        self._process = process
        self._account = account
        self._disk = disk
        self._router = router
        self._groups_max = groups_max
        self._groups: dict[str, None] | None = None
        self._waiting: list[Callable[[dict[str, None]], None]] = []
        self._saving = 0

    @property
    def busy(self) -> bool:
        """Whether something is on its way to or from the disk."""
        return bool(self._waiting) or self._saving > 0

    def belongs(self, belongs: Belongs) -> None:
        """A group says whether the account is a member; it is told that we know as soon as that is on the disk."""
        self._with_groups(lambda groups: self._belongs(groups, belongs))

    def ask(self, ask: Ask) -> None:
        """A device of this account asks for its groups, or wants to be in one more; the group decides that."""
        self._with_groups(lambda groups: self._ask(groups, ask))

    def _with_groups(self, act: Callable[[dict[str, None]], None]) -> None:
        if self._groups is not None:
            act(self._groups)
            return
        if not self._waiting:
            found = answers(self._process, GroupsLoaded)
            self._disk.store.directory.get(groups_key(self._account), *found)
        if len(self._waiting) < WAITING_MAX:  # a group speaks again, and so does a client
            self._waiting.append(act)

    def receive_info(self, message: GroupsLoaded | GroupsSaved) -> None:
        """Act on what the disk tells."""
        if isinstance(message, GroupsLoaded):
            self._loaded(message)
        else:
            self._saved(message)

    def _loaded(self, loaded: GroupsLoaded) -> None:
        """The record is there: act on what waited for it."""
        self._groups = dict.fromkeys(decode_groups(loaded.value))
        waiting, self._waiting = self._waiting, []
        for act in waiting:
            act(self._groups)

    def _belongs(self, groups: dict[str, None], belongs: Belongs) -> None:
        if (belongs.conversation in groups) == belongs.member and not self._saving:
            self._knows(belongs)
            return
        # What is on its way to the disk is not there yet: said again, it is written again, and known behind that.
        if belongs.member:
            groups[belongs.conversation] = None
        else:
            groups.pop(belongs.conversation, None)
        self._saving += 1
        saved = inform(self._process, lambda ok: GroupsSaved(ok, belongs))
        self._disk.store.directory.put(groups_key(self._account), encode_groups(groups), saved)

    def _saved(self, saved: GroupsSaved) -> None:
        """A change is on the disk.

        Raises:
            EngineError: It is not: the account starts anew from what is.
        """
        self._saving -= 1
        if not saved.ok:
            raise EngineError(f"the groups of {self._account} were not written")
        self._knows(saved.told)

    def _knows(self, belongs: Belongs) -> None:
        self._process.cast(belongs.group, Knows(self._account, belongs.member))

    def _ask(self, groups: dict[str, None], ask: Ask) -> None:
        frame = ask.frame
        if isinstance(frame, ListGroups):
            listed = [ConversationId(conversation) for conversation in sorted(groups)]
            self._process.cast(ask.connection, Groups(frame.request, listed))
            return
        assert isinstance(frame, CreateGroup | JoinGroup), "nothing else is asked of it"
        if isinstance(frame, JoinGroup):
            conversation = frame.conversation
        else:
            conversation = group_conversation(self._account, frame.client_id)
        if conversation not in groups and len(groups) >= self._groups_max:
            self._refuse(ask, Code.OVER_QUOTA, FULL, -1)
            return
        try:
            group = self._router.conversation(conversation)
        except UnreachableError:
            self._refuse(ask, Code.BUSY, Code.BUSY.sentence, RETRY_MS)
            return
        if not self._process.cast(group, GroupAsk(ask.connection, self._account, ask.device, frame)):
            self._refuse(ask, Code.BUSY, Code.BUSY.sentence, RETRY_MS)

    def _refuse(self, ask: Ask, code: Code, sentence: str, retry_after_ms: int) -> None:
        self._process.cast(ask.connection, Error(ask.frame.request, code, sentence, retry_after_ms))


def encode_groups(groups: Iterable[str]) -> bytes:
    """The groups of an account as the disk keeps them: a schema byte, then MessagePack."""
    return bytes((SCHEMA,)) + _encode(list(groups))


def decode_groups(value: bytes | None) -> list[str]:
    """The groups of `encode_groups`; none if nothing was ever kept.

    Raises:
        StoreVersionError: A newer Roost wrote it.
        StoreCorruptError: It is no list of groups.
    """
    if value is None:
        return []
    check_version(value, SCHEMA, WHERE)
    try:
        return _decode(memoryview(value)[1:])
    except UNREADABLE as error:
        raise StoreCorruptError(WHERE, str(error)) from error
