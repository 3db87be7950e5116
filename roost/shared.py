"""`Client.state`: what all our devices share, changed here and told to the others.

What a device has missed, because its file is an old copy or its queue on the server was full, it gets by asking: when
it connects after a new epoch, after much has waited for it, or after a day. It is told what differs. An answer is owed
until it has been given, also by the next program.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from protocol import IdentifierError, direct_conversation, normalized_name
from roost.arrivals import WAITING_MUCH
from roost.conversations import account_address
from roost.errors import RoostError, TextError
from roost.own_state import (
    KNOWN_SIZE_BYTES,
    SUBJECT_LENGTH_MAX,
    VALUE_LENGTH_MAX,
    Gone,
    MessagesGone,
    Record,
    RecordKind,
    Records,
    StateWanted,
    encode_own_state,
    messages_of,
)
from roost.records import WANTED
from roost.state_digest import differing, digests_of
from roost.successor import ASKED_FACT

if TYPE_CHECKING:
    from roost.client import Client
    from roost.history import StoredMessage
    from roost.own_state import OwnState
    from roost.ports import Clock
    from roost.sending import Sending
    from roost.store import Store

__all__ = ["SharedState", "is_due"]

_ASK_INTERVAL_MS: Final = 24 * 3_600_000
_ASK_INTERVAL_DOUBTED_MS: Final = 3_600_000
_ASK_INTERVAL_S_MIN: Final = 60.0
"""However often the epoch changes."""
_ANSWER_INTERVAL_S_MIN: Final = 5.0
"""What is asked meanwhile is answered together."""
_FOREVER: Final = "forever"


def is_due(asked_ms: int, now_ms: int, *, doubted: bool) -> bool:
    """Return whether to ask our other devices for what this one does not have.

    Args:
        asked_ms: when it asked last; 0 if never, or if it knows since then that it is an old copy.
        now_ms: the present time; a calendar that was set back means nothing.
        doubted: whether something may be missing: the program has begun, or much had waited.
    """
    return not 0 <= now_ms - asked_ms < (_ASK_INTERVAL_DOUBTED_MS if doubted else _ASK_INTERVAL_MS)


class SharedState:
    """The state that our devices share.

    Each change is on the disk when its method returns, holds here from then on, and waits in the outbox for the others
    if need be; what is returned tells when the server has it for them. Raises what `Client.send` raises.

    Args:
        client: whose state it is.
        store: its database.
        clock: the time.
    """

    def __init__(self, client: Client, store: Store, clock: Clock) -> None:
        self._client = client
        self._store = store
        self._clock = clock
        self._stamp = store.stamp_seen
        self._asking, self._answering = asyncio.Lock(), asyncio.Lock()
        self._doubted = True
        self._ask_not_before_s = self._answer_not_before_s = 0.0

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
            await self._tell(MessagesGone((Gone(message.conversation, message.message_id, opened),)))

    async def ask(self) -> None:
        """Ask the other devices for what this one does not have, if that is due and there are others."""
        async with self._asking:
            await self._client.caught_up()
            if self._client._runner.session.devices.known is None:  # a device that is new has yet to hear of the others
                with suppress(RoostError):
                    await self._client.devices.list()
            devices = self._client._runner.session.devices.known
            now_s, now_ms = self._clock.now_s(), self._clock.wall_ms()
            if devices is None or len(devices.devices) < 2 or now_s < self._ask_not_before_s:
                return
            doubted = self._doubted or self._client.connection.waiting >= WAITING_MUCH
            self._doubted = False
            asked_ms = int.from_bytes(await self._client._in_store(self._store.fact, ASKED_FACT, b""), "big")
            if is_due(asked_ms, now_ms, doubted=doubted):
                self._ask_not_before_s = now_s + _ASK_INTERVAL_S_MIN
                await self._tell(StateWanted(await self._client._in_store(lambda: digests_of(self._store.shared()))))
                asked = now_ms.to_bytes(8, "big")
                await self._client._in_store(lambda: self._store.set_facts(**{ASKED_FACT: asked}))

    async def answer(self) -> None:
        """Tell the other devices what those that have asked do not have, if any has."""
        async with self._answering:
            await self._client.caught_up()
            if not await self._client._in_store(self._store.fact, WANTED, b""):
                return
            await asyncio.sleep(max(0.0, self._answer_not_before_s - self._clock.now_s()))
            wanted = await self._client._in_store(self._store.fact, WANTED, b"")
            known = wanted[:KNOWN_SIZE_BYTES].ljust(KNOWN_SIZE_BYTES, b"\0")
            lacking = await self._client._in_store(lambda: differing(known, self._store.shared()))
            if lacking:
                self._answer_not_before_s = self._clock.now_s() + _ANSWER_INTERVAL_S_MIN
            for message in messages_of(lacking):
                await self._tell(message)
            await self._client._in_store(self._store.drop_fact, WANTED, wanted)

    async def _tell(self, state: OwnState) -> Sending:
        own = direct_conversation(self._client.account, self._client.account)
        return await self._client._queue(own, encode_own_state(state), 0, False)
