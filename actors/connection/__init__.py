"""A client's connection: its bytes, its session, its frames.

Reading order: `api` (the socket as a port, and what the door says), `actor` (the life of a connection), `entry` (the
way to a session, or to the sibling worker where the account lives), `routes` (what happens to each frame of a client).

Invariants: one process a connection, and nothing that a client sends can hurt another; what is sent in one round is
sealed and written at once; a client that is silent, slow or wrong is told why before the socket closes.
"""
