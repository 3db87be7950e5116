"""Whatever the messenger keeps in the directory goes with its shard when that moves."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from actors import directory_keys
from actors.directory_keys import (
    account_key,
    device_key,
    directory_shard,
    groups_key,
    last_seen_key,
    owed_key,
    places_key,
)
from protocol import AccountId, ConversationId, DeviceId, shard_of
from runtime import KILLED
from storage import Table
from tests.actors.office import Office

ANN = AccountId("ann@example.org")
OF_THE_NODE = {"places_key"}
KINDS = {name for name in directory_keys.__all__ if name.endswith("_key")}
USES = {"get", "put", "delete", "take"}


def test_every_kind_of_key_goes_with_the_shard_of_its_account() -> None:
    pairs = {
        "account_key": (account_key(ANN), b"whatever"),
        "groups_key": (groups_key(ANN), b"whatever"),
        "last_seen_key": (last_seen_key(ANN), bytes(8)),
        "device_key": (device_key(DeviceId(bytes(16))), ANN.encode()),
        "owed_key": (owed_key(ANN, DeviceId(b"/" * 16), ConversationId("ann:bob"), 7), b"whatever"),
    }
    assert pairs.keys() == KINDS - OF_THE_NODE, "a new kind of key has to say here with which shard it goes"
    for key, value in pairs.values():
        assert directory_shard(key, value) == shard_of(ANN)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"node", b""),
        (places_key(), b""),
        (b"device/x", b"\xff"),
        (b"device/x", b""),
        (b"account/\xff", b""),
        (b"", b""),
    ],
)
def test_what_is_the_nodes_own_or_cannot_be_read_goes_with_no_shard(key: bytes, value: bytes) -> None:
    assert directory_shard(key, value) is None


def test_the_actors_use_no_key_that_is_made_elsewhere() -> None:
    found: set[str] = set()
    for path in Path("actors").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            of = node.func.value
            if node.func.attr in {*USES, "scan"} and isinstance(of, ast.Attribute) and of.attr == "directory":
                key = node.args[0]
                assert isinstance(key, ast.Call), f"{path}:{node.lineno}"
                assert isinstance(key.func, ast.Name), f"{path}:{node.lineno}"
                found.add(key.func.id)
    assert found == {*KINDS, "owed_prefix"}


def test_what_a_living_messenger_writes_has_a_shard() -> None:
    office = Office(1)
    office.employ("ann", "ann's phone")
    visitor = office.attach("ann", "ann's phone")
    office.runtime.exit(visitor.process.pid, KILLED)
    office.settle()
    pairs = office.engine.scan(Table.DIRECTORY, b"", b"\xff" * 481, 99)
    assert {directory_shard(key, value) for key, value in pairs} == {shard_of("ann")}
    assert len(pairs) >= 2
