"""Where everyone lives: from an id to the living process, started if need be.

Invariants: an id has one shard for good, and at most one process. An address is looked up for each message, so that
it can not go stale: a message for a process that has just ended starts its successor.
"""
