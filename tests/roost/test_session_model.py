"""The session against a model server, with connections, answers, processes and databases lost at any step."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from protocol import ClientId, Code, direct_conversation
from protocol import messages as m
from roost.history import MessageState
from tests.roost.model_server import ModelServer
from tests.roost.phone import HandClock, Phone, refusal

WHO = st.sampled_from(["alice", "bob"])
FEW = st.integers(1, 40)
REFUSALS = st.sampled_from([Code.BUSY, Code.WINDOW_FULL, Code.NOT_ALLOWED])
CONVERSATION = direct_conversation(*("alice", "bob"))  # type: ignore[arg-type]


class Conversing(RuleBasedStateMachine):
    """Alice and Bob write to each other while everything around them breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = HandClock()
        self.server = ModelServer(self.clock.wall_ms)
        self.server.refuse = self.refused
        self.refusals: list[tuple[Code, str, int]] = []
        self.refused_for_good: set[ClientId] = set()
        self.phones: dict[str, Phone] = {}
        self.typed: dict[str, list[ClientId]] = {"alice": [], "bob": []}
        self.count = 0
        self.ambiguous: set[ClientId] = set()

    @initialize(seed=st.integers(0, 1_000))
    def begin(self, seed: int) -> None:
        for offset, name in enumerate(("alice", "bob")):
            self.phones[name] = Phone(name, self.folder, self.server, self.clock, seed + offset)
            self.phones[name].settle()

    def refused(self, frame: m.Send) -> tuple[Code, str, int] | None:
        answer = self.refusals.pop(0) if self.refusals else None
        if answer and answer[2] < 0:
            self.refused_for_good.add(frame.client_id)
        return answer

    # Few rules, so that each is tried often: Hypothesis draws them evenly.

    @rule(who=WHO, count=FEW, talk=st.booleans())
    def type(self, who: str, count: int, talk: bool) -> None:
        phone = self.phones[who]
        for _ in range(count):
            self.count += 1
            self.typed[who].append(phone.send(self.phones["bob" if who == "alice" else "alice"], str(self.count)))
        if talk:
            phone.settle()

    @rule(who=WHO, part=st.sampled_from(["take", "commit", "to server", "to client", "connect", "read"]), count=FEW)
    def move(self, who: str, part: str, count: int) -> None:
        phone = self.phones[who]
        match part:
            case "take":
                phone.take()
            case "commit":
                phone.commit()
            case "to server":
                phone.flush_to_server(count)
            case "to client":
                phone.receive(count)
            case "connect":
                phone.connect()
            case _:
                phone.session.mark_read(CONVERSATION, phone.store.last_seq(CONVERSATION))

    @rule(who=WHO, times=st.integers(1, 4))
    def talk(self, who: str, times: int) -> None:
        for _ in range(times):
            self.phones[who].settle()

    @rule(seconds=st.sampled_from([0.3, 2.0, 11.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.s += seconds
        for phone in self.phones.values():
            phone.settle()

    @rule(code=REFUSALS, count=st.integers(1, 3), retry_after_ms=st.sampled_from([0, 50, 3_000]))
    def server_refuses(self, code: Code, count: int, retry_after_ms: int) -> None:
        self.refusals += [refusal(code, -1 if code is Code.NOT_ALLOWED else retry_after_ms)] * count

    @rule(who=WHO, mishap=st.sampled_from(["cut", "crash", "lost answer", "forgotten session"]), data=st.data())
    def mishap(self, who: str, mishap: str, data: st.DataObject) -> None:
        phone = self.phones[who]
        match mishap:
            case "cut":
                phone.cut()
            case "crash":
                self.forget_uncommitted(who)
                phone.crash()
            case "forgotten session":
                if phone.link is None:
                    self.server.sessions.pop(phone.device, None)
            case _:
                answers = [frame for frame in phone.link.out if isinstance(frame, m.Sent)] if phone.link else []
                if phone.link and answers:
                    phone.link.out.remove(data.draw(st.sampled_from(answers)))

    def forget_uncommitted(self, who: str) -> None:
        store = self.phones[who].store
        self.typed[who] = [one for one in self.typed[who] if store.message(one.hex()) is not None]

    @rule(who=WHO)
    def back_up_or_restore(self, who: str) -> None:
        phone, copy = self.phones[who], self.folder / f"{who}.copy"
        if not copy.exists():
            self.forget_uncommitted(who)
            phone.back_up(copy)
            return
        phone.restore(copy)
        copy.unlink()
        phone.shown.clear()
        # What was unsent in the copy may have been sent since: better sent twice than a tick that lies.
        self.ambiguous |= {message.client_id for message in phone.store.snapshot().pending}
        self.forget_uncommitted(who)

    # What always holds.

    @invariant()
    def nothing_is_accepted_twice(self) -> None:
        conversation = self.server.conversations.get(CONVERSATION)
        if conversation is not None:
            certain = [one for one in conversation.client_ids if one not in self.ambiguous]
            assert len(set(certain)) == len(certain)

    @invariant()
    def nothing_is_shown_twice(self) -> None:
        for phone in self.phones.values():
            assert all(count == 1 for count in phone.shown.values())

    @invariant()
    def nothing_is_acked_that_never_came(self) -> None:
        for phone in self.phones.values():
            assert phone.link is None or not phone.link.violations

    # And when the weather clears.

    def teardown(self) -> None:
        try:
            if self.phones:
                self.refusals.clear()
                self.clear_weather()
                self.check_the_end()
        finally:
            for phone in self.phones.values():
                phone.store.close()
            shutil.rmtree(self.folder)

    def clear_weather(self) -> None:
        quiet = 0
        for _ in range(2_000):
            if any([phone.settle() for phone in self.phones.values()]):
                quiet = 0
                continue
            quiet += 1
            if quiet > 8:
                return
            self.clock.s += 13.0
        raise AssertionError("the weather never cleared")

    def check_the_end(self) -> None:
        conversation = self.server.conversations.get(CONVERSATION)
        accepted = conversation.client_ids if conversation else []
        for who, phone in self.phones.items():
            assert phone.session.pending == 0
            wanted = [one for one in self.typed[who] if one not in self.refused_for_good]
            assert set(wanted) <= set(accepted)
            if not phone.restored:
                assert [one for one in accepted if one in set(wanted)] == wanted
            self.check_store(phone)
            assert not self.server.queues[phone.device]

    def check_store(self, phone: Phone) -> None:
        conversation = self.server.conversations.get(CONVERSATION)
        if conversation is None:
            return
        stored = phone.store.history(CONVERSATION, 100_000)
        received = [message.seq for message in stored if message.state is MessageState.RECEIVED]
        others = [message.seq for message in conversation.log if message.sender != phone.account]
        if not phone.restored:
            assert received == others
        assert not [message for message in stored if message.state is MessageState.PENDING]
        failed = {message.key for message in stored if message.state is MessageState.FAILED}
        assert failed <= {one.hex() for one in self.refused_for_good}


TestConversing = Conversing.TestCase
TestConversing.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
