"""Reading the local history: conversations, messages, and how far each message has come."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from protocol import DeviceId
from roost.arrivals import not_delivered_sentence
from roost.content import Content, decode_content
from roost.conversations import other_account
from roost.rows import ChatRow, MessageRow, NoticeRow, checked
from roost.schema import FAILED, PENDING, RECEIVED

if TYPE_CHECKING:
    from protocol import AccountId, ConversationId

__all__ = ["Chat", "MessageState", "StoredMessage", "chats", "history", "message_of", "messages_after"]


class MessageState(StrEnum):
    """How far a message has come; the first five are of our own messages."""

    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message of the local history.

    Args:
        id: its number in this database.
        key: the name that events use for it.
        conversation: where it belongs.
        seq: its place in the conversation; 0 while pending, failed or unknown.
        place: with `id`, where it stands in the history.
        sender: who wrote it.
        device: the sender's device; empty for a message of this one.
        time_ms: when the server took it, or it was typed, milliseconds since 1970.
        content: what it says.
        state: how far it has come.
        sentence: why it failed.
        not_delivered: a sentence for each device it did not reach.
    """

    id: int
    key: str
    conversation: ConversationId
    seq: int
    place: int
    sender: AccountId
    device: DeviceId
    time_ms: int
    content: Content
    state: MessageState
    sentence: str = ""
    not_delivered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation as a list shows it.

    Args:
        conversation: its id.
        other_account: with whom; our own account for the note to self.
        unread: how many messages of others came after the last one read.
        read: how far we have read, by `seq`.
        latest: the last message, if there is any.
    """

    conversation: ConversationId
    other_account: AccountId
    unread: int
    read: int
    latest: StoredMessage | None


_COLUMNS = """
    m.id, m.conversation, m.state, m.place, m.seq, m.client_id, m.message_id, m.sender, m.device,
    m.time_ms, m.payload, m.sentence,
    (SELECT min(r.delivered) FROM receipts r WHERE r.conversation = m.conversation) AS delivered,
    (SELECT min(r.read) FROM receipts r WHERE r.conversation = m.conversation) AS read
"""


def _message(database: sqlite3.Connection, row: Any) -> StoredMessage:
    (
        identifier, conversation, state, place, seq, client_id, message_id, sender, device,
        time_ms, payload, sentence, delivered, read,
    ) = checked(row, MessageRow)  # fmt: skip
    name = client_id or message_id
    if name is None:
        raise sqlite3.DatabaseError("a message has no id")
    notices = () if state in (PENDING, RECEIVED) or not seq else _notices(database, conversation, seq)
    return StoredMessage(
        identifier,
        name.hex(),
        conversation,
        seq,
        place,
        sender,
        DeviceId(device),
        time_ms,
        decode_content(payload),
        _state(state, seq, delivered or 0, read or 0),
        sentence,
        notices,
    )


def _state(state: int, seq: int, delivered: int, read: int) -> MessageState:
    if state == PENDING:
        return MessageState.PENDING
    if state == FAILED:
        return MessageState.FAILED
    if state == RECEIVED:
        return MessageState.RECEIVED
    if seq and seq <= read:
        return MessageState.READ
    if seq and seq <= delivered:
        return MessageState.DELIVERED
    return MessageState.SENT


def _notices(database: sqlite3.Connection, conversation: str, seq: int) -> tuple[str, ...]:
    rows = database.execute(
        "SELECT account, device, reason FROM notices WHERE conversation = ? AND seq = ?", (conversation, seq)
    )
    return tuple(not_delivered_sentence(*checked(row, NoticeRow)) for row in rows)


def history(
    database: sqlite3.Connection, conversation: str, limit: int, before: StoredMessage | None
) -> list[StoredMessage]:
    """Return up to `limit` messages, the oldest first, that come before one (or the latest)."""
    place, identifier = (before.place, before.id) if before else (2**63 - 1, 2**63 - 1)
    rows = database.execute(
        f"SELECT {_COLUMNS} FROM messages m WHERE m.conversation = ? AND (m.place, m.id) < (?, ?)"
        " ORDER BY m.place DESC, m.id DESC LIMIT ?",
        (conversation, place, identifier, limit),
    ).fetchall()
    return [_message(database, row) for row in reversed(rows)]


def message_of(database: sqlite3.Connection, key: bytes) -> StoredMessage | None:
    """Return one message by its key."""
    row = database.execute(
        f"SELECT {_COLUMNS} FROM messages m WHERE m.client_id = ? OR m.message_id = ?", (key, key)
    ).fetchone()
    return _message(database, row) if row else None


def messages_after(database: sqlite3.Connection, identifier: int, limit: int) -> list[StoredMessage]:
    """Return received and unread messages in the order of their arrival after a certain one."""
    rows = database.execute(
        f"SELECT {_COLUMNS} FROM messages m JOIN conversations c ON c.id = m.conversation"
        f" WHERE m.id > ? AND m.state = {RECEIVED} AND m.seq > c.read ORDER BY m.id LIMIT ?",
        (identifier, limit),
    ).fetchall()
    return [_message(database, row) for row in rows]


def chats(database: sqlite3.Connection, account: AccountId) -> list[Chat]:
    """Return all conversations, the latest first."""
    rows = database.execute(
        "SELECT c.id, c.read, (SELECT count(*) FROM messages u WHERE u.conversation = c.id"
        f" AND u.state = {RECEIVED} AND u.seq > c.read) FROM conversations c ORDER BY c.changed_ms DESC, c.id"
    ).fetchall()
    found = []
    for conversation, read, unread in checked(rows, list[ChatRow]):
        latest = history(database, conversation, 1, None)
        other = other_account(conversation, account)
        found.append(Chat(conversation, other, unread, read, latest[0] if latest else None))
    return found
