"""Measurements against what must be and what is aimed at, and runs that count what a crash did.

`python -m bench` measures every bar. A tour in reading order:

- `bars`: the list of bars, fixed in the code; what is met, and how a line looks. `__main__`: the run.
- `live_node`: a real node in its own process; `measured_node`: the same with its CPU clock and memory.
- `client`: a lean client, many of which are the load; `person`: whose devices they are; `registration`: how they
  become known.
- `direct_store`: a store without a node; `waiting_store`: a million waiting messages in one.
- `absence`: who writes to people that are away, and who comes back.
- `online`, `paced`, `offline`, `idle`, `restart`, `crashes`: a scenario each. `disk`: how fast this disk syncs.
- `runtime_bars`: the actor runtime, beside pykka and asyncio tasks. `storage_probe`: the store on its own.
- `crash`: a node killed at random moments; `ledger`: the books of what became of each message.

Invariants: the list of bars is fixed in the code, and a figure that is missing is not met. Load comes from another
process than the one that is measured. Costs are CPU time by the node's own accounting, because wall time on a shared
machine is noise; wall times stand beside the sync time of the disk and count for nothing where that is long. A run in
which an actor crashed, a message was refused or a connection was lost gives no figure.
"""

__all__: list[str] = []
