"""A whole client of Roost in one file, written from docs/protocol.md alone: a start for clients in other languages.

    python examples/minimal_client.py register ann       # asks for the code that the server sends
    python examples/minimal_client.py send ann bob Hello # ends when the message has its tick
    python examples/minimal_client.py listen bob

It goes from the bottom up, and § names a section of that document: `Link` (§2 to §4), `Device` (what a
client keeps on disk), `Session` (§5 to §14), and the three commands. Run one command of a device at a time.

It leaves out what a client may leave out: it has one unanswered message at a time (§8 allows `window`), and neither
reconnects nor resumes by itself (§7), which loses nothing, because whatever was not acknowledged comes again.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import secrets
import socket
import struct
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base

ALERT, HANDSHAKE, TRANSPORT = 0, 1, 2  # types of records, §2
PLAINTEXT_SIZE_BYTES_MAX: Final = 65_519  # of one record, §4
FRAME_SIZE_BYTES_MAX: Final = 131_072  # §15
REQUEST: Final = 1  # the number of our requests: one at a time is under way, §5
ANSWER_TIMEOUT_S: Final = 10  # for an answer of the handshake, and for a Pong, §12
HEARTBEAT_S: Final = 60  # the default of Login, §17; Ready says what is agreed
SEEN_MAX: Final = 4096  # message ids kept to drop what comes twice, §9
EPOCH_LOST: Final = {305, 306, 307, 309}  # server and file disagree over a number, so begin a new epoch, §8


class Frame(IntEnum):
    """The types of frames that we say (§17) and understand (§18)."""

    HELLO, REQUEST_CODE, REGISTER, LOGIN, SEND, ACK, MARK, FETCH_MARKS = range(8)
    PING, BYE = 12, 21
    WELCOME, CODE_SENT, REGISTERED, READY, SENT, REFUSED, DELIVER, NOTICE, RECEIPT = range(32, 41)
    DRAINED, PONG, ERROR, CLOSING = 43, 44, 52, 53


def payload_of(text: str) -> bytes:
    """A text message, §8.1."""
    payload: bytes = msgpack.packb({"v": 1, "t": "text", "b": text})
    return payload


def text_of(payload: bytes) -> str:
    """What to show of a message, which may be anything, §8.1."""
    try:
        match msgpack.unpackb(payload):
            case {"v": 1, "t": "text", "b": str(text)}:
                return printable(text)
            case {"t": str()}:
                return "(a message that needs a newer application)"
    except ValueError:
        pass  # bytes that are no MessagePack, or no UTF-8
    return "(a message that cannot be read)"


def printable(text: str) -> str:
    """What others wrote must not move the cursor or recolour the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


class SaidNoError(Exception):
    """The server said no, for good or for now; its sentence is for people, §14."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(f"{printable(sentence)} (code {code})")


class _Cipher:
    """AES-256-GCM with one key and a counter for a nonce, §3.1."""

    def __init__(self, key: bytes) -> None:
        self._aead, self._count = AESGCM(key), 0

    def seal(self, text: bytes, data: bytes | None = None) -> bytes:
        return self._aead.encrypt(self._nonce(), text, data)

    def open(self, sealed: bytes, data: bytes | None = None) -> bytes:
        return self._aead.decrypt(self._nonce(), sealed, data)

    def _nonce(self) -> bytes:
        self._count += 1
        return struct.pack(">4xQ", self._count - 1)


class _Noise:
    """The state of Noise_XX_25519_AESGCM_SHA256 and its operations, named as in §3.2."""

    def __init__(self) -> None:
        self._h = self._ck = b"Noise_XX_25519_AESGCM_SHA256".ljust(32, b"\0")
        self._k: _Cipher | None = None
        self.mix_hash(b"roost/1")

    def mix_hash(self, data: bytes) -> None:
        self._h = hashlib.sha256(self._h + data).digest()

    def mix_key(self, private: bytes, public: bytes) -> None:
        self._ck, key = self.hkdf(crypto_scalarmult(private, public))  # which raises if the secret would be all zeros
        self._k = _Cipher(key)

    def encrypt_and_hash(self, text: bytes) -> bytes:
        sealed = self._k.seal(text, self._h) if self._k else text
        self.mix_hash(sealed)
        return sealed

    def decrypt_and_hash(self, sealed: bytes) -> bytes:
        text = self._k.open(sealed, self._h) if self._k else sealed
        self.mix_hash(sealed)
        return text

    def hkdf(self, material: bytes) -> tuple[bytes, bytes]:
        temporary = hmac.digest(self._ck, material, "sha256")
        first = hmac.digest(temporary, b"\x01", "sha256")
        return first, hmac.digest(temporary, first + b"\x02", "sha256")


class Link:
    """One encrypted connection: records (§2), handshake (§3), transport (§4). Plaintext in, plaintext out."""

    def __init__(self, server: str, device_key: bytes, pin: bytes | None) -> None:
        """Connect to `server` (host:port) and shake hands; `pin` is its public key, None to trust what it shows."""
        host, _, port = server.rpartition(":")
        self._socket = socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_TIMEOUT_S)
        self.close = self._socket.close
        self._received = bytearray()
        self._alert_allowed = True
        self.server_key, (sending, receiving) = self._shake_hands(device_key, pin)
        self._sending, self._receiving = _Cipher(sending), _Cipher(receiving)

    def write(self, plaintext: bytes) -> None:
        """Send bytes of the stream, in as many records as they need."""
        for start in range(0, len(plaintext), PLAINTEXT_SIZE_BYTES_MAX):
            piece = plaintext[start : start + PLAINTEXT_SIZE_BYTES_MAX]
            self._write_record(TRANSPORT, self._sending.seal(piece))

    def read(self, timeout_s: float) -> bytes:
        """The plaintext of the next record; TimeoutError when it does not come, and nothing is lost by that."""
        self._socket.settimeout(timeout_s)
        text = self._receiving.open(self._read_record(TRANSPORT))
        self._alert_allowed = False
        return text

    def _shake_hands(self, static: bytes, pin: bytes | None) -> tuple[bytes, tuple[bytes, bytes]]:
        noise, ephemeral = _Noise(), secrets.token_bytes(32)
        public, static_public = crypto_scalarmult_base(ephemeral), crypto_scalarmult_base(static)
        noise.mix_hash(public)  # message 1: e
        self._write_record(HANDSHAKE, public + noise.encrypt_and_hash(b""))
        body = self._read_record(HANDSHAKE)  # message 2: e, ee, s, es
        server_ephemeral = body[:32]
        noise.mix_hash(server_ephemeral)
        noise.mix_key(ephemeral, server_ephemeral)
        server_key = noise.decrypt_and_hash(body[32:80])
        noise.mix_key(ephemeral, server_key)
        noise.decrypt_and_hash(body[80:])
        if server_ephemeral == public or server_key == static_public:
            raise ConnectionError("Somebody sends our own handshake back.")
        if pin is not None and not hmac.compare_digest(pin, server_key):
            raise ConnectionError("This is not the server we know: its key differs from the pinned one.")
        sealed_static = noise.encrypt_and_hash(static_public)  # message 3: s, se
        noise.mix_key(static, server_ephemeral)
        self._write_record(HANDSHAKE, sealed_static + noise.encrypt_and_hash(b""))
        return server_key, noise.hkdf(b"")  # Split

    def _write_record(self, kind: int, body: bytes) -> None:
        self._socket.settimeout(ANSWER_TIMEOUT_S)
        self._socket.sendall(struct.pack(">BH", kind, len(body)) + body)

    def _read_record(self, wanted: int) -> bytes:
        kind, size = struct.unpack(">BH", self._peek(3)[:3])
        if kind != wanted and not (kind == ALERT and self._alert_allowed):
            raise ConnectionError("The server broke the rules of records.")
        body = self._peek(3 + size)[3 : 3 + size]
        del self._received[: 3 + size]
        if kind == ALERT:
            raise SaidNoError(*msgpack.unpackb(body)[:2])
        return body

    def _peek(self, size: int) -> bytes:
        while len(self._received) < size:
            if not (data := self._socket.recv(65_536)):
                raise ConnectionError("The server has closed the connection.")
            self._received += data
        return bytes(self._received)


@dataclass
class Device:
    """What a client must not forget, in one file. Never go on from a copy: it would use an epoch twice (§8)."""

    path: Path
    key: str = field(default_factory=lambda: secrets.token_hex(32))  # the only credential, §1
    server_key: str = ""  # the pin, §1
    account: str = ""
    epoch: str = field(default_factory=lambda: secrets.token_hex(8))  # §6
    accepted: dict[str, int] = field(default_factory=dict)  # conversation: the last number that has its Sent, §8
    outbox: list[dict[str, str]] = field(default_factory=list)  # messages without an answer, oldest first, §8
    seen: list[str] = field(default_factory=list)  # ids of messages shown, §9

    @classmethod
    def load(cls, folder: Path, me: str, pin: str) -> Device:
        """The device of this address, or a new one."""
        path = folder / f"{me.strip().lower()}.json"
        device = cls(path, **json.loads(path.read_text())) if path.exists() else cls(path)
        device.server_key = pin or device.server_key
        return device

    def save(self) -> None:
        """Put everything on stable storage, whole or not at all, for the owner's eyes only."""
        draft = self.path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({name: value for name, value in vars(self).items() if name != "path"}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


class Session:
    """Frames over a link (§4, §5): says ours, hears theirs, and keeps the promises of a client (§9, §10, §12)."""

    def __init__(self, server: str, device: Device) -> None:
        """Connect, pin the server's key, and agree on the version, §7."""
        self._device = device
        self._link = Link(server, bytes.fromhex(device.key), bytes.fromhex(device.server_key) or None)
        self.close = self._link.close
        self._stream = bytearray()
        self._heartbeat_s, self._pings, self._ping_due_s = HEARTBEAT_S, 0, 0.0  # agreed, unanswered, when the next
        self._up_to = 0  # the last position shown and not acknowledged yet
        self._read: dict[str, int] = {}  # conversation: the last seq shown and not marked as read yet
        self.shown_count = 0
        device.server_key = self._link.server_key.hex()
        self.say(Frame.HELLO, [1], "minimal_client/1")
        self.expect(Frame.WELCOME)

    def say(self, *frame: Any) -> None:
        """Send one frame: its type, then its fields."""
        body = msgpack.packb(frame)
        self._link.write(len(body).to_bytes(3, "big") + body)
        self._ping_due_s = time.monotonic() + (ANSWER_TIMEOUT_S if self._pings else self._heartbeat_s * 0.75)

    def hear(self) -> list[Any]:
        """The next frame. While none comes, commit and acknowledge what did, and ping when it is time."""
        while (frame := self._whole_frame()) is None:
            self.settle()
            wait_s = self._ping_due_s - time.monotonic()
            if wait_s > 0:
                with suppress(TimeoutError):
                    self._stream += self._link.read(wait_s)
            elif self._pings < 2:
                self._pings += 1
                self.say(Frame.PING, self._pings)
            else:
                raise ConnectionError("The server does not answer any more.")
        match frame:
            case [Frame.CLOSING, code, sentence, *_]:
                raise SaidNoError(code, sentence)
            case [Frame.PONG, *_]:
                self._pings, self._ping_due_s = 0, time.monotonic() + self._heartbeat_s * 0.75
        return frame

    def expect(self, *kinds: Frame) -> list[Any]:
        """Wait for the answer to what was said; what comes in between is shown as always."""
        while (frame := self.hear())[0] not in kinds:
            match frame:
                case [Frame.ERROR, request, code, sentence, *_] if request in {0, REQUEST}:
                    raise SaidNoError(code, sentence)
            self.show(frame)
        return frame

    def log_in(self) -> None:
        """Login and Ready, §7; what was waiting comes next."""
        self.say(Frame.LOGIN, self._device.account, bytes.fromhex(self._device.epoch))
        _, _, _, _, _, self._heartbeat_s, *_ = self.expect(Frame.READY)

    def show(self, frame: list[Any]) -> None:
        """Print what a person wants to see; `settle` commits and acknowledges it afterwards (§9, rule 1)."""
        match frame:
            case [Frame.DELIVER, position, [conversation, seq, sender, _, message_id, _, _, payload, *_], *_]:
                if message_id.hex() not in self._device.seen:  # §9, rule 4
                    self._device.seen = [*self._device.seen, message_id.hex()][-SEEN_MAX:]
                    print(f"{conversation} {seq} {sender}: {text_of(payload)}", flush=True)
                    self.shown_count += 1
                self._up_to = position or self._up_to
                self._read[conversation] = seq or self._read.get(conversation, 0)
            case [Frame.NOTICE, position, conversation, seq, account, _, reason, *_]:
                print(f"{conversation} {seq} did not reach a device of {account} (reason {reason})", flush=True)
                self._up_to = position
            case [Frame.RECEIPT, conversation, account, delivered, read, *_] if account != self._device.account:
                print(f"{conversation} {account} ✓✓ up to {delivered}, read up to {read}", flush=True)
            case [Frame.ERROR, _, code, sentence, *_]:
                print(SaidNoError(code, sentence), file=sys.stderr)

    def settle(self) -> None:
        """Commit, then acknowledge (§9, rule 1), then mark as read (§10)."""
        if self._up_to:
            self._device.save()
            self.say(Frame.ACK, self._up_to)
        for conversation, seq in self._read.items():
            self.say(Frame.MARK, conversation, 0, seq)
        self._up_to, self._read = 0, {}

    def leave(self) -> None:
        """Bye, and hear the server out until it closes, §7."""
        self.settle()
        self.say(Frame.BYE)
        with suppress(ConnectionError, TimeoutError):
            while True:
                self._link.read(ANSWER_TIMEOUT_S)

    def _whole_frame(self) -> list[Any] | None:
        size = int.from_bytes(self._stream[:3], "big")
        if len(self._stream) >= 3 and not 0 < size <= FRAME_SIZE_BYTES_MAX:
            raise ConnectionError("The server sent a frame of a size that is not allowed.")
        if len(self._stream) < 3 + size:
            return None
        frame: list[Any] = msgpack.unpackb(self._stream[3 : 3 + size])
        del self._stream[: 3 + size]
        return frame


def register(server: str, device: Device, address: str) -> None:
    """Make this device one of the account's, §7."""
    device.save()  # the key must outlive whatever happens once the server knows it
    with closing(Session(server, device)) as session:
        session.say(Frame.REQUEST_CODE, REQUEST, address)
        _, _, via, expires_s, *_ = session.expect(Frame.CODE_SENT)
        print(f"A code is on its way (by {printable(via)}, valid for {expires_s} s). Code: ", end="", flush=True)
        session.say(Frame.REGISTER, REQUEST, address, sys.stdin.readline().strip(), address, "minimal client")
        _, _, device.account, *_ = session.expect(Frame.REGISTERED)
        device.save()
        session.leave()
    print(f"registered {device.account}")


def send(server: str, device: Device, recipient: str, text: str) -> None:
    """Put a message in the outbox, then send everything in it, §8."""
    conversation = ":".join(sorted([device.account, recipient.strip().lower()]))  # §6
    text = text.encode(errors="replace").decode()  # a terminal may hand over what is no Unicode
    device.outbox.append({"conversation": conversation, "client_id": secrets.token_hex(16), "text": text})
    device.save()
    while device.outbox:  # once more only after the server wanted a new epoch
        with closing(Session(server, device)) as session:
            session.log_in()
            session.expect(Frame.DRAINED)  # §7 lets us send at once; so what waits is acknowledged before we leave
            while device.outbox and send_oldest(session, device):
                device.save()
            device.save()
            session.leave()


def send_oldest(session: Session, device: Device) -> bool:
    """Send the oldest message of the outbox and act on the answer, by the tables of §8; False: log in anew.

    The number is not kept: with one message under way it is always the one after the last accepted, in every retry.
    """
    message = device.outbox[0]
    conversation, client_id = message["conversation"], bytes.fromhex(message["client_id"])
    number = device.accepted.get(conversation, 0) + 1
    session.say(Frame.SEND, conversation, number, client_id, payload_of(message["text"]))
    match session.expect(Frame.SENT, Frame.REFUSED):
        case [Frame.REFUSED, _, _, _, code, *_] if code in EPOCH_LOST:
            device.epoch, device.accepted = secrets.token_hex(8), {}
            return False
        case [Frame.REFUSED, _, _, _, code, sentence, retry_after_ms, *_]:
            if retry_after_ms < 0:  # for good; the number is not used up: the next message has it
                device.outbox.pop(0)
                device.save()
            raise SaidNoError(code, sentence)
        case [Frame.SENT, _, _, seq, *_]:
            print(f"✓ {conversation} {seq}", flush=True)
    device.outbox.pop(0)
    device.accepted[conversation] = number
    return True


def listen(server: str, device: Device, count: int | None) -> None:
    """Show what comes, until `count` messages have (for ever if None)."""
    with closing(Session(server, device)) as session:
        session.log_in()
        session.say(Frame.FETCH_MARKS, list(device.accepted)[-1024:])  # how far the others are with ours, §10
        while count is None or session.shown_count < count:
            session.show(session.hear())
        session.leave()


def main() -> None:
    """Run one command; a sentence and a code other than 0 if it could not do what it was asked."""
    parser = argparse.ArgumentParser(usage="%(prog)s [options] (register ADDRESS | send ME TO TEXT | listen ME)")
    parser.add_argument("--server", default="127.0.0.1:7667", help="host:port")
    parser.add_argument("--pin", default="", help="the server's public key in hex; else the first one seen is pinned")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the file of each device is kept")
    parser.add_argument("--count", type=int, help="end listening after so many messages")
    parser.add_argument("words", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_intermixed_args()
    try:
        match given.words:
            case ["register", address]:
                register(given.server, Device.load(given.folder, address, given.pin), address)
            case ["send", me, to, text]:
                send(given.server, Device.load(given.folder, me, given.pin), to, text)
            case ["listen", me]:
                listen(given.server, Device.load(given.folder, me, given.pin), given.count)
            case _:
                parser.error("that is no command")
    except InvalidTag:
        sys.exit("A record is not authentic: somebody is on the line, or this is no Roost server.")
    except (SaidNoError, OSError) as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
