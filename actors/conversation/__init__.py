"""A conversation: the single writer that accepts, numbers and dedupes what is said in it.

Reading order: `api` (what others may say), `logic` (accept, answer again, or refuse), `actor`.

Invariants: `seq` rises by one with each accepted message and never with a refused one; the same send is accepted once,
however often it is retried; nothing is answered with ✓ before its commit; a send whose commit is in flight is answered
by that commit.
"""
