"""The control socket: what anybody who may open it can ask, and what a node of another version can answer."""

from __future__ import annotations

import json

from ctl.control import NotAnsweredError, read_answer
from ctl.nodes import Node
from ctl.shards import Move, Place
from gateway.control import ControlError, decode_body
from gateway.shards import wanted_move
from protocol.ids import SHARDS
from tests.fuzz.target import SENTENCE_LENGTH_MAX, Target, check_sentence

ANSWERS = (list[Node], list[Place], Move)
STATUSES = (200, 400, 404, 409, 500, 503)


def control_request(data: bytes) -> None:
    """A request to move a shard.

    Input: two bytes for how many of the next are the number in the path, these, then the body.
    """
    end = 2 + int.from_bytes(data[:2], "big")
    number, content = data[2:end].decode("utf-8", "replace"), data[end:]
    try:
        body = decode_body(content)
        assert isinstance(body, dict)
        shard, to = wanted_move({"number": number}, body)
    except ControlError as error:
        check_sentence(error.sentence)
        fault = error.status
    else:
        assert shard in range(SHARDS)
        assert to.encode(), "an empty name, or one that no other node could be told"
        return
    assert 400 <= fault < 500, "the asker's"


def control_answer(data: bytes) -> None:
    """What a node says to roostctl.

    Input: a byte for what was asked and the status, then the body.
    """
    kind, status = ANSWERS[data[0] % len(ANSWERS)] if data else ANSWERS[0], 200
    if data:
        status = STATUSES[data[0] // len(ANSWERS) % len(STATUSES)]
    try:
        answer = read_answer(status, data[1:], kind)
    except NotAnsweredError as error:
        check_sentence(str(error)[:SENTENCE_LENGTH_MAX])  # the node's own words, however long
        return
    assert status < 400
    assert read_answer(200, json.dumps(answer).encode(), kind) == answer


CONTROL_TARGETS = (
    Target("control_request", control_request, "a shard and a node, or ControlError whose fault is the asker's"),
    Target("control_answer", control_answer, "an answer of its type, or NotAnsweredError"),
)
