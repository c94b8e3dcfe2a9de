"""Defaults of pods, pod templates and volumes: the rules stand in ``objects/rules/pods/defaults``,
which fills documents. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.schema import structs
from kubelite.lib.json import Object
from kubelite.objects.rules.pods import defaults
from kubelite.objects.rules.pods.creation import drop_disabled_fields

if TYPE_CHECKING:
    from collections.abc import Callable


def _fill(spec: Object, fill: Callable[[Object], None]) -> None:
    drop_disabled_fields(spec)
    fill(spec)


def pod(document: Object) -> None:
    """Fills a Pod in place."""
    _fill(document["spec"], defaults.pod_spec)


def template(document: Object) -> None:
    """Fills what holds a pod ``template`` in place."""
    if (given := document.get("template")) is not None:
        _fill(given["spec"], defaults.template_spec)


def of_template(document: Object) -> None:
    """Fills an object whose specification holds a pod template in place."""
    template(document["spec"])


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
            document = structs.write(source)
            fill(document)
            setattr(spec, field, structs.read(name, document))
