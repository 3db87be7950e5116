"""The tables of an account's database, and their version.

`messages` is history and outbox in one: a row waits to be sent while its `state` is PENDING, and then
carries the number it has in its conversation. `place` orders the history: the `seq`, or where a message
without one stands.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FAILED", "PENDING", "RECEIVED", "SCHEMA", "SCHEMA_VERSION", "SENT"]

SCHEMA_VERSION: Final = 1

PENDING: Final = 0
SENT: Final = 1
FAILED: Final = 2
RECEIVED: Final = 3

SCHEMA: Final = f"""
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
