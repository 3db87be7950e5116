"""Alice and Bob, a phone each, at one model server: what the tests of a session begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.roost.model_server import ModelServer
from tests.roost.phone import HandClock, Phone

if TYPE_CHECKING:
    from pathlib import Path

    from roost.sealing import Sealer


class TwoPhones:
    """Registered, and not connected yet.

    Args:
        folder: Where their databases lie.
        sealers: What alice and bob seal with; None for one payload for all.
    """

    def __init__(self, folder: Path, sealers: tuple[Sealer | None, Sealer | None] = (None, None)) -> None:
        self.clock = HandClock()
        self.server = ModelServer(self.clock.wall_ms)
        self.alice = Phone("alice", folder, self.server, self.clock, 1, sealers[0])
        self.bob = Phone("bob", folder, self.server, self.clock, 2, sealers[1])

    def settle(self) -> None:
        while any([self.alice.settle(), self.bob.settle()]):
            pass

    def close(self) -> None:
        self.alice.store.close()
        self.bob.store.close()
