"""The wire between client and server, without a socket: bytes in, frames out, and back.

Reading order: `limits` and `errors` (every bound and every code), `ids` (who and what), `messages` (the frames),
`states` (who may say what when), `codec` (a frame as bytes), `frames` and `records` (the two framings), `keys` and
`noise` (the encrypted link), `device_list` (what an account signs), `versions`, `link` (what both ends share), and
`wire`, which joins them. docs/protocol.md is the same protocol for people who write in another language.

Invariants: nothing here waits, reads a clock or touches a socket. Bytes cut anywhere give the same frames. Junk raises
`RemoteProtocolError` and nothing else, and closes only its own wire. An illegal send raises `LocalProtocolError` and
changes nothing. A length is judged before anything is buffered: a stranger makes us keep at most one handshake record,
and at most 4,096 bytes of a record and of a frame until the login. No key or payload appears in a repr or an error.
"""

from protocol.codec import (
    decode_change,
    decode_message,
    encode_change,
    encode_message,
    encode_message_head,
    encode_payload,
)
from protocol.errors import Code, IdentifierError, LocalProtocolError, ProtocolError, RemoteProtocolError, code_of
from protocol.ids import (
    AccountId,
    ClientId,
    ConversationId,
    DeviceId,
    Epoch,
    InviteId,
    InviteToken,
    MessageId,
    SessionToken,
    Ulid,
    checked_conversation,
    device_id_of,
    direct_conversation,
    group_conversation,
    invite_id_of,
    is_group,
    members_of,
    message_id,
    message_id_text,
    normalized_address,
    normalized_name,
    shard_of,
)
from protocol.keys import StaticKey
from protocol.limits import WireLimits
from protocol.states import Role, State
from protocol.versions import VERSIONS_SUPPORTED, choose_version
from protocol.wire import ClientEvent, ClientWire, ServerEvent, ServerWire

__all__ = [
    "VERSIONS_SUPPORTED",
    "AccountId",
    "ClientEvent",
    "ClientId",
    "ClientWire",
    "Code",
    "ConversationId",
    "DeviceId",
    "Epoch",
    "IdentifierError",
    "InviteId",
    "InviteToken",
    "LocalProtocolError",
    "MessageId",
    "ProtocolError",
    "RemoteProtocolError",
    "Role",
    "ServerEvent",
    "ServerWire",
    "SessionToken",
    "State",
    "StaticKey",
    "Ulid",
    "WireLimits",
    "checked_conversation",
    "choose_version",
    "code_of",
    "decode_change",
    "decode_message",
    "device_id_of",
    "direct_conversation",
    "encode_change",
    "encode_message",
    "encode_message_head",
    "encode_payload",
    "group_conversation",
    "invite_id_of",
    "is_group",
    "members_of",
    "message_id",
    "message_id_text",
    "normalized_address",
    "normalized_name",
    "shard_of",
]
