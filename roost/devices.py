"""The devices of our own account: whoever registers one in our name is found out.

The server tells the version of the list at each login and at each change. When it is another than the one seen last,
the list is asked for and compared with what was known, so nothing is missed however long this device was away. What is
new is kept until a person has been told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.messages import ListDevices
from roost.changes import DevicesKnown
from roost.events import DeviceAdded, DeviceRemoved

if TYPE_CHECKING:
    from protocol.messages import Devices
    from roost.requests import Requests
    from roost.steps import Step

__all__ = ["ASK_AGAIN_S", "NEWS_MAX", "DeviceList"]

ASK_AGAIN_S: Final = 60.0
"""A list that was asked for and did not come is asked for again, for as long as the session stands."""
NEWS_MAX: Final = 32
"""Changes kept for a person to hear of; the oldest go first."""


class DeviceList:
    """What is known of the account's devices.

    Args:
        known: what the database holds; None in one that has never seen the list: all that it sees first is old.
    """

    __slots__ = ("_ask_again_s", "_known", "_told_version")

    def __init__(self, known: DevicesKnown | None) -> None:
        self._known = known
        self._told_version = 0
        self._ask_again_s: float | None = None

    @property
    def news(self) -> tuple[DeviceAdded | DeviceRemoved, ...]:
        """The changes of which no person has been told, the oldest first."""
        return self._known.news if self._known is not None else ()

    def told(self, version: int, requests: Requests, now_s: float, step: Step) -> None:
        """The server says which version the list has now; 0 from one that does not count."""
        seen_version = self._known.version if self._known is not None else 0
        self._told_version = version
        if version in (0, seen_version):
            self._ask_again_s = None
            return
        self._ask_again_s = now_s + ASK_AGAIN_S
        requests.ask(ListDevices, now_s, step)

    def listed(self, answer: Devices, now_ms: int, step: Step) -> None:
        """The list came, whoever asked for it."""
        before = self._known
        devices = {device.device: device.name for device in answer.devices}
        changes: list[DeviceAdded | DeviceRemoved] = []
        if before is not None:
            old = dict(before.devices)
            changes += [
                DeviceAdded(device.device, device.name, device.created_ms)
                for device in answer.devices
                if device.device not in old and not device.current
            ]
            changes += [DeviceRemoved(device, name, now_ms) for device, name in old.items() if device not in devices]
        version = self._told_version or (before.version if before is not None else 0)
        known = DevicesKnown(version, tuple(devices.items()), (*self.news, *changes)[-NEWS_MAX:])
        self._ask_again_s = None
        if known != before:
            self._known = known
            step.changes.append(known)
        step.events += changes

    def news_told(self, news: tuple[DeviceAdded | DeviceRemoved, ...], step: Step) -> None:
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
        self._ask_again_s = None
