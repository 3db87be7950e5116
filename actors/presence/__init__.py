"""Who is online, who is typing, who was last seen when: off the durable path and the first to be shed.

Reading order: `api` (what others may say), `logic` (the pure state), `load` (when all of it is shed), `actor`.

Invariants: a device is online exactly while its connection process lives (plus a grace period that
hides short drops); a subscriber hears only what the account's privacy settings show it; nothing here
ever waits for the disk.
"""
