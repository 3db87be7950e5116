"""Who shares whose fate, and who is started again: the decisions of a supervisor, as functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime import Reason

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
Child = TypeVar("Child")


def wants_restart(restart: Restart, reason: Reason) -> bool:
    """Whether a child that ended so is started again.

    Args:
        restart: Permanent: always. Transient: unless it ended normally or by a shutdown. Temporary: never.
        reason: Why it ended.
    """
    return restart == "permanent" or (restart == "transient" and not reason.is_normal)


def fate(strategy: Strategy, children: Sequence[Child], failed: Child) -> Sequence[Child]:
    """Which children are stopped (from the right) and started again (from the left) when one has failed.

    Args:
        strategy: one_for_one: the failed one; rest_for_one: it and those started after it; one_for_all: all.
        children: All of them, in start order.
        failed: The one that ended.
    """
    if strategy == "one_for_all":
        return children
    index = children.index(failed)
    return children[index:] if strategy == "rest_for_one" else children[index : index + 1]
