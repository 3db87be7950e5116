"""The terminal client by Textual's pilot: a real client, a real socket, keys pressed and the screen read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import roost
from protocol import AccountId, Code
from roost.ports import SystemClock
from roost.terminal.chat_pane import ChatPane
from tests.roost.model_server import Account, ModelServer
from tests.roost.screens import screen_lines, terminal, until
from tests.roost.stories import link_in, next_event, people, story
from tests.roost.tcp_server import TcpServer

if TYPE_CHECKING:
    from pathlib import Path


ODD = "[red]markup[/red] \x1b[31mesc \u202eevil " + "e" + "\u0301" * 60 + "\U0001f469\u200d\U0001f467 " + "x" * 500


@story
async def test_a_person_begins_a_chat_and_sees_the_ticks_grow(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        await bob.close()
        async with terminal(alice) as pilot:
            await until(pilot, lambda text: "begin one with Ctrl+N" in text)
            await pilot.press("ctrl+n", *"bob", "enter")
            await until(pilot, lambda text: "Write a message" in text and "New chat" not in text)
            await pilot.press(*"hi bob", "enter")
            await until(pilot, lambda text: "hi bob  " in text and "✓" in text and "✓✓" not in text)
            async with roost.connect("bob", folder=folder) as bob_again:
                await until(pilot, lambda text: "✓✓" in text)
                await bob_again.mark_read("alice")
                await next_event(bob_again.events(), roost.ReceiptChanged)
            assert "not yet end-to-end encrypted" in "\n".join(screen_lines(pilot.app))  # type: ignore[arg-type]


@story
async def test_a_received_message_is_shown_and_read_and_its_writer_seen(folder: Path) -> None:
    async with (
        TcpServer() as server,
        people(server, folder, "alice", "bob") as (alice, bob),
        terminal(alice, alice.conversation_with("bob")) as pilot,
    ):
        await until(pilot, lambda text: "online" in text)
        bob.open_chat("alice")
        bob.typing("alice")
        await until(pilot, lambda text: "typing…" in text)
        sending = await bob.send("alice", "are you there?")
        await until(pilot, lambda text: "are you there?" in text and "typing…" not in text)
        await sending.read()
        await bob.close()
        await until(pilot, lambda text: "last seen" in text)


@story
async def test_unread_messages_of_other_chats_are_counted_until_they_are_opened(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob", "carol") as (alice, bob, carol):
        await (await bob.send("alice", "from bob")).delivered()
        async with terminal(alice, alice.conversation_with("bob")) as pilot:
            await until(pilot, lambda text: "from bob" in text)
            for _ in range(3):
                await carol.send("alice", "from carol")
            await until(pilot, lambda text: "carol" in text and " 3 " in text)
            await pilot.press("tab", "home", "enter")
            text = await until(pilot, lambda text: text.count("from carol") >= 4 and " 3 " not in text)
            assert "from bob" in text


@story
async def test_odd_text_neither_steers_the_terminal_nor_breaks_the_layout(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        await (await bob.send("alice", ODD)).delivered()
        async with terminal(alice, alice.conversation_with("bob")) as pilot:
            await until(pilot, lambda text: "xxxxx" in text)
            await pilot.press("pageup")
            text = await until(pilot, lambda text: "[red]markup[/red]" in text)
            assert not {"\x1b", "\u202e", "\u200d"} & set(text)
            lines = screen_lines(pilot.app)  # type: ignore[arg-type]
            assert len(lines) == 24
            assert all(line[26] == "│" for line in lines[1:-2])


@story
async def test_a_refused_message_shows_its_reason(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, _):
        server.model.refuse = lambda _: (Code.NOT_ALLOWED, "Bob does not want this.", -1)
        async with terminal(alice, alice.conversation_with("bob")) as pilot:
            await until(pilot, lambda text: "Write a message" in text)
            await pilot.press(*"hello", "enter")
            await until(pilot, lambda text: "Bob does not want this." in text and "!" in text)


@story
async def test_what_is_written_offline_waits_with_a_clock_and_goes_out_later(folder: Path) -> None:
    async with (
        TcpServer() as server,
        people(server, folder, "alice", "bob") as (alice, _),
        terminal(alice, alice.conversation_with("bob")) as pilot,
    ):
        await until(pilot, lambda text: "online" in text)
        await server.stop()
        await until(pilot, lambda text: "offline, again in" in text)
        await pilot.press(*"later", "enter")
        await until(pilot, lambda text: "◷" in text)
        await server.start()
        await pilot.press("ctrl+r")
        await until(pilot, lambda text: "✓" in text and "◷" not in text)


@story
async def test_a_replaced_session_says_so_on_the_screen(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as (alice,), terminal(alice) as pilot:
        server.close_all(Code.REPLACED)
        await until(pilot, lambda text: "This device has logged in on another connection" in text)


@story
async def test_an_unknown_address_is_said_at_once(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as (alice,), terminal(alice) as pilot:
        await pilot.press("ctrl+n", *"nobody", "enter")
        await until(pilot, lambda text: "There is no such account here" in text)
        await pilot.press("escape")
        await until(pilot, lambda text: "There is no such account here" not in text)


@story
async def test_older_messages_appear_when_the_reader_scrolls_up_and_the_place_is_kept(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        for number in range(70):
            await bob.send("alice", f"number {number}.")
        await (await bob.send("alice", "the last")).delivered()
        async with terminal(alice, alice.conversation_with("bob")) as pilot:
            await until(pilot, lambda text: text.count("the last") == 2)
            while "number 0." not in "\n".join(screen_lines(pilot.app)):  # type: ignore[arg-type]
                await pilot.press("pageup")
                await pilot.pause()
            await bob.send("alice", "newer than the last")
            text = await until(pilot, lambda text: "newer than" in text and " 1 " in text)
            assert "number 0." in text


@story
async def test_enter_sends_and_ctrl_j_begins_a_line(folder: Path) -> None:
    async with (
        TcpServer() as server,
        people(server, folder, "alice", "bob") as (alice, bob),
        terminal(alice, alice.conversation_with("bob")) as pilot,
    ):
        await until(pilot, lambda text: "Write a message" in text)
        await pilot.press("a", "ctrl+j", "b", "enter")
        received = await next_event(bob.events(), roost.MessageReceived)
        assert received.content == roost.Text("a\nb")


@story
async def test_the_list_takes_the_room_that_a_widened_window_gives(folder: Path) -> None:
    async with (
        TcpServer() as server,
        people(server, folder, "alice", "bob") as (alice, bob),
        terminal(alice, alice.conversation_with("bob"), (40, 12)) as pilot,
    ):
        await (await bob.send("alice", "hello, good people")).delivered()
        await until(pilot, lambda text: "hello, good people" in text)
        await pilot.resize_terminal(100, 24)
        await until(pilot, lambda text: text.count("hello, good people") == 2)


@story
async def test_a_chat_behind_the_list_of_a_narrow_window_is_not_read(folder: Path) -> None:
    async with (
        TcpServer() as server,
        people(server, folder, "alice", "bob") as (alice, bob),
        terminal(alice, alice.conversation_with("bob"), (60, 20)) as pilot,
    ):
        await (await bob.send("alice", "first")).read()
        await pilot.press("tab")
        await until(pilot, lambda text: "Enter open" in text)
        sending = await bob.send("alice", "second")
        await until(pilot, lambda text: "second" in text and " 1 " in text)
        assert sending.state is not roost.MessageState.READ
        await pilot.press("tab")
        await sending.read()


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 12), (20, 6)])
def test_every_size_of_window_works(size: tuple[int, int], tmp_path: Path) -> None:
    @story
    async def check(folder: Path) -> None:
        async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
            await (await bob.send("alice", "hello there")).delivered()
            async with terminal(alice, alice.conversation_with("bob"), size) as pilot:
                await until(pilot, lambda text: "hello there" in text and "Write a message" in text)
                assert pilot.app.query_one(ChatPane).display
                await pilot.press("tab")
                await pilot.pause()
                assert len(screen_lines(pilot.app)) == size[1]  # type: ignore[arg-type]
                assert "encrypted" in "\n".join(screen_lines(pilot.app))  # type: ignore[arg-type]

    check(tmp_path)


@story
async def test_a_ghost_device_of_the_server_is_shown(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as (alice,):
        await alice.devices.list()
        async with terminal(alice) as pilot:
            server.model.add("alice", b"l" * 16)
            server.flush()
            await until(pilot, lambda text: "Do not trust this server" in text and "has not signed" in text)
        assert alice.device_news == ()


def today() -> TcpServer:
    """A server whose calendar is this computer's, so that a message may be edited."""
    return TcpServer(ModelServer(SystemClock().wall_ms))


@story
async def test_a_picked_message_is_answered_reacted_to_edited_and_deleted_with_keys(folder: Path) -> None:
    async with (
        today() as server,
        people(server, folder, "alice", "bob") as (alice, bob),
        terminal(alice, alice.conversation_with("bob")) as pilot,
    ):
        to_bob = bob.events()
        await (await bob.send("alice", "lunch at noon?")).sent()
        await until(pilot, lambda text: text.count("lunch at noon?") == 2)
        await pilot.press("up")
        await until(pilot, lambda text: "r reply" in text)
        await pilot.press("r")
        await until(pilot, lambda text: "Reply to bob: lunch at noon?" in text)
        await pilot.press(*"yes", "enter")
        await until(pilot, lambda text: "▏bob: lunch at noon?" in text and "yes  " in text and "Reply to" not in text)
        assert isinstance((await next_event(to_bob, roost.MessageReceived)).content, roost.Text)
        await until(pilot, lambda text: "✓" in text)
        await pilot.press("ctrl+p", "up", "t")
        await until(pilot, lambda text: "React" in text)
        await pilot.press("1")
        assert (await next_event(to_bob, roost.ReactionChanged)).emoji == "\U0001f44d"
        await until(pilot, lambda text: "\U0001f44d" in text)
        await pilot.press("down", "e")
        await until(pilot, lambda text: "Edit alice: yes" in text)
        await pilot.press(*", gladly", "enter")
        assert (await next_event(to_bob, roost.MessageEdited)).text == "yes, gladly"
        await until(pilot, lambda text: "yes, gladly" in text and "edited" in text)
        await pilot.press("up", "d", "2")
        await next_event(to_bob, roost.MessageDeleted)
        await until(pilot, lambda text: "This message was deleted." in text and "gladly" not in text)


@story
async def test_a_message_is_forwarded_and_deleted_for_oneself_with_keys(folder: Path) -> None:
    async with (
        today() as server,
        people(server, folder, "alice", "bob", "carol") as (alice, bob, carol),
        terminal(alice, alice.conversation_with("bob")) as pilot,
    ):
        await (await bob.send("alice", "pass it on")).sent()
        await until(pilot, lambda text: text.count("pass it on") == 2)
        await pilot.press("up", "f")
        await until(pilot, lambda text: "Forward to" in text)
        await pilot.press(*"carol", "enter")
        assert (await next_event(carol.events(), roost.MessageReceived)).content == roost.Text(
            "pass it on", forwarded=True
        )
        await until(pilot, lambda text: "carol" in text and "Forward to" not in text)
        await pilot.press("d", "1")
        await until(pilot, lambda text: text.count("pass it on") == 1)  # in the list, as carol's


@story
async def test_a_view_once_message_is_opened_on_the_screen_once(folder: Path) -> None:
    async with (
        today() as server,
        people(server, folder, "alice", "bob") as (alice, bob),
        terminal(alice, alice.conversation_with("bob")) as pilot,
    ):
        await bob.send("alice", "look quickly", view_once=True)
        await until(pilot, lambda text: "A message to be shown once." in text)
        await pilot.press("up", "o")
        await until(pilot, lambda text: "look quickly" in text)
        await pilot.press("escape")
        await until(pilot, lambda text: "Shown once, and opened." in text and "quickly" not in text)
        await pilot.press("o")
        await until(pilot, lambda text: "nothing to open" in text)
        await pilot.press("ctrl+o", *"psst", "enter")
        received = await next_event(bob.events(), roost.MessageReceived)
        assert received.content == roost.ViewOnce()


@story
async def test_a_timer_is_set_with_keys_and_shown_on_both_sides(folder: Path) -> None:
    async with (
        today() as server,
        people(server, folder, "alice", "bob") as (alice, bob),
        terminal(alice, alice.conversation_with("bob")) as pilot,
    ):
        await until(pilot, lambda text: "Write a message" in text)
        await pilot.press("ctrl+t")
        await until(pilot, lambda text: "1 week" in text)
        await pilot.press("4")
        assert (await next_event(bob.events(), roost.MessageReceived)).content == roost.TimerSet(86_400)
        await until(pilot, lambda text: "bob ◔ 1 day" in text and "Messages disappear 1 day" in text)


@story
async def test_a_person_lets_go_of_what_was_picked_or_begun(folder: Path) -> None:
    async with (
        today() as server,
        people(server, folder, "alice", "bob") as (alice, bob),
        terminal(alice, alice.conversation_with("bob")) as pilot,
    ):
        await (await bob.send("alice", "hello")).sent()
        await until(pilot, lambda text: text.count("hello") == 2)
        await pilot.press("up", "e")
        await until(pilot, lambda text: "Only a text of your own" in text)
        await pilot.press("r")
        await until(pilot, lambda text: "Reply to bob" in text)
        await pilot.press("escape")
        await until(pilot, lambda text: "Reply to bob" not in text and "Write a message" in text)
        await pilot.press("up", "down", "x", "enter")
        assert (await next_event(bob.events(), roost.MessageReceived)).content == roost.Text("x")


@story
async def test_somebody_is_named_with_a_key_and_the_other_devices_know_it(folder: Path) -> None:
    async with today() as server, people(server, folder, "alice", "bob") as (alice, bob):
        await (await bob.send("alice", "hello")).delivered()
        code, linking = await link_in(folder / "laptop", server, "laptop")
        await (await alice.devices.link(code.text)).confirm()
        await linking
        async with (
            roost.connect("alice", folder=folder / "laptop") as laptop,
            terminal(alice, alice.conversation_with("bob")) as pilot,
        ):
            await until(pilot, lambda text: text.count("hello") == 2)
            await pilot.press("tab")
            await until(pilot, lambda text: "n name" in text)
            await pilot.press("n")
            await until(pilot, lambda text: "What do you call bob?" in text)
            await pilot.press(*"Bobby", "enter")
            await until(pilot, lambda text: "Bobby (bob)" in text and "What do you call" not in text)
            assert (await next_event(laptop.events(), roost.StateChanged)).value == "Bobby"
            await pilot.press("n", "escape")
            await until(pilot, lambda text: "Bobby (bob)" in text and "What do you call" not in text)
            await pilot.press("n", *["backspace"] * 5, "enter")
            await until(pilot, lambda text: "Bobby" not in text and "What do you call" not in text)
            assert await alice.state.names() == {}


@story
async def test_what_nobody_could_read_is_no_name_and_what_has_a_name_needs_none(folder: Path) -> None:
    async with today() as server, people(server, folder, "alice") as (alice,):
        await alice.groups.create("Family")
        await (await alice.send("alice", "milk")).sent()
        server.model.accounts[AccountId("bob")] = Account("Bob")
        async with terminal(alice, alice.conversation_with("bob")) as pilot:
            await (await alice.send("bob", "hi")).sent()
            await until(pilot, lambda text: text.count("hi ") >= 2)
            await pilot.press("tab", "home", "n")
            await until(pilot, lambda text: "What do you call bob?" in text)
            await pilot.press("\u3164", "enter")  # a letter that is drawn as nothing
            await until(pilot, lambda text: "That name cannot be shown" in text)
            await pilot.press("escape", "down", "n")
            await until(pilot, lambda text: "Nobody needs a name" in text)
            await pilot.press("down", "n")
            await until(pilot, lambda text: "Its admins name" in text)


@story
async def test_a_chat_is_muted_and_archived_with_keys_and_found_again(folder: Path) -> None:
    async with today() as server, people(server, folder, "alice", "bob", "carol") as (alice, bob, carol):
        await (await bob.send("alice", "from bob")).delivered()
        await (await carol.send("alice", "from carol")).delivered()
        await alice.state.name("bob", "Bobby")
        async with terminal(alice, alice.conversation_with("carol")) as pilot:
            await until(pilot, lambda text: "Bobby" in text and text.count("from carol") == 2)
            await pilot.press("tab", "end", "m")
            await until(pilot, lambda text: "Bobby ⊘" in text and "a archive" in text)
            await pilot.press("a")
            await until(pilot, lambda text: "Bobby" not in text and "Archived" in text)
            await pilot.press("x")
            await until(pilot, lambda text: "Bobby ⊘" in text)
            await pilot.press("end", "m", "a", "x")
            await until(pilot, lambda text: "Bobby" in text and "⊘" not in text)
            await pilot.press("end", "enter")
            await until(pilot, lambda text: "Bobby (bob)" in text)


@story
async def test_a_new_device_is_linked_seen_and_removed_in_the_window_of_devices(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as (alice,), terminal(alice) as pilot:
        await pilot.press("ctrl+l")
        await until(pilot, lambda text: "Your devices" in text and "(primary, this one)" in text)
        code, linking = await link_in(folder / "new", server, "new laptop")
        await pilot.press(*code.text.lower(), "enter")
        await until(pilot, lambda text: "new laptop" in text and "knows the code" in text and "Enter says yes" in text)
        assert len(await alice.devices.list()) == 1
        await pilot.press("enter")
        await until(pilot, lambda text: "Linked new laptop." in text and "new laptop [linux]" in text)
        assert await linking == "alice"
        assert "If that was not you" not in await until(pilot, lambda text: not alice.device_news)
        await pilot.press("down", "down", "delete")
        await until(pilot, lambda text: "Remove new laptop?" in text)
        await pilot.press("enter")
        await until(pilot, lambda text: "Removed new laptop." in text and "new laptop [linux]" not in text)
        await pilot.press("escape")
        await until(pilot, lambda text: "Your devices" not in text)


@story
async def test_a_device_that_is_declined_in_the_window_is_told_so_and_a_wrong_code_is_explained(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as (alice,), terminal(alice) as pilot:
        await pilot.press("ctrl+l", *"nonsense", "enter")
        await until(pilot, lambda text: "or it was mistyped" in text)
        await pilot.press("ctrl+u")
        code, linking = await link_in(folder / "new", server, "new laptop")
        await pilot.press(*code.text, "enter")
        await until(pilot, lambda text: "knows the code" in text)
        await pilot.press("escape")
        await until(pilot, lambda text: "was not linked" in text)
        with pytest.raises(roost.LinkError, match="declined"):
            await linking
        assert len(await alice.devices.list()) == 1


@story
async def test_another_identity_of_whom_one_writes_to_is_told_when_the_chat_is_opened(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        await alice.devices.of("bob")
        await bob.close()
        await roost.register("bob", server=server.address, code="123456", folder=folder / "other", recover=True)
        async with terminal(alice, alice.conversation_with("bob")) as pilot:
            await until(pilot, lambda text: "The identity of bob has changed" in text)
        assert not (await alice.devices.of("bob")).changed
