"""A real node for the stories of a module, and fresh people for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.live_node import LiveNode
from tests.stories.town import Town

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    """A node with the module's SETTINGS; no actor of it may crash in any story."""
    settings = getattr(request.module, "SETTINGS", {})
    with LiveNode(tmp_path_factory.mktemp("node"), settings) as node:
        yield node
        assert node.crashes == []


@pytest.fixture
def town(node: LiveNode, tmp_path: Path) -> Town:
    """Fresh people on the module's node."""
    return Town(node, tmp_path)
