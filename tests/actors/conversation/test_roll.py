from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.conversation.roll import CHANGES_REMEMBERED, Roll
from protocol import AccountId

NAMES = ("ann", "bob", "cid", "dee")
CHANGES = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 5)), max_size=CHANGES_REMEMBERED)


def rolled(changes: list[tuple[str, int]]) -> Roll:
    roll = Roll()
    for name, version in changes:
        roll.note(AccountId(name), version)
    return roll


@given(CHANGES, CHANGES)
def test_the_number_says_who_has_which_version_and_not_how_it_came_to_that(
    some: list[tuple[str, int]], others: list[tuple[str, int]]
) -> None:
    one, other = rolled(some), rolled(others)
    same = {key: value for key, value in dict(some).items() if value} == {
        key: value for key, value in dict(others).items() if value
    }
    assert (one.number == other.number) == same


@given(CHANGES)
def test_each_number_of_late_tells_what_has_changed_since(changes: list[tuple[str, int]]) -> None:
    roll, had = Roll(), {name: 0 for name in NAMES}
    seen = [(roll.number, dict(had))]
    for name, version in changes:
        roll.note(AccountId(name), version)
        had[name] = version
        seen.append((roll.number, dict(had)))
    for number, then in seen:
        since = roll.since(number)
        assert since is not None
        assert {name for name in NAMES if then[name] != had[name]} <= since.keys()
        assert all(then[name] == version for name, version in since.items())


def test_what_is_long_ago_is_not_remembered() -> None:
    roll = Roll()
    roll.note(AccountId("ann"), 1)
    first = roll.number
    for version in range(2, CHANGES_REMEMBERED + 3):
        roll.note(AccountId("ann"), version)
    assert roll.since(first) is None
    assert roll.since(12_345) is None
