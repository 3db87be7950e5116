"""What a person says, and does to what was said: each becomes a message, durable in the outbox before it returns."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from roost.content import (
    TIMER_S_MAX,
    Deleted,
    Deletion,
    Edit,
    Reaction,
    Text,
    ViewOnce,
    encode_operation,
    encode_text,
    encode_timer,
    encode_view_once,
    is_emoji,
)
from roost.errors import MessageError, TextError
from roost.group import GroupChange
from roost.operations import EDIT_WINDOW_MS
from roost.sending import Sending

if TYPE_CHECKING:
    from typing import TypeAlias

    from protocol import AccountId, ConversationId, MessageId
    from roost.events import MessageReceived
    from roost.history import StoredMessage

    Named: TypeAlias = str | StoredMessage | MessageReceived | Sending
    """A message, by its key or by what gave it."""

__all__ = ["Writing", "whole_text"]

_TTL_S_MAX: Final = 2**32 - 1


class Writing(ABC):
    """The writing half of a client.

    A message is named by what `send`, `history` or an event gave, or by its key. Every method that writes raises,
    beside what stands with it, `OutboxFullError` if too many messages wait already, `StoreError` if the local disk is
    full or fails, and `StoppedError` if the session ended for good; every one about a message `MessageError` if it is
    not in the history any more, or if that cannot be done with it.
    """

    account: AccountId

    @abstractmethod
    def conversation_with(self, name: str) -> ConversationId:
        """Return the conversation that is meant by a name."""

    @abstractmethod
    async def message(self, key: str) -> StoredMessage | None:
        """Return one message of the history by its key."""

    @abstractmethod
    def timer(self, conversation: str) -> int:
        """Return after how many seconds messages disappear that are written now; 0 for never."""

    @abstractmethod
    async def _queue(self, conversation: ConversationId, payload: bytes, ttl_s: int, urgent: bool) -> Sending:
        """Put a message into the outbox; return when it is durable there."""

    @abstractmethod
    async def _delete(self, message: StoredMessage) -> None:
        """Remove a message from the local history."""

    @abstractmethod
    async def _open_once(self, message: StoredMessage) -> str | None:
        """Take the text out of a view-once message."""

    async def send(
        self, to: str, text: str, *, ttl_s: int = 0, urgent: bool = True, view_once: bool = False
    ) -> Sending:
        """Send a text; return when it is durable in the outbox, connected or not.

        Args:
            to: an account's address, or a conversation.
            text: what to say.
            ttl_s: seconds after which it need not be delivered any more; 0 for the server's own limit.
            urgent: whether it comes at once to a device in the background, too, as what a person writes should; what a
                program says that can wait a few seconds is better not.
            view_once: whether the reader may see it once only, and we ourselves no more.

        Raises:
            AddressError: `to` is not written correctly.
            TextError: the text is empty or too long.
        """
        conversation = self.conversation_with(to)
        if not 0 <= ttl_s <= _TTL_S_MAX:
            raise TextError("The time to live is a number of seconds, 0 or more.")
        encode = encode_view_once if view_once else encode_text
        payload = encode(whole_text(text), disappears_s=self.timer(conversation))
        return await self._queue(conversation, payload, ttl_s, urgent)

    async def reply(self, message: Named, text: str) -> Sending:
        """Answer a message, which is shown above the answer.

        Raises:
            TextError: the text is empty or too long.
        """
        answered = await self._accepted(message)
        disappears_s = self.timer(answered.conversation)
        payload = encode_text(whole_text(text), reply_to=_id(answered), disappears_s=disappears_s)
        return await self._queue(answered.conversation, payload, 0, True)

    async def forward(self, message: Named, to: str) -> Sending:
        """Send the text of a message to somebody, marked as forwarded.

        Raises:
            AddressError: `to` is not written correctly.
        """
        conversation = self.conversation_with(to)
        content = (await self._here(message)).content
        if not isinstance(content, Text):
            raise MessageError("Only a text can be forwarded, and not one that is shown once.")
        payload = encode_text(content.text, forwarded=True, disappears_s=self.timer(conversation))
        return await self._queue(conversation, payload, 0, True)

    async def react(self, message: Named, emoji: str) -> Sending:
        """React to a message, in place of an earlier reaction of ours; with an empty text take it back.

        Raises:
            TextError: that is no emoji, but a longer text.
        """
        if emoji and not is_emoji(emoji):
            raise TextError("A reaction is one emoji, or a few letters without spaces.")
        target = await self._accepted(message)
        payload = encode_operation(Reaction(_id(target), emoji))
        return await self._queue(target.conversation, payload, 0, False)

    async def edit(self, message: Named, text: str) -> Sending:
        """Give a text of ours, not older than 15 minutes, new words. Who has read the old ones, has read them.

        Raises:
            TextError: the text is empty or too long.
        """
        target = await self._own(message)
        if not isinstance(target.content, Text):
            raise MessageError("Only a text can be edited, and not one that is shown once.")
        if time.time_ns() // 1_000_000 - target.time_ms > EDIT_WINDOW_MS:
            raise MessageError("This message is older than 15 minutes, so it cannot be edited any more.")
        return await self._queue(target.conversation, encode_operation(Edit(_id(target), whole_text(text))), 0, True)

    async def delete_for_everyone(self, message: Named) -> Sending:
        """Delete a message of ours on every device that hears of it."""
        target = await self._own(message)
        if isinstance(target.content, GroupChange):
            raise MessageError("That a group was changed cannot be deleted for everyone, only for us.")
        return await self._queue(target.conversation, encode_operation(Deletion(_id(target))), 0, True)

    async def delete(self, message: Named) -> None:
        """Delete a message, whoever wrote it, for us only."""
        target = await self._here(message)
        if target.message_id is None and not target.sentence:
            raise MessageError(_NOT_SENT)
        await self._delete(target)

    async def open_once(self, message: Named) -> str:
        """Return the text of a view-once message: this once, for it is gone from the disk when this returns."""
        target = await self._here(message)
        text = None
        if isinstance(target.content, ViewOnce) and target.sender != self.account:
            text = await self._open_once(target)
        if text is None:
            raise MessageError("There is nothing to open: it was opened before, or is not shown once, or is ours.")
        return text

    async def set_timer(self, to: str, seconds: int) -> Sending:
        """Let messages of a conversation, on all sides, disappear so long after they were read; 0 for never.

        It counts for what is written from now on, and the others are told. What we write ourselves disappears so long
        after it was sent.

        Raises:
            AddressError: `to` is not written correctly.
            TextError: that is no number of seconds.
        """
        if not 0 <= seconds <= TIMER_S_MAX:
            raise TextError("A timer is a number of seconds, or 0 to switch it off.")
        return await self._queue(self.conversation_with(to), encode_timer(seconds), 0, True)

    async def _here(self, message: Named) -> StoredMessage:
        match message:
            case str():
                key = message
            case Sending():
                key = message.id
            case _:
                key = message.key
        found = await self.message(key)
        if found is None:
            raise MessageError("This message is not in the history of this device any more.")
        return found

    async def _accepted(self, message: Named) -> StoredMessage:
        found = await self._here(message)
        if found.message_id is None:
            raise MessageError("The server refused this message." if found.sentence else _NOT_SENT)
        if isinstance(found.content, Deleted):
            raise MessageError("This message was deleted.")
        return found

    async def _own(self, message: Named) -> StoredMessage:
        found = await self._accepted(message)
        if found.sender != self.account:
            raise MessageError("This message is not ours, so only its author can do that.")
        return found


_NOT_SENT: Final = "This message still waits in the outbox. Wait for its ✓."


def _id(message: StoredMessage) -> MessageId:
    assert message.message_id is not None, "it was sent"
    return message.message_id


def whole_text(text: str) -> str:
    """Return a text as it can be sent.

    Raises:
        TextError: it is empty.
    """
    if not text or text.isspace():
        raise TextError("The message is empty.")
    # A terminal can hand over half characters; nobody could show them.
    return text.encode("utf-8", "replace").decode()
