"""Text from strangers, made safe and plain for a terminal.

A message may hold anything: escape sequences that rewrite the screen, direction overrides that make words read
differently, marks piled up by the hundred. None of that may leave the line it is shown on.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING, Final

from roost.content import Deleted, Deletion, Edit, Reaction, Text, TimerSet, UnknownContent, ViewOnce
from roost.events import DeviceAdded, DeviceNews, DeviceRemoved, DevicesForged
from roost.group import ChangeKind, GroupChange, Role
from roost.own_state import MessagesGone, Records, StateWanted

if TYPE_CHECKING:
    from roost.content import Content

__all__ = [
    "change_sentence", "clock_time", "date_and_time", "day_name", "device_sentence", "duration",
    "identity_sentence", "one_line", "plain", "shown", "timer_sentence",
]  # fmt: skip

_TAB_WIDTH: Final = 4
_MARKS_MAX: Final = 4
"""Combining marks kept on one character: enough for every script, not enough to climb over other lines."""
_REMOVED: Final = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS: Final = frozenset("\u200c\u200d")
_VARIATIONS: Final = frozenset("\ufe0e\ufe0f")
_BIDI_CONTROLS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def plain(text: str) -> str:
    """Return the text with line breaks kept and everything that could steer a terminal replaced."""
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = 0
    letter = False
    for character in text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " " * _TAB_WIDTH):
        category = unicodedata.category(character)
        if category in ("Mn", "Me"):
            marks += 1
            if marks > _MARKS_MAX or character in _VARIATIONS:
                continue
        elif category == "Cf" and character not in _BIDI_CONTROLS:
            if not (letter and character in _JOINERS):
                continue  # invisible; terminals disagree on its width, and on that of emoji it joins
        else:
            marks = 0
            letter = category[0] == "L"
        if character != "\n" and (category in _REMOVED or character in _BIDI_CONTROLS):
            character = "\N{REPLACEMENT CHARACTER}"
        shown.append(character)
    return "".join(shown)


def one_line(text: str) -> str:
    """Return the text on one line, for lists and titles."""
    return " ".join(plain(text).split())


def shown(content: Content) -> str:
    """Return what to show of a message's content."""
    match content:
        case Text(text) | Edit(_, text):
            return plain(text)
        case Deleted() | Deletion():
            return "This message was deleted."
        case ViewOnce(opened):
            return "Shown once, and opened." if opened else "A message to be shown once."
        case TimerSet(seconds):
            return timer_sentence(seconds)
        case Reaction(_, emoji):
            return one_line(emoji)
        case Records() | StateWanted() | MessagesGone():
            return ""
        case GroupChange():
            return change_sentence(content)
        case UnknownContent():
            return content.sentence


def change_sentence(change: GroupChange) -> str:
    """Return what somebody did to a group, to be read behind their address."""
    name, who = one_line(change.name), one_line(change.account)
    match change.kind:
        case ChangeKind.CREATED:
            return f"made the group {name}" + (", in which only admins write" if change.announcement else "")
        case ChangeKind.JOINED:
            return "joined"
        case ChangeKind.LEFT:
            return f"left; {who} is its owner now" if who else "left"
        case ChangeKind.REMOVED:
            return f"removed {who}"
        case ChangeKind.ROLE:
            return f"made {who} {_ROLES[change.role]}"
        case ChangeKind.RENAMED:
            return f"named the group {name}"
        case ChangeKind.ANNOUNCEMENT:
            return "lets only admins write" if change.announcement else "lets everybody write"
        case ChangeKind.INVITED:
            people = "1 person" if change.uses == 1 else f"{change.uses} people"
            return f"made an invite for {people}, until {date_and_time(change.expires_ms)}"
        case ChangeKind.INVITE_REVOKED:
            return "revoked an invite"
        case ChangeKind.DISSOLVED:
            return "dissolved the group"


_ROLES: Final = {Role.MEMBER: "a member", Role.ADMIN: "an admin", Role.OWNER: "an owner"}


def timer_sentence(seconds: int) -> str:
    """Return what a conversation's timer means."""
    if not seconds:
        return "Messages do not disappear any more."
    return f"Messages disappear {duration(seconds)} after they were read."


def duration(seconds: int) -> str:
    """Return a time as people say it, in the largest unit of which it is a whole number."""
    for unit, unit_s in (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count, rest = divmod(seconds, unit_s)
        if count and not rest:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def device_sentence(change: DeviceNews) -> str:
    """Return what to tell the person whose device it is, or is said to be."""
    if isinstance(change, DevicesForged):
        return f"Do not trust this server with your devices: {one_line(change.sentence)}"
    short, name, when = change.device.hex()[:8], one_line(change.name), date_and_time(change.time_ms)
    match change:
        case DeviceAdded():
            return (
                f"A new device of yours, {name} ({short}), was linked on {when}. "
                f"If that was not you: roost devices revoke {short}"
            )
        case DeviceRemoved():
            return f"Your device {name} ({short}) was removed; seen on {when}."


def identity_sentence(account: str) -> str:
    """Return what to tell a person whose partner's devices are signed by another identity than before."""
    return (
        f"The identity of {one_line(account)} has changed: the account was recovered on another device, or somebody "
        "takes its place. Ask them another way."
    )


def clock_time(time_ms: int) -> str:
    """Return a time of day in the computer's own time zone."""
    return f"{_local(time_ms):%H:%M}"


def date_and_time(time_ms: int) -> str:
    """Return a day and time in the computer's own time zone; "never" for 0."""
    return f"{_local(time_ms):%Y-%m-%d %H:%M}" if time_ms else "never"


def day_name(time_ms: int, now_ms: int) -> str:
    """Return a day as people say it."""
    day, today = _local(time_ms), _local(now_ms)
    days = (today.date() - day.date()).days
    if days == 0:
        return "Today"
    if days == 1:
        return "Yesterday"
    if 1 < days < 7:
        return f"{day:%A}"
    return f"{day.day} {day:%B %Y}"


def _local(time_ms: int) -> datetime:
    try:
        return datetime.fromtimestamp(time_ms / 1000).astimezone()
    except (OverflowError, OSError, ValueError):
        return datetime.fromtimestamp(0).astimezone()
