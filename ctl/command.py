"""The `roostctl` command: reads the arguments, and runs one command.

Exit codes: 0 all is well; 1 it is not, or it did not work, and what was printed says why; 2 the arguments are wrong;
130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from config import ConfigError
from ctl.control import NotAnsweredError
from ctl.node_key import node_key
from ctl.nodes import nodes
from ctl.real import verify_real
from ctl.shards import move_shards, shards
from ctl.verify import verify
from gateway import StartRefusedError
from protocol.ids import SHARDS
from simulation import Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

SEEDS_DEFAULT: Final = 1_000
ROUNDS_DEFAULT: Final = 100
COUNT_MAX: Final = 1_000_000_000
JOBS_MAX: Final = 1_024
_EPILOG: Final = "Exit codes: 0 all is well, 1 it is not, 2 usage, 130 interrupted."


def main(arguments: Sequence[str] | None = None, scenario: Scenario = Scenario()) -> int:  # noqa: B008  # immutable
    """Run the command line; the entry point of `roostctl` and of ``python -m ctl``.

    Args:
        arguments: The words after the command; None for those of the process.
        scenario: What is simulated; the tests of this command give one with a fault.

    Returns:
        The exit code.
    """
    parser = _parser()
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        parser.print_help(sys.stderr)
        return 2
    chosen = parser.parse_args(words)
    try:
        return _verify(chosen, scenario) if chosen.asked is None else chosen.asked(chosen)
    except KeyboardInterrupt:
        return 130
    except (ConfigError, NotAnsweredError, StartRefusedError) as error:
        print(f"roostctl: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has left, as `head` does; nothing more may be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _verify(chosen: argparse.Namespace, scenario: Scenario) -> int:
    of_the_other = ("--seeds", "--from", "--jobs") if chosen.real else ("--rounds", "--seed")
    values = {
        "--seeds": chosen.seeds,
        "--from": chosen.first,
        "--jobs": chosen.jobs,
        "--rounds": chosen.rounds,
        "--seed": chosen.seed,
    }
    for name in of_the_other:
        if values[name] is not None:
            kind = "a simulation: leave --real out" if chosen.real else "a real node: add --real"
            chosen.parser.error(f"{name} belongs to {kind}, or leave out {name}.")
    if chosen.real:
        return verify_real(chosen.rounds or ROUNDS_DEFAULT, chosen.seed)
    return verify(
        chosen.first if chosen.first is not None else 1, chosen.seeds or SEEDS_DEFAULT, chosen.jobs or 0, scenario
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="roostctl", description="Look after a Roost server.", epilog=_EPILOG)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    text = "prove on this machine that what Roost accepts is delivered, once and in order, whatever goes wrong"
    it = commands.add_parser("verify", help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=_EPILOG)
    it.set_defaults(parser=it, asked=None)
    it.add_argument("--seeds", metavar="N", type=_count, help=f"how many simulated worlds; default: {SEEDS_DEFAULT}")
    it.add_argument("--from", dest="first", metavar="N", type=_seed, help="the first seed, or random; default: 1")
    it.add_argument("--jobs", metavar="N", type=_jobs, help="how many at once; default: one a processor")
    it.add_argument("--real", action="store_true", help="a real node on this disk, killed at random, instead")
    it.add_argument(
        "--rounds", metavar="N", type=_count, help=f"with --real: how many kills; default: {ROUNDS_DEFAULT}"
    )
    it.add_argument("--seed", metavar="N", type=_seed, help="with --real: of an earlier run; default: random")
    for name, asked, text in (
        ("node-key", node_key, "make the key of this host if it has none, and print its entry of the cluster"),
        ("nodes", nodes, "tell which nodes of the cluster are up, as the node of this host sees them"),
        ("shards", shards, "tell which node has which shard, as the node of this host knows it"),
    ):
        it = _about_a_node(commands, name, text)
        it.set_defaults(asked=lambda chosen, asked=asked: asked(chosen.config))
    text = "hand shards over to another node, one after the other, while people chat"
    it = _about_a_node(commands, "move-shard", text)
    it.set_defaults(asked=_move_shards)
    it.add_argument("shards", metavar="SHARD", nargs="*", type=_shard, help="which, by number")
    it.add_argument("--to", metavar="NODE", help="the node that is to have them; default: the one that each is due to")
    it.add_argument("--all", action="store_true", help="all that are not where they are due, as after adding a host")
    return parser


def _about_a_node(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    it: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=_EPILOG
    )
    it.set_defaults(parser=it)
    it.add_argument("--config", type=Path, help="the settings file of the host; default: cluster.toml here")
    return it


def _move_shards(chosen: argparse.Namespace) -> int:
    if chosen.all == bool(chosen.shards):
        chosen.parser.error("name the shards that are to move, or say --all, and not both.")
    if chosen.all and chosen.to:
        chosen.parser.error("--all moves each shard to the node that it is due to: leave --to out.")
    return move_shards(chosen.config, chosen.shards, chosen.to)


def _shard(text: str) -> int:
    if not text.isdecimal() or int(text) >= SHARDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no shard: give a number from 0 to {SHARDS - 1}.")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= COUNT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no such number: give a whole one from 1 to {COUNT_MAX}.")
    return int(text)


def _seed(text: str) -> int:
    if text == "random":
        return random.SystemRandom().getrandbits(40)
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f'{text!r} is no seed: give a whole number from 0 on, or "random".')
    return int(text)


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= JOBS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs at once: give one from 1 to {JOBS_MAX}.")
    return int(text)
