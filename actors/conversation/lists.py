"""Whether a message was made for the devices that there are, and if not, what is right. Pure.

As Signal's answers 409 and 410 do, it tells missing, extra and replaced devices apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.conversation.logic import Refusal
from protocol import AccountId, Code, DeviceId
from protocol.limits import STALE_ENTRIES_MAX
from protocol.messages import AccountDevices, Stale

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.accounts.api import AccountView
    from protocol.messages import Send
    from storage.records import Target

__all__ = ["TOLD_DEVICES_MAX", "page_of", "refused_by_form", "stale"]

TOLD_DEVICES_MAX: Final = 2_048
"""Devices in the lists of one answer, so that it fits into a frame."""
TOLD_ACCOUNTS_MAX: Final = 256


def refused_by_form(frame: Send, *, lists_required: bool) -> Refusal | None:
    """Whether a send can be judged at all; None if so."""
    if frame.payloads:
        devices = {own.device for own in frame.payloads}
        if frame.payload or not frame.lists or len(devices) != len(frame.payloads):
            return Refusal(Code.BUNDLE_INVALID)
    elif lists_required and not frame.lists:
        return Refusal(Code.LISTS_NEEDED)
    return None


def stale(
    frame: Send,
    lists: list[int],
    named: Mapping[AccountId, int] | None,
    targets: list[Target],
    views: Mapping[AccountId, AccountView],
) -> Stale | None:
    """What is wrong with the lists that a send was made for; None if nothing is.

    Args:
        frame: The send.
        lists: What it should say.
        named: Which versions it says of the lists that have changed, if that is known.
        targets: Whom it would go to.
        views: The accounts.
    """
    there = {DeviceId(device) for _, devices in targets for device in devices}
    bundle = {own.device for own in frame.payloads}
    missing = there - bundle if bundle else set()
    extra = bundle - there
    if frame.lists == lists and not missing and not extra:
        return None
    known = [(views[account], version) for account, version in (named or {}).items() if account in views]
    fresh = {device for view, version in known for device in _since(view, version)} & there
    accounts, complete = page_of(view for view, version in known if view.devices_version != version)
    return Stale(
        lists,
        accounts if complete else [],
        sorted(missing or fresh - bundle)[:STALE_ENTRIES_MAX],
        sorted(extra)[:STALE_ENTRIES_MAX],
        sorted(fresh & bundle)[:STALE_ENTRIES_MAX],
    )


def _since(view: AccountView, version: int) -> Iterable[DeviceId]:
    """The devices of an account that came, or came anew, after a version of its list."""
    return (device for device, since in zip(view.devices, view.since, strict=False) if since > version)


def page_of(views: Iterable[AccountView]) -> tuple[list[AccountDevices], bool]:
    """The devices of some accounts, and whether that is all of them: as many as fit into one answer."""
    page: list[AccountDevices] = []
    count = 0
    for view in views:
        count += len(view.devices)
        if count > TOLD_DEVICES_MAX or len(page) >= TOLD_ACCOUNTS_MAX:
            return page, False
        page.append(AccountDevices(view.account, view.devices_version, list(view.devices)))
    return page, True
