"""The figures of the network's benchmark: what counts as reached, and that all of it is shown."""

from __future__ import annotations

import pytest
from networking.report import LIMITS, RATES, RATIOS, as_json, as_text, judge

FLOORS = {floor for floor, _ in (*RATIOS.values(), *RATES.values())}
GOOD = dict.fromkeys({*LIMITS, *RATIOS, *RATES, *FLOORS}, 0.9)


def missed(figures):
    return {verdict.target for verdict in judge(figures) if not verdict.reached}


def test_everything_can_be_reached_and_is_shown():
    assert missed(GOOD) == set()
    assert len(judge(GOOD)) == len(RATIOS) + len(RATES) + len(LIMITS)
    assert all(name in as_text(GOOD) for name in GOOD)
    assert as_json(GOOD)["figures"] == GOOD


@pytest.mark.parametrize(("name", "limit"), LIMITS.items())
def test_a_figure_above_its_limit_is_missed(name, limit):
    assert name in missed({**GOOD, name: limit * 1.01})


@pytest.mark.parametrize("name", [*RATIOS, *RATES])
def test_a_figure_too_far_from_its_floor_is_missed(name):
    worse = 2.0 if name in RATIOS else 0.5
    assert name in missed({**GOOD, name: GOOD[name] * worse})
