"""What each volume of a pod is on this machine, and the ordered mounts of a container. Pure.

A new kind of volume begins here, in ``_place``; :mod:`kubelite.node.volume.sources` makes and
checks what the places name. What has to be looked up first, claims and images, comes in as it is.

Rules are the kubelet's; the order is that of container runtimes: no mount hides an earlier one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from kubelite.node.volume.errors import VolumeError

if TYPE_CHECKING:
    from kubelite.objects.pod.pod import Volume, VolumeMount

Propagation = Literal["", "slave", "shared"]
"""mountPropagation as mount(8) has it: "slave" is HostToContainer, "shared" Bidirectional."""
_PROPAGATIONS: dict[str, Propagation] = {"HostToContainer": "slave", "Bidirectional": "shared"}
ETC = ("hosts", "resolv.conf", "hostname")
"""The files that are mounted into every container's /etc."""


class Place(NamedTuple):
    """A volume and its path in the pod's mount namespace. ``type`` is that of a hostPath; for
    ``huge``, an emptyDir on huge pages, it is the size of a page in bytes.

    The files of ``content`` and ``secret`` are made by the node from API objects; those of
    ``secret`` are kept in memory. Containers only read them. ``local`` and ``provisioned`` are
    directories of claims, of which the node makes the latter. An ``image`` has its ``layers``,
    lowest first, below the path; ``block`` is a block device. What a CSI driver publishes is
    ``csi``, or ``block``; its ``type`` is the name of the PersistentVolume, or of an inline volume
    its own.
    """

    name: str
    kind: Literal[
        "disk",
        "memory",
        "huge",
        "host",
        "content",
        "secret",
        "local",
        "provisioned",
        "image",
        "block",
        "csi",
    ]
    path: str
    type: str = ""
    read_only: bool = False
    layers: tuple[str, ...] = ()

    @property
    def is_in_memory(self) -> bool:
        """Whether the volume is a mount that only the pod's mount namespace has."""
        return self.kind in ("memory", "secret", "huge")

    @property
    def is_of_driver(self) -> bool:
        """Whether a CSI driver publishes it."""
        return self.kind == "csi" or (self.kind == "block" and bool(self.type))


class PodMount(NamedTuple):
    """A mount in the pod's mount namespace: a tmpfs with ``options``, a hugetlbfs where
    ``is_huge``, or a directory mounted on itself where ``is_bind``. Mounts below a ``shared`` one
    travel between the pod's containers.
    """

    target: str
    options: str
    name: str
    shared: bool = False
    is_bind: bool = False
    is_huge: bool = False


class ContainerMount(NamedTuple):
    """A bind mount of a container; ``subpath`` is the part of the source to mount, "" all of it.
    With ``layers`` the source is the directory of these layers of an image, lowest first.

    ``read_only`` applies to the mount itself, not to those below it that ``recursive`` includes, as
    in the kubelet, unless ``read_only_below`` (recursiveReadOnly). ``own``: the source belongs to
    this pod alone.
    """

    source: str
    target: str
    read_only: bool = False
    recursive: bool = True
    file: bool = False
    subpath: str = ""
    name: str = ""
    layers: tuple[str, ...] = ()
    read_only_below: bool = False
    propagation: Propagation = ""
    own: bool = False


class Part(NamedTuple):
    """The part of a volume that a container mounts: a subPath."""

    volume: str
    subpath: str


def places(
    volumes: Iterable[Volume], disk: str, memory: str, known: Mapping[str, Place]
) -> list[Place]:
    """The path of each volume; ``disk`` and ``memory`` are the pod's directories for emptyDir,
    ``known`` the volumes of claims, images and huge pages.

    Raises VolumeError for an unsupported kind of volume.
    """
    return [known.get(volume.name) or _place(volume, disk, memory) for volume in volumes]


def _place(volume: Volume, disk: str, memory: str) -> Place:
    if volume.empty_dir is not None:
        if volume.empty_dir.medium == "Memory":
            return Place(volume.name, "memory", f"{memory}/{volume.name}")
        if medium := volume.empty_dir.medium:
            raise VolumeError(f'unknown storage medium "{medium}"')
        return Place(volume.name, "disk", f"{disk}/{volume.name}")
    if volume.host_path is not None:
        return Place(volume.name, "host", volume.host_path.path, volume.host_path.type or "")
    from kubelite.node.volume import payload  # most pods have no volume made of objects

    if payload.is_secret(volume):
        return Place(volume.name, "secret", f"{memory}/{volume.name}")
    if payload.is_made_of_objects(volume):
        return Place(volume.name, "content", f"{disk}/{volume.name}")
    raise VolumeError(f'volume "{volume.name}" is of a kind that is not supported')


def shared_volumes(mounts: Iterable[VolumeMount]) -> frozenset[str]:
    """The volumes in which a container's own mounts are to be seen elsewhere."""
    return frozenset(mount.name for mount in mounts if mount.mount_propagation == "Bidirectional")


def shared_directories(volumes: Iterable[Place], shared: frozenset[str]) -> list[Place]:
    """The emptyDirs on disk among the ``shared`` volumes. Mounts in them stay within the pod and
    end with it: the host never sees them.
    """
    return [place for place in volumes if place.kind == "disk" and place.name in shared]


def pod_mounts(
    volumes: Iterable[Place],
    sizes: Mapping[str, int],
    ceiling: int,
    fs_group: int | None = None,
    shared: frozenset[str] = frozenset(),
) -> list[PodMount]:
    """The tmpfs of each emptyDir in memory, the hugetlbfs of each on huge pages, and a bind of each
    on disk that is ``shared``; ``sizes`` are sizeLimits in bytes, where there are any.

    The size is the least of sizeLimit and ``ceiling``, which is the pod's memory limit or else what
    the node has. The mode is tmpfs' own, 1777, which the kubelet leaves as it is; with an fsGroup
    it belongs to that group and hands it on, which a hugetlbfs is not told at its mount. Huge pages
    are limited by the pod's cgroup.
    """
    owner = ",mode=1777" if fs_group is None else f",mode=3777,gid={fs_group}"
    volumes = list(volumes)
    in_memory = [
        PodMount(
            place.path,
            f"size={min(sizes.get(place.name) or ceiling, ceiling)}{owner}",
            place.name,
            place.name in shared,
        )
        for place in volumes
        if place.is_in_memory and place.kind != "huge"
    ]
    owner = "mode=0755" if fs_group is None else f"mode=0775,gid={fs_group}"
    on_huge_pages = [
        PodMount(
            place.path,
            f"pagesize={place.type},{owner}",
            place.name,
            place.name in shared,
            is_huge=True,
        )
        for place in volumes
        if place.kind == "huge"
    ]
    return [*in_memory, *on_huge_pages] + [
        PodMount(place.path, "", place.name, shared=True, is_bind=True)
        for place in shared_directories(volumes, shared)
    ]


def parts(mounts: Iterable[VolumeMount], expand: Callable[[str], str]) -> list[Part]:
    """The subPaths of a container, each once, that must be there before it starts."""
    used = (Part(mount.name, subpath_of(mount, expand)) for mount in mounts)
    return list(dict.fromkeys(part for part in used if part.subpath))


def subpath_of(mount: VolumeMount, expand: Callable[[str], str]) -> str:
    """A mount's subPath, or its subPathExpr with the container's variables put in by ``expand``.

    "" without either.
    """
    if mount.sub_path_expr:
        return expand(mount.sub_path_expr)
    return mount.sub_path or ""


def container_mounts(
    mounts: Iterable[VolumeMount],
    volumes: Mapping[str, Place],
    files: frozenset[Part],
    expand: Callable[[str], str],
) -> list[ContainerMount]:
    """The volumes of a container, in no particular order yet.

    ``files`` are the volumes (as parts with subpath "") and subPaths that are no directories.
    Raises VolumeError for a mount of a volume that the pod does not have.
    """
    return [_container_mount(mount, volumes, files, subpath_of(mount, expand)) for mount in mounts]


def _container_mount(
    mount: VolumeMount, volumes: Mapping[str, Place], files: frozenset[Part], subpath: str
) -> ContainerMount:
    place = volumes.get(mount.name)
    if place is None:
        raise VolumeError(f'volume "{mount.name}" of {mount.mount_path} is not in the pod')
    is_file = Part(mount.name, subpath) in files
    return ContainerMount(
        source=place.path,
        target=clean(mount.mount_path),
        read_only=(bool(mount.read_only) or place.read_only or place.kind in ("content", "secret")),
        recursive=not is_file,
        file=is_file,
        subpath=subpath,
        name=f'volume "{mount.name}"',
        layers=place.layers,
        read_only_below=mount.recursive_read_only in ("Enabled", "IfPossible"),
        propagation=_PROPAGATIONS.get(mount.mount_propagation or "", ""),
    )


def etc_mounts(etc: str, own: Iterable[ContainerMount], read_only: bool) -> list[ContainerMount]:
    """The pod's /etc/hosts, /etc/resolv.conf and /etc/hostname, from its directory ``etc``.

    A mount of the container at the same path takes precedence. ``read_only`` is that of the root
    file system: as in the kubelet /etc/hosts stays writable.
    """
    taken = {mount.target for mount in own}
    return [
        ContainerMount(
            f"{etc}/{name}", f"/etc/{name}", read_only and name != "hosts", False, True, "", name
        )
        for name in ETC
        if f"/etc/{name}" not in taken
    ]


def in_order(mounts: Sequence[ContainerMount]) -> list[ContainerMount]:
    """Parents before children: by depth, and within one depth in the given order."""
    return sorted(mounts, key=lambda mount: clean(mount.target).rstrip("/").count("/"))


def clean(path: str) -> str:
    """An absolute path without empty, "." and ".." components.

    A relative one is taken from the root.
    """
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return "/" + "/".join(kept)
