"""Where a new device and one of an account meet to be linked: the server carries what it cannot read.

Reading order: `api` (what connections may say), `actor` (one rendezvous).

Invariants: a rendezvous serves two connections once, and ends; it lives in memory for a short time, carries so many
payloads and no more, and knows neither account nor device of anyone.
"""
