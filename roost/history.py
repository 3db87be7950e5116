"""Reading the local history: conversations, messages, and how far each message has come."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from protocol import DeviceId
from protocol.messages import CHANGE
from roost.arrivals import not_delivered_sentences
from roost.content import Content, Text, decode_content
from roost.conversations import other_account
from roost.group import Progress
from roost.group_rows import all_groups
from roost.operations import Reacted, folded
from roost.own_state import RecordKind
from roost.records import values_of
from roost.registers import pending_registers, registers_of
from roost.rows import ChatRow, MessageRow, NoticeRow, QuotedRow, checked
from roost.schema import FAILED, PENDING, RECEIVED, SENT, SHOWN

if TYPE_CHECKING:
    from protocol import AccountId, ConversationId, MessageId
    from roost.group import Group
    from roost.operations import Folded

__all__ = ["Chat", "MessageState", "Quote", "StoredMessage", "chats", "history", "message_of", "messages_after"]


class MessageState(StrEnum):
    """How far a message has come; the first five are of our own messages."""

    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True)
class Quote:
    """What a message answers, as the local history has it now; nobody else's word is taken for it.

    Args:
        message_id: the message that is meant.
        sender: who wrote it; None if it is not here.
        content: what it says; None if it is not here.
    """

    message_id: MessageId
    sender: AccountId | None = None
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message of the local history, as it is after everything that was done to it.

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
        not_delivered: sentences that say which devices it did not reach; in a group, how many.
        message_id: the server's id; None before the server has it.
        edited: whether the author has changed what it says.
        reactions: of each account that reacted, in the order in which they did.
        quote: what it answers.
        disappears_s: seconds after reading at which it is forgotten; 0 for never.
        expires_ms: when it will be, once that is known, milliseconds since 1970.
        progress: how many it has reached, if it is ours and in a group; None before that was told.
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
    message_id: MessageId | None = None
    edited: bool = False
    reactions: tuple[Reacted, ...] = ()
    quote: Quote | None = None
    disappears_s: int = 0
    expires_ms: int | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation as a list shows it.

    Args:
        conversation: its id.
        other_account: with whom; our own account for the note to self, None in a group.
        unread: how many messages of others came after the last one read.
        read: how far we have read, by `seq`.
        latest: the last message, if there is any.
        archived: whether we have put it out of sight.
        muted: whether it shall make no noise.
        name: what we call the other account, or what the group is called; empty if there is no name.
        group: the group, if it is one that we know.
    """

    conversation: ConversationId
    other_account: AccountId | None
    unread: int
    read: int
    latest: StoredMessage | None
    archived: bool = False
    muted: bool = False
    name: str = ""
    group: Group | None = None

    @property
    def title(self) -> str:
        """What to show in a list: a name, or else with whom it is."""
        return self.name or self.other_account or self.conversation


_COLUMNS = """
    m.id, m.conversation, m.state, m.place, m.seq, m.client_id, m.message_id, m.sender, m.device,
    m.time_ms, m.flags, m.payload, m.sentence, m.timer_s, m.expires_ms, m.readers, m.delivered_to, m.read_by,
    (SELECT min(r.delivered) FROM receipts r WHERE r.conversation = m.conversation) AS delivered,
    (SELECT min(r.read) FROM receipts r WHERE r.conversation = m.conversation) AS read
"""


def _message(database: sqlite3.Connection, row: Any) -> StoredMessage:
    (
        identifier, conversation, state, place, seq, client_id, message_id, sender, device,
        time_ms, flags, payload, sentence, timer_s, expires_ms, readers, delivered_to, read_by, delivered, read,
    ) = checked(row, MessageRow)  # fmt: skip
    name = client_id or message_id
    if name is None:
        raise sqlite3.DatabaseError("a message has no id")
    notices = () if state in (PENDING, RECEIVED) or not seq else _notices(database, conversation, seq)
    now = _folded(database, conversation, message_id, sender, decode_content(payload, flags))
    progress = Progress(readers, delivered_to, read_by) if readers and state == SENT else None
    return StoredMessage(
        identifier,
        name.hex(),
        conversation,
        seq,
        place,
        sender,
        DeviceId(device),
        time_ms,
        now.content,
        _state(state, seq, delivered or 0, read or 0, progress),
        sentence,
        notices,
        message_id,
        now.edited,
        now.reactions,
        _quote(database, conversation, now.content),
        timer_s,
        expires_ms,
        progress,
    )


def _folded(
    database: sqlite3.Connection, conversation: str, message_id: MessageId | None, sender: AccountId, content: Content
) -> Folded:
    if message_id is None:
        return folded(content, sender, ())
    registers = {(one.account, one.kind): one for one in registers_of(database, conversation, message_id)}
    # What we did last stands before the server has it, and falls if the server refuses it.
    registers.update(((one.account, one.kind), one) for one in pending_registers(database, conversation, message_id))
    return folded(content, sender, registers.values())


def _quote(database: sqlite3.Connection, conversation: str, content: Content) -> Quote | None:
    if not isinstance(content, Text) or content.reply_to is None:
        return None
    row = database.execute(
        "SELECT sender, flags, payload FROM messages WHERE message_id = ? AND conversation = ?",
        (content.reply_to, conversation),
    ).fetchone()
    if row is None:
        return Quote(content.reply_to)
    sender, flags, payload = checked(row, QuotedRow)
    now = _folded(database, conversation, content.reply_to, sender, decode_content(payload, flags))
    return Quote(content.reply_to, sender, now.content)


def _state(state: int, seq: int, delivered: int, read: int, progress: Progress | None) -> MessageState:
    if state == PENDING:
        return MessageState.PENDING
    if state == FAILED:
        return MessageState.FAILED
    if state == RECEIVED:
        return MessageState.RECEIVED
    if seq and (progress.read_by_all if progress else seq <= read):
        return MessageState.READ
    if seq and (progress.delivered_to_all if progress else seq <= delivered):
        return MessageState.DELIVERED
    return MessageState.SENT


def _notices(database: sqlite3.Connection, conversation: str, seq: int) -> tuple[str, ...]:
    rows = database.execute(
        "SELECT account, device, reason FROM notices WHERE conversation = ? AND seq = ?", (conversation, seq)
    )
    return not_delivered_sentences([checked(row, NoticeRow) for row in rows])


def _shown(now_ms: int) -> str:
    """Return which messages are to be seen: not what waits in the outbox only, nor what has disappeared by now."""
    return f"m.kind = {SHOWN} AND (m.expires_ms IS NULL OR m.expires_ms > {now_ms:d})"


def history(
    database: sqlite3.Connection, conversation: str, limit: int, before: StoredMessage | None, now_ms: int
) -> list[StoredMessage]:
    """Return up to `limit` messages, the oldest first, that come before one (or the latest)."""
    place, identifier = (before.place, before.id) if before else (2**63 - 1, 2**63 - 1)
    rows = database.execute(
        f"SELECT {_COLUMNS} FROM messages m WHERE m.conversation = ? AND (m.place, m.id) < (?, ?)"
        f" AND {_shown(now_ms)} ORDER BY m.place DESC, m.id DESC LIMIT ?",
        (conversation, place, identifier, limit),
    ).fetchall()
    return [_message(database, row) for row in reversed(rows)]


def message_of(database: sqlite3.Connection, key: bytes, now_ms: int) -> StoredMessage | None:
    """Return one message by its key."""
    row = database.execute(
        f"SELECT {_COLUMNS} FROM messages m WHERE (m.client_id = ? OR m.message_id = ?) AND {_shown(now_ms)}",
        (key, key),
    ).fetchone()
    return _message(database, row) if row else None


def messages_after(
    database: sqlite3.Connection, account: AccountId, identifier: int, limit: int, now_ms: int
) -> list[StoredMessage]:
    """Return messages of others, received and unread, in the order of their arrival after a certain one."""
    rows = database.execute(
        f"SELECT {_COLUMNS} FROM messages m JOIN conversations c ON c.id = m.conversation"
        f" WHERE m.id > ? AND m.sender != ? AND m.state = {RECEIVED} AND m.seq > c.read AND {_shown(now_ms)}"
        " ORDER BY m.id LIMIT ?",
        (identifier, account, limit),
    ).fetchall()
    return [_message(database, row) for row in rows]


def chats(database: sqlite3.Connection, account: AccountId, now_ms: int) -> list[Chat]:
    """Return all conversations in which there was anything to see, the latest first, and then our silent groups.

    To a device that is new nothing may have been said yet in a group that the account has belonged to for long.
    """
    rows = database.execute(
        "SELECT c.id, c.read, (SELECT count(*) FROM messages m WHERE m.conversation = c.id"
        f" AND m.state = {RECEIVED} AND m.seq > c.read AND m.flags & {CHANGE} = 0 AND {_shown(now_ms)})"
        " FROM conversations c WHERE c.changed_ms > 0 ORDER BY c.changed_ms DESC, c.id"
    ).fetchall()
    found = []
    archived, muted, names = (
        values_of(database, kind) for kind in (RecordKind.ARCHIVED, RecordKind.MUTED, RecordKind.NAME)
    )
    groups = {group.conversation: group for group in all_groups(database)}
    talked = checked(rows, list[ChatRow])
    heard = {conversation for conversation, _, _ in talked}
    silent = sorted((one.name, one.conversation) for one in groups.values() if one.is_open)
    talked += [(conversation, 0, 0) for _, conversation in silent if conversation not in heard]
    for conversation, read, unread in talked:
        latest = history(database, conversation, 1, None, now_ms)
        other, group = other_account(conversation, account), groups.get(conversation)
        found.append(
            Chat(
                conversation,
                other,
                unread,
                read,
                latest[0] if latest else None,
                conversation in archived,
                conversation in muted,
                names.get(other, "") if other is not None else group.name if group is not None else "",
                group,
            )
        )
    return found
