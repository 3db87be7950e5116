"""What every test shares: one printed seed, and how hard Hypothesis searches.

Nothing here is random unless asked for: the seed is fixed, and Hypothesis derives its examples from the test's own
source. `ROOST_SEED=random` (or a number) explores; `--hypothesis-profile=thorough` searches longer and at random.
"""

from __future__ import annotations

import hashlib
import os
import random

import pytest
from hypothesis import HealthCheck, settings

SEED_VARIABLE = "ROOST_SEED"
SEED_DEFAULT = 1
_SEED: pytest.StashKey[int] = pytest.StashKey()

# A busy machine is no reason to fail: time is never what these tests measure.
_UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)

settings.register_profile("default", _UNHURRIED, derandomize=True, database=None, max_examples=50)
settings.register_profile("thorough", _UNHURRIED, max_examples=2000)
settings.load_profile("default")


def _session_seed() -> int:
    text = os.environ.get(SEED_VARIABLE, str(SEED_DEFAULT))
    if text == "random":
        return random.SystemRandom().getrandbits(32)
    if not text.isdecimal():
        raise pytest.UsageError(f'{SEED_VARIABLE} is {text!r}: give a whole number, or "random".')
    return int(text)


def pytest_configure(config: pytest.Config) -> None:
    """Settle the seed of this run once, before any test asks for it."""
    config.stash[_SEED] = _session_seed()


def pytest_report_header(config: pytest.Config) -> str:
    """Say how to run the same tests again."""
    return f"seed: {SEED_VARIABLE}={config.stash[_SEED]}"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A seed of this test's own, the same in every run of the same `ROOST_SEED`; a failure shows it."""
    session = request.config.stash[_SEED]
    digest = hashlib.sha256(f"{session} {request.node.nodeid}".encode()).digest()
    value = int.from_bytes(digest[:4], "big")
    print(f"{SEED_VARIABLE}={session} gave this test the seed {value}")
    return value
