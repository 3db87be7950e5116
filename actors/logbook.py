"""What a node says about itself: structured log lines, and the runtime's hooks into them.

Never content, never a secret: an exception is logged by its type and its frames, not by its text.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

import structlog

from runtime import Hooks
from storage import StorageError

if TYPE_CHECKING:
    from runtime import Actor, Message, Pid

__all__ = ["configure", "hooks"]


def configure(level: str, style: str) -> Any:
    """Set logging up and return the node's logger.

    Args:
        level: The least important lines to print: debug, info, warning or error.
        style: console, json, or auto (console on a terminal).
    """
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),  # a line is one write: several processes share it
    )
    return structlog.get_logger()


def hooks(log: Any) -> Hooks:
    """The runtime's hooks: a crash is an error line with its frames; a full mailbox is a warning."""

    def crashed(pid: Pid, actor: Actor, exception: BaseException) -> None:
        frames = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(exception.__traceback__)
        ]
        # A storage error is fields of ours, without content: it names what is damaged and what to do.
        why = {"why": str(exception)} if isinstance(exception, StorageError) else {}
        log.error(
            "actor_crashed", pid=str(pid), actor=type(actor).__name__, error=type(exception).__name__, **why, at=frames
        )

    def refused(pid: Pid, message: Message) -> None:
        log.warning("mailbox_full", pid=str(pid), message=type(message).__name__)

    return Hooks(crashed=crashed, refused=refused)
