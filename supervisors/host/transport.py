"""Thespian's TCP transport behind a seal: on the loopback address only, and nothing is unpickled before it is proven.

The stock transport listens on every address and unpickles what anybody sends it. Thespian has no setting against
either, so this class steps in where its own has methods; docs/decisions names each name that it relies on.
"""

from __future__ import annotations

import pickle
from typing import Any, Final

from thespian.actors import ActorAddress, InvalidActorAddress
from thespian.system.transport import ExternalInterfaceTransportInit, SendStatus
from thespian.system.transport.IPBase import TCPv4ActorAddress
from thespian.system.transport.streamBuffer import ackDataErrMsg, ackDataErrPacket, ackMsg, ackPacket, toSendBuffer
from thespian.system.transport.TCPTransport import TCPEndpoint, TCPTransport

from supervisors.host.sealing import ForgedFrameError, opened, sealed

__all__ = ["ADMIN_PORT", "KEY", "HostTransport", "loopback"]

ADMIN_PORT: Final = "Admin Port"
KEY: Final = "Roost Key"
FRAME_BYTES_MAX: Final = 1 << 16
SIZE_DIGITS_MAX: Final = 8
STRANGERS_MAX: Final = 64

# The two answers to a frame bear no seal: they are compared, never unpickled.
_ACKS: Final = {ackMsg.partition(b">")[2]: ackPacket, ackDataErrMsg.partition(b">")[2]: ackDataErrPacket}


def loopback(port: int = 0) -> ActorAddress:
    """An address of this host that no other host can reach; port 0 takes a free one."""
    return ActorAddress(TCPv4ActorAddress("127.0.0.1", port))


def _port(address: ActorAddress) -> int:
    return int(address.addressDetails.sockname[1])


class _Endpoint(TCPEndpoint):
    """What a process needs to make its transport, with the key of the host tree."""

    def __init__(self, key: bytes, *args: Any) -> None:
        super().__init__(*args)
        self.key = key


class HostTransport(TCPTransport):
    """As its base, but for who may speak to it.

    Args:
        initial: What Thespian makes a transport from; at the launcher its marker for the outside.
        args: Of the launcher: capabilities (with `KEY`), log definitions and multiprocessing context.
    """

    def __init__(self, initial: Any, *args: Any) -> None:
        if isinstance(initial, ExternalInterfaceTransportInit):
            capabilities = args[0]
            admin = self.getAdminAddr(capabilities)
            initial = _Endpoint(capabilities[KEY], None, loopback(), None, admin, False, False)
        self._key: bytes = initial.key
        super().__init__(initial)

    @staticmethod
    def getAdminAddr(capabilities: dict[str, Any]) -> ActorAddress:
        """The admin's address."""
        return loopback(capabilities[ADMIN_PORT])

    @staticmethod
    def probeAdmin(address: ActorAddress) -> bool:
        """Never a running admin: the stock would attach to one that an earlier launcher left behind.

        Raises:
            InvalidActorAddress: Somebody listens there.
        """
        if TCPTransport.probeAdmin(address):
            raise InvalidActorAddress(address, "somebody was faster to listen there")
        return False

    def prepEndpoint(self, address: ActorAddress, capabilities: dict[str, Any]) -> _Endpoint:
        """What a child process makes its transport from: the admin's own address, or a free port of loopback."""
        number, assigned, *rest = super().prepEndpoint(address, capabilities).args
        return _Endpoint(self._key, number, assigned or loopback(), *rest)

    def external_transport_clone(self) -> HostTransport:
        """A second mailbox for the launcher."""
        return HostTransport(_Endpoint(self._key, None, loopback(), None, self._adminAddr, False, False))

    def serializer(self, intent: Any) -> bytes:
        """A message as it goes out: size, seal, pickle."""
        payload = pickle.dumps((self.myAddress, intent.message))
        frame: bytes = toSendBuffer(sealed(self._key, _port(intent.targetAddr), payload), bytes)
        return frame

    def _opened(self, frame: bytes) -> Any:
        ack = _ACKS.get(frame)
        return ack if ack is not None else pickle.loads(opened(self._key, _port(self.myAddress), frame))

    def _acceptNewIncoming(self) -> None:
        """Whoever connects without ever speaking takes the place of an earlier such one."""
        super()._acceptNewIncoming()
        strangers = [
            number for number, incoming in self._incomingSockets.items() if incoming.fromAddress.addressDetails is None
        ]
        if len(strangers) > STRANGERS_MAX:
            self._incomingSockets.pop(strangers[0]).close()

    def _handleReadableIncoming(self, incoming: Any, has_exclusive_flag: bool = False) -> Any:
        """A frame that is not whole yet, and whose size is none or too large, ends the connection."""
        pending = super()._handleReadableIncoming(incoming, has_exclusive_flag=has_exclusive_flag)
        if pending is None:
            return None
        buffer = pending._rData
        size = len(buffer._buf) if buffer._size is None else buffer._size
        if not 0 <= size <= (SIZE_DIGITS_MAX if buffer._size is None else FRAME_BYTES_MAX):
            pending.close()
            return None
        return pending

    def _addedDataToIncoming(self, incoming: Any, skipFinish: bool = False, has_exclusive_flag: bool = False) -> Any:
        """Every frame that came in goes through here before it is unpickled."""
        incoming._rData._deserialize = self._opened
        return super()._addedDataToIncoming(incoming, skipFinish, has_exclusive_flag)

    def _check_XMIT_4_done(self, intent: Any, received: bytes) -> Any:
        """Every answer to a frame, and every frame that crossed it, goes through here before it is unpickled."""
        intent.ackbuf._deserialize = self._opened
        try:
            return super()._check_XMIT_4_done(intent, received)
        except ForgedFrameError:
            return self._finishIntent(intent, SendStatus.BadPacket)
