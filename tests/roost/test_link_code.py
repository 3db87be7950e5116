"""The code of a new device: read as it was shown, refused if it was mistyped, and scannable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.errors import LinkError
from roost.link_code import LinkCode

CODE = LinkCode(bytes(range(16)))


@given(st.binary(min_size=16, max_size=16))
def test_a_code_is_read_as_it_was_shown(secret: bytes) -> None:
    code = LinkCode(secret)
    for text in (code.text, code.qr_text, code.text.lower(), f" {code.text.replace('-', ' ')}\n"):
        assert LinkCode.parse(text) == code


@given(st.integers(0, 27), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_one_mistyped_character_is_found_out_nearly_always(place: int, character: str) -> None:
    plain = CODE.text.replace("-", "")
    mistyped = plain[:place] + character + plain[place + 1 :]
    if mistyped != plain:
        with pytest.raises(LinkError):
            LinkCode.parse(mistyped)


@pytest.mark.parametrize("text", ["", "-", "ROOST:LINK:", "A" * 27, "A" * 29, "1" * 28, "ä" * 28, CODE.text + "A"])
def test_what_is_no_code_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(LinkError, match="28 letters and digits"):
        LinkCode.parse(text)


def test_the_rendezvous_tells_nothing_of_the_key_and_the_code_shows_nothing() -> None:
    assert (CODE.text, CODE.rendezvous.hex(), CODE.key.hex()[:16]) == (
        "AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B43X",
        "8301f06414f358c8afd255d737507468",
        "d7175396c9d29264",
    )


def test_the_qr_code_fits_a_terminal_of_80_by_24() -> None:
    lines = CODE.qr_lines()
    assert len(lines) <= 18
    assert {len(line) for line in lines} == {33}
    assert set("".join(lines)) <= set(" ▀▄█")
    assert lines[0] == "█" * 33, "the quiet zone is light"
