"""What a group lets us do, in words: why nothing can be written, and who else is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from roost.group import Standing

if TYPE_CHECKING:
    from roost.group import Group

__all__ = ["company_words", "why_silent"]

_ENDED: Final = {
    Standing.LEFT: "You have left this group.",
    Standing.REMOVED: "You were removed from this group.",
    Standing.DISSOLVED: "This group was dissolved.",
}


def why_silent(group: Group | None) -> str:
    """Return why nothing can be written to a conversation, in the room of a narrow window; empty if it can."""
    if group is None or group.may_write:
        return ""
    return _ENDED.get(group.standing, "Only admins write in this group.")


def company_words(group: Group, members: int, onlookers: int) -> str:
    """Return how many belong to a group, and how many others have it open."""
    if not group.is_open:
        return {Standing.REMOVED: "removed", Standing.DISSOLVED: "dissolved"}.get(group.standing, "left")
    words = f"{members:,} member{'' if members == 1 else 's'}" if members else ""
    return f"{words}, {onlookers} {'has' if onlookers == 1 else 'have'} it open" if onlookers else words
