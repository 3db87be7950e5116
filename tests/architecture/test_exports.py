"""Each storey shows its face: a tour, its invariants, and the names it gives out, each from one place."""

from __future__ import annotations

import importlib
from collections import Counter, defaultdict

import pytest

from tests.architecture.house import ROOT, packages

# The SDK hands on what its users need of the wire; every other name is given out by one package only.
HANDS_ON = {"roost"}


def names_of(package: str) -> list[str]:
    return list(importlib.import_module(package).__all__)


@pytest.mark.parametrize("package", packages())
def test_a_package_tells_its_tour_and_its_invariants(package: str) -> None:
    tour = importlib.import_module(package).__doc__ or ""
    assert "Invariants" in tour
    assert (ROOT / package / "py.typed").is_file()


@pytest.mark.parametrize("package", packages())
def test_every_name_a_package_gives_out_is_there_once(package: str) -> None:
    module = importlib.import_module(package)
    names = names_of(package)
    assert [name for name in names if not hasattr(module, name)] == []
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert [name for name in names if name.startswith("_")] == []


def test_a_public_name_is_given_out_by_one_package() -> None:
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for package in packages():
        if package not in HANDS_ON:
            for name in names_of(package):
                homes[name].append(package)
    assert {name: givers for name, givers in homes.items() if len(givers) > 1} == {}
