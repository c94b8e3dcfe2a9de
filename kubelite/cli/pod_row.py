"""One pod as a row of ``pod ls``, and the container that a command means. Pure.

The input is a pod's document as JSON has it, so that the same rows come from the local engine and
from an API server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from kubelite.objects.rules.printing import Printed

Doc = dict[str, Any]


class PodRow(NamedTuple):
    """What is shown of a pod; equal as long as nothing of it but the time has changed."""

    namespace: str
    name: str
    printed: Printed
    created: str
    ip: str
    node: str
    images: str


def row(pod: Doc) -> PodRow:
    """What is shown of a pod's document; what is missing there shows as ``<none>``."""
    from kubelite.objects.rules import printing

    metadata, spec = pod.get("metadata", {}), pod.get("spec", {})
    containers = spec.get("containers", [])
    return PodRow(
        namespace=metadata.get("namespace") or "default",
        name=metadata.get("name", ""),
        printed=printing.printed(pod),
        created=metadata.get("creationTimestamp") or "",
        ip=printing.address(pod),
        node=spec.get("nodeName") or printing.NONE,
        images=",".join(container.get("image", "") for container in containers) or printing.NONE,
    )


def default_container(pod: Doc) -> tuple[str, list[str]]:
    """The container meant where none is named, and the names of all; ("", []) for a pod without
    any.

    An annotation ``kubectl.kubernetes.io/default-container`` decides, else the first one of the
    specification.
    """
    spec = pod.get("spec", {})
    names = [container["name"] for container in spec.get("containers", [])]
    names += [container["name"] for container in spec.get("initContainers") or []]
    annotations = pod.get("metadata", {}).get("annotations") or {}
    wished = annotations.get("kubectl.kubernetes.io/default-container", "")
    return (wished if wished in names else names[0] if names else ""), names
