"""The session's states and every legal step, for both sides.

Two rules, after h11. Everything about transitions lives here. This file does not know which side we are: both sides
walk the same table, one by what it sends and the other by what it receives.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from protocol import messages as m

__all__ = ["TABLE", "Role", "State", "Steps"]


class State(Enum):
    """Where a connection stands."""

    HANDSHAKE = "handshake"
    """The Noise handshake is under way; no frame can pass."""
    GREETING = "greeting"
    """The link is encrypted; the client has to say Hello."""
    GREETED = "greeted"
    """Hello was said and Welcome not yet; the client may already go on."""
    OPEN = "open"
    """Version agreed, no session: register or log in."""
    READY = "ready"
    """The session stands."""
    LEAVING = "leaving"
    """The client has said Bye; the server may finish what it was saying."""
    CLOSED = "closed"
    """Nothing passes any more."""


class Role(Enum):
    """Who speaks."""

    CLIENT = "client"
    SERVER = "server"


Steps = Mapping[type, State]
"""What one side may say in one state, and the state that follows."""


def _stay(state: State, *frames: type[m.Frame]) -> dict[type[m.Frame], State]:
    return dict.fromkeys(frames, state)


_BEFORE_LOGIN: Final = (
    m.RequestCode,
    m.Register,
    m.Login,
    m.Ping,
    m.RegisterPrimary,
    m.OpenLink,
    m.PassLink,
)
_SESSION: Final = tuple(
    frame
    for frame in m.CLIENT_FRAMES
    if frame not in (m.Hello, m.Register, m.RegisterPrimary, m.Login, m.OpenLink, m.Bye)
)
_ANSWERS_BEFORE_LOGIN: Final = (
    m.CodeSent,
    m.Registered,
    m.Pong,
    m.Error,
    m.LinkOpened,
    m.LinkPassed,
    m.LinkEnded,
)
_ANSWERS_IN_SESSION: Final = tuple(
    frame for frame in m.SERVER_FRAMES if frame not in (m.Welcome, m.Registered, m.Ready, m.LinkOpened, m.Closing)
)
_ANSWERS_TO_LEAVING: Final = tuple(frame for frame in m.SERVER_FRAMES if frame is not m.Closing)
_LAST: Final[dict[type[m.Frame], State]] = {m.Closing: State.CLOSED}
_NOTHING: Final[dict[type[m.Frame], State]] = {}


def _row(client: dict[type[m.Frame], State], server: dict[type[m.Frame], State]) -> Mapping[Role, Steps]:
    return MappingProxyType({Role.CLIENT: MappingProxyType(client), Role.SERVER: MappingProxyType(server)})


TABLE: Final[Mapping[State, Mapping[Role, Steps]]] = MappingProxyType(
    {
        State.HANDSHAKE: _row(client=_NOTHING, server=_NOTHING),
        State.GREETING: _row(client={m.Hello: State.GREETED}, server=_LAST),
        State.GREETED: _row(
            client=_stay(State.GREETED, *_BEFORE_LOGIN) | {m.Bye: State.LEAVING},
            server={m.Welcome: State.OPEN} | _LAST,
        ),
        State.OPEN: _row(
            client=_stay(State.OPEN, *_BEFORE_LOGIN) | {m.Bye: State.LEAVING},
            server=_stay(State.OPEN, *_ANSWERS_BEFORE_LOGIN) | {m.Ready: State.READY} | _LAST,
        ),
        State.READY: _row(
            client=_stay(State.READY, *_SESSION) | {m.Bye: State.LEAVING},
            server=_stay(State.READY, *_ANSWERS_IN_SESSION) | _LAST,
        ),
        State.LEAVING: _row(client=_NOTHING, server=_stay(State.LEAVING, *_ANSWERS_TO_LEAVING) | _LAST),
        State.CLOSED: _row(client=_NOTHING, server=_NOTHING),
    }
)
"""For every state and role: what may be said, and where it leads. A frame that is not there changes nothing."""
