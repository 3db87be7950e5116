"""The `roost` command: reads the arguments, runs one command, and turns errors into sentences.

Exit codes: 0 done; 1 it did not work, and a sentence on standard error says why; 2 the arguments are wrong;
130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from roost.address import SERVER_DEFAULT
from roost.commands import accounts, devices, groups, messages, people
from roost.errors import RoostError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any, TypeAlias

    Run: TypeAlias = Callable[[argparse.Namespace], Coroutine[Any, Any, None]]

__all__ = ["main"]

_GROUP_WORDS: Final = {
    "GROUP": "its name, or its id in quotes",
    "INVITE": "its link, or the beginning of its id as `roost group info` shows it",
    "LINK": "what `roost group invite` has printed",
    "NAME": "1 to 100 visible characters",
    "WHO": "an address",
}
_AUDIENCES: Final = ("everyone", "contacts", "nobody")
_EPILOG: Final = "Accounts lie in $ROOST_HOME, or else ~/.local/share/roost. Exit codes: 0 done, 1 failed, 2 usage."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the entry point of `roost` and of ``python -m roost``.

    Args:
        arguments: the words after the command; None for those of the process.

    Returns:
        The exit code.
    """
    parser = _parser()
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(2)
    parsed = parser.parse_args(words)
    try:
        if parsed.run is None:
            return _chat(parsed)
        asyncio.run(_interruptible(parsed.run(parsed)))
    except RoostError as error:
        print(f"roost: {error.sentence}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    except BrokenPipeError:
        # The reader of our output has left, as `head` does; nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0


async def _interruptible(command: Coroutine[Any, Any, None]) -> None:
    """Run a command so that Ctrl-C wakes the loop wherever it waits.

    asyncio's own handler does not: a signal that comes just before the loop begins to wait is seen at its next event.
    """
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
    await command


def _chat(arguments: argparse.Namespace) -> int:
    # Imported here because it is slow: the other commands start three times as fast without it.
    from roost.terminal import run_terminal

    return run_terminal(arguments.account, arguments.server, arguments.to)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="roost", description="Talk through a Roost server.", epilog=_EPILOG)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_registration(commands)
    _add_messages(commands)
    _add_account(commands)
    _add_people(commands)
    _add_groups(commands)
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: Run | None, help_text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help_text, description=help_text)
    parser.set_defaults(run=run)
    parser.add_argument("--account", metavar="ADDRESS", help="which account; needed only if there are several")
    parser.add_argument("--server", metavar="HOST:PORT", help="which server; needed only if there are several")
    return parser


def _add_registration(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("link", help="make this computer a further device of an account, by a code")
    parser.set_defaults(run=devices.link)
    parser.add_argument("--server", metavar="HOST:PORT", default=SERVER_DEFAULT, help="default: %(default)s")
    parser.add_argument("--device-name", metavar="NAME", help="the name of this device; default: the computer's")
    parser.add_argument(
        "--server-key",
        metavar="HEX",
        help="the server's public key; default: trusted at first sight",
    )
    parser = commands.add_parser("register", help="register an address, with this computer as its primary device")
    parser.set_defaults(run=accounts.register)
    parser.add_argument("address", metavar="ADDRESS", help="such as alice, or alice@example.org")
    parser.add_argument("--server", metavar="HOST:PORT", default=SERVER_DEFAULT, help="default: %(default)s")
    parser.add_argument("--name", help="the name that others see; default: the address")
    parser.add_argument("--device-name", metavar="NAME", help="the name of this device; default: the computer's")
    parser.add_argument("--recover", action="store_true", help="the primary is lost: replace all devices by this one")
    parser.add_argument("--code", help="the verification code, if you have one; else it is asked for")
    parser.add_argument("--server-key", metavar="HEX", help="the server's public key; default: trusted at first sight")


def _add_messages(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    chat = _add(commands, "chat", None, "open the terminal client")
    chat.add_argument("to", metavar="WITH", nargs="?", help="open the chat with this address or '#group'")
    send = _add(commands, "send", messages.send, "send one message and wait for its ✓")
    send.add_argument("to", metavar="TO", help="an address, or '#' and a group's name or id")
    send.add_argument("text", metavar="TEXT", help="what to say; - reads it from standard input")
    send.add_argument("--wait", choices=("none", "sent", "delivered", "read"), default="sent", help="how far to wait")
    send.add_argument("--timeout", dest="timeout_s", metavar="SECONDS", type=_seconds, default=30.0)
    send.add_argument("--ttl", dest="ttl_s", metavar="SECONDS", type=_whole, default=0, help="need not arrive later")
    send.add_argument("--patient", action="store_true", help="a device in the background need not be woken for it")
    send.add_argument("--json", action="store_true", help="print one JSON object")
    listen = _add(commands, "listen", messages.listen, "print messages as they come, each once")
    listen.add_argument("--json", action="store_true", help="one JSON object a line")
    listen.add_argument("--count", metavar="N", type=_whole, help="leave after N messages")
    history = _add(commands, "history", messages.history, "print the latest messages with somebody")
    history.add_argument("to", metavar="WITH", help="an address, or '#' and a group's name or id")
    history.add_argument("--limit", metavar="N", type=_whole, default=50, help="how many; default: %(default)s")
    history.add_argument("--json", action="store_true", help="one JSON object a line")


def _add_account(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _add(commands, "accounts", accounts.accounts, "list the accounts of this computer")
    listed = _add(commands, "devices", devices.devices, "list the account's devices; link, revoke or rename one")
    listed.add_argument("action", nargs="?", choices=("list", "link", "revoke", "rename", "of"), help="default: list")
    listed.add_argument("what", nargs="*", help="link CODE; revoke ID; rename ID NAME; of ADDRESS")
    listed.add_argument("--yes", action="store_true", help="link without a question")
    listed.add_argument("--remove", metavar="ID", help="the same as revoke ID")
    settings = _add(commands, "settings", accounts.settings, "show the account's settings, or change some")
    settings.add_argument("--name", help="the name that others see")
    settings.add_argument("--read-receipts", choices=("on", "off"))
    settings.add_argument("--last-seen", choices=_AUDIENCES)
    settings.add_argument("--online", choices=_AUDIENCES)
    _add(commands, "limits", accounts.limits, "show what is left of the account's rate limits")


def _add_people(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    for name, run, help_text in (
        ("block", people.block, "refuse everything from somebody"),
        ("unblock", people.unblock, "refuse somebody no longer"),
        ("contact", people.contact, "make somebody a contact, or only call them something"),
    ):
        parser = _add(commands, name, run, help_text)
        parser.add_argument("who", metavar="WHO", help="an address")
    parser.add_argument("--name", help="call them so, on your devices alone, and do nothing else; empty: no name")
    _add(commands, "contacts", people.contacts, "list contacts, blocked accounts, and the names that you gave")


def _add_groups(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    group = _add(commands, "group", groups.list_groups, "list the account's groups, or do something with one")
    actions = group.add_subparsers(metavar="ACTION", title="actions")

    def add(name: str, run: Run, help_text: str, *positional: str) -> argparse.ArgumentParser:
        parser = actions.add_parser(name, help=help_text, description=help_text)
        parser.set_defaults(run=run)
        # Suppressed defaults: what stands before the action counts, too.
        for option, shown in (("--account", "ADDRESS"), ("--server", "HOST:PORT")):
            parser.add_argument(
                option, metavar=shown, default=argparse.SUPPRESS, help=f"as with `roost group {option}`"
            )
        for word in positional:
            parser.add_argument(word.lower(), metavar=word, help=_GROUP_WORDS[word])
        return parser

    add("list", groups.list_groups, "list the account's groups")
    created = add("create", groups.create, "make a group", "NAME")
    created.add_argument("--announcement", action="store_true", help="only its admins write")
    add("info", groups.info, "show a group and its members", "GROUP")
    invited = add("invite", groups.invite, "make a link that lets people in", "GROUP")
    invited.add_argument("--uses", metavar="N", type=_whole, default=1, help="how many people; default: %(default)s")
    invited.add_argument("--hours", metavar="N", type=_whole, default=168, help="how long; default: %(default)s")
    add("revoke", groups.revoke, "let an invite be good for nothing any more", "GROUP", "INVITE")
    add("join", groups.join, "become a member by a link", "LINK")
    add("leave", groups.leave, "leave a group", "GROUP")
    add("remove", groups.remove, "remove a member", "GROUP", "WHO")
    roles = add("role", groups.role, "say what a member may do", "GROUP", "WHO")
    roles.add_argument("role", choices=("member", "admin", "owner"))
    add("rename", groups.rename, "call a group something else", "GROUP", "NAME")
    announced = add("announce", groups.announce, "let only admins write, or everybody", "GROUP")
    announced.add_argument("switch", choices=("on", "off"))
    dissolved = add("dissolve", groups.dissolve, "end a group for everybody", "GROUP")
    dissolved.add_argument("--yes", action="store_true", help="without a question")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise ValueError
    return value


def _whole(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**31:
        raise ValueError
    return value


_seconds.__name__ = "number of seconds"
_whole.__name__ = "whole number"
