from __future__ import annotations

from typing import TYPE_CHECKING

from bench.direct_store import DirectStore, inbox_entries
from bench.waiting_store import READERS, WaitingStore

if TYPE_CHECKING:
    from pathlib import Path

    from storage import QueueView

HOT_BYTES = 1 << 20


def test_what_waits_lies_in_the_inbox_and_what_has_just_come_in_the_hot_window(tmp_path: Path) -> None:
    waiting = WaitingStore(tmp_path)
    statistics = waiting.direct.store.statistics
    waiting.fill_inbox(READERS + 500)
    assert statistics().hot_bytes == 0
    waiting.fill_hot_window(HOT_BYTES)
    assert statistics().hot_bytes >= HOT_BYTES
    assert statistics().hot_outbox == 0, "every reader's shard has taken what was accepted"
    waiting.direct.close()
    assert inbox_entries(tmp_path) == READERS + 500


def test_a_reader_has_its_share_of_both_after_a_restart(tmp_path: Path) -> None:
    waiting = WaitingStore(tmp_path)
    waiting.fill_inbox(READERS)
    waiting.fill_hot_window(HOT_BYTES)
    waiting.direct.close()
    direct = DirectStore(tmp_path)
    views: list[QueueView] = []
    direct.store.load_queue(0, waiting.readers[0].device, views.append)
    direct.run()
    assert views[0].count > 1
    direct.close()
