"""`client.devices`: the devices of our account, and those of others as their primary signed them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from protocol import Code, IdentifierError, device_id_of, normalized_name
from protocol.device_list import ListedDevice, label_digest, sealed_label
from protocol.messages import DeviceList, Done, Error, FetchDevices, JoinLink, LinkEnded, LinkPassed, RemoveDevice
from roost.conversations import account_address
from roost.device_trust import judged, labels_of, pin_of
from roost.errors import (
    AddressError,
    ConnectionClosedError,
    DevicesForgedError,
    LinkError,
    NotConnectedError,
    RefusedError,
    StoppedError,
)
from roost.link_code import LinkCode
from roost.linking import Offer, Sponsor
from roost.reconnection import NO_DEVICE_ANY_MORE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from protocol import AccountId, DeviceId
    from protocol.messages import Frame, SignedDevices
    from roost.device_trust import Pin
    from roost.linking import Introduction
    from roost.session import Session

__all__ = ["KnownDevice", "LinkRequest", "OwnDevices", "PeerDevices"]

Answer = TypeVar("Answer")
_WAIT_S: Final = 30.0
_LIST_TRIES: Final = 4
_LIST_PAUSE_S: Final = 0.2
_UNKNOWN: Final = (
    "The connection broke before the server answered, and did not come back: this device may be removed or not. "
    "When it has come back, the list says which there are: roost devices"
)
_NOT_PRIMARY: Final = (
    "Only the primary device of the account links, removes and renames devices: the one that registered it. "
    "If it is lost, register again with --recover."
)


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device of our account; `current` is this one. Times are milliseconds since 1970.

    Args:
        signed: whether the primary has signed it; False only in an account without a primary.
    """

    device: DeviceId
    name: str
    platform: str
    created_ms: int
    last_login_ms: int
    current: bool
    primary: bool
    signed: bool


@dataclass(frozen=True, slots=True)
class PeerDevices:
    """The devices of another account.

    Args:
        account: whose.
        devices: their ids.
        identity: who signed them; None if nobody did.
        changed: whether that is another identity than this device knew before, which its person should hear of.
    """

    account: AccountId
    devices: tuple[DeviceId, ...]
    identity: bytes | None
    changed: bool


class OwnDevices:
    """What an application does with the devices of its account. Each method needs a connection.

    Every one raises `NotConnectedError` if there is none, and `RefusedError` with the server's reason if it said no.

    Args:
        session: of the account.
        ask: sends a request made from its number, and waits for the answer.
        answer_to: waits for the answer to a request that the session has made.
        wake: lets the runner carry out what the session decided.
        wait_online: waits for a connection.
        pins: reads and writes what is believed of other accounts.
    """

    def __init__(
        self,
        session: Session,
        ask: Callable[..., Any],
        answer_to: Callable[..., Any],
        wake: Callable[[], None],
        wait_online: Callable[[], Awaitable[None]],
        pins: Pins,
    ) -> None:
        self._session = session
        self._ask = ask
        self._answer_to = answer_to
        self._wake = wake
        self._wait_online = wait_online
        self._pins = pins
        self._passed: asyncio.Queue[Frame | None] | None = None
        self._signing = asyncio.Lock()  # each list is made from the one that the server has taken last

    async def list(self) -> list[KnownDevice]:
        """Return the devices of our account, the primary first.

        Raises:
            DevicesForgedError: the server shows devices that the primary has not signed.
        """
        answer, trusted = await self._fetch_own()
        signed = {label.device: label for label in trusted}
        primary = trusted[0].device if trusted else None
        return [
            KnownDevice(
                one.device,
                signed[one.device].name if one.device in signed else one.name,
                signed[one.device].platform if one.device in signed else "",
                one.created_ms,
                one.last_login_ms,
                one.current,
                one.device == primary,
                one.device in signed,
            )
            for one in answer.own
        ]

    @property
    def can_sign(self) -> bool:
        """Whether this is the primary device, which links, renames and removes the others."""
        return self._session.devices.is_primary

    async def of(self, address: str) -> PeerDevices:
        """Return the devices of another account, believed at first sight and checked from then on.

        Raises:
            AddressError: the address is not written correctly.
            DevicesForgedError: the server shows devices that the account's primary has not signed, or an older list.
        """
        account = account_address(address)
        answer = await self._ask(lambda number: FetchDevices(number, account), DeviceList)
        pin = await self._pins.read(answer.account)
        changed = pin is not None and answer.signed is not None and answer.signed.identity != pin.identity
        roll = judged(answer, None if changed else pin)
        if roll is None or answer.signed is None:
            return PeerDevices(answer.account, tuple(answer.devices), None, changed=False)
        await self._pins.write(answer.account, pin_of(answer.signed, roll.version))
        return PeerDevices(answer.account, tuple(answer.devices), roll.identity, changed)

    async def link(self, code: str) -> LinkRequest:
        """Meet the new device that shows a code; nothing happens before `LinkRequest.confirm`.

        Raises:
            LinkError: the code is wrong, used up or too old, or this is not the primary device.
        """
        link_code = LinkCode.parse(code)
        self._check_primary()
        answer, _ = await self._fetch_own()
        assert answer.signed is not None, "a primary has signed"
        if self._passed is not None:
            raise LinkError("Another device is being linked; finish that first.")
        offer = Offer(self._session.account, await self._pins.server_key(), answer.signed.identity)
        sponsor = Sponsor(link_code, offer)
        self._passed = asyncio.Queue(maxsize=32)
        try:
            try:
                await self._ask(lambda number: JoinLink(number, link_code.rendezvous), Done)
            except RefusedError as error:
                raise LinkError(error.sentence, error.code) from error
            self.pass_on(sponsor.begin())
            introduction = sponsor.met(await self.next_payload())
        except BaseException:
            self._passed = None
            raise
        return LinkRequest(self, sponsor, introduction)

    async def revoke(self, device: DeviceId) -> None:
        """Remove a device: it can neither log in nor be sent to any more. A linked device can remove itself only.

        Whoever removes itself stops for good, a moment before or after this returns.

        Raises:
            LinkError: this is the primary device, and was to remove itself.
        """
        async with self._signing:
            leaves = await self._revoke(device)
        if leaves:
            await self._leave(device)

    async def _revoke(self, device: DeviceId) -> bool:
        """Remove another device; or say that it is this very one, which is to leave."""
        session = self._session
        answer, _ = await self._fetch_own()
        if any(one.device == device and one.current for one in answer.own) and not session.devices.is_primary:
            return True
        if session.devices.roll is None or not session.devices.is_primary:
            await self._ask(lambda number: RemoveDevice(number, device), Done)
            return False
        if session.devices.roll.primary.device == device:
            raise LinkError("The primary device cannot be removed; recover the account on another device instead.")
        await self._hand_in(lambda: session.devices.entries_without(device))
        return False

    async def _leave(self, device: DeviceId) -> None:
        """Remove this very device. Its connection may end before the answer: then the next login says what was done."""
        try:
            async with asyncio.timeout(_WAIT_S):
                while not await self._has_left(device):
                    await self._wait_online()
        except TimeoutError:
            raise NotConnectedError(_UNKNOWN) from None
        except (RefusedError, StoppedError) as error:
            if error.code not in NO_DEVICE_ANY_MORE:
                raise

    async def _has_left(self, device: DeviceId) -> bool:
        try:
            await self._ask(lambda number: RemoveDevice(number, device), Done)
        except NotConnectedError:
            return False
        except RefusedError as error:
            if error.code != Code.BUSY or error.retry_after_ms < 0:
                raise
            await asyncio.sleep(error.retry_after_ms / 1000)
            return False
        return True

    async def rename(self, device: DeviceId, name: str) -> None:
        """Call a device otherwise.

        Raises:
            AddressError: nobody could show that name.
            LinkError: this is not the primary device, or there is no such device.
        """
        self._check_primary()
        try:
            normal = normalized_name(name)
        except IdentifierError as error:
            raise AddressError(error.sentence, error.code) from error
        async with self._signing:
            await self._rename(device, normal)

    async def _rename(self, device: DeviceId, normal: str) -> None:
        _, trusted = await self._fetch_own()
        platforms = {label.device: label.platform for label in trusted}
        if device not in platforms:
            raise LinkError("There is no such device. The list says which there are: roost devices")
        label = sealed_label(normal, platforms[device])
        await self._hand_in(
            lambda: [
                (ListedDevice(entry.static_key, entry.added_ms, label_digest(label)), label)
                if entry.device == device
                else (entry, kept)
                for entry, kept in self._session.devices.entries(set(platforms))
            ]
        )

    # For a link under way.

    async def add(self, introduction: Introduction) -> SignedDevices:
        """Put a new device on the list."""
        async with self._signing:
            await self._fetch_own()
            devices = self._session.devices
            signed = await self._hand_in(lambda: devices.entries_with(introduction, time.time_ns() // 1_000_000))
            assert signed is not None, "the server has taken it"
            return signed

    def pass_on(self, payload: bytes) -> None:
        """Pass something to the device that is being linked."""
        self._session.pass_link(payload)
        self._wake()

    async def next_payload(self, wait_s: float = _WAIT_S) -> bytes:
        """Wait for what it passes.

        Raises:
            LinkError: it has gone, or says nothing.
        """
        assert self._passed is not None, "a link is under way"
        try:
            async with asyncio.timeout(wait_s):
                frame = await self._passed.get()
        except TimeoutError as error:
            raise LinkError("The new device does not answer. Show a new code there and try again.") from error
        if isinstance(frame, LinkPassed):
            return frame.payload
        sentence = frame.sentence if isinstance(frame, LinkEnded) else "The connection to the server broke."
        raise LinkError(sentence, frame.code if isinstance(frame, LinkEnded) else 0)

    def link_over(self) -> None:
        """Nothing more is passed."""
        self._passed = None

    def arrived(self, frame: Frame | None) -> None:
        """Something came over the link; a server that floods it is not heard."""
        if self._passed is not None and not self._passed.full():
            self._passed.put_nowait(frame)

    async def _hand_in(self, entries_of: Callable[[], Sequence[tuple[ListedDevice, bytes]]]) -> SignedDevices | None:
        """Sign these devices and have the server take the list, which is returned; made anew if somebody has left."""
        tries = 0
        while True:
            tries += 1
            number = self._session.sign_devices(entries_of())
            signed = self._session.devices.signed
            self._wake()
            try:
                await self._answer_to(number, Done)
            except RefusedError as error:
                if tries == _LIST_TRIES or error.code != Code.LIST_STALE:
                    raise
                await asyncio.sleep(_LIST_PAUSE_S)  # who has left may be on the way to the server's disk
                await self._fetch_own()
            else:
                return signed

    def _check_primary(self) -> None:
        if not self._session.devices.is_primary:
            raise LinkError(_NOT_PRIMARY)

    async def _fetch_own(self) -> tuple[DeviceList, tuple[_Trusted, ...]]:
        """The own list, which the session has judged when it came; nothing is returned of one that is forged."""
        account = self._session.account
        answer = await self._ask(lambda number: FetchDevices(number, account), DeviceList)
        roll = judged(answer, self._session.devices.pin)
        if roll is None:
            return answer, ()
        labels = labels_of(answer, roll)
        return answer, tuple(
            _Trusted(entry.device, label.name, label.platform)
            for entry, label in zip(roll.devices, labels, strict=True)
        )


@dataclass(frozen=True, slots=True)
class _Trusted:
    device: DeviceId
    name: str
    platform: str


class Pins:
    """What is believed of other accounts, in the database; made by the client."""

    def __init__(
        self,
        read: Callable[[str], Any],
        write: Callable[[str, Pin], Any],
        server_key: Callable[[], Any],
    ) -> None:
        self.read = read
        self.write = write
        self.server_key = server_key


class LinkRequest:
    """A new device that knows the code: show its `name` to the person, then `confirm` or `reject`.

    Attributes:
        name: what it calls itself.
        platform: what it says it runs on.
        device: its id.
        same_server: whether it sees the server that we see. If not, it has come to another host of the same cluster, or
            somebody stands between it and the server, which only a person can tell.
    """

    def __init__(self, devices: OwnDevices, sponsor: Sponsor, introduction: Introduction) -> None:
        self.name = introduction.name
        self.platform = introduction.platform
        self.device = device_id_of(introduction.static_key)
        self.same_server = sponsor.sees_same_server(introduction)
        self._devices = devices
        self._sponsor = sponsor
        self._introduction = introduction

    async def confirm(self) -> None:
        """Make it a device of our account.

        Raises:
            LinkError: it did not take the offer, or has gone; then it is no device of ours.
            RefusedError: the server does not take it, for instance because there are too many already.
        """
        devices, sponsor = self._devices, self._sponsor
        try:
            devices.pass_on(sponsor.offer())
            sponsor.accepted(await devices.next_payload())
            try:
                signed = await devices.add(self._introduction)
            except (RefusedError, NotConnectedError, DevicesForgedError) as error:
                devices.pass_on(sponsor.declined(error.sentence))
                raise
            devices.pass_on(sponsor.linked(signed))
        finally:
            devices.link_over()

    def reject(self) -> None:
        """Have nothing to do with it."""
        self._devices.pass_on(self._sponsor.declined("The primary device declined to link this one."))
        self._devices.link_over()


def refused_or(frame: Frame, expected: type[Answer]) -> Answer:
    """The answer that was expected.

    Raises:
        RefusedError: the server said no.
        ConnectionClosedError: it said something else.
    """
    if isinstance(frame, Error):
        raise RefusedError(frame.sentence, frame.code, frame.retry_after_ms)
    if not isinstance(frame, expected):
        raise ConnectionClosedError(f"The server answered with {type(frame).__name__}, which is no answer to that.")
    return frame
