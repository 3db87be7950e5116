"""Writes a store with 1,000,000 waiting messages and a full hot window, then dies by SIGKILL: what a restart meets.

Run as `python -m bench.waiting_store folder`. The messages in the inbox come as a target shard writes them; those in
the hot window come as traffic leaves them: accepted by their conversations, then spread to their readers' queues.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.client import PAYLOAD
from bench.direct_store import GROUP, DirectStore
from bench.person import people
from protocol import direct_conversation, encode_message, shard_of
from protocol.ids import MessageId
from protocol.messages import Message
from storage import MESSAGE, Accepted, Entries

if TYPE_CHECKING:
    from bench.person import Person
    from storage import Committed

READERS = 1_000
WAITING = 1_000_000
HOT_BYTES = 64 << 20
TIME_MS = 1_700_000_000_000
EXPIRES_MS = 1 << 42
MOVE_EVERY = 100_000


def readers() -> list[Person]:
    """Who the messages wait for."""
    return people("bob", READERS)


class WaitingStore:
    """Pairs of a writer and a reader, and what they have written so far.

    Args:
        folder: The data folder.

    Attributes:
        direct: The store.
        readers: Who the messages wait for.
    """

    def __init__(self, folder: Path) -> None:
        self.readers = readers()
        self._writers = people("ann", READERS)
        self._seq = [0] * READERS
        self._accepted: list[Committed] = []
        self.direct = DirectStore(folder, self._committed)

    def _committed(self, committed: list[Committed]) -> None:
        self._accepted += [done for done in committed if type(done.record) is Accepted]

    def _message(self, index: int) -> tuple[str, int, bytes]:
        """The next message of a pair: conversation, seq, body."""
        writer, reader = self._writers[index], self.readers[index]
        conversation = direct_conversation(writer.account, reader.account)
        self._seq[index] = seq = self._seq[index] + 1
        identifier = MessageId(seq.to_bytes(8, "big") + index.to_bytes(8, "big"))
        message = Message(conversation, seq, writer.account, writer.device, identifier, TIME_MS, 0, PAYLOAD)
        return conversation, seq, encode_message(message)

    def fill_inbox(self, count: int) -> None:
        """Messages that wait since long ago."""
        direct = self.direct
        for number in range(count):
            index = number % READERS
            reader, writer = self.readers[index], self._writers[index]
            conversation, seq, body = self._message(index)
            targets = [(str(reader.account), [bytes(reader.device)])]
            shard, source = shard_of(reader.account), shard_of(conversation)
            entries = Entries(
                source, number + 1, targets, MESSAGE, conversation, seq, writer.account, EXPIRES_MS, 0, body
            )
            direct.store.append(shard, direct.epochs[shard], entries)
            if number % GROUP == GROUP - 1:
                direct.run()
            if number % MOVE_EVERY == MOVE_EVERY - 1:
                direct.move()
        direct.move()

    def fill_hot_window(self, size_bytes: int) -> None:
        """Messages that have just come, until the hot journal has that size."""
        index = 0
        while self.direct.store.statistics().hot_bytes < size_bytes:
            for _ in range(GROUP):
                self._accept(index % READERS)
                index += 1
            self.direct.run()
            self._spread()

    def _accept(self, index: int) -> None:
        writer, reader = self._writers[index], self.readers[index]
        conversation, seq, body = self._message(index)
        record = Accepted(
            conversation,
            writer.device,
            b"epoch678",
            seq,
            seq.to_bytes(16, "big"),
            seq,
            seq.to_bytes(16, "big"),
            writer.account,
            [(str(reader.account), [bytes(reader.device)])],
            EXPIRES_MS,
            0,
            TIME_MS,
            body,
        )
        shard = shard_of(conversation)
        self.direct.store.append(shard, self.direct.epochs[shard], record)

    def _spread(self) -> None:
        """What the shards do with the accepted: entries in the readers' shards, where they are not there already."""
        direct, accepted, self._accepted = self.direct, self._accepted, []
        for done in accepted:
            record = done.record
            assert isinstance(record, Accepted)
            (target,) = record.targets
            shard = shard_of(target[0])
            if shard == done.shard:
                continue  # one record is both
            entries = Entries(
                done.shard,
                done.position,
                [target],
                MESSAGE,
                record.conversation,
                record.seq,
                record.sender,
                record.expires_ms,
                record.flags,
                record.body,
            )
            direct.store.append(shard, direct.epochs[shard], entries)
            direct.store.taken(done.shard, done.position, shard)
        direct.run()


def main() -> None:
    """Fill, and die."""
    waiting = WaitingStore(Path(sys.argv[1]))
    waiting.fill_inbox(WAITING)
    waiting.fill_hot_window(HOT_BYTES)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
