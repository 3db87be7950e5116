"""What may wait while nobody looks at a device, and what takes it along."""

from __future__ import annotations

import pytest

from actors.queue.api import QueueLimits
from actors.queue.logic import delay_s
from protocol.messages import POWER_BATTERY, POWER_MAINS, POWER_SAVING, URGENT
from tests.actors.office import Office, Visitor

LIMITS = QueueLimits(20, 1 << 20, 1 << 16, 5, 60.0, background_delay_s=5.0)


class Chat:
    """Ann writes to Bob, whose phone is in the background."""

    def __init__(self, seed: int, power: int = POWER_BATTERY) -> None:
        self.office = Office(seed, LIMITS)
        self.office.employ("ann", "ann's phone")
        self.office.employ("bob", "bob's phone")
        self.ann = self.office.attach("ann", "ann's phone")
        self.bob = self.office.attach("bob", "bob's phone", foreground=False, power=power)
        self.sent = 0

    def say(self, text: str, flags: int = 0, ttl_s: int = 0) -> None:
        self.sent += 1
        self.office.say(self.ann, "ann", "ann's phone", "bob", self.sent, text, flags, ttl_s)

    def acknowledge(self) -> None:
        self.office.acknowledge(self.bob, "bob", "bob's phone")


@pytest.fixture
def chat(seed: int) -> Chat:
    return Chat(seed)


def in_order(visitor: Visitor) -> bool:
    return visitor.positions == sorted(set(visitor.positions))


def test_in_the_background_what_is_not_urgent_comes_together_when_the_time_is_over(chat: Chat) -> None:
    chat.say("one")
    chat.office.wait(3.0)
    chat.say("two")
    assert chat.bob.texts == []
    chat.office.wait(1.9)
    assert chat.bob.texts == []
    chat.office.wait(0.2)
    assert chat.bob.texts == ["one", "two"]
    chat.say("three")
    chat.acknowledge()
    assert chat.bob.texts == ["one", "two"], "an ack of what came before sets nothing free"
    chat.office.wait(5.1)
    chat.acknowledge()
    assert chat.bob.texts == ["one", "two", "three"]
    assert in_order(chat.bob)
    assert chat.office.waiting("bob", "bob's phone") == 0


def test_an_urgent_message_comes_at_once_and_takes_along_what_was_before_it(chat: Chat) -> None:
    chat.say("slow")
    chat.say("quick", URGENT)
    assert chat.bob.texts == ["slow", "quick"]
    chat.say("quicker", URGENT)
    assert chat.bob.texts == ["slow", "quick", "quicker"]
    assert in_order(chat.bob)


def test_coming_to_the_foreground_sets_all_free_and_going_back_holds_again(chat: Chat) -> None:
    chat.say("one")
    chat.office.turn(chat.bob, "bob", "bob's phone", foreground=True)
    assert chat.bob.texts == ["one"]
    chat.say("two")
    assert chat.bob.texts == ["one", "two"]
    chat.office.turn(chat.bob, "bob", "bob's phone", foreground=False)
    chat.say("three")
    assert chat.bob.texts == ["one", "two"]


def test_receipts_wait_too_and_only_the_newest_of_a_chat_comes(chat: Chat) -> None:
    for number, text in enumerate(("one", "two"), 1):
        chat.office.say(chat.bob, "bob", "bob's phone", "ann", number, text, URGENT)
        chat.office.acknowledge(chat.ann, "ann", "ann's phone")
    assert [receipt.account for receipt in chat.office.receipts(chat.bob)] == []
    chat.office.wait(5.1)
    assert [(receipt.account, receipt.delivered) for receipt in chat.office.receipts(chat.bob)] == [("ann", 2)]


def test_what_would_expire_meanwhile_does_not_wait(chat: Chat) -> None:
    chat.say("now or never", ttl_s=3)
    assert chat.bob.texts == ["now or never"]


def test_a_device_is_not_filled_up_by_waiting(chat: Chat) -> None:
    for number in range(25):
        chat.say(f"{number}")
        if chat.bob.positions:
            chat.acknowledge()
    chat.office.wait(5.1)
    assert chat.bob.texts == [f"{number}" for number in range(25)]


def test_what_is_held_when_the_connection_ends_comes_with_the_next_one(chat: Chat) -> None:
    chat.say("one")
    again = chat.office.attach("bob", "bob's phone", foreground=False)
    assert chat.bob.texts == []
    assert again.texts == ["one"]
    chat.office.wait(10.0)
    assert again.texts == ["one"]


def test_a_device_that_saves_waits_six_times_as_long_and_one_on_mains_not_at_all(seed: int) -> None:
    assert delay_s(False, POWER_SAVING, LIMITS) == 30.0
    assert [delay_s(True, power, LIMITS) for power in (POWER_BATTERY, POWER_SAVING, POWER_MAINS)] == [0.0, 0.0, 0.0]
    assert delay_s(False, 17, LIMITS) == delay_s(False, POWER_BATTERY, LIMITS) == 5.0
    chat = Chat(seed, POWER_MAINS)
    chat.say("one")
    assert chat.bob.texts == ["one"]
    slow = Chat(seed, POWER_SAVING)
    slow.say("one")
    slow.office.wait(29.0)
    assert slow.bob.texts == []
    slow.office.wait(1.1)
    assert slow.bob.texts == ["one"]
