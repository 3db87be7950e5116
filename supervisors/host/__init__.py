"""The process tree of one host: launcher, Thespian's admin, supervisor, workers; each watched, none left behind.

```text
launcher      what the operator started: holds the data folders and the listening sockets, takes SIGTERM
└─ admin      Thespian's; a session of its own
   └─ supervisor   starts, watches, kills and replaces the workers
      └─ worker    a node's event loop in a thread, beside Thespian's mailbox
```

In reading order:

- `plan`: what a host consists of, and what a worker is given.
- `logic`: who is replaced or killed, and when the host ends; pure.
- `pulse`: heartbeats, in shared memory. `sealing`: who may speak; pure. `processes`: what the kernel does for us.
- `transport`, `tree`: Thespian's sockets and processes, hardened.
- `worker`, `supervisor`, `launcher`: the processes themselves.

This face does not import Thespian: whoever runs a host imports `run_host` from `launcher`.

What the workers need to outlive them (locks, listening sockets) is made before the tree and inherited by fork.

Invariants: no message of a user passes through these processes. Whoever ends, by whatever signal, takes with it all
below it; an end of the launcher, the admin or the supervisor is the end of the host. The end of a worker is told
exactly once. A worker is started only after the one before it has been reaped. Nothing that came over a socket is
unpickled unless it bears the seal of this tree. Word goes down by Thespian's messages and up by exit statuses.
"""

from supervisors.host.plan import BEAT_S, GAVE_UP, REFUSED, STOPPED, HostPlan, Shift, WorkerSpec

__all__ = ["BEAT_S", "GAVE_UP", "REFUSED", "STOPPED", "HostPlan", "Shift", "WorkerSpec"]
