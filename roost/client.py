"""The client an application uses: send, read events, look at the history, ask the server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar
from weakref import WeakSet, WeakValueDictionary

from protocol import AccountId, device_id_of
from protocol.messages import URGENT, DeviceList
from roost.address import ServerAddress
from roost.changes import Pinned
from roost.content import encode_text
from roost.conversations import conversation_with
from roost.errors import (
    AccountMissingError,
    ConnectionClosedError,
    NotConnectedError,
    RoostError,
    SendFailedError,
    StoppedError,
    TextError,
)
from roost.events import (
    ConnectionChanged,
    ConnectionState,
    DeviceMissed,
    MessageDelayed,
    MessageFailed,
    MessageQueued,
    MessageSent,
    ProgressChanged,
    QueueDrained,
    ReceiptChanged,
    StateAsked,
)
from roost.history import MessageState
from roost.own_devices import OwnDevices, Pins
from roost.own_groups import OwnGroups
from roost.ports import SystemClock
from roost.power import Power
from roost.queries import Queries
from roost.reconnection import NO_DEVICE_ANY_MORE
from roost.runner import Runner
from roost.sealing import Sealing
from roost.sending import Sending
from roost.shared import SharedState
from roost.streams import EventStream
from roost.timers import Timers
from roost.writing import Writing, whole_text

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from protocol import ConversationId
    from protocol.messages import Frame
    from roost.events import DeviceNews, Event
    from roost.history import Chat, StoredMessage
    from roost.sealing import Sealer
    from roost.steps import Answered
    from roost.store import Store

__all__ = ["Client"]

_WAY_BACK: Final = "What was said stays on this computer; with its history it becomes a device again by:"

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


class Client(Writing, Queries):
    """An open account. Made by `roost.connect`. `account` says which it is, and `device` which of its devices this is.

    Everything durable is in the local database, so most methods work offline too; those that need the server say so.
    After `close` the database is closed, too: whatever needs it raises `ConnectionClosedError`.
    """

    def __init__(
        self, store: Store, *, foreground: bool = True, power: Power = Power.BATTERY, sealer: Sealer | None = None
    ) -> None:
        super().__init__()
        if not store.account:
            raise AccountMissingError(
                f"The registration of {store.path.stem} was never finished. Register again: roost register"
            )
        self.account: AccountId = store.account
        self.device = device_id_of(store.static_key().public)
        self.server = ServerAddress.parse(store.server)
        self._store = store
        self._stopped: ConnectionChanged | None = None
        self._closed = False
        self._sendings: WeakValueDictionary[str, Sending] = WeakValueDictionary()
        self._queued: dict[str, asyncio.Future[None]] = {}
        self._receipts: dict[ConversationId, tuple[int, int]] = {}
        self._progress: dict[ConversationId, ProgressChanged] = {}
        self._streams: WeakSet[EventStream] = WeakSet()
        self._first_stream: EventStream | None = EventStream()
        self._streams.add(self._first_stream)
        self._online = asyncio.Event()
        self._drained = asyncio.Event()
        self.connection = ConnectionChanged(ConnectionState.CONNECTING)
        snapshot = store.snapshot()
        self._timers = Timers(snapshot)
        self.state = SharedState(self, store, SystemClock())
        self._sharing: set[asyncio.Task[None]] = set()
        self._runner = Runner(
            store,
            snapshot,
            self.server,
            self._publish,
            self._answered,
            foreground=foreground,
            power=power,
            sealing=None if sealer is None else Sealing(sealer, self.device),
        )
        self.devices = OwnDevices(
            self._runner.session,
            self._ask,
            self._answer_to,
            self._runner.wake,
            self.wait_online,
            Pins(
                lambda account: self._in_store(store.pin, account),
                lambda account, pin: self._in_store(store.apply, [Pinned(AccountId(account), pin)]),
                lambda: self._in_store(lambda: store.server_key),
            ),
        )
        self.groups = OwnGroups(self, store)
        self._runner.start()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Store what is decided, say goodbye and close; what is unsent stays in the outbox."""
        if self._closed:
            return
        self._closed = True
        for task in self._sharing:
            task.cancel()
        await self._runner.stop()
        self._end(ConnectionClosedError("The client was closed; what is unsent stays in the outbox."))

    # Events.

    def events(self) -> EventStream:
        """Return the events from now on; the first stream asked for holds them from the very start."""
        stream, self._first_stream = self._first_stream, None
        return stream or self._events_from_now()

    def _events_from_now(self) -> EventStream:
        stream = EventStream()
        self._streams.add(stream)
        if self._closed or self._stopped:
            stream.end()
        return stream

    async def wait_online(self) -> None:
        """Wait until the session is ready.

        Raises:
            StoppedError: it ended for good and never will be.
        """
        await self._online.wait()
        self.check_running()

    async def caught_up(self) -> None:
        """Wait until everything is in the history that waited on the server when this connection was made.

        After a connection has broken, it waits for the next one to have brought what waited then.

        Raises:
            StoppedError: the session ended for good.
            ConnectionClosedError: the client was closed first.
        """
        self.check_running()
        await self._drained.wait()
        self.check_running()

    def retry_now(self) -> None:
        """Connect at once instead of after the back-off, because the network has changed."""
        self._runner.retry_now()

    # Messages.

    def conversation_with(self, name: str) -> ConversationId:
        """Return the conversation that is meant by an account's address, by "#" and a group's name, or by its own id.

        Raises:
            AddressError: it is none of these, or a conversation of others.
        """
        return conversation_with(self.account, name, self._runner.session.groups.all())

    async def _queue(self, conversation: ConversationId, payload: bytes, ttl_s: int, urgent: bool) -> Sending:
        self.check_running()
        self._check_fits(payload)
        self._runner.session.groups.check_may_write(conversation)
        key = self._runner.session.send(conversation, payload, ttl_s=ttl_s, flags=URGENT if urgent else 0).hex()
        sending = Sending(conversation, key)
        self._sendings[key] = sending
        self._queued[key] = asyncio.get_running_loop().create_future()
        self._runner.wake()
        await self._queued[key]
        return sending

    async def _delete(self, message: StoredMessage) -> None:
        if message.message_id is not None:
            await self.state.gone(message, opened=False)
            return
        for event in await self._in_store(self._store.forget, message):
            self._publish(event)

    async def _open_once(self, message: StoredMessage) -> str | None:
        text = await self._in_store(self._store.once_text, message.key)
        if text is not None:
            await self.state.gone(message, opened=True)
        return text

    def timer(self, conversation: str) -> int:
        """Return after how many seconds messages of a conversation disappear that are written now; 0 for never."""
        return self._timers.of(self.conversation_with(conversation))

    async def send_ephemeral(self, to: str, text: str) -> None:
        """Send a text for this moment only: it reaches who is connected now, and is stored nowhere.

        Raises:
            AddressError: `to` is not written correctly.
            TextError: the text is empty or too long.
            NotConnectedError: there is no connection.
        """
        self.check_running()
        payload = encode_text(whole_text(text))
        self._check_fits(payload)
        conversation = self.conversation_with(to)
        self._runner.session.groups.check_may_write(conversation)
        if not self._runner.session.send_ephemeral(conversation, payload):
            raise NotConnectedError("There is no connection to the server, so nothing could be sent for this moment.")
        self._runner.wake()

    def _check_fits(self, payload: bytes) -> None:
        size_bytes_max = self._runner.session.payload_size_bytes_max
        if len(payload) > size_bytes_max:
            raise TextError(
                f"The message has {len(payload):,} bytes, and the server takes {size_bytes_max:,}. Shorten or split it."
            )

    @property
    def unsent(self) -> int:
        """How many messages wait for their ✓."""
        return self._runner.session.pending

    async def history(
        self, conversation: str, *, limit: int = 50, before: StoredMessage | None = None
    ) -> list[StoredMessage]:
        """Return messages of the local history, the oldest first; unsent ones stand last.

        Args:
            conversation: an account's address, or a conversation.
            limit: how many at most.
            before: the message to end before, to go back further; None for the latest.
        """
        return await self._in_store(self._store.history, self.conversation_with(conversation), max(1, limit), before)

    async def message(self, key: str) -> StoredMessage | None:
        """Return one message of the history by its key."""
        return await self._in_store(self._store.message, key)

    async def conversations(self) -> list[Chat]:
        """Return all conversations, the latest first."""
        return await self._in_store(self._store.chats)

    async def mark_read(self, conversation: str, up_to: int | None = None) -> None:
        """Everything in a conversation has been read, up to a `seq` or up to the latest."""
        self._check_open()
        identifier = self.conversation_with(conversation)
        if up_to is None:
            up_to = await self._in_store(self._store.last_seq, identifier)
        self._runner.session.mark_read(identifier, up_to)
        self._runner.wake()

    async def unprinted(self, limit: int) -> list[StoredMessage]:
        """Return received, unread messages that no `printed` has named yet, in the order of their arrival."""
        return await self._in_store(self._store.unprinted, limit)

    async def printed(self, message: StoredMessage) -> None:
        """Remember that a script has got everything up to this message."""
        await self._in_store(self._store.printed, message.id)

    # Our devices.

    @property
    def device_news(self) -> tuple[DeviceNews, ...]:
        """The changes of our devices of which no `device_news_told` has said that a person knows, the oldest first.

        They are kept in the database, so none is lost to a program that nobody looked at.
        """
        return self._runner.session.devices.news

    def device_news_told(self, *news: DeviceNews) -> None:
        """Remember that a person was told of these changes."""
        self._runner.session.device_news_told(news)
        self._runner.wake()

    # The moment.

    def open_chat(self, conversation: str) -> None:
        """Ask for presence and typing of a conversation until `close_chat`, also after reconnects."""
        self._runner.session.open_chat(self.conversation_with(conversation))
        self._runner.wake()

    def close_chat(self, conversation: str) -> None:
        """Ask no more for presence and typing of a conversation."""
        self._runner.session.close_chat(self.conversation_with(conversation))
        self._runner.wake()

    def typing(self, conversation: str, *, active: bool = True) -> None:
        """Tell the others that a person types in an open chat, or stopped; call it at every key, it is thinned out."""
        self._runner.session.typing(self.conversation_with(conversation), active=active)
        self._runner.wake()

    def set_foreground(self, foreground: bool) -> None:
        """A person has begun or stopped looking; in the background it speaks less often and hears in batches."""
        self._runner.session.set_foreground(foreground)
        self._runner.wake()

    def set_power(self, power: Power) -> None:
        """The device is fed in another way: its battery is low or full again, its network metered or not."""
        self._runner.session.set_power(power)
        self._runner.wake()

    # Within.

    def _request(self, frame_of: Callable[[int], Frame]) -> int:
        self.check_running()
        number = self._runner.session.request(frame_of)
        self._runner.wake()
        return number

    def check_running(self) -> None:
        """Raise what ended this client.

        Raises:
            StoppedError: the session ended for good.
            ConnectionClosedError: `close` was called.
        """
        if self._stopped is not None:
            raise StoppedError(self._stopped.sentence, self._stopped.code)
        self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionClosedError("The client was closed; connect again to use its messages.")

    async def _in_store(
        self, function: Callable[Parameters, Value], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Value:
        """Read or write the database, which is there until `close`."""
        self._check_open()
        return await self._runner.in_store(function, *args, **kwargs)

    def _answered(self, answer: Answered) -> None:
        super()._answered(answer)
        frame = answer.frame
        if isinstance(frame, DeviceList) and frame.account == self.account and len(frame.devices) > 1:
            self._share(self.state.ask)  # it may be new here

    def _share(self, telling: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Tell our other devices something, beside whatever else is going on."""

        async def tell() -> None:
            with suppress(RoostError):  # the outbox is full, or the client ends: it is told, or asked, another time
                await telling()

        if not self._closed and self._stopped is None:
            task = asyncio.get_running_loop().create_task(tell(), name="roost sharing")
            self._sharing.add(task)
            task.add_done_callback(self._sharing.discard)

    def _publish(self, event: Event) -> None:
        if isinstance(event, ConnectionChanged) and event.code in NO_DEVICE_ANY_MORE:
            event = replace(event, sentence=f"{event.sentence} {_WAY_BACK} roost link --server {self.server}")
        self._timers.take(event)
        if isinstance(event, StateAsked):
            self._share(self.state.answer)
            return
        if isinstance(event, DeviceMissed):
            self._runner.session.supplement(event)
            self._runner.wake()
            return
        match event:
            case MessageQueued(key=key):
                if (future := self._queued.pop(key, None)) and not future.done():
                    future.set_result(None)
            case MessageSent(key=key, seq=seq):
                self._sent(key, seq)
            case MessageDelayed(key=key, sentence=sentence):
                if sending := self._sendings.get(key):
                    sending.delay = sentence
            case MessageFailed(key=key, code=code, sentence=sentence):
                if sending := self._sendings.get(key):
                    sending.failed(SendFailedError(sentence, code), final=True)
            case ReceiptChanged(account=account) if account != self.account:
                self._receipt(event)
            case ProgressChanged():
                self._progress[event.conversation] = event
                self._advance_all(event.conversation)
            case ConnectionChanged():
                self._connection_changed(event)
            case QueueDrained():
                self._drained.set()
                self._share(self.state.ask)
                self._share(self.state.answer)  # who asked when this device had no time left
            case _:
                pass
        for stream in self._streams:
            stream.put(event)
        if self._stopped is not None:
            self._end(StoppedError(self._stopped.sentence, self._stopped.code))

    def _sent(self, key: str, seq: int) -> None:
        sending = self._sendings.get(key)
        if sending is None:
            return
        sending.seq = seq
        sending.reached(MessageState.SENT)
        self._advance(sending)

    def _receipt(self, receipt: ReceiptChanged) -> None:
        delivered, read = self._receipts.get(receipt.conversation, (0, 0))
        self._receipts[receipt.conversation] = (max(delivered, receipt.delivered), max(read, receipt.read))
        self._advance_all(receipt.conversation)

    def _advance_all(self, conversation: ConversationId) -> None:
        for sending in list(self._sendings.values()):
            if sending.conversation == conversation:
                self._advance(sending)

    def _advance(self, sending: Sending) -> None:
        delivered, read = self._receipts.get(sending.conversation, (0, 0))
        counted = self._progress.get(sending.conversation)
        progress = counted.of(sending.seq) if counted else None
        if sending.seq and (sending.seq <= read or (progress and progress.read_by_all)):
            sending.reached(MessageState.READ)
        elif sending.seq and (sending.seq <= delivered or (progress and progress.delivered_to_all)):
            sending.reached(MessageState.DELIVERED)

    def _connection_changed(self, event: ConnectionChanged) -> None:
        self.connection = event
        if event.state is ConnectionState.STOPPED:
            self._stopped = event
        if event.state in (ConnectionState.ONLINE, ConnectionState.STOPPED):
            self._online.set()
        else:
            self._online.clear()
            self._drained.clear()
            self.devices.arrived(None)

    def _end(self, error: StoppedError | ConnectionClosedError) -> None:
        self._online.set()
        self._drained.set()
        for sending in list(self._sendings.values()):
            sending.failed(error, final=False)
        for future in self._queued.values():
            if not future.done():
                future.set_exception(error)
        self._queued.clear()
        self._end_queries(error)
        for stream in self._streams:
            stream.end()
