"""The text of an invite: what is copied whole is understood, and what is not is refused before anybody is asked."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import AccountId, ClientId, ConversationId, InviteToken, group_conversation
from roost.errors import InviteLinkError
from roost.invite_link import InviteLink

SIXTEEN = st.binary(min_size=16, max_size=16)


@given(SIXTEEN, SIXTEEN)
def test_an_invite_is_what_its_text_says(client_id: bytes, token: bytes) -> None:
    link = InviteLink(group_conversation(AccountId("alice"), ClientId(client_id)), InviteToken(token))
    for text in (
        link.text,
        f"  {link.text}\n",
        link.text.upper(),
        link.text.lower(),
        link.text.removeprefix("roost://group/"),
    ):
        assert InviteLink.parse(text) == link


def test_the_text_is_what_the_document_says() -> None:
    group, token = "01ARZ3NDEKTSV4RRFFQ69G5FAV", bytes(range(16))
    check = base64.b32encode(hashlib.sha256(b"roost/invite/check" + f"#{group}".encode() + token).digest())[:2].decode()
    text = f"roost://group/{group}/AAAQEAYEAUDAOCAJBIFQYDIOB4{check}"
    assert InviteLink(ConversationId(f"#{group}"), InviteToken(token)).text == text


@given(SIXTEEN, st.data())
def test_one_wrong_character_of_the_secret_is_found_but_for_one_in_a_thousand(
    token: bytes, data: st.DataObject
) -> None:
    link = InviteLink(group_conversation(AccountId("alice"), ClientId(bytes(16))), InviteToken(token))
    place = data.draw(st.integers(len(link.text) - 2, len(link.text) - 1))
    other = data.draw(st.sampled_from([c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" if c != link.text[place]]))
    with pytest.raises(InviteLinkError, match="no invite to a group"):
        InviteLink.parse(link.text[:place] + other + link.text[place + 1 :])


@given(st.text(max_size=120))
def test_any_other_text_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(InviteLinkError, match="no invite to a group"):
        InviteLink.parse(text)


def test_half_an_invite_is_refused_and_a_long_text_is_not_repeated_whole() -> None:
    link = InviteLink.generate(group_conversation(AccountId("alice"), ClientId(bytes(16))), bytes)
    for text in (link.text[:-1], link.text + "A", link.text.partition("/")[0], "x" * 10_000):
        with pytest.raises(InviteLinkError) as error:
            InviteLink.parse(text)
        assert len(error.value.sentence) < 250
    assert link.text.split("/")[-1] not in repr(link)
