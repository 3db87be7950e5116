"""Thespian's processes, tied together: each dies with its parent, no exit of a child is lost, none outlives the host.

The admin is a child of the launcher and the parent of the supervisor, which is the parent of the workers. There is no
logger process: what these processes have to say they write to the launcher's standard error.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from abc import ABC, abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from thespian.actors import ActorAddress, ChildActorExited, InvalidActorAddress
from thespian.system.actorManager import ActorManager
from thespian.system.messages.multiproc import EndpointConnected
from thespian.system.multiprocCommon import ChildInfo, MultiProcReplicator, closeFileNums
from thespian.system.multiprocTCPBase import ActorSystemBase
from thespian.system.systemAdmin import ThespianAdmin
from thespian.system.systemCommon import actorStartupFailed
from thespian.system.transport import ReceiveEnvelope, TransmitIntent

from supervisors.host.processes import deaf_to_the_terminal, die_with_parent, name_process
from supervisors.host.transport import HostTransport

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KILLED", "ChildEnded", "HostBase"]

ADMIN_START_S_MAX: Final = 5
KILLED: Final = 128
"""The admin's exit status, less the signal that ended the supervisor; as a shell says it."""
_FORK: Final = multiprocessing.get_context("fork")


class ChildEnded(ChildActorExited):
    """A child process has ended, and how: its exit status, or minus the signal that killed it.

    Attributes:
        created: The address under which its parent knows it since it was created.
        status: How it ended.
    """

    def __init__(self, address: ActorAddress, created: ActorAddress, status: int) -> None:
        super().__init__(address)
        self.created = created
        self.status = status


class _Parent(MultiProcReplicator, ABC):
    """A process of the tree that has children."""

    _child_procs: list[ChildInfo]

    def _startChildActor(
        self,
        child_address: ActorAddress,
        child_class: Any,
        globalName: str | None,
        parentAddr: ActorAddress,
        notifyAddr: ActorAddress,
        childRequirements: Any = None,
        sourceHash: str | None = None,
        sourceToLoad: Any = None,
    ) -> None:
        """Fork the process of an actor; sources that come by message are not taken."""
        endpoint = self.transport.prepEndpoint(child_address, self.capabilities)
        process = _FORK.Process(
            target=_be_actor,
            args=(
                os.getpid(),
                child_class,
                endpoint,
                (parentAddr, self._adminAddr, notifyAddr),
                childRequirements,
                self.capabilities,
                list(self.transport.childResetFileNumList()),
            ),
        )
        process.start()
        self.children().append(ChildInfo(child_address, child_class, process, endpoint.addrInst))

    def children(self) -> list[ChildInfo]:
        """Whom this process has forked and not yet reaped."""
        if not hasattr(self, "_child_procs"):
            self._child_procs = []
        return self._child_procs

    def child_pid(self, created: ActorAddress) -> int | None:
        """The process id of a child, by the address that creating it returned; None once it has been reaped."""
        return next((child.childProc.pid for child in self.children() if child.childAddr == created), None)

    def _childExited(self, address: ActorAddress) -> None:
        """Nothing: the stock forgets every child here that is dead by now, unheard. `childDied` tells of each."""

    def childDied(self) -> bool:
        """Some child may have died: tell of each that has, also of one that died before it could say its address."""
        dead = [child for child in self.children() if not child.childProc.is_alive()]
        for child in dead:
            self._child_procs.remove(child)
            address = getattr(child, "childRealAddr", child.childAddr)
            self.child_ended(ChildEnded(address, child.childAddr, child.childProc.exitcode))
        return True

    @abstractmethod
    def child_ended(self, end: ChildEnded) -> None:
        """Act on the end of a child."""


class _Admin(_Parent, ThespianAdmin):
    """Its only child is the supervisor, and it ends as that does."""

    def child_ended(self, end: ChildEnded) -> None:
        os._exit(end.status if end.status >= 0 else KILLED - end.status)


class _Manager(_Parent, ActorManager):
    """Hands the end of a child to its actor as a message, in the same turn."""

    def child_ended(self, end: ChildEnded) -> None:
        self._receiveQueue.append(ReceiveEnvelope(self.myAddress, end))


class HostBase(ActorSystemBase):
    """The launcher's side of Thespian.

    Args:
        system: Carries `capabilities`; Thespian's `ActorSystem`, or what looks like one.
        admin_started: Is told the process id of the admin at once; it is the id of its process group, too.
    """

    transportType = HostTransport

    def __init__(self, system: Any, admin_started: Callable[[int], None]) -> None:
        self._admin_started = admin_started
        super().__init__(system)

    def _startAdmin(
        self,
        adminAddr: ActorAddress,
        addrOfStarter: ActorAddress,
        capabilities: dict[str, Any],
        logDefs: Any,
    ) -> None:
        """Fork the admin as a child; the stock makes it a daemon, which nobody could watch."""
        endpoint = self.transport.prepEndpoint(adminAddr, capabilities)
        numbers = list(self.transport.childResetFileNumList())
        process = _FORK.Process(
            target=_be_admin, args=(os.getpid(), endpoint, adminAddr, addrOfStarter, capabilities, numbers)
        )
        process.start()
        self._admin_started(process.pid or 0)
        answer = self.transport.run(None, timedelta(seconds=ADMIN_START_S_MAX))
        if not isinstance(answer, ReceiveEnvelope) or not isinstance(answer.message, EndpointConnected):
            raise InvalidActorAddress(adminAddr, "the admin did not start")


def _be_admin(
    parent: int,
    endpoint: Any,
    address: ActorAddress,
    starter: ActorAddress,
    capabilities: dict[str, Any],
    numbers: list[int],
) -> None:
    """The admin's process: a session of its own, so that Ctrl-C in a terminal reaches the launcher alone."""
    deaf_to_the_terminal()
    die_with_parent(parent)
    os.setsid()
    name_process("roost-admin")
    closeFileNums(numbers)
    transport = HostTransport(endpoint)
    admin = _Admin(transport, address, capabilities, None, _FORK)
    signal.signal(signal.SIGCHLD, admin.signalChildDied)
    transport.enableRXPauseFlowControl(False)
    admin.asLogger = transport.myAddress  # anything but None says that logging is set up
    transport.scheduleTransmit(
        None, TransmitIntent(starter, EndpointConnected(0)).addCallback(onFailure=actorStartupFailed)
    )
    admin._activate()
    admin.run()


def _be_actor(
    parent: int,
    child_class: Any,
    endpoint: Any,
    addresses: tuple[ActorAddress, ActorAddress, ActorAddress],
    requirements: Any,
    capabilities: dict[str, Any],
    numbers: list[int],
) -> None:
    """An actor's process."""
    deaf_to_the_terminal()
    die_with_parent(parent)
    closeFileNums(numbers)
    parent_address, admin_address, notified = addresses
    transport = HostTransport(endpoint)
    manager = _Manager(
        child_class,
        None,
        transport,
        None,
        None,
        parent_address,
        admin_address,
        requirements,
        capabilities,
        _FORK,
        None,
    )
    manager.asLogger = admin_address
    signal.signal(signal.SIGCHLD, manager.signalChildDied)
    transport.scheduleTransmit(
        None,
        TransmitIntent(notified, EndpointConnected(endpoint.addrInst)).addCallback(onFailure=actorStartupFailed),
    )
    manager.run()
