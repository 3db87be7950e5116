"""What people type: settings, addresses, names, servers. And what strangers say inside a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from config import ClusterConfig, ConfigError
from config.reader import parse
from protocol import (
    IdentifierError,
    checked_conversation,
    direct_conversation,
    members_of,
    normalized_address,
    normalized_name,
    shard_of,
)
from protocol.ids import SHARDS
from protocol.limits import ADDRESS_LENGTH_MAX, NAME_LENGTH_MAX
from roost.address import ServerAddress
from roost.content import Deletion, Edit, Reaction, Text, decode_content, encode_operation, encode_text
from roost.errors import AddressError
from roost.plain import one_line, plain, shown
from tests.fuzz.target import Target, check_sentence

if TYPE_CHECKING:
    from collections.abc import Callable

Accepted = TypeVar("Accepted", bound=str)


def config_text(data: bytes) -> None:
    """A settings file; input: its bytes."""
    try:
        config = parse(data.decode("utf-8", "replace"))
    except ConfigError as error:
        for each in (error, *error.others):
            check_sentence(each.sentence)
    else:
        assert isinstance(config, ClusterConfig)


def identifiers(data: bytes) -> None:
    """Addresses, names and conversation ids; input: UTF-8 text."""
    text = data.decode("utf-8", "replace")
    address = _accepted(normalized_address, text)
    if address is not None:
        assert len(address) <= ADDRESS_LENGTH_MAX
        assert normalized_address(address) == address
        assert 0 <= shard_of(address) < SHARDS
        both = direct_conversation(address, normalized_address("ann"))
        assert members_of(both) == tuple(sorted((address, "ann")))
    name = _accepted(normalized_name, text)
    if name is not None:
        assert 0 < len(name) <= NAME_LENGTH_MAX
        assert normalized_name(name) == name
    conversation = _accepted(checked_conversation, text)
    if conversation is not None:
        assert direct_conversation(*members_of(conversation)) == conversation == text


def _accepted(check: Callable[[str], Accepted], text: str) -> Accepted | None:
    try:
        return check(text)
    except IdentifierError as error:
        check_sentence(error.sentence)
        return None


def server_address(data: bytes) -> None:
    """A server as a person writes it; input: UTF-8 text."""
    try:
        address = ServerAddress.parse(data.decode("utf-8", "replace"))
    except AddressError as error:
        check_sentence(error.sentence)
        return
    assert 0 < address.port <= 65_535
    assert ServerAddress.parse(str(address)) == address
    assert "/" not in address.file_name
    assert address.file_name.isprintable()
    address.host.encode("idna")  # as a resolver will


def message_content(data: bytes) -> None:
    """What a stranger's message says, and how it looks on a terminal; input: the payload."""
    content = decode_content(data)
    text = shown(content)
    assert all(character == "\n" or character.isprintable() or ord(character) > 0x9F for character in text)
    assert plain(text) == text
    assert "\n" not in one_line(text)
    if isinstance(content, Text):
        again = encode_text(
            content.text,
            reply_to=content.reply_to,
            forwarded=content.forwarded,
            disappears_s=content.disappears_s,
        )
        assert decode_content(again) == content
    if isinstance(content, Reaction | Edit | Deletion):
        assert decode_content(encode_operation(content)) == content


TEXT_TARGETS = (
    Target("config_text", config_text, "settings, or ConfigError whose every sentence is short"),
    Target("identifiers", identifiers, "a normal form that is its own normal form, or IdentifierError"),
    Target("server_address", server_address, "an address that a resolver takes and that reads back, or AddressError"),
    Target("message_content", message_content, "a content or UnknownContent, nothing that steers a screen"),
)
