"""Send a message, listen for messages, look at the history."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from protocol import is_group
from roost.commands.opened import opened
from roost.content import Text
from roost.conversations import conversation_with, other_account
from roost.errors import NotConnectedError
from roost.events import DeviceAdded, DeviceRemoved, DevicesForged, EventsLost, MessageReceived
from roost.group import GroupChange
from roost.history import MessageState
from roost.home import find_account
from roost.plain import clock_time, day_name, device_sentence, one_line, shown
from roost.store import Store

if TYPE_CHECKING:
    import argparse

    from roost.client import Client
    from roost.events import DeviceNews
    from roost.history import StoredMessage
    from roost.sending import Sending

__all__ = ["history", "listen", "send"]

_BATCH: Final = 100
_TICKS: Final = {
    MessageState.PENDING: "…",
    MessageState.SENT: "✓",
    MessageState.DELIVERED: "✓✓",
    MessageState.READ: "✓✓ read",
    MessageState.FAILED: "!",
    MessageState.RECEIVED: "",
}


async def send(arguments: argparse.Namespace) -> None:
    """Send one message and wait for as many ticks as wanted."""
    text = sys.stdin.read().rstrip("\n") if arguments.text == "-" else arguments.text
    async with opened(arguments, online=False) as client:
        sending = await client.send(arguments.to, text, ttl_s=arguments.ttl_s, urgent=not arguments.patient)
        try:
            async with asyncio.timeout(arguments.timeout_s):
                await _reached(sending, arguments.wait)
        except TimeoutError as error:
            raise NotConnectedError(_late(client, sending, arguments)) from error
        if arguments.json:
            _print_json({"event": "sent", "id": sending.id, "state": sending.state, "seq": sending.seq})
        elif arguments.wait != "none":
            print(_TICKS[sending.state])


async def _reached(sending: Sending, wanted: str) -> None:
    if wanted == "sent":
        await sending.sent()
    elif wanted == "delivered":
        await sending.delivered()
    elif wanted == "read":
        await sending.read()


def _late(client: Client, sending: Sending, arguments: argparse.Namespace) -> str:
    if sending.state is MessageState.PENDING:
        reason = sending.delay or client.connection.sentence
        why = f" ({reason})" if reason else ""
        return (
            f"Not sent within {arguments.timeout_s:g} seconds{why}. "
            "The message is kept, and goes out when Roost next runs with a connection."
        )
    return f"The message is {sending.state}, but was not {arguments.wait} within {arguments.timeout_s:g} seconds."


async def listen(arguments: argparse.Namespace) -> None:
    """Print every message that comes, and those that came during other commands, once."""
    async with opened(arguments, online=False) as client:
        events = client.events()
        _print_device_news(client, arguments)
        left = await _print_stored(client, arguments, arguments.count)
        while left is None or left > 0:
            event = await anext(events, None)
            match event:
                case None:
                    client.check_running()
                    return
                case MessageReceived(ephemeral=True):
                    _print_message(_ephemeral(event) | _group_fields(client, event.conversation), arguments)
                    left = None if left is None else left - 1
                case DeviceAdded() | DeviceRemoved() | DevicesForged():
                    _print_device_news(client, arguments)
                case MessageReceived() | EventsLost():
                    left = await _print_stored(client, arguments, left)
                case _:
                    pass


def _print_device_news(client: Client, arguments: argparse.Namespace) -> None:
    """Print each change of our devices once; it does not count as a message."""
    for change in client.device_news:
        if arguments.json:
            _print_json(_news_fields(change))
        else:
            print(f"{clock_time(change.time_ms)} {device_sentence(change)}", flush=True)
        client.device_news_told(change)


def _news_fields(change: DeviceNews) -> dict[str, Any]:
    if isinstance(change, DevicesForged):
        return {"event": "devices_forged", "sentence": change.sentence, "time_ms": change.time_ms}
    name = "device_added" if isinstance(change, DeviceAdded) else "device_removed"
    return {"event": name, "device": change.device.hex(), "name": change.name, "time_ms": change.time_ms}


async def _print_stored(client: Client, arguments: argparse.Namespace, left: int | None) -> int | None:
    """Print what is stored and not yet printed, at most `left`; remember it only after it was handed on."""
    while left is None or left > 0:
        messages = await client.unprinted(_BATCH if left is None else min(left, _BATCH))
        if not messages:
            break
        for message in messages:
            _print_message(_stored(message) | _group_fields(client, message.conversation), arguments)
        await client.printed(messages[-1])
        left = None if left is None else left - len(messages)
    return left


def _stored(message: StoredMessage) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "event": "message",
        "id": message.key,
        "conversation": message.conversation,
        "from": message.sender,
        "seq": message.seq,
        "time_ms": message.time_ms,
    }
    if message.quote is not None:
        fields["reply_to"] = message.quote.message_id.hex()
    if message.reactions:
        fields["reactions"] = {one.account: one.emoji for one in message.reactions}
    if message.edited:
        fields["edited"] = True
    if isinstance(message.content, Text) and message.content.forwarded:
        fields["forwarded"] = True
    return fields | _said(message.content, shown(message.content))


def _ephemeral(event: MessageReceived) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "event": "message",
        "id": event.key,
        "conversation": event.conversation,
        "from": event.sender,
        "seq": 0,
        "time_ms": event.time_ms,
        "ephemeral": True,
    }
    return fields | _said(event.content, shown(event.content))


def _group_fields(client: Client, conversation: str) -> dict[str, Any]:
    group = client.groups.get(conversation) if is_group(conversation) else None
    return {} if group is None else {"group": group.name}


def _said(content: object, text: str) -> dict[str, Any]:
    if isinstance(content, Text):
        return {"text": content.text}
    fields: dict[str, Any] = {"text": None, "note": text}
    if isinstance(content, GroupChange):
        fields["change"] = {"kind": content.kind.name.lower(), "version": content.version}
        if content.account:
            fields["change"]["account"] = content.account
    return fields


def _print_message(fields: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.json:
        _print_json(fields)
        return
    text = fields["note"] if fields["text"] is None else shown(Text(fields["text"]))
    where = f"[{one_line(fields['group'])}] " if fields.get("group") else ""
    print(f"{clock_time(fields['time_ms'])} {where}{fields['from']}: {text}", flush=True)


def _print_json(fields: dict[str, Any]) -> None:
    # ASCII only: half a character or a line separator in a text must not break the line for its reader.
    print(json.dumps(fields, ensure_ascii=True), flush=True)


async def history(arguments: argparse.Namespace) -> None:
    """Print the latest messages of a conversation; needs no connection, and may run beside other programs."""
    store = await asyncio.to_thread(Store, find_account(arguments.account, arguments.server), read_only=True)
    try:
        conversation = conversation_with(store.account, arguments.to, store.groups())
        messages = store.history(conversation, max(1, arguments.limit))
        if arguments.json:
            for message in messages:
                _print_json(_stored(message) | {"event": "history", "state": message.state})
        else:
            _print_history(messages, other_account(conversation, store.account) or arguments.to)
    finally:
        store.close()


def _marks(message: StoredMessage) -> str:
    """Return what was done to a message, behind its words."""
    reactions = "".join(f" {one_line(one.emoji)}" for one in message.reactions)
    return f"{'  (edited)' if message.edited else ''}{'  ' if reactions else ''}{reactions}"


def _print_history(messages: list[StoredMessage], other: str) -> None:
    if not messages:
        print(f"No messages with {other} yet.")
    now_ms, day = time.time_ns() // 1_000_000, ""
    for message in messages:
        name = day_name(message.time_ms, now_ms)
        if name != day:
            day = name
            print(f"— {day} —")
        ticks = f"  {_TICKS[message.state]}" if _TICKS[message.state] else ""
        if message.progress is not None and message.state is not MessageState.READ:
            ticks += f" ({message.progress.delivered} of {message.progress.members}, read by {message.progress.read})"
        print(f"{clock_time(message.time_ms)} {message.sender}: {shown(message.content)}{_marks(message)}{ticks}")
        for sentence in (message.sentence, *message.not_delivered):
            if sentence:
                print(f"      ! {sentence}")
