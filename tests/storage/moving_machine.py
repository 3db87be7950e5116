"""Two stores between which shards move, beside one plain store that knows nothing of moves.

Each side commits when the machine says so, and dies when it says so, with a batch in flight that may come through.
Whatever happens, a shard is held by one side at most, and there it is as the plain store says.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from storage import (
    Accepted,
    Acked,
    Committed,
    ConversationView,
    Engine,
    EngineError,
    Entries,
    Marked,
    MemoryEngine,
    Owned,
    Prepared,
    Record,
    Removed,
    Row,
    ShardView,
    Store,
    StoreLimits,
    Table,
)
from storage.memory_engine import MemoryPrepared
from storage.records import decode_record, key_position
from tests.storage.audit import audit
from tests.storage.plain import SHARDS, Plain, contents, directory_shard, shard_of
from tests.storage.twin import ACCOUNTS, CONVERSATIONS, DEVICES, NOUNS, WatchedCommitter, devices_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage import Batch

LIMITS = StoreLimits(
    commit_patience_s=0.002,
    commit_company=3,
    commit_records_max=4,
    trim_records_max=2,
    hot_window_bytes_max=2_000,
    hot_window_s_max=10,
    move_operations_max=7,
    shared_bytes_min=1,
)
shards, sides = st.integers(0, SHARDS - 1), st.integers(0, 1)
through = st.tuples(st.booleans(), st.booleans(), st.booleans())


class Side:
    """One node's store in one life.

    Attributes:
        epochs: Of the shards that it may write to.
    """

    def __init__(self, name: str, engine: Engine, limits: StoreLimits, told: Callable[[list[Committed]], None]) -> None:
        self.name = name
        self.engine = engine
        self.timers: deque[Callable[[], None]] = deque()
        self.committer = WatchedCommitter(engine)
        self.now_ms = 1_000
        self.store = Store.open(
            engine, self.committer, self.schedule, lambda: self.now_ms, limits, name, shard_of, directory_shard
        )
        self.store.subscribe(told)
        self.epochs: dict[int, int] = {}

    def schedule(self, delay_s: float, function: Callable[[], None]) -> None:
        self.timers.append(function)

    def take(self, shard: int) -> None:
        self.epochs.update(self.store.take_ownership([shard]))

    def step(self) -> None:
        if not self.committer.step():
            for _ in range(len(self.timers)):
                self.timers.popleft()()

    @property
    def busy(self) -> bool:
        return self.committer.waiting or bool(self.timers)


class Transfer:
    """A shard on its way; it goes on by itself with every commit, unless a side died: then it is over.

    People go on in it for some rounds; then it stops, and there is one more.
    """

    def __init__(self, machine: MovingModel, shard: int, source: int, size_bytes: int, rounds: int) -> None:
        self.machine = machine
        self.shard = shard
        self.source, self.target = machine.sides[source], machine.sides[1 - source]
        self.id = b"T%d" % machine.transfer_number
        self.size_bytes = size_bytes
        self.rounds = rounds
        if not rounds:
            self.stop()
        self.export = self.source.store.export_shard(shard)
        self.read()

    @property
    def over(self) -> bool:
        return self.machine.transfers.get(self.shard) is not self

    def read(self) -> None:
        self.source.store.read_export(self.export, self.size_bytes, self.rows)

    def stop(self) -> None:
        del self.source.epochs[self.shard]
        self.source.store.fence(self.shard)

    def rows(self, rows: list[Row]) -> None:
        if self.over:
            return
        if rows:
            self.target.store.import_rows(self.shard, self.source.name, self.id, rows, self.stored)
        elif not self.export.ended:
            self.read()
        elif self.rounds:
            self.rounds -= 1
            if not self.rounds:
                self.stop()
            self.export.go_on()
            self.read()
        else:
            assert self.export.is_last
            self.target.store.import_complete(self.shard, self.id, self.complete)

    def stored(self, error: Exception | None) -> None:
        if not self.over:
            self.give_up() if error else self.read()

    def complete(self, error: Exception | None) -> None:
        if self.over:
            return
        if error:
            self.give_up()
        else:
            self.source.store.release(self.shard, self.target.name, self.id, self.released)

    def released(self, error: Exception | None) -> None:
        if self.over:
            return
        if error:
            self.give_up()
        else:
            del self.machine.transfers[self.shard]
            self.target.take(self.shard)

    def give_up(self) -> None:
        assert self.machine.failing, "nothing fails unasked"
        del self.machine.transfers[self.shard]
        self.target.store.discard_arrival(self.shard, lambda error: None)
        self.source.store.end_export(self.export)
        if self.shard not in self.source.epochs:
            self.source.take(self.shard)


class MovingModel(RuleBasedStateMachine):
    """Chats, moves of the hot journal, moves of shards, failures and deaths, in any order."""

    def make_engine(self, side: int) -> Engine:
        return MemoryEngine()

    def reopened(self, side: Side, inflight: Prepared | None, nouns: tuple[bool, bool, bool]) -> Engine:
        """The engine after a death that let the chosen nouns of the batch in flight through."""
        assert isinstance(side.engine, MemoryEngine)
        if isinstance(inflight, MemoryPrepared):
            inflight.tear([table for chosen, noun in zip(nouns, NOUNS, strict=True) if chosen for table in noun])
            if nouns[0]:
                self.survived(inflight.batch)
        return side.engine.crash()

    def survived(self, batch: Batch) -> None:
        """What became durable without anybody being told."""
        for key, value in batch.appends:
            self.durable(key_position(key), *decode_record(value))

    @initialize(operations=st.sampled_from((2, 7, 500)))
    def start(self, operations: int) -> None:
        self.plain = Plain()
        self.transfers: dict[int, Transfer] = {}
        self.transfer_number = 0
        self.failing = False
        self.limits = replace(LIMITS, move_operations_max=operations)
        self.seqs: dict[str, int] = {}
        self.sources: dict[tuple[int, int], int] = {}
        self.positions: dict[int, int] = {}
        self.sides = [self.side(number, self.make_engine(number)) for number in range(2)]
        for shard in range(SHARDS):
            self.sides[0].take(shard)
        self.settle()

    def side(self, number: int, engine: Engine) -> Side:
        return Side("ab"[number], engine, self.limits, partial(self.on_committed, number))

    def on_committed(self, number: int, batch: list[Committed]) -> None:
        for committed in batch:
            if committed.error is None:
                self.durable(committed.position, committed.shard, committed.record)
                continue
            assert self.failing, f"nothing fails unasked: {committed.error}"
            epochs, record = self.sides[number].epochs, committed.record
            if isinstance(record, Owned) and epochs.get(committed.shard) == record.epoch:
                del epochs[committed.shard]

    def durable(self, position: int, shard: int, record: Record) -> None:
        assert position > self.positions.get(shard, 0), "positions of a shard rise, wherever it lives"
        self.positions[shard] = position
        self.plain.journal.append((position, shard, record))

    def home(self, shard: int) -> Side | None:
        """The side that may write to a shard just now."""
        return next((side for side in self.sides if shard in side.epochs), None)

    def append(self, shard: int, record: Record) -> None:
        side = self.home(shard)
        if side is not None:
            side.store.append(shard, side.epochs[shard], record)

    # What people do.

    @rule(
        conversation=st.sampled_from(CONVERSATIONS),
        to=st.lists(st.sampled_from(ACCOUNTS), min_size=1, max_size=3, unique=True),
        ttl=st.sampled_from((0, 500)),
    )
    def accept(self, conversation: str, to: list[str], ttl: int) -> None:
        shard = shard_of(conversation)
        if self.home(shard) is None:
            return
        seq = self.seqs[conversation] = self.seqs.get(conversation, 0) + 1
        ids, targets = seq.to_bytes(16, "big"), [(account, devices_of(account)) for account in to]
        expires_ms = 1_000 + ttl if ttl else 0
        self.append(
            shard,
            Accepted(conversation, b"p" * 16, b"e" * 8, seq, ids, seq, ids, to[0], targets, expires_ms, 1, 1, ids),
        )

    @rule(source=shards, to=st.sampled_from(ACCOUNTS), count=st.integers(1, 4), ttl=st.sampled_from((0, 500)))
    def enter(self, source: int, to: str, count: int, ttl: int) -> None:
        shard = shard_of(to)
        if self.home(shard) is None:
            return
        for _ in range(count):
            position = self.sources[shard, source] = self.sources.get((shard, source), 0) + 1
            targets = [(to, devices_of(to)[: 1 + position % 2])]
            expires_ms = 1_000 + ttl if ttl else 0
            self.append(shard, Entries(source, position, targets, 0, "x0", position, "a0", expires_ms, 0, b"body"))

    @rule(device=st.sampled_from(sorted(DEVICES)), share=st.floats(0, 1))
    def ack(self, device: bytes, share: float) -> None:
        waiting = self.plain.waiting(device)
        if waiting:
            up_to = waiting[int(share * (len(waiting) - 1))].position
            self.append(shard_of(DEVICES[device]), Acked(device, up_to, DEVICES[device]))

    @rule(device=st.sampled_from(sorted(DEVICES)), share=st.floats(0, 1), sender=st.sampled_from((None, *ACCOUNTS)))
    def remove(self, device: bytes, share: float, sender: str | None) -> None:
        waiting = self.plain.waiting(device)
        if not waiting:
            return
        position = waiting[int(share * (len(waiting) - 1))].position
        notices, targets = ([(sender, "x0", 1)], [(sender, devices_of(sender))]) if sender else ([], [])
        account = DEVICES[device]
        record = Removed(device, account, [position], 1, notices, targets, [b"notice"] if sender else [])
        self.append(shard_of(account), record)

    @rule(conversation=st.sampled_from(CONVERSATIONS), account=st.sampled_from(ACCOUNTS), up_to=st.integers(0, 9))
    def mark(self, conversation: str, account: str, up_to: int) -> None:
        self.append(shard_of(conversation), Marked(conversation, account, up_to, up_to // 2, up_to // 3))

    @rule(shard=shards, share=st.floats(0, 1))
    def taken(self, shard: int, share: float) -> None:
        side, untaken = self.home(shard), self.plain.untaken(shard)
        if side is not None and untaken:
            position = sorted(untaken)[int(share * (len(untaken) - 1))]
            target = min(untaken[position])
            side.store.taken(shard, position, target)
            self.plain.taken.add((shard, position, target))

    @rule(shard=shards, name=st.sampled_from((b"a", b"b")), value=st.sampled_from((None, b"1", b"2")))
    def write(self, shard: int, name: bytes, value: bytes | None) -> None:
        side, key = self.home(shard), b"shard%d/" % shard + name
        if side is None or shard not in side.store.holdings():
            return
        store, directory = side.store, self.plain.directory
        request = partial(store.directory.delete, key) if value is None else partial(store.directory.put, key, value)
        if not self.ask(side, request):
            assert not store._journal.owns(shard), "refused because the shard goes meanwhile"
        elif value is None:
            directory.pop(key, None)
        else:
            directory[key] = value

    # What nodes do.

    @rule(side=sides, steps=st.integers(1, 6))
    def go_on(self, side: int, steps: int) -> None:
        for _ in range(steps):
            self.sides[side].step()

    @rule(side=sides)
    def flush(self, side: int) -> None:
        self.sides[side].store.flush()

    @rule(side=sides, passed_ms=st.sampled_from((1, 11_000)))
    def maintain(self, side: int, passed_ms: int) -> None:
        self.sides[side].now_ms += passed_ms
        self.sides[side].store.maintain()

    @rule(side=sides, steps=st.integers(0, 8))
    def move(self, side: int, steps: int) -> None:
        self.sides[side].store.move()
        self.go_on(side, steps)

    @rule(
        shard=shards,
        size_bytes=st.sampled_from((1, 200, 10_000)),
        rounds=st.integers(0, 3),
        steps=st.integers(0, 12),
    )
    def hand_over(self, shard: int, size_bytes: int, rounds: int, steps: int) -> None:
        source = next((number for number, side in enumerate(self.sides) if shard in side.epochs), None)
        if source is None or shard in self.transfers or shard not in self.sides[source].store.holdings():
            return
        self.transfer_number += 1
        transfer = Transfer.__new__(Transfer)
        self.transfers[shard] = transfer
        Transfer.__init__(transfer, self, shard, source, size_bytes, rounds)
        for _ in range(steps):
            self.sides[1 - source].step()
            self.sides[source].step()

    @rule(side=sides)
    def fail(self, side: int) -> None:
        """The disk fails under whatever is in flight; people start anew from what is on it."""
        if not self.sides[side].committer.waiting:
            return
        self.failing = True
        self.sides[side].committer.fail(EngineError("the disk broke"))
        self.settle()
        self.failing = False
        self.start_anew()

    @rule(dead=st.sampled_from(((0,), (1,), (0, 1))), nouns=through, others=through)
    def die(self, dead: tuple[int, ...], nouns: tuple[bool, bool, bool], others: tuple[bool, bool, bool]) -> None:
        """Processes die; then the nodes find out from what is on their disks who has which shard."""
        self.transfers.clear()
        for number in dead:
            side = self.sides[number]
            engine = self.reopened(side, side.committer.crash(), others if number else nouns)
            self.sides[number] = self.side(number, engine)
        for number in {0, 1} - set(dead):
            while self.sides[number].busy:
                self.sides[number].step()
        self.plain.reopened()
        self.plain.taken_lost |= self.plain.taken
        self.find_out()
        self.start_anew()

    def find_out(self) -> None:
        for shard in range(SHARDS):
            (holder,) = (number for number, side in enumerate(self.sides) if self.belongs(shard, number))
            side, other = self.sides[holder], self.sides[1 - holder]
            if shard not in side.epochs:
                side.take(shard)
            if shard in other.store.arrivals():
                other.store.discard_arrival(shard, lambda error: None)

    def belongs(self, shard: int, number: int) -> bool:
        """Whether a shard is a side's: it holds it, or the other one released it and the copy is complete."""
        store, other = self.sides[number].store, self.sides[1 - number].store
        arrival, gone = store.arrivals().get(shard), other.gone().get(shard)
        released = gone is not None and arrival is not None and gone.transfer == arrival.transfer
        assert not released or (arrival is not None and arrival.complete), "nothing is released before it has arrived"
        return shard in store.holdings() or released

    def start_anew(self) -> None:
        """The actors load what they were; a shard's next message is numbered by what is durable."""
        self.settle()
        for conversation in CONVERSATIONS:
            side = self.home(shard_of(conversation))
            if side is not None:
                side.store.load_conversation(0, conversation, lambda view: None)
        for shard in range(SHARDS):
            for side in self.sides:
                side.store.load_shard(shard, lambda view: None)
        self.settle()
        self.seqs = {name: self.plain.next_seq(name) - 1 for name in CONVERSATIONS}
        self.sources = {(at, src): last for at in range(SHARDS) for src, last in self.plain.cursors(at).items()}
        for shard in range(SHARDS):  # whoever lost his shard in a failure takes it again
            if self.home(shard) is None and shard not in self.transfers:
                next(side for number, side in enumerate(self.sides) if self.belongs(shard, number)).take(shard)

    def settle(self) -> None:
        while any(side.busy for side in self.sides):
            for side in self.sides:
                side.step()

    @rule()
    def run(self) -> None:
        """Everything under way comes to its end; then all is as the plain store says."""
        self.settle()
        for side in self.sides:
            side.store.maintain()
        self.settle()
        assert not self.transfers
        for side in self.sides:
            audit(side.engine, counted=False)
        for shard in range(SHARDS):
            home = self.home(shard)
            assert home is not None
            self.check(home, shard)
            for other in self.sides:
                if other is not home:
                    self.check_absent(other, shard)

    @invariant()
    def nobody_shares(self) -> None:
        holders = [shard for side in getattr(self, "sides", ()) for shard in side.store.holdings()]
        assert len(holders) == len(set(holders))

    def ask(self, side: Side, request: Callable[[Callable[[Any], None]], None]) -> Any:
        answers: list[Any] = []
        request(answers.append)
        while not answers:
            side.step()
        return answers[0]

    def check(self, side: Side, shard: int) -> None:
        store, plain = side.store, self.plain
        assert shard in store.holdings()
        view: ShardView = self.ask(side, partial(store.load_shard, shard))
        assert (view.epoch, view.cursors) == (plain.epoch(shard), plain.cursors(shard))
        offered, untaken = {position for position, _ in view.outbox}, set(plain.untaken(shard))
        assert untaken <= offered <= untaken | plain.outbox_allowed(shard)
        assert len(offered) == len(view.outbox)
        for device in [device for device, account in DEVICES.items() if shard_of(account) == shard]:
            assert self.ask(side, partial(store.load_queue, shard, device)) == plain.queue_view(device)
            waiting = self.ask(side, partial(store.read_queue, shard, device, 0, 999, 1 << 30))
            assert waiting == plain.waiting(device)
        for conversation in [name for name in CONVERSATIONS if shard_of(name) == shard]:
            loaded: ConversationView = self.ask(side, partial(store.load_conversation, shard, conversation))
            assert contents(loaded) == contents(plain.conversation(conversation))
        expired = self.ask(side, partial(store.expired, shard, 1_500, 100))
        assert set(expired) == plain.expired(shard, DEVICES, 1_500)
        prefix = b"shard%d/" % shard
        pairs = self.ask(side, partial(store.directory.scan, prefix, 99))
        assert pairs == sorted(pair for pair in plain.directory.items() if pair[0].startswith(prefix))

    def check_absent(self, side: Side, shard: int) -> None:
        """Nothing of a shard is left where it does not live, neither in a table nor in memory."""
        memtable = side.store._memtable
        assert not [it for it in memtable.devices.values() if it.shard == shard]
        assert not [it for it in memtable.tails.values() if it.shard == shard]
        assert not [it for it in memtable.outbox.values() if it.shard == shard]
        assert not [it for it in memtable.cursors if it[0] == shard]
        assert shard not in side.store.arrivals()
        keys = {
            table: [key for key, _ in side.engine.scan(table, b"", b"\xff" * 500, 9_999)]
            for table in (Table.META, Table.INBOX, Table.DIRECTORY, Table.OUTBOX, Table.BODIES)
        }
        devices = [device for device, account in DEVICES.items() if shard_of(account) == shard]
        assert not [key for key in keys[Table.INBOX] for device in devices if device in key]
        assert not [key for key in keys[Table.INBOX] if key[:1] == b"n" and key[1] == shard]
        assert not [key for key in keys[Table.DIRECTORY] if key.startswith(b"shard%d/" % shard)]
        assert not [key for key in keys[Table.DIRECTORY] if key[:2] == b"\x00c" and shard_of(key.decode()) == shard]
        assert not [key for table in (Table.OUTBOX, Table.BODIES) for key in keys[table] if key[0] == shard]
        number = bytes((shard,))
        assert not {b"purge" + number, b"arrival" + number} & set(keys[Table.META])
        assert not [key for key in keys[Table.META] if key.startswith(b"cursor" + number)]

    def teardown(self) -> None:
        if not hasattr(self, "sides"):
            return
        self.run()
        self.die((0, 1), (False, False, False), (False, False, False))
        self.run()
        for side in self.sides:
            side.store.move()
        self.run()
        for side in self.sides:
            audit(side.engine, counted=True)
