#!/usr/bin/env python3
"""Writes docs/pod-spec.md: what becomes of each field of a pod, from the schema of Kubernetes and
the table of kubelite/objects/pod/support.py. A test compares the page with what this makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kubelite.objects.facts import schema
from kubelite.objects.pod import support
from kubelite.objects.pod.support import Level, Row

PAGE = Path(__file__).parents[1] / "docs" / "pod-spec.md"
SECTIONS = (
    ("PodSpec", "spec", "core.v1.PodSpec"),
    ("PodSecurityContext", "spec.securityContext", "core.v1.PodSecurityContext"),
    ("Container, init containers too", "container", "core.v1.Container"),
    ("SecurityContext", "container.securityContext", "core.v1.SecurityContext"),
    ("Lifecycle", "container.lifecycle", "core.v1.Lifecycle"),
    ("Probe", "container.livenessProbe", "core.v1.Probe"),
    ("VolumeMount", "container.volumeMounts[]", "core.v1.VolumeMount"),
    ("Volume", "volume", "core.v1.Volume"),
    ("Sources of a projected volume", "volume.projected.sources[]", "core.v1.VolumeProjection"),
)
WORDS = {
    Level.HONOURED: "yes",
    Level.QUIET: "no effect",
    Level.LOUD: "no effect, with a warning",
    Level.REFUSED: "refused",
    Level.FATAL: "refused",
}
HEAD = """\
# The Pod spec, field by field

What `kubelite pod up` makes of each field of a Pod of Kubernetes 1.36. *No effect* is told by
`kubelite pod check`; what is *refused* is told with file, line and column, and `--lenient` runs the
pod without it. In a cluster (`kubelite up`) the API server takes every field that Kubernetes takes;
those marked *cluster* work there. This page is made by `scripts/make_pod_spec.py`.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, pattern, definition in SECTIONS:
        rows = [f"| `{name}` | {cell} |" for name, cell in _section(pattern, definition)]
        parts.append("\n".join([f"## {title}", "", "| field | |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def _section(pattern: str, definition: str) -> Iterator[tuple[str, str]]:
    for name in schema.types_of(definition):
        yield name, _cell(pattern, name)


def _cell(pattern: str, name: str) -> str:
    """What becomes of a field: its own row or that of what is above it, and what differs below."""
    path = f"{pattern}.{name}"
    below = {
        key.removeprefix(path).lstrip(".[]"): row
        for key, row in support.TABLE.items()
        if key.startswith((f"{path}.", f"{path}[]"))
    }
    has_own_row = path in support.TABLE or not (below or f"{path}[]" in support.ROOTS)
    row = (support.row_of(pattern, name) or _above(pattern)) if has_own_row else None
    differing = [
        f"`{key}` {_text(inner)}"
        for key, inner in below.items()
        if inner.level is not Level.HONOURED
    ]
    return "; ".join([_text(row or Row(Level.HONOURED)), *differing])


def _above(pattern: str) -> Row | None:
    parent, _, name = pattern.removesuffix("[]").rpartition(".")
    return support.row_of(parent, name) if parent else None


def _text(row: Row) -> str:
    mark = " (*cluster*)" if row.in_cluster else ""
    if row.level is Level.HONOURED:
        return WORDS[row.level]
    limited = "for some values " if row.when is not None else ""
    return f"{limited}{WORDS[row.level]}{mark}: {row.reason}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
