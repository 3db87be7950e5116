"""Each frame of a client has one way to go, and each frame of the server one that says it."""

from __future__ import annotations

import pytest

from actors.connection.actor import ConnectionActor
from actors.connection.routes import ROUTES
from protocol.messages import CLIENT_FRAMES, Send, UnknownFrame


@pytest.mark.parametrize("frame", CLIENT_FRAMES, ids=lambda frame: frame.__name__)
def test_a_frame_of_a_client_is_routed_exactly_once(frame: type) -> None:
    assert (frame in ROUTES) + (frame in ConnectionActor._own) + (frame is Send) == 1


def test_the_tables_route_nothing_else() -> None:
    assert ROUTES.keys() | ConnectionActor._own.keys() | {Send} == {*CLIENT_FRAMES, UnknownFrame}


def test_what_comes_from_the_client_is_never_taken_for_what_comes_from_inside() -> None:
    assert not ConnectionActor._routes.keys() & set(CLIENT_FRAMES)
