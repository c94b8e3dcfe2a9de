"""Writes kubelite/objects/schema_table.py from PyPI's ``kubernetes-validate``: names, types, merge
keys, list types; no prose.

    python scripts/make_schema.py            writes the table python scripts/make_schema.py --check
    exits 1 when the committed table is not what it would write

The grammar of a line is described in kubelite/objects/schema.py, which reads it.
"""

# ruff: noqa: E501

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

LEVEL = "1.36"
TARGET = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kubelite/objects/schema_table.py"
)
GROUPS = {
    "core.v1", "apps.v1", "batch.v1", "autoscaling.v1", "autoscaling.v2", "networking.v1", "policy.v1", "rbac.v1",
    "storage.v1", "discovery.v1", "events.v1", "coordination.v1", "scheduling.v1", "node.v1", "apiextensions.v1",
    "admissionregistration.v1", "certificates.v1", "authentication.v1", "authorization.v1", "apiregistration.v1",
    "flowcontrol.v1",
}  # fmt: skip
PREFIXES = (
    ("io.k8s.api.", ""),
    ("io.k8s.apimachinery.pkg.apis.", ""),
    ("io.k8s.apimachinery.pkg.api.", ""),
    ("io.k8s.apimachinery.pkg.util.", ""),
    ("io.k8s.apimachinery.pkg.", ""),
    ("io.k8s.apiextensions-apiserver.pkg.apis.", ""),
    ("io.k8s.kube-aggregator.pkg.apis.", ""),
)
SCALARS = {"string": "s", "boolean": "b", "number": "d", "integer": "l", "object": "o"}
FORMATS = {("integer", "int32"): "i", ("integer", "int64"): "l", ("string", "byte"): "y"}
EXTRA = ("meta.v1.Status", "meta.v1.DeleteOptions", "meta.v1.Condition", "meta.v1.ListMeta")
# metrics.k8s.io is served by an add-on, so the published document does not describe it.
METRICS = (
    "metrics.v1beta1.NodeMetrics #metrics.k8s.io/v1beta1/NodeMetrics apiVersion:s kind:s metadata:meta.v1.ObjectMeta"
    " timestamp!:meta.v1.Time usage!:{resource.Quantity window!:s",
    "metrics.v1beta1.PodMetrics #metrics.k8s.io/v1beta1/PodMetrics apiVersion:s containers!:[metrics.v1beta1.ContainerMetrics"
    " kind:s metadata:meta.v1.ObjectMeta timestamp!:meta.v1.Time window!:s",
    "metrics.v1beta1.ContainerMetrics name!:s usage!:{resource.Quantity",
)
HEAD = f'''"""What Kubernetes {LEVEL} calls its fields; made by scripts/make_schema.py, read by kubelite/objects/schema.py. Pure."""

# ruff: noqa: E501

LEVEL = "{LEVEL}"

TABLE = """\\
'''


def main() -> int:
    """Writes or checks; the exit status."""
    text = made()
    if "--check" in sys.argv:
        with open(TARGET) as file:
            return 0 if file.read() == text else 1
    with open(TARGET, "w") as file:
        file.write(text)
    return 0


def made() -> str:
    """The whole module as it should stand in the tree."""
    definitions = read_definitions()
    lines = [_line(name, definitions[name]) for name in sorted(_wanted(definitions))]
    return HEAD + "\n".join(sorted([*lines, *METRICS])) + '\n"""\n'


def read_definitions() -> dict[str, Any]:
    """The published definitions by short name. Raises FileNotFoundError when the package is not
    installed.
    """
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "kubernetes-validate is not installed: pip install kubernetes-validate"
        )
    folder = f"kubernetes-json-schema/v{LEVEL}.0-local/_definitions.json"
    with open(os.path.join(spec.submodule_search_locations[0], folder)) as file:
        return {_short(name): body for name, body in json.load(file)["$defs"].items()}


def _short(name: str) -> str:
    for prefix, short in PREFIXES:
        if name.startswith(prefix):
            return short + name.removeprefix(prefix)
    raise ValueError(f"{name}: a new family of names")


def _wanted(definitions: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    queue = [
        name
        for name in definitions
        if name.rpartition(".")[0] in GROUPS and not _is_list(definitions[name])
    ]
    queue += EXTRA
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += [_short(ref.rpartition("/")[2]) for ref in _refs(definitions[name])]
    return found


def _is_list(body: dict[str, Any]) -> bool:
    properties = body.get("properties", {})
    return "items" in properties and "ListMeta" in properties.get("metadata", {}).get("$ref", "")


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node and isinstance(node["$ref"], str):
            yield node["$ref"]
        for child in node.values():
            yield from _refs(child)
    elif isinstance(node, list):
        for child in node:
            yield from _refs(child)


def _line(name: str, body: dict[str, Any]) -> str:
    words = [name]
    kinds = [
        f"#{k['group']}/{k['version']}/{k['kind']}"
        for k in body.get("x-kubernetes-group-version-kind", ())
    ]
    words += kinds if len(kinds) == 1 else []
    words += ["^" + body["x-kubernetes-map-type"]] if "x-kubernetes-map-type" in body else []
    if "properties" not in body:
        return " ".join([*words, "=" + (_type(body) if body.get("type") else "*")])
    required = set(body.get("required", ()))
    words += [
        f"{field}{'!' * (field in required)}:{_type(spec)}{_options(spec)}"
        for field, spec in sorted(body["properties"].items())
    ]
    return " ".join(words)


def _type(spec: dict[str, Any]) -> str:
    if "$ref" in spec:
        return _short(spec["$ref"].rpartition("/")[2])
    kind = spec.get("type", "object")
    kind = next(k for k in kind if k != "null") if isinstance(kind, list) else kind
    if kind == "array":
        return "[" + _type(spec["items"])
    if kind == "object" and isinstance(spec.get("additionalProperties"), dict):
        return "{" + _type(spec["additionalProperties"])
    return FORMATS.get((kind, spec.get("format", "")), SCALARS[kind])


def _options(spec: dict[str, Any]) -> str:
    found = []
    for key, short in (
        ("list-type", "lt"),
        ("patch-merge-key", "mk"),
        ("patch-strategy", "ps"),
        ("map-type", "mt"),
    ):
        if f"x-kubernetes-{key}" in spec:
            found.append(f";{short}={spec[f'x-kubernetes-{key}']}")
    if "x-kubernetes-list-map-keys" in spec:
        found.append(";lk=" + ",".join(spec["x-kubernetes-list-map-keys"]))
    return "".join(found)


if __name__ == "__main__":
    sys.exit(main())
