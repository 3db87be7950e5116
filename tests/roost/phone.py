"""A person's device without socket or loop: the session, its real database, and frames one carries by hand."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from typing import TYPE_CHECKING

from protocol import AccountId, ClientId, Code, MessageId, device_id_of, direct_conversation
from protocol import messages as m
from roost import events
from roost.content import encode_text
from roost.sealing import Sealing
from roost.session import Phase, Session
from roost.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from roost.sealing import Sealer
    from roost.steps import Step
    from tests.roost.model_server import Link, ModelServer


class HandClock:
    """Time that moves when a test moves it."""

    def __init__(self) -> None:
        self.s = 1_000.0

    def now_s(self) -> float:
        return self.s

    def wall_ms(self) -> int:
        return int(self.s * 1000)


class SeededRandomness:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def bytes(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def random(self) -> float:
        return self._random.random()


class Phone:
    """Whatever a runner does, in pieces that a test may interrupt anywhere."""

    def __init__(
        self,
        account: str,
        folder: Path,
        server: ModelServer,
        clock: HandClock,
        seed: int = 0,
        sealer: Sealer | None = None,
    ) -> None:
        self.sealer = sealer
        self.account = AccountId(account)
        self.path = folder / f"{account}.db"
        self.server = server
        self.clock = clock
        self.randomness = SeededRandomness(seed)
        self.link: Link | None = None
        self.steps: list[Step] = []
        self.sent_frames: list[m.Frame] = []
        self.published: list[events.Event] = []
        self.shown: Counter[MessageId] = Counter()
        self.failed: set[str] = set()
        self.restored = 0
        self._open()
        self.device = device_id_of(self.store.static_key().public)
        self.store.set_facts(account=account.encode(), server=b"model:1")
        server.add(account, self.device)
        self._start()

    def _open(self) -> None:
        self.store = Store(self.path, durable=False)

    def _start(self) -> None:
        sealing = None if self.sealer is None else Sealing(self.sealer, self.device)
        self.session = Session(self.store.snapshot(), self.clock, self.randomness, sealing=sealing)

    # The application.

    def send(self, to: Phone, text: str) -> ClientId:
        return self.session.send(direct_conversation(self.account, to.account), encode_text(text))

    # The runner, step by step.

    def take(self) -> None:
        """Take a step, not yet committed."""
        if step := self.session.take_step():
            self.steps.append(step)

    def commit(self) -> None:
        """Commit the oldest step, then let its frames and events go."""
        if not self.steps:
            return
        step = self.steps.pop(0)
        for event in self.store.apply(step.changes) if step.changes else ():
            if isinstance(event, events.DeviceMissed):
                self.session.supplement(event)
        if self.link is not None and step.connection == self.session.connection:
            for frame in step.frames:
                self._check_ack(frame)
            self.sent_frames += step.frames
        for event in step.events:
            self._publish(event)
        if step.disconnect and self.link is not None and step.connection == self.session.connection:
            self.flush_to_server()
            self.cut()

    def _check_ack(self, frame: m.Frame) -> None:
        """Nothing is acked that is not in the database."""
        if isinstance(frame, m.Ack):
            for position, entry in self.server.queues[self.device].items():
                if position <= frame.up_to and isinstance(entry, m.Message):
                    # An operation is no row of the history, and may have come to nothing.
                    stored = self.store.message(entry.message_id.hex()) is not None
                    assert stored or entry.message_id in self.store.snapshot().seen

    def _publish(self, event: events.Event) -> None:
        self.published.append(event)
        match event:
            case events.MessageReceived(ephemeral=False):
                self.shown[event.message_id] += 1
            case events.MessageFailed():
                self.failed.add(event.key)
            case _:
                pass

    def connect(self) -> None:
        if self.link is not None or self.session.phase is not Phase.OFFLINE:
            return
        self.session.connecting()
        self.link = self.server.connect(self.device)
        self.sent_frames = []
        self.session.connected()

    def flush_to_server(self, count: int = 1_000) -> None:
        """Carry frames to the server."""
        while self.link is not None and self.sent_frames and count:
            count -= 1
            self.server.receive(self.link, self.sent_frames.pop(0))

    def receive(self, count: int = 1_000) -> None:
        """Carry frames from the server."""
        while self.link is not None and self.link.out and count:
            count -= 1
            self.session.receive(self.link.out.pop(0))
        if self.link is not None and self.link.closed and not self.link.out:
            self.cut()

    def cut(self) -> None:
        """The connection breaks; what was on the way is lost."""
        if self.link is None:
            return
        self.server.disconnect(self.link)
        self.link = None
        self.sent_frames = []
        self.session.disconnected("cut")

    def crash(self) -> None:
        """The process dies: whatever was not committed never was."""
        if self.link is not None:
            self.server.disconnect(self.link)
            self.link = None
        self.steps = []
        self.sent_frames = []
        self.store.close()
        self._open()
        self._start()

    def back_up(self, copy: Path) -> None:
        self.crash()
        self.store.close()
        shutil.copy(self.path, copy)
        self._open()
        self._start()

    def restore(self, copy: Path) -> None:
        """Somebody puts an older copy of the database back."""
        self.crash()
        self.store.close()
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        shutil.copy(copy, self.path)
        self.restored += 1
        self._open()
        self._start()

    def settle(self) -> bool:
        """Do everything that can be done without time passing; say whether anything was done."""
        before = (len(self.published), self.server.position, self.server.counter)
        self.connect()
        self.session.advance()
        self.take()
        while self.steps:
            self.commit()
        self.flush_to_server()
        self.receive()
        self.take()
        return bool(self.steps) or before != (len(self.published), self.server.position, self.server.counter)


def refusal(code: Code, retry_after_ms: int) -> tuple[Code, str, int]:
    return code, code.sentence, retry_after_ms
