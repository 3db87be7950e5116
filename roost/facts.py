"""The single facts of an account's database: who it is, its keys, and whom it believes."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from protocol import AccountId, StaticKey
from protocol.device_list import IdentityKey
from roost import missing
from roost.database_file import UNREADABLE
from roost.device_trust import Pin, decode_pin, encode_pin
from roost.errors import StoreError
from roost.rows import FactRow, checked
from roost.successor import forget_device

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from protocol.keys import RandomBytes
    from roost.changes import ListsKnown, Missed, Supplemented
    from roost.landing import Landing

__all__ = ["Facts", "pin_fact"]


class Facts(ABC):
    """What every part of an open database needs: transactions, and facts by name."""

    path: Path
    _database: sqlite3.Connection
    _account: AccountId
    _landing: Landing
    _missed: dict[Missed, None]  # in the order in which word came: a set has another one in each process

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[None]:
        """What is written within is on disk afterwards, all of it or nothing."""

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception | str) -> StoreError:
        return StoreError(f"The file {self.path} is not a whole Roost database: {error}. Restore a copy.")

    # Identity and other single facts.

    def fact(self, name: str, default: bytes) -> bytes:
        """Return a stored fact, or `default`.

        Raises:
            StoreError: the database is damaged.
        """
        with self._reading():
            row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
            return checked(row, FactRow)[0] if row else default

    def _text(self, name: str) -> str:
        try:
            return self.fact(name, b"").decode()
        except UnicodeDecodeError as error:
            raise self._damaged(f"{name} is no text") from error

    def set_facts(self, **facts: bytes) -> None:
        """Store facts, durable on return."""
        with self._transaction():
            for name, value in facts.items():
                self._set_fact(name, value)
        self._account = AccountId(self._text("account"))

    def _set_fact(self, name: str, value: bytes) -> None:
        self._database.execute(
            "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def drop_fact(self, name: str, value: bytes) -> None:
        """Forget a fact, if it still says this."""
        with self._transaction():
            self._database.execute("DELETE FROM facts WHERE name = ? AND value = ?", (name, value))

    @property
    def account(self) -> AccountId:
        """The account registered here; empty before the registration has ended."""
        return self._account

    @property
    def server(self) -> str:
        """The server's address."""
        return self._text("server")

    @property
    def server_key(self) -> bytes | None:
        """The server's static key that this device trusts; None before the first connection."""
        return self.fact("server_key", b"") or None

    def static_key(self, random_bytes: RandomBytes = os.urandom) -> StaticKey:
        """Return this device's key, made at the first call and kept.

        Args:
            random_bytes: given n, returns n unpredictable bytes.
        """
        secret = self.fact("static_key", b"")
        if secret:
            try:
                return StaticKey.from_bytes(secret)
            except ValueError as error:
                raise self._damaged(error) from error
        key = StaticKey.generate(random_bytes)
        self.set_facts(static_key=key.private_bytes(), epoch=random_bytes(8))
        return key

    def become_device(self, key: StaticKey, epoch: bytes, account: AccountId, identity: bytes) -> None:
        """Belong to another device from now on, which is none of the account yet; durable on return.

        Args:
            key: the new device's.
            epoch: its first.
            account: whose device it will be.
            identity: who signs the account's devices; if it is the one that was known, so are its lists.
        """
        known = self.pin(account)
        with self._transaction():
            forget_device(self._database)
            self._set_fact("static_key", key.private_bytes())
            self._set_fact("epoch", epoch)
            if known is None or known.identity != identity:
                self._set_fact(pin_fact(account), encode_pin(Pin(identity, 0, bytes(32))))
            self._landing.erased = True

    def identity_key(self, random_bytes: RandomBytes = os.urandom) -> IdentityKey:
        """Return the account's identity key, made at the first call and kept; a linked device never calls this.

        Args:
            random_bytes: given n, returns n unpredictable bytes.
        """
        key = self._signer() or IdentityKey.generate(random_bytes)
        self.set_facts(identity_seed=key.seed_bytes())
        return key

    def forget_identity(self) -> None:
        """Let go of a key that signs nothing, because the account has another."""
        with self._transaction():
            self._database.execute("DELETE FROM facts WHERE name = 'identity_seed'")

    def _signer(self) -> IdentityKey | None:
        seed = self.fact("identity_seed", b"")
        try:
            return IdentityKey(seed) if seed else None
        except ValueError as error:
            raise self._damaged(error) from error

    def pin(self, account: str) -> Pin | None:
        """Return the list of an account's devices that was believed last; None if none was."""
        return decode_pin(self.fact(pin_fact(account), b""))

    # The lists for which messages are made, and what devices missed.

    def _note_missed(self, change: Missed) -> None:
        if len(self._missed) < missing.MISSED_MAX:
            missing.note(self._database, change)
            self._missed[change] = None
            self._tell_missed(change.conversation, change.seq)

    def _tell_missed(self, conversation: str, seq: int) -> None:
        """The message may be here before word comes that a device misses it, or after that."""
        for missed in self._missed:
            if (missed.conversation, missed.seq) == (conversation, seq):
                found = missing.found(self._database, self._account, missed)
                if found is not None:
                    self._landing.events.append(found)

    def _supplemented(self, change: Supplemented) -> None:
        missing.forget(self._database, change.missed)
        self._missed.pop(change.missed, None)

    def _lists_known(self, change: ListsKnown) -> None:
        name = missing.lists_fact(change.conversation)
        self._set_fact(name, msgspec.msgpack.encode(change.lists))


def pin_fact(account: str) -> str:
    """The name of the fact that says what is believed of an account's devices."""
    return f"pin of {account}"
