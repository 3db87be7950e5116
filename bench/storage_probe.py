"""What the store costs on its own, on LMDB: CPU time of an append, ack, move, read and replay; memory; latency.

Run: python -m bench.storage_probe [folder]. Figures are CPU time of the whole process, kernel time of syncs included.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import itertools
import os
import sys
import tempfile
import time
import tracemalloc
from collections import deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from storage import Accepted, Acked, Entries, LmdbEngine, ManualCommitter, Store, StoreLimits, ThreadCommitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage import Committed, Record

GROUP = 100
SHARDS = 64
DEVICES = 1_000
BODY = b"\xc4" + bytes(249)


def shard_of(account: str) -> int:
    """Return the shard of an account, as the protocol does."""
    return int.from_bytes(hashlib.sha256(account.encode()).digest()[:2], "big") % SHARDS


class Bench:
    """A store on LMDB whose commits run on this very thread, so that all CPU time is seen.

    Args:
        folder: The data folder.
    """

    def __init__(self, folder: Path) -> None:
        self.timers: deque[Callable[[], None]] = deque()
        self.engine = LmdbEngine(folder, 1 << 34)
        self.committer = ManualCommitter(self.engine)
        self.told = 0
        self.store = Store.open(
            self.engine, self.committer, self._schedule, self._now_ms, StoreLimits(), "probe", shard_of
        )
        self.store.subscribe(self._count)
        self.epochs = self.store.take_ownership(range(SHARDS))
        self.run()

    def _schedule(self, delay_s: float, function: Callable[[], None]) -> None:
        self.timers.append(function)

    def _now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def _count(self, committed: list[Committed]) -> None:
        self.told += len(committed)

    def run(self) -> None:
        """Commit until nothing waits."""
        while self.timers or self.committer.waiting:
            while self.timers:
                self.timers.popleft()()
            self.committer.step()

    def append(self, records: Iterator[tuple[int, Record]]) -> float:
        """Append records in groups; return the CPU time of each, microseconds."""
        prepared = list(records)
        append, epochs = self.store.append, self.epochs
        start = time.process_time()
        for first in range(0, len(prepared), GROUP):
            for shard, record in prepared[first : first + GROUP]:
                append(shard, epochs[shard], record)
            self.run()
        return (time.process_time() - start) / len(prepared) * 1e6

    def timed(self, function: Callable[[], None], count: int) -> float:
        """Return the CPU time of a function and all commits that it needs, per item, microseconds."""
        start = time.process_time()
        function()
        self.run()
        return (time.process_time() - start) / count * 1e6


def device_of(index: int) -> bytes:
    """Return a device id."""
    return hashlib.sha256(b"device%d" % index).digest()[:16]


def accepted(count: int, first: int) -> Iterator[tuple[int, Record]]:
    """Yield messages of 500 conversations, each to two accounts of other shards."""
    for index in range(first, first + count):
        people = (f"alice{index % 500}", f"bob{index % 500}")
        conversation = ":".join(people)
        targets = [(account, [device_of(index % DEVICES)]) for account in people]
        seq = index // 500 + 1
        yield (
            shard_of(conversation),
            Accepted(
                conversation,
                device_of(index % 500),
                b"epoch678",
                seq,
                os.urandom(16),
                seq,
                os.urandom(16),
                people[0],
                targets,
                1 << 41,
                0,
                1 << 40,
                BODY,
            ),
        )


def entries(count: int, first: int) -> Iterator[tuple[int, Record]]:
    """Yield entries for 1,000 devices."""
    for index in range(first, first + count):
        account = f"bob{index % DEVICES}"
        targets = [(account, [device_of(index % DEVICES)])]
        yield (
            shard_of(account),
            Entries(1, index + 1, targets, 0, f"alice:{account}", index // DEVICES + 1, "alice", 1 << 41, 0, BODY),
        )


def acks(up_to: int, count: int) -> Iterator[tuple[int, Record]]:
    """Yield an ack of each device, again and again."""
    for index in range(count):
        account = f"bob{index % DEVICES}"
        yield shard_of(account), Acked(device_of(index % DEVICES), up_to, account)


def report(name: str, value: float, unit: str = "us CPU") -> None:
    """Print one line."""
    print(f"{name:58s} {value:10.2f} {unit}")


def probe_appends(folder: Path) -> None:
    """Measure appends, entries and acks in groups of 100, and the memory that a hot record takes."""
    bench = Bench(folder)
    bench.append(accepted(2_000, 0))
    gc.collect()
    report("append of a message (two shards to take it), groups of 100", bench.append(accepted(20_000, 2_000)))
    report("append of an entry, groups of 100", bench.append(entries(50_000, 0)))
    report("append of an ack (50 entries each), groups of 100", bench.append(acks(1 << 40, DEVICES)))
    report("append of an ack (nothing waits), groups of 100", bench.append(acks(1 << 40, 20_000)))
    bench.store.close(lambda: None)
    bench.run()


def probe_memory(folder: Path) -> None:
    """Measure what the hot journal holds of a record once it is durable."""
    bench, count = Bench(folder), 20_000
    bench.append(accepted(2_000, 0))
    bench.append(entries(2_000, 0))
    for name, records in (("message", accepted(count, 2_000)), ("entry", entries(count, 2_000))):
        tracemalloc.start()
        for _ in range(0, count, GROUP):
            bench.append(itertools.islice(records, GROUP))
        gc.collect()
        report(
            f"memory of a hot {name} (its body of 252 bytes apart)", tracemalloc.get_traced_memory()[0] / count, "bytes"
        )
        tracemalloc.stop()
    bench.store.close(lambda: None)
    bench.run()


def probe_move(folder: Path) -> None:
    """Measure the move of 50,000 entries of 1,000 devices, their reading back, and the trim of acked ones."""
    bench, count = Bench(folder), 50_000
    bench.append(entries(count, 0))
    before = bench.store.statistics().commits
    cpu_us = bench.timed(bench.store.move, count)
    report("move of an entry to the inbox, trim included", cpu_us)
    report("  a slice, mean", cpu_us * count / (bench.store.statistics().commits - before), "us CPU")
    read: list[int] = []

    def read_all() -> None:
        for index in range(DEVICES):
            shard = shard_of(f"bob{index}")
            bench.store.read_queue(shard, device_of(index), 0, 1_000, 1 << 30, lambda page: read.append(len(page)))

    report("read of an entry from the inbox", bench.timed(read_all, count))
    assert sum(read) == count, "every entry was moved"
    report("ack of 50 moved entries: a queue's append", bench.append(acks(1 << 40, DEVICES)))
    report("  and its move, an entry", bench.timed(bench.store.move, count))
    bench.store.close(lambda: None)
    bench.run()


def probe_replay(folder: Path) -> None:
    """Measure the opening of a store with a full hot window: 200,000 records."""
    bench, count = Bench(folder), 200_000
    bench.append(entries(count, 0))
    bench.store.close(lambda: None)
    bench.run()
    gc.collect()
    gc.freeze()
    start = time.process_time()
    reopened = partial(Bench, folder)()
    report("open: replay of a record (200,000 of them)", (time.process_time() - start) / count * 1e6)
    reopened.store.close(lambda: None)
    reopened.run()


class Loop:
    """A store as a node has it: commits in a thread, completions on an event loop.

    Args:
        folder: The data folder.
    """

    def __init__(self, folder: Path) -> None:
        loop = asyncio.get_running_loop()
        engine = LmdbEngine(folder, 1 << 34)
        self.waits_ms: list[float] = []
        self.store = Store.open(
            engine,
            ThreadCommitter(engine, lambda function: _post(loop, function)),
            loop.call_later,
            lambda: time.time_ns() // 1_000_000,
            StoreLimits(),
            "probe",
            shard_of,
        )
        self.store.subscribe(self._told)
        self.epochs = self.store.take_ownership(range(SHARDS))
        self._records = entries(1 << 40, 0)

    def append(self) -> None:
        """Append one entry, stamped with the time."""
        shard, record = next(self._records)
        self.store.append(shard, self.epochs[shard], record, time.perf_counter())

    def _told(self, committed: list[Committed]) -> None:
        now_s = time.perf_counter()
        self.waits_ms += [(now_s - it.token) * 1e3 for it in committed if isinstance(it.token, float)]

    async def close(self) -> None:
        """Commit what waits and let go."""
        closed = asyncio.get_running_loop().create_future()
        self.store.close(lambda: closed.set_result(None))
        await closed


def _post(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(function)


async def probe_loop(folder: Path) -> None:
    """Measure the commit thread: 1,600 appends always under way, then 1,000 a second."""
    node, count, window = Loop(folder), 60_000, 1_600
    await asyncio.sleep(0.1)
    cpu_s, wall_s, appended = time.process_time(), time.perf_counter(), 0
    while len(node.waits_ms) < count:
        for _ in range(min(window + len(node.waits_ms) - appended, 200)):
            node.append()
            appended += 1
        await asyncio.sleep(0)
    report("1,600 appends under way: an append", (time.process_time() - cpu_s) / appended * 1e6)
    report("  appends", appended / (time.perf_counter() - wall_s), "a second")
    await asyncio.sleep(0.5)
    node.waits_ms.clear()
    cpu_s, commits = time.process_time(), node.store.statistics().commits
    start_s, appended = time.perf_counter(), 0
    while appended < 3_000:
        due = int((time.perf_counter() - start_s) * 1_000)
        while appended < due:
            node.append()
            appended += 1
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.2)
    report("1,000 appends a second: an append", (time.process_time() - cpu_s) / appended * 1e6)
    waits_ms = sorted(node.waits_ms)
    report("  append to durable, half of them", waits_ms[len(waits_ms) // 2], "ms")
    report("  append to durable, 99 of 100", waits_ms[len(waits_ms) * 99 // 100], "ms")
    report("  appends a commit", appended / (node.store.statistics().commits - commits), "")
    await node.close()


def main() -> None:
    """Measure everything, in a folder of its own."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for name, probe in (
        ("appends", probe_appends),
        ("memory", probe_memory),
        ("move", probe_move),
        ("replay", probe_replay),
    ):
        with tempfile.TemporaryDirectory(prefix=f"roost-{name}-", dir=root) as folder:
            probe(Path(folder))
    with tempfile.TemporaryDirectory(prefix="roost-loop-", dir=root) as folder:
        uvloop.run(probe_loop(Path(folder)))


if __name__ == "__main__":
    main()
