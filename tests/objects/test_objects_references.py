"""Which ConfigMaps and Secrets a pod refers to, and where it names them."""

from __future__ import annotations

from kubelite.objects.pod.references import references
from kubelite.objects.rules.cause import path_text


def test_every_place_of_a_pod_that_can_refer_to_an_object_is_read() -> None:
    containers = [
        {"name": "c",
         "envFrom": [{"configMapRef": {"name": "a"}},
                     {"secretRef": {"name": "b", "optional": True}}],
         "env": [{"name": "X", "value": "x"},
                 {"name": "Y", "valueFrom": {"secretKeyRef": {"name": "c", "key": "k"}}},
                 {"name": "Z", "valueFrom": {"configMapKeyRef": {"name": "", "key": "k"}}}]},
    ]  # fmt: skip
    volumes = [
        {"name": "d", "configMap": {"name": "d", "items": [{"key": "k", "path": "p"}]}},
        {"name": "e", "secret": {"secretName": "e"}},
        {"name": "f", "projected": {"sources": [{"downwardAPI": {}}, {"secret": {"name": "f"}}]}},
        {"name": "g", "emptyDir": {}},
    ]
    pod = {"spec": {"initContainers": containers, "volumes": volumes}}
    found = [
        (path_text(each.path), each.kind, each.name, each.optional, [key for key, _ in each.keys])
        for each in references(pod)
    ]
    assert found == [
        ("spec.initContainers[0].envFrom[0].configMapRef", "ConfigMap", "a", False, []),
        ("spec.initContainers[0].envFrom[1].secretRef", "Secret", "b", True, []),
        ("spec.initContainers[0].env[1].valueFrom.secretKeyRef", "Secret", "c", False, ["k"]),
        ("spec.volumes[0].configMap", "ConfigMap", "d", False, ["k"]),
        ("spec.volumes[1].secret", "Secret", "e", False, []),
        ("spec.volumes[2].projected.sources[1].secret", "Secret", "f", False, []),
    ]
    (key,) = next(each for each in references(pod) if each.name == "d").keys
    assert path_text(key.path) == "spec.volumes[0].configMap.items[0].key"


def test_a_plain_pod_refers_to_nothing() -> None:
    assert list(references({})) == []
    assert list(references({"spec": {"containers": [{"name": "c"}], "volumes": []}})) == []
