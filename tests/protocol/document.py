"""The parts of docs/protocol.md that are made from the code, and the reading of its frame tables.

``python -m tests.protocol.document`` writes the generated parts again.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import msgspec.inspect as inspect

from protocol import Code, Role, State
from protocol.limits import NUMBER_MAX
from protocol.states import TABLE
from tests.protocol.session_example import session

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH: Final = Path(__file__).parents[2] / "docs" / "protocol.md"

_INTEGERS: Final = {(0, 2**16 - 1): "u16", (0, 2**32 - 1): "u32", (0, NUMBER_MAX): "u63", (-1, NUMBER_MAX): "retry"}
_SECTION: Final = re.compile(r"(?<=<!-- generated: )(?P<name>\w+) -->\n(?P<text>.*?)(?=<!-- end -->)", re.DOTALL)
_HEADING: Final = re.compile(r"^### (?:(?P<tag>\d+) )?`(?P<name>\w+)`$")
_ROW: Final = re.compile(r"^\| `(?P<field>\w+)` \| (?P<type>.+?) \| .+ \|$")


def states() -> str:
    """The table of section 7."""
    rows = ["| state | the client may say | the server may say |", "|---|---|---|"]
    for state in State:
        cells = [_steps(state, TABLE[state][role]) for role in (Role.CLIENT, Role.SERVER)]
        rows.append(f"| **{state.name}** {_MEANINGS[state]} | {cells[0]} | {cells[1]} |")
    return "\n".join(rows) + "\n"


_MEANINGS: Final = {
    State.HANDSHAKE: "no frame can pass",
    State.GREETING: "the link is encrypted",
    State.GREETED: "Hello said, Welcome not yet",
    State.OPEN: "version agreed, not logged in",
    State.READY: "logged in",
    State.LEAVING: "Bye said",
    State.CLOSED: "the end",
}


def _steps(state: State, steps: Mapping[type, State]) -> str:
    staying = [frame.__name__ for frame, after in steps.items() if after is state]
    leading = [f"{frame.__name__} → {after.name}" for frame, after in steps.items() if after is not state]
    return ", ".join(staying + leading) or "nothing"


def codes() -> str:
    """The table of section 14."""
    rows = ["| code | name | fault | retry | sentence |", "|---|---|---|---|---|"]
    rows += [
        f"| {code.value} | {code.name} | {code.fault} | {'yes' if code.retry else 'no'} | {code.sentence} |"
        for code in Code
    ]
    return "\n".join(rows) + "\n"


def example() -> str:
    """The session of section 19."""
    return "\n".join(["```text", *session().lines, "```"]) + "\n"


GENERATED: Final = {"states": states, "codes": codes, "session": example}


def sections() -> dict[str, str]:
    """What stands between the marks now."""
    return {match["name"]: match["text"] for match in _SECTION.finditer(PATH.read_text())}


def type_text(field: inspect.Field) -> str:
    """A field's type as the document writes it."""
    text = _type(field.type)
    if field.required:
        return text
    made = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return f"{text} = {_default(made)}"


def _default(value: object) -> str:
    match value:
        case None:
            return "nil"
        case bool():
            return str(value).lower()
        case b"" | []:
            return "empty"
        case _:
            return str(value)


def _type(info: inspect.Type) -> str:
    match info:
        case inspect.IntType(ge=int() as least, le=int() as most):
            return _INTEGERS[least, most]
        case inspect.StrType(max_length=most):
            return f"text ≤{most}"
        case inspect.BytesType(min_length=least, max_length=most):
            return "bytes" if most is None else f"bytes {most}" if least == most else f"bytes ≤{most}"
        case inspect.BoolType():
            return "bool"
        case inspect.NoneType():
            return "nil"
        case inspect.ListType(item_type=item, min_length=least, max_length=most):
            return f"[{_type(item)}] {f'{least}..' if least else '≤'}{most}"
        case inspect.UnionType(types=types):
            return " or ".join(sorted((_type(each) for each in types), key=lambda text: text == "nil"))
        case inspect.StructType(cls=cls):
            return cls.__name__
        case _:
            raise AssertionError(f"the document has no word for {info}")


def fields_in_code(cls: type[msgspec.Struct]) -> list[tuple[str, str]]:
    """Name and type of each field, as the code has them."""
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return [(field.name, type_text(field)) for field in info.fields]


def fields_in_document() -> dict[str, tuple[int | None, list[tuple[str, str]]]]:
    """Type number and fields of each structure, as sections 17 and 18 have them."""
    found: dict[str, tuple[int | None, list[tuple[str, str]]]] = {}
    rows: list[tuple[str, str]] = []
    for line in PATH.read_text().splitlines():
        heading, row = _HEADING.match(line), _ROW.match(line)
        if heading is not None:
            rows = []
            found[heading["name"]] = (int(heading["tag"]) if heading["tag"] else None, rows)
        elif row is not None:
            rows.append((row["field"], row["type"]))
    return found


def rewritten(text: str) -> str:
    """The document with every generated part made again."""

    def again(match: re.Match[str]) -> Any:
        return f"{match['name']} -->\n{GENERATED[match['name']]()}"

    return _SECTION.sub(again, text)


if __name__ == "__main__":
    PATH.write_text(rewritten(PATH.read_text()))
