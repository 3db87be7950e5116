"""Timers on a hierarchical wheel: any number of them, and one alarm, for the next slot that holds something.

Each level has 256 slots; a slot of level 0 is one tick of a millisecond, a slot of a higher level as long as the
whole level below it. A timer goes to the level of the highest byte in which its tick differs from the present tick,
and falls to lower levels as that byte is reached. A bit mask per level says which slots hold timers, so that finding
the next one takes one look, however many wait (Varghese and Lauck 1987, scheme 7).

*Invariant*: in every level the occupied slots lie ahead of the present one, so slots are visited in order of time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from .pid import Ref

if TYPE_CHECKING:
    from collections.abc import Callable

    from .clock import Clock

TICKS_PER_S: Final = 1000
_LEVEL_BITS: Final = 8
_SLOT_MASK: Final = 255
_LEVELS: Final = 6
_DELAY_TICKS_MAX: Final = (1 << _LEVEL_BITS * (_LEVELS - 1)) - 1
_ROUNDING: Final = 1e-3
"""A microsecond, in ticks: more than a float of seconds is wrong by, on a machine that is up for thirty years."""
_ADVANCING: Final = -1
"""Instead of an armed tick while `advance` runs: it arms the alarm itself at its end."""


class Timer(Ref):
    """One timer; subclasses say what happens when it is due."""

    __slots__ = ("_level", "_slot", "due_tick")

    due_tick: int
    _level: int

    def __init__(self) -> None:
        self._slot: dict[Timer, None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it is neither due nor cancelled yet."""
        return self._slot is not None

    def fire(self) -> None:
        """Do what the timer is for."""
        raise AssertionError("a bare timer is never inserted")


class TimerWheel:
    """The runtime's timers.

    None fires early by more than a microsecond; each fires at most a tick after it is due, if the alarm is punctual.

    Args:
        clock: Where time is read.
        arm: Called with the moment (of the clock, in seconds) at which `advance` is wanted next, whenever that moment
            comes nearer than it was.
    """

    __slots__ = ("_arm", "_armed_tick", "_clock", "_count", "_levels", "_masks", "_now_tick")

    def __init__(self, clock: Clock, arm: Callable[[float], None]) -> None:
        self._clock = clock
        self._arm = arm
        self._now_tick = self._read_tick()
        self._levels: list[dict[int, dict[Timer, None]]] = [{} for _ in range(_LEVELS)]
        self._masks = [0] * _LEVELS
        self._count = 0
        self._armed_tick: float = math.inf

    def __len__(self) -> int:
        return self._count

    def insert(self, timer: Timer, delay_s: float) -> None:
        """Let a timer fire after a while.

        Args:
            timer: A timer that is not waiting.
            delay_s: How long from now; what is not positive means the next tick. At most 34 years.

        Raises:
            ValueError: The delay is not a number or longer than that.
        """
        if not delay_s * TICKS_PER_S <= _DELAY_TICKS_MAX:
            raise ValueError(f"a timer may wait for at most {_DELAY_TICKS_MAX // TICKS_PER_S} s, not {delay_s} s")
        now = self._clock.now_s() * TICKS_PER_S
        now_tick = math.floor(now + _ROUNDING)
        if self._now_tick < now_tick < self._armed_tick:
            self._now_tick = now_tick
        due = math.ceil(now + max(delay_s, 0.0) * TICKS_PER_S - _ROUNDING)
        timer.due_tick = due if due > self._now_tick else self._now_tick + 1
        visit_tick = self._place(timer)
        self._count += 1
        if visit_tick < self._armed_tick:
            self._armed_tick = visit_tick
            self._arm(visit_tick / TICKS_PER_S)

    def cancel(self, timer: Timer) -> bool:
        """Take a timer off the wheel.

        Returns:
            Whether it was waiting; False means that it has fired or had been cancelled.
        """
        slot = timer._slot
        if slot is None:
            return False
        del slot[timer]
        timer._slot = None
        self._count -= 1
        if not slot:
            level = timer._level
            self._clear(level, (timer.due_tick >> level * _LEVEL_BITS) & _SLOT_MASK)
        return True

    def advance(self) -> int:
        """Fire what is due by the clock, in order of time, then of insertion; arm the alarm for what comes next.

        Returns:
            How many timers fired.
        """
        target_tick = self._read_tick()
        self._armed_tick = _ADVANCING
        fired = 0
        while self._count:
            level, visit_tick = self._next_visit()
            if visit_tick > target_tick:
                break
            self._now_tick = visit_tick
            index = (visit_tick >> level * _LEVEL_BITS) & _SLOT_MASK
            slot = self._levels[level][index]
            self._clear(level, index)
            fired += self._visit(slot)
        if self._now_tick < target_tick:
            self._now_tick = target_tick
        self._armed_tick = math.inf
        if self._count:
            self._armed_tick = self._next_visit()[1]
            self._arm(self._armed_tick / TICKS_PER_S)
        return fired

    def next_visit_s(self) -> float | None:
        """When `advance` is wanted next, by the clock, in seconds; None while no timer waits."""
        return self._next_visit()[1] / TICKS_PER_S if self._count else None

    def clear(self) -> None:
        """Cancel every timer."""
        for level in self._levels:
            for slot in level.values():
                for timer in slot:
                    timer._slot = None
            level.clear()
        self._masks = [0] * _LEVELS
        self._count = 0
        self._armed_tick = math.inf

    def _read_tick(self) -> int:
        return math.floor(self._clock.now_s() * TICKS_PER_S + _ROUNDING)

    def _place(self, timer: Timer) -> int:
        """Put a timer into the slot of its tick; returns the tick at which that slot is visited."""
        due = timer.due_tick
        level = ((due ^ self._now_tick).bit_length() - 1) // _LEVEL_BITS
        assert level < _LEVELS, "the clock runs for longer than 8,000 years"
        shift = level * _LEVEL_BITS
        index = (due >> shift) & _SLOT_MASK
        slots = self._levels[level]
        slot = slots.get(index)
        if slot is None:
            slot = slots[index] = {}
            self._masks[level] |= 1 << index
        slot[timer] = None
        timer._slot = slot
        timer._level = level
        return due >> shift << shift

    def _clear(self, level: int, index: int) -> None:
        del self._levels[level][index]
        self._masks[level] &= ~(1 << index)

    def _next_visit(self) -> tuple[int, int]:
        """The level and the tick of the next occupied slot."""
        level = 0
        while not self._masks[level]:
            level += 1
        mask = self._masks[level]
        index = (mask & -mask).bit_length() - 1
        shift = level * _LEVEL_BITS
        above = self._now_tick >> shift + _LEVEL_BITS << shift + _LEVEL_BITS
        return level, above | index << shift

    def _visit(self, slot: dict[Timer, None]) -> int:
        """Fire the timers of a slot that are due now, and put the others a level or more further down.

        The slot itself is off the wheel and is thrown away; until then what it held stays in it, so that a timer
        which is cancelled meanwhile never empties it.
        """
        fired = 0
        for timer in tuple(slot):
            if timer._slot is not slot:
                continue
            if timer.due_tick > self._now_tick:
                self._place(timer)
                continue
            timer._slot = None
            self._count -= 1
            fired += 1
            timer.fire()
        return fired
