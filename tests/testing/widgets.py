"""Kinds of one's own, which tests define."""

from __future__ import annotations

from typing import Any

from kubelite.testing.kube import Kube, has_condition


def definition(kind: str, *short_names: str, **version: Any) -> dict[str, Any]:
    """Of a kind whose objects may have any field; ``version`` has further fields of its version."""
    singular = kind.lower()
    plural = f"{singular}s"
    names = {"plural": plural, "singular": singular, "kind": kind, "listKind": f"{kind}List"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version |= {"name": "v1", "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {**names, "shortNames": list(short_names)},
            "versions": [version],
        },
    }


WIDGETS = definition("Widget", "wd")


def define(kube: Kube, definition: dict[str, Any]) -> None:
    """Returns once objects of the kind can be created."""
    kube.apply(definition)
    kube.wait("crd", definition["metadata"]["name"], has_condition("Established"))
