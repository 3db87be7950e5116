"""The weather: people who write to each other in a house where anything fails at any moment, then calm, then the bill.

One seed decides everything: who runs next, when a commit reaches the disk, what breaks. `run(seed)` either returns
what happened or raises a `PromiseError` (or whatever an actor raised) with the seed in its notes.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from actors.connection.api import Pressure
from actors.router.api import shard_number
from protocol import AccountId, ConversationId, direct_conversation
from protocol.ids import SHARDS
from runtime import KILLED
from storage import MESSAGE, Table
from tests.actors.house import Floor, House
from tests.actors.phone import Phone
from tests.actors.witness import LIVENESS, NOTHING_LOST, ORDER, PromiseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.tree import Parts

PEOPLE = {AccountId("ann"): 2, AccountId("bob"): 2, AccountId("cid"): 1, AccountId("dora"): 1}
CALM_S_MAX = 90.0
"""After the last fault everything has come to rest within so many virtual seconds: a heartbeat that is missed, an
intensity period that passes, and the retries behind them."""

KINDS = ("conversation", "shard", "queue", "account", "presence")


@dataclass
class Story:
    """What happened in one run."""

    seed: int
    events: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    refusals: Counter[int] = field(default_factory=Counter)
    calm_s: float = 0.0
    glimpses: int = 0


def floor_of(seed: int) -> Floor:
    """The sizes of a seed's house."""
    chance = random.Random(f"floor {seed}")
    accounts = [AccountId(name) for name in PEOPLE]
    chats = [direct_conversation(one, other) for one, other in combinations(accounts, 2)]
    needed = tuple(sorted({shard_number(name) for name in [*accounts, *chats, *notes(accounts)]}))
    return Floor(
        tuple(range(SHARDS)) if seed % 10 == 0 else needed,
        entries_max=chance.choice((10_000, 10_000, 12)),
        window_bytes=chance.choice((64 * 1024, 600, 300)),
        attempts_max=chance.choice((100, 100, 3)),
        resume_window_s=chance.choice((60.0, 1.0)),
        hot_window_bytes=chance.choice((1 << 20, 8_192, 2_048)),
        hot_window_s=chance.choice((30.0, 1.0, 0.2)),
        move_operations=chance.choice((512, 32, 8)),
    )


def notes(accounts: list[AccountId]) -> list[ConversationId]:
    """Everyone's notes to self."""
    return [direct_conversation(name, name) for name in accounts]


class Weather:
    """One run.

    Args:
        seed: Decides everything.
        parts: The classes of the actors.
        turns: How many things happen before the calm.
    """

    def __init__(self, seed: int, parts: Parts | None = None, turns: int = 2_500) -> None:
        self.chance = random.Random(f"weather {seed}")
        self.story = Story(seed)
        self.house = House(seed, floor_of(seed), parts)
        self.turns = turns
        self._restarts_left = 2  # faults of the last turn may still be too many for a supervisor's patience
        self.phones = [
            Phone(self.house, account, f"{account}{number}", random.Random(f"{seed} {account}{number}"))
            for account, count in PEOPLE.items()
            for number in range(1, count + 1)
        ]
        accounts = [AccountId(name) for name in PEOPLE]
        self.chats = [direct_conversation(one, other) for one, other in combinations(accounts, 2)] + notes(accounts)
        self.ttls = self.chance.choice(((0,), (0, 0, 0, 1, 3)))
        # How rough it is differs from seed to seed: a fault in every tenth turn hides what a rare one shows.
        roughness = self.chance.choice((0.3, 1.0, 3.0))
        self.actions: list[tuple[float, Callable[[], object]]] = [
            (60, self._step),
            (10, self._commit_disk),
            (14, self._carry_up),
            (14, self._carry_down),
            (5, self._compose),
            (5, self._send),
            (5, self._commit_phone),
            (5, self._ack),
            (1, self._look),
            (0.5, self._wave),
            (10, self._let_pass),
            (6, self._tick),
            (0.3, self.move),
            (0.3 * roughness, self._fail_commit),
            (0.4 * roughness, self._drop),
            (0.15 * roughness, self._crash_phone),
            (0.6 * roughness, self._kill),
            (0.3 * roughness, self._crash_actor),
            (0.06 * roughness, self._die),
            (0.1 * roughness, self._press),
        ]

    def run(self) -> Story:
        """The whole story.

        Raises:
            PromiseError: A promise is broken.
        """
        house = self.house
        house.boot()
        self._settle(lambda: all(phone.ready for phone in self.phones))
        weights, functions = zip(*self.actions, strict=True)
        house.faults = True
        for function in self.chance.choices(functions, [float(weight) for weight in weights], k=self.turns):
            function()
            house.check()
            if not house.alive:
                self._die()
        self._calm()
        self.story.accepted = len(house.witness.accepted)
        for phone in self.phones:
            self.story.refusals.update(phone.refusals)
            self.story.glimpses += phone.glimpses
        return self.story

    # Ordinary life.

    def _phone(self) -> Phone:
        return self.chance.choice(self.phones)

    def _step(self) -> None:
        for _ in range(self.chance.randint(1, 12)):
            self.house.scheduler.step()

    def _commit_disk(self) -> None:
        self.house.committer.step()

    def _carry_up(self) -> None:
        links = [link for link in self.house.links if link.up]
        if links:
            self.house.carry(self.chance.choice(links))

    def _carry_down(self) -> None:
        for _ in range(self.chance.randint(1, 6)):
            self._phone().hear()

    def _compose(self) -> None:
        phone = self._phone()
        mine = [chat for chat in self.chats if phone.account in chat.split(":")]
        chat = self.chance.choice(mine)
        for _ in range(self.chance.choice((1, 1, 1, 5))):
            phone.compose(chat, self.chance.choice(self.ttls))

    def _send(self) -> None:
        self._phone().send()

    def _commit_phone(self) -> None:
        self._phone().commit()

    def _ack(self) -> None:
        self._phone().ack()

    def _look(self) -> None:
        self._phone().look()

    def _wave(self) -> None:
        phone = self._phone()
        phone.wave(self.chance.choice([chat for chat in self.chats if phone.account in chat.split(":")]))

    def _let_pass(self) -> None:
        self.house.let_pass(self.chance.choice((0.001, 0.001, 0.002, 0.002, 0.01, 0.05, 0.3, 1.2)))
        self.house.links = [link for link in self.house.links if not (link.cut and link.closing)]

    def _tick(self) -> None:
        self._phone().tick()

    def move(self) -> None:
        """The store takes what waits out of its hot journal."""
        self.house.store.move()

    # Faults.

    def _note(self, event: str) -> None:
        self.story.events[event] += 1

    def _fail_commit(self) -> None:
        if self.house.fail_commit():
            self._note("failed commit")

    def _drop(self) -> None:
        phone = self._phone()
        if phone.link is not None:
            self._note("dropped connection")
            phone.drop(told=self.chance.random() < 0.7)

    def _crash_phone(self) -> None:
        self._note("crashed client")
        self._phone().crash()

    def _kill(self) -> None:
        """Kill an actor: one with a name, or a connection, a keyed supervisor, the journal."""
        runtime = self.house.runtime
        kind = self.chance.choice((*KINDS, *KINDS, *KINDS, "connection", "connection", "keyed", "journal"))
        if kind == "connection":
            pids = [link.pid for link in self.house.links if link.pid is not None]
        elif kind == "keyed":
            households = list(self.house.router._households.values())
            household = self.chance.choice(households)
            keyed = self.chance.choice(
                (household.accounts, household.conversations, household.queues, household.presences)
            )
            pids = [keyed.process.pid]
        else:
            names = [name for name in runtime.names() if name == kind or (isinstance(name, tuple) and name[0] == kind)]
            pids = [pid for name in names if (pid := runtime.whereis(name)) is not None]
        pids = [pid for pid in pids if runtime.is_alive(pid)]
        if pids:
            self._note(f"killed {kind}")
            runtime.exit(self.chance.choice(pids), KILLED)

    def _crash_actor(self) -> None:
        """The next actor that writes to the store crashes in the middle of its callback."""
        self._note("crashed actor")
        if self.chance.random() < 0.5:
            self.house.store.crash_before = True
        else:
            self.house.store.crash_after = True

    def _die(self) -> None:
        """The node's process ends; the commit in flight is lost, kept, or torn between two tables."""
        fate = self.chance.choice(("lost", "kept", "torn"))
        tables = {
            "lost": [],
            "kept": list(Table),
            "torn": [table for table in Table if self.chance.random() < 0.5],
        }[fate]
        self._note(f"process death, commit {fate}" if self.house.committer.waiting else "process death")
        self.house.die(tables)
        self.house.boot()

    def _press(self) -> None:
        link = self._phone().link
        if link is not None and link.pid is not None:
            self.house.runtime.cast(link.pid, Pressure(full=self.chance.random() < 0.5))

    # Calm.

    def _settle(self, done: Callable[[], bool]) -> None:
        """Let everyone do what they have to until it is done.

        Raises:
            PromiseError: It is not done in time.
        """
        house, begun_s = self.house, self.house.clock.now_s()
        while True:
            house.scheduler.run_until_idle()
            busy = house.committer.step()
            for link in list(house.links):
                busy |= house.carry(link)
            for phone in self.phones:
                busy |= phone.hear()
                for act in (phone.commit, phone.ack, phone.send, phone.tick):
                    busy |= act()
            house.check()
            if busy:
                continue
            if done():
                self.story.calm_s = max(self.story.calm_s, house.clock.now_s() - begun_s)
                return
            if house.clock.now_s() - begun_s > CALM_S_MAX:
                raise PromiseError(LIVENESS, f"not at rest after {CALM_S_MAX} s: {self._unrest()}")
            house.let_pass(self.chance.choice((0.002, 0.02, 0.1)))
            if not house.alive:
                self._restarts_left -= 1
                if not self._restarts_left:
                    raise PromiseError(LIVENESS, "the node's tree gives up without a fault")
                self._die()

    def _calm(self) -> None:
        house = self.house
        house.store.crash_before = house.store.crash_after = False
        house.faults = False
        if not house.alive:
            self._die()
        for phone in self.phones:
            phone.retry_s = 0.0
        for link in house.links:
            if link.pid is not None:
                house.runtime.cast(link.pid, Pressure(full=False))
        self._settle(self._rested)
        self._bill()
        for phone in self.phones:  # a mark that was lost is healed at the next login
            phone.leave()
            phone.drop(told=True)
        self._settle(lambda: self._rested() and self._marks_true())

    def _unrest(self) -> str:
        phones = [
            f"{phone} {'ready' if phone.ready else 'away'} outbox {outbox}"
            for phone in self.phones
            if (outbox := sum(len(chat.outbox) for chat in phone.chats.values())) or not phone.ready
        ]
        return f"{phones}; waiting {self._waiting()}; outbox {self._outbox()}; {self._marks_wrong()}"

    def _rested(self) -> bool:
        return (
            self.house.store.statistics().pending_bytes == 0
            and all(phone.ready for phone in self.phones)
            and not any(chat.outbox for phone in self.phones for chat in phone.chats.values())
            and not any(self.house.witness.waiting.values())
            and not self._waiting()
            and not self._outbox()
        )

    def _waiting(self) -> list[str]:
        """Devices for which something waits, by the store."""
        found: list[str] = []
        for phone in self.phones:
            self.house.store.load_queue(
                shard_number(phone.account),
                phone.device,
                lambda view, phone=phone: found.append(f"{phone} {view.count}") if view.count else None,  # type: ignore[misc]
            )
        return found

    def _outbox(self) -> list[int]:
        """Shards with something in their outbox."""
        found: list[int] = []
        for shard in self.house.floor.shards:
            self.house.store.read_outbox(
                shard,
                0,
                1,
                lambda jobs, shard=shard: found.append(shard) if jobs else None,  # type: ignore[misc]
            )
        return found

    def _marks_true(self) -> bool:
        return not self._marks_wrong()

    def _marks_wrong(self) -> list[str]:
        """Marks on a screen that are not what the devices have."""
        wrong = []
        for phone in self.phones:
            for conversation, chat in phone.chats.items():
                for account in set(conversation.split(":")):
                    theirs = [
                        other.chats[conversation]
                        for other in self.house.witness.phones_of(account)
                        if conversation in other.chats
                    ]
                    read = max((each.read for each in theirs), default=0)
                    delivered = max(read, max((each.delivered for each in theirs), default=0))
                    if chat.marks.get(account, (0, 0)) != (delivered, read):
                        wrong.append(
                            f"{phone} sees {account} in {conversation} at {chat.marks.get(account)}, "
                            f"not {(delivered, read)}"
                        )
        return wrong

    def _bill(self) -> None:
        """Everything that was written was accepted once; everything accepted came, or left a notice; all in order.

        Raises:
            PromiseError: It is not so.
        """
        witness = self.house.witness
        for phone in self.phones:
            for conversation, chat in phone.chats.items():
                mine = [
                    record
                    for (chat_name, _), record in sorted(witness.accepted.items())
                    if chat_name == conversation and record.producer == phone.device
                ]
                if [record.number for record in mine] != list(range(1, chat.composed + 1)):
                    raise PromiseError(ORDER, f"{phone} wrote {chat.composed} in {conversation}; {len(mine)} accepted")
        for (chat_name, seq), record in witness.accepted.items():
            for account, devices in record.targets:
                for device in devices:
                    phone = witness.phones[device]
                    key = (MESSAGE, chat_name, seq, "", b"")
                    if phone.has(key):
                        continue
                    reason = witness.removed.get((device, chat_name, seq))
                    notice = (reason or 0, chat_name, seq, account, device)
                    told = [other for other in witness.phones_of(record.sender) if other is not phone]
                    if reason is None or not all(
                        other.has(notice) or (other.device, notice) in witness.unheard for other in told
                    ):
                        raise PromiseError(NOTHING_LOST, f"{chat_name} {seq} never came to {phone}, without a word")


def run(seed: int, parts: Parts | None = None, turns: int = 2_500) -> Story:
    """One run under one seed.

    Raises:
        PromiseError: A promise is broken; the seed is among its notes.
    """
    try:
        return Weather(seed, parts, turns).run()
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise
