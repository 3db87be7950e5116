"""The tables of an account's database, and their version.

`messages` is history and outbox in one: a row waits to be sent while its `state` is PENDING, and then
carries the number it has in its conversation. `place` orders the history: the `seq`, or where a message
without one stands. `kind` says what a row is: the history shows SHOWN ones, while an OPERATION is a row only as long
as it waits in the outbox (then `target` names its message), and ends in `operations`, one row a register. A message of
ours in a group has `readers` who are to get it, of whom it was `delivered_to` so many and `read_by` so many.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FAILED", "OPERATION", "PENDING", "RECEIVED", "SCHEMA", "SCHEMA_VERSION", "SENT", "SHOWN", "UPGRADES"]

SCHEMA_VERSION: Final = 4

PENDING: Final = 0
SENT: Final = 1
FAILED: Final = 2
RECEIVED: Final = 3

SHOWN: Final = 0
OPERATION: Final = 1

_FIRST: Final = f"""
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    next_number INTEGER NOT NULL DEFAULT 1,
    delivered INTEGER NOT NULL DEFAULT 0,
    read INTEGER NOT NULL DEFAULT 0,
    server_delivered INTEGER NOT NULL DEFAULT 0,
    server_read INTEGER NOT NULL DEFAULT 0,
    written INTEGER NOT NULL DEFAULT 0,
    place INTEGER NOT NULL DEFAULT 0,
    changed_ms INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE receipts (
    conversation TEXT NOT NULL,
    account TEXT NOT NULL,
    delivered INTEGER NOT NULL,
    read INTEGER NOT NULL,
    PRIMARY KEY (conversation, account)
) WITHOUT ROWID;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation TEXT NOT NULL,
    state INTEGER NOT NULL,
    place INTEGER,
    seq INTEGER NOT NULL DEFAULT 0,
    number INTEGER NOT NULL DEFAULT 0,
    client_id BLOB UNIQUE,
    message_id BLOB UNIQUE,
    sender TEXT NOT NULL,
    device BLOB NOT NULL,
    time_ms INTEGER NOT NULL,
    ttl_s INTEGER NOT NULL DEFAULT 0,
    flags INTEGER NOT NULL DEFAULT 0,
    payload BLOB NOT NULL,
    code INTEGER NOT NULL DEFAULT 0,
    sentence TEXT NOT NULL DEFAULT ''
);
CREATE INDEX messages_in_order ON messages (conversation, place, id);
CREATE INDEX messages_pending ON messages (id) WHERE state = {PENDING};
CREATE INDEX messages_unread ON messages (conversation, seq) WHERE state = {RECEIVED};

CREATE TABLE notices (
    conversation TEXT NOT NULL,
    seq INTEGER NOT NULL,
    account TEXT NOT NULL,
    device BLOB NOT NULL,
    reason INTEGER NOT NULL,
    PRIMARY KEY (conversation, seq, account, device, reason)
) WITHOUT ROWID;

CREATE TABLE seen (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id BLOB NOT NULL UNIQUE
);
"""

_CONTENTS: Final = f"""
ALTER TABLE conversations ADD COLUMN timer_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN timer_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN kind INTEGER NOT NULL DEFAULT {SHOWN};
ALTER TABLE messages ADD COLUMN target BLOB;
ALTER TABLE messages ADD COLUMN timer_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN expires_ms INTEGER;
CREATE INDEX messages_pending_operations ON messages (conversation, target) WHERE target IS NOT NULL;
CREATE INDEX messages_not_begun ON messages (conversation, seq) WHERE timer_s > 0 AND expires_ms IS NULL;
CREATE INDEX messages_expiring ON messages (expires_ms) WHERE expires_ms IS NOT NULL;

CREATE TABLE operations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation TEXT NOT NULL,
    target BLOB NOT NULL,
    account TEXT NOT NULL,
    kind INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    value TEXT NOT NULL,
    orphan INTEGER NOT NULL,
    UNIQUE (conversation, target, account, kind)
);
CREATE INDEX operations_orphaned ON operations (conversation, id) WHERE orphan = 1;
"""

_RECORDS: Final = """
CREATE TABLE records (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    stamp INTEGER NOT NULL,
    device BLOB NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, subject)
) WITHOUT ROWID;
"""

_GROUPS: Final = """
CREATE TABLE known_groups (
    conversation TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    announcement INTEGER NOT NULL,
    version INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    standing TEXT NOT NULL,
    role INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE group_members (
    conversation TEXT NOT NULL,
    account TEXT NOT NULL,
    role INTEGER NOT NULL,
    joined_seq INTEGER NOT NULL,
    PRIMARY KEY (conversation, account)
) WITHOUT ROWID;

CREATE TABLE group_invites (
    conversation TEXT NOT NULL,
    invite BLOB NOT NULL,
    account TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    uses_left INTEGER NOT NULL,
    PRIMARY KEY (conversation, invite)
) WITHOUT ROWID;

ALTER TABLE messages ADD COLUMN readers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN delivered_to INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN read_by INTEGER NOT NULL DEFAULT 0;
"""

UPGRADES: Final = {1: _CONTENTS, 2: _RECORDS, 3: _GROUPS}
"""How a database of each earlier version becomes one of the next."""
SCHEMA: Final = _FIRST + _CONTENTS + _RECORDS + _GROUPS
