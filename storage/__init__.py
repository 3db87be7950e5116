"""The disk of one node: journal, inbox and directory, written once over a thin engine port.

A tour in reading order:

- `records`: what can be written down, and its form on disk; `Entry`, what waits for a device.
- `engine`: the port below: ordered keys, a commit in two halves, range scans. `lmdb_engine` is the embedded engine,
  in a folder that a `folder_lock` holds, `memory_engine` that of tests and simulations; `committer` decides on which
  thread a commit syncs.
- `group`, `journal`: appends, group commit with an adaptive patience, completions in the order of the calls;
  `order_guard`: what may not pass after a failed commit.
- `memtable`: the hot journal indexed by owner. `conversation_view`: the fold of one conversation.
- `inbox`, `queues`: what outlived the hot window, and a device's queue across both. `bodies`, `body_counts`: what many
  devices of a shard wait for is there once, and goes with the last of them.
- `outbox`: what target shards have yet to take. `directory`: values by key. `meta`: head, epochs, cursors.
- `mover`, `inbox_writer`: the move out of the hot window, and the trim.
- `residence`: where a shard lives that is not simply held. `changes`, `export`, `import_check`, `handover`, `purger`:
  how a shard goes to another node's store while it works, and how nothing of it stays behind.
- `store`: all of it behind one door; `room`, whether it takes new messages, `statistics`, its figures. `limits`,
  `errors`: every bound, every failure.

Invariants: A completion without error means that the record is on stable storage. Positions strictly rise and are never
used for two durable records. Completions come in the order of the calls; a read sees everything asked before it and
nothing asked after it. A failed commit fails everything behind it, and nothing built on what failed becomes durable. No
correctness rests on a commit that spans two nouns: whatever moves is durable at its new place before it goes from the
old, and every effect is idempotent by position, seq or key. The engine is never read while a commit is in flight.
A shard that has gone or was not taken has no word in the memtable, and a replay passes over what the journal says of a
former stay; rows of it that are not purged yet are read by nobody.
"""

from storage.committer import Committer, ManualCommitter, ThreadCommitter
from storage.conversation_view import ConversationView, Mark, Producer, Sent
from storage.directory import ABSENT, ANY, Directory, Expectation
from storage.engine import Batch, Engine, EngineStatistics, Prepared, Table
from storage.errors import (
    BehindFailureError,
    EngineError,
    EngineFullError,
    ExportOverrunError,
    FencedError,
    RecordError,
    ShardAwayError,
    StorageError,
    StoreClosedError,
    StoreCorruptError,
    StoreLockedError,
    StoreVersionError,
    TransferError,
)
from storage.export import Export, Row
from storage.folder_lock import FolderLock
from storage.group import Committed
from storage.limits import RefusalReason, StoreLimits
from storage.lmdb_engine import DATA_FILE, LmdbEngine
from storage.memory_engine import MemoryEngine
from storage.queues import QueueView
from storage.records import (
    MESSAGE,
    NOTICE,
    SCHEMA_VERSION,
    Accepted,
    Acked,
    Entries,
    Entry,
    Marked,
    Owned,
    Record,
    Removed,
    Target,
)
from storage.residence import Arrival, Gone
from storage.statistics import StoreStatistics
from storage.store import ShardView, Store

__all__ = [
    "ABSENT",
    "ANY",
    "DATA_FILE",
    "MESSAGE",
    "NOTICE",
    "SCHEMA_VERSION",
    "Accepted",
    "Acked",
    "Arrival",
    "Batch",
    "BehindFailureError",
    "Committed",
    "Committer",
    "ConversationView",
    "Directory",
    "Engine",
    "EngineError",
    "EngineFullError",
    "EngineStatistics",
    "Entries",
    "Entry",
    "Expectation",
    "Export",
    "ExportOverrunError",
    "FencedError",
    "FolderLock",
    "Gone",
    "LmdbEngine",
    "ManualCommitter",
    "Mark",
    "Marked",
    "MemoryEngine",
    "Owned",
    "Prepared",
    "Producer",
    "QueueView",
    "Record",
    "RecordError",
    "RefusalReason",
    "Removed",
    "Row",
    "Sent",
    "ShardAwayError",
    "ShardView",
    "StorageError",
    "Store",
    "StoreClosedError",
    "StoreCorruptError",
    "StoreLimits",
    "StoreLockedError",
    "StoreStatistics",
    "StoreVersionError",
    "Table",
    "Target",
    "ThreadCommitter",
    "TransferError",
]
