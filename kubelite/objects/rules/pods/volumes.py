"""Rules about the volumes of a pod. Documents in, causes out. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.facts import names, quantity
from kubelite.objects.rules.cause import (
    Cause,
    Key,
    Path,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    named,
    not_supported,
    one_of,
    required,
    required_fields,
    required_one_of,
    too_long,
)
from kubelite.objects.rules.pods.paths import file_mode, key_to_path, no_backsteps, relative

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_MAX_PORTAL = 64
_ONE_TYPE = "may not specify more than 1 volume type"
_PARTITION = "must be between 1 and 255, inclusive"
_HOST_PORTS = "must be a host:port pair or multiple pairs separated by commas"
_MANAGED = (
    "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/"
    "{disk-id}"
)
_BLOB = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"


def volumes(
    given: Sequence[Object], path: Path, pod_name: str = ""
) -> tuple[dict[str, Object], list[Cause]]:
    """The volumes that nothing is wrong with, by name, and what is wrong with the others.

    ``pod_name`` is "" for a template: the claims of ephemeral volumes have no names yet.
    """
    good: dict[str, Object] = {}
    causes: list[Cause] = []
    created = {
        f"{pod_name}-{volume.get('name', '')}"
        for volume in given
        if pod_name and "ephemeral" in volume
    }
    for index, volume in enumerate(given):
        here, name = (*path, index), volume.get("name", "")
        own_causes = [*_source(volume, here, pod_name), *_name(name, name in good, (*here, "name"))]
        causes += own_causes
        if not own_causes:
            good[name] = volume
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        if claim in created:
            why = "must not reference a PVC that gets created for an ephemeral volume"
            causes.append(invalid((*here, "persistentVolumeClaim", "claimName"), claim, why))
    return good, causes


def _name(name: str, taken: bool, path: Path) -> Iterator[Cause]:
    yield from named(path, name, names.label(name))
    if taken:
        yield duplicate(path, name)


def _source(volume: Object, path: Path, pod_name: str) -> Iterator[Cause]:
    kinds = [kind for kind in SOURCES if kind in volume]
    if not kinds:
        yield required(path, "must specify a volume type")
        return
    # Rules of one kind of source and the complaint about the next follow the order of the table.
    yield from _kind(kinds[0], volume, path, pod_name)
    for kind in kinds[1:]:
        yield forbidden((*path, _FORBIDDEN_AS.get(kind, kind)), _ONE_TYPE)


def _kind(kind: str, volume: Object, path: Path, pod_name: str) -> Iterator[Cause]:
    source, name = volume[kind], volume.get("name", "")
    here = (*path, _RULES_AS.get(kind, kind))
    yield from required_fields(source, here, *_NEEDED.get(kind, ()))
    if rule := _RULES.get(kind):
        yield from rule(source, here)
    portal = f"{name}:{source.get('targetPortal', '')}" if kind == "iscsi" else ""
    if len(portal) > _MAX_PORTAL and "initiatorName" in source:
        why = (
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
            "if iscsi.initiatorName is specified."
        )
        yield invalid((*path, "name"), name, why)
    if kind == "ephemeral" and pod_name and name:
        claim = f"{pod_name}-{name}"
        for clause in names.subdomain(claim):
            yield invalid((*path, "name"), name, f'PVC name "{claim}": {clause}')


def _empty_dir(source: Object, path: Path) -> Iterator[Cause]:
    limit = source.get("sizeLimit")
    if limit is not None and quantity.parse(str(limit)).nano < 0:
        yield forbidden((*path, "sizeLimit"), "SizeLimit field must be a valid resource quantity")


def host_path(source: Object, path: Path) -> Iterator[Cause]:
    """A path of the machine."""
    if not source.get("path"):
        yield required((*path, "path"))
        return
    yield from no_backsteps(source["path"], (*path, "path"))
    if source.get("type") is not None:
        yield from one_of((*path, "type"), source["type"], HOST_PATH_TYPES)


def _git_repo(source: Object, path: Path) -> Iterator[Cause]:
    yield from relative(source.get("directory", ""), (*path, "directory"))


def _partition(source: Object, path: Path) -> Iterator[Cause]:
    if not 0 <= source.get("partition", 0) <= 255:
        yield invalid((*path, "partition"), source["partition"], _PARTITION)


def _keyed(source: Object, path: Path) -> Iterator[Cause]:
    yield from file_mode(source.get("defaultMode"), (*path, "defaultMode"))
    for index, item in enumerate(source.get("items") or ()):
        yield from key_to_path(item, (*path, "items", index))


def _nfs(source: Object, path: Path) -> Iterator[Cause]:
    if not source.get("path", "").startswith("/"):
        yield invalid((*path, "path"), source.get("path", ""), "must be an absolute path")


def _iscsi(source: Object, path: Path) -> Iterator[Cause]:
    yield from required_fields(source, path, "targetPortal")
    if not source.get("iqn"):
        yield required((*path, "iqn"))
    else:
        yield from _initiator(source["iqn"], (*path, "iqn"))
    yield from _lun(source.get("lun", 0), (*path, "lun"))
    with_secret = source.get("chapAuthDiscovery") or source.get("chapAuthSession")
    if with_secret and source.get("secretRef") is None:
        yield required((*path, "secretRef"))
    if "initiatorName" in source:
        yield from _initiator(source["initiatorName"], (*path, "initiatorname"))


_INITIATORS = {
    "iqn": r"iqn\.\d{4}-\d{2}\.([a-z0-9\-.]+)(:[^,;*&$|\s]+)?",
    "eui": r"eui.[0-9A-Fa-f]{16}",
    "naa": r"naa.([0-9A-Fa-f]{16}|[0-9A-Fa-f]{32})",
}


def _initiator(text: str, path: Path) -> Iterator[Cause]:
    """The name of an iSCSI node (RFC 3720, RFC 3980)."""
    expression = _INITIATORS.get(text[:3])
    if expression is None:
        yield invalid(path, text, "must be valid format starting with iqn, eui, or naa")
    elif not re.fullmatch(expression, text):
        yield invalid(path, text, "must be valid format")


def _lun(number: int, path: Path) -> Iterator[Cause]:
    if not 0 <= number <= 255:
        yield invalid(path, number, names.between(0, 255))


def _flocker(source: Object, path: Path) -> Iterator[Cause]:
    name, uuid = source.get("datasetName", ""), source.get("datasetUUID", "")
    if not name and not uuid:
        yield required(path, "one of datasetName and datasetUUID is required")
    if name and uuid:
        why = "datasetName and datasetUUID can not be specified simultaneously"
        yield invalid(path, "resource", why)
    if "/" in name:
        yield invalid((*path, "datasetName"), name, "must not contain '/'")


def _secret_ref(source: Object, path: Path) -> Iterator[Cause]:
    if source.get("secretRef") is not None:
        yield from required_fields(source["secretRef"], (*path, "secretRef"), "name")


def _quobyte(source: Object, path: Path) -> Iterator[Cause]:
    registry = source.get("registry", "")
    if not registry:
        yield required((*path, "registry"), _HOST_PORTS)
    elif len(source.get("tenant", "")) >= 65:
        why = "must be a UUID and may not exceed a length of 64 characters"
        yield required((*path, "tenant"), why)
    else:
        for pair in registry.split(","):
            if not re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*):[^:\[\]]*", pair):
                yield invalid((*path, "registry"), registry, _HOST_PORTS)
    yield from required_fields(source, path, "volume")


def _downward(source: Object, path: Path) -> Iterator[Cause]:
    yield from file_mode(source.get("defaultMode"), (*path, "defaultMode"))
    from kubelite.objects.rules.pods.fields import downward_file

    for file in source.get("items") or ():
        yield from downward_file(file, path)


def _projected(source: Object, path: Path) -> Iterator[Cause]:
    from kubelite.objects.rules.pods.projections import projected

    yield from projected(source, path)


def _fc(source: Object, path: Path) -> Iterator[Cause]:
    names_, ids = source.get("targetWWNs"), source.get("wwids")
    here = (*path, "targetWWNs")
    if not names_ and not ids:
        yield required(here, "must specify either targetWWNs or wwids, but not both")
    if names_ and ids:
        yield invalid(here, names_, "targetWWNs and wwids can not be specified simultaneously")
    if names_ and source.get("lun") is None:
        yield required((*path, "lun"), "lun is required if targetWWNs is specified")
    elif names_:
        yield from _lun(source["lun"], (*path, "lun"))


def _flex_volume(source: Object, path: Path) -> Iterator[Cause]:
    for option in source.get("options") or {}:
        domain = "." + option.partition("/")[0].lower()
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            why = "kubernetes.io and k8s.io namespaces are reserved"
            yield invalid((*path, "options", Key(option)), option, why)


def _azure_disk(source: Object, path: Path) -> Iterator[Cause]:
    uri, kind = source.get("diskURI", ""), source.get("kind")
    if "cachingMode" in source:
        modes = ("None", "ReadOnly", "ReadWrite")
        yield from one_of((*path, "cachingMode"), source["cachingMode"], modes)
    if kind is not None:
        yield from one_of((*path, "kind"), kind, ("Dedicated", "Managed", "Shared"))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        yield not_supported((*path, "diskURI"), uri, (_MANAGED,))
    if kind not in (None, "Managed") and not uri.startswith("https://"):
        yield not_supported((*path, "diskURI"), uri, (_BLOB,))


def _storage_os(source: Object, path: Path) -> Iterator[Cause]:
    name, namespace = source.get("volumeName", ""), source.get("volumeNamespace", "")
    yield from named((*path, "volumeName"), name, names.label(name))
    if namespace:
        yield from each_invalid((*path, "volumeNamespace"), namespace, names.label(namespace))
    yield from _secret_ref(source, path)


def _csi(source: Object, path: Path) -> Iterator[Cause]:
    yield from driver_name(source.get("driver", ""), (*path, "driver"))
    if source.get("nodePublishSecretRef") is not None:
        name = source["nodePublishSecretRef"].get("name", "")
        if not name:
            yield required((*path, "nodePublishSecretRef", "name"))
        else:
            yield from each_invalid((*path, "name"), name, names.subdomain(name))


def driver_name(driver: str, path: Path) -> Iterator[Cause]:
    """The name of a CSI driver: a domain of at most 63 characters, in capitals or not."""
    if not driver:
        yield required(path)
        return
    if len(driver) > names.MAX_LABEL:
        yield too_long(path, names.MAX_LABEL)
    yield from each_invalid(path, driver, names.subdomain(driver.lower()))


def _ephemeral(source: Object, path: Path) -> Iterator[Cause]:
    template = source.get("volumeClaimTemplate")
    if template is None:
        yield required((*path, "volumeClaimTemplate"))
    else:
        from kubelite.objects.rules.claims import claim_template

        yield from claim_template(template, (*path, "volumeClaimTemplate"))


def _image(source: Object, path: Path) -> Iterator[Cause]:
    yield from required_fields(source, path, "reference")
    yield from required_one_of((*path, "pullPolicy"), source.get("pullPolicy"), PULL_POLICIES)


SOURCES = (
    "emptyDir hostPath gitRepo gcePersistentDisk awsElasticBlockStore secret nfs iscsi glusterfs "
    "flocker persistentVolumeClaim rbd cinder cephfs quobyte downwardAPI fc flexVolume configMap "
    "azureFile vsphereVolume photonPersistentDisk portworxVolume azureDisk storageos projected "
    "scaleIO csi ephemeral image"
).split()
"""Kinds of volumes in the order in which Kubernetes looks at them: the first one counts."""
_FORBIDDEN_AS = {"downwardAPI": "downwarAPI", "cephfs": "cephFS"}
_RULES_AS = {"gcePersistentDisk": "persistentDisk"}
_NEEDED = {
    "gitRepo": ("repository",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "secret": ("secretName",),
    "nfs": ("server", "path"),
    "glusterfs": ("endpoints", "path"),
    "persistentVolumeClaim": ("claimName",),
    "rbd": ("monitors", "image"),
    "cinder": ("volumeID",),
    "cephfs": ("monitors",),
    "flexVolume": ("driver",),
    "configMap": ("name",),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "scaleIO": ("gateway", "system", "volumeName"),
}
_RULES: dict[str, Callable[[Object, Path], Iterator[Cause]]] = {
    "emptyDir": _empty_dir,
    "hostPath": host_path,
    "gitRepo": _git_repo,
    "gcePersistentDisk": _partition,
    "awsElasticBlockStore": _partition,
    "secret": _keyed,
    "nfs": _nfs,
    "iscsi": _iscsi,
    "flocker": _flocker,
    "cinder": _secret_ref,
    "quobyte": _quobyte,
    "downwardAPI": _downward,
    "fc": _fc,
    "flexVolume": _flex_volume,
    "configMap": _keyed,
    "azureDisk": _azure_disk,
    "storageos": _storage_os,
    "projected": _projected,
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _image,
}
