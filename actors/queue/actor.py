"""The process of a queue."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from actors.accounts.api import AccountView, DeviceLeft, DeviceRevoked
from actors.directory_keys import last_seen_key
from actors.presence.api import Appear, Vanish
from actors.queue.api import (
    Acknowledge,
    Attach,
    Attached,
    Batch,
    Detach,
    Fault,
    Flow,
    Full,
    Pass,
    Probe,
    QueueLimits,
    Report,
    Turn,
    unseen_max,
)
from actors.queue.hold import Hold, Release
from actors.queue.logic import Forgotten, Page, QueueState, delay_s
from actors.queue.removals import Removals, RetryRemovals, Sweep
from actors.receipts.api import Advance, Tell, Told
from actors.router.api import Router, UnreachableError
from actors.shard.api import Disk, Enqueue, Expire, LoadingActor, RemovalDurable, answers
from protocol import AccountId, Code, ConversationId, DeviceId
from protocol.messages import (
    NOTICE_EXPIRED,
    NOTICE_OVER_QUOTA,
    NOTICE_POISON,
    NOTICE_REVOKED,
    DevicesChanged,
    Drained,
)
from runtime import MAILBOX_FULL, NORMAL, Down, Pid, Reason, Ref
from storage import Entry, QueueView
from storage.records import MESSAGE, Acked

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["QueueActor"]

IDLE_S: Final = 60.0
RECEIPTS_KEPT_MAX: Final = 256
NONE_LEAVES: Final[Mapping[int, None]] = MappingProxyType({})


class Retire:
    """The timer that ends a queue whose device is away."""


RETIRE: Final = Retire()


class QueueActor(LoadingActor):
    """Holds what waits for one device.

    Args:
        device: Which one.
        account: Whose it is.
        disk: The account's shard of the store.
        router: Where conversations and accounts are found.
        limits: How much may wait, and be on its way.
    """

    __slots__ = (
        "_account", "_ack_written", "_behind", "_connection", "_device", "_disk", "_drain_to", "_flow_open",
        "_foreground", "_hold", "_leaving", "_limits", "_monitor", "_reading", "_receipts", "_removals",
        "_retirement", "_router", "_session", "_since_s", "_state", "_unsent",
    )  # fmt: skip

    def __init__(self, device: DeviceId, account: AccountId, disk: Disk, router: Router, limits: QueueLimits) -> None:
        super().__init__()
        self._device = device
        self._account = account
        self._disk = disk
        self._router = router
        self._limits = limits
        self._connection: Pid | None = None
        self._monitor: Ref | None = None
        self._session = b""
        self._since_s = 0.0  # when its connection was opened; without one, when it lost the last
        self._drain_to: int | None = None  # what waited at the login ends here; None once its device was told
        self._flow_open = True
        self._foreground = False
        self._hold: Hold | None = None  # while nobody looks at the device
        self._reading = False
        self._behind = 0
        self._retirement: Ref | None = None  # while it has no connection
        self._receipts: dict[tuple[str, str], Told] = {}
        self._removals: Removals | None = None  # with the first removal
        self._leaving: Mapping[int, None] = NONE_LEAVES  # entries whose removal is not durable yet
        self._ack_written = 0
        self._unsent = 0  # entries that have come since it lost its connection

    def init(self) -> None:
        """Ask how much waits. Few wait for a queue whose device is away, and they may wait a little."""
        self.process.is_low = True
        self._disk.store.load_queue(self._disk.shard, self._device, *answers(self.process, lambda view: view))
        self._since_s = self.process.runtime.clock.now_s()

    def terminate(self, reason: Reason) -> None:
        """The connection has nobody to hear from any more: its client comes back at once."""
        if self._connection is not None:
            self.process.insist(self._connection, Fault(Code.BUSY))

    def receive_info(self, message: Any) -> None:
        """What comes from the disk, from timers and from monitors."""
        kind = type(message)
        if kind is Page:
            self._page(message)
        elif kind is Sweep:
            self._some_removals().sweep(message.entries)
        elif kind is QueueView:
            self._state = QueueState(
                self._account, message.count, message.size_bytes, message.tail_position, self._limits
            )
            self.loaded()
            self._arm_retirement()
        elif kind is Down:
            if message.ref is self._monitor:
                self._detach(broken=message.reason not in (NORMAL, MAILBOX_FULL))  # the latter was our own load
        elif kind is Retire:
            self._retire()
        elif kind is Release:
            self._let_go()
            self._pump()
        elif kind is RetryRemovals:
            self._some_removals().ask_again()

    def receive(self, message: Any) -> None:
        """Act on a message."""
        self._routes[type(message)](self, message)

    def _retire(self) -> None:
        self._retirement = None
        if self._may_end():
            self.process.stop()
        else:
            self._arm_retirement()

    def _may_end(self) -> bool:
        """Whether nothing is left to do here that the store could not remember."""
        if not self.is_loaded or self._connection is not None:
            return False
        state, removals = self._state, self._removals
        revoked, busy = (False, False) if removals is None else (removals.revoked, removals.busy)
        away_s = self.process.runtime.clock.now_s() - self._since_s
        if busy or self._reading or self.process.waiting:
            return False
        if away_s < state.stay_s(overtaken=self._overtaken, revoked=revoked):
            return False
        # A full one stays: without it, more comes than may.
        return not (state.count and self._some_removals().doubt()) and state.has_room()

    @property
    def _overtaken(self) -> bool:
        return not self._session or self._unsent > unseen_max(self._device, self._limits.entries_max)

    def _attach(self, attach: Attach) -> None:
        process, state = self.process, self._state
        if self._removals is not None and self._removals.revoked:
            process.insist(attach.connection, Fault(Code.BUSY))  # the next login tells: revoked, or here again
            if not self._removals.busy:
                process.stop()
            return
        if self._connection is not None:
            late = attach.given_up_for(self._connection, self._since_s)
            process.insist(attach.connection if late else self._connection, Fault(Code.REPLACED))
            if late:
                return
            self._detach(broken=False)
        forgotten = state.resume(attach.received_up_to) if self._resumable(attach) else None
        resumed = forgotten is not None
        if forgotten is None:
            state.begin()
        else:
            self._forget(forgotten)
        self._connection, self._since_s = attach.connection, attach.opened_s
        process.is_low = False
        self._monitor = process.monitor(attach.connection)
        if self._retirement is not None:
            process.cancel(self._retirement)  # 200 bytes less, and nothing to look at every minute
            self._retirement = None
        self._session = process.runtime.randomness.bytes(16)
        self._foreground = attach.foreground
        self._hold = self._hold_for(attach)
        self._appear()
        self._drain_to = state.tail
        self._flow_open, self._reading = True, False
        waiting = max(0, state.count)  # an entry may be removed before word of it came
        process.insist(attach.connection, Attached(process.pid, self._session, resumed, waiting))
        if resumed:
            self._let_go()
        self._receipts.clear()
        self._pump()

    def _resumable(self, attach: Attach) -> bool:
        away_s = self.process.runtime.clock.now_s() - self._since_s
        return (
            len(self._session) > 0
            and attach.session == self._session
            and away_s <= self._limits.resume_window_s
            and len(self._receipts) < RECEIPTS_KEPT_MAX
        )

    def _detach(self, *, broken: bool) -> None:
        if self._monitor is not None:
            self.process.demonitor(self._monitor)
        if self._hold is not None:
            self._hold.end()
        self._connection = self._monitor = self._hold = None
        self.process.is_low = True
        self._reading = False  # a page that is on its way belongs to nobody now
        self._since_s = self.process.runtime.clock.now_s()
        self._unsent = 0
        self._state.detach(broken)
        self._vanish()
        self._arm_retirement()

    def _arm_retirement(self) -> None:
        if self._retirement is None and self._connection is None:
            self._retirement = self.process.send_after(IDLE_S, RETIRE)

    def _appear(self) -> None:
        """To the account's presence, if anyone wants to know."""
        presence = self._router.live_presence(self._account)
        if presence is not None:
            self.process.cast_sheddable(presence, Appear(self.process.pid, self._device, self._foreground))

    def _vanish(self) -> None:
        """The device is away: told to whoever wants to know."""
        if self._foreground:
            self._looked_away()
        presence = self._router.live_presence(self._account)
        if presence is not None:
            self.process.cast_sheddable(presence, Vanish(self._device))

    def _looked_away(self) -> None:
        """Nobody looks at the device since now: last seen is written without waiting."""
        self._foreground = False
        now_ms = self.process.runtime.clock.wall_ms()
        self._disk.store.directory.put(last_seen_key(self._account), now_ms.to_bytes(8, "big"), lambda _: None)

    def _turn(self, turn: Turn) -> None:
        if turn.connection != self._connection:
            return
        if turn.foreground != self._foreground:
            if self._foreground:
                self._looked_away()
            self._foreground = turn.foreground
            self._appear()
        self._let_go()
        self._hold = self._hold_for(turn)
        self._pump()

    def _hold_for(self, device: Attach | Turn) -> Hold | None:
        longest_s = delay_s(device.foreground, device.power, self._limits)
        return Hold(self.process, longest_s) if longest_s else None

    def _let_go(self) -> None:
        """The receipts that were held go out, and the entries may be read again."""
        if self._hold is not None:
            self._hold.end()
        if self._receipts and self._connection is not None:
            for receipt in self._receipts.values():
                self.process.cast_sheddable(self._connection, receipt)
            self._receipts.clear()

    def _holds(self, hold: Hold, entry: Entry, was_live: bool) -> bool:
        """Whether an entry waits; one that does not takes along what came before it."""
        if not hold.takes(entry):
            self._let_go()
            return False
        if not hold.waits and not was_live:
            return False  # it follows what is on its way already
        hold.begin()
        if self._state.holds_much:
            self._let_go()
        return True

    def _report(self, report: Report) -> None:
        here = self._connection is not None
        answer = Appear(self.process.pid, self._device, self._foreground) if here else Vanish(self._device)
        self.process.cast(report.presence, answer)

    def _goodbye(self, detach: Detach) -> None:
        if detach.connection == self._connection:
            self._detach(broken=False)

    def _flow(self, flow: Flow) -> None:
        if flow.connection == self._connection:
            self._flow_open = flow.open
            self._pump()

    def _enqueue(self, enqueue: Enqueue) -> None:
        state, hold, removals = self._state, self._hold, self._removals
        # Stays true if the first removal is begun here: behind an entry that was refused the queue is not live.
        is_plain = hold is None and removals is None and self._connection is not None and self._flow_open
        batch: list[tuple[int, int, bytes]] = []
        for entry in enqueue.entries:
            if is_plain and state.pass_on(entry):
                batch.append((entry.position, entry.kind, entry.body))
                continue
            was_live = state.live
            if not state.admit(entry) or entry.position in self._leaving or state.knows(entry.position):
                continue
            if removals is not None and removals.revoked:
                removals.begin(entry, NOTICE_REVOKED)
            elif state.refuses(entry):
                self._turn_away(entry)
            elif hold is not None and not batch and self._holds(hold, entry, was_live):
                continue
            elif was_live and self._connection is not None and self._flow_open and state.window_open:
                state.send(entry)
                batch.append((entry.position, entry.kind, entry.body))
        if batch and self._connection is not None:
            self.process.insist(self._connection, Batch(batch))
        if not state.live:
            self._pump()  # what was left out may have been all that there was: no ack will come to go on after
        if self._retirement is not None:  # it has no connection, nor is one about to come, as while it starts
            self._unsent += len(enqueue.entries)
            if self._overtaken and self._may_end():
                self.process.stop()

    def _pump(self) -> None:
        """Read the next page for delivery, if there is one and there is room for it.

        Nothing is delivered behind an entry that leaves with a notice before that is on disk: a queue that dies in
        between knows nothing of it, and its next life may deliver the entry after all.
        """
        state, connection = self._state, self._connection
        if connection is None or self._reading or not self._flow_open or self._behind in self._leaving:
            return
        if self._hold is not None and self._hold.waits:
            return
        if self._drain_to is not None and state.read_up_to >= self._drain_to:
            self._drain_to = None
            self.process.insist(connection, Drained(state.sent_up_to))
        if not state.live and state.window_open:
            self._reading = True
            session = self._session
            self._disk.store.read_queue(
                self._disk.shard,
                self._device,
                state.read_up_to,
                state.page_count,
                state.page_size_bytes,
                *answers(self.process, lambda entries: Page(session, entries)),
            )

    def _page(self, page: Page) -> None:
        if page.session != self._session or self._connection is None:
            return
        self._reading = False
        state = self._state
        now_ms = self.process.runtime.clock.wall_ms()
        batch = []
        for entry in page.entries:
            state.admit(entry)  # the store may know of it before word of it comes
            if entry.position <= state.acked_up_to:
                state.read_up_to = entry.position
                continue
            if state.is_poison(entry.position):
                self._leave(entry, NOTICE_POISON)
            elif entry.expires_ms and entry.expires_ms <= now_ms:
                self._leave(entry, NOTICE_EXPIRED)
            if entry.position in self._leaving:
                self._behind = entry.position
                break
            state.send(entry)
            batch.append((entry.position, entry.kind, entry.body))
        if batch:
            self.process.insist(self._connection, Batch(batch))
        elif not page.entries:
            state.all_read()
        self._pump()

    def _leave(self, entry: Entry, reason: int) -> None:
        if entry.position not in self._leaving:
            self._some_removals().begin(entry, reason)

    def _acknowledge(self, ack: Acknowledge) -> None:
        if ack.connection != self._connection:
            return
        forgotten = self._state.acknowledge(ack.up_to)
        if forgotten is None:
            self.process.insist(ack.connection, Fault(Code.ACK_BEYOND_SENT))
            return
        self._forget(forgotten)
        if not self._state.live or self._drain_to is not None:
            self._pump()

    def _forget(self, forgotten: Forgotten) -> None:
        if not forgotten.entries_count:
            return
        process, account = self.process, self._account
        self._disk.tally.delivered += forgotten.entries_count
        self._write_ack()
        for conversation, seq in forgotten.marks.items():
            try:
                process.cast(self._router.conversation(ConversationId(conversation)), Advance(account, seq, 0))
            except UnreachableError:
                continue  # the client's own Mark at its next login heals this

    def _write_ack(self) -> None:
        """Never past an entry that leaves with a notice: until the notice is on disk, the entry must be found again."""
        up_to = self._state.acked_up_to
        if up_to > self._ack_written and self._leaving:
            up_to = min(up_to, min(self._leaving) - 1)
        if up_to > self._ack_written:
            self._ack_written = up_to
            self._disk.append(Acked(self._device, up_to, self._account), self.process.pid)

    def _tell(self, tell: Tell) -> None:
        receipt, hold = tell.receipt, self._hold
        if self._connection is not None and (hold is None or not (hold.waits or self._state.live)):
            self.process.cast_sheddable(self._connection, receipt)
        elif len(self._receipts) < RECEIPTS_KEPT_MAX:
            self._receipts[tell.key] = receipt
            if hold is not None:
                hold.begin()
        if hold is not None and len(self._receipts) == RECEIPTS_KEPT_MAX:
            self._let_go()
            self._pump()

    def _pass(self, ephemeral: Pass) -> None:
        if self._connection is not None:
            self.process.cast_sheddable(self._connection, Batch([(0, MESSAGE, ephemeral.body)]))

    def _devices_changed(self, changed: DevicesChanged) -> None:
        if self._connection is not None:
            self.process.insist(self._connection, changed)

    def _expire(self, expire: Expire) -> None:
        self._some_removals().look(is_due=expire.is_due)

    def _revoke(self, message: DeviceRevoked) -> None:
        if self._connection is not None:
            self.process.insist(self._connection, Fault(Code.DEVICE_REVOKED))
            self._detach(broken=False)
        self._since_s = self.process.runtime.clock.now_s()  # it stays for what was accepted before, however idle
        removals = self._some_removals()
        if not removals.revoked:
            removals.revoke()
        elif not removals.busy:
            self.process.cast(message.account, DeviceLeft(self._device))

    def _some_removals(self) -> Removals:
        if self._removals is None:
            self._removals = Removals(self.process, self._device, self._account, self._state, self._disk, self._router)
            self._leaving = self._removals.leaving
        return self._removals

    def _turn_away(self, entry: Entry) -> None:
        """An entry too many goes; the conversation hears of it, and takes no more for us while we are full."""
        self._some_removals().begin(entry, NOTICE_OVER_QUOTA)
        conversation = self._router.live_conversation(ConversationId(entry.conversation))
        if conversation is not None:
            self.process.cast_sheddable(conversation, Full(self._device, full=True))

    def _probe(self, probe: Probe) -> None:
        self.process.cast_sheddable(probe.conversation, Full(self._device, full=not self._state.has_room()))

    def _account_known(self, view: AccountView) -> None:
        self._some_removals().account_known(view)

    def _removed(self, removal: RemovalDurable) -> None:
        removals = self._some_removals()
        removals.durable(removal.positions)
        self._write_ack()
        self._pump()

    _routes: Final[dict[type, Any]] = {
        Enqueue: _enqueue,
        Acknowledge: _acknowledge,
        Attach: _attach,
        Turn: _turn,
        Report: _report,
        Detach: _goodbye,
        Flow: _flow,
        Tell: _tell,
        Pass: _pass,
        Probe: _probe,
        DevicesChanged: _devices_changed,
        Expire: _expire,
        RemovalDurable: _removed,
        DeviceRevoked: _revoke,
        AccountView: _account_known,
    }
