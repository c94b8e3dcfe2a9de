"""The figures of the API server's benchmark: what counts as reached, and that everything measured
is shown.
"""

import json

import pytest
from serving.report import FACTORS, FLOORS, LIMITS, REAL, Rates, as_json, as_table, judge

RATES = {name: Rates(one * 3, sixteen * 3, 100.0) for name, (one, sixteen) in REAL.items()}
RATES |= {
    floor: Rates(RATES[name].one, RATES[name].sixteen, 100.0) for name, (floor, _) in FLOORS.items()
}
FIGURES = {name: most * 0.9 for name, most in LIMITS.items()} | {"something else": 12.5}


def missed(rates, figures):
    return [verdict.target for verdict in judge(rates, figures) if not verdict.reached]


def test_everything_can_be_reached():
    assert missed(RATES, FIGURES) == []
    assert len(judge(RATES, FIGURES)) == 3 * len(FLOORS) + 2 * len(REAL) + len(LIMITS)


@pytest.mark.parametrize("name", LIMITS)
def test_a_figure_above_its_limit_is_missed(name):
    assert missed(RATES, {**FIGURES, name: LIMITS[name] * 1.01}) == [name]


@pytest.mark.parametrize("name", REAL)
def test_too_slow_at_sixteen_is_missed(name):
    slow = RATES[name]._replace(sixteen=REAL[name][1] * FACTORS.get(name, 1.0) * 0.99)
    others = {floor: RATES[floor]._replace(sixteen=1.0) for floor, _ in FLOORS.values()}
    assert missed({**RATES, **others, name: slow}, FIGURES) == [f"{name}, sixteen"]


@pytest.mark.parametrize("name", FLOORS)
def test_too_far_from_the_floor_is_missed(name):
    floor, share = FLOORS[name]
    fast = Rates(
        RATES[name].one / share * 1.01,
        RATES[name].sixteen / share * 0.99,
        RATES[name].processor * share * 0.99,
    )
    assert missed({**RATES, floor: fast}, FIGURES) == [f"{name}, one", f"{name}, by processor time"]


def test_everything_measured_is_shown_and_can_be_read():
    shown, found = as_table(RATES, FIGURES), json.loads(json.dumps(as_json(RATES, FIGURES)))
    assert all(name in shown for name in (*RATES, *FIGURES))
    assert found["rates"]["list 300"]["one"] == 144 * 3
    assert {each["reached"] for each in found["targets"]} == {True}
