"""A client that meets the wrong worker is served by the right one, and notices nothing."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from actors.connection.api import Luggage
from gateway.passage import LUGGAGE_BYTES_MAX, WAITING_MAX
from protocol import Code, shard_of
from protocol import messages as m
from tests.gateway.house import DOOR, LOOPS, House, descriptors, on_loop, until

if TYPE_CHECKING:
    from tests.gateway.house import Worker
    from tests.stories.raw_device import RawDevice

pytestmark = pytest.mark.parametrize("loop", LOOPS)


async def registered(house: House, home: Worker) -> RawDevice:
    """A device of an account that lives there, connected nowhere."""
    device = await house.person(home, home)
    device.drop()
    await until(lambda: not home.door.connections)
    return device


@on_loop
async def test_a_login_at_the_wrong_door_is_answered_by_the_worker_that_has_the_account() -> None:
    async with House() as house:
        device = await house.person(house.a, house.b)
        assert (house.a.door.connections, house.b.door.connections) == (1, 0)
        assert (house.a.door.strangers, house.b.door.strangers) == (0, 0)
        assert house.b.passage.statistics() == (1, 0, 0, 0)
        assert house.a.passage.statistics() == (0, 0, 1, 0)
        assert not house.b.connections.which_children()
        await device.ping()
        assert isinstance(await device.ask(m.ListDevices(1), m.Devices), m.Devices)


@on_loop
async def test_a_login_at_the_right_door_stays_there() -> None:
    async with House() as house:
        await house.person(house.a, house.a)
        assert house.a.passage.statistics() == house.b.passage.statistics() == (0, 0, 0, 0)


@on_loop
async def test_a_registration_goes_to_the_worker_where_the_account_will_live() -> None:
    async with House() as house:
        device = house.device(house.b)
        await device.greet()
        await device.register(house.account_of(house.a), house.codes.last.__getitem__)
        await device.log_in()
        assert (house.a.door.connections, house.b.door.connections) == (1, 0)
        assert house.b.passage.statistics().departed == 1


@on_loop
async def test_what_is_said_behind_the_login_is_heard_wherever_it_was_cut() -> None:
    async with House() as house:
        device = await registered(house, house.a)
        for cut in (1, 30, 60, 90, 120):
            device.at(house.b.address)
            await device.shake_hands()
            device.wire.send(m.Hello([1], "raw/1"))
            device.wire.send(m.Login(device.account, device.epoch, True, 60))
            device.wire.send(m.Ping(1))
            data = device.wire.data_to_send()
            for token in range(2, 5):
                device.wire.send(m.Ping(token))
                data += device.wire.data_to_send()
            device.writer.write(data[:cut])
            await asyncio.sleep(0)
            device.writer.write(data[cut:])
            await device.expect(m.Welcome)
            heard = [await device.next_frame() for _ in range(5)]
            assert sorted(frame.token for frame in heard if isinstance(frame, m.Pong)) == [1, 2, 3, 4]
            assert sum(isinstance(frame, m.Ready) for frame in heard) == 1
            await device.ping(9)
        assert house.b.passage.statistics().departed == 5


@on_loop
async def test_bytes_that_drip_in_singly_are_heard_by_whichever_worker_reads_them() -> None:
    async with House() as house:
        device = await registered(house, house.a)
        device.at(house.b.address)
        await device.shake_hands()
        device.wire.send(m.Hello([1], "raw/1"))
        data = device.wire.data_to_send()
        device.wire.send(m.Login(device.account, device.epoch, True, 60))
        data += device.wire.data_to_send()
        device.wire.send(m.Ping(1))
        data += device.wire.data_to_send()
        for byte in data:
            device.writer.write(bytes((byte,)))
            await asyncio.sleep(0)
        await device.expect(m.Ready)
        await device.ping(2)
        assert house.b.passage.statistics().departed == 1


@on_loop
async def test_an_address_that_is_none_is_answered_where_it_was_said() -> None:
    async with House() as house:
        device = house.device(house.b)
        await device.greet()
        error = await device.ask(m.RequestCode(1, "No Address!"), m.Error)
        assert error.code == Code.ADDRESS_INVALID
        await device.register(house.account_of(house.a), house.codes.last.__getitem__)
        assert house.b.passage.statistics().departed == 1


@on_loop
async def test_who_has_been_answered_here_stays_and_moves_at_most_once() -> None:
    async with House() as house:
        device = await registered(house, house.a)
        here = house.account_of(house.b)
        await device.greet()
        device.drop()
        device.at(house.b.address)
        await device.greet()
        await device.ask(m.RequestCode(1, here), m.CodeSent)
        device.say(m.Login(device.account, device.epoch, True, 60))
        assert (await device.last_words()).code == Code.BUSY  # these workers have no link by which to serve it
        assert house.b.passage.statistics() == (0, 0, 0, 0)


@on_loop
async def test_two_workers_that_each_take_an_account_for_the_others_do_not_play_ball_with_it() -> None:
    async with House() as house:
        device = await registered(house, house.a)
        shard = shard_of(device.account)
        house.a.router.leave(shard)
        house.a.router.places[shard] = "b"
        device.at(house.b.address)
        await device.greet()
        device.say(m.Login(device.account, device.epoch, True, 60))
        await until(lambda: house.a.passage.statistics().arrived)
        assert house.a.passage.statistics().departed == 0


@on_loop
async def test_a_full_sibling_says_so_to_the_client_itself() -> None:
    async with House((DOOR._replace(connections_max=1), DOOR)) as house:
        first = await house.person(house.a, house.a)
        device = house.device(house.b)
        await device.greet()
        device.say(m.RequestCode(1, house.account_of(house.a)))
        words = await device.last_words()
        assert (words.code, words.retry_after_ms) == (Code.TOO_MANY_CONNECTIONS, 5_000)
        assert house.a.door.refused == 1
        await first.ping()


@on_loop
async def test_a_connection_waits_for_a_sibling_that_is_replaced_meanwhile() -> None:
    async with House() as house:
        device = await registered(house, house.a)
        house.a.hang()
        device.at(house.b.address)
        await device.greet()
        device.say(m.Login(device.account, device.epoch, True, 60))
        await until(lambda: not house.b.door.connections)
        house.a.go_on()
        await device.expect(m.Ready)


@on_loop
async def test_who_waits_too_long_at_a_full_hatch_is_told_to_come_again() -> None:
    async with House() as house:
        house.hatches["a"].outside.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        house.a.hang()
        devices = []
        for _ in range(12):
            device = house.device(house.b)
            await device.greet()
            device.say(m.RequestCode(1, house.account_of(house.a)))
            devices.append(device)
        await until(lambda: sum(house.b.passage.statistics()) == len(devices))
        departed = house.b.passage.statistics().departed
        assert 0 < departed < len(devices)
        for device in devices[departed:]:
            words = await device.last_words()
            assert (words.code, words.retry_after_ms) == (Code.BUSY, 1_000)
        assert house.b.passage.statistics() == (departed, len(devices) - departed, 0, 0)
        house.a.go_on()
        for device in devices[:departed]:
            await device.expect(m.CodeSent)
            await device.ping()


@on_loop
async def test_those_at_a_full_hatch_go_through_in_order_once_there_is_room() -> None:
    async with House() as house:
        house.hatches["a"].outside.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        house.a.hang()
        devices = []
        for _ in range(8):
            device = house.device(house.b)
            await device.greet()
            device.say(m.RequestCode(1, house.account_of(house.a)))
            devices.append(device)
        await until(lambda: sum(house.b.passage.statistics()) == len(devices))
        assert house.b.passage.statistics().waiting > 0
        house.a.go_on()
        for device in devices:
            await device.expect(m.CodeSent)
        assert house.b.passage.statistics() == (len(devices), 0, 0, 0)


@on_loop
async def test_a_client_that_goes_while_it_waits_takes_up_nothing() -> None:
    async with House() as house:
        house.hatches["a"].outside.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        house.a.hang()
        for _ in range(8):
            device = house.device(house.b)
            await device.greet()
            device.say(m.RequestCode(1, house.account_of(house.a)))
        await until(lambda: house.b.passage.statistics().waiting)
        for device in house.devices:
            device.drop()
        house.a.go_on()
        await until(lambda: not house.a.door.connections and not house.b.door.connections)
        await until(lambda: not house.b.passage.statistics().waiting)


@on_loop
async def test_a_client_that_has_gone_before_its_login_is_read_takes_up_nothing() -> None:
    """Where a worker is busy, what it said and that it has gone lie in the mailbox together."""
    async with House() as house:
        device = house.device(house.b)
        await device.greet()
        ((transport, *_),) = house.b.met
        device.drop()
        await until(lambda: not house.b.door.connections)
        house.b.passage.hold(transport)
        assert house.b.listener.lingering == 0


@on_loop
async def test_a_worker_that_stops_says_so_to_those_who_come_and_to_those_who_wait() -> None:
    async with House() as house:
        house.hatches["a"].outside.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        house.a.hang()
        devices = []
        for _ in range(10):
            device = house.device(house.b)
            await device.greet()
            device.say(m.RequestCode(1, house.account_of(house.a)))
            devices.append(device)
        await until(lambda: house.b.passage.statistics().waiting)
        departed = house.b.passage.statistics().departed
        house.b.passage.shut()
        for device in devices[departed:]:
            assert (await device.last_words()).code == Code.BUSY
        house.a.go_on()
        house.a.passage.shut()
        for device in devices[:departed]:
            assert (await device.last_words()).code == Code.DRAINING


class Held:
    """A client's socket that waits for somebody to take it."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.left = 0
        self.refused = 0

    def descriptor(self) -> int | None:
        """Open, as long as it has not left."""
        return None if self.left or self.refused else self.client.fileno()

    def leave(self) -> None:
        """A sibling has it."""
        self.left += 1

    def refuse(self, luggage: Luggage) -> None:
        """Nobody has it."""
        self.refused += 1

    def write(self, data: bytes) -> None:
        """Nothing is said to it here."""

    close = abort = hold = lambda self: None

    def get_write_buffer_size(self) -> int:
        """Nothing was."""
        return 0


@on_loop
async def test_more_than_a_stranger_ever_says_does_not_pass() -> None:
    async with House() as house:
        with socket.socket() as client:
            few, many = Held(client), Held(client)
            house.a.hang()
            house.b.passage.take("a", few, Luggage(b"", [], bytes(LUGGAGE_BYTES_MAX - 100), 0.0, 0.0))
            house.b.passage.take("a", many, Luggage(b"", [], bytes(LUGGAGE_BYTES_MAX), 0.0, 0.0))
            assert (few.left, few.refused, many.left, many.refused) == (1, 0, 0, 1)
            assert house.b.passage.statistics() == (1, 1, 0, 0)


@on_loop
async def test_no_descriptor_is_left_behind_by_any_way_through_the_passage() -> None:
    async def all_ways() -> None:
        async with House((DOOR._replace(connections_max=3), DOOR)) as house:
            for _ in range(5):
                device = house.device(house.b)
                await device.greet()
                device.say(m.RequestCode(1, house.account_of(house.a)))
            await until(lambda: house.a.passage.statistics().arrived == 5)
            house.a.hang()
            for _ in range(3):
                device = house.device(house.b)
                await device.greet()
                device.say(m.RequestCode(1, house.account_of(house.a)))
            await until(lambda: house.b.passage.statistics().departed == 8)
            for device in house.devices:
                device.drop()
            house.a.go_on()

    async with House():  # the loop itself opens some at first use
        pass
    before = descriptors()
    await all_ways()
    await until(lambda: sorted(descriptors()) == sorted(before))


@on_loop
async def test_more_than_may_wait_are_told_at_once_to_come_again() -> None:
    limits = DOOR._replace(connections_max=1_000, strangers_max=1_000)
    async with House((limits, limits)) as house:
        house.hatches["a"].outside.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        house.a.hang()
        devices = [house.device(house.b) for _ in range(WAITING_MAX + 20)]
        for device in devices:
            await device.greet()
        for device in devices:
            device.say(m.RequestCode(1, house.account_of(house.a)))
        await until(lambda: sum(house.b.passage.statistics()) == len(devices))
        departed, refused, _, waiting = house.b.passage.statistics()
        assert waiting == WAITING_MAX
        assert refused == len(devices) - departed - waiting > 0
        house.a.go_on()
