"""Notices of a group: what did not reach many devices is told to its sender at once, and not device by device.

Reading order: `api` (what waits at a group), `logic` (what is told together), `actor` (who tells it).

A group has a queue of its own, in its own shard, under a device's name that no device has. The queue of a member's
device from which a message of the group goes writes there, instead of to the sender; the collector of the group takes
what came within a second out of it, and tells each sender in one notice a message.

Invariants: what is taken out and what is told for it are one record, so nothing is told twice or forgotten; a collector
that has died is started again by the shard's look for what has expired, for what waits for it has expired at once.
"""
