"""Two scripted people on a real node, one of them away for a while, and a SIGKILL of the node in mid-sentence.

Run with `make demo` or `python -m bench.demo`. The last line counts; the exit status is 0 if nothing was lost and
nothing shown twice.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import roost
from bench.live_node import LiveNode, NodeError

if TYPE_CHECKING:
    from collections.abc import Callable

DEMO_S_MAX: Final = 60.0
TYPING_S: Final = 0.4
BURST: Final = 200
KILL_AFTER: Final = 60

Kind = TypeVar("Kind")


class Stage:
    """Where the demo plays: it narrates and counts.

    Args:
        folder: Where the node and the people keep what is theirs.
    """

    def __init__(self, folder: Path) -> None:
        self.node = LiveNode(folder / "node")
        self.accepted: set[str] = set()
        self.delivered: set[str] = set()
        self.shown_twice = 0
        self.killed = False
        self._folder = folder
        self._began_s = time.monotonic()
        self._ticked = asyncio.Event()
        self._told: set[roost.Client] = set()
        self._listening: list[asyncio.Task[None]] = []

    def say(self, text: str) -> None:
        """One line of the narration."""
        print(f"{time.monotonic() - self._began_s:6.2f} s  {text}", flush=True)

    async def register(self, name: str) -> None:
        """Give a person an account."""
        await roost.register(
            name,
            server=self.node.address,
            server_key=self.node.server_key,
            code=lambda request: self.node.code_for(request.account),
            display_name=name.title(),
            folder=self._folder / name,
        )

    async def open(self, name: str) -> roost.Client:
        """A person's application, which counts its ticks and what it shows."""
        client = await roost.connect(name, folder=self._folder / name)
        self._listening.append(asyncio.create_task(self._count(client)))
        await client.wait_online()
        return client

    async def ticks(self, count: int) -> None:
        """Wait until so many messages have their ✓."""
        while len(self.accepted) < count:
            self._ticked.clear()
            await self._ticked.wait()

    async def _count(self, client: roost.Client) -> None:
        typed: dict[str, str] = {}
        async for event in client.events():
            match event:
                case roost.MessageQueued(key=key, content=roost.Text(text)):
                    typed[key] = text
                case roost.MessageSent(key=key):
                    self.accepted.add(typed[key])
                    self._ticked.set()
                case roost.MessageReceived(content=roost.Text(text)):
                    self.shown_twice += text in self.delivered
                    self.delivered.add(text)
                case roost.ConnectionChanged(state=roost.ConnectionState.OFFLINE, sentence=sentence) if self.killed:
                    if client not in self._told:
                        self._told.add(client)
                        self.say(f"{client.account}: {sentence} What I type waits on my disk.")
                case _:
                    pass

    def verdict(self) -> bool:
        """Count, and say whether all is well."""
        accepted, lost = len(self.accepted), len(self.accepted - self.delivered)
        delivered = accepted - lost
        print(f"accepted {accepted}, delivered {delivered}, lost {lost}, shown twice {self.shown_twice}", flush=True)
        return accepted > 0 and lost == 0 and self.shown_twice == 0


async def next_event(events: roost.EventStream, kind: type[Kind], fits: Callable[[Kind], bool] | None = None) -> Kind:
    """Wait for an event of a kind (that fits)."""
    async for event in events:
        if isinstance(event, kind) and (fits is None or fits(event)):
            return event
    raise NodeError("the client has stopped")


async def play(stage: Stage) -> None:
    """The play, in four acts."""
    await asyncio.to_thread(stage.node.start)
    stage.say(f"A node runs at {stage.node.address}, process {stage.node.pid}. Alice and Bob register.")
    for name in ("alice", "bob"):
        await stage.register(name)
    alice, bob = await stage.open("alice"), await stage.open("bob")
    await talk(stage, alice, bob)
    bob = await miss_nothing(stage, alice, bob)
    await survive(stage, alice, bob)
    for client in (alice, bob):
        await client.close()
    status = await asyncio.to_thread(stage.node.terminate)
    stage.say(f"Everyone goes home. SIGTERM drains the node; its exit status is {status}.")


async def talk(stage: Stage, alice: roost.Client, bob: roost.Client) -> None:
    """Both are there: presence, typing and all three ticks."""
    hers, his = alice.events(), bob.events()
    alice.open_chat("bob")
    bob.open_chat("alice")
    await next_event(hers, roost.PresenceChanged, lambda event: event.online is True)
    stage.say("alice opens the chat and sees: bob is online")
    await next_event(his, roost.PresenceChanged, lambda event: event.online is True)
    alice.typing("bob")
    await next_event(his, roost.TypingChanged)
    stage.say("bob sees: alice is typing ...")
    await asyncio.sleep(TYPING_S)
    sending = await alice.send("bob", "Hello Bob! Are the swallows back?")
    await sending.sent()
    stage.say("alice → bob: Hello Bob! Are the swallows back?   ✓ on the node's disk")
    await sending.delivered()
    stage.say("                                                 ✓✓ on Bob's disk")
    await bob.mark_read("alice")
    await sending.read()
    stage.say("                                                 ✓✓ read")
    await (await bob.send("alice", "Since this morning, under the roof.")).delivered()
    stage.say("bob → alice: Since this morning, under the roof.  ✓✓")


async def miss_nothing(stage: Stage, alice: roost.Client, bob: roost.Client) -> roost.Client:
    """Bob is away for a while."""
    await bob.close()
    stage.say("bob closes his application and leaves.")
    sendings = [await alice.send("bob", f"Swallow number {number}") for number in range(1, 21)]
    for sending in sendings:
        await sending.sent()
    stage.say("alice → bob: 20 messages, each ✓; they roost on the node's disk until Bob has them")
    await asyncio.sleep(TYPING_S)
    bob = await stage.open("bob")
    stage.say(f"bob is back: {bob.connection.waiting} messages wait for him")
    await sendings[-1].delivered()
    stage.say("bob has all of them; alice sees ✓✓ on each")
    return bob


async def survive(stage: Stage, alice: roost.Client, bob: roost.Client) -> None:
    """The node is killed while both write as fast as they can."""
    stage.say(f"Now both write {BURST} messages as fast as they can, and in mid-sentence ...")
    before = len(stage.accepted)
    writing = asyncio.gather(
        *(alice.send("bob", f"Line {number}") for number in range(BURST)),
        *(bob.send("alice", f"Rhyme {number}") for number in range(BURST)),
    )
    await stage.ticks(before + KILL_AFTER)
    stage.say(f"... kill -9 {stage.node.pid}")
    stage.killed = True
    await asyncio.to_thread(stage.node.kill)
    sendings = await writing
    ticked = len(stage.accepted) - before
    stage.say(f"{ticked} of them had their ✓; {alice.unsent + bob.unsent} wait in the two outboxes.")
    await asyncio.sleep(TYPING_S)
    await asyncio.to_thread(stage.node.start)
    stage.say(f"The node is started again on the same folder, process {stage.node.pid}.")
    for sending in sendings:
        await sending.delivered()
    stage.say("Both are online again by themselves, everything is sent, and everything has arrived.")


def main() -> int:
    """Play it; returns the exit status."""

    async def limited() -> None:
        async with asyncio.timeout(DEMO_S_MAX):
            await play(stage)

    with tempfile.TemporaryDirectory(prefix="roost-demo-") as folder:
        stage = Stage(Path(folder))
        try:
            asyncio.run(limited())
        except (NodeError, roost.RoostError) as error:
            print(f"The demo ended early: {error}")
            return 1
        except TimeoutError:
            print(f"The demo ended early: it took more than {DEMO_S_MAX:.0f} s.")
            return 1
        finally:
            stage.node.kill()
        return 0 if stage.verdict() else 1


if __name__ == "__main__":
    sys.exit(main())
