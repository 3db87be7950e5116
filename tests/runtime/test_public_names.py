"""What the package gives out: each name once, from its own file, and nothing that is not listed."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import runtime

FOLDER = Path(runtime.__file__).parent


def imports_of(path: Path) -> set[str]:
    """The packages that a file imports, its own left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_each_public_name_is_exported_once() -> None:
    assert len(runtime.__all__) == len(set(runtime.__all__))
    public = {
        name for name, value in vars(runtime).items() if not name.startswith("_") and not isinstance(value, type(sys))
    }
    assert public == set(runtime.__all__)


def test_each_public_class_is_defined_in_one_file_of_the_package() -> None:
    homes: dict[str, set[str]] = {}
    for path in FOLDER.glob("*.py"):
        module = importlib.import_module(f"runtime.{path.stem}") if path.stem != "__init__" else runtime
        for name in runtime.__all__:
            value = getattr(module, name, None)
            if isinstance(value, type) and value is getattr(runtime, name):
                homes.setdefault(name, set()).add(value.__module__)
    assert {name: where for name, where in homes.items() if len(where) != 1} == {}


def test_the_runtime_needs_the_standard_library_only() -> None:
    strangers = {name for path in FOLDER.glob("*.py") for name in imports_of(path)} - set(sys.stdlib_module_names)
    assert strangers == set()
