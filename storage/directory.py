"""The directory: accounts, devices, groups, snapshots by key; get, compare-and-set, scan, take exactly once.

Every operation is evaluated when its group is built: all groups before it are durable by then, and what the same
group already did to a key is seen through the batch itself. So a compare-and-set sees pending writes, and whatever is
answered was durable, or became so, before the answer.
"""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from storage.engine import Batch, Engine, Table, prefix_stop
from storage.errors import RecordError, StorageError
from storage.group import Failed, raise_it

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from storage.changes import Changes
    from storage.journal import Journal

KEY_SIZE_BYTES_MAX: Final = 480
RESERVED_PREFIX: Final = b"\x00"
SNAPSHOT_PREFIX: Final = b"\x00c"
LONG_SNAPSHOT_PREFIX: Final = b"\x00c\x00"
DIRECTORY_STOP: Final = b"\xff" * (KEY_SIZE_BYTES_MAX + 1)
"""A key above all keys."""


class Expected(Enum):
    """What a compare-and-set asks of the present value, besides a value itself."""

    ANY = "any"
    ABSENT = "absent"


ANY: Final = Expected.ANY
ABSENT: Final = Expected.ABSENT
Expectation: TypeAlias = Literal[Expected.ANY, Expected.ABSENT] | bytes
Pair: TypeAlias = tuple[bytes, bytes]


ShardOfPair: TypeAlias = "Callable[[bytes, bytes], int | None]"
"""The shard that a key and its value belong to; None for what belongs to the node, whatever shards it has."""


def snapshot_key(conversation: str, shard_of: Callable[[str], int]) -> bytes:
    """Return the reserved key of a conversation's snapshot; that of a long name says the shard instead of the name."""
    name = conversation.encode()
    if len(name) <= KEY_SIZE_BYTES_MAX - 32:
        return SNAPSHOT_PREFIX + name
    return LONG_SNAPSHOT_PREFIX + bytes((shard_of(conversation),)) + sha256(name).digest()


def shard_of_pair(shard_of: Callable[[str], int], directory_shard: ShardOfPair) -> ShardOfPair:
    """Return what tells the shard of any pair in the directory, snapshots included.

    Args:
        shard_of: The shard of a conversation.
        directory_shard: The shard of a pair that is no snapshot.
    """

    def judge(key: bytes, value: bytes) -> int | None:
        if not key.startswith(RESERVED_PREFIX):
            return directory_shard(key, value)
        if key.startswith(LONG_SNAPSHOT_PREFIX):
            return key[len(LONG_SNAPSHOT_PREFIX)] if len(key) > len(LONG_SNAPSHOT_PREFIX) else None
        try:
            return shard_of(key[len(SNAPSHOT_PREFIX) :].decode()) if key.startswith(SNAPSHOT_PREFIX) else None
        except UnicodeDecodeError:
            return None

    return judge


def nobody(key: bytes, value: bytes) -> int | None:
    """The directory of a node whose shards never move: no pair belongs to one."""
    return None


class _Write:
    """A put or delete, if the present value is as expected."""

    __slots__ = ("_applied", "_completed", "_directory", "_expected", "_key", "_value")

    writes = True
    droppable = False

    def __init__(
        self,
        directory: Directory,
        key: bytes,
        value: bytes | None,
        expected: Expectation,
        completed: Callable[[bool], None],
    ) -> None:
        self._directory = directory
        self._key = key
        self._value = value
        self._expected = expected
        self._completed = completed
        self._applied = False

    def prepare(self, batch: Batch) -> None:
        """Compare, and set."""
        directory, expected, value = self._directory, self._expected, self._value
        current = directory.current(batch, self._key) if expected is not ANY or value is None else None
        matches = expected is ANY or current == (None if expected is ABSENT else expected)
        self._applied = matches and directory.is_ours(self._key, current if value is None else value)
        if self._applied:
            directory.write(batch, self._key, value)

    def complete(self, error: Exception | None) -> None:
        """Tell whether it was set."""
        self._completed(self._applied and error is None)


class _Take:
    """A get and delete in one: each value goes to one taker."""

    __slots__ = ("_completed", "_directory", "_key", "_value")

    writes = True
    droppable = False

    def __init__(self, directory: Directory, key: bytes, completed: Callable[[bytes | None], None]) -> None:
        self._directory = directory
        self._key = key
        self._completed = completed
        self._value: bytes | None = None

    def prepare(self, batch: Batch) -> None:
        """Read and delete."""
        value = self._directory.current(batch, self._key)
        self._value = value if self._directory.is_ours(self._key, value) else None
        if self._value is not None:
            self._directory.write(batch, self._key, None)

    def complete(self, error: Exception | None) -> None:
        """Hand the value out, if its deletion is durable."""
        self._completed(self._value if error is None else None)


class _Get:
    """A read of one key."""

    __slots__ = ("_completed", "_directory", "_failed", "_key", "_value")

    writes = False
    droppable = False

    def __init__(
        self, directory: Directory, key: bytes, completed: Callable[[bytes | None], None], failed: Failed
    ) -> None:
        self._directory = directory
        self._key = key
        self._completed = completed
        self._failed = failed
        self._value: bytes | None = None

    def prepare(self, batch: Batch) -> None:
        """Read."""
        self._value = self._directory.current(batch, self._key)

    def complete(self, error: Exception | None) -> None:
        """Hand the value out; what cannot be read is not taken for absent."""
        if isinstance(error, StorageError):
            self._failed(error)
        else:
            self._completed(self._value)


class _Scan:
    """A read of all keys with a prefix."""

    __slots__ = ("_completed", "_engine", "_limit", "_pairs", "_prefix")

    writes = False
    droppable = False

    def __init__(self, engine: Engine, prefix: bytes, limit: int, completed: Callable[[list[Pair]], None]) -> None:
        self._engine = engine
        self._prefix = prefix
        self._limit = limit
        self._completed = completed
        self._pairs: list[Pair] = []

    def prepare(self, batch: Batch) -> None:
        """Read, with what the group wrote so far laid over it."""
        written = {key: value for key, value in batch.directory.items() if key.startswith(self._prefix)}
        stop, limit = prefix_stop(self._prefix), self._limit + len(written)
        pairs = dict(self._engine.scan(Table.DIRECTORY, self._prefix, stop, limit))
        for key, value in written.items():
            if value is None:
                pairs.pop(key, None)
            else:
                pairs[key] = value
        self._pairs = sorted(pairs.items())[: self._limit]

    def complete(self, error: Exception | None) -> None:
        """Hand the pairs out."""
        self._completed(self._pairs)


class Directory:
    """Values by key; completions come in the order of the calls.

    Args:
        engine: Where the table is.
        journal: Whose order the operations join.
        shard_of_pair: The shard of a key and its value. Nothing of a shard that is not owned is written: what came
            after the shard left would be lost, or come back from the dead.
        watches: By shard that is being copied: what has changed meanwhile.
    """

    __slots__ = ("_engine", "_journal", "_shard_of_pair", "_watches")

    def __init__(
        self, engine: Engine, journal: Journal, shard_of_pair: ShardOfPair, watches: Mapping[int, Changes]
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._shard_of_pair = shard_of_pair
        self._watches = watches

    def current(self, batch: Batch, key: bytes) -> bytes | None:
        """Return the value of a key as the batch so far leaves it."""
        if key in batch.directory:
            return batch.directory[key]
        return self._engine.get(Table.DIRECTORY, key)

    def write(self, batch: Batch, key: bytes, value: bytes | None) -> None:
        """Leave a value under a key, or nothing; whoever copies the shard that it is or was of has to look again."""
        if self._watches:
            for pair_value in (self.current(batch, key), value):
                shard = None if pair_value is None else self._shard_of_pair(key, pair_value)
                if shard is not None and (changes := self._watches.get(shard)) is not None:
                    changes.note_key(key)
        batch.directory[key] = value

    def is_ours(self, key: bytes, value: bytes | None) -> bool:
        """Whether a pair may be written here."""
        shard = self._shard_of_pair(key, value or b"")
        return shard is None or self._journal.owns(shard)

    def get(self, key: bytes, completed: Callable[[bytes | None], None], failed: Failed = raise_it) -> None:
        """Hand out the value of a key, or None; or, if the disk fails, the error to `failed`."""
        self._journal.submit(_Get(self, key, completed, failed))

    def put(self, key: bytes, value: bytes, completed: Callable[[bool], None], expected: Expectation = ANY) -> None:
        """Set a value, if the present one is as expected; `completed(False)` means that nothing was changed.

        Args:
            key: 1 to 480 bytes, not starting with a zero byte.
            value: Any bytes.
            completed: Gets True when the value is durable; False when the present value was another, the disk failed,
                or the key's shard is not owned here.
            expected: ANY, ABSENT, or the present value.

        Raises:
            RecordError: The key is empty, too long or reserved.
        """
        self._write(key, value, expected, completed)

    def delete(self, key: bytes, completed: Callable[[bool], None], expected: Expectation = ANY) -> None:
        """Delete a key, if the present value is as expected; an absent key is no failure with ANY.

        Raises:
            RecordError: The key is empty, too long or reserved.
        """
        self._write(key, None, expected, completed)

    def take(self, key: bytes, completed: Callable[[bytes | None], None]) -> None:
        """Hand out a value and delete it: of two takers one gets it. None when it is absent, or the disk failed."""
        _check_key(key)
        self._journal.submit(_Take(self, key, completed))

    def scan(self, prefix: bytes, limit: int, completed: Callable[[list[Pair]], None]) -> None:
        """Hand out up to `limit` keys and values whose keys begin with a prefix, in key order."""
        self._journal.submit(_Scan(self._engine, prefix, limit, completed))

    def _write(self, key: bytes, value: bytes | None, expected: Expectation, completed: Callable[[bool], None]) -> None:
        _check_key(key)
        self._journal.submit(_Write(self, key, value, expected, completed))


def _check_key(key: bytes) -> None:
    if not 0 < len(key) <= KEY_SIZE_BYTES_MAX or key.startswith(RESERVED_PREFIX):
        raise RecordError(f"a directory key has 1 to {KEY_SIZE_BYTES_MAX} bytes and does not start with a zero byte")
