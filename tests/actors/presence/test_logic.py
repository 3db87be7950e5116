"""Presence: who is told what, under every privacy setting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.accounts.api import AccountView
from actors.presence.logic import Picture, PresenceState
from protocol import AccountId, ConversationId, DeviceId

ANN, BOB, EVE = AccountId("ann"), AccountId("bob"), AccountId("eve")
CHAT = ConversationId("ann:bob")
PHONE, LAPTOP = DeviceId(b"p" * 16), DeviceId(b"l" * 16)
OPEN = AccountView(ANN, exists=True)


def state() -> PresenceState[str]:
    return PresenceState(0, 4)


def test_online_means_that_a_person_looks_at_some_device_and_last_seen_is_when_the_last_one_stopped() -> None:
    here = state()
    here.appear(PHONE, foreground=False, now_ms=10)
    assert here.picture(BOB, OPEN) == Picture(False, 0, 1)
    here.appear(PHONE, foreground=True, now_ms=20)
    here.appear(LAPTOP, foreground=True, now_ms=25)
    assert here.picture(BOB, OPEN) == Picture(True, 0, 2)
    here.vanish(PHONE, 30)
    assert here.online
    here.appear(LAPTOP, foreground=False, now_ms=40)
    assert here.picture(BOB, OPEN) == Picture(False, 40, 1)
    here.vanish(LAPTOP, 50)
    assert here.picture(BOB, OPEN) == Picture(False, 40, 0)


@pytest.mark.parametrize("audience", ["everyone", "contacts", "nobody"])
@pytest.mark.parametrize("relation", ["none", "contact", "blocked", "own"])
def test_a_picture_shows_what_the_settings_let_this_viewer_see(audience: str, relation: str) -> None:
    viewer = ANN if relation == "own" else BOB
    view = AccountView(
        ANN,
        exists=True,
        contacts=frozenset({BOB} if relation == "contact" else ()),
        blocked=frozenset({BOB} if relation == "blocked" else ()),
        last_seen=audience,
        online=audience,
    )
    allowed = relation == "own" or (
        relation != "blocked" and (audience == "everyone" or (audience == "contacts" and relation == "contact"))
    )
    here = state()
    here.appear(PHONE, foreground=True, now_ms=1)
    assert here.picture(viewer, view) == (Picture(True, 0, 1) if allowed else Picture(None, 0, 0))
    here.vanish(PHONE, 9)
    assert here.picture(viewer, view) == (Picture(False, 9, 0) if allowed else Picture(None, 0, 0))


def test_each_watcher_hears_of_a_change_once_and_of_no_change_never() -> None:
    here = state()
    assert here.subscribe("one", BOB, CHAT)
    assert [who for who, _ in here.news(OPEN)] == ["one"]
    assert list(here.news(OPEN)) == []
    here.appear(PHONE, foreground=True, now_ms=1)
    assert here.subscribe("two", EVE, ConversationId("ann:eve"))
    assert dict(here.news(OPEN)) == {"one": Picture(True, 0, 1), "two": Picture(True, 0, 1)}
    assert list(here.news(OPEN)) == []


def test_who_watches_already_may_ask_again_however_many_watch() -> None:
    here = PresenceState[str](0, 1)
    assert here.subscribe("one", BOB, CHAT)
    assert not here.subscribe("two", EVE, CHAT)
    assert here.subscribe("one", BOB, CHAT)


def test_typing_is_for_those_who_look_at_that_chat_and_are_not_blocked() -> None:
    here = state()
    here.subscribe("bob", BOB, CHAT)
    here.subscribe("eve", EVE, ConversationId("ann:eve"))
    assert here.onlookers(CHAT, OPEN) == ["bob"]
    assert here.onlookers(CHAT, AccountView(ANN, exists=True, blocked=frozenset({BOB}))) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", "z"]), st.booleans()), max_size=30))
def test_watchers_are_kept_up_to_a_limit_and_forgotten_whole(steps: list[tuple[str, str, bool]]) -> None:
    here, plain = state(), set[tuple[str, str]]()
    for connection, chat, comes in steps:
        if comes:
            if here.subscribe(connection, BOB, ConversationId(chat)):
                plain.add((connection, chat))
        else:
            plain.discard((connection, chat))
            last = here.unsubscribe(connection, ConversationId(chat))
            assert last == (connection not in {who for who, _ in plain})
        assert set(here.subscribers) == plain
        assert len(plain) <= 4
    for connection in "abc":
        assert here.unsubscribe(connection)
    assert not here.subscribers
