"""What each command does.

`messages` (send, listen, history), `accounts` (register, settings), `devices`, `people`, `groups`. Each is a coroutine
that takes the parsed arguments and prints; errors travel up as `RoostError` with a sentence.
"""
