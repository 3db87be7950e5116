"""The database: what it refuses, what it keeps, and what survives the death of its process."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import roost
from protocol import AccountId, ClientId, ConversationId, DeviceId, MessageId
from roost.changes import (
    Accepted,
    Failed,
    MarksChanged,
    Queued,
    ReceiptStored,
    Received,
    Renumbered,
)
from roost.content import encode_text
from roost.history import MessageState
from roost.store import Store

AB = ConversationId("alice:bob")
BOB = AccountId("bob")
DEVICE = DeviceId(bytes(16))


def client_id(number: int) -> ClientId:
    return ClientId(number.to_bytes(16, "big"))


def queued(number: int) -> Queued:
    return Queued(AB, client_id(number), number, encode_text(f"mine {number}"), 0, 0, 1_000 + number)


def received(seq: int) -> Received:
    message_id = MessageId(seq.to_bytes(16, "little"))
    return Received(AB, seq, BOB, DEVICE, message_id, 2_000 + seq, 0, encode_text(f"theirs {seq}"))


def new_store(folder: Path, *, durable: bool = False) -> Store:
    store = Store(folder / "alice@host_7667.db", durable=durable)
    store.static_key()
    store.set_facts(account=b"alice", server=b"host:7667")
    return store


def texts(store: Store) -> list[str]:
    return [m.content.text for m in store.history(AB, 100) if isinstance(m.content, roost.Text)]


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    store = new_store(tmp_path / "new folder")
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.path.parent.stat().st_mode & 0o777 == 0o700
    store.close()


def test_the_device_keeps_its_key_and_epoch(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    key, epoch = store.static_key().public, store.snapshot().epoch
    store.close()
    store = Store(store.path)
    assert (store.static_key().public, store.snapshot().epoch) == (key, epoch)
    assert len(epoch) == 8
    store.close()


def test_a_file_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.close()
    database = sqlite3.connect(store.path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    before = store.path.read_bytes()
    with pytest.raises(roost.StoreNewerError, match=r"newer version of Roost .*format is 99.*Update Roost"):
        Store(store.path)
    assert store.path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "junk@host_1.db"
    path.write_bytes(b"this is a letter to my aunt\n" * 100)
    with pytest.raises(roost.StoreError, match="cannot be read as a Roost database"):
        Store(path)


def test_a_folder_that_cannot_be_made_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(roost.StoreError, match="cannot be written"):
        Store(tmp_path / "file" / "alice@host_1.db")


def test_a_second_program_is_told_at_once_and_may_still_look(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.apply([received(1)])
    with pytest.raises(roost.AccountInUseError):
        Store(store.path)
    onlooker = Store(store.path, read_only=True)
    assert texts(onlooker) == ["theirs 1"]
    with pytest.raises(roost.StoreError):
        onlooker.apply([received(2)])
    onlooker.close()
    store.close()


def test_a_step_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    with pytest.raises(roost.StoreError):
        store.apply([queued(1), queued(1)])
    assert store.history(AB, 10) == []
    assert store.snapshot().pending == ()
    store.close()


def test_a_full_disk_is_said_and_what_was_stored_stays(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.apply([received(1)])
    pages = store._database.execute("PRAGMA page_count").fetchone()[0]
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(roost.StoreError, match=r"The disk .* is full"):
        store.apply([received(seq) for seq in range(2, 500)])
    assert texts(store) == ["theirs 1"]
    store.close()


def test_history_is_ordered_by_seq_with_the_unsent_last_and_pages_back(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.apply([received(1), queued(1), queued(2), received(3), received(4)])
    store.apply([Accepted(AB, client_id(1), 2, MessageId(b"m" * 16), 5_000)])
    assert texts(store) == ["theirs 1", "mine 1", "theirs 3", "theirs 4", "mine 2"]
    latest = store.history(AB, 2)
    earlier = store.history(AB, 10, before=latest[0])
    assert [message.seq for message in (*earlier, *latest)] == [1, 2, 3, 4, 0]
    store.close()


def test_a_failed_message_stays_where_it_failed_with_its_reason(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.apply([received(1), queued(1), queued(2)])
    store.apply([Failed(AB, client_id(1), 301, "No."), Renumbered(AB, ((client_id(2), 1),), 2)])
    store.apply([received(2)])
    assert texts(store) == ["theirs 1", "mine 1", "theirs 2", "mine 2"]
    failed = store.history(AB, 10)[1]
    assert (failed.state, failed.sentence) == (MessageState.FAILED, "No.")
    assert [(message.number) for message in store.snapshot().pending] == [1]
    assert store.snapshot().next_numbers == {AB: 2}
    store.close()


def test_a_message_is_sent_then_delivered_then_read(tmp_path: Path) -> None:
    store = new_store(tmp_path)

    def state() -> MessageState:
        return store.history(AB, 1)[0].state

    store.apply([queued(1)])
    assert state() is MessageState.PENDING
    store.apply([Accepted(AB, client_id(1), 7, MessageId(b"m" * 16), 5_000)])
    assert state() is MessageState.SENT
    store.apply([ReceiptStored(AB, BOB, 7, 6)])
    assert state() is MessageState.DELIVERED
    store.apply([ReceiptStored(AB, BOB, 1, 7)])
    assert state() is MessageState.READ
    store.apply([ReceiptStored(AB, BOB, 1, 1)])
    assert state() is MessageState.READ
    store.close()


def test_unread_counts_only_what_others_wrote_after_the_last_read(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.apply([received(1), received(2), received(3), MarksChanged(AB, 3, 1, 0, 0)])
    (chat,) = store.chats()
    assert (chat.other_account, chat.unread, chat.read) == (BOB, 2, 1)
    assert chat.latest is not None
    assert chat.latest.seq == 3
    store.close()


def test_a_message_that_comes_twice_is_stored_once(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.apply([received(1)])
    store.apply([received(1)])
    assert texts(store) == ["theirs 1"]
    assert len(store.snapshot().seen) == 1
    store.close()


WRITER = """
import sys
from pathlib import Path
from tests.roost.test_store import new_store, queued, received
store = new_store(Path(sys.argv[1]), durable=True)
number = 0
while True:
    number += 1
    store.apply([queued(number), received(number)])
    print(number, flush=True)
"""


@pytest.mark.crash
def test_what_was_committed_survives_a_kill_and_half_a_step_is_never_seen(tmp_path: Path) -> None:
    for kill in range(5):
        folder = tmp_path / str(kill)
        command = [sys.executable, "-c", WRITER, str(folder)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        assert writer.stdout is not None
        confirmed = 0
        while confirmed < 20 + kill * 7:
            confirmed = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        confirmed = max([confirmed, *map(int, writer.stdout.read().split())])
        writer.wait()
        writer.stdout.close()
        store = Store(folder / "alice@host_7667.db")
        stored = store.history(AB, 10_000)
        mine = [message for message in stored if message.sender == "alice"]
        assert len(mine) >= confirmed
        assert len(stored) == 2 * len(mine)
        assert [message.number for message in store.snapshot().pending] == list(range(1, len(mine) + 1))
        store.close()
