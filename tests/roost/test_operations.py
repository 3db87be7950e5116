"""What is done to messages comes to the same in every order of arrival, and cannot grow."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

import roost
from protocol import AccountId, ClientId, ConversationId, DeviceId, MessageId, message_id
from roost.changes import Accepted, Change, Failed, Queued, Received
from roost.content import Content, Deleted, Deletion, Edit, Reaction, Text, encode_operation, encode_text
from roost.operations import EDIT_WINDOW_MS, Register, RegisterKind, merged
from roost.registers import ORPHANS_MAX
from tests.roost.test_store import new_store

if TYPE_CHECKING:
    from roost.store import Store

AB = ConversationId("alice:bob")
ALICE, BOB = AccountId("alice"), AccountId("bob")
DEVICE = DeviceId(bytes(16))
BEGIN_MS = 1_700_000_000_000
MINUTE_MS = 60_000


def identifier(seq: int, time_ms: int) -> MessageId:
    return message_id(time_ms, seq.to_bytes(10, "big"))


@dataclass(frozen=True)
class Said:
    """A message or an operation as the server has it; `about` is the seq of the message that it concerns."""

    seq: int
    sender: AccountId
    time_ms: int
    about: int = 0
    kind: str = "text"

    @property
    def id(self) -> MessageId:
        return identifier(self.seq, self.time_ms)

    def payload(self, target: MessageId) -> bytes:
        match self.kind:
            case "text":
                return encode_text(f"text {self.seq}")
            case "edit":
                return encode_operation(Edit(target, f"edit {self.seq}"))
            case "delete":
                return encode_operation(Deletion(target))
            case "unreact":
                return encode_operation(Reaction(target, ""))
            case _:
                return encode_operation(Reaction(target, str(self.seq)))


@st.composite
def talks(draw: st.DrawFn) -> list[Said]:
    """Messages and operations in the order of the server, some too late, some on nothing."""
    talk = []
    time_ms = BEGIN_MS
    for seq in range(1, draw(st.integers(2, 12)) + 1):
        time_ms += draw(st.sampled_from([1, MINUTE_MS, 10 * MINUTE_MS]))
        kind = draw(st.sampled_from(["text", "edit", "delete", "react", "unreact"])) if seq > 1 else "text"
        about = draw(st.sampled_from([*range(1, seq), 99])) if kind != "text" else 0
        talk.append(Said(seq, draw(st.sampled_from([ALICE, BOB])), time_ms, about, kind))
    return talk


def expected(talk: list[Said]) -> dict[int, tuple[Content, dict[str, str]]]:
    """What stands in the history, by somebody who saw everything in order."""
    shown: dict[int, tuple[Content, dict[str, str]]] = {}
    by_seq = {one.seq: one for one in talk}
    for one in talk:
        if one.kind == "text":
            shown[one.seq] = (Text(f"text {one.seq}"), {})
            continue
        if one.about not in shown:
            continue
        content, reactions = shown[one.about]
        about = by_seq[one.about]
        own = one.sender == about.sender
        if content == Deleted():
            continue
        if one.kind == "edit" and own and one.time_ms - about.time_ms <= EDIT_WINDOW_MS:
            content = Text(f"edit {one.seq}")
        elif one.kind == "delete" and own:
            content, reactions = Deleted(), {}
        elif one.kind == "react":
            reactions = {**reactions, one.sender: str(one.seq)}
        elif one.kind == "unreact":
            reactions = {who: emoji for who, emoji in reactions.items() if who != one.sender}
        shown[one.about] = (content, reactions)
    return shown


def arrivals(talk: list[Said], ours: bool) -> list[list[Change]]:
    """How each of them comes to the store: by the queue, or, of this device's own, by the answer to its send."""
    by_seq = {one.seq: one for one in talk}
    changes: list[list[Change]] = []
    for number, one in enumerate(talk, 1):
        target = by_seq[one.about].id if one.about in by_seq else identifier(one.about, BEGIN_MS)
        payload = one.payload(target)
        if ours and one.sender == ALICE:
            client = ClientId(one.seq.to_bytes(16, "big"))
            changes.append([Queued(AB, client, number, payload, 0, 0, 1)])
            changes[-1].append(Accepted(AB, client, one.seq, one.id, one.time_ms))
        else:
            changes.append([Received(AB, one.seq, one.sender, DEVICE, one.id, one.time_ms, 0, payload)])
    return changes


def seen(store: Store) -> dict[int, tuple[Content, dict[str, str]]]:
    return {
        message.seq: (message.content, {one.account: one.emoji for one in message.reactions})
        for message in store.history(AB, 100)
    }


@settings(max_examples=150, deadline=None)
@given(talks(), st.booleans(), st.randoms(use_true_random=False))
def test_every_order_of_arrival_comes_to_the_same(talk: list[Said], ours: bool, chance: object) -> None:
    changes = arrivals(talk, ours)
    chance.shuffle(changes)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        store = new_store(Path(folder))
        for arrival in changes:
            for change in arrival:
                store.apply([change])
        assert seen(store) == expected(talk)
        if not ours:
            store.apply([change for arrival in reversed(changes) for change in arrival])  # all of it once more
            assert seen(store) == expected(talk)
        store.close()


registers = st.builds(Register, st.just(BOB), st.just(RegisterKind.REACTION), st.integers(0, 5), st.just("")).map(
    lambda register: Register(register.account, register.kind, register.seq, f"by {register.seq}")
)


@given(registers, registers, registers)
def test_merging_is_commutative_associative_and_idempotent(one: Register, two: Register, three: Register) -> None:
    assert merged(one, two) == merged(two, one)
    assert merged(merged(one, two), three) == merged(one, merged(two, three))
    assert merged(one, one) == one


def received(seq: int, payload: bytes, sender: AccountId = BOB, time_ms: int = BEGIN_MS) -> Received:
    return Received(AB, seq, sender, DEVICE, identifier(seq, time_ms), time_ms, 0, payload)


def operations_stored(store: Store) -> int:
    count = store._database.execute("SELECT count(*) FROM operations").fetchone()[0]
    assert isinstance(count, int)
    return count


def test_a_flood_of_reactions_is_one_reaction(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.apply([received(1, encode_text("like me"), ALICE)])
    target = identifier(1, BEGIN_MS)
    store.apply([received(seq, encode_operation(Reaction(target, str(seq)))) for seq in range(2, 2_000)])
    [message] = store.history(AB, 10)
    assert message.reactions == (roost.Reacted(BOB, "1999"),)
    assert operations_stored(store) == 1
    assert store._database.execute("SELECT count(*) FROM messages").fetchone()[0] == 1
    store.close()


def test_operations_on_what_never_comes_are_kept_up_to_a_limit_the_latest_of_them(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    targets = [MessageId(number.to_bytes(16, "big")) for number in range(ORPHANS_MAX + 50)]
    edits = [encode_operation(Reaction(target, "+")) for target in targets]
    store.apply([received(seq, payload) for seq, payload in enumerate(edits, 1)])
    assert operations_stored(store) == ORPHANS_MAX
    late = Received(AB, 9_999, ALICE, DEVICE, targets[-1], 1, 0, encode_text("late"))
    early = Received(AB, 9_998, ALICE, DEVICE, targets[0], 1, 0, encode_text("too late"))
    store.apply([late, early])
    assert [bool(message.reactions) for message in store.history(AB, 10)] == [False, True]
    store.close()


def test_an_operation_is_neither_unread_nor_a_chat_nor_the_latest_message(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.apply([received(1, encode_operation(Reaction(identifier(9, 1), "+")))])
    assert store.chats() == []
    store.apply([received(2, encode_text("hi")), received(3, encode_operation(Edit(identifier(2, BEGIN_MS), "ho")))])
    [chat] = store.chats()
    assert chat.unread == 1
    assert chat.latest is not None
    assert chat.latest.content == Text("ho")
    assert chat.latest.edited
    store.close()


def test_an_edit_of_an_edit_changes_nothing(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.apply([received(1, encode_text("one")), received(2, encode_operation(Edit(identifier(1, BEGIN_MS), "two")))])
    store.apply([received(3, encode_operation(Edit(identifier(2, BEGIN_MS), "three")))])
    assert [message.content for message in store.history(AB, 10)] == [Text("two")]
    store.close()


def test_what_we_did_stands_before_the_server_has_it_and_falls_if_it_is_refused(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.apply([received(1, encode_text("hi"))])
    for number, emoji in ((1, "+"), (2, "-")):
        payload = encode_operation(Reaction(identifier(1, BEGIN_MS), emoji))
        store.apply([Queued(AB, ClientId(bytes([number]) * 16), number, payload, 0, 0, 5)])
    assert [one.emoji for one in store.history(AB, 1)[0].reactions] == ["-"]
    store.apply([Failed(AB, ClientId(b"\2" * 16), 1, "No.")])
    assert [one.emoji for one in store.history(AB, 1)[0].reactions] == ["+"]
    store.apply([Accepted(AB, ClientId(b"\1" * 16), 2, identifier(2, BEGIN_MS), BEGIN_MS)])
    assert [one.emoji for one in store.history(AB, 1)[0].reactions] == ["+"]
    assert len(store.history(AB, 10)) == 1
    store.close()


def test_a_reply_quotes_what_is_here_now_and_says_when_nothing_is(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    target = identifier(1, BEGIN_MS)
    store.apply([received(2, encode_text("yes", reply_to=target))])
    assert store.history(AB, 1)[0].quote == roost.Quote(target)
    store.apply([received(1, encode_text("shall we?")), received(3, encode_operation(Edit(target, "shall I?")))])
    assert store.history(AB, 10)[1].quote == roost.Quote(target, BOB, Text("shall I?"))
    store.apply([received(4, encode_operation(Deletion(target)))])
    assert store.history(AB, 10)[1].quote == roost.Quote(target, BOB, Deleted())
    store.close()


def test_no_reply_reaches_into_another_conversation(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    elsewhere = ConversationId("alice:carol")
    store.apply([received(1, encode_text("between us"))])
    target = identifier(1, BEGIN_MS)
    payloads = (encode_text("what did he say?", reply_to=target), encode_operation(Reaction(target, "!")))
    for seq, payload in enumerate(payloads, 1):
        name = identifier(100 + seq, BEGIN_MS)
        store.apply([Received(elsewhere, seq, AccountId("carol"), DEVICE, name, BEGIN_MS, 0, payload)])
    assert store.history(elsewhere, 1)[0].quote == roost.Quote(target)
    assert store.history(AB, 1)[0].reactions == ()
    store.close()
