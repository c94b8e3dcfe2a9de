"""The HorizontalPodAutoscaler: what metrics ask for, how fast it goes, what it says."""

from __future__ import annotations

import pytest

from kubelite.control.controllers.actions import Outcome, Read, Refusal, Step, Update
from kubelite.control.controllers.autoscaling.behavior import Change, History, decide
from kubelite.control.controllers.autoscaling.horizontal import SYNC_SECONDS, Autoscaler
from kubelite.control.controllers.autoscaling.replicas import (
    Groups,
    MetricError,
    Sample,
    Target,
    grouped,
    proposal,
    requests_of,
    samples_of,
)
from kubelite.control.controllers.shared.meta import format_time
from kubelite.control.controllers.view import FixedView
from tests.control.controllers.plain import NOW, pod


def used(*amounts):
    """Samples, group and requests (1000 each) of ready pods that use so much."""
    samples = {f"p{n}": Sample(amount, NOW, 60) for n, amount in enumerate(amounts)}
    return samples, set(samples), {**dict.fromkeys(samples, 1000), "m": 1000, "u": 1000}


@pytest.mark.parametrize(
    ("amounts", "target", "unready", "missing", "replicas"),
    [
        ((1000, 1000), 50, (), (), 4),
        ((500, 500), 50, (), (), 2),
        ((540, 540), 50, (), (), 2),  # within a tenth
        ((560, 560), 50, (), (), 3),
        ((100, 100), 50, (), (), 1),
        ((1000, 1000), 50, ("u",), (), 4),  # the pod that starts counts as using nothing
        ((1000, 1000), 50, (), ("m",), 4),
        ((200, 200), 50, (), ("m",), 2),  # the missing one counts as using all: no change
        ((0, 0, 0), 50, (), (), 0),
    ],
)
def test_a_percentage_of_requests(amounts, target, unready, missing, replicas) -> None:
    samples, ready, requests = used(*amounts)
    groups = Groups(ready, set(unready), set(missing))
    current = len(amounts)
    assert proposal(current, Target(target), samples, groups, requests).replicas == replicas


def test_the_example_of_the_formula() -> None:
    samples = {
        "a": Sample(495, NOW, 60),
        "b": Sample(2000, NOW, 60),
        "c": Sample(0, NOW, 60),
        "d": Sample(0, NOW, 60),
    }
    groups = Groups(set(samples), set(), set())
    found = proposal(4, Target(100), samples, groups, dict.fromkeys(samples, 1000))
    assert (found.replicas, found.percent) == (3, 62)


def test_an_average_value() -> None:
    samples, ready, _ = used(300, 500)
    found = proposal(2, Target(None, 200), samples, Groups(ready, set(), set()), {})
    assert found.replicas == 4
    assert (found.percent, found.amount) == (None, 400)


def test_nothing_measured() -> None:
    with pytest.raises(MetricError, match="did not receive metrics"):
        proposal(1, Target(50), {}, Groups(set(), {"u"}, set()), {})


def test_groups_of_pods() -> None:
    samples = {name: Sample(1, NOW, 60) for name in ("old", "new", "late", "failed")}
    started = {"startTime": format_time(NOW - 1000)}
    old = pod("old", phase="Running", ready_at=NOW - 900)
    new = pod("new", phase="Running", ready_at=NOW - 10)
    late = pod("late", phase="Running")
    old["status"] |= started
    new["status"] |= {"startTime": format_time(NOW - 20)}
    pods = [old, new, late, pod("failed", phase="Failed"), pod("waits"), pod("m", phase="Running")]
    groups = grouped(pods, samples, NOW, is_cpu=True)
    assert groups == Groups({"old"}, {"new", "late", "waits"}, {"m"})
    groups = grouped(pods, samples, NOW, is_cpu=False)
    assert groups == Groups({"old", "new", "late"}, {"waits"}, {"m"})


def test_samples_and_requests() -> None:
    item = {
        "metadata": {"name": "p"},
        "timestamp": format_time(NOW),
        "window": "1m30s",
        "containers": [
            {"name": "a", "usage": {"cpu": "100m"}},
            {"name": "b", "usage": {"cpu": "1"}},
        ],
    }
    assert samples_of([item], "cpu") == {"p": Sample(1100, NOW, 90.0)}
    assert samples_of([item], "cpu", "a") == {"p": Sample(100, NOW, 90.0)}
    assert samples_of([item], "memory") == {}
    with pytest.raises(MetricError, match="missing request for cpu in container c of Pod p"):
        bare = pod("p")
        bare["spec"]["containers"] = [{"name": "c"}]
        requests_of([bare], "cpu")


def verdict(current, wanted, past=(), changes=(), **spec):
    recommendations = (*(Change(NOW - age, count) for age, count in past), Change(NOW, wanted))
    history = History(recommendations, tuple(Change(NOW - age, count) for age, count in changes))
    found = decide({"minReplicas": 1, "maxReplicas": 100, **spec}, current, wanted, history, NOW)
    return found.replicas, found.able[1], found.limited[1]


def rules(seconds=0, select="Max", *policies):
    listed = [{"type": t, "value": v, "periodSeconds": 15} for t, v in policies]
    return {"stabilizationWindowSeconds": seconds, "selectPolicy": select, "policies": listed}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (verdict(2, 3), (3, "ReadyForNewScale", "DesiredWithinRange")),
        (verdict(1, 30), (4, "ReadyForNewScale", "ScaleUpLimit")),
        (verdict(10, 30), (20, "ReadyForNewScale", "ScaleUpLimit")),
        (verdict(60, 200), (100, "ReadyForNewScale", "TooManyReplicas")),
        (verdict(5, 0), (1, "ReadyForNewScale", "TooFewReplicas")),
        (verdict(5, 2, [(60, 4)]), (4, "ScaleDownStabilized", "DesiredWithinRange")),
        (verdict(5, 2, [(301, 4)]), (2, "ReadyForNewScale", "DesiredWithinRange")),
        (
            verdict(10, 30, behavior={"scaleUp": rules(0, "Max", ("Pods", 4), ("Percent", 50))}),
            (15, "ReadyForNewScale", "ScaleUpLimit"),
        ),
        (
            verdict(10, 30, behavior={"scaleUp": rules(0, "Min", ("Pods", 4), ("Percent", 50))}),
            (14, "ReadyForNewScale", "ScaleUpLimit"),
        ),
        (
            verdict(10, 30, (), [(5, 3)], behavior={"scaleUp": rules(0, "Max", ("Pods", 4))}),
            (11, "ReadyForNewScale", "ScaleUpLimit"),
        ),
        (
            verdict(10, 30, behavior={"scaleUp": rules(0, "Disabled")}),
            (10, "ReadyForNewScale", "ScaleUpLimit"),
        ),
        (
            verdict(10, 20, [(30, 12)], behavior={"scaleUp": rules(60, "Max", ("Percent", 900))}),
            (12, "ScaleUpStabilized", "DesiredWithinRange"),
        ),
        (
            verdict(10, 1, behavior={"scaleDown": rules(0, "Max", ("Percent", 25))}),
            (7, "ReadyForNewScale", "ScaleDownLimit"),
        ),
    ],
)
def test_how_fast(result, expected) -> None:
    assert result == expected


def autoscaler(name="a", **spec):
    utilization = {"type": "Utilization", "averageUtilization": 50}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": utilization}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
        "spec": {
            "minReplicas": 1,
            "maxReplicas": 5,
            "metrics": [metric],
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            **spec,
        },
    }


def scale(replicas):
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas},
        "status": {"selector": "app=web"},
    }


GONE = Refusal(404, "NotFound", "the server could not find the requested resource")


def run(memory, view, name, answers, now=NOW):
    """Carries a plan out; ``answers`` gives the result of a read or a write of a scale. Returns
    reasons of Events, the new scale and the new status.
    """
    plan = memory.plan(view, ("default", name), now)
    steps, events, scaled, status = list(plan.steps), [], None, {}
    while steps:
        step = steps.pop(0)
        if not isinstance(step, Step):
            if isinstance(step, Update):
                status = step.body["status"]
            else:
                events.append(step.reason)
            continue
        (action,) = step.actions
        if isinstance(action, Update):
            scaled = action.body["spec"]["replicas"]
            outcome = Outcome(action, action.body)
        else:
            assert isinstance(action, Read)
            answer = answers["scale" if action.sub else "metrics"]
            refused = isinstance(answer, Refusal)
            outcome = Outcome(action, None if refused else answer, answer if refused else None)
        steps = [*step.then((outcome,)), *steps]
    reasons = {c["type"]: c["reason"] for c in status.get("conditions", ())}
    return events, scaled, status, reasons


def settled(*hpas, pods=()):
    """An autoscaler that has waited for its pods."""
    memory, view = Autoscaler(), FixedView([*hpas, *pods])
    for hpa in hpas:
        first = memory.plan(view, ("default", hpa["metadata"]["name"]), NOW - 5)
        assert first.steps == () and first.wake_at is not None
    return memory, view


def test_a_target_that_is_not_there() -> None:
    memory, view = settled(autoscaler())
    missing = Refusal(404, "NotFound", 'deployments.apps "web" not found')
    events, scaled, status, reasons = run(memory, view, "a", {"scale": missing})
    assert (events, scaled) == (["FailedGetScale"], None)
    assert reasons == {"AbleToScale": "FailedGetScale"}
    assert (status["desiredReplicas"], status["currentMetrics"]) == (0, None)


@pytest.mark.parametrize(
    ("current", "least", "wanted", "active"),
    [(9, 1, 5, None), (1, 2, 2, None), (0, 1, None, "ScalingDisabled")],
)
def test_bounds_need_no_metrics(current, least, wanted, active) -> None:
    memory, view = settled(autoscaler(minReplicas=least))
    events, scaled, status, reasons = run(memory, view, "a", {"scale": scale(current)})
    assert scaled == wanted
    assert reasons.get("ScalingActive") == active
    if wanted is not None:
        assert events == ["SuccessfulRescale"]
        assert reasons["AbleToScale"] == "SucceededRescale"
        assert status["lastScaleTime"] == format_time(NOW)


def test_without_metrics_nothing_is_scaled() -> None:
    memory, view = settled(autoscaler(), pods=[pod("p")])
    answers = {"scale": scale(2), "metrics": GONE}
    events, scaled, status, reasons = run(memory, view, "a", answers)
    assert events == ["FailedGetResourceMetric", "FailedComputeMetricsReplicas"]
    assert scaled is None
    assert reasons["ScalingActive"] == "FailedGetResourceMetric"
    assert status["currentMetrics"] == [{"type": ""}]
    again = memory.plan(view, ("default", "a"), NOW + 1)
    assert (again.steps, again.wake_at) == ((), NOW + SYNC_SECONDS)
    other = FixedView([autoscaler(maxReplicas=9)])
    assert memory.plan(other, ("default", "a"), NOW + 1).steps


def test_two_autoscalers_of_the_same_pods() -> None:
    memory, view = settled(autoscaler("a"), autoscaler("b"), pods=[pod("p")])
    answers = {"scale": scale(2), "metrics": GONE}
    assert run(memory, view, "a", answers)[3]["ScalingActive"] == "FailedGetResourceMetric"
    assert run(memory, view, "b", answers)[3]["ScalingActive"] == "AmbiguousSelector"


def test_metrics_scale() -> None:
    member = pod("p", phase="Running", ready_at=NOW - 900)
    member["status"]["startTime"] = format_time(NOW - 1000)
    container = {"name": "c", "resources": {"requests": {"cpu": "1"}}}
    member["spec"]["containers"] = [container]
    usage = {"metadata": {"name": "p"}, "timestamp": format_time(NOW), "window": "30s"}
    usage["containers"] = [{"name": "c", "usage": {"cpu": "1500m"}}]
    memory, view = settled(autoscaler(), pods=[member])
    answers = {"scale": scale(1), "metrics": {"items": [usage]}}
    events, scaled, status, reasons = run(memory, view, "a", answers)
    assert (events, scaled) == (["SuccessfulRescale"], 3)
    assert reasons["ScalingActive"] == "ValidMetricFound"
    current = {"averageUtilization": 150, "averageValue": "1500m"}
    metric = {"type": "Resource", "resource": {"name": "cpu", "current": current}}
    assert status["currentMetrics"] == [metric]


@pytest.mark.parametrize(
    ("kind", "field", "source", "reason"),
    [
        ("Pods", "pods", {}, "FailedGetPodsMetric"),
        (
            "Object",
            "object",
            {"describedObject": {"kind": "Service", "name": "s"}},
            "FailedGetObjectMetric",
        ),
        ("External", "external", {}, "FailedGetExternalMetric"),
    ],
)
def test_metrics_of_other_apis_fail(kind, field, source, reason) -> None:
    target = {"type": "AverageValue", "averageValue": "1"}
    metric = {"type": kind, field: {"metric": {"name": "m"}, "target": target, **source}}
    memory, view = settled(autoscaler(metrics=[metric]), pods=[pod("p")])
    answers = {"scale": scale(2), "metrics": GONE}
    events, scaled, _, reasons = run(memory, view, "a", answers)
    assert events == [reason, "FailedComputeMetricsReplicas"]
    assert (scaled, reasons["ScalingActive"]) == (None, reason)
