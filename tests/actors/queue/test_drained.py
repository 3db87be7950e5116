"""The word that all has come which waited at the login: once, behind the last of it, whoever writes meanwhile."""

from __future__ import annotations

from itertools import takewhile

from actors.queue.api import QueueLimits
from protocol.messages import Drained
from runtime import KILLED
from tests.actors.office import Office, Visitor

ANN, BOB = "ann's phone", "bob's phone"
NARROW = QueueLimits(entries_max=1_000, size_bytes_max=1 << 20, window_bytes=600, attempts_max=5, resume_window_s=60.0)
A_WHILE_S = 40.0
"""Longer than the hot window: what waits has moved to the inbox."""
OLD, HOT, NEW = 12, 5, 9


def office_in_which_bob_was_away(seed: int) -> tuple[Office, Visitor]:
    office = Office(seed, NARROW)
    office.employ("ann", ANN)
    office.employ("bob", BOB)
    ann = office.attach("ann", ANN)
    write(office, ann, 1, OLD)
    office.wait(A_WHILE_S)
    write(office, ann, OLD + 1, HOT)
    return office, ann


def write(office: Office, ann: Visitor, number: int, count: int) -> None:
    for each in range(number, number + count):
        office.say(ann, "ann", ANN, "bob", each, str(each))


def before_the_word(visitor: Visitor) -> int:
    """How many entries had come when the word came; 0 if it has not come."""
    if not visitor.all(Drained):
        return 0
    return sum(isinstance(one, tuple) for one in takewhile(lambda one: not isinstance(one, Drained), visitor.heard))


def test_a_device_that_was_off_hears_in_order_what_waited_and_then_that_it_was_all(seed: int) -> None:
    office, _ = office_in_which_bob_was_away(seed)
    bob = office.attach("bob", BOB)
    assert bob.attached is not None
    assert bob.attached.waiting == OLD + HOT
    while not bob.all(Drained):
        office.acknowledge(bob, "bob", BOB)
    assert bob.texts == [str(number) for number in range(1, OLD + HOT + 1)]
    assert bob.all(Drained) == [Drained(bob.positions[-1])]


def test_the_word_comes_although_somebody_writes_faster_than_the_device_reads(seed: int) -> None:
    office, ann = office_in_which_bob_was_away(seed)
    bob = office.attach("bob", BOB)
    number = OLD + HOT + 1
    for _ in range(NEW):
        write(office, ann, number, 4)
        number += 4
        office.acknowledge(bob, "bob", BOB)
    assert before_the_word(bob) >= OLD + HOT
    assert office.waiting("bob", BOB) > 0
    assert bob.texts == [str(each) for each in range(1, len(bob.texts) + 1)]
    assert len(bob.all(Drained)) == 1


def test_a_queue_that_dies_over_it_leaves_the_word_to_its_next_life(seed: int) -> None:
    office, _ = office_in_which_bob_was_away(seed)
    bob = office.attach("bob", BOB)
    office.acknowledge(bob, "bob", BOB)
    taken = len(bob.texts) // 2
    assert not bob.all(Drained)
    office.runtime.exit(office.queue("bob", BOB), KILLED)
    office.settle()
    again = office.attach("bob", BOB)
    while not again.all(Drained):
        office.acknowledge(again, "bob", BOB)
    assert set(bob.texts) | set(again.texts) == {str(number) for number in range(1, OLD + HOT + 1)}
    assert again.texts[-1] == str(OLD + HOT)
    assert before_the_word(again) == len(again.texts) >= OLD + HOT - 2 * taken


def test_where_nothing_waits_the_word_comes_at_once_and_no_second_time(seed: int) -> None:
    office = Office(seed, NARROW)
    office.employ("ann", ANN)
    office.employ("bob", BOB)
    ann, bob = office.attach("ann", ANN), office.attach("bob", BOB)
    write(office, ann, 1, 3)
    office.acknowledge(bob, "bob", BOB)
    assert bob.heard[0] == Drained(0)
    assert len(bob.all(Drained)) == 1
