"""A bar where somebody watches, lines where nobody does."""

from __future__ import annotations

import io

from rich.console import Console

from ctl.progress import Advance


def test_on_a_terminal_a_bar_says_how_far_it_is() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    with Advance("seeds", 8, console) as advance:
        advance.at(3, "accepted 1500")
    assert "3/8" in screen.getvalue()
    assert "accepted 1500" in screen.getvalue()


def test_elsewhere_there_is_no_bar_and_not_a_line_for_each_step() -> None:
    screen = io.StringIO()
    with Advance("seeds", 8, Console(file=screen, force_terminal=False)) as advance:
        for count in range(8):
            advance.at(count, "accepted 1500")
    assert screen.getvalue() == ""
