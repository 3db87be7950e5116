"""Presence and typing: both may be lost on the way, and both end up true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import is_group
from protocol.messages import TypingBy
from roost.events import PresenceChanged, TypingChanged
from simulation.witness import Checker

if TYPE_CHECKING:
    from typing import Any

    from actors.accounts.api import AccountView
    from protocol import AccountId
    from roost.events import Event
    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from simulation.witness import Witness
    from simulation.world import World

__all__ = ["PresenceConverges"]


class PresenceConverges(Checker):
    """In the calm everybody has chats open: each screen says of each account what is so, as far as it shows it."""

    name = "presence converges"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._seen: dict[tuple[bytes, str], tuple[int, PresenceChanged]] = {}
        self._typing: dict[tuple[bytes, str, str], int] = {}

    def told(self, device: SimulatedDevice, frame: Any) -> None:
        """Typing is told to the others in a chat, and to nobody else."""
        if isinstance(frame, TypingBy) and not is_group(frame.conversation):
            members = frame.conversation.split(":")
            if device.account not in members or frame.account not in members or device.account == frame.account:
                self.breaks(f"{device} heard that {frame.account} types in {frame.conversation}")

    def published(self, device: SimulatedDevice, event: Event) -> None:
        """What a screen shows; a program that starts again shows nothing at first."""
        if isinstance(event, PresenceChanged):
            self._seen[device.id, event.account] = (device.life, event)
        elif isinstance(event, TypingChanged):
            key = (device.id, event.conversation, event.account)
            if event.active:
                self._typing[key] = device.life
            else:
                self._typing.pop(key, None)

    def unrest(self, world: World) -> list[str]:
        """Screens that do not say what is so."""
        views = {person.account: account_view(world.home(person.account), person.account) for person in world.people}
        found = []
        for person in world.people:
            present = _present(self.witness.devices_of(person.account), views[person.account])
            for other in world.people:
                if other is not person and any(person.account in chat.split(":") for chat in other.watched):
                    for device in other.devices:
                        found += self._compare(device, person.account, views[person.account], present)
        for (device_id, chat, account), life in self._typing.items():
            device = self.witness.devices[device_id]
            if device.life == life and device.running:
                found.append(f"{device} shows {account} typing in {chat}")
        return found

    def _compare(
        self, device: SimulatedDevice, account: AccountId, view: AccountView | None, present: list[SimulatedDevice]
    ) -> list[str]:
        """Whether a screen says of an account what is so, and all of it."""
        if not device.online:
            return []
        if view is None:
            return [f"nobody can say who may see {account}"]
        life, event = self._seen.get((device.id, account), (0, None))
        if event is None or life != device.life:
            return [f"{device} was told nothing of {account}"]
        shown = view.shows(view.online, device.account)
        online = any(each.session is not None and each.session.foreground for each in present) if shown else None
        count = len(present) if shown else 0
        if (event.online, event.devices) != (online, count):
            return [f"{device} sees {account} {event.online} on {event.devices} devices, not {online} on {count}"]
        if event.last_seen_ms and (online or not view.shows(view.last_seen, device.account)):
            return [f"{device} sees when {account} was last seen, which is {'now' if online else 'hidden'}"]
        return []


def account_view(node: SimulatedNode | None, account: AccountId) -> AccountView | None:
    """What the process of an account says of it; None while there is none, which is not for long while others look."""
    pid = node.runtime.whereis(("account", account)) if node is not None and node.up else None
    process = None if pid is None else pid._process
    return getattr(process._actor, "view", None) if process is not None else None


def _present(devices: list[SimulatedDevice], view: AccountView | None) -> list[SimulatedDevice]:
    """The account's devices that are connected; a removed one is none of them."""
    return [device for device in devices if device.online and view is not None and device.id in view.devices]
