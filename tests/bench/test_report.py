"""The figures of the start-up benchmark."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from startup.measure import Marks, Outcome, Subject, Unavailable, run_rounds
from startup.oci import bundle_config
from startup.report import (
    Target,
    as_json,
    as_table,
    faster_than,
    judge,
    make_rows,
    percentile,
    to_floor,
)


def _steady(nanoseconds: int, mark: str = "exit") -> Marks:
    return {mark: nanoseconds}


SUBJECTS = [
    Subject("floor container", "container", "floor", lambda: _steady(2_000_000), batch=3),
    Subject("crun run", "container", "peer", lambda: _steady(8_000_000)),
    Subject("ours", "container", "ours", lambda: _steady(4_000_000), batch=2),
]


@given(st.lists(st.floats(0, 1e9), min_size=1), st.floats(0.01, 1))
def test_percentile_is_a_value_that_enough_others_do_not_exceed(
    values: list[float], share: float
) -> None:
    answer = percentile(values, share)
    assert answer in values
    assert sum(value <= answer for value in values) >= share * len(values) - 1e-6


def test_ratios_are_to_the_floor_of_the_same_mark_and_to_peers_of_the_same_unit() -> None:
    rows = make_rows(SUBJECTS, run_rounds(SUBJECTS, 2, lambda number: None))
    ours = rows[2]
    assert [row.runs for row in rows] == [6, 2, 4]
    assert to_floor(ours, rows) == pytest.approx(2.0)
    assert faster_than(ours, rows) == {"crun run": pytest.approx(2.0)}
    assert to_floor(ours._replace(mark="up"), rows) is None


@pytest.mark.parametrize(
    ("target", "result"),
    [
        (Target("ours", "exit", "floor", 2.0, 1.3), "reached"),
        (Target("ours", "exit", "floor", 3.0, 2.0), "stretch"),
        (Target("ours", "exit", "floor", 1.9), "missed"),
        (Target("ours", "exit", "crun run", 2.0, 3.0), "reached"),
        (Target("ours", "exit", "crun run", 2.1), "missed"),
        (Target("ours", "exec", "floor", 2.0), "not measured"),
        (Target("ours", "exit", "runc run", 2.0), "not measured"),
        (Target("theirs", "exit", "floor", 2.0), "not measured"),
    ],
)
def test_a_target_is_reached_or_missed(target: Target, result: str) -> None:
    rows = make_rows(SUBJECTS, run_rounds(SUBJECTS, 1, lambda number: None))
    assert [verdict.result for verdict in judge(rows, [target])] == [result]


def test_targets_are_in_the_table_and_in_the_json() -> None:
    subjects = [SUBJECTS[0], SUBJECTS[2]._replace(name="kubelite container")]
    rows = make_rows(subjects, run_rounds(subjects, 1, lambda number: None))
    assert "<= 1.4 x floor" in as_table(rows, {})
    found = {
        (t["subject"], t["mark"], t["against"]): t["result"]
        for t in as_json(rows, {}, {})["targets"]
    }
    assert found[("kubelite container", "exit", "floor")] == "missed"
    assert found[("kubelite pod", "up", "floor")] == "not measured"


def test_a_subject_that_cannot_run_is_named_and_all_are_cleaned_up() -> None:
    cleaned: list[str] = []

    def refuse() -> None:
        raise Unavailable("not installed")

    subjects = [
        subject._replace(
            prepare=refuse if subject.role == "peer" else subject.prepare,
            cleanup=partial(cleaned.append, subject.name),
        )
        for subject in SUBJECTS
    ]
    outcome = run_rounds(subjects, 1, lambda number: None)
    assert outcome.skipped == {"crun run": "not installed"}
    assert cleaned == ["ours", "crun run", "floor container"]
    assert "skipped crun run: not installed" in as_table(
        make_rows(subjects, outcome), outcome.skipped
    )


def test_each_round_begins_with_the_next_subject() -> None:
    order: list[str] = []

    def record(name: str) -> Marks:
        order.append(name)
        return _steady(1)

    subjects = [Subject(name, "pod", "peer", partial(record, name)) for name in ("a", "b", "c")]
    outcome = run_rounds(subjects, 3, lambda number: None)
    assert order == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert isinstance(outcome, Outcome)


def test_a_peer_joins_the_sandbox_and_gets_its_own_pid_mount_and_cgroup_namespaces() -> None:
    namespaces = bundle_config(42, "/x", "/volume", "/shm")["linux"]["namespaces"]
    joined = {entry["type"]: entry.get("path") for entry in namespaces}
    assert joined == {
        "pid": None,
        "mount": None,
        "cgroup": None,
        "network": "/proc/42/ns/net",
        "ipc": "/proc/42/ns/ipc",
        "uts": "/proc/42/ns/uts",
    }
