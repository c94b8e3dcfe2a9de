"""Thresholds and times of probes, as a plain model reads the documentation, against the state
machine.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.kubelet.decide import probes
from kubelite.node.kubelet.decide.probes import LIVENESS, READINESS, STARTUP, ProbeResult, State
from kubelite.objects.pod.container import Container, ContainerPort, Probe

GOOD, BAD, UNKNOWN = (
    ProbeResult(True, ""),
    ProbeResult(False, "no"),
    ProbeResult(False, "?", known=False),
)
results = st.lists(st.sampled_from([GOOD, BAD, UNKNOWN]), max_size=40)
thresholds = st.integers(min_value=1, max_value=5)


def verdicts(probe: Probe, state: State, given: list[ProbeResult]) -> list[bool | None]:
    found = []
    for result in given:
        state = probes.judge(probe, state, result)
        found.append(state.verdict)
    return found


@given(results, thresholds, thresholds, st.sampled_from([LIVENESS, READINESS, STARTUP]))
def test_a_verdict_is_that_of_the_last_long_enough_run(
    given: list[ProbeResult], successes: int, failures: int, kind: str
) -> None:
    probe = Probe(success_threshold=successes, failure_threshold=failures)
    known = [each.ok for each in given if each.known]
    expected = probes.initial_state(kind).verdict
    for end in range(1, len(known) + 1):
        for ok, length in ((True, successes), (False, failures)):
            if known[max(end - length, 0) : end] == [ok] * length:
                expected = ok
    found = verdicts(probe, probes.initial_state(kind), given)
    assert (found[-1] if found else probes.initial_state(kind).verdict) == expected


@given(results)
def test_what_could_not_be_asked_changes_nothing(given: list[ProbeResult]) -> None:
    probe, known = (
        Probe(failure_threshold=2, success_threshold=2),
        [each for each in given if each.known],
    )
    whole, part = (
        verdicts(probe, probes.initial_state(READINESS), given),
        verdicts(probe, probes.initial_state(READINESS), known),
    )
    assert (whole[-1:] or [False]) == (part[-1:] or [False])


def test_before_the_first_result_a_container_is_alive_not_ready_and_its_startup_open() -> None:
    assert [probes.initial_state(kind).verdict for kind in (LIVENESS, READINESS, STARTUP)] == [
        True,
        False,
        None,
    ]
    assert probes.initial_state(READINESS, ready=True).verdict is True


def test_knobs_left_out_or_zero_are_the_defaults() -> None:
    for probe in (
        Probe(),
        Probe(timeout_seconds=0, period_seconds=0, success_threshold=0, failure_threshold=0),
    ):
        assert probes.timeout(probe) == 1
        assert probes.next_due(probe, 100.0, 100.5) == 110.0
        assert verdicts(probe, probes.initial_state(LIVENESS), [BAD] * 4) == [
            True,
            True,
            False,
            False,
        ]
        assert verdicts(probe, probes.initial_state(READINESS), [GOOD]) == [True]


@given(st.floats(0, 1e6), st.integers(0, 100), st.floats(0, 1e3))
def test_the_delay_counts_from_the_start_of_the_container(
    started: float, delay: int, later: float
) -> None:
    due = probes.first_due(Probe(initial_delay_seconds=delay), started, started + later)
    assert due >= started + delay and due >= started + later
    assert due in (started + delay, started + later)


def test_an_answer_slower_than_a_period_is_followed_by_the_next_question_at_once() -> None:
    assert probes.next_due(Probe(period_seconds=2), 10.0, 17.0) == 17.0


@pytest.mark.parametrize(
    ("kind", "verdict", "settled"),
    [(STARTUP, True, True), (STARTUP, False, True), (STARTUP, None, False), (LIVENESS, False, True),
     (LIVENESS, True, False),
     (READINESS, False, False), (READINESS, True, False)],
)  # fmt: skip
def test_when_nothing_more_is_asked(kind: str, verdict: bool | None, settled: bool) -> None:
    assert probes.is_settled(kind, State(verdict)) is settled


def test_ports_by_number_and_name() -> None:
    ports = (
        ContainerPort(container_port=80, name="web"),
        ContainerPort(container_port=81, name="8080"),
    )
    assert [probes.port_number(port, ports) for port in (5, "web", "8080", "90", "none")] == [
        5,
        80,
        81,
        90,
        None,
    ]


def test_events_of_results() -> None:
    failed = ProbeResult(False, "HTTP probe failed with statuscode: 503")
    assert probes.event(READINESS, failed) == (
        "Unhealthy",
        "Readiness probe failed: HTTP probe failed with statuscode: 503",
    )
    assert probes.event(LIVENESS, ProbeResult(False, "x", known=False)) == (
        "Unhealthy",
        "Liveness probe errored and resulted in unknown state: x",
    )
    redirected = ProbeResult(True, "Probe terminated redirects", warning=True)
    assert probes.event(STARTUP, redirected) == (
        "ProbeWarning",
        "Startup probe warning: Probe terminated redirects",
    )
    assert probes.event(LIVENESS, ProbeResult(True, "fine")) == ("", "")


def test_probes_of_a_container() -> None:
    container = Container(
        name="c", liveness_probe=Probe(period_seconds=1), startup_probe=Probe(period_seconds=2)
    )
    assert {kind: probe.period_seconds for kind, probe in probes.of(container).items()} == {
        LIVENESS: 1,
        STARTUP: 2,
    }
