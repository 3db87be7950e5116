"""People and their devices: registration with a code, devices as Noise static keys, settings, contacts, blocks.

Reading order: `api` (what others may say), `rates` (who may ask how often), `logic` (the account as data), `pending`
(verification codes that are waited for), `codes` (their way to people), `owner` (the record and its changes),
`registration`, `devices` (listed, signed, removed), `supplements` (what a device missed while it was linked), `wishes`
(settings and relations), `actor`.

Invariants: a device is its static key and nothing else; every change is durable before it is answered or told; who
subscribes hears the present view and every later one; a code is kept only as a digest, lives in memory only, and works
for the device that asked for it only. An account with an identity has the devices that its primary signed, or fewer:
nothing that the server does adds one.
"""
