"""The bottom line: which keys there are; each can be clicked."""

from __future__ import annotations

from typing import Final, TypeAlias

from rich.style import Style
from rich.text import Text
from textual.widgets import Static

from roost.terminal.palette import FAINT, PRESENT

__all__ = ["KeyHelp", "Keys", "drawn_keys"]

Keys: TypeAlias = tuple[tuple[str, str, str], ...]
"""Each key, what it does in a word or two, and the action that a click carries out."""

_KEYS: Final[Keys] = (
    ("^N", "new chat", "app.new_chat"),
    ("Tab", "chats", "app.switch"),
    ("^P", "pick", "app.pick"),
    ("^T", "timer", "app.timer"),
    ("^O", "view once", "app.view_once"),
    ("^L", "devices", "app.devices"),
    ("^↑↓", "next chat", "app.neighbour(1)"),
    ("PgUp/Dn", "scroll", "app.page(-1)"),
    ("^J", "new line", "app.new_line"),
    ("^Q", "quit", "app.quit"),
)
_GROUP_KEYS: Final[Keys] = (*_KEYS[:3], ("^G", "group", "app.group"), *_KEYS[3:])
_LIST_KEYS: Final[Keys] = (
    ("Enter", "open", "app.switch"),
    ("a", "archive", "app.wish('archive')"),
    ("m", "mute", "app.wish('mute')"),
    ("n", "name", "app.wish('name')"),
    ("x", "archived", "app.show_archived"),
    ("^N", "new chat", "app.new_chat"),
    ("^Q", "quit", "app.quit"),
)
_PICKING_KEYS: Final[Keys] = (
    ("r", "reply", "app.ask('reply')"),
    ("t", "react", "app.ask('react')"),
    ("e", "edit", "app.ask('edit')"),
    ("d", "delete", "app.ask('delete')"),
    ("f", "forward", "app.ask('forward')"),
    ("i", "info", "app.ask('info')"),
    ("o", "open", "app.ask('open')"),
    ("↑↓", "choose", "app.pick"),
    ("Esc", "back", "app.retreat"),
)


class KeyHelp(Static):
    """What fits of the keys, the most needed first."""

    def __init__(self) -> None:
        super().__init__(markup=False, id="keys")
        self._keys = _KEYS

    def show(self, *, picking: bool, listing: bool, in_group: bool) -> None:
        """Show the keys for a picked message, for the list, for a group, or for a chat."""
        keys = _PICKING_KEYS if picking else _LIST_KEYS if listing else _GROUP_KEYS if in_group else _KEYS
        if keys is not self._keys:
            self._keys = keys
            self.on_resize()

    def on_resize(self) -> None:
        """Show as many keys as there is room for; how to leave is always among them."""
        room = self.size.width - 2
        *others, leave = (_drawn(*key) for key in self._keys)
        shown: list[Text] = []
        for entry in others:
            if sum(one.cell_len + 2 for one in (*shown, entry, leave)) - 2 > room:
                break
            shown.append(entry)
        self.update(Text("  ").join([*shown, leave]))


def _drawn(key: str, words: str, action: str) -> Text:
    click = Style.from_meta({"@click": action})
    return Text.assemble((key, Style.parse(f"bold {PRESENT}") + click), (f" {words}", Style.parse(FAINT) + click))


def drawn_keys(keys: Keys, width: int) -> Text:
    """Return all keys, on as many lines of a width as they need."""
    text = Text()
    room = 0
    for entry in (_drawn(*key) for key in keys):
        gap = "  " if room >= entry.cell_len + 2 else "\n" if text else ""
        room = (room if gap == "  " else width + 2) - entry.cell_len - 2
        text.append(gap).append_text(entry)
    return text
