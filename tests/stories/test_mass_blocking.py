"""What whoever runs a node sees when many block one account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stories.town import story

if TYPE_CHECKING:
    from tests.stories.town import Town

SETTINGS = {"limits": {"mass_block_accounts_min": 3}}
pytestmark = pytest.mark.slow


@story
async def test_the_log_warns_when_many_have_blocked_one_account_even_over_a_restart(town: Town) -> None:
    mallory = town.address("mallory")
    await town.register("mallory")
    await town.register("carol")
    async with town.people("alice", "bob") as [alice, bob]:
        for _ in range(2):  # whoever blocks again counts once
            await alice.block(mallory)
            await alice.unblock(mallory)
        await bob.block(mallory)
    assert "mass_blocked" not in town.node.output
    assert town.node.terminate() == 0
    town.node.start()
    async with town.connect("carol") as carol:
        await carol.wait_online()
        await carol.block(mallory)
    warning = town.node.wait_line(r'.*"mass_blocked".*')[0]
    assert f'"account": "{mallory}"' in warning
    assert '"by_accounts": 3' in warning
    assert '"level": "warning"' in warning
    assert all(town.address(name) not in warning for name in ("alice", "bob", "carol"))
