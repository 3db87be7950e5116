"""One account's database: identity, outbox, history and watermarks in one SQLite file.

Every step of the session is one transaction, on disk (`synchronous=FULL`) when `apply` returns. The
file holds the device's secret key, so only its owner may read it. One process at a time may write; a
lock beside the file says so at once instead of two sessions throwing each other out.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from protocol import AccountId, ConversationId, Epoch
from protocol.limits import NUMBER_MAX
from protocol.messages import CHANGE
from roost import group_rows, history, missing, records
from roost.arrivals import SEEN_MAX
from roost.changes import (
    Accepted,
    Change,
    DevicesKnown,
    EpochRenewed,
    Failed,
    GroupFolded,
    GroupKnown,
    ListsKnown,
    MarksChanged,
    Missed,
    NoticeStored,
    PendingMessage,
    Pinned,
    ProgressStored,
    Queued,
    ReceiptStored,
    Received,
    Renumbered,
    Snapshot,
    StoredMarks,
    Supplemented,
    VersionSigned,
)
from roost.content import Deletion, Edit, Reaction, decode_content, is_shown, text_to_view_once
from roost.database_file import UNREADABLE, is_older, locked, opened, write_failed
from roost.device_record import decode_devices, encode_devices
from roost.device_trust import encode_pin
from roost.errors import StoreError
from roost.facts import Facts, pin_fact
from roost.landing import LANDING_COLUMNS, Landing
from roost.own_state import MessagesGone, Records
from roost.ports import SystemClock
from roost.rows import FactRow, MarksRow, NumberRow, PendingRow, PlaceRow, SaidRow, SeenRow, TimeRow, TimerRow, checked
from roost.schema import FAILED, OPERATION, PENDING, RECEIVED, SENT, SHOWN
from roost.successor import ASKED_FACT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from roost.events import Event
    from roost.group import Group, GroupDetails
    from roost.history import Chat, StoredMessage
    from roost.own_state import Entry, RecordKind
    from roost.ports import Clock

__all__ = ["Store"]

_LAST_PLACE: Final = 2**62
"""Where pending messages stand: behind everything that has a `seq`."""
EPOCH_SIZE_BYTES: Final = 8
PRINTED_SIZE_BYTES: Final = 8


class Store(Facts):
    """An open database. Not safe for two threads at once: whoever uses it takes turns.

    Args:
        path: the file; made if it is missing.
        read_only: only look, while another process may be writing; takes no lock.
        durable: False lets a kill or a power cut ruin the file, which is good enough for a simulation and much faster.
        clock: the time, by which messages disappear.

    Raises:
        AccountInUseError: another process has it open.
        StoreNewerError: a newer version of Roost wrote it.
        StoreError: it cannot be opened or is no database.
    """

    def __init__(
        self, path: Path, *, read_only: bool = False, durable: bool = True, clock: Clock | None = None
    ) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        self.next_expiry_ms: int | None = None
        self._missed = {}
        self._appliers: dict[type[Change], Callable[..., None]] = {
            Queued: self._queued,
            Accepted: self._accepted,
            Failed: self._failed,
            Renumbered: self._renumbered,
            EpochRenewed: self._epoch_renewed,
            Received: self._received,
            NoticeStored: self._notice_stored,
            Missed: self._note_missed,
            Supplemented: self._supplemented,
            ListsKnown: self._lists_known,
            ReceiptStored: self._receipt_stored,
            MarksChanged: self._marks_changed,
            DevicesKnown: self._devices_known,
            Pinned: self._pinned,
            VersionSigned: self._version_signed,
            ProgressStored: self._progress_stored,
            GroupFolded: lambda change: group_rows.fold(self._database, change),
            GroupKnown: lambda change: group_rows.keep(self._database, change),
        }
        if read_only and is_older(path):
            Store(path, clock=clock).close()  # what an earlier version wrote can be read once it is upgraded
        self._lock = None if read_only else locked(path)
        try:
            self._database = opened(path, _land_again, read_only=read_only, durable=durable)
        except BaseException:
            self._unlock()
            raise
        try:
            self._account = AccountId(self._text("account"))
            self._landing = Landing(self._database, self._account)
            if not read_only:
                self._landing.stamp_seen = self._last_stamp()
                with self._reading():
                    self._missed = missing.all_missed(self._database)
                self.forget_expired()
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and let other processes have it."""
        self._database.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._database.execute("COMMIT")
        except BaseException as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            self._landing.take_events()
            self._landing.erased = False
            if isinstance(error, UNREADABLE):
                raise StoreError(write_failed(self.path, error)) from error
            raise
        if self._landing.erased:
            self._landing.erased = False
            # The log beside the file holds what was erased until it is emptied. Somebody who reads at this moment may
            # prevent it: then the next time does it, or the end of the program.
            with suppress(sqlite3.Error):
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def set_facts(self, **facts: bytes) -> None:
        """Store facts, durable on return."""
        super().set_facts(**facts)
        self._landing.account = self._account

    # What the session starts from.

    def snapshot(self) -> Snapshot:
        """Return what a session keeps in memory.

        Raises:
            StoreError: the database is damaged.
        """
        epoch = self.fact("epoch", b"")
        if len(epoch) not in (0, EPOCH_SIZE_BYTES):
            raise self._damaged(f"its epoch has {len(epoch)} bytes")
        with self._reading():
            return Snapshot(
                self._account,
                Epoch(epoch),
                dict(self._rows("SELECT id, next_number FROM conversations WHERE next_number > 1", NumberRow)),
                tuple(
                    PendingMessage(*row)
                    for row in self._rows(
                        "SELECT conversation, client_id, number, payload, ttl_s, flags FROM messages"
                        f" WHERE state = {PENDING} ORDER BY id",
                        PendingRow,
                    )
                ),
                self._stored_marks(),
                tuple(row[0] for row in self._rows("SELECT message_id FROM seen ORDER BY id", SeenRow)),
                decode_devices(self.fact("devices", b"")),
                {
                    conversation: (seq, seconds)
                    for conversation, seq, seconds in self._rows(
                        "SELECT id, timer_seq, timer_s FROM conversations WHERE timer_seq > 0", TimerRow
                    )
                },
                self.pin(self._account),
                self._signer(),
                int.from_bytes(self.fact("signed_version", b"")),
                tuple(group_rows.all_groups(self._database)),
                {ConversationId(name): lists for name, lists in missing.all_known_lists(self._database).items()},
                tuple(filter(None, (missing.found(self._database, self._account, one) for one in self._missed))),
            )

    def _rows(self, query: str, kind: Any) -> Any:
        return checked(self._database.execute(query).fetchall(), list[kind])

    def _stored_marks(self) -> dict[ConversationId, StoredMarks]:
        rows = self._rows(
            "SELECT c.id, c.delivered, c.read, c.server_delivered, c.server_read, c.written,"
            " coalesce((SELECT min(r.read) FROM receipts r WHERE r.conversation = c.id), 0)"
            " FROM conversations c ORDER BY c.changed_ms DESC, c.id",
            MarksRow,
        )
        return {row[0]: StoredMarks(*row[1:]) for row in rows}

    # What the session wants stored.

    def apply(self, changes: Sequence[Change]) -> list[Event]:
        """Commit a step's changes in one transaction; all or nothing, on disk on return.

        Returns:
            What they did to messages of the history, to be told after the step's own events.

        Raises:
            StoreError: the disk is full or fails; nothing of the step was stored.
        """
        with self._transaction():
            for change in changes:
                self._appliers[type(change)](change)
            if self._landing.timed:
                self._look_ahead()
        return self._landing.take_events()

    def _look_ahead(self) -> None:
        self._landing.timed = False
        row = self._database.execute("SELECT min(expires_ms) FROM messages WHERE expires_ms IS NOT NULL").fetchone()
        self.next_expiry_ms = checked(row, TimeRow)[0]

    # What is forgotten.

    def forget_expired(self) -> list[Event]:
        """Remove every message whose time has run out, and say which."""
        now_ms = self._clock.wall_ms()
        with self._transaction():
            rows = self._database.execute("SELECT id FROM messages WHERE expires_ms <= ?", (now_ms,)).fetchall()
            for (identifier,) in rows:
                self._landing.forget(identifier)
            self._look_ahead()
        return self._landing.take_events()

    def forget(self, message: StoredMessage) -> list[Event]:
        """Remove a message that the server never had."""
        with self._transaction():
            self._landing.forget(message.id)
        return self._landing.take_events()

    def once_text(self, key: str) -> str | None:
        """Return the text of a view-once message; None if it was opened. To open it is to store that it is gone."""
        with self._reading():
            row = self._database.execute(
                "SELECT sender, payload FROM messages WHERE message_id = ?", (bytes.fromhex(key),)
            ).fetchone()
            return text_to_view_once(checked(row, SaidRow)[1]) if row else None

    def _touch(self, conversation: str, time_ms: int, place: int = 0) -> None:
        self._database.execute(
            "INSERT INTO conversations (id, place, changed_ms) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " place = max(place, excluded.place), changed_ms = max(changed_ms, excluded.changed_ms)",
            (conversation, place, time_ms),
        )

    def _queued(self, change: Queued) -> None:
        content = decode_content(change.payload)
        target = content.target if isinstance(content, Reaction | Edit | Deletion) else None
        kind = SHOWN if is_shown(content) else OPERATION
        self._touch(change.conversation, change.time_ms if kind == SHOWN else 0)
        self._database.execute(
            "UPDATE conversations SET next_number = ? WHERE id = ?", (change.number + 1, change.conversation)
        )
        self._database.execute(
            "INSERT INTO messages (conversation, state, place, number, client_id, sender, device, time_ms,"
            " ttl_s, flags, payload, kind, target) VALUES (?, ?, ?, ?, ?, ?, x'', ?, ?, ?, ?, ?, ?)",
            (
                change.conversation, PENDING, _LAST_PLACE, change.number, change.client_id, self._account,
                change.time_ms, change.ttl_s, change.flags, change.payload, kind, target,
            ),
        )  # fmt: skip
        if isinstance(content, Records | MessagesGone):
            self._landing.share(change.conversation, self._account, content)

    def _last_place(self, conversation: str) -> int:
        row = self._database.execute("SELECT place FROM conversations WHERE id = ?", (conversation,)).fetchone()
        return checked(row, PlaceRow)[0] if row else 0

    def _accepted(self, change: Accepted) -> None:
        self._database.execute(
            "UPDATE conversations SET written = max(written, ?) WHERE id = ?", (change.seq, change.conversation)
        )
        self._database.execute(
            "UPDATE messages SET state = ?, place = ?, seq = ?, number = 0, message_id = ?, time_ms = ?"
            " WHERE client_id = ?",
            (SENT, change.seq, change.seq, change.message_id, change.time_ms, change.client_id),
        )
        row = self._database.execute(
            f"SELECT {LANDING_COLUMNS} FROM messages WHERE client_id = ?", (change.client_id,)
        ).fetchone()
        shown = row is not None and self._landing.land(row, self._clock.wall_ms(), just_sent=True)
        self._touch(change.conversation, change.time_ms if shown else 0, change.seq)
        self._tell_missed(change.conversation, change.seq)

    def _failed(self, change: Failed) -> None:
        self._database.execute(f"DELETE FROM messages WHERE client_id = ? AND kind != {SHOWN}", (change.client_id,))
        self._database.execute(
            "UPDATE messages SET state = ?, place = ?, number = 0, code = ?, sentence = ? WHERE client_id = ?",
            (FAILED, self._last_place(change.conversation), change.code, change.sentence, change.client_id),
        )

    def _renumbered(self, change: Renumbered) -> None:
        self._database.executemany(
            "UPDATE messages SET number = ? WHERE client_id = ?",
            [(number, client_id) for client_id, number in change.numbers],
        )
        self._database.execute(
            "UPDATE conversations SET next_number = ? WHERE id = ?", (change.next_number, change.conversation)
        )

    def _epoch_renewed(self, change: EpochRenewed) -> None:
        self._set_fact("epoch", change.epoch)
        self._database.execute("DELETE FROM facts WHERE name = ?", (ASKED_FACT,))  # what it has missed, the others know
        self._database.execute("UPDATE conversations SET next_number = 1")

    def _received(self, change: Received) -> None:
        own = change.sender == self._account and not change.flags & CHANGE
        shown = is_shown(decode_content(change.payload, change.flags))
        self._touch(change.conversation, change.time_ms if shown else 0, change.seq)
        stored = self._database.execute(
            "INSERT OR IGNORE INTO messages (conversation, state, place, seq, message_id, sender, device, time_ms,"
            " flags, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                change.conversation, SENT if own else RECEIVED, change.seq, change.seq, change.message_id,
                change.sender, change.device, change.time_ms, change.flags, change.payload,
            ),
        )  # fmt: skip
        if stored.rowcount:
            row = (
                stored.lastrowid, change.conversation, change.seq, None, change.message_id, change.sender,
                change.time_ms, change.flags, change.payload,
            )  # fmt: skip
            self._landing.land(row, self._clock.wall_ms())
        if own:
            self._database.execute(
                "UPDATE conversations SET written = max(written, ?) WHERE id = ?", (change.seq, change.conversation)
            )
            self._tell_missed(change.conversation, change.seq)
        cursor = self._database.execute("INSERT OR IGNORE INTO seen (message_id) VALUES (?)", (change.message_id,))
        self._database.execute("DELETE FROM seen WHERE id <= ?", ((cursor.lastrowid or 0) - SEEN_MAX,))

    def _notice_stored(self, change: NoticeStored) -> None:
        self._database.execute(
            "INSERT OR IGNORE INTO notices VALUES (?, ?, ?, ?, ?)",
            (change.conversation, change.seq, change.account, change.device, change.reason),
        )

    def _receipt_stored(self, change: ReceiptStored) -> None:
        self._database.execute(
            "INSERT INTO receipts VALUES (?, ?, ?, ?) ON CONFLICT (conversation, account) DO UPDATE SET"
            " delivered = max(delivered, excluded.delivered, excluded.read), read = max(read, excluded.read)",
            (change.conversation, change.account, max(change.delivered, change.read), change.read),
        )

    def _progress_stored(self, change: ProgressStored) -> None:
        """Count who has it. Of as many readers no fewer have it than before, though a crash forgets some."""
        behind = change.behind
        for step in change.steps:
            self._database.execute(
                "UPDATE messages SET readers = :members,"
                " delivered_to = iif(readers = :members, max(delivered_to, :delivered), :delivered),"
                " read_by = iif(readers = :members, max(read_by, :read), :read)"
                f" WHERE conversation = :conversation AND place > :behind AND place <= :up_to AND state = {SENT}"
                " AND (readers != :members OR delivered_to < :delivered OR read_by < :read)",
                {
                    "members": step.members, "delivered": step.delivered, "read": step.read,
                    "conversation": change.conversation, "behind": behind, "up_to": step.up_to,
                },
            )  # fmt: skip
            behind = step.up_to

    def _marks_changed(self, change: MarksChanged) -> None:
        self._touch(change.conversation, 0)
        self._database.execute(
            "UPDATE conversations SET delivered = ?, read = ?, server_delivered = ?, server_read = ? WHERE id = ?",
            (change.delivered, change.read, change.server_delivered, change.server_read, change.conversation),
        )
        self._landing.begin_timers(change.conversation, change.read, self._clock.wall_ms())

    def _pinned(self, change: Pinned) -> None:
        self._set_fact(pin_fact(change.account), encode_pin(change.pin))

    def _version_signed(self, change: VersionSigned) -> None:
        version = max(change.version, int.from_bytes(self.fact("signed_version", b"")))
        self._set_fact("signed_version", version.to_bytes(8, "big"))

    def _devices_known(self, change: DevicesKnown) -> None:
        self._set_fact("devices", encode_devices(change))

    # Reading.

    def history(self, conversation: str, limit: int, before: StoredMessage | None = None) -> list[StoredMessage]:
        """Return the latest messages of a conversation, or those before one, the oldest first."""
        with self._reading():
            return history.history(self._database, conversation, limit, before, self._clock.wall_ms())

    def last_seq(self, conversation: str) -> int:
        """Return the `seq` of the latest message known of a conversation; 0 if none is."""
        with self._reading():
            return self._last_place(conversation)

    def message(self, key: str) -> StoredMessage | None:
        """Return one message by its key."""
        with self._reading():
            return history.message_of(self._database, bytes.fromhex(key), self._clock.wall_ms())

    def unprinted(self, limit: int) -> list[StoredMessage]:
        """Return received, unread messages that no `printed` has named, in the order of their arrival."""
        printed_up_to = self.fact("printed_up_to", b"")
        if len(printed_up_to) > PRINTED_SIZE_BYTES:
            raise self._damaged(f"printed_up_to has {len(printed_up_to)} bytes")
        with self._reading():
            after = min(int.from_bytes(printed_up_to, "big"), NUMBER_MAX)
            return history.messages_after(self._database, self._account, after, limit, self._clock.wall_ms())

    def printed(self, identifier: int) -> None:
        """Remember that a script has got everything up to the message with this number."""
        self.set_facts(printed_up_to=identifier.to_bytes(PRINTED_SIZE_BYTES, "big"))

    @property
    def stamp_seen(self) -> int:
        """The greatest Lamport time that this device has seen on a record."""
        return self._landing.stamp_seen

    def _last_stamp(self) -> int:
        with self._reading():
            return records.last_stamp(self._database)

    def shared(self) -> list[Entry]:
        """Return all that our devices share: every record, and what is gone for us."""
        with self._reading():
            return [*records.all_records(self._database), *records.all_gone(self._database)]

    def record_values(self, kind: RecordKind) -> dict[str, str]:
        """Return what the records of a kind say, by their subject."""
        with self._reading():
            return records.values_of(self._database, kind)

    def group(self, conversation: str) -> GroupDetails | None:
        """Return a group with its members; None if this device does not know it."""
        with self._reading():
            return group_rows.details_of(self._database, conversation)

    def groups(self) -> list[Group]:
        """Return every group that this device knows, also those that we have left."""
        with self._reading():
            return group_rows.all_groups(self._database)

    def chats(self) -> list[Chat]:
        """Return all conversations, the latest first."""
        with self._reading():
            return history.chats(self._database, self._account, self._clock.wall_ms())


def _land_again(database: sqlite3.Connection) -> None:
    """After an upgrade: what an earlier version kept without understanding it is understood now."""
    row = database.execute("SELECT value FROM facts WHERE name = 'account'").fetchone()
    account = checked(row, FactRow)[0].decode() if row else ""
    landing = Landing(database, AccountId(account))
    rows = database.execute(
        f"SELECT {LANDING_COLUMNS} FROM messages WHERE message_id IS NOT NULL AND state IN ({SENT}, {RECEIVED})"
        " ORDER BY id"
    ).fetchall()
    for row in rows:
        landing.land(row, SystemClock().wall_ms())
