"""What a connection does to its socket, whatever has become of that."""

from __future__ import annotations

import pytest

from tests.gateway.house import LOOPS, House, on_loop, until

pytestmark = pytest.mark.parametrize("loop", LOOPS)


@on_loop
async def test_a_connection_that_has_not_heard_of_the_end_of_its_socket_may_write_to_it() -> None:
    async with House() as house:
        device = await house.person(house.a, house.a)
        transport = house.a.met[-1][0]
        device.drop()
        await until(lambda: not house.a.door.connections)
        transport.write(b"anything")
        assert transport.get_write_buffer_size() == 0
