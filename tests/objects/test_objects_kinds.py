"""The table of kinds: whole, without contradictions, and one with the schemas."""

from __future__ import annotations

import pytest

from kubelite.objects.facts import kinds, schema
from kubelite.objects.facts.kinds import KINDS


def test_no_kind_and_no_path_is_there_twice() -> None:
    assert len({(k.api_version, k.kind) for k in KINDS}) == len(KINDS)
    assert len({(k.group, k.version, k.plural) for k in KINDS}) == len(KINDS)


def test_short_names_are_not_names_of_other_kinds_of_the_same_group() -> None:
    for kind in KINDS:
        for short in kind.short:
            assert {found.kind for found in kinds.named(short)} == {kind.kind}


@pytest.mark.parametrize(
    "kind",
    [k for k in KINDS if k.group != "metrics.k8s.io"],
    ids=lambda k: f"{k.api_version}/{k.kind}",
)
def test_every_kind_has_a_schema(kind: kinds.Kind) -> None:
    assert schema.name_of(kind.group, kind.version, kind.kind) is not None


@pytest.mark.parametrize(
    ("api_version", "kind", "plural", "namespaced"),
    [
        ("v1", "Pod", "pods", True),
        ("v1", "Node", "nodes", False),
        ("v1", "Endpoints", "endpoints", True),
        ("apps/v1", "Deployment", "deployments", True),
        ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", True),
        ("networking.k8s.io/v1", "Ingress", "ingresses", True),
        ("storage.k8s.io/v1", "StorageClass", "storageclasses", False),
    ],
)
def test_a_kind_is_found_by_manifest_path_and_word(
    api_version: str, kind: str, plural: str, namespaced: bool
) -> None:
    found = kinds.of_manifest(api_version, kind)
    assert found is not None
    assert (found.plural, found.namespaced, found.api_version) == (plural, namespaced, api_version)
    assert kinds.of_path(found.group, found.version, plural) == found
    assert all(found in kinds.named(word) for word in (plural, kind, kind.upper(), *found.short))


def test_what_is_not_there_is_not_found() -> None:
    assert kinds.of_manifest("v1", "pod") is None
    assert kinds.of_path("apps", "v1", "pods") is None
    assert kinds.named("nothing") == []


def test_the_preferred_version_stands_first() -> None:
    assert [k.version for k in kinds.named("hpa")] == ["v2", "v1"]
