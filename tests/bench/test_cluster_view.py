from __future__ import annotations

import io

from rich.console import Console

from bench.cluster_view import HostSight, Sight, View, status, table
from bench.ledger import Counts


def rows(*nodes: str, epoch: int = 1, away: str = "") -> list[dict[str, object]]:
    """What a host says of the shards: the first is at the first node, and so on."""
    return [
        {"shard": shard, "node": node, "epoch": epoch, "due": node, "state": "away" if node == away else "up"}
        for shard, node in enumerate(nodes)
    ]


def sight(elapsed_s: float = 9.0) -> Sight:
    """Host b is dead, and one of its shards has moved to a just before, of which only a knows."""
    hosts = [
        HostSight("a", "up", [*rows("a", away="b"), *rows("a", "a", epoch=2)[1:]], 3, 4),
        HostSight("b", "killed", [], 0, 4),
        HostSight("c", "up", rows("a", "b", "b", "c", away="b"), 4, 4),
    ]
    return Sight(elapsed_s, hosts, Counts(1_200, 1_150, 50, 0, 0), 480.0, 1, 1)


def printed(console: Console) -> str:
    """What was written to a console."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_line_says_how_each_host_is_and_the_newest_word_on_who_has_what() -> None:
    assert status(sight()) == (
        "a up with 2 shards, b killed with 1 shards, c up with 1 shards; 480 a second; "
        "accepted 1200, on their way 50, shown twice 0, out of order 0"
    )


def test_the_table_fits_a_terminal_and_shows_who_sees_whom() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(table(sight()))
    lines = printed(console).splitlines()
    assert max(map(len, lines)) <= 80
    assert "1,200 accepted, 480 a second" in lines[0]
    c = next(line for line in lines if line.startswith("│ c"))
    assert [cell.strip() for cell in c.strip("│").split("│")] == ["c", "up", "1", "▪", "a", "4/4"]


def test_without_a_terminal_there_is_a_line_when_nothing_was_said_for_a_while() -> None:
    console = Console(file=io.StringIO(), width=80, soft_wrap=True)
    with View(console) as view:
        view.say(1.0, "They begin [here].")
        view.show(sight(2.9))
        view.show(sight(3.0))
        view.show(sight(3.2))
    assert printed(console).splitlines() == ["  1.00 s  They begin [here].", f"  3.00 s  {status(sight())}"]


def test_on_a_terminal_the_table_is_drawn_again_below_what_is_said() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with View(console) as view:
        view.show(sight())
        view.say(1.0, "They begin.")
        view.show(sight())
    text = printed(console)
    assert text.count("1,200 accepted") >= 2
    assert text.index("They begin.") < text.rindex("1,200 accepted")
