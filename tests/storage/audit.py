"""What holds of the inbox's bodies at every moment at which nothing is on its way to the disk."""

from __future__ import annotations

from collections import Counter

from storage import Engine, Table
from storage.bodies import COUNT_PREFIX, count_key, decode_count, decode_reference, is_reference
from storage.engine import prefix_stop
from storage.inbox import ENTRY_PREFIX, SUMMARY_PREFIX, decode_summary, device_of, entry_position

ALL = 1 << 20


def audit(engine: Engine, *, counted: bool) -> int:
    """Check that each reference has its body, each body the number of its references, and each queue its summary.

    Args:
        engine: At rest.
        counted: Whether no move is under way or was broken off, so that all counts have to be there.

    Returns:
        How many bodies there are.
    """
    entries = engine.scan(Table.INBOX, ENTRY_PREFIX, prefix_stop(ENTRY_PREFIX), ALL)
    references = [decode_reference(entry_position(key), value) for key, value in entries if is_reference(value)]
    rows = Counter(device_of(key) for key, _ in entries)
    for key, value in engine.scan(Table.INBOX, SUMMARY_PREFIX, prefix_stop(SUMMARY_PREFIX), ALL):
        summary, device = decode_summary(value), device_of(key)
        if summary.is_lone:
            references.append(summary.reference)
        assert rows.pop(device, 0) == summary.count - summary.is_lone, "a summary counts what is there"
    assert not rows, "whoever has entries has a summary"
    referred = Counter(reference.body_key for reference in references)
    bodies = {key for key, _ in engine.scan(Table.BODIES, b"", b"\xff" * 16, ALL)}
    counts = dict(engine.scan(Table.INBOX, COUNT_PREFIX, prefix_stop(COUNT_PREFIX), ALL))
    assert referred.keys() <= bodies, "a body stays as long as anything refers to it"
    assert counts.keys() == {count_key(key) for key in bodies}, "every body has a count, and no count is left over"
    for key in bodies:
        count = decode_count(counts[count_key(key)])
        assert count == referred[key] or (not count and not counted), "a body goes with the last that refers to it"
    return len(bodies)
