"""One connection, byte by byte: who is believed, what is refused, and what junk does."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import Identity, LinkCode, LinkError, Peer
from cluster.frames import (
    FRAME_SIZE_BYTES_MAX,
    GoodbyeFrame,
    HeartbeatFrame,
    HelloFrame,
    LinkToFrame,
    UpFrame,
    encode_frame,
)
from cluster.session import Session, SessionState
from protocol.records import ALERT, HANDSHAKE, TRANSPORT, record
from tests.cluster.world import key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.frames import LinkFrame


def identity(name: str, shared: dict[str, str] | None = None, peers: str = "ab") -> Identity:
    others = {other: Peer(other, key_of(other).public, other) for other in peers if other != name}
    return Identity(name, 7, key_of(name), others, shared or {})


def pair(mine: Identity | None = None, theirs: Identity | None = None) -> tuple[Session, Session]:
    """A dialler a and an acceptor b."""
    me = mine or identity("a")
    return Session(me, Peer("b", key_of("b").public)), Session(theirs or identity("b"))


def frame(value: object) -> bytes:
    """A frame with its length."""
    data = encode_frame(value)
    return len(data).to_bytes(3, "big") + data


def exchange(one: Session, other: Session) -> list[LinkFrame]:
    """Let bytes go both ways until both are quiet; what the two heard."""
    heard: list[LinkFrame] = []
    while True:
        to_other, to_one = one.data_to_send(), other.data_to_send()
        if not to_other and not to_one:
            return heard
        heard += other.receive(to_other)
        heard += one.receive(to_one)


def risen() -> tuple[Session, Session]:
    """A link that is up."""
    one, other = pair()
    exchange(one, other)
    other.greet()
    exchange(one, other)
    one.confirm()
    exchange(one, other)
    assert one.state is other.state is SessionState.UP
    return one, other


def fault(call: Callable[[], object]) -> LinkError:
    with pytest.raises(LinkError) as caught:
        call()
    return caught.value


def heard_or_refused(session: Session, data: bytes) -> tuple[list[LinkFrame], LinkError | None]:
    """What a session makes of bytes; anything but frames or a LinkError is a bug."""
    try:
        return session.receive(data), None
    except LinkError as error:
        return error.frames, error


def test_a_link_comes_up_in_five_steps_and_both_know_who_is_there() -> None:
    one, other = risen()
    assert (one.peer, one.incarnation, one.version) == ("b", 7, 1)
    assert (other.peer, other.incarnation, other.version) == ("a", 7, 1)


@given(cuts=st.lists(st.integers(0, 400), max_size=8), count=st.integers(1, 30))
def test_bytes_cut_anywhere_give_the_same_frames(cuts: list[int], count: int) -> None:
    one, other = risen()
    said = [LinkToFrame(number, number + 1) for number in range(count)]
    data = one.seal(b"".join(map(frame, said[: count // 2])) or frame(HeartbeatFrame(1))) + one.seal(
        b"".join(map(frame, said[count // 2 :]))
    )
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    heard = [got for start, end in itertools.pairwise(edges) for got in other.receive(data[start:end])]
    assert [got for got in heard if not isinstance(got, HeartbeatFrame)] == said
    assert other.frames_read == len(heard)


@given(st.binary(min_size=1, max_size=300), st.sampled_from(["dialler", "acceptor", "up"]))
def test_junk_closes_the_session_with_a_code_and_never_raises_anything_else(data: bytes, where: str) -> None:
    one, other = pair()
    if where == "up":
        one, other = risen()
    session = one if where == "dialler" else other
    session.data_to_send()
    heard, error = heard_or_refused(session, data)
    assert heard == []
    if error is not None:
        assert session.state is SessionState.CLOSED
        assert session.receive(b"more") == []


@given(st.binary(min_size=1, max_size=200))
def test_sealed_junk_of_a_peer_is_refused_or_skipped(data: bytes) -> None:
    one, other = risen()
    _, error = heard_or_refused(other, one.seal(len(data).to_bytes(3, "big") + data))
    assert (error is not None) == (other.state is SessionState.CLOSED)


def test_a_dialler_with_an_unknown_key_is_told_which_key_it_showed() -> None:
    one, other = pair(theirs=identity("b", peers="bc"))
    error = fault(lambda: exchange(one, other))
    assert error.code is LinkCode.KEY_UNKNOWN
    assert key_of("a").public.hex() in error.sentence
    told = fault(lambda: one.receive(other.data_to_send()))
    assert told.code is LinkCode.KEY_UNKNOWN
    assert "b ended the link" in told.sentence


def test_an_answerer_with_another_key_learns_nothing_of_the_dialler_but_why() -> None:
    one = Session(identity("a"), Peer("b", key_of("c").public))
    other = Session(identity("b"))
    error = fault(lambda: exchange(one, other))
    assert error.code is LinkCode.KEY_WRONG
    assert "check the key of b" in error.sentence
    assert fault(lambda: other.receive(one.data_to_send())).code is LinkCode.KEY_WRONG
    assert other.peer == ""


def test_a_peer_that_takes_another_name_than_its_key_has_is_refused() -> None:
    one, other = pair(mine=Identity("x", 1, key_of("a"), {"b": Peer("b", key_of("b").public)}))
    error = fault(lambda: exchange(one, other))
    assert error.code is LinkCode.NAME_WRONG
    assert "calls itself x" in error.sentence


HOSTS = {"a": "a", "a.2": "a", "b": "b", "b.2": "b"}


def resident(name: str, key: str | None = None) -> Identity:
    """One of four nodes on two hosts; with another key, somebody who says to be it."""
    others = {other: Peer(other, key_of(host).public) for other, host in HOSTS.items() if other != name}
    return Identity(name, 7, key_of(key or HOSTS[name]), others)


@pytest.mark.parametrize("source", HOSTS)
@pytest.mark.parametrize("target", HOSTS)
def test_a_key_speaks_for_every_node_of_its_host_and_of_no_other(source: str, target: str) -> None:
    for key in "ab":
        one = Session(resident(source, key), Peer(target, key_of(HOSTS[target]).public))
        other = Session(resident(target))
        if source == target or key != HOSTS[source]:
            error = fault(lambda one=one, other=other: exchange(one, other))  # type: ignore[misc]
            assert error.code is LinkCode.NAME_WRONG
            assert f"calls itself {source}; mend its name or its key" in error.sentence
            assert other.state is SessionState.CLOSED
        else:
            exchange(one, other)
            assert (other.state, other.peer) == (SessionState.GREETED, source)


@pytest.mark.parametrize("answering", ["a", "a.2", "b.2"])
def test_a_node_that_was_led_to_another_than_it_dialled_says_so(answering: str) -> None:
    """By a wrong address, or by somebody in between: within a host the key alone would not tell."""
    one = Session(resident("a"), Peer("b", key_of(HOSTS[answering]).public))
    other = Session(resident(answering))
    if answering == "a":
        assert fault(lambda: exchange(one, other)).code is LinkCode.NAME_WRONG
        return
    exchange(one, other)
    other.greet()
    error = fault(lambda: one.receive(other.data_to_send()))
    assert error.code is LinkCode.NAME_WRONG
    assert f"The node whose key is that of b calls itself {answering}" in error.sentence


def test_settings_are_compared_by_digest_and_a_missing_key_is_a_difference() -> None:
    one, other = pair(identity("a", {"shards": "64", "new": "1"}), identity("b", {"shards": "64"}))
    error = fault(lambda: exchange(one, other))
    assert error.code is LinkCode.SETTINGS_DIFFER
    assert "a and b differ in new;" in error.sentence


@pytest.mark.parametrize(("versions", "common"), [([1], 1), ([2, 1], 1), ([3, 2], None), ([], None)])
def test_an_older_and_a_newer_node_agree_on_a_version_or_say_which_they_speak(
    versions: list[int], common: int | None
) -> None:
    one, other = pair()
    exchange_handshake(one, other)
    hello = one.seal(frame(HelloFrame("a", 1, versions, {})))
    if common is None:
        error = fault(lambda: other.receive(hello))
        assert error.code is LinkCode.VERSION_UNSUPPORTED
        assert "update the older node" in error.sentence
    else:
        other.receive(hello)
        assert other.version == common


def exchange_handshake(one: Session, other: Session) -> None:
    """The handshake alone; the dialler's Hello is thrown away."""
    other.receive(one.data_to_send())
    one.receive(other.data_to_send())
    other.receive(one.data_to_send()[: 3 + 64])
    one._sealer.counter = 0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "said",
    [
        [UpFrame()],
        [LinkToFrame(1, 2)],
        [HelloFrame("a", 1, [1], {}), UpFrame()],
        [HelloFrame("a", 1, [1], {}), HelloFrame("a", 1, [1], {})],
        [HelloFrame("a", 1, [1], {}), HeartbeatFrame(1)],
    ],
)
def test_a_frame_before_its_time_is_refused(said: list[object]) -> None:
    one, other = pair()
    exchange_handshake(one, other)
    error = fault(lambda: other.receive(one.seal(b"".join(map(frame, said)))))
    assert error.code is LinkCode.WRONG_STATE


def test_a_second_hello_on_a_link_that_is_up_is_refused() -> None:
    one, other = risen()
    assert fault(lambda: other.receive(one.seal(frame(HelloFrame("a", 1, [1], {}))))).code is LinkCode.WRONG_STATE


def test_a_goodbye_keeps_what_came_before_it() -> None:
    one, other = risen()
    data = one.seal(frame(LinkToFrame(1, 2)))
    one.leave(LinkCode.CLOSING, "the end")
    error = fault(lambda: other.receive(data + one.data_to_send()))
    assert error.code is LinkCode.CLOSING
    assert error.frames == [LinkToFrame(1, 2)]
    one.leave(LinkCode.CLOSING, "again")
    assert one.data_to_send() == b""


def test_a_goodbye_of_a_newer_code_and_frames_of_newer_types_are_understood() -> None:
    one, other = risen()
    assert other.receive(
        one.seal(
            frame([99, "new"])
            + frame(
                LinkToFrame(
                    1,
                    2,
                )
            )
        )
    ) == [LinkToFrame(1, 2)]
    assert other.unknown == 1
    assert fault(lambda: other.receive(one.seal(frame(GoodbyeFrame(900, "new"))))).code is LinkCode.LOST


def test_a_frame_larger_than_a_frame_may_be_is_refused_at_its_length() -> None:
    one, other = risen()
    assert fault(lambda: other.receive(one.seal((FRAME_SIZE_BYTES_MAX + 1).to_bytes(3, "big")))).code is LinkCode.JUNK


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        record(TRANSPORT, bytes(20)),
        record(HANDSHAKE, bytes(31)),
        record(ALERT, bytes(5)),
        record(ALERT, encode_frame(UpFrame())),
        bytes((ALERT, 255, 255)),
    ],
)
def test_what_is_no_handshake_is_refused_before_anything_is_kept(data: bytes) -> None:
    _, other = pair()
    assert fault(lambda: other.receive(data)).code is LinkCode.JUNK


def test_a_record_that_was_changed_ends_the_link() -> None:
    one, other = risen()
    data = bytearray(one.seal(frame(LinkToFrame(1, 2))))
    data[-1] ^= 1
    error = fault(lambda: other.receive(bytes(data)))
    assert error.code is LinkCode.JUNK
    assert "fails authentication" in error.sentence


def test_a_large_batch_goes_in_several_records() -> None:
    one, other = risen()
    said = [LinkToFrame(number, 2**40) for number in range(20_000)]
    assert other.receive(one.seal(b"".join(map(frame, said)))) == said


def test_a_node_that_is_its_own_peer_or_has_no_right_key_is_refused_at_the_start() -> None:
    key = key_of("b").public
    with pytest.raises(ValueError, match="its own peers"):
        Identity("b", 1, key_of("a"), {"b": Peer("b", key)})
    with pytest.raises(ValueError, match="31 bytes"):
        Peer("b", bytes(31))
    with pytest.raises(ValueError, match="1 to 64"):
        Peer("", key)


@given(cut=st.integers(0, 200))
def test_who_is_refused_before_its_last_handshake_message_has_come_is_told_why(cut: int) -> None:
    one, other = pair()
    other.receive(one.data_to_send())
    answer = other.data_to_send()
    other.leave(LinkCode.TOO_SLOW, "The link with a was not up in time.")
    said = answer + other.data_to_send()
    cut = len(answer) + min(cut, len(said) - len(answer) - 1)
    assert one.receive(said[:cut]) == []
    error = fault(lambda: one.receive(said[cut:]))
    assert error.code is LinkCode.TOO_SLOW
    assert "b ended the link: The link with a was not up in time." in error.sentence


def test_nobody_in_between_can_refuse_in_the_clear_once_the_other_side_has_spoken() -> None:
    one, other = pair()
    exchange(one, other)
    other.greet()
    one.receive(other.data_to_send())
    assert fault(lambda: one.receive(record(ALERT, encode_frame(GoodbyeFrame(12, "go"))))).code is LinkCode.JUNK
