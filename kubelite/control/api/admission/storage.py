"""A claim that names no storage class gets the cluster's default one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.documents import load

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt

DEFAULT = "storageclass.kubernetes.io/is-default-class"


async def default_class(attempt: Attempt) -> None:
    """Of several default classes the youngest counts, then the first by name."""
    if not attempt.creates("", "persistentvolumeclaims") or "storageClassName" in (attempt.obj.get("spec") or {}):
        return
    if "volume.beta.kubernetes.io/storage-class" in (attempt.obj["metadata"].get("annotations") or {}):
        return
    classes = [load(entry) for entry in (await attempt.context.store.page("storageclasses")).entries]
    defaults = [each for each in classes if (each["metadata"].get("annotations") or {}).get(DEFAULT) == "true"]
    if defaults:
        defaults.sort(key=lambda each: str(each["metadata"]["name"]))
        youngest = max(defaults, key=lambda each: str(each["metadata"]["creationTimestamp"]))
        attempt.obj["spec"]["storageClassName"] = youngest["metadata"]["name"]
