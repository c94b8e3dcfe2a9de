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


def _filled(name: str, fill: Callable[[Object], None], value: Any) -> Any:
    """A struct of a definition, filled as ``fill`` fills the document of it."""
    document = structs.write(value)
    if name == "core.v1.PodSpec":
        drop_disabled_fields(document)
    fill(document)
    return structs.read(name, document)


def pod(spec: Any) -> Any:
    """The spec of a Pod with its defaults."""
    return _filled("core.v1.PodSpec", defaults.pod_spec, spec)


def template(spec: Any) -> Any:
    """The spec of a pod template with its defaults."""
    return _filled("core.v1.PodSpec", defaults.template_spec, spec)


def claim(spec: Any) -> None:
    """Fills the spec of a PersistentVolumeClaim or of a PersistentVolume in place."""
    if spec.volumeMode is None:
        spec.volumeMode = defaults.VOLUME_MODE


_SOURCES: dict[str, tuple[str, Callable[[Object], None]]] = {
    "hostPath": ("core.v1.HostPathVolumeSource", defaults.host_path),
    "iscsi": ("core.v1.ISCSIPersistentVolumeSource", defaults.iscsi),
    "rbd": ("core.v1.RBDPersistentVolumeSource", defaults.rbd),
    "azureDisk": ("core.v1.AzureDiskVolumeSource", defaults.azure_disk),
    "scaleIO": ("core.v1.ScaleIOPersistentVolumeSource", defaults.scale_io),
}


def volume_source(spec: Any) -> None:
    """Fills the source of a PersistentVolume in place."""
    for field, (name, fill) in _SOURCES.items():
        source = getattr(spec, field)
        if source is not None:
            setattr(spec, field, _filled(name, fill, source))
