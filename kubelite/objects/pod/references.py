"""The ConfigMaps, Secrets and PersistentVolumeClaims that a pod's document refers to, with the
places that name them. Pure.

Imported for pods that refer to any: a plain pod starts without.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from kubelite.lib.json import Object
from kubelite.objects.rules.cause import Path


class KeyReference(NamedTuple):
    """A key that must be in the object, and the place that names it."""

    key: str
    path: Path


class Reference(NamedTuple):
    """One of them by ``kind`` and ``name``. ``path`` leads to what refers to it, for
    example ``spec.volumes[0].configMap``, and ``name_field`` is where the name stands in that.
    ``keys`` are those that it asks for by name; ``in_volume``: as files, not as a variable.
    """

    kind: str
    name: str
    path: Path
    name_field: str
    optional: bool
    keys: tuple[KeyReference, ...]
    in_volume: bool


def references(pod: Object) -> Iterator[Reference]:
    """All of them that have a name, in the order of the document as the schema reads it."""
    spec = pod.get("spec") or {}
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or ()):
            yield from _of_container(container, ("spec", group, index))
    for index, volume in enumerate(spec.get("volumes") or ()):
        yield from _of_volume(volume, ("spec", "volumes", index))


def _of_container(container: Object, path: Path) -> Iterator[Reference]:
    for index, source in enumerate(container.get("envFrom") or ()):
        here = (*path, "envFrom", index)
        yield from _one("ConfigMap", source, "configMapRef", here)
        yield from _one("Secret", source, "secretRef", here)
    for index, variable in enumerate(container.get("env") or ()):
        source, here = variable.get("valueFrom") or {}, (*path, "env", index, "valueFrom")
        yield from _one("ConfigMap", source, "configMapKeyRef", here)
        yield from _one("Secret", source, "secretKeyRef", here)


def _of_volume(volume: Object, path: Path) -> Iterator[Reference]:
    yield from _one("ConfigMap", volume, "configMap", path, in_volume=True)
    yield from _one("Secret", volume, "secret", path, "secretName", in_volume=True)
    claim = "persistentVolumeClaim"
    yield from _one("PersistentVolumeClaim", volume, claim, path, "claimName", in_volume=True)
    projected = volume.get("projected") or {}
    for index, source in enumerate(projected.get("sources") or ()):
        here = (*path, "projected", "sources", index)
        yield from _one("ConfigMap", source, "configMap", here, in_volume=True)
        yield from _one("Secret", source, "secret", here, in_volume=True)


def _one(
    kind: str,
    holder: Object,
    field: str,
    path: Path,
    name_field: str = "name",
    *,
    in_volume: bool = False,
) -> Iterator[Reference]:
    source: Any = holder.get(field)
    if not source or not source.get(name_field):
        return
    here = (*path, field)
    keys = [
        KeyReference(item["key"], (*here, "items", index, "key"))
        for index, item in enumerate(source.get("items") or ())
        if item.get("key")
    ]
    if source.get("key"):
        keys.append(KeyReference(source["key"], (*here, "key")))
    optional = bool(source.get("optional"))
    yield Reference(kind, source[name_field], here, name_field, optional, tuple(keys), in_volume)
