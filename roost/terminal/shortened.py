"""Words cut to the room that there is."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

__all__ = ["shortened"]


def shortened(text: str, width: int) -> str:
    """Return one line of at most `width` cells, ending in … where something is left out."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - 1)).rstrip() + "…"
