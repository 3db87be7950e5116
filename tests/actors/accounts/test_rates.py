"""The rate limiter against a token bucket that is counted the slow way."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from actors.accounts.rates import Rate, RateLimiter


@given(
    st.integers(1, 5),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from("ab")), max_size=60),
)
def test_it_allows_what_a_token_bucket_allows(burst: int, per_s: float, steps: list[tuple[int, str]]) -> None:
    limiter = RateLimiter({"send": Rate(burst, per_s)})
    tokens = dict.fromkeys("ab", Fraction(burst))
    now = Fraction(1_000)
    for quarters, key in steps:
        passed = Fraction(quarters, 4)
        now += passed
        tokens = {each: min(Fraction(burst), left + passed * Fraction(per_s)) for each, left in tokens.items()}
        (told,) = limiter.remaining(key, float(now), ("send", "unlimited"))
        assert told.remaining == int(tokens[key])
        wait_s = limiter.take("send", key, float(now))
        if tokens[key] >= 1:
            assert wait_s == 0.0
            tokens[key] -= 1
        else:
            assert wait_s == float((1 - tokens[key]) / Fraction(per_s))


def test_what_is_not_listed_is_not_limited() -> None:
    limiter = RateLimiter({})
    assert all(limiter.take("send", "a", 0.0) == 0.0 for _ in range(100))
    assert limiter.remaining("a", 0.0, ("send",)) == []


def test_the_table_is_bounded_and_keys_that_owe_nothing_make_room() -> None:
    limiter = RateLimiter({"send": Rate(1, 1.0)}, keys_max=3)
    assert [limiter.take("send", key, 0.0) for key in "abc"] == [0.0, 0.0, 0.0]
    assert limiter.take("send", "d", 0.0) == 1.0
    assert limiter.take("send", "d", 1.5) == 0.0


def test_a_table_full_of_one_operation_stands_in_no_other_operations_way() -> None:
    limiter = RateLimiter({"codes": Rate(1, 0.001), "send": Rate(1, 1.0)}, keys_max=3)
    assert [limiter.take("codes", key, 0.0) for key in "abcd"] == [0.0, 0.0, 0.0, 1000.0]
    assert limiter.take("send", "e", 0.0) == 0.0


def test_a_full_table_is_looked_through_at_most_once_a_second() -> None:
    limiter = RateLimiter({"send": Rate(1, 2.0)}, keys_max=2)
    assert [limiter.take("send", key, 0.0) for key in "abc"] == [0.0, 0.0, 0.5]
    assert limiter.take("send", "c", 0.9) == 0.5  # a and b owe nothing any more, but nobody has looked yet
    assert limiter.take("send", "c", 1.0) == 0.0
