"""Where the data of a PersistentVolume is: the rules of each kind of source. Pure.

A volume has one source. The first one in the order of the table below counts; any other is
refused without a look into it (``ValidatePersistentVolumeSpec``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.kinds.common.checks import check_secret_reference
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kubelite.control.api.wire.status import Cause

_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_CACHING_MODES = ("None", "ReadOnly", "ReadWrite")
_DISK_KINDS = ("Dedicated", "Managed", "Shared")
_MORE_THAN_ONE = "may not specify more than 1 volume type"


def check_sources(spec: Object, path: str) -> Iterator[Cause]:
    """The source of a volume: exactly one, and nothing wrong with it."""
    first = ""
    for field, shown, check in _SOURCES:
        source = spec.get(field)
        if source is None:
            continue
        if first:
            yield causes.forbidden(f"{path}.{shown}", _MORE_THAN_ONE)
            continue
        first = field
        yield from check(source, f"{path}.{field}")
    if not first:
        yield causes.required(path, "must specify a volume type")


def is_source(field: str) -> bool:
    """Whether a field of a PersistentVolume's spec is one of the sources."""
    return any(field == source for source, _, _ in _SOURCES)


def check_driver(name: str, path: str) -> Iterator[Cause]:
    """The name of a CSI driver."""
    if not name:
        yield causes.required(path)
        return
    if len(name) > 63:
        yield causes.too_long(path, 63)
    for problem in names.subdomain(name.lower()):
        yield causes.invalid(path, name, problem)


def _needs(*fields: str, partition: bool = False) -> Callable[[Object, str], Iterator[Cause]]:
    """A rule for texts or lists that must be there."""

    def check(source: Object, path: str) -> Iterator[Cause]:
        for field in fields:
            if not source.get(field):
                yield causes.required(f"{path}.{field}")
        if partition:
            yield from _in_byte(source, "partition", path)

    return check


def _in_byte(source: Object, field: str, path: str) -> Iterator[Cause]:
    number = source.get(field)
    if number is not None and not 0 <= number <= 255:
        yield causes.invalid(f"{path}.{field}", number, "must be between 1 and 255, inclusive")


def _no_backsteps(text: str, path: str) -> Iterator[Cause]:
    if ".." in text.split("/"):
        yield causes.invalid(path, text, "must not contain '..'")


def _host_path(source: Object, path: str) -> Iterator[Cause]:
    if not source.get("path"):
        yield causes.required(f"{path}.path")
        return
    yield from _no_backsteps(source["path"], f"{path}.path")
    if source.get("type", "") not in _HOST_PATH_TYPES:
        yield causes.unsupported(f"{path}.type", source["type"], _HOST_PATH_TYPES)


def _flocker(source: Object, path: str) -> Iterator[Cause]:
    name, uuid = source.get("datasetName", ""), source.get("datasetUUID", "")
    if not name and not uuid:
        yield causes.required(path, "one of datasetName and datasetUUID is required")
    if name and uuid:
        why = "datasetName and datasetUUID can not be specified simultaneously"
        yield causes.invalid(path, "resource", why)
    if "/" in name:
        yield causes.invalid(f"{path}.datasetName", name, "must not contain '/'")


def _nfs(source: Object, path: str) -> Iterator[Cause]:
    yield from _needs("server", "path")(source, path)
    if not source.get("path", "").startswith("/"):
        yield causes.invalid(f"{path}.path", source.get("path", ""), "must be an absolute path")


def _quobyte(source: Object, path: str) -> Iterator[Cause]:
    registry = source.get("registry", "")
    if not registry:
        why = "must be a host:port pair or multiple pairs separated by commas"
        yield causes.required(f"{path}.registry", why)
    elif len(source.get("tenant", "")) >= 65:
        why = "must be a UUID and may not exceed a length of 64 characters"
        yield causes.required(f"{path}.tenant", why)
    else:
        for pair in registry.split(","):
            host, _, port = pair.rpartition(":")
            if not host or not port:
                why = "must be a host:port pair or multiple pairs separated by commas"
                yield causes.invalid(f"{path}.registry", registry, why)
    if not source.get("volume"):
        yield causes.required(f"{path}.volume")


def _iscsi(source: Object, path: str) -> Iterator[Cause]:
    yield from _needs("targetPortal", "iqn")(source, path)
    iqn = source.get("iqn", "")
    if iqn and not iqn.startswith(("iqn", "eui", "naa")):
        yield causes.invalid(
            f"{path}.iqn", iqn, "must be valid format starting with iqn, eui, or naa"
        )
    yield from _in_byte(source, "lun", path)
    chap = source.get("chapAuthDiscovery") or source.get("chapAuthSession")
    if chap and source.get("secretRef") is None:
        yield causes.required(f"{path}.secretRef")
    elif source.get("secretRef") is not None and not source["secretRef"].get("name"):
        yield causes.required(f"{path}.secretRef.name")


def _cinder(source: Object, path: str) -> Iterator[Cause]:
    yield from _needs("volumeID")(source, path)
    if source.get("secretRef") is not None:
        yield from check_secret_reference(source["secretRef"], f"{path}.secretRef")


def _fibre_channel(source: Object, path: str) -> Iterator[Cause]:
    targets, wwids = source.get("targetWWNs"), source.get("wwids")
    if not targets and not wwids:
        why = "must specify either targetWWNs or wwids, but not both"
        yield causes.required(f"{path}.targetWWNs", why)
    if targets and wwids:
        why = "targetWWNs and wwids can not be specified simultaneously"
        yield causes.invalid(f"{path}.targetWWNs", targets, why)
    if targets and source.get("lun") is None:
        yield causes.required(f"{path}.lun", "lun is required if targetWWNs is specified")
    elif targets:
        yield from _in_byte(source, "lun", path)


def _flex(source: Object, path: str) -> Iterator[Cause]:
    yield from _needs("driver")(source, path)
    for key in source.get("options") or ():
        host = key.partition("/")[0]
        if host == "kubernetes.io" or host.endswith(".kubernetes.io"):
            yield causes.invalid(f"{path}.options[{key}]", key, "kubernetes.io is reserved")


def _azure_file(source: Object, path: str) -> Iterator[Cause]:
    yield from _needs("secretName", "shareName")(source, path)
    if source.get("secretNamespace") == "":
        yield causes.required(f"{path}.secretNamespace")


def _azure_disk(source: Object, path: str) -> Iterator[Cause]:
    yield from _needs("diskName", "diskURI")(source, path)
    mode, kind, uri = source.get("cachingMode"), source.get("kind"), source.get("diskURI", "")
    if mode is not None and mode not in _CACHING_MODES:
        yield causes.unsupported(f"{path}.cachingMode", mode, _CACHING_MODES)
    if kind is not None and kind not in _DISK_KINDS:
        yield causes.unsupported(f"{path}.kind", kind, _DISK_KINDS)
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        allowed = ("/subscriptions/{sub-id}/resourcegroups/{group-name}/...",)
        yield causes.unsupported(f"{path}.diskURI", uri, allowed)
    elif kind is not None and kind != "Managed" and not uri.startswith("https://"):
        allowed = ("https://{account-name}.blob.core.windows.net/{container-name}/...",)
        yield causes.unsupported(f"{path}.diskURI", uri, allowed)


def _local(source: Object, path: str) -> Iterator[Cause]:
    if not source.get("path"):
        yield causes.required(f"{path}.path")
        return
    yield from _no_backsteps(source["path"], f"{path}.path")


def _storage_os(source: Object, path: str) -> Iterator[Cause]:
    name = source.get("volumeName", "")
    if not name:
        yield causes.required(f"{path}.volumeName")
    for problem in names.label(name) if name else ():
        yield causes.invalid(f"{path}.volumeName", name, problem)
    namespace = source.get("volumeNamespace", "")
    for problem in names.label(namespace) if namespace else ():
        yield causes.invalid(f"{path}.volumeNamespace", namespace, problem)
    if source.get("secretRef") is not None:
        yield from check_secret_reference(source["secretRef"], f"{path}.secretRef")


_CSI_SECRETS = (
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
    "nodeStageSecretRef",
)


def _csi(source: Object, path: str) -> Iterator[Cause]:
    yield from check_driver(source.get("driver", ""), f"{path}.driver")
    if not source.get("volumeHandle"):
        yield causes.required(f"{path}.volumeHandle")
    for field in _CSI_SECRETS:
        if source.get(field) is not None:
            yield from check_secret_reference(source[field], f"{path}.{field}")


# Field, the name that causes have for it, and its rule, in the order in which they are looked at.
_SOURCES: tuple[tuple[str, str, Callable[[Object, str], Iterator[Cause]]], ...] = (
    ("hostPath", "hostPath", _host_path),
    ("gcePersistentDisk", "gcePersistentDisk", _needs("pdName", partition=True)),
    ("awsElasticBlockStore", "awsElasticBlockStore", _needs("volumeID", partition=True)),
    ("glusterfs", "glusterfs", _needs("endpoints", "path")),
    ("flocker", "flocker", _flocker),
    ("nfs", "nfs", _nfs),
    ("rbd", "rbd", _needs("monitors", "image")),
    ("quobyte", "quobyte", _quobyte),
    ("cephfs", "cephFS", _needs("monitors")),
    ("iscsi", "iscsi", _iscsi),
    ("cinder", "cinder", _cinder),
    ("fc", "fc", _fibre_channel),
    ("flexVolume", "flexVolume", _flex),
    ("azureFile", "azureFile", _azure_file),
    ("vsphereVolume", "vsphereVolume", _needs("volumePath")),
    ("photonPersistentDisk", "photonPersistentDisk", _needs("pdID")),
    ("portworxVolume", "portworxVolume", _needs("volumeID")),
    ("azureDisk", "azureDisk", _azure_disk),
    ("scaleIO", "scaleIO", _needs("gateway", "system", "volumeName")),
    ("local", "local", _local),
    ("storageos", "storageos", _storage_os),
    ("csi", "csi", _csi),
)
