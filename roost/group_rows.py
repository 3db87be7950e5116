"""Groups, their members and invites as rows, changed in the transaction that stores the message of the change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.group import ChangeKind, Group, GroupDetails, GroupInvite, GroupMember, Role, Standing
from roost.rows import GroupInviteRow, GroupMemberRow, GroupRow, checked

if TYPE_CHECKING:
    import sqlite3

    from protocol import AccountId
    from protocol.messages import Change
    from roost.changes import GroupFolded, GroupKnown

__all__ = ["all_groups", "details_of", "fold", "keep"]

_COLUMNS = "conversation, name, announcement, version, seq, standing, role"


def all_groups(database: sqlite3.Connection) -> list[Group]:
    """Return every group that this device knows."""
    rows = database.execute(f"SELECT {_COLUMNS} FROM known_groups ORDER BY conversation").fetchall()
    return [_group(row) for row in checked(rows, list[GroupRow])]


def _group(row: GroupRow) -> Group:
    conversation, name, announcement, version, seq, standing, role = row
    return Group(conversation, name, bool(announcement), version, seq, standing, role)


def details_of(database: sqlite3.Connection, conversation: str) -> GroupDetails | None:
    """Return a group with its members and invites; None if it is not known."""
    row = database.execute(f"SELECT {_COLUMNS} FROM known_groups WHERE conversation = ?", (conversation,)).fetchone()
    if row is None:
        return None
    members = database.execute(
        "SELECT account, role, joined_seq FROM group_members WHERE conversation = ? ORDER BY account", (conversation,)
    ).fetchall()
    invites = database.execute(
        "SELECT invite, account, expires_ms, uses_left FROM group_invites WHERE conversation = ?"
        " ORDER BY expires_ms, invite",
        (conversation,),
    ).fetchall()
    return GroupDetails(
        _group(checked(row, GroupRow)),
        tuple(GroupMember(*one) for one in checked(members, list[GroupMemberRow])),
        tuple(GroupInvite(*one) for one in checked(invites, list[GroupInviteRow])),
    )


def keep(database: sqlite3.Connection, change: GroupKnown) -> None:
    """Keep what the server tells of a group in place of what was known."""
    _keep_head(database, change.group)
    if change.members is None:
        return
    conversation = change.group.conversation
    for table in ("group_members", "group_invites"):
        database.execute(f"DELETE FROM {table} WHERE conversation = ?", (conversation,))
    database.executemany(
        "INSERT OR REPLACE INTO group_members VALUES (?, ?, ?, ?)",
        [(conversation, one.account, one.role, one.joined_seq) for one in change.members],
    )
    database.executemany(
        "INSERT OR REPLACE INTO group_invites VALUES (?, ?, ?, ?, ?)",
        [(conversation, one.invite, one.account, one.expires_ms, one.uses_left) for one in change.invites],
    )


def _keep_head(database: sqlite3.Connection, group: Group) -> None:
    database.execute(
        f"INSERT OR REPLACE INTO known_groups ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (group.conversation, group.name, group.announcement, group.version, group.seq, group.standing, group.role),
    )


def fold(database: sqlite3.Connection, folded: GroupFolded) -> None:
    """Change members and invites as a change says, the one behind what is known."""
    _keep_head(database, folded.group)
    conversation, author, change = folded.group.conversation, folded.author, folded.change
    match change.kind:
        case ChangeKind.CREATED:
            _join(database, folded, change.account, Role.OWNER)
        case ChangeKind.JOINED:
            _join(database, folded, author, Role.MEMBER)
            _use(database, conversation, change)
        case ChangeKind.LEFT:
            _part(database, conversation, author)
            _promote(database, conversation, change.account, Role.OWNER)
        case ChangeKind.REMOVED:
            _part(database, conversation, change.account)
        case ChangeKind.ROLE:
            _promote(database, conversation, change.account, change.role)
        case ChangeKind.INVITED:
            database.execute(
                "INSERT OR REPLACE INTO group_invites VALUES (?, ?, ?, ?, ?)",
                (conversation, change.invite, author, change.expires_ms, change.uses),
            )
        case ChangeKind.INVITE_REVOKED:
            database.execute(
                "DELETE FROM group_invites WHERE conversation = ? AND invite = ?", (conversation, change.invite)
            )
        case ChangeKind.DISSOLVED:
            database.execute("DELETE FROM group_members WHERE conversation = ?", (conversation,))
        case _:
            pass
    if folded.group.standing is not Standing.MEMBER:
        database.execute("DELETE FROM group_invites WHERE conversation = ?", (conversation,))


def _join(database: sqlite3.Connection, folded: GroupFolded, account: AccountId, role: int) -> None:
    database.execute(
        "INSERT OR REPLACE INTO group_members VALUES (?, ?, ?, ?)",
        (folded.group.conversation, account, role, folded.group.seq),
    )


def _part(database: sqlite3.Connection, conversation: str, account: AccountId) -> None:
    database.execute("DELETE FROM group_members WHERE conversation = ? AND account = ?", (conversation, account))


def _promote(database: sqlite3.Connection, conversation: str, account: AccountId, role: int) -> None:
    database.execute(
        "UPDATE group_members SET role = ? WHERE conversation = ? AND account = ?", (role, conversation, account)
    )


def _use(database: sqlite3.Connection, conversation: str, change: Change) -> None:
    """Somebody has come in by an invite."""
    which = (conversation, change.invite)
    database.execute("UPDATE group_invites SET uses_left = uses_left - 1 WHERE conversation = ? AND invite = ?", which)
    database.execute("DELETE FROM group_invites WHERE conversation = ? AND invite = ? AND uses_left <= 0", which)
