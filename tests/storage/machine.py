"""One machine for both engines: any order of calls, commits, failures and crashes, beside the plain store."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from storage import (
    ABSENT,
    ANY,
    Accepted,
    Acked,
    ConversationView,
    EngineError,
    Entries,
    Entry,
    Expectation,
    Marked,
    QueueView,
    Removed,
    ShardView,
)
from tests.storage.audit import audit
from tests.storage.plain import SHARDS, contents, shard_of
from tests.storage.twin import ACCOUNTS, CONVERSATIONS, DEVICES, KEYS, LIMITS, Twin, devices_of

accounts = st.lists(st.sampled_from(ACCOUNTS), min_size=1, max_size=3, unique=True)
bodies = st.one_of(st.integers(0, 60), st.sampled_from((400, 600, 1_200))).map(bytes)


def tails_of(targets: list[tuple[str, list[bytes]]]) -> dict[bytes, bytes]:
    """What each device gets of a message that says something else to each."""
    return {device: b" for " + device for _, devices in targets for device in devices}


class StoreModel(Twin):
    """All the calls, in any order, with commits, failures and crashes between them."""

    @initialize(operations=st.sampled_from((3, 20, 500)))
    def start(self, operations: int) -> None:
        """From slices of one entry to a whole move in one slice."""
        self.limits = replace(LIMITS, move_operations_max=operations)
        self.open()
        self.own_all()

    # Appends.

    @rule(
        conversation=st.sampled_from(CONVERSATIONS),
        to=accounts,
        body=bodies,
        ttl=st.sampled_from((0, 0, 500)),
        apart=st.booleans(),
    )
    def accept(self, conversation: str, to: list[str], body: bytes, ttl: int, apart: bool) -> None:
        """A conversation numbers its message before it is durable; after a failure it goes on wrongly until loaded."""
        seq = self.seqs[conversation] = self.seqs.get(conversation, 0) + 1
        producer, epoch = b"producer".ljust(16), bytes((seq // 7 % 6,)) * 8
        targets = [(account, devices_of(account)) for account in to]
        expires_ms = self.now_ms + ttl if ttl else 0
        ids = bytes((seq,)) * 16
        record = Accepted(
            conversation, producer, epoch, seq, ids, seq, ids, to[0], targets, expires_ms, 1, self.now_ms, body,
            tails=tails_of(targets) if apart else None,
        )  # fmt: skip
        self.append(shard_of(conversation), record)

    @rule(
        source=st.integers(0, 2),
        to=st.sampled_from(ACCOUNTS),
        body=bodies,
        ttl=st.sampled_from((0, 500)),
        apart=st.booleans(),
    )
    def enter(self, source: int, to: str, body: bytes, ttl: int, apart: bool) -> None:
        shard = shard_of(to)
        position = self.sources[shard, source] = self.sources.get((shard, source), 0) + 1
        targets = [(to, devices_of(to)[: 1 + position % 2])]
        expires_ms = self.now_ms + ttl if ttl else 0
        tails = tails_of(targets) if apart else None
        self.append(shard, Entries(source, position, targets, 0, "x0", position, "a0", expires_ms, 0, body, tails))

    @rule(source=st.integers(0, 2), count=st.integers(1, 3), ttl=st.sampled_from((0, 500)))
    def enter_group(self, source: int, count: int, ttl: int) -> None:
        """A group with several members of one shard: their entries may refer to one body."""
        for _ in range(count):
            position = self.sources[0, source] = self.sources.get((0, source), 0) + 1
            targets = [(account, devices_of(account)) for account in ("a0", "d0")]
            expires_ms = self.now_ms + ttl if ttl else 0
            self.append(0, Entries(source, position, targets, 0, "#0", position, "b1", expires_ms, 0, bytes(400)))

    @rule(device=st.sampled_from(sorted(DEVICES)), share=st.floats(0, 1))
    def ack(self, device: bytes, share: float) -> None:
        waiting = self.plain.waiting(device)
        if waiting:
            up_to = waiting[int(share * (len(waiting) - 1))].position
            self.append(shard_of(DEVICES[device]), Acked(device, up_to, DEVICES[device]))

    @rule(device=st.sampled_from(sorted(DEVICES)), data=st.data(), sender=st.sampled_from((None, *ACCOUNTS)))
    def remove(self, device: bytes, data: st.DataObject, sender: str | None) -> None:
        waiting = [entry.position for entry in self.plain.waiting(device)]
        if not waiting:
            return
        positions = data.draw(st.lists(st.sampled_from(waiting), min_size=1, max_size=3, unique=True))
        notices, targets = ([(sender, "x0", 1)], [(sender, devices_of(sender))]) if sender else ([], [])
        account = DEVICES[device]
        record = Removed(device, account, positions, 1, notices, targets, [b"notice"] if sender else [])
        self.append(shard_of(account), record)

    @rule(conversation=st.sampled_from(CONVERSATIONS), account=st.sampled_from(ACCOUNTS), up_to=st.integers(0, 9))
    def mark(self, conversation: str, account: str, up_to: int) -> None:
        self.append(shard_of(conversation), Marked(conversation, account, up_to, up_to // 2, up_to // 3))

    @rule(conversation=st.sampled_from(CONVERSATIONS), to=accounts, up_to=st.integers(0, 9))
    def mark_many(self, conversation: str, to: list[str], up_to: int) -> None:
        """A group writes the marks of all its members at once."""
        first, *others = [(account, up_to + number, up_to, number) for number, account in enumerate(to)]
        self.append(shard_of(conversation), Marked(conversation, *first, others))

    @rule(conversation=st.sampled_from(CONVERSATIONS), to=accounts, state=bodies, parted=accounts)
    def change(self, conversation: str, to: list[str], state: bytes, parted: list[str]) -> None:
        """A group says what it is from here on; whoever parts with it, parts with their marks."""
        seq = self.seqs[conversation] = self.seqs.get(conversation, 0) + 1
        targets, ids = [(account, devices_of(account)) for account in to], bytes((seq,)) * 16
        self.append(
            shard_of(conversation),
            Accepted(
                conversation, b"", b"", 0, b"", seq, ids, to[0], targets, 0, 4, self.now_ms, ids, state, parted[1:]
            ),
        )

    @rule(shard=st.integers(0, 2), back=st.integers(0, 2))
    def own(self, shard: int, back: int) -> None:
        """A new owner fences every earlier epoch."""
        self.take(shard)
        if back:
            self.store.append(shard, self.epochs[shard] - back, Acked(b"?", 0, "a0"), self.call("stale"))

    @rule(shard=st.integers(0, 2), data=st.data())
    def taken(self, shard: int, data: st.DataObject) -> None:
        untaken = self.plain.untaken(shard)
        if untaken:
            position = data.draw(st.sampled_from(sorted(untaken)))
            target = data.draw(st.sampled_from(sorted(untaken[position])))
            self.store.taken(shard, position, target)
            self.plain.taken.add((shard, position, target))

    # Loads: each agrees with the plain store at its place in the order.

    @rule(conversation=st.sampled_from(CONVERSATIONS))
    def load_conversation(self, conversation: str) -> None:
        token = self.call("load_conversation")

        def completed(view: ConversationView) -> None:
            self.completes(token)
            assert contents(view) == contents(self.plain.conversation(conversation))
            assert view.next_seq == self.plain.next_seq(conversation), "seqs have no gap and no double"
            if conversation in self.lost:
                self.lost.discard(conversation)
                self.seqs[conversation] = view.next_seq - 1

        self.store.load_conversation(shard_of(conversation), conversation, completed)

    @rule(device=st.sampled_from(sorted(DEVICES)))
    def load_queue(self, device: bytes) -> None:
        token = self.call("load_queue")

        def completed(view: QueueView) -> None:
            self.completes(token)
            assert view == self.plain.queue_view(device)

        self.store.load_queue(shard_of(DEVICES[device]), device, completed)

    @rule(device=st.sampled_from(sorted(DEVICES)), skip=st.integers(0, 3), limit=st.integers(1, 5))
    def read_queue(self, device: bytes, skip: int, limit: int) -> None:
        token = self.call("read_queue")
        after = ([0] + [entry.position for entry in self.plain.waiting(device)])[-1 - skip :][0]

        def completed(entries: list[Entry]) -> None:
            self.completes(token)
            expected = [entry for entry in self.plain.waiting(device) if entry.position > after]
            assert entries == expected[:limit]

        self.store.read_queue(shard_of(DEVICES[device]), device, after, limit, 1 << 30, completed)

    @rule(shard=st.integers(0, 2))
    def load_shard(self, shard: int) -> None:
        token = self.call("load_shard")

        def completed(view: ShardView) -> None:
            self.completes(token)
            assert view.epoch == self.plain.epoch(shard)
            assert view.cursors == self.plain.cursors(shard)
            offered, untaken = {position for position, _ in view.outbox}, set(self.plain.untaken(shard))
            assert untaken <= offered <= untaken | self.plain.outbox_allowed(shard)
            for key in [key for key in self.lost_sources if key[0] == shard]:
                self.lost_sources.discard(key)
                self.sources[key] = view.cursors.get(key[1], 0)

        self.store.load_shard(shard, completed)

    @rule(shard=st.integers(0, 2))
    def expired(self, shard: int) -> None:
        token, now_ms = self.call("expired"), self.now_ms

        def completed(devices: list[bytes]) -> None:
            self.completes(token)
            assert set(devices) == self.plain.expired(shard, DEVICES, now_ms)

        self.store.expired(shard, now_ms, 100, completed)

    # The directory.

    @rule(
        key=st.sampled_from(KEYS),
        value=st.sampled_from((None, b"1", b"2")),
        expected=st.sampled_from((ANY, ABSENT, b"1")),
    )
    def write(self, key: bytes, value: bytes | None, expected: Expectation) -> None:
        token = self.call("write")

        def completed(ok: bool) -> None:
            self.completes(token)
            present = self.plain.directory.get(key)
            matches = expected is ANY or present == (None if expected is ABSENT else expected)
            assert ok == matches or (self.failing and not ok)
            if ok and value is None:
                self.plain.directory.pop(key, None)
            elif ok and value is not None:
                self.plain.directory[key] = value

        if value is None:
            self.store.directory.delete(key, completed, expected)
        else:
            self.store.directory.put(key, value, completed, expected)

    @rule(key=st.sampled_from(KEYS))
    def take_key(self, key: bytes) -> None:
        token = self.call("take")

        def completed(value: bytes | None) -> None:
            self.completes(token)
            assert value == self.plain.directory.get(key) or (self.failing and value is None)
            if value is not None:
                del self.plain.directory[key]

        self.store.directory.take(key, completed)

    @rule(key=st.sampled_from(KEYS))
    def get_key(self, key: bytes) -> None:
        token = self.call("get")

        def completed(value: bytes | None) -> None:
            self.completes(token)
            assert value == self.plain.directory.get(key)

        self.store.directory.get(key, completed)

    @rule(limit=st.integers(1, 3))
    def scan_keys(self, limit: int) -> None:
        token = self.call("scan")

        def completed(pairs: list[tuple[bytes, bytes]]) -> None:
            self.completes(token)
            expected = sorted(pair for pair in self.plain.directory.items() if pair[0].startswith(b"k"))
            assert pairs == expected[:limit]

        self.store.directory.scan(b"k", limit, completed)

    # The disk.

    @rule()
    def commit(self) -> None:
        if not self.committer.step():
            self.tick()

    @rule(flush=st.booleans())
    def tick(self, flush: bool = False) -> None:
        if flush:
            self.store.flush()
        for _ in range(len(self.timers)):
            self.timers.popleft()()

    @precondition(lambda self: self.committer.waiting)
    @rule()
    def fail(self) -> None:
        """The disk fails: a slice of a move is given up first; then the group and all behind it."""
        self.failing = True
        self.committer.fail(EngineError("the disk broke"))
        self.failing = self.committer.waiting

    @rule()
    def move(self) -> None:
        self.store.move()

    @rule(passed_ms=st.sampled_from((1, 300, 11_000)))
    def maintain(self, passed_ms: int) -> None:
        self.now_ms += passed_ms
        self.store.maintain()

    @rule()
    def run(self) -> None:
        """Let everything under way come to its end."""
        while self.timers or self.committer.waiting:
            self.failing = False
            self.tick()
            self.committer.step()
        self.failing = False
        assert not self.calls, "nobody waits for ever"
        audit(self.engine, counted=False)
        assert self.store.durable_position == self.last_position or not self.plain.journal

    @rule(commits=st.integers(0, 12))
    def begin_move(self, commits: int) -> None:
        """A move gets some way; what comes next meets it there."""
        self.failing = False
        self.store.move()
        for _ in range(commits):
            self.tick()
            self.committer.step()
        self.tick()

    @rule(commits=st.integers(0, 25), nouns=st.tuples(st.booleans(), st.booleans(), st.booleans()))
    def die_in_a_move(self, commits: int, nouns: tuple[bool, bool, bool]) -> None:
        self.begin_move(commits)
        self.crash(nouns)

    @rule(count=st.integers(1, 4), to=accounts, remote=st.sampled_from(CONVERSATIONS))
    def chat(self, count: int, to: list[str], remote: str) -> None:
        """Some of everything at once, and durable."""
        self.load_conversation(remote)
        for shard in range(SHARDS):
            self.load_shard(shard)
        self.run()
        for number in range(count):
            self.accept(remote, to, bytes(number), 500 * (number % 2), number % 3 == 0)
            for account in to:
                self.enter(number % 3, account, bytes(number), 500 * (number % 2), number % 3 == 0)
        self.run()

    @rule(nouns=st.tuples(st.booleans(), st.booleans(), st.booleans()))
    def crash(self, nouns: tuple[bool, bool, bool]) -> None:
        """The process dies; of the batch in flight any noun may have come through."""
        self.failing = False
        self.engine = self.reopened(self.committer.crash(), nouns)
        self.plain.reopened()
        self.plain.taken_lost |= self.plain.taken
        self.open()
        audit(self.engine, counted=False)
        self.seqs = {name: self.plain.next_seq(name) - 1 for name in CONVERSATIONS}
        self.sources = {(at, src): last for at in range(SHARDS) for src, last in self.plain.cursors(at).items()}
        self.lost.clear()
        self.lost_sources.clear()
        self.check_all()
        self.own_all()

    def check_all(self) -> None:
        for conversation in CONVERSATIONS:
            self.load_conversation(conversation)
        for device in DEVICES:
            self.load_queue(device)
            self.read_queue(device, 99, 99)
        for shard in range(SHARDS):
            self.load_shard(shard)
            self.expired(shard)
        self.scan_keys(9)

    def teardown(self) -> None:
        self.run()
        self.check_all()
        self.store.move()
        self.run()
        self.check_all()
        self.run()
        audit(self.engine, counted=True)
        self.crash((False, False, False))
        self.run()
