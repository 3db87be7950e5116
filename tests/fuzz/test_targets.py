"""Every target under Hypothesis, a little each time; `make fuzz` searches for longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.record_targets import RECORD_TARGETS
from tests.fuzz.seeds import seeds
from tests.fuzz.store_targets import STORE_TARGETS
from tests.fuzz.strategies import inputs
from tests.fuzz.target import CORPUS
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fuzz.target import Target

COMMITTED = [
    pytest.param(target, path, id=f"{target.name}-{path.name}")
    for target in TARGETS.values()
    for path in target.corpus()
]


@pytest.fixture(scope="module", autouse=True)
def _templates() -> None:
    """What a target makes once is no memory of an input."""
    for target in TARGETS.values():
        target.run(b"")


@pytest.mark.parametrize(("target", "path"), COMMITTED)
def test_every_committed_input_keeps_the_promise(target: Target, path: Path) -> None:
    target.check(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@settings(max_examples=100)
@given(data=st.data())
def test_any_bytes_keep_the_promise(target: Target, data: st.DataObject) -> None:
    target.check(data.draw(inputs(target)))


def test_every_target_has_a_corpus_and_no_folder_of_it_is_nobodys() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


def test_every_stored_seed_is_what_the_examples_of_today_make_of_it() -> None:
    """What is said over a wire stays legal when there is more to say; what is stored is of one version."""
    stored = {target.name for target in (*STORE_TARGETS, *RECORD_TARGETS)}
    written = {CORPUS / target / name: data for target, name, data in seeds() if target in stored}
    stale = [str(path.relative_to(CORPUS)) for path, data in written.items() if path.read_bytes() != data]
    assert not stale, "run python -m tests.fuzz.seeds: a legal input of yesterday is junk today"
