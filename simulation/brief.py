"""What happens, in a line of the log."""

from __future__ import annotations

from typing import Final

__all__ = ["brief"]

_NAMES = ("conversation", "account", "device", "number", "seq", "position", "up_to", "positions", "delivered", "read",
          "online", "code", "reason", "epoch", "source", "source_position", "resumed", "waiting", "marks")  # fmt: skip

_FIELDS: Final[dict[type, tuple[str, ...]]] = {}
"""Which of them things of a kind have; most have few, and a run briefs some 15,000."""


def brief(thing: object) -> str:
    """A record, frame or change in a line, without its content."""
    fields = []
    kind = type(thing)
    for name in _FIELDS.get(kind) or _learn(kind):
        value = getattr(thing, name)
        if value is None:
            continue
        if name == "message":
            fields.append(brief(value))
        else:
            fields.append(f"{name}={value.hex()[:8] if isinstance(value, bytes) else value}")
    return f"{kind.__name__} {' '.join(fields)}"


def _learn(kind: type) -> tuple[str, ...]:
    fields = getattr(kind, "__dataclass_fields__", {})
    _FIELDS[kind] = names = tuple(name for name in (*_NAMES, "message") if name in fields or hasattr(kind, name))
    return names
