"""Between what a runtime says (signals, messages) and what a link carries (frames)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never

from cluster.codes import MessageTooLargeError, UnregisteredError
from cluster.frames import (
    FRAME_SIZE_BYTES_MAX,
    AnswerFrame,
    CallFrame,
    CallNamedFrame,
    DemonitorFrame,
    EndedFrame,
    ExitFrame,
    LinkToFrame,
    MonitorFrame,
    MonitorNamedFrame,
    PostNamedFrame,
    UnlinkedFrame,
    UnlinkFrame,
    WhereIsFrame,
)
from cluster.table import MessageCodec, MessageTable, Passport, name_of, portable_name
from runtime import (
    KILLED,
    MAILBOX_FULL,
    NAME_TAKEN,
    NODEDOWN,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    TIMEOUT,
    Answer,
    Call,
    Crash,
    Demonitor,
    Ended,
    ExitSignal,
    Kind,
    Link,
    Monitor,
    Named,
    Pid,
    Reason,
    RemoteCrashError,
    Shutdown,
    Unlink,
    Unlinked,
    WhereIs,
)

if TYPE_CHECKING:
    from msgspec import Raw

    from cluster.frames import LinkFrame, PostFrame
    from runtime import Message, Runtime, Signal

__all__ = ["UNREADABLE", "Translation", "read_reason", "written_reason"]

UNREADABLE: Final = Reason("unreadable")
"""A call was not understood: its request is of a type that the other node does not know."""

_POST: Final = 10
_POST_NAMED: Final = PostNamedFrame.__struct_config__.tag
_CALL: Final = CallFrame.__struct_config__.tag
_CALL_NAMED: Final = CallNamedFrame.__struct_config__.tag
_ANSWER: Final = AnswerFrame.__struct_config__.tag
_KINDS: Final = tuple(Kind)
_UNREADABLE_ERRORS: Final = (KeyError, ValueError, TypeError, RecursionError)
_REASONS: Final = {
    reason.name: reason
    for reason in (MAILBOX_FULL, NAME_TAKEN, NODEDOWN, NOPROC, NORMAL, SHUTDOWN, TIMEOUT, UNREADABLE)
}
_NAMED, _KILLED, _CRASH, _SHUTDOWN = range(4)
_TEXT_LENGTH_MAX: Final = 200
_DETAILS: Final = (type(None), bool, int, float)


def written_reason(reason: Reason) -> list[Any]:
    """A reason as it crosses: of a crash only the kind of the exception, for its text may hold what is private."""
    if reason is KILLED:
        return [_KILLED, ""]
    if isinstance(reason, Crash):
        error = reason.exception
        return [_CRASH, error.kind if isinstance(error, RemoteCrashError) else type(error).__name__]
    if isinstance(reason, Shutdown):
        detail = reason.detail
        if isinstance(detail, str):
            detail = detail[:_TEXT_LENGTH_MAX]
        return [_SHUTDOWN, detail if isinstance(detail, (*_DETAILS, str)) else type(detail).__name__]
    return [_NAMED, reason.name[:_TEXT_LENGTH_MAX]]


def read_reason(items: list[Any]) -> Reason:
    """The reason that crossed so; one of a newer kind keeps its text."""
    kind, text = [*items, None, None][:2]
    if kind == _KILLED:
        return KILLED
    if kind == _CRASH:
        return Crash(RemoteCrashError(str(text)[:_TEXT_LENGTH_MAX]))
    if kind == _SHUTDOWN:
        return Shutdown(text)
    name = str(text)[:_TEXT_LENGTH_MAX]
    return _REASONS.get(name) or Reason(name)


class Translation:
    """One runtime's words for links, and back.

    Args:
        runtime: The runtime.
        table: Which messages cross.

    Attributes:
        unreadable: Messages that came and were of an unknown type, or did not fit it; they are dropped.
    """

    __slots__ = ("_codec", "_encode", "_foreign", "_incarnation", "_node", "_table", "unreadable")

    def __init__(self, runtime: Runtime, table: MessageTable) -> None:
        self._foreign = runtime.foreign
        self._node = runtime.node
        self._incarnation = runtime.incarnation
        self._table = table
        self._codec = MessageCodec(table, Passport(runtime.foreign, runtime.node, runtime.incarnation))
        self._encode = self._codec.encode
        self.unreadable = 0

    def post(self, pid: Pid, kind: Kind, message: Message, version: int) -> bytes:
        """The frame of a message.

        Raises:
            UnregisteredError: Its type, or the type of something in it, does not cross.
            MessageTooLargeError: It does not fit into a frame.
        """
        tag = self._table.tag_of(type(message), version)
        if type(pid) is Named:
            return self._checked((_POST_NAMED, kind, portable_name(pid.name), tag, message), message)
        return self._checked((_POST, kind, pid.serial, tag, message), message)

    def signal(self, signal: Signal, version: int) -> bytes:
        """The frame of a signal. Errors are those of `post`."""
        match signal:
            case Call(caller, number, target, request):
                tag = self._table.tag_of(type(request), version)
                if isinstance(target, Named):
                    name = portable_name(target.name)
                    return self._checked((_CALL_NAMED, caller.serial, number, name, tag, request), request)
                return self._checked((_CALL, caller.serial, number, target.serial, tag, request), request)
            case Answer(caller, number, value):
                tag = self._table.tag_of(type(value), version)
                return self._checked((_ANSWER, caller.serial, number, tag, value), value)
            case WhereIs(caller, number, name):
                return self._encode(WhereIsFrame(caller.serial, number, portable_name(name)))
            case Monitor(watcher, number, target):
                if isinstance(target, Named):
                    return self._encode(MonitorNamedFrame(watcher.serial, number, portable_name(target.name)))
                return self._encode(MonitorFrame(watcher.serial, number, target.serial))
            case Demonitor(watcher, number):
                return self._encode(DemonitorFrame(watcher.serial, number))
            case Ended(watcher, number, reason):
                return self._encode(EndedFrame(watcher.serial, number, written_reason(reason)))
            case Link(source, target):
                return self._encode(LinkToFrame(source.serial, target.serial))
            case Unlink(source, target):
                return self._encode(UnlinkFrame(source.serial, target.serial))
            case Unlinked(source, target):
                return self._encode(UnlinkedFrame(source.serial, target.serial))
            case ExitSignal(source, target, reason, linked):
                return self._encode(ExitFrame(source.serial, target.serial, written_reason(reason), linked))
            case _:
                assert_never(signal)

    def receive_post(self, frame: PostFrame) -> None:
        """A message for a process has come."""
        try:
            message = self._codec.decode(frame.type, frame.message)
        except _UNREADABLE_ERRORS:
            self.unreadable += 1
            return
        here = self._foreign.pid(self._node, self._incarnation, frame.target)
        self._foreign.receive_post(here, _KINDS[frame.kind], message)

    def receive(self, node: str, incarnation: int, frame: LinkFrame) -> None:
        """Any other frame of an established link has come.

        Args:
            node: From which node.
            incarnation: Which life of it the link joins.
            frame: The frame.
        """
        foreign = self._foreign
        if isinstance(frame, PostNamedFrame):
            try:
                target = Named(self._node, name_of(frame.name))
                message = self._codec.decode(frame.type, frame.message)
            except _UNREADABLE_ERRORS:
                self.unreadable += 1
                return
            foreign.receive_post(target, _KINDS[frame.kind], message)
            return
        try:
            signal = self._signal_of(node, incarnation, frame)
        except _UNREADABLE_ERRORS:
            self.unreadable += 1
            if isinstance(frame, (CallFrame, CallNamedFrame)):
                caller = foreign.pid(node, incarnation, frame.caller)
                foreign.carry(caller, Ended(caller, frame.number, UNREADABLE))
            return
        foreign.receive(node, signal)

    def _checked(self, items: tuple[object, ...], message: Message) -> bytes:
        try:
            data = self._encode(items)
        except (TypeError, OverflowError, RecursionError, UnicodeEncodeError) as error:
            raise UnregisteredError(type(message).__name__, f"cannot be encoded ({error})") from error
        if len(data) > FRAME_SIZE_BYTES_MAX:
            raise MessageTooLargeError(type(message).__name__, len(data), FRAME_SIZE_BYTES_MAX)
        return data

    def _here(self, serial: int) -> Pid:
        return self._foreign.pid(self._node, self._incarnation, serial)

    def _message(self, tag: int, body: Raw) -> Message:
        return self._codec.decode(tag, body)

    def _signal_of(self, node: str, incarnation: int, frame: LinkFrame) -> Signal:
        here = self._here

        def there(serial: int) -> Pid:
            return self._foreign.pid(node, incarnation, serial)

        match frame:
            case CallFrame(caller, number, target, tag, request):
                return Call(there(caller), number, here(target), self._message(tag, request))
            case CallNamedFrame(caller, number, name, tag, request):
                return Call(there(caller), number, Named(self._node, name_of(name)), self._message(tag, request))
            case WhereIsFrame(caller, number, name):
                return WhereIs(there(caller), number, name_of(name))
            case AnswerFrame(caller, number, tag, value):
                return Answer(here(caller), number, self._message(tag, value))
            case MonitorFrame(watcher, number, target):
                return Monitor(there(watcher), number, here(target))
            case MonitorNamedFrame(watcher, number, name):
                return Monitor(there(watcher), number, Named(self._node, name_of(name)))
            case DemonitorFrame(watcher, number):
                return Demonitor(there(watcher), number)
            case EndedFrame(watcher, number, reason):
                return Ended(here(watcher), number, read_reason(reason))
            case LinkToFrame(source, target):
                return Link(there(source), here(target))
            case UnlinkFrame(source, target):
                return Unlink(there(source), here(target))
            case UnlinkedFrame(source, target):
                return Unlinked(there(source), here(target))
            case ExitFrame(source, target, reason, linked):
                return ExitSignal(there(source), here(target), read_reason(reason), linked)
            case _:
                raise TypeError(f"{type(frame).__name__} is no word of a runtime")
