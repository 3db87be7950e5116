"""How far a message of ours has come: a sign, and in a group to how many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.history import MessageState
from roost.terminal.palette import FAILED, FAINT, READ

if TYPE_CHECKING:
    from roost.history import StoredMessage

__all__ = ["counts", "tick"]


def tick(state: MessageState) -> tuple[str, str]:
    """Return the sign of a message's state and its style; empty for what others wrote."""
    match state:
        case MessageState.PENDING:
            return "◷", FAINT
        case MessageState.SENT:
            return "✓", FAINT
        case MessageState.DELIVERED:
            return "✓✓", FAINT
        case MessageState.READ:
            return "✓✓", READ
        case MessageState.FAILED:
            return "!", f"bold {FAILED}"
        case MessageState.RECEIVED:
            return "", ""


def counts(message: StoredMessage) -> str:
    """Return what the sign of a message in a group does not say: how many it has reached, and who of them read it."""
    progress = message.progress
    if progress is None or message.state not in (MessageState.SENT, MessageState.DELIVERED):
        return ""
    delivered = progress.delivered if message.state is MessageState.SENT else 0
    parts = [f"{delivered}/{progress.members}"] if delivered else []
    parts += [f"read {progress.read}/{progress.members}"] if progress.read else []
    return ", ".join(parts)
