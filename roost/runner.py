"""Runs a session on an event loop: socket, database, timers.

Three tasks share the session, all on one thread. *Connecting* opens connections when the session wants one and
feeds it what arrives. The *pump* takes its steps one after another: commit in the database's own thread, then
send, then publish. A *timer* wakes the pump when something becomes due.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from protocol import LocalProtocolError
from roost.connection import Connection
from roost.errors import RefusedError, RoostError, ServerKeyChangedError, StoreError
from roost.events import ConnectionChanged, ConnectionState
from roost.ports import SystemClock, SystemRandomness
from roost.session import Phase, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from roost.address import ServerAddress
    from roost.changes import Snapshot
    from roost.events import Event
    from roost.power import Power
    from roost.sealing import Sealing
    from roost.steps import Answered, Step
    from roost.store import Store

__all__ = ["Runner"]

_BACKLOG_MAX: Final = 2_000
_LEAVE_WAIT_S: Final = 2.0
_CALENDAR_TRUSTED_S: Final = 30.0

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


class Runner:
    """A running session.

    Args:
        store: the account's database, used from the runner's own thread from now on.
        snapshot: what it holds.
        address: where the server listens.
        publish: takes each event, in order.
        answered: takes each answer to a request.
        foreground: whether a person is looking.
        power: how the device is fed.
        sealing: makes each device its own payload; None for one payload for all.
    """

    def __init__(
        self,
        store: Store,
        snapshot: Snapshot,
        address: ServerAddress,
        publish: Callable[[Event], None],
        answered: Callable[[Answered], None],
        *,
        foreground: bool,
        power: Power,
        sealing: Sealing | None = None,
    ) -> None:
        self._store = store
        self._address = address
        self._publish = publish
        self._answered = answered
        self._clock = SystemClock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="roost-store")
        self._awake = asyncio.Event()
        self._idle = asyncio.Event()
        self._retry = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._connection: Connection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.session = Session(
            snapshot, self._clock, SystemRandomness(), foreground=foreground, power=power, sealing=sealing
        )

    def start(self) -> None:
        """Begin to connect."""
        self._tasks = [
            asyncio.create_task(self._keep_connected(), name="roost connecting"),
            asyncio.create_task(self._pump(), name="roost pump"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        sentence = error.sentence if isinstance(error, RoostError) else f"Roost has a fault and stopped: {error!r}."
        self.session.stop(sentence)
        # What else the session has decided is not stored, so nobody may hear of it.
        self._publish(ConnectionChanged(ConnectionState.STOPPED, sentence))
        for other in self._tasks:
            other.cancel()
        if self._connection is not None:
            self._connection.abort()

    async def stop(self) -> None:
        """Store what is decided, say goodbye, close everything."""
        self.session.leave()
        self.wake()
        pump_and_connecting = self._tasks
        if not any(task.done() for task in pump_and_connecting):
            try:
                async with asyncio.timeout(_LEAVE_WAIT_S):
                    await self._idle.wait()
            except TimeoutError:
                pass
        for task in pump_and_connecting:
            task.cancel()
        await asyncio.gather(*pump_and_connecting, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        if self._connection is not None:
            await self._connection.close()
        await self.in_store(self._store.close)
        self._thread.shutdown(wait=False)

    async def in_store(
        self, function: Callable[Parameters, Value], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Value:
        """Run a function of the store in its thread, behind what was asked before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args, **kwargs))

    def wake(self) -> None:
        """Carry out what the session has decided; call this after each call of the session."""
        self._idle.clear()
        self._awake.set()

    def retry_now(self) -> None:
        """Try to connect at once instead of after the back-off: the network changed."""
        self._retry.set()

    # The pump.

    async def _pump(self) -> None:
        while True:
            await self._awake.wait()
            self._awake.clear()
            while step := self.session.take_step():
                await self._carry_out(step)
            await self._forget_expired()
            self._idle.set()
            self._set_timer()

    async def _carry_out(self, step: Step) -> None:
        happened = await self.in_store(self._store.apply, step.changes) if step.changes else []
        connection = self._connection
        if connection is not None and step.connection == self.session.connection:
            if step.frames:
                self._send(connection, step)
                await connection.drain()
            if step.disconnect:
                await connection.close()
        for event in (*step.events, *happened):
            self._publish(event)
        for answer in step.answers:
            self._answered(answer)

    async def _forget_expired(self) -> None:
        """Forget the messages whose time has run out."""
        expiry_ms = self._store.next_expiry_ms
        if expiry_ms is not None and expiry_ms <= self._clock.wall_ms():
            for event in await self.in_store(self._store.forget_expired):
                self._publish(event)

    def _send(self, connection: Connection, step: Step) -> None:
        try:
            connection.send(step.frames)
        except LocalProtocolError as error:
            raise StoreError(f"Roost has a fault and stopped: {error.sentence}", error.code) from error

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        delays_s = []
        deadline_s = self.session.next_deadline_s()
        if deadline_s is not None:
            delays_s.append(max(0.0, deadline_s - self._clock.now_s()))
        expiry_ms = self._store.next_expiry_ms
        if expiry_ms is not None:
            # Looked at again now and then, because a calendar may be set and a computer may sleep.
            delays_s.append(min(max(0.001, (expiry_ms - self._clock.wall_ms()) / 1000), _CALENDAR_TRUSTED_S))
        if delays_s:
            self._timer = asyncio.get_running_loop().call_later(min(delays_s), self._due)

    def _due(self) -> None:
        self.session.advance()
        self.wake()

    # Connecting.

    async def _keep_connected(self) -> None:
        static_key = await self.in_store(self._store.static_key)
        while self.session.phase is not Phase.STOPPED:
            await self._wait_for_retry()
            self.session.connecting()
            self.wake()
            try:
                pinned = await self.in_store(lambda: self._store.server_key)
                connection = await Connection.open(self._address, static_key, pinned)
            except ServerKeyChangedError as error:
                self.session.stop(error.sentence, error.code)
            except RefusedError as error:
                self.session.disconnected(error.sentence, error.retry_after_ms)
            except RoostError as error:
                self.session.disconnected(error.sentence)
            else:
                if pinned is None:
                    await self.in_store(self._store.set_facts, server_key=connection.server_key)
                await self._talk(connection)
            self.wake()

    async def _wait_for_retry(self) -> None:
        delay_s = self.session.retry_at_s - self._clock.now_s()
        if delay_s > 0:
            try:
                async with asyncio.timeout(delay_s):
                    await self._retry.wait()
            except TimeoutError:
                pass
        self._retry.clear()

    async def _talk(self, connection: Connection) -> None:
        """Feed the session until the connection ends, and return when everything received is stored."""
        self._connection = connection
        self.session.connected()
        self.wake()
        try:
            while True:
                for frame in await connection.receive():
                    self.session.receive(frame)
                self.wake()
                if self.session.backlog > _BACKLOG_MAX:
                    await self._idle.wait()
        except RefusedError as error:
            self.session.disconnected(error.sentence, error.retry_after_ms)
        except RoostError as error:
            self.session.disconnected(error.sentence)
        finally:
            connection.abort()
            self._connection = None
        self.wake()
        await self._idle.wait()
