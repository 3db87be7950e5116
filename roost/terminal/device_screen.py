"""Our devices: which there are, and, on the primary, how a new one is linked and an old one removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from protocol import DeviceId
from roost.errors import RoostError
from roost.plain import date_and_time, one_line

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from roost.client import Client
    from roost.own_devices import KnownDevice, LinkRequest

__all__ = ["DeviceScreen"]

_HELP_PRIMARY: Final = "New device: run `roost link` there, its code goes here. ↓ and Del remove one, Esc goes back."
_HELP_LINKED: Final = "Devices are linked and removed on the primary one. Esc goes back."
_SURE: Final = "Enter says yes, Esc no. Say yes only if you look at this code on your own new device."
_OTHER_SERVER: Final = "It sees another server: another host of the same cluster, or somebody in between."


class DeviceScreen(ModalScreen[None]):
    """A small window: the list, a line for the code of a new device, and what came of it.

    Args:
        client: the account.
        confirmed: takes each device that is linked here: whoever does that needs not be told of it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("delete", "remove", "Remove"),
        Binding("down", "list", "List"),
    ]

    def __init__(self, client: Client, confirmed: set[DeviceId]) -> None:
        super().__init__()
        self._client = client
        self._confirmed_here = confirmed
        self._request: LinkRequest | None = None
        self._leaving: KnownDevice | None = None
        self._devices: dict[str, KnownDevice] = {}

    def compose(self) -> ComposeResult:
        """Lay out the window."""
        with Vertical(id="devices"):
            yield Static("Your devices", classes="title", markup=False)
            yield OptionList(id="device-list", markup=False)
            yield Input(placeholder="code of a new device", id="code", max_length=60)
            yield Static("", id="answer", markup=False)

    async def on_mount(self) -> None:
        """Show the list."""
        primary = self._client.devices.can_sign
        self.query_one("#code", Input).display = primary
        self._say(_HELP_PRIMARY if primary else _HELP_LINKED)
        if primary:
            self.query_one("#code", Input).focus()
        self.run_worker(self._refresh_list())

    async def _refresh_list(self) -> None:
        try:
            devices = await self._client.devices.list()
        except RoostError as error:
            self._say(error.sentence, refused=True)
            return
        shown = self.query_one("#device-list", OptionList)
        shown.clear_options()
        self._devices = {device.device.hex(): device for device in devices}
        shown.add_options([Option(_line(device), id=key) for key, device in self._devices.items()])

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Meet the device with that code, or say yes to it, or to a removal."""
        event.stop()
        if self._leaving is not None:
            self.run_worker(self._removed(self._leaving), exclusive=True)
        elif self._request is not None:
            self.run_worker(self._confirmed(self._request), exclusive=True)
        elif event.value.strip():
            self._say("Looking for the device ...")
            self.run_worker(self._met(event.value), exclusive=True)

    async def _met(self, code: str) -> None:
        try:
            self._request = await self._client.devices.link(code)
        except RoostError as error:
            self._say(error.sentence, refused=True)
            return
        request = self._request
        what = f"{one_line(request.name)} [{one_line(request.platform)}] knows the code. "
        self._say(what + ("" if request.same_server else _OTHER_SERVER + " ") + _SURE)

    async def _confirmed(self, request: LinkRequest) -> None:
        self._request = None
        self._confirmed_here.add(request.device)
        try:
            await request.confirm()
        except RoostError as error:
            self._say(error.sentence, refused=True)
            return
        self.query_one("#code", Input).clear()
        self._say(f"Linked {one_line(request.name)}.")
        await self._refresh_list()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Nothing more is to be seen of a device."""
        event.stop()

    def action_list(self) -> None:
        """Go to the list, where Del removes."""
        shown = self.query_one("#device-list", OptionList)
        shown.focus()
        if shown.highlighted is None and shown.option_count:
            shown.highlighted = 0

    def action_remove(self) -> None:
        """Ask whether the chosen device is to go."""
        shown = self.query_one("#device-list", OptionList)
        if not self._client.devices.can_sign or shown.highlighted is None or not shown.has_focus:
            return
        key = shown.get_option_at_index(shown.highlighted).id
        device = self._devices.get(key or "")
        if device is not None and not device.primary:
            self._leaving = device
            self.query_one("#code", Input).focus()
            self._say(f"Remove {one_line(device.name)}? Enter says yes, Esc no.")

    async def _removed(self, device: KnownDevice) -> None:
        self._leaving = None
        try:
            await self._client.devices.revoke(DeviceId(device.device))
        except RoostError as error:
            self._say(error.sentence, refused=True)
            return
        self._say(f"Removed {one_line(device.name)}.")
        await self._refresh_list()

    def action_back(self) -> None:
        """Say no to what was asked, or leave."""
        if self._request is not None:
            self._request.reject()
            self._say(f"{one_line(self._request.name)} was not linked.")
            self._request = None
        elif self._leaving is not None:
            self._leaving = None
            self._say(_HELP_PRIMARY)
        else:
            self.dismiss(None)

    def _say(self, sentence: str, *, refused: bool = False) -> None:
        answer = self.query_one("#answer", Static)
        answer.update(one_line(sentence))
        answer.set_class(refused, "refused")


def _line(device: KnownDevice) -> str:
    marks = [word for word, fits in (("primary", device.primary), ("this one", device.current)) if fits]
    what = one_line(device.name) + (f" [{one_line(device.platform)}]" if device.platform else "")
    what += f" ({', '.join(marks)})" if marks else ""
    return f"{what}  last login {date_and_time(device.last_login_ms)}"
