"""An attacker who is the server cannot add a device, take a list back, or change an identity in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import roost
from protocol import AccountId, DeviceId, StaticKey
from protocol.device_list import IdentityKey, ListedDevice, label_digest, opened_devices, sealed_label, sign_devices
from tests.roost.stories import people, story
from tests.roost.tcp_server import TcpServer

if TYPE_CHECKING:
    from pathlib import Path

    from protocol.device_list import DeviceRoll
    from tests.roost.model_server import Account

GHOST = StaticKey(b"g" * 32).public
LABEL = sealed_label("a ghost")


def forge(server: TcpServer, name: str, identity: IdentityKey, version: int, *keys: bytes) -> Account:
    """The server shows a list of its own making."""
    account = server.model.accounts[AccountId(name)]
    listed = [ListedDevice(key, 0, label_digest(LABEL)) for key in keys]
    signed = sign_devices(identity, AccountId(name), version, listed)
    server.model._sign(AccountId(name), signed, [LABEL for _ in keys])
    server.flush()
    return account


def roll_of(server: TcpServer, name: str) -> DeviceRoll:
    signed = server.model.accounts[AccountId(name)].signed
    assert signed is not None
    return opened_devices(signed, AccountId(name))


def own_key(server: TcpServer, name: str) -> bytes:
    return roll_of(server, name).primary.static_key


async def forgery(client: roost.Client) -> str:
    async for event in client.events():
        if isinstance(event, roost.DevicesForged):
            return event.sentence
    raise AssertionError("nobody was told")


@story
async def test_a_ghost_that_the_server_adds_is_told_to_its_person_and_never_listed(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as (alice,):
        server.model.add("alice", b"g" * 16)
        server.flush()
        assert "has not signed" in await forgery(alice)
        with pytest.raises(roost.DevicesForgedError, match="has not signed"):
            await alice.devices.list()
        assert [type(news) for news in alice.device_news] == [roost.DevicesForged]


@story
async def test_a_list_that_another_identity_signed_is_not_believed_of_ones_own_account(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as (alice,):
        forge(server, "alice", IdentityKey.generate(), 9, own_key(server, "alice"), GHOST)
        assert "another identity" in await forgery(alice)
        with pytest.raises(roost.DevicesForgedError):
            await alice.devices.list()


@story
async def test_a_list_without_a_signature_is_not_believed_once_there_was_one(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        await bob.devices.of("alice")
        account = server.model.accounts[AccountId("alice")]
        account.signed, account.labels = None, []
        for client in (alice, bob):
            with pytest.raises(roost.DevicesForgedError, match="nobody signs"):
                await (client.devices.list() if client is alice else client.devices.of("alice"))


@story
async def test_an_older_list_or_a_second_one_of_the_same_version_is_refused(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as (alice,):
        account = server.model.accounts[AccountId("alice")]
        first = (account.signed, account.labels)
        [device] = await alice.devices.list()
        await alice.devices.rename(device.device, "phone")
        assert [one.name for one in await alice.devices.list()] == ["phone"]
        account.signed, account.labels = first
        with pytest.raises(roost.DevicesForgedError, match="older list"):
            await alice.devices.list()


@story
async def test_a_name_that_the_server_changes_is_found_out(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as (alice,):
        server.model.accounts[AccountId("alice")].labels = [sealed_label("renamed")]
        with pytest.raises(roost.DevicesForgedError, match="otherwise than"):
            await alice.devices.list()


@story
async def test_another_account_is_believed_at_first_sight_and_a_new_identity_is_told(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (_, bob):
        seen = await bob.devices.of("alice")
        assert (len(seen.devices), seen.changed) == (1, False)
        assert (await bob.devices.of("alice")).changed is False
        identity = IdentityKey.generate()
        forge(server, "alice", identity, 1, GHOST)
        after = await bob.devices.of("alice")
        assert (after.identity, after.changed) == (identity.public, True)
        assert (await bob.devices.of("alice")).changed is False
        forge(server, "alice", identity, 1, GHOST, own_key(server, "bob"))
        with pytest.raises(roost.DevicesForgedError, match="two lists"):
            await bob.devices.of("alice")
        server.model.accounts[AccountId("alice")].devices[DeviceId(b"x" * 16)] = "a ghost"
        with pytest.raises(roost.DevicesForgedError):
            await bob.devices.of("alice")


@story
async def test_what_the_server_let_go_is_signed_off_by_the_primary(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as (alice,):
        account = server.model.accounts[AccountId("alice")]
        seed = alice._store.fact("identity_seed", b"")
        forge(server, "alice", IdentityKey(seed), 5, own_key(server, "alice"), GHOST)
        assert len(await alice.devices.list()) == 2
        server.model.remove("alice", list(account.devices)[1])
        server.flush()
        while (roll := roll_of(server, "alice")).version == 5:
            await alice.devices.list()  # the first answer may be what shows her that one has gone
        assert (roll.version, len(roll.devices)) == (6, 1)
