"""The messenger without clients: real actors and a real store on virtual time, and visitors in place of connections."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from actors.accounts.api import AccountLimits, AccountView, Show
from actors.accounts.logic import Account, encode_account
from actors.conversation.api import ConversationLimits, Sender, Submit
from actors.directory_keys import account_key, device_key, directory_shard
from actors.presence.api import PresenceLimits
from actors.queue.api import Acknowledge, Attach, Attached, Batch, Fault, QueueLimits, Turn
from actors.router.api import Router
from actors.shard.api import Answers
from actors.tree import MessengerLimits, messenger_children
from protocol import AccountId, ClientId, ConversationId, DeviceId, Epoch, Ulid, decode_message, device_id_of, shard_of
from protocol.ids import SHARDS
from protocol.messages import POWER_BATTERY, Receipt, Refused, Send, Sent
from runtime import Actor, Hooks, InlineTasks, Pid, Runtime, SeededRandomness, SeededScheduler, VirtualClock
from storage import ManualCommitter, MemoryEngine, Store, StoreLimits
from storage.records import MESSAGE
from supervisors import Supervisor, SupervisorFlags

__all__ = ["Office", "Visitor", "device_of"]


class Codes:
    """Nobody registers here."""

    via = "nothing"

    def send(self, address: AccountId, code: str, lifetime_s: int) -> None:
        raise AssertionError("nobody registers here")


class Visitor(Actor):
    """In place of a connection: keeps what it hears."""

    __slots__ = ("attached", "faults", "heard")

    def __init__(self) -> None:
        self.attached: Attached | None = None
        self.faults: list[int] = []
        self.heard: list[Any] = []

    def handle_cast(self, message: Any) -> None:
        if isinstance(message, Attached):
            self.attached = message
        elif isinstance(message, Fault):
            self.faults.append(message.code)
        elif isinstance(message, Batch):
            self.heard.extend(message.entries)
        elif isinstance(message, Answers):
            self.heard.extend(message.frames)
        else:
            self.heard.append(message)

    @property
    def positions(self) -> list[int]:
        """Where the entries stood that came, in the order in which they came."""
        return [entry[0] for entry in self.heard if isinstance(entry, tuple)]

    @property
    def texts(self) -> list[str]:
        """What the messages say that came, in the order in which they came."""
        entries = [entry for entry in self.heard if isinstance(entry, tuple) and entry[1] == MESSAGE]
        return [decode_message(body).payload.decode() for _, _, body in entries]

    def all(self, kind: type) -> list[Any]:
        """What came of one kind of frame."""
        return [message for message in self.heard if isinstance(message, kind)]


def device_of(name: str) -> tuple[DeviceId, bytes]:
    """A device and its key, by its name."""
    key = name.encode().ljust(32, b".")
    return device_id_of(key), key


class Office:
    """One node.

    Args:
        seed: Who runs when.
        queue: Limits of the queues.
    """

    def __init__(self, seed: int = 0, queue: QueueLimits | None = None) -> None:
        self.clock = VirtualClock()
        self.scheduler = SeededScheduler(seed)
        self.crashes: list[tuple[Actor, BaseException]] = []
        self.engine = MemoryEngine()
        self._queue_limits = queue or QueueLimits(100, 1 << 20, 1 << 16, 5, 60.0)
        self._client_ids = itertools.count(1)
        self.boot()

    def boot(self) -> None:
        """Start a node on what the disk holds."""
        self.runtime = Runtime(
            clock=self.clock,
            randomness=SeededRandomness(self.scheduler.seed),
            scheduler=SeededScheduler(self.scheduler.seed),
            tasks=InlineTasks(),
            hooks=Hooks(crashed=lambda _, actor, error: self.crashes.append((actor, error))),
        )
        self.scheduler = self.runtime.scheduler  # type: ignore[assignment]  # the one above
        self.committer = ManualCommitter(self.engine)
        self.store = Store.open(
            self.engine,
            self.committer,
            self.runtime.schedule,
            self.clock.wall_ms,
            StoreLimits(commit_patience_s=0.0),
            "office",
            shard_of,
            directory_shard,
        )
        self.router = Router(self.runtime)
        limits = MessengerLimits(
            ConversationLimits(1_000, 86_400, 86_400),
            self._queue_limits,
            AccountLimits(5, 100, True, 600, 5),
            PresenceLimits(5.0, 2.0),
            2.0,
        )
        epochs = self.store.take_ownership(range(SHARDS))
        ulid = Ulid(self.runtime.randomness.bytes)
        children = messenger_children(self.store, epochs, self.router, ulid, Codes(), limits)
        self.runtime.start(Supervisor(SupervisorFlags("rest_for_one"), children))
        self.settle()

    def settle(self) -> None:
        """Let everybody react and every commit reach the disk, without time passing."""
        busy = True
        while busy:
            self.store.flush()
            busy = self.committer.step() | (self.scheduler.run_until_idle() > 0)

    def step(self) -> None:
        """One turn of somebody, and one commit."""
        self.store.flush()
        self.committer.step()
        self.scheduler.step()

    def wait(self, duration_s: float) -> None:
        """Let time pass."""
        until_s = self.clock.now_s() + duration_s
        while (due_s := self.scheduler.next_due_s()) is not None and due_s <= until_s:
            self.clock.advance_to(max(due_s, self.clock.now_s()))
            self.settle()
        self.clock.advance_to(until_s)
        self.settle()

    def employ(self, name: str, *devices: str) -> None:
        """An account with these devices is in the directory."""
        account = Account(name, 0, name)
        for device in devices:
            device_id, key = device_of(device)
            account = account.with_device(key, device, 0)
            self.store.directory.put(device_key(device_id), name.encode(), lambda _: None)
        self.store.directory.put(account_key(AccountId(name)), encode_account(account), lambda _: None)
        self.settle()

    def queue(self, name: str, device: str) -> Pid:
        """The process of a queue."""
        return self.router.queue(device_of(device)[0], AccountId(name))

    def attach(self, name: str, device: str, *, foreground: bool = True, power: int = POWER_BATTERY) -> Visitor:
        """A device logs in."""
        visitor = Visitor()
        pid = self.runtime.start(visitor)
        opened_s = self.clock.now_s()
        self.runtime.cast(self.queue(name, device), Attach(pid, b"", 0, foreground, power, opened_s))
        self.settle()
        assert visitor.attached is not None
        return visitor

    def turn(self, visitor: Visitor, name: str, device: str, *, foreground: bool) -> None:
        """A device goes to the foreground or background."""
        self.runtime.cast(self.queue(name, device), Turn(visitor.process.pid, foreground, POWER_BATTERY))
        self.settle()

    def acknowledge(self, visitor: Visitor, name: str, device: str) -> None:
        """A device has everything that came."""
        if not visitor.positions:
            return
        self.runtime.cast(self.queue(name, device), Acknowledge(visitor.process.pid, max(visitor.positions)))
        self.settle()

    def say(
        self, visitor: Visitor, name: str, device: str, to: str, number: int, text: str, flags: int = 0, ttl_s: int = 0
    ) -> Sent | Refused | None:
        """A device sends; what it is answered, if it is at once."""
        before = len(visitor.heard)
        self.submit(visitor, name, device, to, number, text, flags, ttl_s)
        self.settle()
        answers = [frame for frame in visitor.heard[before:] if isinstance(frame, Sent | Refused)]
        return answers[-1] if answers else None

    def submit(
        self, visitor: Visitor, name: str, device: str, to: str, number: int, text: str, flags: int = 0, ttl_s: int = 0
    ) -> None:
        """A device sends, and nobody has reacted yet."""
        conversation = ConversationId(":".join(sorted((name, to))))
        sender = Sender(visitor.process.pid, AccountId(name), device_of(device)[0], Epoch(b"epoch--1"))
        client_id = ClientId(next(self._client_ids).to_bytes(16, "big"))
        send = Send(conversation, number, client_id, text.encode(), ttl_s, flags)
        self.runtime.cast(self.router.conversation(conversation), Submit(sender, [send]))

    def receipts(self, visitor: Visitor) -> list[Receipt]:
        """The receipts that came."""
        return visitor.all(Receipt)

    def view(self, name: str) -> AccountView:
        """An account, as its process shows it to others."""
        visitor = Visitor()
        self.runtime.cast(self.router.account(AccountId(name)), Show(self.runtime.start(visitor)))
        self.settle()
        (view,) = visitor.all(AccountView)
        assert isinstance(view, AccountView)
        return view

    def waiting(self, name: str, device: str) -> int:
        """How much waits for a device, by the store."""
        found: list[int] = []
        self.store.load_queue(shard_of(AccountId(name)), device_of(device)[0], lambda view: found.append(view.count))
        self.settle()
        return found[0]

    def notices(self, visitor: Visitor) -> list[tuple[int, int]]:
        """Seq and reason of the notices that came."""
        entries = [entry for entry in visitor.heard if isinstance(entry, tuple) and entry[1] != MESSAGE]
        bodies = [msgspec.msgpack.decode(body) for _, _, body in entries]
        return [(seq, reason) for _, seq, _, _, reason, _ in bodies]
