"""The books of a crash run notice each way in which a promise can be broken."""

from __future__ import annotations

import pytest

from bench.ledger import Counts, Ledger


@pytest.fixture
def ledger() -> Ledger:
    """One writer, and two devices that are to show what it writes."""
    books = Ledger({"a>b": frozenset({"b1", "b2"})})
    for number in (1, 2, 3):
        books.accept("a>b", number, number)
    return books


def show(ledger: Ledger, device: str, *numbers: int) -> None:
    for number in numbers:
        ledger.show(device, "a:b", "a>b", number, number)


def test_the_latest_tick_of_a_stream_is_known_across_gaps(ledger: Ledger) -> None:
    assert ledger.latest("a>b") == 3
    ledger.accept("a>b", 7, 7)
    assert ledger.latest("a>b") == 7
    assert Ledger({"a>b": frozenset()}).latest("a>b") == 0


def test_what_everyone_shows_once_is_delivered(ledger: Ledger) -> None:
    show(ledger, "b1", 1, 2, 3)
    show(ledger, "b2", 1, 2, 3)
    assert ledger.counts() == Counts(3, 3, 0, 0, 0)
    assert ledger.counts().all_is_well


def test_what_one_device_does_not_show_is_lost(ledger: Ledger) -> None:
    show(ledger, "b1", 1, 2, 3)
    show(ledger, "b2", 1, 3)
    assert ledger.counts() == Counts(3, 2, 1, 0, 0)
    assert not ledger.counts().all_is_well


def test_what_nobody_shows_is_lost_once(ledger: Ledger) -> None:
    assert ledger.counts() == Counts(3, 0, 3, 0, 0)


def test_what_never_got_its_tick_cannot_be_lost() -> None:
    books = Ledger({"a>b": frozenset({"b1"})})
    books.show("b1", "a:b", "a>b", 1, 1)
    assert books.counts() == Counts(0, 0, 0, 0, 0)


def test_a_second_showing_counts(ledger: Ledger) -> None:
    show(ledger, "b1", 1, 2, 3, 2)
    show(ledger, "b2", 1, 2, 3)
    assert ledger.counts() == Counts(3, 3, 0, 1, 0)


def test_a_late_one_is_out_of_order(ledger: Ledger) -> None:
    show(ledger, "b1", 1, 3, 2)
    show(ledger, "b2", 1, 2, 3)
    assert ledger.counts() == Counts(3, 3, 0, 0, 1)


def test_two_places_of_one_message_are_out_of_order(ledger: Ledger) -> None:
    show(ledger, "b1", 1, 2, 3)
    show(ledger, "b2", 1, 2)
    ledger.show("b2", "a:b", "a>b", 3, 4)
    assert ledger.counts() == Counts(3, 3, 0, 0, 1)


def test_a_second_tick_counts_once(ledger: Ledger) -> None:
    ledger.accept("a>b", 3, 3)
    assert ledger.counts().accepted == 3
