"""Groups: who belongs to one, who may do what in it, and what changes that.

Reading order: `api` (what is said to a group, and what it is to other rooms), `logic` (the group as data: judge a
change, fold it in).

A group is a conversation whose members are kept instead of spelled in its id. The conversation's process owns it; what
changes it is a message in the conversation's own sequence, so that membership and sequence cannot disagree.

Invariants: a group that is not dissolved has an owner and at most as many members as it may; every change makes its
version one more; whoever is not a member learns nothing of it while it is there, not even that it exists.
"""
