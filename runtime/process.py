"""A process: the handle that an actor has on itself, and the runtime's record of it, in one object.

What begins with an underscore belongs to the runtime's own files.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from .errors import ProcessEndedError
from .mailbox import Info, Request, deliver, enqueue
from .messages import Down, Exit, From, NoReply, Reply
from .pid import Ref
from .reasons import KILLED, MAILBOX_FULL, NORMAL
from .signals import Kind
from .ties import CallRef, MessageTimer, Tied, add_link, add_watch, forget_call, remove_link, remove_watch
from .timers import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .actor import Actor
    from .messages import Message
    from .pid import Pid
    from .reasons import Reason
    from .runtime import Runtime


class Process(Tied):
    """What an actor can do; the verbs and their meaning are Erlang's.

    A pid may be that of a process on another node. What cannot reach it is answered as for a dead process, with
    `NODEDOWN` while its node is not linked with this one (`runtime.foreign`).

    Attributes:
        pid: The process's address.
        runtime: The runtime that runs it: clock, randomness, `whereis`.
        parent: The process that started it; None if it was started from outside.
        is_low: While True, it runs in the little time that each round of the loop keeps for such processes behind all
            others, or when some of them have waited for a tenth of a second: Erlang's priority `low`. A scheduler under
            test may choose otherwise; nothing may depend on it.
        trap_exit: While True, exit signals arrive as `Exit` messages instead of ending the process.
        mailbox_limit: How many messages may wait; what others send beyond that is refused and counted.
    """

    __slots__ = (
        "_actor",
        "_deferred",
        "_ending",
        "_mailbox",
        "_names",
        "_running",
        "_scheduler",
        "is_low",
        "mailbox_limit",
        "trap_exit",
    )

    is_here: ClassVar[bool] = True

    def __init__(self, runtime: Runtime, pid: Pid, actor: Actor, parent: Pid | None, mailbox_limit: int) -> None:
        super().__init__(runtime, pid, parent)
        self.is_low = False
        self.trap_exit = False
        self.mailbox_limit = mailbox_limit
        self._scheduler = runtime._scheduler
        self._actor: Actor | None = actor
        self._mailbox: deque[object] | None = None
        self._ending: Reason | None = None
        self._running = False
        self._deferred = False
        self._names: tuple[Hashable, ...] = ()

    def __repr__(self) -> str:
        actor = "ended" if self._actor is None else type(self._actor).__name__
        return f"<Process {self.pid} {actor}>"

    @property
    def waiting(self) -> int:
        """How many messages lie in the mailbox; an idle actor that wants to stop looks here first."""
        return 0 if self._mailbox is None else len(self._mailbox)

    def cast(self, pid: Pid, message: Message) -> bool:
        """Send a message that the target's `handle_cast` gets.

        Returns:
            Whether it lies in the mailbox; False if the process is dead or its mailbox full (both are counted). For a
            process on another node: whether it lies in the link's buffer.

        Raises:
            UnregisteredError: It goes to another node, and its type is not one that crosses; likewise in `send`,
                `call` and `reply`.
        """
        # The hot path of the system, so what `enqueue` and `deliver` do stands here once more: a quarter faster.
        target = pid._process
        if target is None:
            return self.runtime.foreign.post(pid, Kind.CAST, message)
        mailbox = target._mailbox
        if mailbox is None:
            target._mailbox = deque((message,))
            scheduler = self._scheduler
            scheduler.ready.append(target)
            if scheduler.asleep:
                scheduler.wake()
            return True
        if len(mailbox) >= target.mailbox_limit:
            return self.runtime._refuse(target, message)
        mailbox.append(message)
        return True

    def cast_sheddable(self, pid: Pid, message: Message) -> bool:
        """Cast what may be lost under load (typing, presence, receipts): refused above half the mailbox limit.

        Returns:
            Whether it lies in the mailbox.
        """
        return self.runtime.cast_sheddable(pid, message)

    def insist(self, pid: Pid, message: Message) -> bool:
        """Cast what may not be missed: a target whose mailbox is full ends with `MAILBOX_FULL`, wherever it lives.

        So whoever lives on has heard everything, in order, and whoever watches it hears of the end.

        Returns:
            As `cast` does; False of a name on another node says that the link's buffer is full, and nobody has ended.
        """
        target = pid._process
        taken = self.runtime.foreign.post(pid, Kind.INSISTENT, message) if target is None else self.cast(pid, message)
        if not taken:
            self.exit(pid, MAILBOX_FULL)
        return taken

    def send(self, pid: Pid, message: Message) -> bool:
        """Send a message that the target's `handle_info` gets.

        Returns:
            Whether it lies in the mailbox; False if the process is dead or its mailbox full (both are counted).
        """
        return self.runtime.send(pid, message)

    def call(self, pid: Pid, request: Message, timeout_s: float | None = 5.0) -> Ref:
        """Ask for an answer, which arrives in `handle_info` as `Reply`, or does not, as `NoReply`: always one of them.

        Args:
            pid: Whose `handle_call` is asked.
            request: What is asked.
            timeout_s: How long to wait; None waits until the target ends.

        Returns:
            The reference that the Reply or NoReply carries.
        """
        self._require_life()
        target = pid._process
        if target is None:
            return self.runtime.foreign.call(self, pid, request, timeout_s)
        call = CallRef(self)
        if not enqueue(target, Request(request, From(self.pid, call))):
            deliver(self, Info(NoReply(call, MAILBOX_FULL)))
            return call
        add_watch(self, target, call)
        if timeout_s is not None:
            self.runtime._timers.insert(call, timeout_s)
        return call

    def reply(self, caller: From, value: Message) -> None:
        """Answer a call, one's own or another's; an answer nobody waits for any more is dropped and counted."""
        asker = caller.pid._process
        call = caller.ref
        if asker is None and caller.pid.node != self.runtime.node:
            self.runtime.foreign.answer(caller, value)
            return
        if asker is None or type(call) is not CallRef or asker._monitors is None or call not in asker._monitors:
            self.runtime._counters.late_replies += 1
            return
        forget_call(call)
        deliver(asker, Info(Reply(call, value)))

    def start(self, actor: Actor, *, name: Hashable | None = None, mailbox_limit: int | None = None) -> Pid:
        """Start an actor; returns after its `init`.

        Args:
            actor: An object that runs nowhere yet.
            name: A name to register before `init`.
            mailbox_limit: How many messages may wait; the runtime's limit if None.

        Raises:
            StartError: `init` raised or stopped, or the name is taken.
        """
        self._require_life()
        return self.runtime._start(actor, self, False, name, mailbox_limit).pid

    def start_link(self, actor: Actor, *, name: Hashable | None = None, mailbox_limit: int | None = None) -> Pid:
        """Start an actor and link to it, in one step. Arguments and errors are those of `start`."""
        self._require_life()
        return self.runtime._start(actor, self, True, name, mailbox_limit).pid

    def start_monitor(
        self, actor: Actor, *, name: Hashable | None = None, mailbox_limit: int | None = None
    ) -> tuple[Pid, Ref]:
        """Start an actor and monitor it, in one step. Arguments and errors are those of `start`."""
        pid = self.start(actor, name=name, mailbox_limit=mailbox_limit)
        return pid, self.monitor(pid)

    def link(self, pid: Pid) -> None:
        """Tie two fates: when one process ends, the other gets an exit signal with its reason."""
        self._require_life()
        target = pid._process
        if target is self:
            return
        if target is not None:
            add_link(self, target)
            return
        reason = self.runtime.foreign.link(self, pid)
        if reason is None:
            return
        if self.trap_exit:
            deliver(self, Info(Exit(pid, reason)))
        else:
            self.stop(reason)

    def unlink(self, pid: Pid) -> None:
        """Untie them: after this no exit signal of the link comes, though an Exit already in the mailbox stays."""
        if pid.node != self.runtime.node:
            self.runtime.foreign.unlink(self, pid)
            return
        target = pid._process or self._linked_dead(pid)
        if target is not None:
            remove_link(self, target)

    def monitor(self, pid: Pid) -> Ref:
        """Hear of a process's end, once, as `Down`; at once if it has ended already.

        Returns:
            The reference that the Down carries.
        """
        self._require_life()
        ref = Ref()
        target = pid._process
        if target is None:
            self.runtime.foreign.monitor(self, pid, ref)
        else:
            add_watch(self, target, ref)
        return ref

    def demonitor(self, ref: Ref) -> None:
        """Hear of it no more; a Down that lies in the mailbox already is taken out."""
        if remove_watch(self, ref):
            return
        mailbox = self._mailbox
        for index, item in enumerate(mailbox or ()):
            if type(item) is Info and type(item.message) is Down and item.message.ref is ref:
                assert mailbox is not None
                del mailbox[index]
                return

    def exit(self, pid: Pid, reason: Reason) -> None:
        """Send an exit signal. `KILLED` ends any process, unseen; others can be trapped, and normal ones hurt nobody.

        To itself any reason ends the process, unless it traps exits; it takes effect when the callback returns.
        """
        if pid._process is not self:
            self.runtime._signal(pid, self.pid, reason)
        elif self.trap_exit and reason is not KILLED:
            deliver(self, Info(Exit(pid, reason)))
        else:
            self.stop(reason)

    def stop(self, reason: Reason = NORMAL) -> None:
        """End this process when the present callback returns; what still lies in its mailbox is dropped."""
        if self._ending is not None and reason is not KILLED:
            return
        self._ending = reason
        if not self._running and self._mailbox is None and self._actor is not None:
            self._mailbox = deque()
            self._scheduler.ready.append(self)
            if self._scheduler.asleep:
                self._scheduler.wake()

    def ask_whereis(self, node: str, name: Hashable, timeout_s: float | None = 5.0) -> Ref:
        """Ask another node who holds a name there; the Reply's value is a pid, or None.

        Args:
            node: Which node.
            name: The name.
            timeout_s: How long to wait; None waits until the node is down.

        Returns:
            The reference that the Reply or NoReply carries.
        """
        self._require_life()
        return self.runtime.foreign.ask_whereis(self, node, name, timeout_s)

    def register(self, name: Hashable) -> None:
        """Take a name; a process may have several.

        Raises:
            NameTakenError: A living process holds it.
        """
        self._require_life()
        self.runtime._registry.register(name, self.pid)
        self._names = (*self._names, name)

    def unregister(self, name: Hashable) -> None:
        """Give up one of this process's names; a name it does not hold is left alone."""
        if name in self._names:
            self._names = tuple(held for held in self._names if held != name)
            self.runtime._registry.unregister(name)

    def send_after(self, delay_s: float, message: Message) -> Ref:
        """Send a message to `handle_info` of this process after a while, never early.

        Returns:
            The reference with which to cancel it.
        """
        timer = MessageTimer(self.pid, message)
        self.runtime._timers.insert(timer, delay_s)
        return timer

    def cancel(self, ref: Ref) -> bool:
        """Cancel a timer.

        Returns:
            Whether it was still waiting; False means that its message is in the mailbox, was handled, or never was.
        """
        return isinstance(ref, Timer) and self.runtime._timers.cancel(ref)

    def task(self, function: Callable[..., object], *args: object) -> Ref:
        """Run slow work elsewhere, so that nobody waits; the result comes as `TaskDone` or `TaskFailed`.

        Args:
            function: Runs in another thread: it must share nothing with any actor.
            args: Its arguments.

        Returns:
            The reference that the result carries.
        """
        return self.runtime._task(self.pid, function, args)

    def defer(self) -> None:
        """Have `handle_deferred` called once when the run queue has drained, however often this is called before."""
        if not self._deferred:
            self._deferred = True
            self._scheduler.deferred.append(self)
            if self._scheduler.asleep:
                self._scheduler.wake()

    def ignore(self, message: Message) -> None:
        """Count a message that `handle_info` does not know."""
        self.runtime._counters.ignored += 1

    def _hear_end(self, ref: Ref, pid: Pid, reason: Reason) -> None:
        if type(ref) is CallRef:
            self.runtime._timers.cancel(ref)
            deliver(self, Info(NoReply(ref, reason)))
        else:
            deliver(self, Info(Down(ref, pid, reason)))

    def _forgotten(self, watcher: Tied, ref: Ref) -> None:
        """Nobody has to be told: both sides of the tie are here."""

    def _linked_dead(self, pid: Pid) -> Tied | None:
        """The process behind a dead pid whose exit signal has not reached us yet."""
        for signal in self.runtime._signals:
            if signal[0] is self and signal[1] == pid:
                return signal[3]
        return None

    def _require_life(self) -> None:
        if self._actor is None:
            raise ProcessEndedError(self.pid)
