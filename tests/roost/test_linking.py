"""Two devices that share a code talk through an attacker, who can only make them fail."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import AccountId, StaticKey
from protocol.device_list import IdentityKey, ListedDevice, label_digest, sealed_label, sign_devices
from protocol.messages import SignedDevices
from protocol.noise import NNPSK0_AESGCM_SHA256, Handshake
from roost.errors import LinkError
from roost.link_code import LinkCode
from roost.linking import CODE_LIFETIME_S, Introduction, Newcomer, Offer, Sponsor

ANN = AccountId("ann")
CODE = LinkCode(bytes(range(16)))
SERVER, OTHER_SERVER = b"s" * 32, b"o" * 32
PHONE, NEW, GHOST = (StaticKey(bytes([number]) * 32).public for number in (1, 2, 3))
IDENTITY, OTHER_IDENTITY = IdentityKey(bytes(32)), IdentityKey(b"\x01" * 32)
LABEL = sealed_label("laptop", "linux", bytes)


def signed(*keys: bytes, identity: IdentityKey = IDENTITY, account: AccountId = ANN) -> SignedDevices:
    return sign_devices(identity, account, 2, [ListedDevice(key, 0, label_digest(LABEL)) for key in keys])


def newcomer(code: LinkCode = CODE, name: str = "laptop", server: bytes = SERVER) -> Newcomer:
    return Newcomer(code, Introduction(NEW, name, "linux", server), 0.0)


def sponsor(code: LinkCode = CODE, account: str = "ann", server: bytes = SERVER) -> Sponsor:
    return Sponsor(code, Offer(account, server, IDENTITY.public))


@dataclass
class Talk:
    """The five messages of a link, each carried by an attacker who may do with it what they like."""

    carry: list[bytes | None] = field(default_factory=list)
    seen: list[bytes] = field(default_factory=list)
    added: bool = False
    linked: SignedDevices | None = None

    def through(self, message: bytes) -> bytes:
        """What arrives of a message: itself, or what the attacker has put in its place."""
        self.seen.append(message)
        step = len(self.seen) - 1
        replaced = self.carry[step] if step < len(self.carry) else None
        return message if replaced is None else replaced

    def run(self, one: Newcomer, other: Sponsor, answer: SignedDevices | None = None) -> None:
        """The whole link, up to its first error."""
        introduction = other.met(self.through(one.meet(self.through(other.begin()), 1.0)))
        assert introduction.static_key == NEW, "the primary is shown the device that has the code, and no other"
        offer = one.offered(self.through(other.offer()))
        assert (offer.account, offer.identity) == (ANN, IDENTITY.public)
        other.accepted(self.through(one.accepted()))
        self.added = True
        self.linked = one.linked(self.through(other.linked(answer or signed(PHONE, NEW))))


def test_with_nobody_in_between_both_come_to_the_same_end() -> None:
    talk = Talk()
    talk.run(newcomer(), sponsor())
    assert talk.linked == signed(PHONE, NEW)
    assert len(talk.seen) == 5


@given(st.data())
def test_whatever_an_attacker_puts_in_the_place_of_a_message_the_link_fails_there(data: st.DataObject) -> None:
    earlier = Talk()
    earlier.run(newcomer(), sponsor())
    elsewhere = Talk()
    elsewhere.run(newcomer(LinkCode(bytes(16))), sponsor(LinkCode(bytes(16))))
    step = data.draw(st.integers(0, 4))
    junk = st.one_of(
        st.binary(max_size=200),
        st.sampled_from(earlier.seen).filter(lambda message: step or message != earlier.seen[0]),
        st.sampled_from(elsewhere.seen),
    )
    talk = Talk([None] * step + [data.draw(junk)])
    with pytest.raises(LinkError):
        talk.run(newcomer(), sponsor())
    assert talk.linked is None
    assert talk.added is (step == 4), "the primary adds nothing before the new device has proved that it is there"


@given(st.integers(0, 4), st.data())
def test_any_changed_bit_is_found_out(step: int, data: st.DataObject) -> None:
    class Flipping(Talk):
        def through(self, message: bytes) -> bytes:
            self.seen.append(message)
            if len(self.seen) - 1 != step:
                return message
            changed = bytearray(message)
            changed[data.draw(st.integers(0, len(message) - 1))] ^= 1 << data.draw(st.integers(0, 7))
            return bytes(changed)

    talk = Flipping()
    with pytest.raises(LinkError):  # X25519 does not look at the highest bit of a key, but the transcript does
        talk.run(newcomer(), sponsor())
    assert talk.linked is None


def test_a_replayed_first_message_begins_a_talk_that_the_replayer_cannot_go_on_with() -> None:
    earlier = Talk()
    earlier.run(newcomer(), sponsor())
    again = newcomer()
    answer = again.meet(earlier.seen[0], 1.0)
    assert answer != earlier.seen[1]
    with pytest.raises(LinkError):
        again.offered(earlier.seen[2])


def test_a_message_that_comes_twice_or_is_reflected_is_refused() -> None:
    for wrong in (2, 1):
        one, other, talk = newcomer(), sponsor(), Talk()
        other.met(talk.through(one.meet(talk.through(other.begin()), 1.0)))
        one.offered(talk.through(other.offer()))
        one.accepted()
        with pytest.raises(LinkError):
            one.linked(talk.seen[wrong])
    other = sponsor()
    with pytest.raises(LinkError):
        other.met(other.begin())


def test_who_knows_another_code_is_refused_by_either() -> None:
    with pytest.raises(LinkError):
        newcomer().meet(sponsor(LinkCode(bytes(16))).begin(), 1.0)
    eve = Handshake(initiator=False, static=None, prologue=b"", suite=NNPSK0_AESGCM_SHA256, secret=bytes(32))
    assert eve.our_turn is False
    with pytest.raises(LinkError):
        sponsor().met(bytes(80))


def test_a_code_older_than_a_minute_is_of_no_use_whatever_the_server_says() -> None:
    with pytest.raises(LinkError, match="older than a minute"):
        newcomer().meet(sponsor().begin(), CODE_LIFETIME_S)
    newcomer().meet(sponsor().begin(), CODE_LIFETIME_S - 0.1)


@pytest.mark.parametrize(("server", "same"), [(SERVER, True), (OTHER_SERVER, False)])
def test_a_server_in_between_is_found_out_by_its_key(server: bytes, same: bool) -> None:
    one, other = newcomer(server=server), sponsor()
    assert other.sees_same_server(other.met(one.meet(other.begin(), 1.0))) is same


@pytest.mark.parametrize(
    "answer",
    [
        signed(PHONE),
        signed(PHONE, GHOST),
        signed(NEW),
        signed(NEW, PHONE),
        signed(PHONE, NEW, identity=OTHER_IDENTITY),
        signed(PHONE, NEW, account=AccountId("eve")),
        SignedDevices(IDENTITY.public, b"junk", bytes(64)),
    ],
)
def test_a_new_device_believes_no_list_but_one_that_names_it_behind_the_primary(answer: SignedDevices) -> None:
    talk = Talk()
    with pytest.raises(LinkError):
        talk.run(newcomer(), sponsor(), answer)


@pytest.mark.parametrize("account", ["", "Ann", "ann@@ " * 3, "a:b", "x" * 65])
def test_an_offer_of_what_is_no_account_is_refused(account: str) -> None:
    with pytest.raises(LinkError):
        Talk().run(newcomer(), sponsor(account=account))


@pytest.mark.parametrize("name", ["", "a\u202eb", "x" * 65, "\x1b[2J"])
def test_a_name_that_would_fool_a_person_is_refused_before_it_is_shown(name: str) -> None:
    with pytest.raises(LinkError, match="name"):
        Talk().run(newcomer(name=name), sponsor())


def test_either_may_decline_and_the_other_is_told_why() -> None:
    one, other = newcomer(), sponsor()
    other.met(one.meet(other.begin(), 1.0))
    with pytest.raises(LinkError, match="not today"):
        one.offered(other.declined("not today"))
    one, other = newcomer(), sponsor()
    other.met(one.meet(other.begin(), 1.0))
    one.offered(other.offer())
    with pytest.raises(LinkError, match="known here"):
        other.accepted(one.declined("known here"))


def test_what_passes_says_nothing_of_the_account_or_the_device() -> None:
    talk = Talk()
    talk.run(newcomer(), sponsor())
    passed = b"".join(talk.seen)
    for secret in (CODE.secret, CODE.key, NEW, IDENTITY.public, b"laptop", b"linux", b"ann"):
        assert secret not in passed
    assert max(len(message) for message in talk.seen) < 4_000, "the new device has not logged in yet"
    assert msgspec.msgpack.encode(["ann"]) not in passed
