"""What a message comes to once it has its place: a row of the history, or something done to another row.

Everything here runs within a transaction of the `Store`. What it means for the application stands in `events`, to be
told after the commit; `erased` says that words are gone which must not be found in the file either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import AccountId, direct_conversation
from protocol.messages import CHANGE
from roost import records, registers
from roost.content import (
    Deletion,
    Edit,
    Reaction,
    Text,
    TimerSet,
    ViewOnce,
    decode_content,
    encode_view_once,
)
from roost.events import (
    MessageDeleted,
    MessageEdited,
    MessageForgotten,
    MessageOpened,
    ReactionChanged,
    StateAsked,
    StateChanged,
)
from roost.operations import OPENED, Register, RegisterKind, counts, register_of
from roost.own_state import MessagesGone, Records, StateWanted
from roost.rows import LandingRow, NamedRow, SenderRow, checked
from roost.schema import RECEIVED

if TYPE_CHECKING:
    import sqlite3

    from protocol import ConversationId, MessageId
    from roost.content import Content, Operation
    from roost.events import Event
    from roost.own_state import OwnState

__all__ = ["LANDING_COLUMNS", "Landing"]

LANDING_COLUMNS = "id, conversation, seq, client_id, message_id, sender, time_ms, flags, payload"


class Landing:
    """Where messages land.

    Args:
        database: the account's.
        account: who we are.
    """

    __slots__ = ("_database", "account", "erased", "events", "stamp_seen", "timed")

    def __init__(self, database: sqlite3.Connection, account: AccountId) -> None:
        self._database = database
        self.account = account
        self.events: list[Event] = []
        self.erased = False
        self.stamp_seen = 0
        self.timed = False
        """Whether the next message to disappear may be another one now."""

    def take_events(self) -> list[Event]:
        """Return what happened since the last call."""
        events, self.events = self.events, []
        return events

    def land(self, row: object, now_ms: int, *, just_sent: bool = False) -> bool:
        """Give a message whose id and `seq` are known what is due to it, or to the message that it is about.

        Returns whether it stands in the history.

        Args:
            row: its LANDING_COLUMNS.
            now_ms: the present time.
            just_sent: whether this device has sent it now; if not, ours may have been sent long ago by another one.
        """
        landing: LandingRow = checked(row, LandingRow)
        identifier, conversation, seq, client_id = landing.id, landing.conversation, landing.seq, landing.client_id
        message_id, sender, flags = landing.message_id, landing.sender, landing.flags
        content = decode_content(landing.payload, flags)
        if isinstance(content, Records | StateWanted | MessagesGone):
            self._database.execute("DELETE FROM messages WHERE id = ?", (identifier,))
            if not just_sent:  # what this device says itself it did when it said it
                self.share(conversation, sender, content, seq)
            return False
        if isinstance(content, Reaction | Edit | Deletion):
            self._database.execute("DELETE FROM messages WHERE id = ?", (identifier,))
            self._operate(conversation, content, register_of(content, sender, seq, message_id))
            return False
        if isinstance(content, TimerSet):
            self._database.execute(
                "UPDATE conversations SET timer_s = ?, timer_seq = ? WHERE id = ? AND timer_seq < ?",
                (content.seconds, seq, conversation, seq),
            )
        own = sender == self.account
        if own and isinstance(content, ViewOnce) and not content.opened:
            self._empty(identifier, encode_view_once(None, disappears_s=content.disappears_s))
        sent_ms = now_ms if just_sent else min(landing.time_ms, now_ms)
        self._begin_timer(identifier, content, sent_ms if own else None)
        author = _author(sender, flags)
        for register in registers.adopt(self._database, conversation, message_id, author, self.account):
            self._happened(conversation, identifier, client_id or message_id, message_id, register)
            if register.kind is RegisterKind.HIDDEN and register.value != OPENED:
                return False
        return True

    def _begin_timer(self, identifier: int, content: Content, from_ms: int | None) -> None:
        """Note after how long a message disappears; from when on, is known at once only for our own."""
        if isinstance(content, Text | ViewOnce) and content.disappears_s:
            self.timed = True
            expires_ms = None if from_ms is None else from_ms + content.disappears_s * 1000
            self._database.execute(
                "UPDATE messages SET timer_s = ?, expires_ms = ? WHERE id = ?",
                (content.disappears_s, expires_ms, identifier),
            )

    def begin_timers(self, conversation: ConversationId, read: int, now_ms: int) -> None:
        """Let the time of everything that was read run from now on."""
        begun = self._database.execute(
            "UPDATE messages SET expires_ms = ? + timer_s * 1000 WHERE conversation = ? AND seq <= ?"
            f" AND state = {RECEIVED} AND timer_s > 0 AND expires_ms IS NULL",
            (now_ms, conversation, read),
        )
        self.timed = self.timed or begun.rowcount > 0

    # Operations.

    def _operate(self, conversation: ConversationId, operation: Operation, register: Register | None) -> None:
        if register is None:
            return  # an edit that came too late
        row = self._database.execute(
            "SELECT id, client_id, message_id, sender, flags FROM messages WHERE message_id = ? AND conversation = ?",
            (operation.target, conversation),
        ).fetchone()
        if row is None:
            registers.keep(self._database, conversation, operation.target, register, orphan=True)
            return
        identifier, client_id, message_id, sender, flags = checked(row, SenderRow)
        author = _author(sender, flags)
        if not counts(register, author) or registers.deleted_by(self._database, conversation, message_id, author):
            return
        if registers.keep(self._database, conversation, message_id, register, orphan=False):
            self._happened(conversation, identifier, client_id or message_id, message_id, register)

    def _happened(
        self, conversation: ConversationId, identifier: int, name: bytes, message_id: MessageId, register: Register
    ) -> None:
        key = name.hex()
        match register.kind:
            case RegisterKind.REACTION:
                self.events.append(ReactionChanged(conversation, key, register.account, register.value))
            case RegisterKind.EDIT:
                self.erased = True
                self.events.append(MessageEdited(conversation, key, register.value))
            case RegisterKind.DELETION:
                self._empty(identifier, b"")
                registers.drop_text(self._database, conversation, message_id)
                self.events.append(MessageDeleted(conversation, key))
            case RegisterKind.HIDDEN if register.value == OPENED:
                self._open(identifier)
            case RegisterKind.HIDDEN:
                self.forget(identifier)

    # What our devices tell each other.

    def share(self, conversation: ConversationId, sender: AccountId, state: OwnState, seq: int = 0) -> None:
        """Do what one of our devices says, if it is one of ours who says it to us."""
        if sender != self.account or conversation != direct_conversation(self.account, self.account):
            return
        match state:
            case Records(shared):
                for record in shared:
                    self.stamp_seen = max(self.stamp_seen, record.stamp)
                    if records.merge(self._database, record):
                        self.events.append(StateChanged(record.kind, record.subject, record.value))
            case MessagesGone(messages):
                for gone in messages:
                    self.hide(gone.conversation, gone.target, opened=gone.opened)
            case StateWanted(known):
                records.want(self._database, known, seq)
                self.events.append(StateAsked())

    # Forgetting.

    def _empty(self, identifier: int, payload: bytes) -> None:
        self.erased = True
        self._database.execute("UPDATE messages SET payload = ? WHERE id = ?", (payload, identifier))

    def forget(self, identifier: int) -> None:
        """Remove a message from the history, and what was done to it."""
        row = self._database.execute(
            "SELECT conversation, client_id, message_id FROM messages WHERE id = ?", (identifier,)
        ).fetchone()
        if row is None:
            return
        conversation, client_id, message_id = checked(row, NamedRow)
        self.erased = self.timed = True
        self._database.execute("DELETE FROM messages WHERE id = ?", (identifier,))
        if message_id is not None:
            registers.forget(self._database, conversation, message_id)
        self.events.append(MessageForgotten(conversation, (client_id or message_id or b"").hex()))

    def hide(self, conversation: ConversationId, message_id: MessageId, *, opened: bool = False) -> None:
        """Remove a message for good, here or not: if it comes again, or only later, it is not shown.

        Args:
            conversation: where it is.
            message_id: which one.
            opened: only its words go, because it was shown once; being deleted goes further, whichever comes first.
        """
        hidden = Register(self.account, RegisterKind.HIDDEN, int(not opened), OPENED if opened else "")
        registers.keep(self._database, conversation, message_id, hidden, orphan=False)
        row = self._database.execute(
            "SELECT id, client_id, message_id, sender, flags FROM messages WHERE message_id = ? AND conversation = ?",
            (message_id, conversation),
        ).fetchone()
        if row is not None and opened:
            self._open(checked(row, SenderRow)[0])
        elif row is not None:
            self.forget(checked(row, SenderRow)[0])

    def _open(self, identifier: int) -> None:
        row = self._database.execute(f"SELECT {LANDING_COLUMNS} FROM messages WHERE id = ?", (identifier,)).fetchone()
        if row is None:
            return
        landing: LandingRow = checked(row, LandingRow)
        content = decode_content(landing.payload)
        if isinstance(content, ViewOnce) and not content.opened:
            self._empty(identifier, encode_view_once(None, disappears_s=content.disappears_s))
            self.events.append(MessageOpened(landing.conversation, (landing.client_id or landing.message_id).hex()))


def _author(sender: AccountId, flags: int) -> AccountId:
    """Who may edit or delete a message: nobody what the server says about a change, for it is so, whoever made it."""
    return AccountId("") if flags & CHANGE else sender
