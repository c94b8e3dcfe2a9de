"""Defaults of pods and of parts of pods, for structs: the rules stand in
``objects/rules/pods/defaults``, which fills documents. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.schema import structs
from kubelite.lib.json import Object
from kubelite.objects.rules.pods import defaults
from kubelite.objects.rules.pods.creation import drop_disabled_fields

if TYPE_CHECKING:
    from collections.abc import Callable


def _filled(name: str, fill: Callable[[Object], None], value: Any) -> None:
    """Fills a struct of a definition in place, as ``fill`` fills the document of it."""
    document = structs.write(value)
    if name == "core.v1.PodSpec":
        drop_disabled_fields(document)
    fill(document)
    filled = structs.read(name, document)
    for attribute in value.__struct_fields__:
        setattr(value, attribute, getattr(filled, attribute))


def pod(spec: Any) -> None:
    """Fills the spec of a Pod in place."""
    _filled("core.v1.PodSpec", defaults.pod_spec, spec)


def template(spec: Any) -> None:
    """Fills the spec of a pod template in place."""
    _filled("core.v1.PodSpec", defaults.template_spec, spec)


def claim(spec: Any) -> None:
    """Fills the spec of a PersistentVolumeClaim or of a PersistentVolume in place."""
    if spec.volumeMode is None:
        spec.volumeMode = defaults.VOLUME_MODE


def host_path(source: Any) -> None:
    """Fills a path of the machine in place."""
    _filled("core.v1.HostPathVolumeSource", defaults.host_path, source)
