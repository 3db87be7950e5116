"""Measurements against what must be and what is aimed at; each module prints a line a bar.

- `runtime_bars`: the actor runtime, beside pykka and asyncio tasks.

Invariants: the list of bars is fixed in the code. Times are CPU time, and load comes from another process than the one
that is measured.
"""

__all__: list[str] = []
