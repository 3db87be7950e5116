"""The queue of one device against a plain list."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.queue.api import QueueLimits
from actors.queue.logic import QueueState
from storage import MESSAGE, Entry
from storage.records import NOTICE

WINDOW_BYTES = 500
LIMITS = QueueLimits(entries_max=6, size_bytes_max=2_000, window_bytes=WINDOW_BYTES, attempts_max=5, resume_window_s=60)


def entry(position: int, size_bytes: int, kind: int, sender: str) -> Entry:
    return Entry(position, kind, "ann:bob", position, sender, 0, 0, b"." * size_bytes)


class OneQueue(RuleBasedStateMachine):
    """What waits is a list; what is on its way a part of it; the state has to agree."""

    def __init__(self) -> None:
        super().__init__()
        self.state = QueueState("bob", 0, 0, 0, LIMITS)
        self.waiting: list[Entry] = []
        self.on_way: list[Entry] = []
        self.sent_up_to = 0
        self.next_position = 1

    @rule(
        size_bytes=st.integers(0, 300),
        kind=st.sampled_from([MESSAGE, NOTICE]),
        own=st.booleans(),
        gap=st.integers(1, 3),
        in_one_step=st.booleans(),
    )
    def arrives(self, size_bytes: int, kind: int, own: bool, gap: int, in_one_step: bool) -> None:
        fresh = entry(self.next_position, size_bytes, kind, "bob" if own else "ann")
        self.next_position += gap
        if in_one_step and self._passes_on(fresh):
            return
        was_live = self.state.live
        assert self.state.admit(fresh)
        assert not self.state.admit(fresh), "the same entry counts once"
        self.waiting.append(fresh)
        if was_live and self.state.window_open:
            self._send(fresh)

    def _passes_on(self, fresh: Entry) -> bool:
        """Whether it went out at once; if not, the steps one by one come next, and must find nothing changed."""
        state = self.state
        has_room = (
            len(self.waiting) < LIMITS.entries_max and state.size_bytes + fresh.size_bytes <= LIMITS.size_bytes_max
        )
        goes = state.live and state.window_open and state.attempts < 3 and has_room
        assert state.pass_on(fresh) == goes
        assert not (goes and state.pass_on(fresh)), "the same entry counts once"
        if goes:
            self.waiting.append(fresh)
            self._sent(fresh)
        return goes

    def _send(self, fresh: Entry) -> None:
        self.state.send(fresh)
        self._sent(fresh)

    def _sent(self, fresh: Entry) -> None:
        self.on_way.append(fresh)
        self.sent_up_to = max(self.sent_up_to, fresh.position)

    @precondition(lambda self: not self.state.live and self.state.window_open)
    @rule()
    def a_page_is_read(self) -> None:
        behind = [each for each in self.waiting if each.position > self.state.read_up_to]
        if not behind:
            self.state.all_read()
        for each in behind[: min(self.state.page_count, 2)]:
            if self.state.window_open:
                self._send(each)

    @rule(data=st.data())
    def is_acknowledged(self, data: st.DataObject) -> None:
        up_to = data.draw(st.integers(0, self.sent_up_to))
        done = [each for each in self.on_way if each.position <= up_to]
        forgotten = self.state.acknowledge(up_to)
        assert forgotten is not None
        assert forgotten.entries_count == len(done)
        others = [each.seq for each in done if each.kind == MESSAGE and each.sender != "bob"]
        assert forgotten.marks == ({"ann:bob": max(others)} if others else {})
        self.on_way = [each for each in self.on_way if each.position > up_to]
        self.waiting = [each for each in self.waiting if each not in done]

    @rule(beyond=st.integers(1, 5))
    def an_ack_beyond_what_was_sent_forgets_nothing(self, beyond: int) -> None:
        count = self.state.count
        assert self.state.acknowledge(self.sent_up_to + beyond) is None
        assert self.state.count == count

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def is_removed(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(self.waiting))
        self.state.remove([gone])
        self.waiting.remove(gone)
        if gone in self.on_way:
            self.on_way.remove(gone)

    @rule(broken=st.booleans(), data=st.data())
    def the_device_comes_back(self, broken: bool, data: st.DataObject) -> None:
        self.state.detach(broken)
        received_up_to = data.draw(st.none() | st.integers(0, self.sent_up_to))
        if received_up_to is None:
            self.state.begin()
            self.sent_up_to = 0
        else:
            done = [each for each in self.on_way if each.position <= received_up_to]
            assert self.state.resume(received_up_to) is not None
            self.waiting = [each for each in self.waiting if each not in done]
        self.on_way = []

    @invariant()
    def counts_agree(self) -> None:
        state = self.state
        assert state.count == len(self.waiting)
        assert state.size_bytes == sum(each.size_bytes for each in self.waiting)
        assert [each.position for each in state.unacked] == [each.position for each in self.on_way]
        for kind, quotas in ((MESSAGE, 1), (NOTICE, 2)):
            assert state.refuses(entry(1, 10, kind, "ann")) == (
                len(self.waiting) > quotas * LIMITS.entries_max or state.size_bytes > quotas * LIMITS.size_bytes_max
            )
        if state.has_room():
            assert not state.refuses(entry(1, 10, MESSAGE, "ann"))
        if state.live:
            assert {each.position for each in self.waiting} == {each.position for each in self.on_way}
        # One entry may exceed the window, but nothing follows it.
        assert sum(each.size_bytes for each in self.on_way[:-1]) < WINDOW_BYTES
        if state.attempts >= 3:
            assert state.window_open == (not self.on_way)


TestOneQueue = OneQueue.TestCase
TestOneQueue.settings = settings(max_examples=120, stateful_step_count=40)


def test_an_entry_over_which_connections_break_again_and_again_is_poison() -> None:
    state = QueueState("bob", 0, 0, 0, LIMITS)
    bad = entry(7, 10, MESSAGE, "ann")
    assert state.admit(bad)
    for attempt in range(LIMITS.attempts_max):
        assert not state.is_poison(7), attempt
        state.begin()
        state.send(bad)
        state.detach(broken=True)
    assert state.is_poison(7)
    state.remove([bad])
    assert not state.is_poison(7)
    assert state.attempts == 0


def test_a_goodbye_is_no_attempt_and_an_ack_clears_the_suspicion() -> None:
    state = QueueState("bob", 0, 0, 0, LIMITS)
    first, second = entry(1, 10, MESSAGE, "ann"), entry(2, 10, MESSAGE, "ann")
    for each in (first, second):
        state.admit(each)
        state.send(each)
    state.detach(broken=False)
    assert state.attempts == 0
    state.detach(broken=True)
    assert state.attempts == 1
    state.acknowledge(1)
    assert state.attempts == 0
