"""A node starts, drains, comes back and refuses to start, and says in a sentence what is the matter."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest

import roost
from bench.direct_store import DirectStore, inbox_entries
from bench.live_node import LiveNode
from protocol import Code, shard_of
from protocol.messages import Closing
from storage import Batch, Entry, LmdbEngine, Table
from storage.engine import commit_now
from storage.inbox import Summary, entries_prefix, entry_key, summary_key
from storage.meta import POSITION_KEY
from storage.records import encode_entry, position_key
from tests.stories.town import Town, back_online, story, text_of, texts, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from storage import Row

pytestmark = pytest.mark.slow
DIES_AT_A_RENAME = """
import os, pathlib, runpy, signal, sys
os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
del sys.argv[0]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def is_offline(event: roost.ConnectionChanged) -> bool:
    """Whether the client knows that there is no connection."""
    return event.state is roost.ConnectionState.OFFLINE


def refusal(node: LiveNode, status: int, **settings: dict[str, object]) -> str:
    """What a node says that does not start."""
    node.launch(**settings)
    assert node.wait() == status
    assert "Traceback" not in node.output
    return node.output


@story
async def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    with LiveNode(tmp_path / "node") as node:
        town = Town(node, tmp_path)
        await town.register("carol")
        async with town.people("alice", "bob") as [alice, bob]:
            await bob.change_settings(last_seen="nobody", display_name="Bobby")
            await bob.contact(alice.account)
            await bob.block(town.address("carol"))
            await (await alice.send(bob.account, "before")).delivered()
            await bob.mark_read(alice.account)
            waiting = await alice.send(town.address("carol"), "for later")
            await waiting.sent()
            key, streams = node.server_key, [client.events() for client in (alice, bob)]
            assert await asyncio.to_thread(node.terminate) == 0
            await asyncio.to_thread(node.start)
            assert node.server_key == key
            for client, events in zip((alice, bob), streams, strict=True):
                await wait_for(events, roost.ConnectionChanged, is_offline)
                await back_online(client)
            settings = await bob.settings()
            assert (settings.display_name, settings.last_seen) == ("Bobby", "nobody")
            relations = await bob.relations()
            assert (relations.contacts, relations.blocked) == ((alice.account,), (town.address("carol"),))
            after = await alice.send(bob.account, "after")
            await after.delivered()
            assert after.seq == 2
            async with town.connect("carol") as carol:
                assert await texts(carol.events(), 1) == ["for later"]
            await waiting.delivered()
            assert [text_of(message) for message in await bob.history(alice.account)] == ["before", "after"]
        assert node.crashes == []


@story
async def test_sigterm_tells_the_clients_and_exits_with_0(tmp_path: Path) -> None:
    with LiveNode(tmp_path / "node") as node:
        town = Town(node, tmp_path)
        async with town.people("alice") as [alice], town.raw("bob") as bob, town.stranger() as stranger:
            sendings = [await alice.send(bob.account, f"{number}") for number in range(50)]
            await sendings[-1].sent()
            assert await asyncio.to_thread(node.terminate) == 0
            for device in (bob, stranger):
                closing = await device.last_words()
                assert isinstance(closing, Closing)
                assert closing.code == Code.DRAINING
                assert 0 < closing.retry_after_ms <= 5_500
            offline = await wait_for(alice.events(), roost.ConnectionChanged, is_offline)
            assert offline.retry_in_s >= 0.5
            assert '"event": "stopped"' in node.output
            assert node.crashes == []
            await asyncio.to_thread(node.start)
            await bob.come_back()
            assert (await bob.ping()).token == 1


def test_a_second_node_on_the_same_folder_is_refused_and_disturbs_nobody(tmp_path: Path) -> None:
    with LiveNode(tmp_path / "first") as first:
        second = LiveNode(tmp_path / "second", {"node": {"data_folder": str(first.data_folder)}})
        said = refusal(second, 1)
        assert f"is in use by process {first.pid}; stop that node, or give this one its own folder" in said
        still_served(first)


def test_an_address_in_use_is_named_with_its_key(tmp_path: Path) -> None:
    with LiveNode(tmp_path / "first") as first:
        second = LiveNode(tmp_path / "second", {"node": {"listen": first.address}})
        said = refusal(second, 1)
        assert f"cannot listen on {first.address}: Address already in use; change node.listen" in said
        still_served(first)


def test_a_data_folder_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    node = LiveNode(tmp_path)
    node.start()
    assert node.terminate() == 0
    engine = LmdbEngine(node.data_folder, 1 << 30)
    commit_now(engine, Batch(puts=[(Table.META, b"schema", (99).to_bytes(8, "big"))]))
    engine.close()
    before = (node.data_folder / "data.mdb").read_bytes()
    said = refusal(node, 1)
    assert re.search(r"written by a newer Roost \(schema \d+\), this one reads up to \d+; run the newer version", said)
    assert (node.data_folder / "data.mdb").read_bytes() == before


def half_a_copy(folder: Path, shard: int, devices: int) -> None:
    """What a node leaves on its disk that is stopped while a shard comes to it from another."""
    entry = encode_entry(Entry(5, 0, "chat", 1, "ann", 0, 0, bytes(100)))
    rows: list[Row] = [(Table.META, POSITION_KEY, position_key(10))]
    for number in range(devices):
        device = number.to_bytes(16, "big")
        rows.append((Table.INBOX, summary_key(device), Summary(shard, 1, 164, 5, 5).encode()))
        rows.append((Table.INBOX, entry_key(entries_prefix(device), 5), entry))
    store = DirectStore(folder, owned=())
    told: list[Exception | None] = []
    store.store.import_rows(shard, "b", b"T", rows, told.append)
    store.run()
    assert told == [None]
    store.close()


def test_a_node_that_was_stopped_while_a_shard_came_to_it_starts_alone_when_the_half_copy_is_purged(
    tmp_path: Path,
) -> None:
    """Found in review: the entries of its cluster were taken out, and it ended with a traceback at each start."""
    account = next(f"ann{number}" for number in itertools.count() if shard_of(f"ann{number}") == 9)
    half_a_copy(tmp_path / "data", 9, 5_000)
    with LiveNode(tmp_path) as node:
        (warning,) = [line for line in node.lines if "shard_waited_for" in line]
        assert json.loads(warning)["shard"] == 9
        assert "being purged" in json.loads(warning)["why"]
        registering = roost.register(
            account,
            server=node.address,
            server_key=node.server_key,
            code=lambda request: asyncio.to_thread(node.code_for, request.account),
            folder=tmp_path / "home",
        )
        asyncio.run(registering)
        assert node.crashes == []
        assert node.terminate() == 0
    assert inbox_entries(node.data_folder) == 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"node": {"lisen": "127.0.0.1:1"}}, "node.lisen is unknown: did you mean node.listen"),
        ({"nodes": {"name": "x"}}, "nodes is unknown: did you mean [node]"),
        ({"node": {"drain_timeout_s": "5s"}}, "node.drain_timeout_s"),
        ({"limits": {"send_window": 33}}, "limits.send_window"),
    ],
)
def test_a_wrong_setting_is_named_with_its_fix(
    tmp_path: Path, settings: dict[str, dict[str, object]], sentence: str
) -> None:
    assert sentence in refusal(LiveNode(tmp_path, settings), 2)


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said = refusal(LiveNode(tmp_path, {"node": {"data_folder": str(tmp_path / "file" / "data")}}), 1)
    assert str(tmp_path / "file") in said


def test_a_broken_key_file_is_named_and_not_replaced(tmp_path: Path) -> None:
    node = LiveNode(tmp_path)
    node.start()
    node.kill()
    key = node.data_folder / "node.key"
    key.write_text("not a key")
    assert "node.key is not a key: restore it from a copy" in refusal(node, 1)
    assert key.read_text() == "not a key"


def test_a_code_sender_that_does_not_exist_is_named(tmp_path: Path) -> None:
    said = refusal(LiveNode(tmp_path, {"registration": {"code_sender": "no.such:thing"}}), 1)
    assert "registration.code_sender 'no.such:thing' cannot be loaded" in said


def still_served(node: LiveNode) -> None:
    """Somebody can register there."""

    @story
    async def visit() -> None:
        async with Town(node, node.folder).people("visitor") as [visitor]:
            await (await visitor.send(visitor.account, "note")).sent()

    visit()
    assert node.crashes == []


@story
async def test_a_start_that_dies_before_its_key_has_its_name_leaves_a_folder_that_starts(tmp_path: Path) -> None:
    dying = LiveNode(tmp_path / "node", command=(sys.executable, "-c", DIES_AT_A_RENAME))
    dying.launch()
    assert dying.wait() == -signal.SIGKILL
    folder = dying.data_folder
    assert {path.name for path in folder.glob("node.*")} == {"node.lock", "node.new"}
    (folder / "node.new").write_text("0123456789abcdef")  # the worst that a power cut leaves of it: half a key
    (folder / "node.new").chmod(0o644)
    with LiveNode(tmp_path / "node") as node:
        assert {path.name for path in folder.glob("node.*")} == {"node.lock", "node.key"}
        assert (folder / "node.key").stat().st_mode & 0o777 == 0o600
        key = node.server_key
        node.kill()
        node.start()
        assert node.server_key == key
        node.kill()
        (folder / "node.key").write_text("0123456789abcdef")
        assert "restore it from a copy" in refusal(node, 1)
