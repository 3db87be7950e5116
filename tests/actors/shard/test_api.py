"""What an actor hears of its disk when a value there cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from actors.accounts.logic import decode_account
from actors.directory_keys import holder_of
from actors.presence.api import decode_last_seen
from actors.queue.api import decode_notice
from actors.shard.api import LoadingActor, answers, inform
from runtime import MAILBOX_FULL, Hooks
from storage import Batch, MemoryEngine, StoreCorruptError, StoreVersionError, Table
from storage.directory import snapshot_key
from storage.engine import commit_now
from tests.runtime.cast import Stage
from tests.storage.desk import Desk, message
from tests.storage.plain import shard_of


class Reader(LoadingActor):
    """Loads a conversation."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def init(self) -> None:
        self._desk.store.load_conversation(0, "talk0", *answers(self.process, lambda view: view))

    def receive_info(self, message: Any) -> None:
        self.loaded()


@pytest.mark.parametrize("behind", [False, True], ids=["at once", "behind a commit"])
def test_an_actor_whose_state_cannot_be_read_ends_with_the_reason_and_does_not_wait_for_ever(behind: bool) -> None:
    engine = MemoryEngine()
    commit_now(engine, Batch(puts=[(Table.DIRECTORY, snapshot_key("talk0", shard_of), b"\x01junk")]))
    desk = Desk(engine)
    errors: list[BaseException] = []
    stage = Stage(hooks=Hooks(crashed=lambda pid, actor, error: errors.append(error)))
    if behind:
        desk.append(0, message(1, conversation="other0"))
    pid = stage.runtime.start(Reader(desk))
    desk.run()
    stage.settle()
    assert not stage.runtime.is_alive(pid)
    (error,) = errors
    assert isinstance(error, StoreCorruptError)
    assert "conversation snapshot" in str(error)


def test_an_actor_without_room_for_what_the_disk_tells_ends_and_does_not_wait_for_it_for_ever() -> None:
    stage = Stage(mailbox_limit=3)
    puppet, watcher = stage.puppet(), stage.puppet()
    stage.play(watcher, lambda process: process.monitor(puppet.pid))
    told = inform(puppet.process, lambda value: value)
    for _ in range(3):
        stage.runtime.cast(puppet.pid, lambda process: None)
    told("it is durable")
    stage.settle()
    assert not stage.is_alive(puppet)
    assert [down.reason for down in watcher.heard] == [MAILBOX_FULL]
    told("nobody hears this, and nobody minds")


@pytest.mark.parametrize("decode", [decode_account, decode_last_seen, decode_notice, holder_of])
@pytest.mark.parametrize("value", [b"", b"\xff", b"\x01\xc1", b"\x01\x93\xa1\xff\x00\xa0"])
def test_a_damaged_directory_value_is_said_to_be_so(decode: Any, value: bytes) -> None:
    with pytest.raises((StoreCorruptError, StoreVersionError)):
        decode(value)
