"""The process of an account's presence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.accounts.api import AccountView
from actors.accounts.api import Subscribe as SubscribeAccount
from actors.directory_keys import last_seen_key
from actors.presence.api import (
    Appear,
    PresenceLimits,
    Subscribe,
    Type,
    Unsubscribe,
    Vanish,
    decode_last_seen,
)
from actors.presence.logic import PresenceState
from actors.queue.api import Report
from actors.router.api import Router, UnreachableError
from actors.shard.api import Disk, LoadingActor, answers
from protocol.messages import Presence, TypingBy
from runtime import Down, Pid, Ref

if TYPE_CHECKING:
    from protocol import AccountId, ConversationId, DeviceId

__all__ = ["PresenceActor"]

SUBSCRIBERS_MAX: Final = 10_000
RESUBSCRIBE_S: Final = 0.5
IDLE_S: Final = 30.0
CROSS_CHECK_S: Final = 300.0


class LastSeen(NamedTuple):
    """From the disk: when the account was last online."""

    value: bytes | None


class Gone(NamedTuple):
    """The timer after which a device that vanished counts as gone, unless it is back."""

    device: DeviceId
    since_ms: int


class Resubscribe:
    """The timer that asks for the account's view again."""


class Retire:
    """The timer that ends a presence which nobody needs."""


class PresenceActor(LoadingActor):
    """Knows which devices of one account are here, for those who want to know; exists only while someone does.

    The queues of the devices tell it of every connection and its end, and write when the account was last seen.

    Args:
        account: Which one.
        disk: The account's shard of the store.
        router: Where the account is found.
        limits: How presence behaves.
    """

    __slots__ = (
        "_account",
        "_asked",
        "_checked_s",
        "_disk",
        "_limits",
        "_monitors",
        "_queues",
        "_router",
        "_state",
        "_typed_s",
        "_vanished",
        "_view",
        "_view_monitor",
    )

    def __init__(self, account: AccountId, disk: Disk, router: Router, limits: PresenceLimits) -> None:
        super().__init__()
        self._account = account
        self._disk = disk
        self._router = router
        self._limits = limits
        self._view: AccountView | None = None
        self._state: PresenceState[Pid] | None = None
        self._monitors: dict[Pid, Ref] = {}
        self._queues: dict[Ref, DeviceId] = {}
        self._vanished: dict[DeviceId, int] = {}
        self._asked: set[DeviceId] = set()
        self._checked_s = 0.0
        self._view_monitor: Ref | None = None
        self._typed_s: dict[ConversationId, tuple[float, bool]] = {}

    def init(self) -> None:
        """Ask for last seen and for the account's privacy settings."""
        self._disk.store.directory.get(last_seen_key(self._account), *answers(self.process, LastSeen))
        self._subscribe()
        self.process.send_after(IDLE_S, Retire())

    def _subscribe(self) -> None:
        try:
            pid = self._router.account(self._account)
        except UnreachableError:
            self.process.send_after(RESUBSCRIBE_S, Resubscribe())
            return
        self._view_monitor = self.process.monitor(pid)
        self.process.cast(pid, SubscribeAccount(self.process.pid))

    def receive_info(self, message: Any) -> None:
        """What comes from the disk, from timers and from monitors."""
        kind = type(message)
        if kind is LastSeen:
            last_seen_ms = decode_last_seen(message.value) if message.value is not None else 0
            self._state = PresenceState(last_seen_ms, SUBSCRIBERS_MAX)
            self._start_when_complete()
        elif kind is Down:
            self._down(message)
        elif kind is Gone:
            self._gone(message)
        elif kind is Resubscribe:
            self._subscribe()
        elif kind is Retire:
            if self._state is not None and not self._state.subscribers and not self.process.waiting:
                self.process.stop()
            else:
                self._cross_check()
                self.process.send_after(IDLE_S, message)

    def handle_cast(self, message: Any) -> None:
        """The account's view is taken at once, everything else once the presence is complete."""
        if type(message) is AccountView:
            self._take_view(message)
        else:
            super().handle_cast(message)

    def _take_view(self, view: AccountView) -> None:
        """Ask the devices that are new to us whether they are here; from now on they tell by themselves.

        Nobody is told anything before they have answered: it would be that a person is away who is not.
        """
        known = self._view.devices if self._view is not None else ()
        self._view = view
        for device in view.devices:
            queue = self._router.live_queue(device, self._account) if device not in known else None
            if queue is not None and self.process.cast(queue, Report(self.process.pid)):
                self._asked.add(device)
                self._follow(queue, device)
        if self.is_loaded:
            self._tell()
        else:
            self._start_when_complete()

    def _cross_check(self) -> None:
        """Ask the queues again, slowly: word of a device that came or went may have been shed."""
        now_s = self.process.runtime.clock.now_s()
        state, view = self._state, self._view
        if state is None or view is None or now_s - self._checked_s < CROSS_CHECK_S:
            return
        self._checked_s = now_s
        for device in dict.fromkeys((*view.devices, *state.devices)):
            queue = self._router.live_queue(device, self._account) if device in view.devices else None
            if queue is not None:
                self.process.cast(queue, Report(self.process.pid))
            elif device in state.devices:
                self._vanish(device)

    def _start_when_complete(self) -> None:
        if not self.is_loaded and self._state is not None and self._view is not None:
            self._checked_s = self.process.runtime.clock.now_s()
            self.loaded()

    def receive(self, message: Any) -> None:
        """Act on a message."""
        state, view = self._state, self._view
        assert state is not None
        assert view is not None
        kind = type(message)
        if kind is Appear:
            self._appear(state, message)
        elif kind is Vanish:
            self._vanish(message.device)
        elif kind is Type:
            self._type(state, view, message)
        elif kind is Subscribe:
            if state.subscribe(message.connection, message.viewer, message.conversation):
                self._watch(message.connection)
                self._tell()
        elif kind is Unsubscribe:
            state.unsubscribe(message.connection, message.conversation)
            self._forget(message.connection)

    def _follow(self, queue: Pid, device: DeviceId) -> None:
        if device not in self._queues.values():
            self._queues[self.process.monitor(queue)] = device

    def _appear(self, state: PresenceState[Pid], appear: Appear) -> None:
        device = appear.device
        self._asked.discard(device)
        self._vanished.pop(device, None)
        self._follow(appear.queue, device)
        state.appear(device, appear.foreground, self.process.runtime.clock.wall_ms())
        self._tell()

    def _vanish(self, device: DeviceId) -> None:
        gone = Gone(device, self.process.runtime.clock.wall_ms())
        self._vanished[device] = gone.since_ms
        self.process.send_after(self._limits.offline_delay_s, gone)
        if device in self._asked:
            self._asked.discard(device)
            self._tell()

    def _type(self, state: PresenceState[Pid], view: AccountView, typing: Type) -> None:
        now_s = self.process.runtime.clock.now_s()
        typed_s, was_active = self._typed_s.get(typing.conversation, (-1e9, False))
        if typing.active == was_active and now_s - typed_s < self._limits.typing_interval_s_min:
            return
        if len(self._typed_s) > 64:
            self._typed_s.clear()
        self._typed_s[typing.conversation] = (now_s, typing.active)
        frame = TypingBy(typing.conversation, self._account, typing.active)
        for connection in state.onlookers(typing.conversation, view):
            self.process.cast_sheddable(connection, frame)

    def _watch(self, connection: Pid) -> None:
        if connection not in self._monitors:
            self._monitors[connection] = self.process.monitor(connection)

    def _forget(self, connection: Pid) -> None:
        state = self._state
        assert state is not None
        watches = any(key[0] == connection for key in state.subscribers)
        if not watches and (ref := self._monitors.pop(connection, None)) is not None:
            self.process.demonitor(ref)

    def _down(self, down: Down) -> None:
        if down.ref is self._view_monitor:
            self.process.send_after(RESUBSCRIBE_S, Resubscribe())
            return
        device = self._queues.pop(down.ref, None)
        if device is not None:
            self._vanish(device)
            return
        self._monitors.pop(down.pid, None)
        if self._state is not None:
            self._state.unsubscribe(down.pid)

    def _gone(self, gone: Gone) -> None:
        """A device vanished a while ago and did not come back: it is gone since then."""
        if self._vanished.get(gone.device) == gone.since_ms and self._state is not None:
            del self._vanished[gone.device]
            self._state.vanish(gone.device, gone.since_ms)
            self._tell()

    def _tell(self) -> None:
        """Whoever may see a change is told of it; lost ones are made good by the next."""
        state, view = self._state, self._view
        if state is None or view is None or self._asked or self._limits.load.shedding:
            return
        for connection, picture in state.news(view):
            frame = Presence(self._account, picture.online, picture.last_seen_ms, picture.devices)
            self.process.cast_sheddable(connection, frame)
