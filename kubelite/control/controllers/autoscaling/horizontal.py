"""HorizontalPodAutoscaler: scales a workload by the metrics of its pods. Pure but for its memory.

After kubernetes, ``pkg/controller/podautoscaler``. Every 15 s the scale of the target and the
metrics are asked for. What was recommended and done in the past hour is remembered while the
controller runs, as Kubernetes does, and begins anew when it restarts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from kubelite.client.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    HORIZONTAL_POD_AUTOSCALERS,
    PODS,
    GroupVersionResource,
    of_kind,
)
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Emit,
    Outcome,
    Plan,
    Read,
    Refusal,
    Step,
    Update,
)
from kubelite.control.controllers.autoscaling.behavior import (
    LONGEST_WINDOW,
    Change,
    History,
    decide,
)
from kubelite.control.controllers.autoscaling.replicas import (
    MetricError,
    Proposal,
    Target,
    Tolerance,
    grouped,
    proposal,
    requests_of,
    samples_of,
)
from kubelite.control.controllers.controller import Controller, Settings, nobody
from kubelite.control.controllers.shared.conditions import find
from kubelite.control.controllers.shared.custom_resources import definition_of, resource_of
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    format_time,
    generation_of,
    is_deleting,
    key_of,
    labels_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.view import View
from kubelite.objects.facts import quantity
from kubelite.objects.facts.labels import Selector, SelectorError
from kubelite.objects.facts.labels import parse as parse_selector

SYNC_SECONDS = 15.0
SETTLE_SECONDS = 1.0
"""So long a new autoscaler waits for the pods of its target."""
POD_METRICS = GroupVersionResource("metrics.k8s.io", "v1beta1", "pods")
_FAILURES = {
    "Resource": ("FailedGetResourceMetric", "resource", "{} resource metric value"),
    "ContainerResource": (
        "FailedGetContainerResourceMetric",
        "containerResource",
        "{} container metric value",
    ),
    "Pods": ("FailedGetPodsMetric", "pods", "pods metric value"),
    "Object": ("FailedGetObjectMetric", "object", "object metric value"),
    "External": ("FailedGetExternalMetric", "external", "{} external metric value"),
}
_NO_VERSIONS = (
    "unable to fetch metrics from custom metrics API: no known available metric versions found"
)
Steps = tuple[Action | Step, ...]


class Measured(NamedTuple):
    """What came of one metric: a proposal, or why there is none."""

    metric: Obj
    proposal: Proposal | None
    error: str = ""


class Autoscaler:
    """Plans, and remembers. Keys are never planned twice at once."""

    def __init__(self) -> None:
        self._histories: dict[str, History] = {}
        self._due: dict[str, tuple[Obj, float]] = {}
        self._selectors: dict[Key, Selector] = {}

    def concerned(self, view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
        """An autoscaler whose specification is new; its status is its own doing."""
        del view
        if new is None:
            if old is not None:
                self.forget(old)
            return []
        is_same = old is not None and (
            generation_of(old) == generation_of(new) and spec_of(old) == spec_of(new)
        )
        return [] if is_same else [key_of(new)]

    def plan(self, view: View, key: Key, now: float) -> Plan:
        """Asks for the scale of the target, then for metrics, then scales."""
        hpa = view.get(HORIZONTAL_POD_AUTOSCALERS, *key)
        if hpa is None or is_deleting(hpa):
            return NOTHING
        due = self._due_at(hpa, now)
        if now < due:
            return Plan((), due)
        self._due[uid_of(hpa)] = spec_of(hpa), now + SYNC_SECONDS
        sync = _Sync(view, with_type(hpa, "autoscaling/v2", "HorizontalPodAutoscaler"), self, now)
        return Plan(sync.steps(), now + SYNC_SECONDS)

    def _due_at(self, hpa: Obj, now: float) -> float:
        """When to sync: at once after a change of the specification, but not after own writes."""
        settled = now + SETTLE_SECONDS
        spec, due = self._due.setdefault(uid_of(hpa), (spec_of(hpa), settled))
        return due if spec == spec_of(hpa) else now

    def history(self, hpa: Obj, now: float) -> History:
        """The past hour of an autoscaler."""
        return self._histories.get(uid_of(hpa), History()).since(now - LONGEST_WINDOW)

    def remember(self, hpa: Obj, history: History) -> None:
        """Keeps the past of an autoscaler."""
        self._histories[uid_of(hpa)] = history

    def forget(self, hpa: Obj) -> None:
        """The autoscaler is gone."""
        self._histories.pop(uid_of(hpa), None)
        self._due.pop(uid_of(hpa), None)
        self._selectors.pop(key_of(hpa), None)

    def selecting(self, hpa: Obj, selector: Selector, pods: Iterable[Obj]) -> set[Key]:
        """Every autoscaler, this one among them, that was seen to select one of the pods."""
        self._selectors[key_of(hpa)] = selector
        namespace = namespace_of(hpa)
        return {
            key
            for pod in pods
            for key, known in self._selectors.items()
            if key[0] == namespace and known.matches(labels_of(pod))
        }


class _Sync:
    """One pass over an autoscaler; ``status`` is what it will say."""

    def __init__(self, view: View, hpa: dict[str, Any], memory: Autoscaler, now: float) -> None:
        self.view = view
        self.hpa = hpa
        self.spec = spec_of(hpa)
        self.memory = memory
        self.now = now
        self.status: dict[str, Any] = dict(status_of(hpa))

    def steps(self) -> Steps:
        target = self.spec["scaleTargetRef"]
        resource = self._target_resource(target)
        if resource is None:
            text = f'no matches for kind "{target["kind"]}" in group "{_group(target)}"'
            return self._no_scale(text)
        read = Read(resource, namespace_of(self.hpa), target["name"], "scale")
        return (Step((read,), partial(self._scaled, resource), tolerant=True),)

    def _target_resource(self, target: Obj) -> GroupVersionResource | None:
        api_version = target.get("apiVersion") or "v1"
        known = of_kind(api_version, target["kind"])
        if known is not None:
            return known
        definition = definition_of(self.view, _group(target), target["kind"])
        version = api_version.rpartition("/")[2]
        return None if definition is None else resource_of(definition, version)

    def _no_scale(self, text: str) -> Steps:
        self._set(
            "AbleToScale",
            "False",
            "FailedGetScale",
            f"the HPA controller was unable to get the target's current scale: {text}",
        )
        return (Emit(self.hpa, "Warning", "FailedGetScale", text), *self._write())

    def _scaled(self, resource: GroupVersionResource, outcomes: tuple[Outcome, ...]) -> Steps:
        scale = outcomes[0].result
        if scale is None:
            return self._no_scale(_text(outcomes[0].refusal))
        self._set(
            "AbleToScale",
            "True",
            "SucceededGetScale",
            "the HPA controller was able to get the target's current scale",
        )
        current = int(spec_of(scale).get("replicas") or 0)
        self._recommend_first(current)
        least, most = int(self.spec.get("minReplicas", 1)), int(self.spec["maxReplicas"])
        if current == 0 and least != 0:
            text = "scaling is disabled since the replica count of the target is zero"
            self._set("ScalingActive", "False", "ScalingDisabled", text)
            return self._rescale(resource, scale, current, current, "")
        if current > most:
            reason = "Current number of replicas above Spec.MaxReplicas"
            return self._rescale(resource, scale, current, most, reason)
        if current < least:
            reason = "Current number of replicas below Spec.MinReplicas"
            return self._rescale(resource, scale, current, least, reason)
        return self._by_metrics(resource, scale, current)

    def _recommend_first(self, current: int) -> None:
        history = self.memory.history(self.hpa, self.now)
        if not history.recommendations:
            self._recommend(current)

    def _recommend(self, replicas: int) -> History:
        history = self.memory.history(self.hpa, self.now)
        recommendations = (*history.recommendations, Change(self.now, replicas))
        history = history._replace(recommendations=recommendations)
        self.memory.remember(self.hpa, history)
        return history

    # -- metrics -----------------------------------------------------------------------------------

    def _by_metrics(self, resource: GroupVersionResource, scale: Obj, current: int) -> Steps:
        text = status_of(scale).get("selector") or ""
        if not text:
            why = "the HPA target's scale is missing a selector"
            event = Emit(self.hpa, "Warning", "SelectorRequired", "selector is required")
            return self._unmeasured(current, "InvalidSelector", why, why, None, (event,))
        try:
            selector = parse_selector(text)
        except SelectorError as error:
            why = f"couldn't convert selector into a corresponding selector object: {error}"
            event = Emit(self.hpa, "Warning", "InvalidSelector", why)
            return self._unmeasured(current, "InvalidSelector", why, why, None, (event,))
        pods = [
            pod
            for pod in self.view.list(PODS, namespace_of(self.hpa))
            if selector.matches(labels_of(pod))
        ]
        selecting = self.memory.selecting(self.hpa, selector, pods)
        if len(selecting) > 1:
            names = " ".join(sorted("/".join(key) for key in selecting))
            why = f"pods by selector {text} are controlled by multiple HPAs: [{names}]"
            event = Emit(self.hpa, "Warning", "AmbiguousSelector", why)
            return self._unmeasured(current, "AmbiguousSelector", why, why, None, (event,))
        read = Read(POD_METRICS, namespace_of(self.hpa), label_selector=text)
        follow = partial(self._measured, resource, scale, current, pods)
        return (Step((read,), follow, tolerant=True),)

    def _measured(
        self,
        resource: GroupVersionResource,
        scale: Obj,
        current: int,
        pods: Sequence[Obj],
        outcomes: tuple[Outcome, ...],
    ) -> Steps:
        answer = outcomes[0]
        results = [self._measure(metric, current, pods, answer) for metric in self._metrics()]
        failed = [result for result in results if result.proposal is None]
        proposals = [result.proposal for result in results if result.proposal is not None]
        best = max((proposed.replicas for proposed in proposals), default=-1)
        if failed and (not proposals or best < current):
            return self._failed(current, results, failed)
        measured = next(r for r in results if r.proposal and r.proposal.replicas == best)
        what = _described(measured.metric)
        text = f"the HPA was able to successfully calculate a replica count from {what}"
        self._set("ScalingActive", "True", "ValidMetricFound", text)
        self.status["currentMetrics"] = [_metric_status(result) for result in results]
        reason = f"{what} above target" if best > current else "All metrics below target"
        verdict = decide(self.spec, current, best, self._recommend(best), self.now)
        self._set("AbleToScale", *verdict.able)
        self._set("ScalingLimited", *verdict.limited)
        return self._rescale(resource, scale, current, verdict.replicas, reason)

    def _metrics(self) -> Sequence[Obj]:
        utilization = {"type": "Utilization", "averageUtilization": 80}
        default = {"type": "Resource", "resource": {"name": "cpu", "target": utilization}}
        return self.spec.get("metrics") or (default,)

    def _failed(
        self, current: int, results: Sequence[Measured], failed: Sequence[Measured]
    ) -> Steps:
        first = failed[0]
        events = tuple(
            Emit(self.hpa, "Warning", _FAILURES[result.metric["type"]][0], result.error)
            for result in failed
        )
        text = f"the HPA was unable to compute the replica count: {first.error}"
        statuses = [_metric_status(result) for result in results]
        summary = (
            f"invalid metrics ({len(failed)} invalid out of {len(results)}), "
            f"first error is: failed to get {_value_name(first.metric)}: {first.error}"
        )
        reason = _FAILURES[first.metric["type"]][0]
        return self._unmeasured(current, reason, text, summary, statuses, events)

    def _unmeasured(
        self,
        current: int,
        reason: str,
        text: str,
        summary: str,
        statuses: Sequence[Obj] | None,
        events: tuple[Emit, ...],
    ) -> Steps:
        self._set("ScalingActive", "False", reason, text)
        self.status["currentReplicas"] = current
        self.status["currentMetrics"] = statuses
        event = Emit(self.hpa, "Warning", "FailedComputeMetricsReplicas", summary)
        return (*events, event, *self._write())

    def _measure(self, metric: Obj, current: int, pods: Sequence[Obj], answer: Outcome) -> Measured:
        source = metric[_FAILURES[metric["type"]][1]]
        if metric["type"] not in ("Resource", "ContainerResource"):
            return Measured(metric, None, self._not_served(metric["type"], source))
        try:
            return Measured(metric, self._of_resource(source, current, pods, answer))
        except MetricError as error:
            is_share = source["target"].get("averageUtilization") is not None
            what = "utilization" if is_share else "usage"
            return Measured(metric, None, f"failed to get {source['name']} {what}: {error}")

    def _not_served(self, type_: str, source: Obj) -> str:
        """Why there is no value of a metric that another API would have."""
        name = source["metric"]["name"]
        if type_ == "Pods":
            return f"unable to get metric {name}: {_NO_VERSIONS}"
        namespace = namespace_of(self.hpa)
        if type_ == "Object":
            of = source["describedObject"]
            where = f"{of['kind']} on {namespace} {of['name']}"
            return f"unable to get metric {name}: {where}/{_NO_VERSIONS}"
        return (
            f"unable to get external metric {namespace}/{name}/nil: unable to fetch metrics from "
            "external metrics API: the server could not find the requested resource "
            f"(get {name}.external.metrics.k8s.io)"
        )

    def _of_resource(
        self, source: Obj, current: int, pods: Sequence[Obj], answer: Outcome
    ) -> Proposal:
        resource, container = source["name"], source.get("container", "")
        if answer.result is None:
            why = f"unable to fetch metrics from resource metrics API: {_text(answer.refusal)}"
            raise MetricError(f"unable to get metrics for resource {resource}: {why}")
        samples = samples_of(answer.result["items"], resource, container)
        if not samples:
            why = "no metrics returned from resource metrics API"
            raise MetricError(f"unable to get metrics for resource {resource}: {why}")
        if not pods:
            raise MetricError("no pods returned by selector while calculating replica count")
        groups = grouped(pods, samples, self.now, is_cpu=resource == "cpu")
        target = source["target"]
        percent = target.get("averageUtilization")
        requests = requests_of(pods, resource, container) if percent is not None else {}
        amount = quantity.milli(str(target["averageValue"])) if percent is None else 0
        aim = Target(percent, amount)
        return proposal(current, aim, samples, groups, requests, self._tolerance())

    def _tolerance(self) -> Tolerance:
        behavior = self.spec.get("behavior") or {}
        given = [(behavior.get(side) or {}).get("tolerance") for side in ("scaleDown", "scaleUp")]
        default = Tolerance()
        down, up = (None if text is None else quantity.milli(str(text)) / 1000 for text in given)
        return Tolerance(default.down if down is None else down, default.up if up is None else up)

    # -- writes ------------------------------------------------------------------------------------

    def _rescale(
        self,
        resource: GroupVersionResource,
        scale: Obj,
        current: int,
        wanted: int,
        reason: str,
    ) -> Steps:
        self.status["currentReplicas"] = current
        self.status["desiredReplicas"] = wanted
        self.status.setdefault("currentMetrics", None)
        if wanted == current:
            return self._write()
        body = {**scale, "spec": {**spec_of(scale), "replicas": wanted}}
        follow = partial(self._rescaled, current, wanted, reason)
        return (Step((Update(resource, body, "scale"),), follow, tolerant=True),)

    def _rescaled(
        self, current: int, wanted: int, reason: str, outcomes: tuple[Outcome, ...]
    ) -> Steps:
        refusal = outcomes[0].refusal
        what = f"New size: {wanted}; reason: {reason}"
        if refusal is not None:
            text = f"the HPA controller was unable to update the target scale: {_text(refusal)}"
            self._set("AbleToScale", "False", "FailedUpdateScale", text)
            self.status["desiredReplicas"] = int(status_of(self.hpa).get("desiredReplicas") or 0)
            text = f"{what}; error: {_text(refusal)}"
            return (Emit(self.hpa, "Warning", "FailedRescale", text), *self._write())
        text = f"the HPA controller was able to update the target scale to {wanted}"
        self._set("AbleToScale", "True", "SucceededRescale", text)
        self.status["lastScaleTime"] = format_time(self.now)
        history = self.memory.history(self.hpa, self.now)
        changes = (*history.changes, Change(self.now, wanted - current))
        self.memory.remember(self.hpa, history._replace(changes=changes))
        return (Emit(self.hpa, "Normal", "SuccessfulRescale", what), *self._write())

    def _set(self, type_: str, status: str, reason: str, message: str) -> None:
        """Sets a condition where it stands, with a new time only where its status has changed."""
        conditions = list(self.status.get("conditions") or ())
        old = find(conditions, type_)
        is_same = old is not None and old.get("status") == status
        new = {
            "type": type_,
            "status": status,
            "lastTransitionTime": old["lastTransitionTime"]
            if old and is_same
            else format_time(self.now),
            "reason": reason,
            "message": message,
        }
        if old is None:
            conditions.append(new)
        else:
            conditions[conditions.index(old)] = new
        self.status["conditions"] = conditions

    def _write(self) -> Steps:
        self.status.setdefault("desiredReplicas", 0)
        self.status.setdefault("currentMetrics", None)
        if self.status == status_of(self.hpa):
            return ()
        return (Update(HORIZONTAL_POD_AUTOSCALERS, {**self.hpa, "status": self.status}, "status"),)


def _group(target: Obj) -> str:
    return str(target.get("apiVersion") or "").rpartition("/")[0]


def _text(refusal: Refusal | None) -> str:
    if refusal is None:
        return ""
    if refusal.code == 404 and not refusal.message.endswith("not found"):
        return "the server could not find the requested resource (get pods.metrics.k8s.io)"
    return refusal.message


def _value_name(metric: Obj) -> str:
    _, field, text = _FAILURES[metric["type"]]
    source = metric[field]
    return text.format(source.get("name") or (source.get("metric") or {}).get("name"))


def _described(metric: Obj) -> str:
    """A metric as messages name it."""
    source = metric[_FAILURES[metric["type"]][1]]
    is_share = source["target"].get("averageUtilization") is not None
    what = "utilization (percentage of request)" if is_share else ""
    kind = "container resource" if source.get("container") else "resource"
    return f"{source['name']} {kind} {what}".strip()


def _metric_status(result: Measured) -> dict[str, Any]:
    """The current value of a metric; an empty one where there is none."""
    if result.proposal is None:
        return {"type": ""}
    metric, proposed = result.metric, result.proposal
    field = _FAILURES[metric["type"]][1]
    value = str(quantity.Quantity(proposed.amount * (quantity.NANO // 1000)))
    current: dict[str, Any] = {"averageValue": value}
    if proposed.percent is not None:
        current["averageUtilization"] = proposed.percent
    source = {"name": metric[field]["name"], "current": current}
    if metric[field].get("container"):
        source["container"] = metric[field]["container"]
    return {"type": metric["type"], field: source}


def horizontal_pod_autoscaler_controller(settings: Settings) -> Controller:
    """The controller, which begins with an empty memory."""
    del settings
    autoscaler = Autoscaler()
    return Controller(
        "horizontal-pod-autoscaler-controller",
        "horizontal-pod-autoscaler",
        "horizontal-pod-autoscaler",
        {
            HORIZONTAL_POD_AUTOSCALERS: autoscaler.concerned,
            PODS: nobody,
            CUSTOM_RESOURCE_DEFINITIONS: nobody,
        },
        autoscaler.plan,
    )
