"""How to see a run again: a command where the seed alone decides the world, Python where a scenario has a say."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from simulation import people
from simulation.world import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulation.plan import Plan

__all__ = ["recipe"]

_OF_THE_PLAN: Final = ("faults", "accepted_min", "silent")
"""What a plan says in place of its scenario."""


def recipe(seed: int, scenario: Scenario, plan: Plan) -> Iterator[str]:
    """Lines that show a run again, in any process at the same commit.

    Args:
        seed: Of the run.
        scenario: What its world was made of.
        plan: What went wrong in it.

    Returns:
        A command of the shell, or a Python program, which needs to import the classes that the scenario names.
    """
    spoken = {name: value for name, value in _changed(scenario) if name not in _OF_THE_PLAN}
    if replace(Scenario(), **spoken) == Scenario(cluster=scenario.cluster or None):
        option = " --cluster" if scenario.cluster else ""
        yield f'python -m simulation --seed {seed}{option} --timeline --plan "{plan}"'
        return
    imports = {("simulation", name) for name in ("Plan", "Scenario", "replay")}
    words = [f"    {name}={_source(value, imports)}," for name, value in spoken.items()]
    for module in sorted({module for module, _ in imports}):
        names = ", ".join(sorted(name for home, name in imports if home == module))
        yield f"from {module} import {names}"
    yield ""
    yield "scenario = Scenario("
    yield from words
    yield ")"
    yield f'plan = Plan.parse("{plan}", scenario)'
    yield f"seen = replay({seed}, scenario, plan)"
    yield r'print(seen.outcome.violation, *seen.timeline, sep="\n")'


def _changed(value: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a dataclass or a named tuple that are not as they come."""
    names = [field.name for field in fields(value)] if is_dataclass(value) else value._fields
    for name in names:
        here = getattr(value, name)
        if here != _default(type(value), name):
            yield name, here


def _default(kind: Any, name: str) -> Any:
    """What a field is unless somebody says otherwise."""
    if not is_dataclass(kind):
        return kind._field_defaults.get(name, MISSING)
    (field,) = (field for field in fields(kind) if field.name == name)
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _source(value: Any, imports: set[tuple[str, str]]) -> str:
    """A value as Python writes it, and what has to be imported for that."""
    for name in people.__all__:
        if getattr(people, name) is value:
            imports.add((people.__name__, name))
            return name
    if isinstance(value, type):
        imports.add((value.__module__, value.__qualname__))
        return value.__qualname__
    if is_dataclass(value) or hasattr(value, "_fields"):
        kind = _source(type(value), imports)
        return f"{kind}({', '.join(f'{name}={_source(part, imports)}' for name, part in _changed(value))})"
    if type(value) is tuple:
        return f"({', '.join(_source(part, imports) for part in value)}{',' * (len(value) == 1)})"
    return repr(value)
