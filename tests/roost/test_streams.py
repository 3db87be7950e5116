"""A reader of events that stands still."""

from __future__ import annotations

import asyncio

import roost
from protocol import AccountId, ConversationId
from roost.streams import EVENTS_MAX, EventStream

AB = ConversationId("alice:bob")
BOB = AccountId("bob")


def read(stream: EventStream) -> list[roost.Event]:
    async def all_events() -> list[roost.Event]:
        return [event async for event in stream]

    stream.end()
    return asyncio.run(all_events())


def test_what_does_not_matter_later_is_dropped_first_and_nothing_is_reported_lost() -> None:
    stream = EventStream()
    for number in range(EVENTS_MAX // 2):
        stream.put(roost.TypingChanged(AB, BOB, True))
        stream.put(roost.MessageSent(AB, str(number), number, 0))
    stream.put(roost.QueueDrained())
    events = read(stream)
    assert len(events) == EVENTS_MAX // 2 + 1
    assert not any(isinstance(event, roost.TypingChanged | roost.EventsLost) for event in events)


def test_at_the_limit_the_oldest_go_and_the_reader_is_told_how_many() -> None:
    stream = EventStream()
    for number in range(EVENTS_MAX + 1):
        stream.put(roost.MessageSent(AB, str(number), number, 0))
    first, second, *rest = read(stream)
    assert first == roost.EventsLost(EVENTS_MAX // 10)
    assert second == roost.MessageSent(AB, str(EVENTS_MAX // 10), EVENTS_MAX // 10, 0)
    assert len(rest) == EVENTS_MAX * 9 // 10
