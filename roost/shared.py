"""`Client.state`: what all our devices share, changed here and told to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol import IdentifierError, direct_conversation, normalized_name
from roost.conversations import account_address
from roost.errors import TextError
from roost.own_state import (
    RECORDS_PER_MESSAGE_MAX,
    SUBJECT_LENGTH_MAX,
    VALUE_LENGTH_MAX,
    Gone,
    Record,
    RecordKind,
    Records,
    StateWanted,
    encode_own_state,
)
from roost.successor import ASKED_FACT

if TYPE_CHECKING:
    from roost.client import Client
    from roost.history import StoredMessage
    from roost.own_state import OwnState
    from roost.sending import Sending
    from roost.store import Store

__all__ = ["SharedState"]

_FOREVER: Final = "forever"


class SharedState:
    """The state that our devices share.

    Each change is on the disk when its method returns, holds here from then on, and waits in the outbox for the others
    if need be; what is returned tells when the server has it for them. Raises what `Client.send` raises.

    Args:
        client: whose state it is.
        store: its database.
    """

    def __init__(self, client: Client, store: Store) -> None:
        self._client = client
        self._store = store
        self._stamp = store.stamp_seen
        self._asked = bool(store.fact(ASKED_FACT, b""))

    async def archive(self, conversation: str, archived: bool = True) -> Sending:
        """Put a conversation out of sight, or back."""
        return await self._set(
            RecordKind.ARCHIVED, self._client.conversation_with(conversation), "yes" if archived else ""
        )

    async def mute(self, conversation: str, muted: bool = True) -> Sending:
        """Let a conversation make no noise, or let it again."""
        return await self._set(
            RecordKind.MUTED, self._client.conversation_with(conversation), _FOREVER if muted else ""
        )

    async def name(self, account: str, name: str) -> Sending:
        """Call an account by a name of our own, which nobody else sees; an empty one takes it back.

        Raises:
            AddressError: the account is not written correctly.
            TextError: the name is longer than 256 characters, or cannot be shown.
        """
        who = account_address(account)
        try:
            called = normalized_name(name, VALUE_LENGTH_MAX) if name.strip() else ""
        except IdentifierError as error:
            raise TextError(error.sentence, error.code) from error
        return await self._set(RecordKind.NAME, who, called)

    async def names(self) -> dict[str, str]:
        """Return the names that we gave to accounts."""
        return await self._client._in_store(self._store.record_values, RecordKind.NAME)

    async def change_setting(self, setting: str, value: str) -> Sending:
        """Keep a setting of the application's own; an empty value takes it back.

        Raises:
            TextError: its name or value is too long.
        """
        return await self._set(RecordKind.SETTING, setting, value)

    async def settings(self) -> dict[str, str]:
        """Return the settings of the application's own."""
        return await self._client._in_store(self._store.record_values, RecordKind.SETTING)

    async def _set(self, kind: RecordKind, subject: str, value: str) -> Sending:
        if len(subject) > SUBJECT_LENGTH_MAX or len(value) > VALUE_LENGTH_MAX:
            raise TextError(f"That is too long: at most {VALUE_LENGTH_MAX} characters can be kept.")
        value = value.encode("utf-8", "replace").decode()
        # Later than all that this device has seen, and than what it writes at this moment.
        self._stamp = max(self._stamp, self._store.stamp_seen) + 1
        return await self._tell(Records((Record(kind, subject, self._stamp, self._client.device, value),)))

    async def gone(self, message: StoredMessage, *, opened: bool) -> None:
        """Let a message be gone for us, here and on the other devices, in one step."""
        if message.message_id is not None:
            await self._tell(Gone(message.conversation, message.message_id, opened))

    async def ask(self) -> None:
        """Ask the other devices for everything, once in the life of this one."""
        if not self._asked:
            self._asked = True
            await self._tell(StateWanted())
            await self._client._in_store(lambda: self._store.set_facts(**{ASKED_FACT: b"\1"}))

    async def tell_all(self) -> None:
        """Tell the other devices everything, because a new one has asked."""
        records = await self._client._in_store(self._store.records)
        for start in range(0, len(records), RECORDS_PER_MESSAGE_MAX):
            await self._tell(Records(tuple(records[start : start + RECORDS_PER_MESSAGE_MAX])))

    async def _tell(self, state: OwnState) -> Sending:
        own = direct_conversation(self._client.account, self._client.account)
        return await self._client._queue(own, encode_own_state(state), 0, False)
