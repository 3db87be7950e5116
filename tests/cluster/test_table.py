"""What crosses between nodes, and what raises at its sender."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from cluster import MessageTable, MessageTooLargeError, UnregisteredError
from cluster.frames import FRAME_SIZE_BYTES_MAX
from cluster.table import MessageCodec, Passport
from runtime import Crash, FarRef, Named, Pid, Ref
from tests.cluster.messages import Newer, Note, Stranger, registered
from tests.cluster.world import World
from tests.runtime.cast import Box


@pytest.mark.parametrize("value", [None, True, 7, -1.5, "text", b"bytes"])
def test_plain_values_cross_without_being_registered(seed: int, value: object) -> None:
    world = World(seed)
    world.wait(1.0)
    near, far = world.puppet("a"), world.puppet("b")
    world.play(near, lambda process: process.send(world.seen("a", far.pid), value))
    assert far.heard == [value]


def test_pids_and_names_cross_as_messages_too(seed: int) -> None:
    world = World(seed)
    world.wait(1.0)
    near, far = world.puppet("a"), world.puppet("b")
    pid = world.seen("a", far.pid)
    world.play(near, lambda process: (process.send(pid, near.pid), process.send(pid, Named("a", ("room", 1)))))
    assert far.heard == [near.pid, Named("a", ("room", 1))]


class Odd:
    """No type that anything encodes."""


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (Stranger(), "Stranger is not registered"),
        (Odd(), "Odd is not registered"),
        ([1], "list is not registered"),
        (Newer(), "Newer is newer than version 1"),
        (Note("hi", sender=Odd()), "Odd is inside a message"),  # type: ignore[arg-type]
        (Note("\ud800"), "Note cannot be encoded"),
        (2**70, "int cannot be encoded"),
    ],
)
@pytest.mark.parametrize("verb", ["cast", "send", "call"])
def test_what_does_not_cross_raises_at_the_sender_with_a_sentence(
    seed: int, message: object, sentence: str, verb: str
) -> None:
    world = World(seed)
    world.wait(1.0)
    near, far = world.puppet("a"), world.puppet("b")
    world.play(near, lambda process: getattr(process, verb)(world.seen("a", far.pid), message))
    (reason,) = near.terminated
    assert isinstance(reason, Crash)
    assert isinstance(reason.exception, UnregisteredError)
    assert sentence in str(reason.exception)
    assert world.are_linked("a", "b")
    assert world.runtimes["a"].foreign.tied("b") == world.runtimes["b"].foreign.tied("a") == 1  # the groups


def test_an_answer_that_does_not_cross_ends_whoever_answers_and_the_caller_hears_so(seed: int) -> None:
    world = World(seed)
    world.wait(1.0)
    near, far = world.puppet("a"), world.puppet("b")
    box = Box()
    world.play(near, box.of(lambda process: process.call(world.seen("a", far.pid), "?", None)))
    world.play(far, lambda process: process.reply(far.callers[0], Stranger()))
    (answer,) = near.heard
    assert answer.ref is box.value
    assert answer.reason.exception.kind == "UnregisteredError"


def test_a_message_that_fits_no_frame_raises_at_the_sender(seed: int) -> None:
    world = World(seed)
    world.wait(1.0)
    near, far = world.puppet("a"), world.puppet("b")
    pid = world.seen("a", far.pid)
    world.play(near, lambda process: process.cast(pid, bytes(FRAME_SIZE_BYTES_MAX - 20)))
    assert len(far.heard[0]) == FRAME_SIZE_BYTES_MAX - 20
    world.play(near, lambda process: process.cast(pid, bytes(FRAME_SIZE_BYTES_MAX)))
    (reason,) = near.terminated
    assert isinstance(reason, Crash)
    assert isinstance(reason.exception, MessageTooLargeError)


def test_a_name_that_does_not_cross_raises_too(seed: int) -> None:
    world = World(seed)
    world.wait(1.0)
    near = world.puppet("a")
    world.play(near, lambda process: process.cast(Named("b", 1.5), "hi"))
    assert isinstance(near.terminated[0], Crash)


def test_a_number_and_a_type_are_registered_once() -> None:
    table = registered(MessageTable())
    with pytest.raises(ValueError, match="the number 16, by Note"):
        table.register(Stranger, 16)
    with pytest.raises(ValueError, match="Note is registered already"):
        table.register(Note, 99)
    with pytest.raises(ValueError, match="from 16 to 65535"):
        table.register(Stranger, 3)

    @table.message(40)
    class Fresh(msgspec.Struct):
        value: int

    assert table.type_of(40) is Fresh
    assert table.tag_of(Fresh, 1) == 40


def test_a_class_with_a_field_that_cannot_cross_is_refused_when_it_is_registered() -> None:
    @dataclass
    class Wrong:
        field: Missing  # type: ignore[name-defined] # noqa: F821

    with pytest.raises(TypeError, match="Wrong cannot cross"):
        MessageTable().register(Wrong, 20)


def test_a_newer_type_is_sent_to_whoever_speaks_the_newer_version() -> None:
    table = registered(MessageTable())
    assert table.tag_of(Newer, 2) == 19


class Many(msgspec.Struct):
    """Values of the types that stand for something."""

    pid: Pid
    named: Named
    ref: Ref


def test_each_kind_of_address_is_a_field_of_its_own(seed: int) -> None:
    world = World(seed)
    table = MessageTable()
    table.register(Many, 16)
    runtime = world.runtimes["a"]
    codec = MessageCodec(table, Passport(runtime.foreign, "a", runtime.incarnation))
    said = Many(Pid("b", 1, 2), Named("b", "office"), FarRef("b", 1, 2))
    assert codec.decode(16, msgspec.Raw(codec.encode(said))) == said
    for wrong in ([["b", "x"], ["b", 1, 2], ["b", 1, 2]], [["b", 1, 2], ["b", "x"], ["b", 1]], [1, 2, 3]):
        body = msgspec.msgpack.encode(dict(zip(("pid", "named", "ref"), wrong, strict=True)))
        with pytest.raises(ValueError, match=r"Expected|stands|values|unpack"):
            codec.decode(16, msgspec.Raw(body))
