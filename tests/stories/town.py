"""What stories share: fresh people on a node, their devices, and waiting for what happens to them."""

from __future__ import annotations

import asyncio
import functools
import itertools
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import roost
from tests.stories.raw_device import RawDevice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from bench.live_node import LiveNode
    from roost.opening import Opening

Parameters = ParamSpec("Parameters")
Kind = TypeVar("Kind")
STORY_S_MAX: Final = 30
_numbers = itertools.count(1)


def story(function: Callable[Parameters, Coroutine[Any, Any, None]]) -> Callable[Parameters, None]:
    """An async test runs on its own loop, and never for longer than a story may take."""

    @functools.wraps(function)
    def test(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        async def limited() -> None:
            async with asyncio.timeout(STORY_S_MAX):
                await function(*args, **kwargs)

        asyncio.run(limited())

    return test


class Town:
    """The people of one story. Their addresses are their own, so stories on one node do not meet."""

    def __init__(self, node: LiveNode, folder: Path) -> None:
        self.node = node
        self.folder = folder
        self._number = next(_numbers)
        self._primaries: dict[str, str] = {}
        self._online: dict[tuple[str, str], roost.Client] = {}

    def address(self, name: str) -> str:
        """The address of a person of this story."""
        return f"{name}.{self._number}"

    def home(self, device: str) -> Path:
        """The folder in which a device keeps its accounts."""
        return self.folder / device

    async def register(self, name: str, device: str = "phone") -> None:
        """Make a device a device of this person: the first as the primary, and each other linked by it."""
        primary = self._primaries.get(name)
        if primary is not None:
            online = self._online.get((name, primary))
            if online is not None:
                await self.link(online, device)
                return
            async with self.connect(name, primary, foreground=False) as sponsor:
                await sponsor.wait_online()
                await self.link(sponsor, device)
            return
        self._primaries[name] = device
        await roost.register(
            self.address(name),
            server=self.node.address,
            server_key=self.node.server_key,
            code=lambda request: self.node.code_for(request.account),
            display_name=name.title(),
            device_name=device,
            folder=self.home(device),
        )

    async def link(self, sponsor: roost.Client, device: str) -> None:
        """Link a device with a code that the primary confirms."""
        shown: asyncio.Future[roost.LinkCode] = asyncio.get_running_loop().create_future()
        linking = asyncio.create_task(
            roost.link(
                lambda code, _: shown.set_result(code),
                server=self.node.address,
                device_name=device,
                folder=self.home(device),
            )
        )
        try:
            request = await sponsor.devices.link((await shown).text)
            assert request.name == device
            await request.confirm()
        except BaseException:
            linking.cancel()
            await asyncio.gather(linking, return_exceptions=True)
            raise
        assert await linking == sponsor.account

    def connect(self, name: str, device: str = "phone", *, foreground: bool = True) -> Opening:
        """Open a device that was registered before."""
        return roost.connect(self.address(name), folder=self.home(device), foreground=foreground)

    @asynccontextmanager
    async def people(self, *names: str) -> AsyncIterator[list[roost.Client]]:
        """New people, one device each (or "name/device" for more), all online."""
        async with AsyncExitStack() as stack:
            clients = []
            for entry in names:
                name, _, device = entry.partition("/")
                await self.register(name, device or "phone")
                client = await stack.enter_async_context(self.connect(name, device or "phone"))
                self._online[name, device or "phone"] = client
                stack.callback(self._online.pop, (name, device or "phone"), None)
                await client.wait_online()
                clients.append(client)
            yield clients

    @asynccontextmanager
    async def raw(self, name: str) -> AsyncIterator[RawDevice]:
        """A new person whose device does what the test says, right or wrong; it is registered and logged in."""
        async with self.stranger() as device:
            await device.register(self.address(name), self.node.code_for)
            await device.log_in()
            yield device

    @asynccontextmanager
    async def stranger(self) -> AsyncIterator[RawDevice]:
        """A raw device that is nobody yet; the handshake and the greeting are done."""
        device = RawDevice(self.node.address, self.node.server_key)
        try:
            await device.greet()
            yield device
        finally:
            device.drop()


async def wait_for(events: roost.EventStream, kind: type[Kind], fits: Callable[[Kind], bool] | None = None) -> Kind:
    """The next event of a kind (that fits)."""
    async for event in events:
        if isinstance(event, kind) and (fits is None or fits(event)):
            return event
    raise AssertionError(f"the events ended without a {kind.__name__}")


async def texts(events: roost.EventStream, count: int) -> list[str]:
    """What the next messages say."""
    return [text_of(await wait_for(events, roost.MessageReceived)) for _ in range(count)]


async def back_online(client: roost.Client) -> None:
    """Connect now, and after each attempt that fails at once again, however long the client would have waited."""
    events = client.events()
    client.retry_now()
    while client.connection.state is not roost.ConnectionState.ONLINE:
        event = await wait_for(events, roost.ConnectionChanged)
        if event.state is roost.ConnectionState.OFFLINE:
            client.retry_now()


async def time_passes(least_s: float) -> None:
    """Let a time run out that the node itself measures: red never means slow, for it may be longer."""
    await asyncio.sleep(least_s)


def text_of(message: roost.MessageReceived | roost.StoredMessage) -> str:
    """What a message says."""
    assert isinstance(message.content, roost.Text)
    return message.content.text
