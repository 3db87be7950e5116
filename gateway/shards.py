"""Who has which shard, and the handing over of one, for `roostctl shards` and `roostctl move-shard`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.placement.api import PLACEMENT, ListShards, MoveCode, Moved, MoveRefused, MoveShard, ShardList, ShardPlace
from gateway.control import ControlError, Route
from protocol.ids import SHARDS
from runtime import Named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime import Runtime

__all__ = ["shard_routes", "wanted_move"]

NUMBER_LENGTH_MAX: Final = 20
"""Python refuses to read a number of some thousand digits."""
MOVE_S_MAX: Final = 600.0
_NAMES: Final = {int(code): code.name for code in MoveCode}


def shard_routes(runtime: Runtime) -> list[Route]:
    """`GET /shards`, and `POST /shards/{number}/move` with `{"to": node}`, which answers when the shard has moved.

    Args:
        runtime: The node's.
    """

    async def shards(parts: Mapping[str, str], body: Mapping[str, Any]) -> object:
        return [place._asdict() for place in await _places(runtime)]

    async def move(parts: Mapping[str, str], body: Mapping[str, Any]) -> object:
        shard, to = wanted_move(parts, body)
        holder = (await _places(runtime))[shard].node
        if not holder:
            raise ControlError(409, f"nobody has shard {shard} yet: start the nodes of the cluster that are missing")
        there = Named(holder, PLACEMENT)
        answer = await runtime.ask(there, MoveShard(shard, to), MOVE_S_MAX)
        if isinstance(answer, MoveRefused):
            raise ControlError(409, answer.sentence, _code(answer.code))
        assert isinstance(answer, Moved), "there is no other answer"
        return {
            "shard": answer.shard,
            "from": holder,
            "to": answer.to,
            "rows": answer.rows,
            "size_bytes": answer.size_bytes,
            "still_s": round(answer.still_s, 3),
        }

    return [Route("GET", "/shards", shards), Route("POST", "/shards/{number}/move", move)]


def wanted_move(parts: Mapping[str, str], body: Mapping[str, Any]) -> tuple[int, str]:
    """Which shard a request wants to move, and to which node.

    Raises:
        ControlError: There is no such shard, or no node is named.
    """
    number, to = parts["number"], body.get("to")
    if not number.isdecimal() or len(number) > NUMBER_LENGTH_MAX or int(number) >= SHARDS:
        shown = number[:NUMBER_LENGTH_MAX]
        raise ControlError(404, f"there is no shard {shown}; they are numbered from 0 to {SHARDS - 1}")
    if not isinstance(to, str) or not to:
        raise ControlError(400, 'the body has to name the node that is to have the shard, as {"to": "b"}')
    return int(number), to


def _code(number: int) -> str:
    """A code as people and programs read it: its number, which never changes, and its name, where it is known."""
    return f"{number} {_NAMES.get(number, '')}".strip()


async def _places(runtime: Runtime) -> list[ShardPlace]:
    """Who has what, as this node knows it."""
    placement = runtime.whereis(PLACEMENT)
    if placement is None:
        return [ShardPlace(shard, runtime.node, 1, runtime.node, "up") for shard in range(SHARDS)]
    answer = await runtime.ask(placement, ListShards())
    if not isinstance(answer, ShardList):
        raise ControlError(409, "this node starts; ask again in a moment")
    return answer.shards
