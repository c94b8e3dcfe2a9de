"""Which class is the default of its kind, and the class that Ingresses get by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.wire.documents import load

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt

_DEFAULT_INGRESS = "ingressclass.kubernetes.io/is-default-class"
_INGRESS_CLASS = "kubernetes.io/ingress.class"


async def default_name(attempt: Attempt, resource: str, annotation: str) -> str:
    """The name of the class that an annotation makes the default; of several the youngest counts,
    then the first by name. "" where there is none.
    """
    classes = [load(entry) for entry in (await attempt.context.store.page(resource)).entries]
    defaults = [
        candidate
        for candidate in classes
        if (candidate["metadata"].get("annotations") or {}).get(annotation) == "true"
    ]
    defaults.sort(key=lambda candidate: str(candidate["metadata"]["name"]))
    youngest = max(
        defaults,
        key=lambda candidate: str(candidate["metadata"]["creationTimestamp"]),
        default=None,
    )
    return str(youngest["metadata"]["name"]) if youngest else ""


async def ingress_class(attempt: Attempt) -> None:
    """An Ingress that says nothing of classes gets the default one (DefaultIngressClass)."""
    if not attempt.creates("networking.k8s.io", "ingresses"):
        return
    spec = attempt.obj.get("spec") or {}
    annotations = attempt.obj["metadata"].get("annotations") or {}
    if "ingressClassName" in spec or _INGRESS_CLASS in annotations:
        return
    if name := await default_name(attempt, "ingressclasses", _DEFAULT_INGRESS):
        attempt.obj["spec"] = {**spec, "ingressClassName": name}
