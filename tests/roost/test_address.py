"""Server addresses as people write them."""

from __future__ import annotations

import pytest

import roost
from roost.address import ServerAddress


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("chat.example.org", "chat.example.org", 7667, "chat.example.org:7667"),
        (" Chat.Example.org:99 ", "chat.example.org", 99, "chat.example.org:99"),
        ("[::1]", "::1", 7667, "[::1]:7667"),
        ("[fe80::1%eth0]:80", "fe80::1%eth0", 80, "[fe80::1%eth0]:80"),
    ],
)
def test_an_address_is_read_as_it_is_meant(text: str, host: str, port: int, shown: str) -> None:
    address = ServerAddress.parse(text)
    assert (address.host, address.port, str(address)) == (host, port, shown)
    assert not set(address.file_name) & set(":/%@")


@pytest.mark.parametrize("text", ["", ":7667", "::1", "[::1", "[::1]x", "a b", "a/b", "host:0", "host:65536", "host:x"])
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(roost.AddressError):
        ServerAddress.parse(text)


def test_a_url_is_answered_with_how_to_write_it() -> None:
    with pytest.raises(roost.AddressError, match="Write HOST:PORT, such as"):
        ServerAddress.parse("http://127.0.0.1:7667")
