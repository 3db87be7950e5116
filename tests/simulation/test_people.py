"""How people live."""

from __future__ import annotations

from dataclasses import asdict

from simulation import IDLE


def test_who_is_idle_does_nothing_of_any_kind_oftener_than_each_half_hour() -> None:
    means_s = {name: mean_s for name, mean_s in asdict(IDLE).items() if name.endswith("_every_s")}
    assert {"write_every_s", "read_every_s", "act_every_s", "club_every_s"} <= means_s.keys()
    assert min(means_s.values()) >= 1_800
