"""What verbs make of objects: patches of templates, rollouts, drains, generated objects."""

from __future__ import annotations

from typing import Any

import pytest

from kubelite.cli.api.nodes.drain import Policy, judged
from kubelite.cli.api.printing import description, formats
from kubelite.cli.api.read.top import cpu, memory, node_row
from kubelite.cli.api.write import generators, managers, rollouts, templates
from kubelite.cli.api.write.generators import Flags
from kubelite.cli.api.write.label import refusal, word_for
from kubelite.cli.api.write.rollouts import RolloutError

SPEC = {
    "containers": [
        {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]},
        {"name": "b", "image": "b:1"},
    ]
}
DEPLOYMENT = {"metadata": {"name": "d"}, "spec": {"template": {"spec": SPEC}}}


def test_a_patch_names_the_containers_that_change() -> None:
    path, spec = templates.pod_spec("Deployment", DEPLOYMENT)
    after = templates.images(spec, {"b": "b:2"})
    wanted = {"containers": [{"name": "b", "image": "b:2"}]}
    assert templates.patch(path, spec, after) == {"spec": {"template": {"spec": wanted}}}
    assert templates.images(spec, {"*": "c"})["containers"][0]["image"] == "c"
    with pytest.raises(ValueError, match='unable to find container named "z"'):
        templates.images(spec, {"z": "c"})


def test_variables_keep_their_order() -> None:
    changed = templates.variables(SPEC, "a", {"Y": "2", "X": "3"})
    rows = [{"name": "X", "value": "3"}, {"name": "Y", "value": "2"}]
    assert changed["containers"][0]["env"] == rows
    gone = templates.variables(SPEC, "a", {"X": None})
    assert "env" not in gone["containers"][0]
    patch = templates.patch(("spec",), SPEC, gone)
    assert patch["spec"]["containers"] == [{"name": "a", "env": [{"$patch": "replace"}]}]


def test_amounts_of_zero_are_removed() -> None:
    spec = templates.resources(SPEC, "a", {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {}})
    less = templates.resources(spec, "a", {"limits": {"cpu": "0"}, "requests": {}})
    assert less["containers"][0]["resources"] == {"limits": {"memory": "1Gi"}}


def test_what_has_no_pods_has_no_template() -> None:
    with pytest.raises(ValueError, match="a Service has no pod template"):
        templates.pod_spec("Service", {"spec": {}})


def deployment(**status: int) -> dict[str, Any]:
    return {"metadata": {"name": "d", "generation": 1}, "spec": {"replicas": 2}, "status": status}


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ({}, "Waiting for deployment spec update to be observed..."),
        ({"updatedReplicas": 1}, "1 out of 2 new replicas have been updated..."),
        ({"updatedReplicas": 2, "replicas": 3}, "1 old replicas are pending termination..."),
        ({"updatedReplicas": 2, "replicas": 2}, "0 of 2 updated replicas are available..."),
    ],
)
def test_a_rollout_that_goes_on(status: dict[str, int], sentence: str) -> None:
    status = status | ({"observedGeneration": 1} if status else {})
    state = rollouts.state("Deployment", deployment(**status))
    assert state.sentence.endswith(sentence) and not state.is_done


def test_a_rollout_that_is_over_or_cannot_be() -> None:
    over = deployment(observedGeneration=1, updatedReplicas=2, replicas=2, availableReplicas=2)
    assert rollouts.state("Deployment", over).is_done
    condition = {"type": "Progressing", "reason": "ProgressDeadlineExceeded"}
    over["status"]["conditions"] = [condition]
    with pytest.raises(RolloutError, match="exceeded its progress deadline"):
        rollouts.state("Deployment", over)
    with pytest.raises(RolloutError):
        rollouts.state("Pod", over)


def test_the_revision_to_return_to() -> None:
    revisions = [rollouts.Revision(number, "", {}) for number in (1, 3, 4)]
    assert rollouts.chosen(revisions, 0, "d").number == 3
    assert rollouts.chosen(revisions, 1, "d").number == 1
    with pytest.raises(RolloutError, match="unable to find specified revision 2"):
        rollouts.chosen(revisions, 2, "d")
    with pytest.raises(RolloutError, match="no rollout history"):
        rollouts.chosen(revisions[:1], 0, "d")


def pod(name: str, owner: str = "", phase: str = "Running", **spec: Any) -> dict[str, Any]:
    owners = [{"kind": owner, "controller": True, "uid": "u"}] if owner else []
    metadata = {"name": name, "namespace": "n", "ownerReferences": owners}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


MIRROR = pod("mirror")
MIRROR["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
PODS = [
    MIRROR,
    pod("kept", "ReplicaSet"),
    pod("daemon", "DaemonSet"),
    pod("lone"),
    pod("data", "ReplicaSet", volumes=[{"name": "v", "emptyDir": {}}]),
    pod("over", phase="Succeeded"),
]


@pytest.mark.parametrize(
    ("policy", "evicted", "refusals"),
    [
        (Policy(False, False, False), {"kept", "over"}, 3),
        (Policy(False, True, True), {"kept", "over", "data"}, 1),
        (Policy(True, True, True), {"kept", "over", "data", "lone"}, 0),
    ],
)
def test_which_pods_are_evicted(policy: Policy, evicted: set[str], refusals: int) -> None:
    verdict = judged(PODS, policy)
    assert {row["metadata"]["name"] for row in verdict.evicted} == evicted
    assert len(verdict.refusals) == refusals
    assert len(verdict.warnings) == policy.ignore_daemon_sets


def test_labels_are_not_replaced_unasked() -> None:
    assert "already has a value (1)" in refusal({"a": "1"}, {"a": "2"})
    assert refusal({"a": "1"}, {"a": "1", "b": "2"}) == refusal({"a": "1"}, {"a": None}) == ""
    assert word_for("labels", {}, {"a": "1"}) == "labeled"
    assert word_for("labels", {"a": "1"}, {"a": None}) == "unlabeled"
    assert word_for("labels", {"a": "1"}, {"a": "1"}) == "not labeled"


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("deployment", Flags("d")),
        ("secret", Flags("s")),
        ("secret", Flags("s", ["tls"])),
        ("service", Flags("s", ["clusterip"])),
        ("service", Flags("s", ["clusterip"], tcp=["x"])),
        ("cronjob", Flags("c", images=["i"])),
        ("role", Flags("r", verbs=["get"])),
        ("rolebinding", Flags("r", role="a", cluster_role="b")),
        ("rolebinding", Flags("r", role="a", service_accounts=["x"])),
    ],
)
def test_what_describes_no_object_is_a_sentence(kind: str, wanted: Flags) -> None:
    with pytest.raises(ValueError, match=r"\S \S"):
        generators.GENERATORS[kind](wanted)


def test_what_a_service_is_made_of() -> None:
    labels = {"matchLabels": {"app": "d"}}
    ports = [{"containerPort": 80}, {"containerPort": 81}]
    spec = {"selector": labels, "template": {"spec": {"containers": [{"ports": ports}]}}}
    obj = {"kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}
    service = generators.exposed(obj, "s", [], "http", "")
    assert service["spec"]["selector"] == {"app": "d"}
    rows = [(row["name"], row["port"], row["targetPort"]) for row in service["spec"]["ports"]]
    assert rows == [("port-1", 80, "http"), ("port-2", 81, "http")]
    with pytest.raises(ValueError, match="cannot expose a ConfigMap"):
        generators.exposed({"kind": "ConfigMap", "metadata": {}}, "s", [80], "", "")


def test_fields_of_apply_on_the_client_are_taken_over() -> None:
    theirs = {"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1"}
    own = {"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:data": {"f:b": {}}}}
    other = {"manager": "someone", "operation": "Update", "fieldsV1": {}}
    entries = [{**theirs, "fieldsV1": {"f:data": {"f:a": {}}}}, own, other]
    obj = {"metadata": {"resourceVersion": "7", "managedFields": entries}}
    replaced, guard = managers.takeover(obj)
    assert guard["value"] == "7"
    kept, applied = replaced["value"]
    assert kept == other
    assert (applied["manager"], applied["operation"]) == ("kubectl", "Apply")
    assert applied["fieldsV1"] == {"f:data": {"f:a": {}, "f:b": {}}}
    assert managers.takeover({"metadata": {"managedFields": [own, other]}}) == []


def test_figures() -> None:
    assert (cpu(0.0001), cpu(1.5), memory(3 << 20)) == ("1m", "1500m", "3Mi")
    item = {"metadata": {"name": "n"}, "usage": {"cpu": "500m", "memory": "1Gi"}}
    node = {"status": {"allocatable": {"cpu": "2", "memory": "4Gi"}}}
    assert node_row(item, node) == ["n", "500m", "25%", "1024Mi", "25%"]
    assert node_row(item, {}) == ["n", "500m", "<unknown>", "1024Mi", "<unknown>"]


def test_what_an_object_holds_does_not_control_the_terminal() -> None:
    revisions = [rollouts.Revision(1, "\x1b[2J", {})]
    assert "\x1b" not in rollouts.history("d", revisions)
    assert "\x1b" not in templates.variable_line({"name": "X", "value": "\x1b[2J"})
    obj = {"kind": "Pod", "metadata": {"name": "\x1b[2J", "annotations": {"a": "\x1b[2J"}}}
    columns = formats.parse("custom-columns=N:.metadata.name")
    assert "\x1b" not in formats.text(obj, columns)
    assert "\x1b" not in description.text({**obj, "apiVersion": "v1"})
