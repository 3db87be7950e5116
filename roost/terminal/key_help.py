"""The bottom line: which keys there are; each can be clicked."""

from __future__ import annotations

from typing import Final

from rich.style import Style
from rich.text import Text
from textual.widgets import Static

from roost.terminal.palette import FAINT, PRESENT

__all__ = ["KeyHelp"]

_KEYS: Final = (
    ("^N", "new chat", "app.new_chat"),
    ("Tab", "chats", "app.switch"),
    ("^↑↓", "next chat", "app.neighbour(1)"),
    ("PgUp/Dn", "scroll", "app.page(-1)"),
    ("^J", "new line", "app.new_line"),
    ("^Q", "quit", "app.quit"),
)


class KeyHelp(Static):
    """What fits of the keys, the most needed first."""

    def __init__(self) -> None:
        super().__init__(markup=False, id="keys")

    def on_resize(self) -> None:
        """Show as many keys as there is room for; how to leave is always among them."""
        room = self.size.width - 2
        *others, leave = (_drawn(*key) for key in _KEYS)
        shown: list[Text] = []
        for entry in others:
            if sum(one.cell_len + 2 for one in (*shown, entry, leave)) - 2 > room:
                break
            shown.append(entry)
        self.update(Text("  ").join([*shown, leave]))


def _drawn(key: str, words: str, action: str) -> Text:
    click = Style.from_meta({"@click": action})
    return Text.assemble((key, Style.parse(f"bold {PRESENT}") + click), (f" {words}", Style.parse(FAINT) + click))
