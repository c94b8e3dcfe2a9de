"""What a server writes into a new pod from what the pod itself says, and which fields it passes
over. Documents are changed in place. Pure.

Kubernetes' ``PrepareForCreate`` of pods, and the fields of features that are off in 1.36.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.rules.pods.annotations import APP_ARMOR
from kubelite.objects.rules.pods.containers import each_container
from kubelite.objects.rules.pods.placement import PREFERRED_TERMS, REQUIRED_TERMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_PROJECTIONS_OFF = ("clusterTrustBundle", "podCertificate")
_APP_ARMOR_TYPES = {"runtime/default": "RuntimeDefault", "unconfined": "Unconfined"}
_LOCAL = "localhost/"
_WITH_LABEL_KEYS = ("affinity", "topologySpreadConstraints")


def drop_disabled_fields(spec: Object) -> None:
    """Takes the fields of features that are off out of a PodSpec."""
    spec.pop("schedulingGroup", None)
    for container, _ in each_container(spec, ()):
        if lifecycle := container.get("lifecycle"):
            lifecycle.pop("stopSignal", None)
            if not lifecycle:
                del container["lifecycle"]
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            for kind in _PROJECTIONS_OFF:
                source.pop(kind, None)


def is_written_into(pod: Object) -> bool:
    """Whether a server may write anything into the specification of a pod: what follows does
    nothing otherwise.
    """
    spec = pod["spec"]
    sources = (pod["metadata"].get("annotations"), *map(spec.get, _WITH_LABEL_KEYS))
    return any(sources)


def merge_label_keys(pod: Object) -> None:
    """Writes the pod's own values of ``matchLabelKeys`` into the selectors that have them."""
    labels, spec = (pod.get("metadata") or {}).get("labels") or {}, pod.get("spec") or {}
    for term in (*_affinity_terms(spec), *(spec.get("topologySpreadConstraints") or ())):
        _merge(term, "matchLabelKeys", "In", labels)
        _merge(term, "mismatchLabelKeys", "NotIn", labels)


def _affinity_terms(spec: Object) -> Iterator[Object]:
    for kind in ("podAffinity", "podAntiAffinity"):
        given = (spec.get("affinity") or {}).get(kind) or {}
        yield from given.get(REQUIRED_TERMS) or ()
        for preferred in given.get(PREFERRED_TERMS) or ():
            yield preferred.get("podAffinityTerm") or {}


def _merge(term: Object, field: str, operator: str, labels: Mapping[str, str]) -> None:
    selector: Object | None = term.get("labelSelector")
    for key in term.get(field) or ():
        if selector is not None and key in labels:
            expression = {"key": key, "operator": operator, "values": [labels[key]]}
            selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), expression]


def app_armor_fields(pod: Object) -> None:
    """Writes AppArmor profiles of annotations into containers that have no such field."""
    annotations, spec = (pod.get("metadata") or {}).get("annotations") or {}, pod.get("spec") or {}
    if (spec.get("os") or {}).get("name") == "windows":
        return
    for container, _ in each_container(spec, ()):
        name = annotations.get(APP_ARMOR + container.get("name", ""))
        context = container.get("securityContext") or {}
        profile = _app_armor_profile(name or "")
        own = "appArmorProfile" in context
        if profile is not None and not own and profile != _of_pod(spec):
            container["securityContext"] = {**context, "appArmorProfile": profile}


def _of_pod(spec: Object) -> Object | None:
    profile: Object | None = (spec.get("securityContext") or {}).get("appArmorProfile")
    return profile


def _app_armor_profile(name: str) -> Object | None:
    if name in _APP_ARMOR_TYPES:
        return {"type": _APP_ARMOR_TYPES[name]}
    if name.startswith(_LOCAL) and name != _LOCAL:
        return {"type": "Localhost", "localhostProfile": name.removeprefix(_LOCAL)}
    return None
