"""What other people's devices make: codes and links to paste, signed lists, changes of groups, a linking talk."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from protocol import RemoteProtocolError, decode_change, encode_change
from protocol.device_list import (
    _TAG,
    DeviceListError,
    ListedDevice,
    checked_label,
    label_digest,
    opened_devices,
)
from protocol.messages import SignedDevices
from roost.errors import InviteLinkError, LinkError
from roost.group import ChangeKind, change_of, group_change_of
from roost.invite_link import InviteLink
from roost.link_code import LinkCode
from tests.fuzz.target import Target, check_sentence
from tests.roost.test_linking import ANN, IDENTITY, NEW, newcomer, sponsor

if TYPE_CHECKING:
    from collections.abc import Callable


def pasted_secret(data: bytes) -> None:
    """The code of a new device and the link into a group, as people paste them; input: UTF-8 text."""
    text = data.decode("utf-8", "replace")
    try:
        code = LinkCode.parse(text)
        assert LinkCode.parse(code.text) == LinkCode.parse(code.qr_text) == code
    except LinkError as error:
        check_sentence(str(error))
    try:
        link = InviteLink.parse(text)
        assert InviteLink.parse(str(link)) == link
    except InviteLinkError as error:
        check_sentence(str(error))
        sentence = str(error)
    else:
        return
    assert sentence.isprintable(), "what was pasted is shown on a terminal"


def group_change(data: bytes) -> None:
    """The change of a group that a message carries; input: its payload."""
    known = change_of(data)
    try:
        change = decode_change(data)
    except RemoteProtocolError as error:
        check_sentence(error.sentence)
        assert known is None
        return
    assert known == change == decode_change(encode_change(change))
    shown = group_change_of(data)
    assert shown is None or shown.kind in ChangeKind


def device_list(data: bytes) -> None:
    """A list of devices that its owner has signed, whatever it says; and the bytes as a label of a device that it has.

    Input: what is signed.
    """
    signed = SignedDevices(IDENTITY.public, data, IDENTITY.sign(_TAG + data))
    try:
        roll = opened_devices(signed, ANN)
    except DeviceListError as error:
        check_sentence(str(error))
    else:
        assert roll.identity == IDENTITY.public
        assert len({it.static_key for it in roll.devices}) == len(roll.devices)
        assert roll.entry(roll.primary.device) is roll.primary
    try:
        checked_label(ListedDevice(NEW, 0, label_digest(data)), data)
    except DeviceListError as error:
        check_sentence(str(error))


def linking_talk(data: bytes) -> None:
    """What the other device says once both know the code.

    Input: a byte for who speaks and when, then the plaintext.
    """
    turn, words = data[0] % 4 if data else 0, data[1:]
    new, primary = newcomer(), sponsor()
    answer = new.meet(primary.begin(), 1.0)
    if turn == 0:
        _heard(partial(newcomer().meet, words, 1.0))
        _heard(partial(primary.met, words))
        return
    primary.met(answer)
    if turn == 1:
        _heard(partial(new.offered, _sealed(primary, words)))
    elif turn == 2:
        new.offered(primary.offer())
        _heard(partial(primary.accepted, _sealed(new, words)))
    else:
        new.offered(primary.offer())
        primary.accepted(new.accepted())
        _heard(partial(new.linked, _sealed(primary, words)))


def _sealed(end: Any, words: bytes) -> bytes:
    """Words that the real end would never say."""
    sealed: bytes = end._sending.encrypt(words)
    return sealed


def _heard(listen: Callable[[], object]) -> None:
    try:
        listen()
    except LinkError as error:
        if str(error):  # the other device's own words, which may be none
            check_sentence(str(error))


TRUST_TARGETS = (
    Target("pasted_secret", pasted_secret, "a code or link that reads back, or LinkError, InviteLinkError"),
    Target("group_change", group_change, "the change, or RemoteProtocolError; a client takes it for a newer one"),
    Target("device_list", device_list, "devices, each once, or DeviceListError"),
    Target("linking_talk", linking_talk, "what is expected next, or LinkError"),
)
