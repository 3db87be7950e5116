"""The devices of our own account: only what its primary signed is believed, and the person is told of each change.

The server tells the version of the list at each login and at each change. When it is another than the one seen last,
the list is asked for and compared with what was known, so nothing is missed however long this device was away. What is
new is kept until a person has been told.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from protocol import Code, normalized_name
from protocol.device_list import ListedDevice, label_digest, sealed_label, sign_devices
from protocol.messages import FetchDevices, SignDevices
from roost.changes import DevicesKnown, Pinned, VersionSigned
from roost.device_trust import judged, labels_of, pin_of
from roost.errors import DevicesForgedError
from roost.events import DeviceAdded, DeviceRemoved, DevicesForged
from roost.requests import ANSWER_WAIT_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol import DeviceId
    from protocol.device_list import DeviceRoll
    from protocol.keys import RandomBytes
    from protocol.messages import DeviceList, SignedDevices
    from roost.changes import Snapshot
    from roost.device_trust import Pin
    from roost.events import DeviceNews
    from roost.linking import Introduction
    from roost.requests import Requests
    from roost.steps import Step

__all__ = ["ASK_AGAIN_S", "NEWS_MAX", "KnownDevices"]

ASK_AGAIN_S: Final = 60.0
"""A list that was asked for and did not come is asked for again, for as long as the session stands."""
NEWS_MAX: Final = 32
"""Changes kept for a person to hear of; the oldest go first."""


class _HandedIn(NamedTuple):
    """A list of ours that has no answer: until when there may be one, and whom it left out of the one before."""

    request: int
    until_s: float
    left_out: set[DeviceId]


class KnownDevices:
    """What is known of the account's devices.

    Args:
        snapshot: what the database holds; without known devices, all that is seen first is old.

    Attributes:
        roll: the signed list as it was believed last in this run; None before, or if nobody signs.
        labels: of each device on it, as they were signed.
        signed: what this device signed last, in this run.
    """

    __slots__ = (
        "_account", "_ask_again_s", "_handed_in", "_known", "_pin", "_signed_off", "_signed_version", "_signer",
        "_told_version", "labels", "roll", "signed",
    )  # fmt: skip

    def __init__(self, snapshot: Snapshot) -> None:
        self._account = snapshot.account
        self._known = snapshot.devices
        self._pin = snapshot.pin
        self._signer = snapshot.signer
        self._signed_version = snapshot.signed_version
        self._told_version = 0
        self._signed_off: set[DeviceId] = set()
        self._handed_in: _HandedIn | None = None
        self._ask_again_s: float | None = None
        self.roll: DeviceRoll | None = None
        self.labels: tuple[bytes, ...] = ()
        self.signed: SignedDevices | None = None

    @property
    def news(self) -> tuple[DeviceNews, ...]:
        """The changes of which no person has been told, the oldest first."""
        return self._known.news if self._known is not None else ()

    @property
    def known(self) -> DevicesKnown | None:
        """What the database holds."""
        return self._known

    @property
    def pin(self) -> Pin | None:
        """The signed list that was believed last."""
        return self._pin

    @property
    def is_primary(self) -> bool:
        """Whether this device holds the key that signs."""
        return self._signer is not None

    def told(self, version: int, requests: Requests, now_s: float, step: Step) -> None:
        """The server says which version the list has now; 0 from one that does not count."""
        seen_version = self._known.version if self._known is not None else 0
        self._told_version = version
        if version in (0, seen_version):
            self._ask_again_s = None
            return
        self._ask_again_s = now_s + ASK_AGAIN_S
        requests.ask(lambda number: FetchDevices(number, self._account), now_s, step)

    def listed(self, answer: DeviceList, requests: Requests, now_s: float, now_ms: int, step: Step) -> bool:
        """The list came, whoever asked for it; whether it is believed."""
        self._ask_again_s = None
        try:
            roll = judged(answer, self._pin)
            names = [label.name for label in labels_of(answer, roll)] if roll is not None else []
        except DevicesForgedError as error:
            self._learn(answer.version, None, [DevicesForged(error.sentence, now_ms)], step)
            return False
        if roll is None or answer.signed is None:
            devices = {device.device: device.name for device in answer.own}
        else:
            present = set(answer.devices)
            named = zip(roll.devices, names, strict=True)
            devices = {entry.device: name for entry, name in named if entry.device in present}
            self.roll, self.labels = roll, tuple(answer.labels)
            if self._pin is None or roll.version > self._pin.version:
                self._pin = pin_of(answer.signed, roll.version)
                step.changes.append(Pinned(self._account, self._pin))
        self._learn(answer.version, devices, self._changes(answer, devices, now_ms), step)
        is_signing = self._handed_in is not None and now_s < self._handed_in.until_s
        if roll is not None and self._signer is not None and len(devices) < len(roll.devices) and not is_signing:
            self.sign(self.entries(set(devices)), requests, now_s, step)  # the server let some go: they are off now
        return True

    def answered(self, request: int, code: int) -> None:
        """The server has answered a request; if that was a list of ours, its code says why it was not taken.

        Whom a list left out that is refused for good stays on the next one, as its person was told.
        """
        if self._handed_in is not None and request == self._handed_in.request:
            if code not in (0, Code.LIST_STALE):
                self._signed_off -= self._handed_in.left_out
            self._handed_in = None

    def _changes(self, answer: DeviceList, devices: dict[DeviceId, str], now_ms: int) -> list[DeviceNews]:
        if self._known is None:
            return []
        old = dict(self._known.devices)
        created_ms = {device.device: (device.created_ms, device.current) for device in answer.own}
        changes: list[DeviceNews] = []
        for device, name in devices.items():
            since_ms, current = created_ms.get(device, (now_ms, False))
            if device not in old and not current:
                changes.append(DeviceAdded(device, name, since_ms))
        changes += [DeviceRemoved(device, name, now_ms) for device, name in old.items() if device not in devices]
        return changes

    def _learn(self, version: int, devices: dict[DeviceId, str] | None, news: list[DeviceNews], step: Step) -> None:
        """Remember the list, if there is one to believe, and what is new."""
        before = self._known
        told = tuple(devices.items()) if devices is not None else before.devices if before is not None else ()
        fresh = [one for one in news if not self._is_known_forgery(one)]
        known = DevicesKnown(self._told_version or version, told, (*self.news, *fresh)[-NEWS_MAX:])
        if known != before:
            self._known = known
            step.changes.append(known)
        step.events += news

    def _is_known_forgery(self, news: DeviceNews) -> bool:
        return isinstance(news, DevicesForged) and any(
            isinstance(old, DevicesForged) and old.sentence == news.sentence for old in self.news
        )

    def entries(self, devices: set[DeviceId]) -> list[tuple[ListedDevice, bytes]]:
        """The entries of these devices on the list, with their labels; the primary is always among them.

        Whom a list of ours has left out is not among them: that one may be on its way yet, and this one comes after it.
        """
        if self.roll is None:
            return []
        wanted = devices - self._signed_off
        pairs = list(zip(self.roll.devices, self.labels, strict=True))
        return [pair for index, pair in enumerate(pairs) if index == 0 or pair[0].device in wanted]

    def entries_with(
        self, newcomer: Introduction, now_ms: int, random_bytes: RandomBytes = os.urandom
    ) -> list[tuple[ListedDevice, bytes]]:
        """The entries of the devices that there are, and of a new one; an entry of the same key gives way to it.

        Args:
            newcomer: who it is; its name can be shown to a person.
            now_ms: milliseconds since 1970.
            random_bytes: source of the label's salt.
        """
        present = dict(self._known.devices if self._known is not None else ())
        label = sealed_label(normalized_name(newcomer.name), newcomer.platform, random_bytes)
        listed = ListedDevice(newcomer.static_key, now_ms, label_digest(label))
        return [*self.entries(set(present) - {listed.device}), (listed, label)]

    def entries_without(self, device: DeviceId) -> list[tuple[ListedDevice, bytes]]:
        """The entries of the devices on the list but one; the primary stays."""
        listed = self.roll.devices if self.roll is not None else ()
        return self.entries({entry.device for entry in listed} - {device})

    def sign(
        self, entries: Sequence[tuple[ListedDevice, bytes]], requests: Requests, now_s: float, step: Step
    ) -> int | None:
        """Sign a list and hand it in; the number of the request, or None if this device does not sign.

        The version is on disk before the list leaves, so no version is ever signed twice.
        """
        if self._signer is None or self.roll is None:
            return None
        signed_on = {entry.device for entry, _ in entries}
        left_out = {entry.device for entry in self.roll.devices} - signed_on - self._signed_off
        self._signed_off = (self._signed_off | left_out) - signed_on
        version = max(self._signed_version, self.roll.version) + 1
        self._signed_version = version
        step.changes.append(VersionSigned(version))
        signed = sign_devices(self._signer, self._account, version, [entry for entry, _ in entries])
        self.signed = signed
        labels = [label for _, label in entries]
        number = requests.ask(lambda number: SignDevices(number, signed, labels), now_s, step)
        self._handed_in = _HandedIn(number, now_s + ANSWER_WAIT_S, left_out)
        return number

    def news_told(self, news: tuple[DeviceNews, ...], step: Step) -> None:
        """A person was told of these."""
        known = self._known
        if known is not None and any(change in news for change in known.news):
            left = tuple(change for change in known.news if change not in news)
            self._known = DevicesKnown(known.version, known.devices, left)
            step.changes.append(self._known)

    def advance(self, requests: Requests, now_s: float, step: Step) -> None:
        """Ask again for a list that did not come."""
        if self._ask_again_s is not None and now_s >= self._ask_again_s:
            self.told(self._told_version, requests, now_s, step)

    def next_deadline_s(self) -> float | None:
        """Return when `advance` has something to do."""
        return self._ask_again_s

    def disconnected(self) -> None:
        """The next login says which version there is then."""
        self._ask_again_s = self._handed_in = None
