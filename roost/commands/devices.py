"""The devices of an account: list them, link a new one, remove and rename them, and look at those of others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from roost.commands.accounts import key_of, typed
from roost.commands.opened import opened
from roost.errors import LinkError, RoostError
from roost.events import DeviceAdded
from roost.link import link as link_here
from roost.plain import date_and_time, identity_sentence, one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Coroutine

    from roost.client import Client
    from roost.link_code import LinkCode
    from roost.own_devices import KnownDevice

__all__ = ["devices", "link"]

_OTHER_SERVER = (
    "It sees another server than this device: another host of the same cluster, or somebody in between. "
    "Say yes only if you know that it is the former."
)
_WARNING = "Say yes only if you are looking at this code on your own new device: it will read and write as you."


async def link(arguments: argparse.Namespace) -> None:
    """Show a code on this new computer, and wait until the primary device has confirmed it."""
    account = await link_here(
        _show,
        server=arguments.server,
        device_name=arguments.device_name,
        server_key=key_of(arguments.server_key),
    )
    print(f"This computer is a device of {account} now. Next: roost chat --account {account}")


def _show(code: LinkCode, lifetime_s: float) -> None:
    if sys.stderr.isatty():
        print("\n".join(code.qr_lines()), file=sys.stderr)
    print(f"On the primary device: roost devices link {code.text}", file=sys.stderr)
    print(f"or scan the code. It can be used once, within {lifetime_s:.0f} seconds.", file=sys.stderr, flush=True)


async def devices(arguments: argparse.Namespace) -> None:
    """Print the account's devices, after doing what was asked with one."""
    words = [*([arguments.action] if arguments.action else []), *arguments.what]
    if arguments.remove:
        words = ["revoke", arguments.remove]
    action, *rest = words or ["list"]
    act, count = _ACTIONS[action]
    if len(rest) != count:
        raise RoostError(f"roost devices {action} takes {count} more words, not {len(rest)}. See: roost devices --help")
    async with opened(arguments) as client:
        await act(client, *rest, **({"sure": arguments.yes} if action == "link" else {}))


async def _list(client: Client) -> None:
    found = await client.devices.list()
    for device in found:
        marks = [word for word, fits in (("primary", device.primary), ("this one", device.current)) if fits]
        marks += [] if device.signed else ["not signed"]
        seen = date_and_time(device.last_login_ms)
        what = " ".join(filter(None, [one_line(device.name), f"[{one_line(device.platform)}]" * bool(device.platform)]))
        print(f"{device.device.hex()[:8]}  last login {seen}  {what}{'  (' + ', '.join(marks) + ')' if marks else ''}")


async def _link(client: Client, code: str, *, sure: bool) -> None:
    request = await client.devices.link(code)
    name = one_line(request.name)
    try:
        if sure and not request.same_server:
            raise LinkError(f"{_OTHER_SERVER} Without --yes you are asked.")
        if not sure:
            print(
                f"{name} [{one_line(request.platform)}] ({request.device.hex()[:8]}) knows the code.", file=sys.stderr
            )
            print(_WARNING, file=sys.stderr)
            if not request.same_server:
                print(_OTHER_SERVER, file=sys.stderr)
            if (await typed(f"Link {name} with your account? [y/N] ")).strip().lower() not in ("y", "yes"):
                raise LinkError(f"{name} was not linked.")
    except BaseException:
        request.reject()
        raise
    await request.confirm()
    print(f"Linked {name}.")
    await _list(client)
    # Whoever has just confirmed it knows of it; every other device is told.
    client.device_news_told(
        *(one for one in client.device_news if isinstance(one, DeviceAdded) and one.device == request.device)
    )


async def _revoke(client: Client, prefix: str) -> None:
    device = await _one(client, prefix)
    await client.devices.revoke(device.device)
    print(f"Removed {one_line(device.name)}.{' What was said stays on this computer.' * device.current}")
    if not device.current:
        await _list(client)


async def _rename(client: Client, prefix: str, name: str) -> None:
    await client.devices.rename((await _one(client, prefix)).device, name)
    await _list(client)


async def _of(client: Client, address: str) -> None:
    peer = await client.devices.of(address)
    if peer.changed:
        print(identity_sentence(peer.account), file=sys.stderr)
    signed = "nobody signs them" if peer.identity is None else f"signed by {peer.identity.hex()[:16]}"
    print(f"{peer.account} has {len(peer.devices)} devices; {signed}.")


async def _one(client: Client, prefix: str) -> KnownDevice:
    matching = [one for one in await client.devices.list() if prefix and one.device.hex().startswith(prefix.lower())]
    if len(matching) != 1:
        count = "No device" if not matching else "More than one device"
        raise RoostError(f"{count} begins with {prefix!r}. The list says which there are: roost devices")
    return matching[0]


_ACTIONS: dict[str, tuple[Callable[..., Coroutine[Any, Any, None]], int]] = {
    "list": (_list, 0),
    "link": (_link, 1),
    "revoke": (_revoke, 1),
    "rename": (_rename, 2),
    "of": (_of, 1),
}
