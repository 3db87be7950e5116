from __future__ import annotations

import pytest

from protocol import Code, LocalProtocolError, RemoteProtocolError, choose_version, code_of


def test_every_code_says_whose_fault_it_is_and_what_to_do() -> None:
    for code in Code:
        assert code.fault in {"client", "peer", "server"}
        assert isinstance(code.retry, bool)
        assert 20 < len(code.sentence) <= 160
        assert code.sentence.endswith(".")
        assert code.sentence[0].isupper()


def test_no_number_and_no_sentence_is_used_twice() -> None:
    assert len({code.value for code in Code}) == len({code.sentence for code in Code}) == len(Code.__members__)


def test_the_hundreds_group_the_codes() -> None:
    assert {code.group for code in Code} == {1, 2, 3, 4, 5}
    assert Code.NUMBER_GAP.group == 3


def test_a_code_is_a_number_on_the_wire_and_an_unknown_one_is_none() -> None:
    assert int(Code.NUMBER_GAP) == 305
    assert code_of(305) is Code.NUMBER_GAP
    assert code_of(65_000) is None


def test_an_error_carries_its_code_and_the_sentence_of_the_code_or_its_own() -> None:
    assert RemoteProtocolError(Code.BAD_FRAME).sentence == Code.BAD_FRAME.sentence
    error = LocalProtocolError(Code.BAD_FIELD, "Because.")
    assert (error.code, error.sentence, str(error)) == (Code.BAD_FIELD, "Because.", "BAD_FIELD (108): Because.")
    assert RemoteProtocolError(Code.BAD_FRAME).frames == []


def test_the_version_is_the_best_that_both_speak() -> None:
    assert choose_version([3, 2, 1]) == 1
    with pytest.raises(RemoteProtocolError, match=r"versions \[2, 3\], this server \[1\]") as caught:
        choose_version([3, 2, 3])
    assert caught.value.code is Code.VERSION_UNSUPPORTED
