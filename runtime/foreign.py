"""What ties the processes of this runtime to those of other nodes: verbs out, signals in, and the end of a node.

process                    Foreign                     the Distribution, and the same on the other node
-------                    -------                     ------------------------------------------------
cast, send, call   ----->  post, call        ----->    post, carry  ....  receive_post, receive
link, monitor      ----->  a stand-in here   ----->    carry        ....  receive: a stand-in there
its end, exit      ----->  pass_on           ----->    carry        ....  receive: Exit, Down or NoReply
                           node_down         <-----    the link broke: NODEDOWN to all that spanned it

Without a distribution every pid of another node is answered as a dead process is, with `NODEDOWN`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never
from weakref import WeakValueDictionary

from .mailbox import Info, Request, deliver, enqueue
from .messages import Down, From, NoReply, Reply
from .pid import FarRef, Named, Pid, Ref
from .reasons import MAILBOX_FULL, NODEDOWN, NOPROC
from .signals import (
    Answer,
    Call,
    Demonitor,
    Ended,
    ExitSignal,
    Kind,
    Link,
    Monitor,
    Unlink,
    Unlinked,
    WhereIs,
)
from .standin import Standin
from .ties import (
    CallRef,
    add_link,
    add_watch,
    links_of,
    remove_link,
    remove_watch,
    stop_watching,
    tell_watchers,
    untie_watch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from .distribution import Distribution
    from .messages import Message
    from .process import Process
    from .reasons import Reason
    from .runtime import Runtime
    from .signals import Signal
    from .ties import Tied


class Foreign:
    """A runtime's dealings with other nodes.

    Args:
        runtime: The runtime.

    Attributes:
        resolver: Asked when another node says something to a name that nobody holds: it may start whom the name stands
            for, and returns its pid, or None. So an actor can be sent to before it runs, as Orleans' grains can.
    """

    __slots__ = ("_distribution", "_last_number", "_refs", "_runtime", "_standins", "resolver")

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._distribution: Distribution | None = None
        self._standins: dict[str, dict[Pid, Standin]] = {}
        self._refs: WeakValueDictionary[int, Ref] = WeakValueDictionary()
        self._last_number = 0
        self.resolver: Callable[[Hashable], Pid | None] = _nobody

    def attach(self, distribution: Distribution | None) -> None:
        """Reach other nodes through this, or through nothing any more; whatever was linked before is down."""
        for node in tuple(self._standins):
            self.node_down(node)
        self._distribution = distribution

    @property
    def linked(self) -> Mapping[str, int]:
        """The nodes that are linked now, each with the life it is in."""
        return {} if self._distribution is None else self._distribution.incarnations

    def tied(self, node: str) -> int:
        """How many processes of a node are tied to some of this one."""
        return len(self._standins.get(node, ()))

    def unreachable(self, pid: Pid) -> Reason | None:
        """Why nothing can be said to a process that is not of this runtime; None if it can be."""
        if pid.node == self._runtime.node:
            return NOPROC
        if self._distribution is None:
            return NODEDOWN
        incarnation = self._distribution.incarnations.get(pid.node)
        if incarnation is None:
            return NODEDOWN
        return None if incarnation == pid.incarnation or type(pid) is Named else NOPROC

    # Out: what a process of this runtime does to a pid behind which there is none of this runtime.

    def post(self, pid: Pid, kind: Kind, message: Message) -> bool:
        """Send a message to another node, or to a name of this one."""
        runtime = self._runtime
        if pid.node == runtime.node:
            target = self._here(pid)
            return runtime._drop(pid, message) if target is None else self._enqueue(target, kind, message)
        reason = self.unreachable(pid)
        if reason is not None:
            runtime._counters.stale += reason is NOPROC
            return runtime._drop(pid, message)
        assert self._distribution is not None, "without one nothing is reachable"
        if self._distribution.post(pid, kind, message):
            return True
        if kind is Kind.SHEDDABLE:
            runtime._counters.shed += 1
        else:
            runtime._counters.refused += 1
        return False

    def call(self, caller: Process, pid: Pid, request: Message, timeout_s: float | None) -> Ref:
        """Ask a process of another node, or a name."""
        if pid.node == self._runtime.node and (target := self._here(pid)) is not None:
            return caller.call(target.pid, request, timeout_s)
        return self._ask(caller, pid, lambda number: Call(caller.pid, number, pid, request), timeout_s)

    def ask_whereis(self, caller: Process, node: str, name: Hashable, timeout_s: float | None) -> Ref:
        """Ask a node who holds a name there."""
        runtime = self._runtime
        if node == runtime.node:
            ref = Ref()
            deliver(caller, Info(Reply(ref, runtime.whereis(name))))
            return ref
        return self._ask(caller, Named(node, name), lambda number: WhereIs(caller.pid, number, name), timeout_s)

    def answer(self, caller: From, value: Message) -> None:
        """Answer a call that came from another node."""
        ref = caller.ref
        if not isinstance(ref, FarRef):
            self._runtime._counters.late_replies += 1
            return
        self.carry(caller.pid, Answer(caller.pid, ref.number, value))
        asker = self._standins.get(caller.pid.node, {}).get(caller.pid)
        if asker is not None:
            untie_watch(asker, ref)
            self.retire(asker)

    def monitor(self, watcher: Process, pid: Pid, ref: Ref) -> None:
        """Let a process hear of another's end on another node, or behind a name."""
        if pid.node == self._runtime.node and (target := self._here(pid)) is not None:
            add_watch(watcher, target, ref)
            return
        reason = self.unreachable(pid)
        if reason is not None:
            deliver(watcher, Info(Down(ref, pid, reason)))
            return
        add_watch(watcher, self._standin(pid), ref)
        self.carry(pid, Monitor(watcher.pid, self.number_of(ref), pid))

    def link(self, process: Process, pid: Pid) -> Reason | None:
        """Tie a process to one of another node; returns why it cannot be done."""
        reason = self.unreachable(pid)
        if reason is not None or type(pid) is Named:
            return reason or NOPROC
        standin = self._standin(pid)
        if process not in (standin._links or ()):
            add_link(process, standin)
            self.carry(pid, Link(process.pid, pid))
        return None

    def unlink(self, process: Process, pid: Pid) -> None:
        """Untie them."""
        standin = self._standins.get(pid.node, {}).get(pid)
        if standin is not None and remove_link(process, standin):
            standin.unlinking[process] = standin.unlinking.get(process, 0) + 1
            self.carry(pid, Unlink(process.pid, pid))

    def exit(self, pid: Pid, source: Pid, reason: Reason) -> None:
        """Send an exit signal to a process of another node; to nobody, if it cannot be reached."""
        if self.unreachable(pid) is None and type(pid) is not Named:
            self.carry(pid, ExitSignal(source, pid, reason, linked=False))

    def pass_on(self, target: Tied, source: Pid, reason: Reason, linked: Tied | None) -> None:
        """Send the exit signal of a process that ended to one that was linked to it."""
        assert linked is not None, "what `exit` sends to another node waits in no queue of this one"
        remove_link(target, linked)
        self.carry(target.pid, ExitSignal(source, target.pid, reason, linked=True))
        self.retire(target)

    def carry(self, pid: Pid, signal: Signal) -> bool:
        """Hand a signal for a process over, if the present life of its node is the one it belongs to."""
        reason = self.unreachable(pid)
        if reason is None:
            assert self._distribution is not None, "without one nothing is reachable"
            return self._distribution.carry(pid.node, signal)
        self._runtime._counters.stale += reason is NOPROC
        return True

    def number_of(self, ref: Ref) -> int:
        """The number under which a reference of this runtime is known elsewhere."""
        number: int | None = getattr(ref, "_number", None)
        if number is None:
            self._last_number = ref._number = number = self._last_number + 1
            self._refs[number] = ref
        return number

    def retire(self, tied: Tied) -> None:
        """Forget a stand-in to which nothing is tied any more."""
        if isinstance(tied, Standin) and tied.is_idle:
            standins = self._standins.get(tied.pid.node, {})
            if standins.get(tied.pid) is tied:
                del standins[tied.pid]

    # In: what the distribution tells.

    def pid(self, node: str, incarnation: int, serial: int) -> Pid:
        """The pid that these facts name; one of this runtime's living processes knows its process."""
        runtime = self._runtime
        if node == runtime.node and incarnation == runtime.incarnation:
            process = runtime._processes.get(serial)
            if process is not None:
                return process.pid
        return Pid(node, serial, incarnation)

    def ref(self, node: str, incarnation: int, number: int) -> Ref:
        """The reference that these facts name; one of this runtime is itself again, if somebody still has it."""
        if node == self._runtime.node and incarnation == self._runtime.incarnation:
            return self._refs.get(number) or Ref()
        return FarRef(node, incarnation, number)

    def receive_post(self, pid: Pid, kind: Kind, message: Message) -> None:
        """A message for a process or name of this runtime has come."""
        target = self._here(pid)
        if target is None:
            self._runtime._drop(pid, message)
        else:
            self._enqueue(target, kind, message)

    def receive(self, node: str, signal: Signal) -> None:
        """A signal has come.

        Args:
            node: From which node; it is linked.
            signal: What it says.
        """
        match signal:
            case Call():
                self._called(signal)
            case WhereIs(caller, number, name):
                self.carry(caller, Answer(caller, number, self._runtime.whereis(name)))
            case Answer():
                self._answered(node, signal)
            case Monitor(watcher, number, target):
                self._watch(watcher, number, target)
            case Demonitor(watcher, number):
                standin = self._standins.get(node, {}).get(watcher)
                if standin is not None:
                    remove_watch(standin, FarRef(node, watcher.incarnation, number))
                    self.retire(standin)
            case Ended():
                self._ended(node, signal)
            case ExitSignal():
                self._signalled(signal)
            case Link() | Unlink() | Unlinked():
                self._relinked(signal)
            case _:
                assert_never(signal)

    def node_down(self, node: str) -> None:
        """The link to a node broke: whatever spanned it ends with `NODEDOWN`, and nothing of it is kept."""
        runtime = self._runtime
        for standin in self._standins.pop(node, {}).values():
            for process in links_of(standin):
                runtime._signals.append((process, standin.pid, NODEDOWN, standin))
            stop_watching(standin)
            tell_watchers(standin, NODEDOWN)
        runtime._scheduler.wake_for_signals()

    def _ask(
        self, caller: Process, pid: Pid, signal_of: Callable[[int], Call | WhereIs], timeout_s: float | None
    ) -> Ref:
        reason = self.unreachable(pid)
        if reason is not None:
            ref = Ref()
            deliver(caller, Info(NoReply(ref, reason)))
            return ref
        call = CallRef(caller)
        if not self.carry(pid, signal_of(self.number_of(call))):
            deliver(caller, Info(NoReply(call, MAILBOX_FULL)))
            return call
        add_watch(caller, self._standin(pid), call)
        if timeout_s is not None:
            self._runtime._timers.insert(call, timeout_s)
        return call

    def _here(self, pid: Pid) -> Process | None:
        """The living process of this runtime behind a pid or a name."""
        if isinstance(pid, Named):
            found = self._runtime.whereis(pid.name) or self.resolver(pid.name)
            return None if found is None else found._process
        if pid.incarnation != self._runtime.incarnation:
            self._runtime._counters.stale += 1
            return None
        return self._runtime._processes.get(pid.serial)

    def _enqueue(self, target: Process, kind: Kind, message: Message) -> bool:
        if kind is Kind.CAST:
            return enqueue(target, message)
        if kind is Kind.SEND:
            return enqueue(target, Info(message))
        if kind is Kind.SHEDDABLE:
            return self._runtime.cast_sheddable(target.pid, message)
        taken = enqueue(target, message)
        if not taken:
            self._runtime.exit(target.pid, MAILBOX_FULL)
        return taken

    def _standin(self, pid: Pid) -> Standin:
        standins = self._standins.setdefault(pid.node, {})
        standin = standins.get(pid)
        if standin is None:
            standin = standins[pid] = Standin(self._runtime, pid)
        return standin

    def _called(self, call: Call) -> None:
        target = self._here(call.target)
        caller, number = call.caller, call.number
        if target is None:
            self.carry(caller, Ended(caller, number, NOPROC))
            return
        ref = FarRef(caller.node, caller.incarnation, number)
        if not enqueue(target, Request(call.request, From(caller, ref))):
            self.carry(caller, Ended(caller, number, MAILBOX_FULL))
            return
        add_watch(self._standin(caller), target, ref)

    def _watch(self, watcher: Pid, number: int, pid: Pid) -> None:
        target = self._here(pid)
        if target is None:
            self.carry(watcher, Ended(watcher, number, NOPROC))
        else:
            add_watch(self._standin(watcher), target, FarRef(watcher.node, watcher.incarnation, number))

    def _waiting(self, pid: Pid, number: int) -> tuple[Process, Ref, Tied] | None:
        """A call or monitor of this runtime that still waits: whose it is, its reference, and whom it watches."""
        process = self._here(pid)
        ref = self._refs.get(number)
        if process is None or ref is None:
            return None
        target = (process._monitors or {}).get(ref)
        return None if target is None else (process, ref, target)

    def _answered(self, node: str, answer: Answer) -> None:
        waiting = self._waiting(answer.caller, answer.number)
        process, call, target = waiting or (None, None, None)
        if process is None or target is None or not isinstance(call, CallRef):
            self._runtime._counters.late_replies += 1
            return
        if target.pid.node == node:
            untie_watch(process, call)  # the other side has forgotten it already
            self.retire(target)
        else:
            remove_watch(process, call)
        self._runtime._timers.cancel(call)
        deliver(process, Info(Reply(call, answer.value)))

    def _ended(self, node: str, ended: Ended) -> None:
        waiting = self._waiting(ended.watcher, ended.number)
        if waiting is None:
            return
        process, ref, target = waiting
        if target.is_here or target.pid.node != node:
            return
        untie_watch(process, ref)
        process._hear_end(ref, target.pid, ended.reason)
        self.retire(target)

    def _signalled(self, signal: ExitSignal) -> None:
        target = self._here(signal.target)
        if target is None:
            return
        linked = None
        if signal.linked:
            linked = self._standins.get(signal.source.node, {}).get(signal.source)
            if linked is None or target in linked.unlinking:
                return
        self._runtime._signals.append((target, signal.source, signal.reason, linked))
        self._runtime._scheduler.wake_for_signals()

    def _relinked(self, signal: Link | Unlink | Unlinked) -> None:
        source = signal.source
        if isinstance(signal, Unlinked):
            self._confirm_unlink(signal)
            return
        target = self._here(signal.target)
        if isinstance(signal, Unlink):
            standin = self._standins.get(source.node, {}).get(source)
            if target is not None and standin is not None:
                remove_link(target, standin)
                self.retire(standin)
            self.carry(source, Unlinked(signal.target, source))
        elif target is None:
            self.carry(source, ExitSignal(signal.target, source, NOPROC, linked=True))
        elif target not in self._standin(source).unlinking:
            add_link(target, self._standin(source))

    def _confirm_unlink(self, signal: Unlinked) -> None:
        standin = self._standins.get(signal.source.node, {}).get(signal.source)
        if standin is None:
            return
        for process, count in tuple(standin.unlinking.items()):
            if process.pid == signal.target:
                if count > 1:
                    standin.unlinking[process] = count - 1
                else:
                    del standin.unlinking[process]
        self.retire(standin)


def _nobody(name: Hashable) -> Pid | None:
    """Without a resolver a name that nobody holds stands for nobody."""
    return None
