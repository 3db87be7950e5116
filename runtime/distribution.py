"""The port through which a runtime reaches others; it knows no network, and without one there are no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .messages import Message
    from .pid import Pid
    from .signals import Kind, Signal


class Distribution(Protocol):
    """Carries messages and signals to other nodes, and tells `Foreign` what comes from them.

    It owes the runtime: order between any two nodes; and whenever anything on its way may have been lost, the words
    `Foreign.node_down` on both sides before anything else passes.

    Attributes:
        incarnations: The nodes that are linked now, each with the life it is in.
    """

    @property
    def incarnations(self) -> Mapping[str, int]:
        """The nodes that are linked now, each with the life it is in."""

    def post(self, pid: Pid, kind: Kind, message: Message) -> bool:
        """Take a message for a process, or a name, on a linked node.

        Returns:
            Whether there was room for it.

        Raises:
            Exception: Its type does not cross; the sender is told.
        """

    def carry(self, node: str, signal: Signal) -> bool:
        """Take a signal for a linked node.

        Returns:
            Whether there was room for it; only a Call may be refused.

        Raises:
            Exception: A request or answer is of a type that does not cross; the sender is told.
        """
