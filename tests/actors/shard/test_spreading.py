"""What a shard does about another one that cannot take what it has for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.router.api import Router
from actors.shard.api import Disk, PaceLimits
from actors.shard.pulse import Pulse
from actors.shard.spreading import OutboxPage, Resync, SendAgain, Spread, Spreading, Step
from actors.tally import Tally
from protocol import shard_of
from runtime import Actor, InlineTasks, Runtime, SeededScheduler, VirtualClock
from tests.storage.desk import PHONE, Desk, message

if TYPE_CHECKING:
    from runtime import Message, Pid
    from runtime.signals import Kind, Signal

SHARD, ACCOUNT = 0, "bob1"
THERE = shard_of(ACCOUNT)
PACE = PaceLimits(shards_burst=70, step_shards=8, step_s=0.004)
MANY = range(1, 41)


class Line:
    """To node b; a port of the runtime, see `runtime.Distribution`."""

    def __init__(self) -> None:
        self.incarnations = {"b": 1}
        self.room = 0
        self.told: list[Message] = []

    def post(self, pid: Pid, kind: Kind, message: Message) -> bool:
        if not self.room:
            return False
        self.room -= 1
        self.told.append(message)
        return True

    def carry(self, node: str, signal: Signal) -> bool:
        return True


class Source(Actor):
    """A shard as far as it spreads."""

    def __init__(self, desk: Desk, router: Router) -> None:
        self.pages = 0
        self._desk = desk
        self._router = router

    def init(self) -> None:
        disk = Disk(self._desk.store, SHARD, self._desk.epochs[SHARD], Tally())
        self.spreading = Spreading(self.process, disk, self._router, {}, PACE, Pulse(self.process, SHARD))

    def handle_info(self, message: Any) -> None:
        if isinstance(message, OutboxPage):
            self.pages += 1
            self.spreading.send_page(message)
        elif isinstance(message, SendAgain):
            self.spreading.send_again(message.target)
        elif isinstance(message, Step):
            self.spreading.step()


class House:
    """Shard 0 of node a, which has ten messages for a shard of node b; b has been heard of, and nothing was taken."""

    def __init__(self) -> None:
        desk, self.line = Desk(), Line()
        for seq in range(1, 11):
            desk.append(SHARD, message(seq, (ACCOUNT, PHONE)))
        desk.run()
        self.scheduler = SeededScheduler(1)
        self.runtime = Runtime(node="a", clock=VirtualClock(), scheduler=self.scheduler, tasks=InlineTasks())
        self.runtime.foreign.attach(self.line)
        router = Router(self.runtime)
        router.places[THERE] = "b"
        self.source = Source(desk, router)
        self.runtime.start(self.source)
        self.source.spreading.send_page(OutboxPage(THERE, 0, []))

    def turns(self, limit: int) -> int:
        """Let it run, for so many turns at most; how many there were."""
        return next((turn for turn in range(limit) if not self.scheduler.step()), limit)

    @property
    def positions(self) -> list[int]:
        """What has gone over the line."""
        return [position for spread in self.line.told if isinstance(spread, Spread) for position, _ in spread.jobs]


def behind(house: House) -> None:
    """There is more on its disk than it knows, and it goes on."""
    house.source.spreading._outbound_to(THERE).forget()
    house.source.spreading.send_again(THERE)


def test_for_a_node_that_is_away_the_disk_is_not_read_again_and_again() -> None:
    house = House()
    house.line.incarnations = {}
    behind(house)
    assert house.turns(1_000) < 10
    assert house.source.pages == 1
    house.scheduler.run_for(10.0)
    assert house.source.pages == 1


def test_who_hears_where_a_shard_is_sends_what_it_lacks_even_if_what_that_asked_has_come_before() -> None:
    house = House()
    house.line.incarnations = {}
    behind(house)
    house.turns(1_000)
    house.source.spreading.resync(Resync(THERE, 0))
    house.line.incarnations, house.line.room = {"b": 1}, 9
    house.source.spreading.meet([THERE])
    house.turns(1_000)
    assert len(house.positions) == 10


def test_for_a_link_without_room_the_disk_is_read_five_times_a_second_and_nothing_piles_up() -> None:
    house = House()
    behind(house)
    assert house.turns(1_000) < 10
    house.scheduler.run_for(2.0)
    assert 5 < house.source.pages < 15
    house.line.room = 1
    house.scheduler.run_for(1.0)
    assert len(house.positions) == 10
    pages = house.source.pages
    house.scheduler.run_for(10.0)
    assert house.source.pages == pages


class Crowd(House):
    """Shard 0 again, with large fan-outs to forty shards of node b."""

    def __init__(self) -> None:
        super().__init__()
        self.source.spreading._router.places.update(dict.fromkeys(MANY, "b"))
        self.line.room = 10_000
        self.line.told.clear()
        self.position = 0

    def fan_out(self, *prompt: int) -> None:
        """One more message for everybody; for some shards there is also one of a chat."""
        self.position += 1
        large: Any = message(self.position, (ACCOUNT, PHONE))
        self.source.spreading.send_all({shard: [(self.position, large)] for shard in MANY}, prompt)

    @property
    def chains(self) -> list[list[int]]:
        """What has gone over the line since this was asked before, chain by chain."""
        told = [[position for position, _ in spread.jobs] for spread in self.line.told if isinstance(spread, Spread)]
        self.line.told.clear()
        return told


def test_a_large_fan_out_now_and_then_goes_everywhere_at_once() -> None:
    crowd = Crowd()
    for position in range(1, 4):
        crowd.fan_out()
        assert crowd.chains == [[position]] * 40
        crowd.scheduler.run_for(0.1)


def test_large_fan_outs_that_follow_closely_go_out_a_few_shards_at_a_time_and_together() -> None:
    crowd = Crowd()
    crowd.fan_out()
    assert crowd.chains == [[1]] * 40
    crowd.fan_out()
    assert crowd.chains == []
    crowd.scheduler.run_for(0.0045)
    assert crowd.chains == [[2]] * 8
    crowd.fan_out()
    crowd.scheduler.run_for(0.1)
    assert sorted(crowd.chains) == [[2, 3]] * 32 + [[3]] * 8
    crowd.scheduler.run_for(1.0)
    assert crowd.chains == []


def test_a_chat_does_not_wait_for_the_turn_of_its_shard_and_passes_nothing() -> None:
    crowd = Crowd()
    crowd.fan_out()
    crowd.fan_out()
    crowd.chains.clear()
    crowd.fan_out(5)
    assert crowd.chains == [[2, 3]]
    crowd.scheduler.run_for(0.1)
    assert crowd.chains == [[2, 3]] * 39
