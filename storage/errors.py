"""What can go wrong on the disk: each error carries fields, says whose fault it is and what to do."""

from __future__ import annotations

from dataclasses import dataclass


class StorageError(Exception):
    """Root of everything that this package raises or hands to a completion."""


@dataclass(slots=True, eq=False)
class EngineError(StorageError):
    """The disk or the engine failed; what was being committed is not durable. Look at the disk, then restart.

    Attributes:
        detail: What the engine said, with its own error name.
    """

    detail: str

    def __str__(self) -> str:
        return f"the store could not write or read its disk ({self.detail}); look at the disk, then restart the node"


@dataclass(slots=True, eq=False)
class EngineFullError(StorageError):
    """There is no room left; nothing of the batch was stored.

    Attributes:
        detail: Which bound was met: the store's size limit, or the file system.
        size_bytes_max: The limit of the store.
    """

    detail: str
    size_bytes_max: int

    def __str__(self) -> str:
        return (
            f"the store is full ({self.detail}); raise its size limit ({self.size_bytes_max} bytes) or free disk space"
        )


@dataclass(slots=True, eq=False)
class StoreLockedError(StorageError):
    """Another node has this data folder open.

    Attributes:
        folder: The data folder.
        holder: What the holder wrote about itself (its process id), or an empty string.
    """

    folder: str
    holder: str

    def __str__(self) -> str:
        by = f" by process {self.holder}" if self.holder else ""
        return f"the data folder {self.folder} is in use{by}; stop that node, or give this one its own folder"


@dataclass(slots=True, eq=False)
class StoreVersionError(StorageError):
    """The data folder, or a record in it, was written by a newer Roost, or by one that is too old.

    Attributes:
        found: The schema number on disk.
        readable_max: The newest schema number that this program reads.
    """

    found: int
    readable_max: int

    def __str__(self) -> str:
        if self.found <= self.readable_max:
            return (
                f"written by a Roost before the first release (schema {self.found}), which kept chats elsewhere than "
                f"this one (schema {self.readable_max}); give this one an empty folder"
            )
        return (
            f"written by a newer Roost (schema {self.found}), this one reads up to {self.readable_max}; "
            "run the newer version, or give this one its own folder"
        )


@dataclass(slots=True, eq=False)
class StoreCorruptError(StorageError):
    """A stored value cannot be read back.

    Attributes:
        where: Table and key, in words.
        detail: What the decoder said.
    """

    where: str
    detail: str

    def __str__(self) -> str:
        return f"a value in {self.where} cannot be read ({self.detail}); restore the folder from a copy"


@dataclass(slots=True, eq=False)
class FencedError(StorageError):
    """The writer no longer owns the shard: a later owner took it. Start the shard anew.

    Attributes:
        shard: The shard.
        epoch: The epoch that the writer carried.
        current: The epoch that owns the shard now; 0 means that nobody does.
    """

    shard: int
    epoch: int
    current: int

    def __str__(self) -> str:
        return f"shard {self.shard} is owned by epoch {self.current}, not {self.epoch}; take ownership and load it anew"


@dataclass(slots=True, eq=False)
class BehindFailureError(StorageError):
    """An earlier append of the same writer failed, and this one was built on top of it. Load anew, then go on.

    Attributes:
        what: The conversation, or the source shard, whose order would break.
        expected: The seq, or source position, that has to come first.
    """

    what: str
    expected: int

    def __str__(self) -> str:
        return f"an earlier append for {self.what} failed; load it anew and go on from {self.expected}"


@dataclass(slots=True, eq=False)
class RecordError(StorageError):
    """The caller built a record that cannot be stored.

    Attributes:
        detail: What is wrong with it.
    """

    detail: str

    def __str__(self) -> str:
        return f"this record cannot be stored: {self.detail}"


@dataclass(slots=True, eq=False)
class ShardAwayError(StorageError):
    """The shard is not here to be owned, exported or released. Ask the node that has it.

    Attributes:
        shard: The shard.
        detail: Where it is, in words.
    """

    shard: int
    detail: str

    def __str__(self) -> str:
        return f"shard {self.shard} is not here to work with: {self.detail}"


@dataclass(slots=True, eq=False)
class ExportOverrunError(StorageError):
    """A shard has changed more while it was copied than may be remembered. Try again when less happens in it.

    Attributes:
        shard: The shard.
    """

    shard: int

    def __str__(self) -> str:
        return f"shard {self.shard} changes faster than it can be copied; try again when less happens in it"


@dataclass(slots=True, eq=False)
class TransferError(StorageError):
    """What came for a shard cannot be taken. The node that sends it is at fault; it has to begin a new transfer.

    Attributes:
        shard: The shard.
        detail: What is wrong.
    """

    shard: int
    detail: str

    def __str__(self) -> str:
        return f"the copy of shard {self.shard} is not taken: {self.detail}; the source has to begin a new transfer"


class StoreClosedError(StorageError):
    """The store is closed, or closing; nothing more is taken."""

    def __str__(self) -> str:
        return "the store is closed; nothing more is stored"
