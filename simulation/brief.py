"""What happens, in a line of the log."""

from __future__ import annotations

__all__ = ["brief"]

_BRIEF = ("conversation", "account", "device", "number", "seq", "position", "up_to", "positions", "delivered", "read",
          "online", "code", "reason", "epoch", "source", "source_position", "resumed", "waiting", "marks")  # fmt: skip


def brief(thing: object) -> str:
    """A record, frame or change in a line, without its content."""
    fields = []
    for name in _BRIEF:
        value = getattr(thing, name, None)
        if value is not None:
            fields.append(f"{name}={value.hex()[:8] if isinstance(value, bytes) else value}")
    message = getattr(thing, "message", None)
    if message is not None:
        fields.append(brief(message))
    return f"{type(thing).__name__} {' '.join(fields)}"
