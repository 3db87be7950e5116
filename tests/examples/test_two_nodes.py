"""The example of docs/distribution.md, as its reader runs it: two processes, one of them killed and started again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.architecture.house import ROOT

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from pathlib import Path

EXAMPLE = ROOT / "examples" / "two_nodes.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def fresh_key() -> tuple[str, str]:
    words = subprocess.run(
        [sys.executable, str(EXAMPLE), "key"], capture_output=True, text=True, check=True, env=ENVIRONMENT
    ).stdout.split()
    return words[1], words[3]


async def start(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE), *arguments, stdout=asyncio.subprocess.PIPE, env=ENVIRONMENT
    )


async def until(process: Process, words: str) -> None:
    """Read its output as far as these words."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while words not in (await process.stdout.readline()).decode():
            assert process.returncode is None


@pytest.mark.crash
def test_the_reader_asks_the_clock_hears_of_its_end_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    async def play() -> None:
        (clock_private, clock_public), (reader_private, reader_public) = fresh_key(), fresh_key()
        at_clock, at_reader = f"unix:{tmp_path}/clock", f"unix:{tmp_path}/reader"
        as_clock = ("clock", at_clock, clock_private, "reader", at_reader, reader_public)
        clock = await start(*as_clock)
        reader = await start("reader", at_reader, reader_private, "clock", at_clock, clock_public)
        try:
            await until(reader, "the clock of clock shows")
            clock.kill()
            await clock.wait()
            await until(reader, "the clock is gone: nodedown")
            clock = await start(*as_clock)
            await until(reader, "the clock of clock shows")
        finally:
            for process in (clock, reader):
                process.kill()
                await process.wait()

    asyncio.run(play())
