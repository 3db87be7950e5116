"""Specs, restart windows and strategies: no process anywhere."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import KILLED, NORMAL, SHUTDOWN, Actor, Crash, Reason, Shutdown
from supervisors import (
    BRUTAL_KILL,
    INFINITY,
    ChildSpec,
    DynamicSupervisor,
    KeyedSupervisor,
    Restart,
    RestartWindow,
    SpecError,
    Supervisor,
    SupervisorFlags,
)
from supervisors.strategies import fate, wants_restart

GOOD: dict[str, Any] = {"id": "child", "start": Actor}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", []),
        ("start", "Actor"),
        ("restart", "always"),
        ("shutdown_s", -2),
        ("shutdown_s", math.nan),
        ("shutdown_s", "kill"),
        ("kind", "boss"),
        ("name", {}),
        ("mailbox_limit", 0),
        ("mailbox_limit", True),
        ("mailbox_limit", 1.5),
    ],
)
def test_a_wrong_spec_is_refused_by_the_name_of_its_field(field: str, value: object) -> None:
    with pytest.raises(SpecError) as caught:
        ChildSpec(**{**GOOD, field: value})
    assert caught.value.field == field
    assert str(caught.value) == f"{field}: {caught.value.problem}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("strategy", "one_for_none"),
        ("intensity", -1),
        ("intensity", "3"),
        ("period_s", 0),
        ("period_s", math.inf),
        ("period_s", "5"),
    ],
)
def test_wrong_flags_are_refused_by_the_name_of_their_field(field: str, value: object) -> None:
    wrong: dict[str, Any] = {field: value}
    with pytest.raises(SpecError) as caught:
        SupervisorFlags(**wrong)
    assert caught.value.field == field


def test_wrong_sets_of_children_are_refused_before_anything_starts() -> None:
    flags: Any = SupervisorFlags()
    spec: Any = ChildSpec(**GOOD)
    wrong: list[tuple[str, Any, list[Any]]] = [
        ("flags", "one_for_one", [spec]),
        ("children", flags, ["spec"]),
        ("id", flags, [spec, spec]),
    ]
    for field, wrong_flags, specs in wrong:
        with pytest.raises(SpecError) as caught:
            Supervisor(wrong_flags, specs)
        assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("restart", "always"),
        ("children_max", 0),
        ("intensity", None),
        ("period_s", -1),
        ("shutdown_s", "soon"),
    ],
)
def test_a_wrong_dynamic_supervisor_is_refused(field: str, value: object) -> None:
    wrong: dict[str, Any] = {field: value}
    with pytest.raises(SpecError) as caught:
        DynamicSupervisor(**wrong)
    assert caught.value.field == field


def test_a_keyed_supervisor_needs_two_functions() -> None:
    wrong: Any = "function"
    with pytest.raises(SpecError, match="start"):
        KeyedSupervisor(wrong, str)
    with pytest.raises(SpecError, match="name_of"):
        KeyedSupervisor(lambda key: Actor(), wrong)


def test_the_deadline_follows_the_kind_unless_it_is_given() -> None:
    assert ChildSpec("worker", Actor).shutdown_s == 5.0
    assert ChildSpec("supervisor", Actor, kind="supervisor").shutdown_s == INFINITY
    assert ChildSpec("worker", Actor, shutdown_s=BRUTAL_KILL).shutdown_s == BRUTAL_KILL
    assert ChildSpec("worker", Actor, shutdown_s=0).shutdown_s == 0


@given(
    intensity=st.integers(0, 5),
    period_s=st.floats(0.1, 10),
    pauses_s=st.lists(st.floats(0, 6), max_size=30),
)
def test_a_window_allows_intensity_restarts_in_any_period(
    intensity: int, period_s: float, pauses_s: list[float]
) -> None:
    window, now_s, history = RestartWindow(intensity, period_s), 0.0, []
    for pause_s in pauses_s:
        now_s += pause_s
        history.append(now_s)
        window, is_within = window.restarted(now_s)
        assert is_within == (sum(at_s >= now_s - period_s for at_s in history) <= intensity)
        assert len(window.restarts) <= intensity + 1


@pytest.mark.parametrize(
    ("restart", "reason", "expected"),
    [
        (restart, reason, restart == "permanent" or (restart == "transient" and not is_normal))
        for restart in ("permanent", "transient", "temporary")
        for reason, is_normal in (
            (NORMAL, True),
            (SHUTDOWN, True),
            (Shutdown("soon"), True),
            (KILLED, False),
            (Crash(ValueError()), False),
            (Reason("odd"), False),
        )
    ],
)
def test_who_is_started_again(restart: Restart, reason: Reason, expected: bool) -> None:
    assert wants_restart(restart, reason) is expected


@given(count=st.integers(1, 9), data=st.data())
def test_who_shares_whose_fate(count: int, data: st.DataObject) -> None:
    children = list(range(count))
    failed = data.draw(st.sampled_from(children))
    assert fate("one_for_one", children, failed) == [failed]
    assert fate("rest_for_one", children, failed) == children[failed:]
    assert fate("one_for_all", children, failed) == children
