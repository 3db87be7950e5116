"""Which types of message cross between nodes, each under a number that stays its own; everything else is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from cluster.codes import UnregisteredError
from runtime import FarRef, Foreign, Named, Pid, Ref

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MessageCodec", "MessageTable", "Passport"]

Type = TypeVar("Type", bound=type)

TAG_MIN: Final = 16
TAG_MAX: Final = 65_535
_SCALARS: Final[tuple[type, ...]] = (type(None), bool, int, float, str, bytes, Pid, Ref)
"""Cross without being registered, numbered from 0; further ones go behind the last."""
_NAMED: Final = (Named,)
_NAME_PARTS: Final = (str, bytes, int)


class MessageTable:
    """The types that cross, by number; the same table, or one that only has more, on every node.

    A type is what msgspec encodes (a Struct, a dataclass, a NamedTuple, an Enum, a builtin), with `Pid` and `Ref`
    wherever they are wanted. It may grow by fields with defaults: an older node leaves out what it does not know.
    """

    __slots__ = ("_since", "_tags", "_types")

    def __init__(self) -> None:
        self._types: dict[int, type] = dict(enumerate(_SCALARS))
        self._tags: dict[type, int] = {kind: tag for tag, kind in self._types.items()}
        self._tags |= {kind: self._tags[Pid] for kind in _NAMED}
        self._tags[FarRef] = self._tags[Ref]
        self._since: dict[int, int] = {}

    def register(self, kind: type, tag: int, since: int = 1) -> None:
        """Let a type cross.

        Args:
            kind: The type; its subclasses are types of their own.
            tag: Its number, 16 to 65,535, never another type's, never changed.
            since: The first version of the link protocol with which it is sent.

        Raises:
            ValueError: The number is out of range, or number or type are taken.
            TypeError: A field is of a type that cannot cross.
        """
        if not TAG_MIN <= tag <= TAG_MAX:
            raise ValueError(f"{kind.__name__} was to have the number {tag}: choose one from {TAG_MIN} to {TAG_MAX}")
        holder = self._types.get(tag)
        if holder is not None or kind in self._tags:
            taken = kind.__name__ if holder is None else f"the number {tag}, by {holder.__name__}"
            raise ValueError(f"{kind.__name__} cannot have the number {tag}: {taken} is registered already")
        try:
            msgspec.msgpack.Decoder(kind, dec_hook=_no_decoding)
        except (TypeError, NameError) as error:
            raise TypeError(f"{kind.__name__} cannot cross between nodes: {error}") from error
        self._types[tag] = kind
        self._tags[kind] = tag
        if since > 1:
            self._since[tag] = since

    def message(self, tag: int, since: int = 1) -> Callable[[Type], Type]:
        """A decorator that registers a class. Arguments and errors are those of `register`."""

        def decorate(kind: Type) -> Type:
            self.register(kind, tag, since)
            return kind

        return decorate

    def tag_of(self, kind: type, version: int) -> int:
        """The number of a type.

        Raises:
            UnregisteredError: It has none, or the peer's version does not know it.
        """
        tag = self._tags.get(kind)
        if tag is None:
            raise UnregisteredError(kind.__name__)
        if self._since and self._since.get(tag, 1) > version:
            raise UnregisteredError(kind.__name__, f"is newer than version {version} of the link, which is spoken here")
        return tag

    def type_of(self, tag: int) -> type | None:
        """The type of a number, or None for one of a newer node."""
        return self._types.get(tag)


def _no_decoding(kind: type, value: object) -> object:
    raise NotImplementedError(kind.__name__)


class Passport:
    """Pids and references as values that cross, and back into the runtime's own.

    Args:
        foreign: The runtime's dealings with other nodes.
        node: The runtime's node.
        incarnation: Its life.
    """

    __slots__ = ("_foreign", "_incarnation", "_node")

    def __init__(self, foreign: Foreign, node: str, incarnation: int) -> None:
        self._foreign = foreign
        self._node = node
        self._incarnation = incarnation

    def out(self, value: object) -> object:
        """What stands for a pid or reference on its way; msgspec's `enc_hook`.

        Raises:
            UnregisteredError: The value is neither.
        """
        if isinstance(value, Named):
            return (value.node, portable_name(value.name))
        if isinstance(value, Pid):
            return (value.node, value.incarnation, value.serial)
        if isinstance(value, FarRef):
            return (value.node, value.incarnation, value.number)
        if isinstance(value, Ref):
            return (self._node, self._incarnation, self._foreign.number_of(value))
        raise UnregisteredError(type(value).__name__, "is inside a message, and msgspec cannot encode it")

    def home(self, kind: type, value: Any) -> object:
        """The pid or reference that stood behind it; msgspec's `dec_hook`.

        Raises:
            ValueError: It is neither.
        """
        if kind in (Pid, Named) and type(value) is list and len(value) == 2:
            return Named(str(value[0]), name_of(value[1]))
        node, incarnation, number = value
        if type(node) is not str or type(incarnation) is not int or type(number) is not int:
            raise ValueError("a pid or reference has a node, an incarnation and a number")
        if kind is Pid:
            return self._foreign.pid(node, incarnation, number)
        if kind is Ref:
            return self._foreign.ref(node, incarnation, number)
        raise ValueError(f"nothing stands for a {kind.__name__}")


def portable_name(name: object) -> object:
    """A registered name as it crosses.

    Raises:
        UnregisteredError: It is not a text, bytes, a number, or a tuple of these.
    """
    if type(name) in _NAME_PARTS:
        return name
    if type(name) is tuple:
        return tuple(map(portable_name, name))
    raise UnregisteredError(type(name).__name__, "is the type of a name")


def name_of(value: object) -> str | bytes | int | tuple[Any, ...]:
    """The name that crossed so.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, _NAME_PARTS) and type(value) is not bool:
        return value
    if type(value) is list:
        return tuple(map(name_of, value))
    raise ValueError("a name is a text, bytes, a number, or a list of these")


class MessageCodec:
    """Messages as bytes, and back, for one runtime.

    Args:
        table: What crosses.
        passport: How pids and references do.
    """

    __slots__ = ("_decoders", "_passport", "_table", "encode")

    def __init__(self, table: MessageTable, passport: Passport) -> None:
        self._table = table
        self._passport = passport
        self._decoders: dict[int, Callable[[Any], Any]] = {}
        self.encode: Callable[[object], bytes] = msgspec.msgpack.Encoder(enc_hook=passport.out).encode
        """Anything that holds registered messages, pids and references, as bytes."""

    def decode(self, tag: int, body: msgspec.Raw) -> Any:
        """The message of these bytes.

        Raises:
            KeyError: No type has this number here.
            ValueError: The bytes do not fit the type.
        """
        decode = self._decoders.get(tag)
        if decode is None:
            kind = self._table.type_of(tag)
            if kind is None:
                raise KeyError(tag)
            decode = msgspec.msgpack.Decoder(kind, dec_hook=self._passport.home).decode
            self._decoders[tag] = decode
        return decode(body)
