"""The presence of one account: pure.

Subscribers are known by opaque handles (their pids), so that the logic needs no runtime. State is mutated in place:
presence is touched at every typing burst and short drop of whoever is watched.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from actors.accounts.api import AccountView
    from protocol import AccountId, ConversationId, DeviceId

__all__ = ["Picture", "PresenceState"]

Handle = TypeVar("Handle", bound=Hashable)


class Picture(NamedTuple):
    """What one viewer may see: None and 0 where it is hidden."""

    online: bool | None
    last_seen_ms: int
    devices: int


class PresenceState(Generic[Handle]):
    """Which devices are here, and who looks.

    Args:
        last_seen_ms: when the account was last online, 0 if never.
        subscribers_max: watchers kept; more are refused.
    """

    __slots__ = ("_devices", "_last_told", "_subscribers_max", "last_seen_ms", "subscribers")

    def __init__(self, last_seen_ms: int, subscribers_max: int) -> None:
        self.last_seen_ms = last_seen_ms
        self.subscribers: dict[tuple[Handle, ConversationId], AccountId] = {}
        self._devices: dict[DeviceId, bool] = {}
        self._subscribers_max = subscribers_max
        self._last_told: dict[Handle, Picture] = {}

    @property
    def online(self) -> bool:
        """Whether a person looks at one of the devices."""
        return any(self._devices.values())

    @property
    def devices(self) -> tuple[DeviceId, ...]:
        """The devices that are here, looked at or not."""
        return tuple(self._devices)

    def appear(self, device: DeviceId, foreground: bool, now_ms: int) -> None:
        """A device is here, or went to or from the foreground."""
        was_online = self.online
        self._devices[device] = foreground
        self._note_absence(was_online, now_ms)

    def vanish(self, device: DeviceId, now_ms: int) -> None:
        """A device is gone."""
        was_online = self.online
        self._devices.pop(device, None)
        self._note_absence(was_online, now_ms)

    def _note_absence(self, was_online: bool, now_ms: int) -> None:
        if was_online and not self.online:
            self.last_seen_ms = max(self.last_seen_ms, now_ms)

    def subscribe(self, connection: Handle, viewer: AccountId, conversation: ConversationId) -> bool:
        """Keep a watcher; False when there are too many others."""
        watcher = (connection, conversation)
        if watcher not in self.subscribers and len(self.subscribers) >= self._subscribers_max:
            return False
        self.subscribers[watcher] = viewer
        return True

    def unsubscribe(self, connection: Handle, conversation: ConversationId | None = None) -> bool:
        """Forget a watcher, in one conversation or in all; True when none of it is left."""
        for key in [key for key in self.subscribers if key[0] == connection and conversation in (None, key[1])]:
            del self.subscribers[key]
        if any(key[0] == connection for key in self.subscribers):
            return False
        self._last_told.pop(connection, None)
        return True

    def picture(self, viewer: AccountId, view: AccountView) -> Picture:
        """What `viewer` may see of this account under its privacy settings."""
        online = self.online
        shows_online = view.shows(view.online, viewer)
        shows_last_seen = view.shows(view.last_seen, viewer)
        devices = len(self._devices) if shows_online else 0
        return Picture(
            online if shows_online else None,
            self.last_seen_ms if shows_last_seen and not online else 0,
            devices,
        )

    def news(self, view: AccountView) -> Iterator[tuple[Handle, Picture]]:
        """Each watcher whose picture changed since it was last told, with the new picture."""
        for (connection, _), viewer in self.subscribers.items():
            picture = self.picture(viewer, view)
            if self._last_told.get(connection) != picture:
                self._last_told[connection] = picture
                yield connection, picture

    def onlookers(self, conversation: ConversationId, view: AccountView) -> list[Handle]:
        """The watchers that have `conversation` open and may know that the account types there."""
        return [
            connection
            for (connection, open_conversation), viewer in self.subscribers.items()
            if open_conversation == conversation and viewer not in view.blocked
        ]
