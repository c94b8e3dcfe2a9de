"""Writes the files of volumes that are made of API objects, and looks up values of variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubelite.node.kubelet.act.pod_context import PodContext
from kubelite.node.kubelet.decide import container_config
from kubelite.node.volume import atomic, env_files, payload
from kubelite.node.volume.errors import SourceNotReady, VolumeError
from kubelite.node.volume.mounts import Place
from kubelite.node.volume.payload import Objects, Payload
from kubelite.objects.pod import env_file, expand
from kubelite.objects.pod.volumes import DownwardAPIVolumeFile

Contents = Mapping[str, Payload]
"""The files of volumes made of API objects, by the volume's name."""


def gather_contents(context: PodContext) -> Contents:
    """The files of each such volume, by the volume's name. Raises SourceNotReady."""
    pod, values = context.pod, container_config.field_values(context.node)

    def field(item: DownwardAPIVolumeFile) -> str:
        if item.field_ref is not None:
            return expand.volume_field(pod, item.field_ref.field_path, values)
        reference = item.resource_field_ref
        assert reference is not None, "validation asks for one of the two"
        return expand.resource(pod, pod.spec.containers[0], reference, values)

    contents = {}
    for volume in pod.spec.volumes:
        if not payload.is_made_of_objects(volume):
            continue
        try:
            contents[volume.name] = payload.payload(volume, context.objects(), field)
        except SourceNotReady as error:
            message = f'MountVolume.SetUp failed for volume "{volume.name}" : {error}'
            raise SourceNotReady(message) from error
    return contents


def write_contents(context: PodContext, contents: Contents, shim_pid: int) -> bool:
    """Writes them where they lie; returns whether anything changed. Raises VolumeError."""
    changed = False
    user, group = container_config.fs_user(context.pod), container_config.fs_group(context.pod)
    owner = atomic.Owner(
        -1 if user is None else user, -1 if group is None else group, group_reads=group is not None
    )
    for name, files in contents.items():
        place = context.volumes[name]
        # A tmpfs of the pod is mounted in its own mount namespace only, which the shim is in.
        root = f"/proc/{shim_pid}/root" if place.is_in_memory else ""
        changed |= atomic.write(f"{root}{place.path}", files, owner)
    return changed


def lookup(
    objects: Callable[[], Objects], volumes: Mapping[str, Place], pod_root: str = ""
) -> expand.Lookup:
    """Values of ConfigMaps, Secrets and files for environment variables. ``pod_root`` is the root
    of the pod's mount namespace, where volumes in memory are.
    """

    def find(kind: str, name: str) -> Mapping[str, bytes] | None:
        if kind == "file":
            volume, _, path = name.partition("/")
            place = volumes[volume]
            return _file_variables(f"{pod_root if place.is_in_memory else ''}{place.path}", path)
        if kind == "ConfigMap":
            config_map = objects().config_map(name)
            return None if config_map is None else payload.config_map_data(config_map)
        secret = objects().secret(name)
        return None if secret is None else payload.secret_data(secret)

    return find


def _file_variables(volume: str, path: str) -> Mapping[str, bytes] | None:
    data = env_files.read(volume, path)
    if data is None:
        return None
    try:
        variables = env_file.parse(data.decode())
    except ValueError as error:
        raise VolumeError(f'the environment file "{path}" cannot be read: {error}') from error
    return {name: value.encode() for name, value in variables.items()}
