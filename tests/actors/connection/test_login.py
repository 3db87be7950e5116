"""What a client hears when it comes at a bad moment, or from a network that comes too often."""

from __future__ import annotations

import itertools

from actors.accounts.api import Rate
from actors.queue.api import Flow
from protocol import AccountId, Code
from protocol import messages as m
from runtime import KILLED
from tests.actors.small_node import SmallDevice, SmallNode

AT_ONCE_S = 0.1
STEPS_MAX = 50


def login_with_a_killed_account(steps: int) -> tuple[SmallNode, SmallDevice, bool]:
    """A login whose account process is killed after so many turns; whether there was one, still without its answer."""
    node = SmallNode()
    device = SmallDevice(node)
    device.register("ann")
    device.heard.clear()
    device.wire.send(device.a_login())
    node.runtime.cast(device.pid, device.wire.data_to_send())
    for _ in range(steps):
        node.scheduler.step()
    pid = node.runtime.whereis(("account", device.account))
    if pid is not None:
        node.runtime.exit(pid, KILLED)
    unanswered = not device.heard
    node.settle()
    return node, device, pid is not None and unanswered


def test_a_login_whose_account_process_ends_is_answered_at_once_whenever_that_happens() -> None:
    ends = set()
    for steps in itertools.count():
        node, device, killed_in_time = login_with_a_killed_account(steps)
        assert node.clock.now_s() < AT_ONCE_S
        answers = device.take(m.Ready) if device.heard and isinstance(device.heard[0], m.Ready) else device.heard
        assert answers, f"nothing was said when the account ended after {steps} turns"
        answer = answers[0]
        if isinstance(answer, m.Closing):
            assert (answer.code, answer.retry_after_ms) == (Code.BUSY, 0)
            again = SmallDevice(node, key=device.key)
            again.account = device.account
            again.ask(again.a_login(), m.Ready)
        ends.add(type(answer))
        if not killed_in_time:
            break
    assert ends == {m.Closing, m.Ready}


def test_a_network_that_connects_too_often_is_told_before_the_handshake_and_others_are_not() -> None:
    node = SmallNode({"connects": Rate(3, 1 / 60)})
    for _ in range(3):
        assert SmallDevice(node, "203.0.113.7").take(m.Welcome)
    refused = SmallDevice(node, "203.0.113.7")
    (alert,) = refused.heard
    assert isinstance(alert, m.Alert)
    assert alert.code == Code.RATE_LIMITED
    assert 0 < alert.retry_after_ms <= 60_001
    assert refused.closed
    assert SmallDevice(node, "198.51.100.9").take(m.Welcome)
    for _ in range(5):  # this host itself has no network address that is counted
        assert SmallDevice(node).take(m.Welcome)
    node.wait(60.0)
    assert SmallDevice(node, "203.0.113.7").take(m.Welcome)


def test_a_device_that_logs_in_too_often_locks_out_no_other_device_of_its_account() -> None:
    node = SmallNode({"logins": Rate(2, 1 / 60)})
    phone = node.device("ann")
    again = [SmallDevice(node, key=phone.key) for _ in range(2)]
    for connection in again:
        connection.account = phone.account
    again[0].ask(again[0].a_login(), m.Ready)
    assert again[1].ask(again[1].a_login(), m.Closing).code == Code.RATE_LIMITED
    node.device("ann")


def test_an_ack_for_which_the_queue_has_no_room_ends_the_connection_rather_than_stall_the_device() -> None:
    node = SmallNode()
    bob = node.device("bob")
    queue = node.router.live_queue(bob.device, AccountId("bob"))
    assert queue is not None
    bob.heard.clear()
    bob.wire.send(m.Ack(0))
    node.runtime.cast(bob.pid, bob.wire.data_to_send())
    for _ in range(STEPS_MAX):
        while node.runtime.is_alive(bob.pid) and node.runtime.cast(queue, Flow(bob.pid, open=True)):
            pass
        node.scheduler.step()
    assert [closing.code for closing in bob.take(m.Closing)] == [Code.BUSY]
