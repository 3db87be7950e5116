"""People with habits: what they do with their devices, and how often. Another capability joins as one more `Act`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from protocol import AccountId, ConversationId, MessageId, is_group
from protocol.messages import URGENT, FetchDevices, RemoveDevice, SetRelation, SetSettings
from roost.content import encode_text
from roost.own_state import RecordKind
from simulation.agenda import chance_of
from simulation.clubs import Clubber
from simulation.device import SimulatedDevice

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from protocol.device_list import ListedDevice
    from roost.session import Session
    from simulation.clubs import Club
    from simulation.world import World

__all__ = [
    "CHATTY",
    "CLUBBY",
    "FLAPPING",
    "HABITS",
    "IDLE",
    "MOSTLY_OFFLINE",
    "PRIVATE",
    "STRANGER",
    "TIDY",
    "Habit",
    "Person",
]


@dataclass(frozen=True)
class Habit:
    """How a person lives.

    Attributes:
        name: What such a person is called.
        devices: How many devices they have.
        write_every_s: Mean time between two bursts of writing.
        burst: Most messages in a burst.
        read_every_s: Mean time between two looks at the unread.
        online_s: Mean time for which a device has its network.
        offline_s: Mean time for which it has not; 0 for never.
        acts: Weights of the rarer things that they do, by name.
        act_every_s: Mean time between two of those.
        ttls_s: Lifetimes of messages, one of which is drawn; 0 for the server's own.
        links_max: How many devices they get besides, while everybody writes.
        club_every_s: Mean time between two things that they do in groups: a few messages, or a change.
        clubs_min: How many groups there are at least where they live.
    """

    name: str
    devices: int = 1
    write_every_s: float = 2.0
    burst: int = 4
    read_every_s: float = 6.0
    online_s: float = 60.0
    offline_s: float = 0.0
    acts: dict[str, float] = field(
        default_factory=lambda: {
            "open": 3,
            "close": 1,
            "type": 3,
            "wave": 1,
            "look away": 2,
            "link a device": 0.5,
            "arrange": 1,
            "forget": 0.5,
        }
    )
    act_every_s: float = 3.0
    ttls_s: tuple[int, ...] = (0,)
    links_max: int = 1
    club_every_s: float = 2.0
    clubs_min: int = 0


CHATTY: Final = Habit("chatty", devices=2, ttls_s=(0, 0, 0, 0, 20))
MOSTLY_OFFLINE: Final = Habit("mostly offline", write_every_s=3.0, burst=8, online_s=6.0, offline_s=25.0)
FLAPPING: Final = Habit("flapping", write_every_s=2.5, online_s=4.0, offline_s=1.5)
PRIVATE: Final = Habit(
    "private",
    devices=2,
    write_every_s=3.0,
    acts={"open": 2, "type": 2, "hide reading": 1, "block": 1, "look away": 1},
    ttls_s=(0, 0, 3),
)
TIDY: Final = Habit(
    "tidy",
    devices=3,
    write_every_s=3.0,
    act_every_s=12.0,
    acts={"open": 2, "remove a device": 1, "link a device": 1, "arrange": 2},
)
CLUBBY: Final = Habit(
    "clubby", devices=2, write_every_s=4.0, online_s=20.0, offline_s=3.0, club_every_s=0.7, clubs_min=1
)
IDLE: Final = Habit(
    "idle", write_every_s=3_600.0, burst=1, read_every_s=1_800.0, act_every_s=3_600.0, club_every_s=3_600.0
)
STRANGER: Final = AccountId("stranger")
"""Somebody whom everybody may block: nobody of that name lives here, though every node could tell."""

HABITS: Final = (CHATTY, MOSTLY_OFFLINE, FLAPPING, PRIVATE, TIDY)


OPEN_CHATS_MAX: Final = 12
"""Fewer than a connection may have open."""


class Person:
    """Somebody with an account and some devices.

    Args:
        world: Where they live.
        account: Their account.
        habit: How they live.
        devices: What they have.
        chats: The conversations of two that they take part in.
        clubs: The groups of those who live around them.

    Attributes:
        watched: The chats that they have open in the calm.
        secretive: Whether they have ever hidden something from others: then what others see is not compared.
    """

    def __init__(
        self,
        world: World,
        account: AccountId,
        habit: Habit,
        devices: list[SimulatedDevice],
        chats: tuple[ConversationId, ...],
        clubs: list[Club],
    ) -> None:
        self.world = world
        self.account = account
        self.habit = habit
        self.devices = devices
        self.chats = chats
        self.watched = chats[:OPEN_CHATS_MAX]
        self.secretive = False
        self.chance = chance_of(world.seed, f"person {account}")
        self.clubber = Clubber(self, clubs)
        self._written = 0
        self._rounds: list[tuple[float, Callable[[], None]]] = [
            (habit.write_every_s, self._write),
            (habit.read_every_s, self._read),
            (habit.act_every_s, self._act),
            (habit.club_every_s, self.clubber.act),
        ]

    def live(self) -> None:
        """Begin: from now on they do what they do, until the world is calm."""
        for device in self.devices:
            if self.habit.offline_s:
                self._each(device, on=False)
        for mean_s, action in self._rounds:
            self._again(mean_s, action)

    def _again(self, mean_s: float, action: Callable[[], None]) -> None:
        def now() -> None:
            if not self.world.is_calm:
                action()
                self._again(mean_s, action)

        self.world.agenda.after(self.chance.expovariate(1 / mean_s), now)

    def _each(self, device: SimulatedDevice, on: bool) -> None:
        """The network of a device comes and goes."""
        mean_s = self.habit.offline_s if on else self.habit.online_s

        def now() -> None:
            if not self.world.is_calm:
                device.set_radio(on)
                self._each(device, not on)

        self.world.agenda.after(self.chance.expovariate(1 / mean_s), now)

    def _device(self) -> SimulatedDevice | None:
        return self.any_device(self.chance)

    def any_device(self, chance: random.Random) -> SimulatedDevice | None:
        """One of the devices that can do something now."""
        able = [device for device in self.devices if device.session is not None and not device.doomed]
        return chance.choice(able) if able else None

    def _write(self) -> None:
        device = self._device()
        if device is None:
            return
        chat = self.chance.choice(self.chats)
        pause_s = self.chance.choice((0.0, 0.003, 0.02))  # some messages of a burst share a commit, others follow it
        for index in range(self.chance.randint(1, self.habit.burst)):
            self._written += 1
            text = f"{self.account} {self._written} " + "." * self.chance.randrange(200)
            ttl_s = self.chance.choice(self.habit.ttls_s)
            flags = URGENT if self.chance.random() < 0.8 else 0
            self._send(index * pause_s, device, chat, encode_text(text), ttl_s, flags)

    def _send(
        self, delay_s: float, device: SimulatedDevice, chat: ConversationId, payload: bytes, ttl_s: int, flags: int
    ) -> None:
        def send() -> None:
            device.act(lambda session: session.send(chat, payload, ttl_s=ttl_s, flags=flags))

        if delay_s:
            self.world.agenda.after(delay_s, send)
        else:
            send()

    def _read(self) -> None:
        device = self._device()
        if device is not None and device.unread:
            chat = self.chance.choice(sorted(device.unread))
            seq = device.unread.pop(chat)
            device.act(lambda session: session.mark_read(chat, seq))

    def _act(self) -> None:
        device = self._device()
        if device is not None:
            names = list(self.habit.acts)
            name = self.chance.choices(names, [self.habit.acts[name] for name in names])[0]
            ACTS[name](self, device)

    def look_at_everything(self) -> None:
        """In the calm: each device has as many chats open as it may, and somebody looks at most of the devices."""
        for device in self.devices:
            for chat in self.chats[OPEN_CHATS_MAX:]:
                device.act(lambda session, chat=chat: session.close_chat(chat))  # type: ignore[misc]
            for chat in self.watched:
                device.act(lambda session, chat=chat: session.open_chat(chat))  # type: ignore[misc]
            self.clubber.watch(device)
            device.sharing.ask()
            looks = self.chance.random() < 0.7
            device.act(lambda session, looks=looks: session.set_foreground(looks))  # type: ignore[misc]

    # The rarer acts.

    def open(self, device: SimulatedDevice) -> None:
        """Look at a chat."""
        chat = self.chance.choice(self.chats)
        device.act(lambda session: session.open_chat(chat))

    def close(self, device: SimulatedDevice) -> None:
        """Turn away from a chat."""
        chat = self.chance.choice(self.chats)
        device.act(lambda session: session.close_chat(chat))

    def type(self, device: SimulatedDevice) -> None:
        """Begin to type, and perhaps never end."""
        chat, active = self.chance.choice(self.chats), self.chance.random() < 0.7
        device.act(lambda session: session.typing(chat, active=active))

    def wave(self, device: SimulatedDevice) -> None:
        """Say something for this moment only."""
        chat = self.chance.choice(self.chats)
        device.act(lambda session: session.send_ephemeral(chat, encode_text("hello")))

    def look_away(self, device: SimulatedDevice) -> None:
        """Put the device into the pocket, or take it out."""
        device.act(lambda session: session.set_foreground(not session.foreground))

    def hide_reading(self, device: SimulatedDevice) -> None:
        """Show read receipts no more, or again."""
        self.secretive = True
        shown = self.chance.random() < 0.5
        device.act(lambda session: session.request(lambda number: SetSettings(number, shown, None, None, None)))

    def block(self, device: SimulatedDevice) -> None:
        """Block somebody who does not write to them anyway, or forgive."""
        self.secretive = True
        relation = self.chance.choice(("blocked", "none", "contact"))
        device.act(lambda session: session.request(lambda number: SetRelation(number, STRANGER, relation)))

    def remove_device(self, device: SimulatedDevice) -> None:
        """Throw a device out of the account; one always stays. Where there is a primary, it or the device does it."""
        if self.world.has_primaries:
            linked = [other for other in self.devices if not other.is_primary and not other.doomed and other.registered]
            other = self.chance.choice(linked) if linked else device
            device = self.devices[0] if self.chance.random() < 0.8 else other
            able = bool(linked)
        else:
            others = [other for other in self.devices if other is not device and not other.doomed and other.registered]
            other = self.chance.choice(others) if others else device
            able = bool(others)
        if not able or not device.online:
            return
        other.doomed = True
        self.world.log(f"{self.account} removes {other.name}")
        if device.is_primary and self.world.has_primaries and not device.is_signing and self.chance.random() < 0.8:
            device.act(lambda session: self._sign_off(session, device, other))
        else:
            device.act(lambda session: session.request(lambda number: RemoveDevice(number, other.id)))

    def _sign_off(self, session: Session, device: SimulatedDevice, other: SimulatedDevice) -> None:
        """Ask for the list, and sign what it then is without that device."""

        def sign(_: object) -> None:
            device.act(lambda session: device.expect(session.sign_devices(without(session)), signed))

        def without(session: Session) -> Sequence[tuple[ListedDevice, bytes]]:
            return session.devices.entries_without(other.id)

        def signed(_: object) -> None:
            device.signs_off = False

        device.signs_off = True
        device.expect(session.request(lambda number: FetchDevices(number, self.account)), sign)

    def link_device(self, device: SimulatedDevice) -> None:
        """Get one more device: it registers while everybody writes."""
        if len(self.devices) < self.habit.devices + self.habit.links_max:
            name = f"{self.account}{len(self.devices) + 1}"
            new = SimulatedDevice(self.world, self.account, name, device.nodes, device.path.parent)
            self.world.coverage.reached("a device is linked while people write")
            self.world.devices.append(new)
            self.devices.append(new)
            new.start()

    def arrange(self, device: SimulatedDevice) -> None:
        """Change something that all their devices share."""
        kind = self.chance.choice(tuple(RecordKind))
        subject = "theme" if kind is RecordKind.SETTING else self.chance.choice(self.chats)
        device.sharing.change(kind, subject, self.chance.choice(("", "one", "another")))

    def forget(self, device: SimulatedDevice) -> None:
        """Let a message of somebody else be gone for themselves."""
        accepted = self.world.witness.accepted
        messages = [it for it in device.received if not is_group(it[0]) and accepted[it].sender != self.account]
        if messages:
            conversation, seq = self.chance.choice(messages)
            device.sharing.forget(ConversationId(conversation), MessageId(device.received[conversation, seq]))


ACTS: Final = {
    "open": Person.open,
    "close": Person.close,
    "type": Person.type,
    "wave": Person.wave,
    "look away": Person.look_away,
    "hide reading": Person.hide_reading,
    "block": Person.block,
    "remove a device": Person.remove_device,
    "link a device": Person.link_device,
    "arrange": Person.arrange,
    "forget": Person.forget,
}
