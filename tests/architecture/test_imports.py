"""What setup.cfg's import contracts cannot say: node.py stays alone, rooms meet at their doors, runtime is bare."""

from __future__ import annotations

import ast
import configparser
import sys
from typing import TYPE_CHECKING

from tests.architecture.house import ROOT, packages, rooms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


COMPOSITION = {("actors", "tree.py"), ("actors", "messages.py")}
"""Makes the actors that the supervisors start, so it knows the inside of every room; nothing else does."""


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file may import, in full, with its line; a name taken from a module counts as below it."""
    package = list(path.relative_to(ROOT).parent.parts)
    for statement in ast.walk(ast.parse(path.read_bytes(), str(path))):
        match statement:
            case ast.Import(names):
                yield from ((name.name, statement.lineno) for name in names)
            case ast.ImportFrom(module, names, level):
                above = package[: len(package) - level + 1] if level else []
                origin = ".".join([*above, *([module] if module else [])])
                yield from ((f"{origin}.{name.name}", statement.lineno) for name in names)


def at(path: Path, line: int, what: str) -> str:
    return f"{path.relative_to(ROOT)}:{line} {what}"


def test_every_package_of_the_house_is_under_the_import_contracts() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    declared = settings["importlinter"]["root_packages"].split()
    installed = [pattern.removesuffix("*") for pattern in settings["options.packages.find"]["include"].split()]
    assert set(packages()) <= set(declared)
    assert declared == installed


def test_nobody_imports_node() -> None:
    found = [
        at(path, line, f"imports {name}")
        for path in modules(*packages(), "tests", "examples")
        for name, line in imports(path)
        if name.partition(".")[0] == "node"
    ]
    assert found == []


def test_runtime_uses_the_standard_library_only() -> None:
    allowed = {*sys.stdlib_module_names, "runtime"}
    found = [
        at(path, line, f"imports {name}")
        for path in modules("runtime")
        for name, line in imports(path)
        if name.partition(".")[0] not in allowed
    ]
    assert found == []


def test_thespian_lives_in_the_host_only() -> None:
    found = [
        at(path, line, f"imports {name}")
        for path in [*modules(*packages(), "examples"), ROOT / "node.py"]
        for name, line in imports(path)
        if name.partition(".")[0] == "thespian" and path.parent != ROOT / "supervisors" / "host"
    ]
    assert found == []


def test_rooms_are_entered_through_their_api_only() -> None:
    names_of_rooms = {room.name for room in rooms()}
    found = []
    for path in modules(*packages()):
        home = path.relative_to(ROOT).parts[:2]
        if home in COMPOSITION:
            continue
        for name, line in imports(path):
            storey, room, door, *_ = [*name.split("."), "", ""]
            if storey == "actors" and room in names_of_rooms and home != ("actors", room) and door != "api":
                found.append(at(path, line, f"imports {name}: enter by actors.{room}.api"))
    assert found == []


def test_every_room_has_a_door() -> None:
    assert [room.name for room in rooms() if not (room / "api.py").is_file()] == []
