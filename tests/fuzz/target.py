"""What a fuzz target is: a decoder that strangers or a broken disk can feed, and what it promises all the same.

A target takes bytes and returns None. It raises only where a promise is broken: an exception that is not documented, a
value that does not come back, memory out of all proportion to the input, a wait that nobody ends.
"""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS: Final = Path(__file__).parent / "corpus"
ALLOCATED_BYTES_MAX: Final = 1 << 20
ALLOCATED_PER_BYTE_MAX: Final = 512
"""A byte of MessagePack can be an empty map, which Python keeps in 64 bytes and a place in a list; decoded, re-encoded
and compared, that is some hundreds of bytes. A length that lies costs millions."""


SENTENCE_LENGTH_MAX: Final = 1_024


def check_sentence(sentence: str) -> None:
    """Hold an error to saying something, and to not saying all of a stranger's input back.

    Raises:
        AssertionError: A finding.
    """
    assert 0 < len(sentence) <= SENTENCE_LENGTH_MAX, f"a sentence of {len(sentence)} characters"


@dataclass(frozen=True, slots=True)
class Target:
    """A decoder under test.

    Attributes:
        name: Of the target and of its folder in the corpus.
        run: Raises if the bytes make it break a promise.
        promise: What it may answer.
    """

    name: str
    run: Callable[[bytes], None]
    promise: str

    def check(self, data: bytes) -> None:
        """Run, and hold the target to its memory as well.

        Raises:
            Exception: A finding.
        """
        tracemalloc.start()
        try:
            self.run(data)
            allocated_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        allowed_bytes = ALLOCATED_BYTES_MAX + ALLOCATED_PER_BYTE_MAX * len(data)
        assert allocated_bytes <= allowed_bytes, f"{len(data)} bytes made it allocate {allocated_bytes}"

    def corpus(self) -> list[Path]:
        """The committed inputs: seeds, and everything that was ever found."""
        return sorted(path for path in (CORPUS / self.name).iterdir() if path.is_file())
