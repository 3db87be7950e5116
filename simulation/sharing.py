"""What the devices of one account share, as `roost.shared` tells it: changes, questions and answers, in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol import direct_conversation
from roost.changes import DevicesKnown, Queued
from roost.own_state import (
    KNOWN_SIZE_BYTES,
    Gone,
    MessagesGone,
    Record,
    Records,
    StateWanted,
    encode_own_state,
    messages_of,
)
from roost.records import WANTED
from roost.state_digest import differing, digests_of

if TYPE_CHECKING:
    from protocol import ClientId, ConversationId, MessageId
    from roost.own_state import OwnState, RecordKind
    from roost.session import Session
    from roost.store import Store
    from simulation.device import SimulatedDevice

__all__ = ["Sharing"]

ASK_AGAIN_S: Final = 120.0
"""How long until a device asks again in the calm, for a full queue may have turned its question away: in life a day."""


class Sharing:
    """What one device tells the others of its account, in one life of its program.

    Args:
        device: Which.
        store: Its database.
    """

    __slots__ = ("_answered", "_asked", "_device", "_is_drained", "_notes", "_stamp", "_store")

    def __init__(self, device: SimulatedDevice, store: Store) -> None:
        self._device = device
        self._store = store
        self._notes = direct_conversation(device.account, device.account)
        self._stamp = 0
        self._asked = False
        self._is_drained = False
        self._answered: tuple[ClientId, bytes] | None = None

    def change(self, kind: RecordKind, subject: str, value: str) -> None:
        """Change something that all share: later than all that this device has seen, and than what it writes now."""
        self._stamp = max(self._stamp, self._store.stamp_seen) + 1
        self._tell(Records((Record(kind, subject, self._stamp, self._device.id, value),)))

    def forget(self, conversation: ConversationId, message: MessageId) -> None:
        """Let a message be gone, for this account alone."""
        self._tell(MessagesGone((Gone(conversation, message, False),)))

    def ask(self) -> None:
        """Ask the others for what this device does not have, if there are any."""
        session = self._device.session
        known = None if session is None else session.devices.known
        if known is not None and len(known.devices) > 1:
            self._asked = True
            self._tell(StateWanted(digests_of(self._store.shared())))
            if self._device.world.is_calm:
                self._device.later(ASK_AGAIN_S, self.ask)

    def drained(self) -> None:
        """Nothing more waits on the server: ask once, and answer who asked when there was no time left."""
        self._is_drained = True
        if not self._asked:
            self.ask()
        self.answer()

    def answer(self) -> None:
        """Tell whoever has asked what they lack; it is owed until the answer is on the disk."""
        wanted = self._store.fact(WANTED, b"")
        if not wanted or self._answered is not None:
            return
        known = wanted[:KNOWN_SIZE_BYTES].ljust(KNOWN_SIZE_BYTES, b"\0")
        last = None
        for message in messages_of(differing(known, self._store.shared())):
            self._device.world.coverage.reached("a device tells another what that has missed of their state")
            last = self._tell(message) or last
        if last is None:
            self._store.drop_fact(WANTED, wanted)
        else:
            self._answered = last, wanted

    def committed(self, change: object) -> None:
        """Something is on the disk: which other devices there are, or the last of an answer."""
        if isinstance(change, DevicesKnown) and self._is_drained and not self._asked:
            self.ask()
        if self._answered is not None and isinstance(change, Queued) and change.client_id == self._answered[0]:
            self._store.drop_fact(WANTED, self._answered[1])
            self._answered = None
            self.answer()

    def _tell(self, state: OwnState) -> ClientId | None:
        sent: list[ClientId] = []

        def send(session: Session) -> None:
            sent.append(session.send(self._notes, encode_own_state(state)))

        self._device.act(send)
        return sent[0] if sent else None
