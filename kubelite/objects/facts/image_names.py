"""Which images an object needs, whatever its kind. Pure.

A pod's containers stand under the same names wherever there is a pod specification: in a Pod, in
the template of a Deployment or Job, inside a List, and in custom resources with a template.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def image_names(value: Any) -> Iterator[str]:
    """The images of all containers and image volumes of a document, in its order."""
    if isinstance(value, list):
        for item in value:
            yield from image_names(item)
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key in _CONTAINERS and isinstance(inner, list):
            yield from _texts(inner, "image")
        elif key == "volumes" and isinstance(inner, list):
            sources = [volume.get("image") for volume in inner if isinstance(volume, dict)]
            yield from _texts(sources, "reference")
        yield from image_names(inner)


def _texts(objects: list[Any], field: str) -> Iterator[str]:
    for value in objects:
        if isinstance(value, dict) and isinstance(value.get(field), str):
            yield value[field]
