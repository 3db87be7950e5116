"""Randomness as a port: the machine's, or a seeded sequence that a test can repeat."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import builtins
    from collections.abc import MutableSequence, Sequence

Item = TypeVar("Item")


class Randomness(Protocol):
    """Where actors take chance from."""

    def bytes(self, count: int) -> builtins.bytes:
        """Bytes, as many as asked for."""

    def random(self) -> float:
        """A number in [0, 1)."""

    def below(self, limit: int) -> int:
        """A whole number in [0, limit)."""

    def choice(self, items: Sequence[Item]) -> Item:
        """One of the items."""

    def shuffle(self, items: MutableSequence[Item]) -> None:
        """Put the items in another order, in place."""


class _Randomness:
    __slots__ = ("_source",)

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def random(self) -> float:
        """A number in [0, 1)."""
        return self._source.random()

    def below(self, limit: int) -> int:
        """A whole number in [0, limit)."""
        return self._source.randrange(limit)

    def choice(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return self._source.choice(items)

    def shuffle(self, items: MutableSequence[Item]) -> None:
        """Put the items in another order, in place."""
        self._source.shuffle(items)


class SystemRandomness(_Randomness):
    """The machine's entropy, fit for secrets."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(random.SystemRandom())

    def bytes(self, count: int) -> builtins.bytes:
        """Bytes from the operating system."""
        return os.urandom(count)


class SeededRandomness(_Randomness):
    """A repeatable sequence for tests and the simulator; never for secrets.

    Args:
        seed: Equal seeds give equal sequences.
    """

    __slots__ = ("seed",)

    def __init__(self, seed: int) -> None:
        super().__init__(random.Random(seed))
        self.seed = seed

    def bytes(self, count: int) -> builtins.bytes:
        """The next bytes of the sequence."""
        return self._source.randbytes(count)
