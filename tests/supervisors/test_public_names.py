"""What the package gives out: each name once, and everything that has a name."""

from __future__ import annotations

import sys

import supervisors


def test_each_public_name_is_exported_once() -> None:
    assert len(supervisors.__all__) == len(set(supervisors.__all__))
    public = {
        name
        for name, value in vars(supervisors).items()
        if not name.startswith("_") and not isinstance(value, type(sys))
    }
    assert public == set(supervisors.__all__)
