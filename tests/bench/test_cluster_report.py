"""The figures of a whole cluster's benchmark: what counts as reached, and beside what it stands."""

import pytest
from clustering.report import FLOORS, ROWS, as_json, as_table, judge

FIGURES = {row.name: row.wanted for row in ROWS} | dict.fromkeys(FLOORS, 10.0)


def test_everything_can_be_reached() -> None:
    verdicts = judge(FIGURES)
    assert len(verdicts) == len(ROWS)
    assert all(verdict.reached for verdict in verdicts)
    assert all(
        verdict.of_floor == verdict.measured / 10 for verdict in verdicts if verdict.row.floor
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_figure_above_what_is_wanted_is_missed(row) -> None:
    figures = {**FIGURES, row.name: row.wanted + 1}
    assert [v.row for v in judge(figures) if not v.reached] == [row]
    assert as_json(figures)["targets"][row.name] is False


def test_everything_that_was_measured_is_shown() -> None:
    table = as_table(FIGURES)
    assert all(name in table for name in FIGURES)
    (line,) = (line for line in table.splitlines() if line.startswith("node Ready"))
    assert line.split()[-4:] == ["1000", "100.0", "19.9", "reached"]
