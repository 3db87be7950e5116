"""Device lists in the model server: what a message of two was made for, and what devices missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from protocol import Code, is_group, members_of
from protocol import messages as m

if TYPE_CHECKING:
    from protocol import DeviceId
    from tests.roost.model_server import Link, ModelServer


class ModelLists:
    """Of one server.

    Args:
        server: The server.

    Attributes:
        stale_sends: How many sends were made for other lists than there are.
        offset: By how much it shows all lists to be newer, or older, than they are.
        supplements: What was brought to devices.
        supplement_error: What a supplement is answered with; None for Done.
    """

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self.stale_sends = 0
        self.offset = 0
        self.supplements: list[m.Supplement] = []
        self.supplement_error: tuple[Code, str, int] | None = None

    def refuses(self, link: Link, frame: m.Send) -> bool:
        """Whether a send was made for other lists than there are, and is answered so."""
        if is_group(frame.conversation) or not frame.lists:
            return False
        accounts = [(name, self._server.accounts[name]) for name in dict.fromkeys(members_of(frame.conversation))]
        lists = [account.devices_version + self.offset for _, account in accounts]
        there = {device for _, account in accounts for device in account.devices} - {link.device}
        bundle = {own.device for own in frame.payloads}
        missing, extra = (there - bundle, bundle - there) if bundle else (set(), set())
        if frame.lists == lists and not missing and not extra:
            return False
        self.stale_sends += 1
        shown = [
            m.AccountDevices(name, version, list(account.devices))
            for (name, account), version, named in zip(accounts, lists, frame.lists, strict=True)
            if version != named
        ]
        stale = m.Stale(lists, shown, sorted(missing), sorted(extra), [])
        code = Code.DEVICES_STALE
        link.out.append(m.Refused(frame.conversation, frame.number, frame.client_id, code, code.sentence, -1, 0, stale))
        return True

    @staticmethod
    def own(frame: m.Send, message: m.Message, device: DeviceId) -> m.Message:
        """A message as a device gets it: with the payload that is for it, if each has its own."""
        payloads = {own.device: own.payload for own in frame.payloads}
        return msgspec.structs.replace(message, payload=payloads[device]) if payloads else message

    def receive(self, link: Link, frame: object) -> bool:
        """Somebody brings a message to a device that missed it, perhaps; whether it was that."""
        if not isinstance(frame, m.Supplement):
            return False
        self.supplements.append(frame)
        error = self.supplement_error
        link.out.append(m.Done(frame.request) if error is None else m.Error(frame.request, *error))
        return True
