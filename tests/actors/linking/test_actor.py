"""Two connections meet once, pass a few things, and nobody else gets in."""

from __future__ import annotations

from itertools import islice

import pytest

from actors.accounts.api import Rate
from actors.linking.actor import PAYLOADS_MAX
from actors.tree import RENDEZVOUS_MAX
from protocol import Code, shard_of
from protocol import messages as m
from protocol.limits import LINK_PAYLOAD_SIZE_BYTES_MAX
from runtime import KILLED
from tests.actors.primary import Primary
from tests.actors.small_node import SmallDevice, SmallNode

MEETING = bytes(range(16))


def met(node: SmallNode) -> tuple[SmallDevice, SmallDevice]:
    """A new device and one of an account at a rendezvous."""
    phone, new = Primary(node, "ann").phone, SmallDevice(node)
    assert new.ask(m.OpenLink(1, MEETING), m.LinkOpened).expires_s == 60
    phone.ask(m.JoinLink(2, MEETING), m.Done)
    return phone, new


def ends(device: SmallDevice) -> list[int]:
    return [ended.code for ended in device.take(m.LinkEnded)]


def test_what_one_passes_the_other_gets_in_order_and_unchanged() -> None:
    phone, new = met(SmallNode())
    phone.say(m.PassLink(b"1"), m.PassLink(b""))
    new.say(m.PassLink(b"3"))
    assert [passed.payload for passed in new.take(m.LinkPassed)] == [b"1", b""]
    assert [passed.payload for passed in phone.take(m.LinkPassed)] == [b"3"]
    phone.say(m.PassLink(bytes(LINK_PAYLOAD_SIZE_BYTES_MAX)))
    assert [len(passed.payload) for passed in new.take(m.LinkPassed)] == [LINK_PAYLOAD_SIZE_BYTES_MAX]


def test_nobody_waits_where_nobody_is() -> None:
    node = SmallNode()
    phone = Primary(node, "ann").phone
    assert phone.ask(m.JoinLink(1, MEETING), m.Error).code == Code.LINK_UNKNOWN
    phone.say(m.PassLink(b"hello?"))
    assert ends(phone) == [Code.LINK_ENDED]


def test_a_rendezvous_serves_two_and_only_once() -> None:
    node = SmallNode()
    phone, new = met(node)
    third, newer = Primary(node, "eve").phone, SmallDevice(node)
    assert third.ask(m.JoinLink(1, MEETING), m.Error).code == Code.LINK_UNKNOWN
    assert newer.ask(m.OpenLink(1, MEETING), m.Error).code == Code.LINK_UNKNOWN
    third.say(m.PassLink(b"from a third"))
    assert ends(new) == ends(phone) == [Code.LINK_ENDED], "who is not one of the two ends it, and gets nothing"
    assert third.ask(m.JoinLink(1, MEETING), m.Error).code == Code.LINK_UNKNOWN


def test_one_connection_waits_at_one_rendezvous() -> None:
    new = SmallDevice(SmallNode())
    new.ask(m.OpenLink(1, MEETING), m.LinkOpened)
    assert new.ask(m.OpenLink(2, bytes(16)), m.Error).code == Code.LINK_UNKNOWN


def test_who_is_not_joined_in_time_hears_that_the_code_has_expired() -> None:
    node = SmallNode()
    phone, new = Primary(node, "ann").phone, SmallDevice(node)
    new.ask(m.OpenLink(1, MEETING), m.LinkOpened)
    node.clock.advance(59.0)
    node.settle()
    assert not ends(new)
    node.wait(2.0)
    assert ends(new) == [Code.LINK_EXPIRED]
    assert phone.ask(m.JoinLink(1, MEETING), m.Error).code == Code.LINK_UNKNOWN


def test_both_have_a_little_longer_once_they_have_met() -> None:
    node = SmallNode()
    phone, new = met(node)
    node.clock.advance(100.0)
    phone.say(m.PassLink(b"still there"))
    assert new.take(m.LinkPassed)
    node.clock.advance(30.0)
    node.settle()
    assert ends(new) == ends(phone) == [Code.LINK_EXPIRED]


@pytest.mark.parametrize("leaver", [0, 1])
def test_who_is_left_alone_hears_of_it(leaver: int) -> None:
    node = SmallNode()
    devices = met(node)
    devices[leaver].say(m.Bye())
    assert ends(devices[1 - leaver]) == [Code.LINK_ENDED]


def test_so_many_payloads_and_no_more() -> None:
    node = SmallNode()
    phone, new = met(node)
    phone.say(*(m.PassLink(b"x") for _ in range(PAYLOADS_MAX)))
    assert len(new.take(m.LinkPassed)) == PAYLOADS_MAX
    new.say(m.PassLink(b"one more"))
    assert ends(new) == ends(phone) == [Code.LINK_ENDED]


def test_a_rendezvous_that_crashes_is_told_as_unknown() -> None:
    node = SmallNode()
    phone, new = met(node)
    pid = node.router.rendezvous(MEETING)
    node.runtime.exit(pid, KILLED)
    node.settle()
    assert ends(new) == ends(phone) == [Code.LINK_UNKNOWN]


def test_only_so_many_wait_at_once_and_the_next_is_told_to_come_again() -> None:
    node = SmallNode()
    shard = shard_of(MEETING.hex())
    meetings = (number.to_bytes(16, "big") for number in range(100_000))
    same = list(islice((each for each in meetings if shard_of(each.hex()) == shard), RENDEZVOUS_MAX + 1))
    for meeting in same[:RENDEZVOUS_MAX]:
        SmallDevice(node).ask(m.OpenLink(1, meeting), m.LinkOpened)
    refused = SmallDevice(node).ask(m.OpenLink(1, same[-1]), m.Error)
    assert refused.code == Code.BUSY
    assert refused.retry_after_ms > 0


def test_a_network_opens_and_an_account_joins_only_so_often() -> None:
    node = SmallNode({"links": Rate(2, 0.01), "changes": Rate(2, 0.01)})
    for number in range(2):
        SmallDevice(node, "198.51.100.9").ask(m.OpenLink(1, bytes([number]) * 16), m.LinkOpened)
    third = SmallDevice(node, "198.51.100.9").ask(m.OpenLink(1, MEETING), m.Error)
    assert third.code == Code.RATE_LIMITED
    SmallDevice(node, "203.0.113.7").ask(m.OpenLink(1, MEETING), m.LinkOpened)
    phone = Primary(node, "ann").phone
    codes = [phone.ask(m.JoinLink(number, bytes(16)[:15] + b"\x09"), m.Error).code for number in range(3)]
    assert codes == [Code.LINK_UNKNOWN, Code.LINK_UNKNOWN, Code.RATE_LIMITED]
