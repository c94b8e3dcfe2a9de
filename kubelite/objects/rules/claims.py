"""Rules about what a PersistentVolumeClaim asks for, in a claim or in a pod's ephemeral volume.
Documents in, causes out. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.facts import names, quantity
from kubelite.objects.rules import metadata
from kubelite.objects.rules.cause import (
    POSITIVE,
    Cause,
    Key,
    Path,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    one_of,
    required,
    required_fields,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
"""The annotation that named a class before there was a field."""
VOLUME_MODES = ("Block", "Filesystem")


def claim_template(template: Object, path: Path) -> Iterator[Cause]:
    """The claim of an ephemeral volume."""
    yield from metadata.template(template.get("metadata") or {}, (*path, "metadata"))
    yield from claim_spec(template.get("spec") or {}, (*path, "spec"))


def claim_spec(spec: Object, path: Path) -> Iterator[Cause]:
    """``spec`` of a claim."""
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required((*path, "accessModes"), "at least 1 access mode is required")
    yield from metadata.selector(spec.get("selector"), (*path, "selector"))
    yield from access_modes(modes, (*path, "accessModes"))
    yield from _storage(spec, (*path, "resources", Key("storage")))
    if name := spec.get("storageClassName"):
        yield from each_invalid((*path, "storageClassName"), name, names.subdomain(name))
    if "volumeMode" in spec:
        yield from one_of((*path, "volumeMode"), spec["volumeMode"], VOLUME_MODES)
    yield from _data_sources(spec, path)
    if name := spec.get("volumeAttributesClassName"):
        here = (*path, "volumeAttributesClassName")
        yield from each_invalid(here, name, names.subdomain(name))


def access_modes(modes: Sequence[str], path: Path) -> Iterator[Cause]:
    """How a volume may be mounted."""
    for mode in modes:
        if mode not in ACCESS_MODES:
            yield not_supported(path, mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and {*modes} & {*ACCESS_MODES[:3]}:
        yield forbidden(path, "may not use ReadWriteOncePod with other access modes")


def _storage(spec: Object, path: Path) -> Iterator[Cause]:
    text = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if text is None:
        yield required(path)
    elif quantity.parse(str(text)).nano <= 0:
        yield invalid(path, text, POSITIVE)


def _data_sources(spec: Object, path: Path) -> Iterator[Cause]:
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None:
        yield from _reference(source, (*path, "dataSource"))
    if reference is not None:
        yield from _reference(reference, (*path, "dataSourceRef"))
    if source is not None and reference is not None and source != reference:
        yield invalid(path, "", "must match dataSourceRef")


def _reference(reference: Object, path: Path) -> Iterator[Cause]:
    yield from required_fields(reference, path, "name", "kind")
    group = reference.get("apiGroup") or ""
    if not group and reference.get("kind") != "PersistentVolumeClaim":
        why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        yield invalid(path, reference.get("kind", ""), why)
    if group:
        yield from each_invalid((*path, "apiGroup"), group, names.subdomain(group))
