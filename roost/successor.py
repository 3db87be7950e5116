"""What goes and what stays in a database when its device, which is none any more, is followed by a new one.

Numbers belong to a device and its epoch, so all conversations count from 1 again. Of what is unsent the server may
have taken some under the old device, and nobody can ask any more: what would be shown twice is marked as failed, for
the person to judge; reactions and edits are dropped, for they would undo what was done since; deletions and what our
devices tell each other mean the same if they are said twice, and go out under the new device. Groups are asked for
anew, because changes were missed; so are our devices, and what they share. The key that signed goes: whoever is
linked is not the primary. Messages, marks, names, groups that were left, and what is believed of others are the
account's and not the device's, and stay.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from protocol import Code
from roost.content import Edit, Reaction, decode_content
from roost.group import Standing
from roost.rows import checked
from roost.schema import FAILED, OPERATION, PENDING, SHOWN

if TYPE_CHECKING:
    import sqlite3

__all__ = ["ASKED_FACT", "forget_device"]

ASKED_FACT: Final = "state_asked"
"""When this device last asked the others for what it lacks, in milliseconds since 1970; a new epoch forgets it."""
_OLD_FACTS: Final = ("devices", "epoch", "identity_seed", "signed_version", "static_key", ASKED_FACT)
_UNKNOWN: Final = (
    "This device was removed from its account before the server had confirmed this message, and was linked anew since. "
    "It may have arrived or not: ask, or write it again."
)


def forget_device(database: sqlite3.Connection) -> None:
    """Let go of what was the old device's; within a transaction."""
    database.executemany("DELETE FROM facts WHERE name = ?", [(name,) for name in _OLD_FACTS])
    database.execute(
        "UPDATE messages SET state = ?, number = 0, code = ?, sentence = ?,"
        " place = (SELECT c.place FROM conversations c WHERE c.id = messages.conversation)"
        " WHERE state = ? AND kind = ?",
        (FAILED, Code.DEVICE_REVOKED, _UNKNOWN, PENDING, SHOWN),
    )
    operations = database.execute(
        "SELECT id, payload FROM messages WHERE state = ? AND kind = ?", (PENDING, OPERATION)
    ).fetchall()
    overtaken = [it for it, said in checked(operations, list[tuple[int, bytes]]) if _stands_by_seq(said)]
    database.executemany("DELETE FROM messages WHERE id = ?", [(identifier,) for identifier in overtaken])
    database.execute("UPDATE conversations SET next_number = 1")
    rows = database.execute("SELECT id, conversation FROM messages WHERE state = ? ORDER BY id", (PENDING,)).fetchall()
    numbers: Counter[str] = Counter()
    for identifier, conversation in checked(rows, list[tuple[int, str]]):
        numbers[conversation] += 1
        database.execute("UPDATE messages SET number = ? WHERE id = ?", (numbers[conversation], identifier))
    database.executemany(
        "UPDATE conversations SET next_number = ? WHERE id = ?",
        [(last + 1, conversation) for conversation, last in numbers.items()],
    )
    database.execute("UPDATE known_groups SET version = 0 WHERE standing = ?", (Standing.MEMBER,))


def _stands_by_seq(payload: bytes) -> bool:
    """Whether the later one of two such counts, whichever was meant later."""
    return isinstance(decode_content(payload), Reaction | Edit)
