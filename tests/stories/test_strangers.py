"""What a network address may find out and take up without an account, with this host counted like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from protocol import AccountId, Code
from protocol.messages import Error, Login
from tests.stories.town import story

if TYPE_CHECKING:
    from tests.stories.town import Town

SETTINGS = {"limits": {"loopback_exempt": False}, "rates": {"lookups_burst": 3, "lookups_per_minute": 1}}
pytestmark = pytest.mark.slow


@story
async def test_failed_logins_tell_a_network_no_more_than_look_ups_would(town: Town) -> None:
    for number in range(3):
        async with town.stranger() as stranger:
            error = await stranger.ask(Login(AccountId(town.address(f"guess{number}")), stranger.epoch), Error)
            assert error.code == Code.ACCOUNT_UNKNOWN
    async with town.stranger() as stranger:  # with a key of its own, as those before
        stranger.say(Login(AccountId(town.address("guess3")), stranger.epoch))
        closing = await stranger.last_words()
        assert closing.code == Code.RATE_LIMITED
        assert 0 < closing.retry_after_ms <= 60_001
