"""PersistentVolumes and their claims, storage classes, and what CSI drivers say. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import metadata, pod_defaults, volume_sources
from kubelite.control.api.kinds.common.checks import (
    NOT_NEGATIVE,
    check_dns_name,
    unchanged,
)
from kubelite.control.api.kinds.rules import Rules, initial_phase
from kubelite.control.api.tables.columns import (
    NAME_AND_CREATION,
    Column,
    boolean,
    columns,
    integer,
    wide,
)
from kubelite.control.api.tables.text import (
    NONE,
    UNSET,
    age_of,
    joined,
    lookup,
    name_and_creation,
    name_of,
    name_values_age,
    shown_access_modes,
)
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import go_types, names, quantity, schema
from kubelite.objects.rules import claims
from kubelite.objects.rules.pods import placement
from kubelite.objects.rules.pods import warnings as pod_warnings
from kubelite.objects.rules.pods.resources import is_native

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Cells = list[Any]


def default_claim(obj: Any) -> None:
    """A PersistentVolumeClaim, or the template of one."""
    obj.status.phase = obj.status.phase or "Pending"
    pod_defaults.claim(obj.spec)


def _default_volume(obj: Any) -> None:
    obj.status.phase = obj.status.phase or "Pending"
    obj.spec.persistentVolumeReclaimPolicy = obj.spec.persistentVolumeReclaimPolicy or "Retain"
    pod_defaults.claim(obj.spec)
    pod_defaults.volume_source(obj.spec)


def _default_storage_class(obj: Any) -> None:
    obj.reclaimPolicy = "Delete" if obj.reclaimPolicy is None else obj.reclaimPolicy
    if obj.volumeBindingMode is None:
        obj.volumeBindingMode = "Immediate"


def _default_csi_driver(obj: Any) -> None:
    spec = obj.spec
    spec.attachRequired = True if spec.attachRequired is None else spec.attachRequired
    for name in ("podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"):
        setattr(spec, name, bool(getattr(spec, name)))
    if spec.fsGroupPolicy is None:
        spec.fsGroupPolicy = "ReadWriteOnceWithFSType"
    spec.volumeLifecycleModes = spec.volumeLifecycleModes or ["Persistent"]
    # Behind a feature gate that is off.
    spec.preventPodSchedulingIfMissing = None


_RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
_MAX_PARAMETERS = 512
_MAX_PARAMETERS_SIZE = 256 * 1024
_FS_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
_MIN_TOKEN_SECONDS = 600
_MAX_TOKEN_SECONDS = 1 << 32


def _check_claim(obj: Object) -> Iterator[Cause]:
    yield from check_claim_spec(obj.get("spec") or {}, "spec")


def check_claim_spec(spec: Object, path: str) -> Iterator[Cause]:
    """The specification of a PersistentVolumeClaim, or of the template of one."""
    return causes.of_rules(claims.claim_spec(spec, (path,)))


def _check_access_modes(spec: Object, path: str) -> Iterator[Cause]:
    modes = spec.get("accessModes") or ()
    return causes.of_rules(claims.access_modes(modes, (f"{path}.accessModes",)))


def _check_volume_mode(spec: Object, path: str) -> Iterator[Cause]:
    mode = spec.get("volumeMode")
    if mode is not None and mode not in claims.VOLUME_MODES:
        yield causes.unsupported(f"{path}.volumeMode", mode, claims.VOLUME_MODES)


def _check_positive(amount: Any, path: str) -> Iterator[Cause]:
    if quantity.parse(str(amount)).nano <= 0:
        yield causes.invalid(path, amount, "must be greater than zero")


def _check_not_negative(amount: Any, path: str) -> Iterator[Cause]:
    if amount is not None and quantity.parse(str(amount)).nano < 0:
        yield causes.invalid(path, amount, NOT_NEGATIVE)


def _prepare_claim(obj: Object) -> None:
    _add_finalizer(obj, "kubernetes.io/pvc-protection")
    obj["spec"] = _with_data_sources(obj.get("spec") or {})


def _prepare_claim_update(new: Object, old: Object) -> Object:
    before = old.get("spec") or {}
    in_use = before.get("dataSource") is not None or before.get("dataSourceRef") is not None
    return {**new, "spec": _with_data_sources(new.get("spec") or {}, keeps_any=in_use)}


def _with_data_sources(spec: Object, *, keeps_any: bool = False) -> Object:
    """Both fields that name the origin of a volume say the same. ``dataSource`` of a kind that it
    was not made for is dropped, unless one ``keeps_any``, and so is one in another namespace (its
    feature gate is off).
    """
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    rest = {key: value for key, value in spec.items() if key not in ("dataSource", "dataSourceRef")}
    if source is not None and not keeps_any and not _is_data_source(source):
        source = None
    if reference is not None and reference.get("namespace"):
        reference = None
    if source is None and reference is None:
        return rest
    source, reference = source or reference, reference if reference is not None else source
    return {**rest, "dataSource": source, "dataSourceRef": reference}


def _is_data_source(source: Object) -> bool:
    group, kind = source.get("apiGroup") or "", source.get("kind")
    return (group, kind) in (
        ("", "PersistentVolumeClaim"),
        ("snapshot.storage.k8s.io", "VolumeSnapshot"),
    )


def _claim_warnings(claim: Object) -> Iterator[str]:
    yield from _old_class(claim)
    resources = lookup(claim, "spec.resources", {})
    yield from pod_warnings.fractions(resources, "spec.resources", ("storage",))


def _old_class(obj: Object) -> Iterator[str]:
    """The annotation that was there before the field."""
    if claims.OLD_CLASS in (lookup(obj, "metadata.annotations") or {}):
        path, instead = (
            f"metadata.annotations[{claims.OLD_CLASS}]",
            'use "storageClassName" attribute',
        )
        yield f"{path}: deprecated since v1.8; {instead} instead"


def _add_finalizer(obj: Object, finalizer: str) -> None:
    """The finalizer that keeps an object in use from being removed."""
    given = obj["metadata"].get("finalizers") or []
    if finalizer not in given:
        obj["metadata"] = {**obj["metadata"], "finalizers": [*given, finalizer]}


def _initial_volume_status(obj: Object) -> Object:
    created = obj["metadata"].get("creationTimestamp")
    moment = {"lastPhaseTransitionTime": created} if created else {}
    return {"phase": "Pending", **moment}


def _prepare_volume(obj: Object) -> None:
    _add_finalizer(obj, "kubernetes.io/pv-protection")


def _check_volume(obj: Object) -> Iterator[Cause]:
    yield from check_volume_spec(obj.get("spec") or {}, "spec")


def check_volume_spec(spec: Object, path: str, *, inline: bool = False) -> Iterator[Cause]:
    """The specification of a PersistentVolume; an ``inline`` one stands in a VolumeAttachment."""
    if inline:
        yield from _check_inline(spec, path)
    elif not spec.get("accessModes"):
        yield causes.required(f"{path}.accessModes")
    if not inline:
        yield from _check_capacity(spec, path)
    yield from _check_access_modes(spec, path)
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in _RECLAIM_POLICIES:
        where = f"{path}.persistentVolumeReclaimPolicy"
        yield causes.unsupported(where, policy, _RECLAIM_POLICIES)
    if (affinity := spec.get("nodeAffinity")) is not None:
        yield from _check_node_affinity(affinity, f"{path}.nodeAffinity")
    if spec.get("local") is not None and spec.get("nodeAffinity") is None:
        yield causes.required(f"{path}.nodeAffinity", "Local volume requires node affinity")
    yield from volume_sources.check_sources(spec, path)
    if (spec.get("hostPath") or {}).get("path") == "/" and policy == "Recycle":
        why = "may not be 'recycle' for a hostPath mount of '/'"
        yield causes.forbidden(f"{path}.persistentVolumeReclaimPolicy", why)
    if spec.get("storageClassName"):
        yield from check_dns_name(spec["storageClassName"], f"{path}.storageClassName")
    yield from _check_volume_mode(spec, path)
    yield from _check_attributes_class(spec, path)


def _check_inline(spec: Object, path: str) -> Iterator[Cause]:
    for field in ("claimRef", "capacity"):
        if spec.get(field):
            why = "may not be specified in the context of inline volumes"
            yield causes.forbidden(f"{path}.{field}", why)
    if spec.get("csi") is None:
        why = "has to be specified in the context of inline volumes"
        yield causes.required(f"{path}.csi", why)


def _check_capacity(spec: Object, path: str) -> Iterator[Cause]:
    capacity = spec.get("capacity") or {}
    if not capacity:
        yield causes.required(f"{path}.capacity")
    if set(capacity) != {"storage"}:
        yield causes.unsupported(f"{path}.capacity", capacity or None, ("storage",))
    for name, amount in capacity.items():
        yield from _check_positive(amount, f"{path}.capacity[{name}]")


def _check_node_affinity(affinity: Object, path: str) -> Iterator[Cause]:
    if affinity.get("required") is None:
        yield causes.required(f"{path}.required", "must specify required node constraints")
    else:
        required = f"{path}.required"
        yield from causes.of_rules(placement.node_selector(affinity["required"], (required,)))


def _check_attributes_class(spec: Object, path: str) -> Iterator[Cause]:
    name = spec.get("volumeAttributesClassName")
    if name is None:
        return
    if not name:
        why = "an empty string is disallowed"
        yield causes.required(f"{path}.volumeAttributesClassName", why)
    else:
        yield from check_dns_name(name, f"{path}.volumeAttributesClassName")
    if spec.get("csi") is None:
        why = "has to be specified when using volumeAttributesClassName"
        yield causes.required(f"{path}.csi", why)


_CLAIM = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
    "bound claims"
)


_RESIZE_STATES = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
)


def _check_claim_status(new: Object, old: Object) -> Iterator[Cause]:
    """What a claim's resize has come to, by resource."""
    status = new.get("status") or {}
    yield from _check_amounts(status.get("capacity") or {}, "status.capacity")
    path = "status.allocatedResources"
    amounts = status.get("allocatedResources") or {}
    for resource, amount in amounts.items():
        problems = list(_check_claim_resource(resource, path))
        yield from problems or _check_amounts({resource: amount}, path)
    path = "status.allocatedResourceStatuses"
    for resource, state in (status.get("allocatedResourceStatuses") or {}).items():
        yield from _check_claim_resource(resource, path)
        if state not in _RESIZE_STATES:
            # The servers show the resource, not its state.
            yield causes.unsupported(path, resource, _RESIZE_STATES)


def _check_amounts(amounts: Object, path: str) -> Iterator[Cause]:
    for resource, amount in amounts.items():
        if (size := quantity.parse(str(amount))).nano < 0:
            why = "must be a valid resource quantity"
            yield causes.invalid(f"{path}[{resource}]", size.nano // 10**9, why)


def _check_claim_resource(resource: str, path: str) -> Iterator[Cause]:
    problems = names.qualified(resource)
    for problem in problems:
        yield causes.invalid(path, resource, problem)
    if not problems and is_native(resource) and resource != "storage":
        yield causes.unsupported(path, resource, ("storage",))


def _check_claim_update(new: Object, old: Object) -> Iterator[Cause]:
    spec, before = dict(new.get("spec") or {}), dict(old.get("spec") or {})
    if not before.get("volumeName") and "volumeName" in spec:
        before["volumeName"] = spec["volumeName"]
    if before.get("storageClassName") is None:
        spec.pop("storageClassName", None)
    if lookup(new, "status.phase") == "Bound":
        if spec.get("volumeAttributesClassName") is not None:
            spec["volumeAttributesClassName"] = before.get("volumeAttributesClassName")
        if (requests := lookup(spec, "resources.requests")) is not None:
            size = lookup(before, "resources.requests", {}).get("storage", "0")
            spec["resources"] = {**spec["resources"], "requests": {**requests, "storage": size}}
    if _given(spec) != _given(before):
        difference = go_types.difference("core.v1.PersistentVolumeClaimSpec", before, spec)
        yield causes.forbidden("spec", f"{_CLAIM}\n{difference}")
    yield from _check_claim_size(new, old)
    yield from unchanged("spec.volumeMode", shown=("volumeMode",))(new, old)


def _given(spec: Object) -> Object:
    return {field: value for field, value in spec.items() if value is not None}


def _check_claim_size(new: Object, old: Object) -> Iterator[Cause]:
    sizes = [
        lookup(claim, "spec.resources.requests", {}).get("storage", "0") for claim in (new, old)
    ]
    size, before = (quantity.parse(str(amount)).nano for amount in sizes)
    held = lookup(old, "status.capacity", {}).get("storage", "0")
    if size < before and size <= quantity.parse(str(held)).nano:
        why = "field can not be less than status.capacity"
        yield causes.forbidden("spec.resources.requests.storage", why)


def _check_volume_update(new: Object, old: Object) -> Iterator[Cause]:
    if _sources(new) != _sources(old):
        difference = go_types.difference(
            "core.v1.PersistentVolumeSource", old["spec"], new.get("spec")
        )
        why = f"spec.persistentvolumesource is immutable after creation\n{difference}"
        yield causes.forbidden("spec.persistentvolumesource", why)
    yield from unchanged("spec.volumeMode", shown=("volumeMode",))(new, old)
    before = lookup(old, "spec.nodeAffinity")
    affinity = lookup(new, "spec.nodeAffinity")
    if before is not None and affinity != before:
        why = "field is immutable, except for updating from beta label to GA"
        yield causes.invalid("nodeAffinity", affinity, why)


def _sources(obj: Object) -> Object:
    spec = obj.get("spec") or {}
    return {key: value for key, value in spec.items() if volume_sources.is_source(key)}


def _check_provisioner(name: str, path: str) -> Iterator[Cause]:
    """Who makes volumes of a class."""
    if not name:
        yield causes.required(path)
    for problem in names.qualified(name.lower()) if name else ():
        yield causes.invalid(path, name.lower(), problem)


def _check_storage_class(obj: Object) -> Iterator[Cause]:
    yield from _check_provisioner(obj.get("provisioner", ""), "provisioner")
    yield from _check_parameters(obj.get("parameters") or {}, "parameters")
    policy, mode = obj.get("reclaimPolicy"), obj.get("volumeBindingMode")
    if policy and policy not in ("Delete", "Retain"):
        yield causes.unsupported("reclaimPolicy", policy, ("Delete", "Retain"))
    if mode is None:
        yield causes.required("volumeBindingMode")
    elif mode not in ("Immediate", "WaitForFirstConsumer"):
        yield causes.unsupported("volumeBindingMode", mode, ("Immediate", "WaitForFirstConsumer"))
    terms: list[Object] = []
    for index, term in enumerate(obj.get("allowedTopologies") or ()):
        path = f"allowedTopologies[{index}].matchLabelExpressions"
        yield from _check_topology(term.get("matchLabelExpressions") or (), path)
        shape = {
            rule.get("key", ""): sorted(rule.get("values") or ())
            for rule in term.get("matchLabelExpressions") or ()
        }
        if shape in terms or not shape:
            yield causes.duplicate(path, "")
        terms.append(shape)


def _check_topology(rules: Iterable[Object], path: str) -> Iterator[Cause]:
    keys: set[str] = set()
    for index, rule in enumerate(rules):
        where, key, values = f"{path}[{index}]", rule.get("key", ""), rule.get("values") or []
        if not values:
            yield causes.required(f"{where}.values")
        for number, value in enumerate(values):
            if value in values[:number]:
                yield causes.duplicate(f"{where}.values[{number}]", value)
        for problem in names.qualified(key):
            yield causes.invalid(f"{where}.key", key, problem)
        if key in keys:
            yield causes.duplicate(f"{where}.key", key)
        keys.add(key)


def _check_parameters(parameters: dict[str, str], path: str) -> Iterator[Cause]:
    if len(parameters) > _MAX_PARAMETERS:
        yield causes.too_long(path, _MAX_PARAMETERS)
        return
    if "" in parameters:
        yield causes.invalid(path, "", "field can not be empty.")
    if sum(len(key) + len(value) for key, value in parameters.items()) > _MAX_PARAMETERS_SIZE:
        yield causes.too_long(path, _MAX_PARAMETERS_SIZE)


def _check_csi_driver(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    policy, modes = spec.get("fsGroupPolicy"), spec.get("volumeLifecycleModes") or ()
    if policy not in _FS_GROUP_POLICIES:
        yield causes.unsupported("spec.fsGroupPolicy", policy, _FS_GROUP_POLICIES)
    yield from _check_token_requests(spec.get("tokenRequests") or ())
    for mode in modes:
        if mode not in ("Persistent", "Ephemeral"):
            yield causes.unsupported("spec.volumeLifecycleModes", mode, ("Persistent", "Ephemeral"))
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < 10:
        why = "must be greater than or equal to 10 seconds"
        yield causes.invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, why)
    if spec.get("serviceAccountTokenInSecrets") is not None and not spec.get("tokenRequests"):
        why = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        yield causes.invalid(
            "spec.serviceAccountTokenInSecrets", spec["serviceAccountTokenInSecrets"], why
        )


def _check_token_requests(requests: Iterable[Object]) -> Iterator[Cause]:
    audiences: set[str] = set()
    for index, request in enumerate(requests):
        path, audience = f"spec.tokenRequests[{index}]", request.get("audience", "")
        if audience in audiences:
            yield causes.duplicate(f"{path}.audience", audience)
        audiences.add(audience)
        seconds = request.get("expirationSeconds")
        if seconds is None:
            continue
        if seconds < _MIN_TOKEN_SECONDS:
            why = "may not specify a duration less than 10 minutes"
            yield causes.invalid(f"{path}.expirationSeconds", seconds, why)
        if seconds > _MAX_TOKEN_SECONDS:
            why = "may not specify a duration larger than 2^32 seconds"
            yield causes.invalid(f"{path}.expirationSeconds", seconds, why)


def _check_csi_driver_update(new: Object, old: Object) -> Iterator[Cause]:
    yield from unchanged("spec.attachRequired", shown=("spec.attachedRequired",))(new, old)
    yield from unchanged("spec.volumeLifecycleModes")(new, old)


def _csi_driver_warnings(obj: Object) -> Iterator[str]:
    spec = obj.get("spec") or {}
    if spec.get("tokenRequests") and spec.get("serviceAccountTokenInSecrets") is None:
        yield (
            "spec.tokenRequests: service account tokens are passed to the driver in the volume "
            "context; set spec.serviceAccountTokenInSecrets to pass them as secrets"
        )


def _check_csi_node(obj: Object) -> Iterator[Cause]:
    names_taken: set[str] = set()
    for index, driver in enumerate(lookup(obj, "spec.drivers", [])):
        path, name = f"spec.drivers[{index}]", driver.get("name", "")
        yield from volume_sources.check_driver(name, f"{path}.name")
        node = driver.get("nodeID", "")
        if not node:
            yield causes.required(f"{path}.nodeID")
        elif len(node) > 192:
            yield causes.invalid(f"{path}.nodeID", node, "must be 192 characters or less")
        count = lookup(driver, "allocatable.count")
        if count is not None and count < 0:
            yield causes.invalid(f"{path}.allocatable.count", count, NOT_NEGATIVE)
        if name in names_taken:
            yield causes.duplicate(f"{path}.name", name)
        names_taken.add(name)
        yield from _check_topology_keys(driver.get("topologyKeys") or [], path)


def _check_topology_keys(keys: list[str], path: str) -> Iterator[Cause]:
    for index, key in enumerate(keys):
        if not key:
            yield causes.required(path)
        if key in keys[:index]:
            yield causes.duplicate(path, key)
        for problem in names.qualified(key):
            yield causes.invalid(path, key, problem)


def _check_csi_node_update(new: Object, old: Object) -> Iterator[Cause]:
    drivers = {driver.get("name"): driver for driver in lookup(new, "spec.drivers", [])}
    for driver in lookup(old, "spec.drivers", []):
        changed = drivers.get(driver.get("name"))
        if changed is not None and _fixed_part(changed) != _fixed_part(driver):
            yield causes.invalid(
                "spec.drivers", changed, causes.IMMUTABLE, "storage.v1.CSINodeDriver"
            )


def _fixed_part(driver: Object) -> Object:
    return {key: value for key, value in driver.items() if key != "allocatable"}


def _check_capacity_object(obj: Object) -> Iterator[Cause]:
    yield from check_dns_name(obj.get("storageClassName", ""), "storageClassName")
    yield from metadata.selector(obj.get("nodeTopology"), "nodeTopology")
    yield from _check_not_negative(obj.get("capacity"), "capacity")


def _check_attachment(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    yield from volume_sources.check_driver(spec.get("attacher", ""), "spec.attacher")
    yield from _check_attachment_source(spec.get("source") or {}, "spec.source")
    yield from check_dns_name(spec.get("nodeName", ""), "spec.nodeName")


def _check_attachment_source(source: Object, path: str) -> Iterator[Cause]:
    name, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    why = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    where = f"{path}.persistentVolumeName"
    if name is not None and name:
        yield from check_dns_name(name, where)
    if name is None and inline is None:
        yield causes.required(path, why)
    elif name is not None and inline is not None:
        yield causes.forbidden(path, why)
    elif name is not None:
        if not name:
            yield causes.required(where, "must specify non empty persistentVolumeName")
            yield from check_dns_name(name, where)
    else:
        yield from check_volume_spec(inline or {}, f"{path}.inlineVolumeSpec", inline=True)


def _check_attributes(obj: Object) -> Iterator[Cause]:
    yield from _check_provisioner(obj.get("driverName", ""), "driverName")
    if not obj.get("parameters"):
        yield causes.required("parameters", "must contain at least one key/value pair")
    yield from _check_parameters(obj.get("parameters") or {}, "parameters")


def _check_attributes_update(new: Object, old: Object) -> Iterator[Cause]:
    for field in ("driverName", "parameters"):
        if new.get(field) != old.get(field):
            yield causes.forbidden(field, f"updates to {field} are forbidden.")


def _prepare_attributes(obj: Object) -> None:
    _add_finalizer(obj, "kubernetes.io/vac-protection")


_RECYCLE = (
    "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the "
    "recommended approach is to use"
    " dynamic provisioning."
)


def _volume_warnings(obj: Object) -> Iterator[str]:
    yield from _old_class(obj)
    if obj["spec"].get("persistentVolumeReclaimPolicy") == "Recycle":
        yield _RECYCLE


def _shown_phase(obj: Object) -> str:
    return (
        "Terminating"
        if lookup(obj, "metadata.deletionTimestamp")
        else str(lookup(obj, "status.phase", ""))
    )


def _claim_cells(obj: Object, now: datetime) -> Cells:
    spec, bound = obj.get("spec") or {}, bool(lookup(obj, "spec.volumeName"))
    capacity = lookup(obj, "status.capacity.storage", "0") if bound else ""
    modes = shown_access_modes(lookup(obj, "status.accessModes")) if bound else ""
    classes = [spec.get("storageClassName") or "", spec.get("volumeAttributesClassName") or UNSET]
    head = [name_of(obj), _shown_phase(obj), spec.get("volumeName", ""), capacity, modes, *classes]
    return [*head, age_of(obj, now), spec.get("volumeMode") or UNSET]


def _volume_cells(obj: Object, now: datetime) -> Cells:
    spec, claim = obj.get("spec") or {}, lookup(obj, "spec.claimRef")
    whose = f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""
    policy = spec.get("persistentVolumeReclaimPolicy", "")
    head = [
        name_of(obj),
        lookup(spec, "capacity.storage", ""),
        shown_access_modes(spec.get("accessModes")),
        policy,
        _shown_phase(obj),
        whose,
    ]
    classes = [spec.get("storageClassName", ""), spec.get("volumeAttributesClassName") or UNSET]
    return [
        *head,
        *classes,
        lookup(obj, "status.reason", ""),
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def _storage_class_cells(obj: Object, now: datetime) -> Cells:
    default = (
        lookup(obj, "metadata.annotations", {}).get("storageclass.kubernetes.io/is-default-class")
        == "true"
    )
    fields = [obj.get(field, "") for field in ("provisioner", "reclaimPolicy", "volumeBindingMode")]
    shown = name_of(obj) + (" (default)" if default else "")
    return [shown, *fields, bool(obj.get("allowVolumeExpansion")), age_of(obj, now)]


def _csi_driver_cells(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    flags = [
        bool(spec.get(field)) for field in ("attachRequired", "podInfoOnMount", "storageCapacity")
    ]
    tokens = joined(
        (request.get("audience", "") for request in spec.get("tokenRequests") or ()), UNSET
    )
    modes = joined(spec.get("volumeLifecycleModes") or (), NONE)
    return [
        name_of(obj),
        *flags,
        tokens,
        bool(spec.get("requiresRepublish")),
        modes,
        age_of(obj, now),
    ]


def _csi_node_cells(obj: Object, now: datetime) -> Cells:
    return [name_of(obj), len(lookup(obj, "spec.drivers", [])), age_of(obj, now)]


# What must be there is said of the one source that counts, and of a node selector, by their checks.
_OWN_CHECKS = (
    *(
        f"{field.item}.*"
        for name, field in schema.definition("core.v1.PersistentVolumeSpec").fields.items()
        if volume_sources.is_source(name)
    ),
    "core.v1.NodeSelectorRequirement.*",
)

KINDS: dict[tuple[str, str], Rules] = {
    ("", "PersistentVolume"): Rules(
        initial_status=_initial_volume_status,
        prepare_create=_prepare_volume,
        may_be_empty=_OWN_CHECKS,
        defaults=_default_volume,
        check=_check_volume,
        check_update=_check_volume_update,
        warnings=_volume_warnings,
        columns=columns(
            "Name",
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
            wide("VolumeMode"),
        ),
        cells=_volume_cells,
        returned_on_delete=True,
    ),
    ("", "PersistentVolumeClaim"): Rules(
        prepare_create=_prepare_claim,
        prepare_update=_prepare_claim_update,
        may_be_empty=("core.v1.TypedLocalObjectReference.*", "core.v1.TypedObjectReference.*"),
        defaults=default_claim,
        check=_check_claim,
        check_subresource={"status": _check_claim_status},
        warnings=_claim_warnings,
        check_update=_check_claim_update,
        columns=columns(
            "Name",
            "Status",
            "Volume",
            "Capacity",
            "Access Modes",
            "StorageClass",
            "VolumeAttributesClass",
            "Age",
            wide("VolumeMode"),
        ),
        cells=_claim_cells,
        returned_on_delete=True,
        initial_status=initial_phase("Pending"),
    ),
    ("storage.k8s.io", "StorageClass"): Rules(
        check=_check_storage_class,
        check_update=unchanged("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"),
        may_be_empty=(
            "storage.v1.StorageClass.provisioner",
            "core.v1.TopologySelectorLabelRequirement.*",
        ),
        defaults=_default_storage_class,
        columns=columns(
            "Name",
            "Provisioner",
            "ReclaimPolicy",
            "VolumeBindingMode",
            "AllowVolumeExpansion",
            "Age",
        ),
        cells=_storage_class_cells,
        returned_on_delete=True,
    ),
    ("storage.k8s.io", "CSIDriver"): Rules(
        unconditional_update=False,
        check=_check_csi_driver,
        check_update=_check_csi_driver_update,
        warnings=_csi_driver_warnings,
        warned_change="spec.tokenRequests",
        has_generation=True,
        first_generation=0,
        may_be_empty=("storage.v1.TokenRequest.audience",),
        defaults=_default_csi_driver,
        columns=columns(
            "Name",
            boolean("AttachRequired"),
            boolean("PodInfoOnMount"),
            boolean("StorageCapacity"),
            "TokenRequests",
            boolean("RequiresRepublish"),
            "Modes",
            "Age",
        ),
        cells=_csi_driver_cells,
        returned_on_delete=True,
    ),
    ("storage.k8s.io", "CSINode"): Rules(
        unconditional_update=False,
        check=_check_csi_node,
        check_update=_check_csi_node_update,
        may_be_empty=("storage.v1.CSINodeSpec.drivers", "storage.v1.CSINodeDriver.*"),
        columns=columns("Name", integer("Drivers"), "Age"),
        cells=_csi_node_cells,
        returned_on_delete=True,
    ),
    ("storage.k8s.io", "CSIStorageCapacity"): Rules(
        check=_check_capacity_object,
        check_update=unchanged("storageClassName", "nodeTopology"),
        columns=NAME_AND_CREATION,
        cells=name_and_creation,
        may_be_empty=("storage.v1.CSIStorageCapacity.storageClassName",),
    ),
    ("storage.k8s.io", "VolumeAttachment"): Rules(
        status_metadata=(),
        unconditional_update=False,
        check=_check_attachment,
        may_be_empty=("storage.v1.VolumeAttachmentSpec.*", "storage.v1.VolumeAttachmentSource.*"),
        check_update=unchanged("spec"),
        columns=columns(
            "Name", Column("Attacher", names=True), "PV", "Node", boolean("Attached"), "Age"
        ),
        cells=lambda obj, now: [
            name_of(obj),
            lookup(obj, "spec.attacher", ""),
            lookup(obj, "spec.source.persistentVolumeName", ""),
            lookup(obj, "spec.nodeName", ""),
            bool(lookup(obj, "status.attached")),
            age_of(obj, now),
        ],
        returned_on_delete=True,
    ),
    ("storage.k8s.io", "VolumeAttributesClass"): Rules(
        changes_first=True,
        check=_check_attributes,
        check_update=_check_attributes_update,
        prepare_create=_prepare_attributes,
        may_be_empty=("storage.v1.VolumeAttributesClass.driverName",),
        columns=columns("Name", "DriverName", "Age"),
        cells=name_values_age("driverName"),
    ),
}
