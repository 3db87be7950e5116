"""The colours, named for what they mean. Calm on a dark ground, and legible in 256 colours over ssh."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

__all__ = ["FAILED", "FAINT", "PRESENT", "READ", "SPEAKERS", "THEME", "TYPING", "UNREAD", "WARNING"]

FAINT: Final = "#7d8791"
READ: Final = "#5cb8ea"
PRESENT: Final = "#7fc29b"
TYPING: Final = "#7fc29b"
UNREAD: Final = "#10161a on #7fc29b"
FAILED: Final = "#e2777a"
WARNING: Final = "#c9a86a"
SPEAKERS: Final = ("#8ab4d8", "#c9a86a", "#b39ad6", "#d98f7a", "#8fc7c0", "#d490b4", "#a9bf7a")
"""Those who write in a group, told apart on the ground of their messages."""

THEME: Final = Theme(
    name="roost",
    primary="#7fc29b",
    secondary="#5cb8ea",
    accent="#c9a86a",
    foreground="#dbe2e6",
    background="#10161a",
    surface="#151c21",
    panel="#1d262c",
    success="#7fc29b",
    warning="#c9a86a",
    error="#e2777a",
    dark=True,
    variables={
        "own-bubble": "#21433a",
        "other-bubble": "#222c34",
        "footer-background": "#10161a",
        "footer-key-foreground": "#7fc29b",
        "footer-description-foreground": "#7d8791",
        "input-selection-background": "#2f5d50",
        "block-cursor-background": "#1f2d2c",
        "block-cursor-foreground": "#dbe2e6",
        "block-cursor-blurred-background": "#1b2428",
        "scrollbar": "#28333a",
        "scrollbar-hover": "#36444c",
        "scrollbar-active": "#7fc29b",
        "scrollbar-background": "#10161a",
        "scrollbar-background-hover": "#10161a",
        "scrollbar-background-active": "#10161a",
    },
)
