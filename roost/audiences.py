"""For which lists of devices our messages are made: what the server told last, by conversation.

Nothing is asked for: a message to somebody new says that it knows nothing, is refused with the right lists, and goes
out again under the same number. So a list that has changed costs one refusal, and an unchanged one nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import is_group, members_of
from roost.changes import ListsKnown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocol import AccountId, ConversationId, DeviceId
    from protocol.messages import Stale
    from roost.changes import Snapshot
    from roost.steps import Step

__all__ = ["Audiences"]


class Audiences:
    """The lists of every conversation that was ever sent to.

    Args:
        snapshot: what the database holds.
        knows_devices: whether to remember, for as long as the program runs, the devices on the lists too.
    """

    __slots__ = ("_account", "_devices", "_knows_devices", "_lists", "_own_version")

    def __init__(self, snapshot: Snapshot, *, knows_devices: bool = False) -> None:
        self._account = snapshot.account
        self._lists = dict(snapshot.lists)
        self._knows_devices = knows_devices
        self._devices: dict[AccountId, tuple[int, tuple[DeviceId, ...]]] = {}
        self._own_version = 0

    def known(self, conversation: ConversationId) -> list[int]:
        """What a message says that is made now; empty if nothing is known of the conversation."""
        lists = self._lists.get(conversation)
        if lists is None:
            return []
        if self._own_version and not is_group(conversation):
            own = members_of(conversation)
            return [
                max(version, self._own_version) if account == self._account else version
                for account, version in zip(dict.fromkeys(own), lists, strict=False)
            ]
        return list(lists)

    def named(self, conversation: ConversationId) -> list[int]:
        """What a message has to say that is made now, known or not."""
        return self.known(conversation) or [0] * self._count(conversation)

    def addressed(self, conversation: ConversationId) -> tuple[list[int], list[DeviceId] | None]:
        """What a message between two says that has a payload for each device, and for which devices.

        The devices are None if not all are known. Then the message can have no payload, and says 0 for each list that
        is not known: no list has that version, so it is refused with what there is.
        """
        known = [self._known_devices(account) for account in dict.fromkeys(members_of(conversation))]
        versions = [version for version, _ in known]
        return versions, [device for _, devices in known for device in devices] if all(versions) else None

    def _known_devices(self, account: AccountId) -> tuple[int, tuple[DeviceId, ...]]:
        version, devices = self._devices.get(account, (0, ()))
        is_outdated = account == self._account and version < self._own_version
        return (0, ()) if is_outdated else (version, devices)

    def listed(self, account: AccountId, version: int, devices: Iterable[DeviceId]) -> None:
        """An account has these devices, as the server says."""
        if self._knows_devices:
            self._devices[account] = (version, tuple(devices))

    def _learn_devices(self, conversation: ConversationId, stale: Stale) -> None:
        """Take over the lists that are told; one that we still know in another version is to be told next time.

        If none is told, the versions that the message named are right and the devices that it was made for are not.
        """
        for told in stale.accounts:
            self.listed(told.account, told.version, told.devices)
        for account, version in zip(dict.fromkeys(members_of(conversation)), stale.lists, strict=True):
            known, _ = self._devices.get(account, (0, ()))
            if not stale.accounts or known != version:
                self._devices.pop(account, None)

    @staticmethod
    def _count(conversation: ConversationId) -> int:
        return 1 if is_group(conversation) else len(set(members_of(conversation)))

    def own(self, version: int) -> None:
        """Our own list has this version, as the server says; 0 from one that does not count."""
        self._own_version = version

    def learn(self, conversation: ConversationId, stale: Stale, step: Step) -> bool:
        """Take over what the server says is right; False if it shows an older list of somebody than it did before.

        Then it has lost something, or hides it: what was known is forgotten, so that a person may try again. What is
        known of our own list from elsewhere does not count here, for this answer may have crossed with that news.
        """
        before = self._lists.get(conversation, ())
        if len(stale.lists) != self._count(conversation):
            return False
        if self._knows_devices and not is_group(conversation):
            self._learn_devices(conversation, stale)
        is_older = not is_group(conversation) and any(
            version < known for version, known in zip(stale.lists, before, strict=False)
        )
        self._own_version = 0 if is_older else self._own_version
        self._lists[conversation] = () if is_older else tuple(stale.lists)
        if is_older:
            del self._lists[conversation]
        step.changes.append(ListsKnown(conversation, self._lists.get(conversation, ())))
        return not is_older
