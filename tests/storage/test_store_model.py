"""Models for both engines: any order of calls, commits, failures and crashes agrees with the plain store.

One has a store that is owned whole, the other two stores between which shards move.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings

from storage import LmdbEngine
from tests.storage.machine import StoreModel
from tests.storage.moving_machine import MovingModel

if TYPE_CHECKING:
    from storage import Engine, Prepared
    from tests.storage.moving_machine import Side


class LmdbStoreModel(StoreModel):
    """The same rules over the embedded engine; what is in flight at a crash is lost or stored as a whole."""

    def make_engine(self) -> Engine:
        self.folder = tempfile.TemporaryDirectory(prefix="roost-model-")
        return LmdbEngine(Path(self.folder.name), 1 << 24)

    def reopened(self, inflight: Prepared | None, nouns: tuple[bool, bool, bool]) -> Engine:
        if inflight is not None and nouns[0]:
            inflight.commit()
            self.survived(self.committer.batch, (True, True, True))
        self.engine.close()
        return LmdbEngine(Path(self.folder.name), 1 << 24)

    def teardown(self) -> None:
        super().teardown()
        self.engine.close()
        self.folder.cleanup()


class LmdbMovingModel(MovingModel):
    """The same of two stores over the embedded engine."""

    def make_engine(self, side: int) -> Engine:
        if not side:
            self.folders = [tempfile.TemporaryDirectory(prefix="roost-model-") for _ in range(2)]
        return LmdbEngine(Path(self.folders[side].name), 1 << 24)

    def reopened(self, side: Side, inflight: Prepared | None, nouns: tuple[bool, bool, bool]) -> Engine:
        if inflight is not None and nouns[0]:
            inflight.commit()
            self.survived(side.committer.batch)
        side.engine.close()
        return LmdbEngine(Path(self.folders["ab".index(side.name)].name), 1 << 24)

    def teardown(self) -> None:
        super().teardown()
        for side in self.sides:
            side.engine.close()
        for folder in self.folders:
            folder.cleanup()


TestMemoryStore = StoreModel.TestCase
TestMemoryStore.settings = settings(max_examples=200, stateful_step_count=60)
TestLmdbStore = LmdbStoreModel.TestCase
TestLmdbStore.settings = settings(max_examples=25, stateful_step_count=40)
TestMemoryMoving = MovingModel.TestCase
TestMemoryMoving.settings = settings(max_examples=200, stateful_step_count=60)
TestLmdbMoving = LmdbMovingModel.TestCase
TestLmdbMoving.settings = settings(max_examples=25, stateful_step_count=40)
