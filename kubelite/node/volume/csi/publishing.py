"""Stages and publishes volumes of drivers for pods, and takes them back.

What is to be published is on record before the first call, so that whoever comes after a kill takes
back whatever may have been done: CSI's calls may all be repeated. A staged volume is shared by the
node's pods; the last whose record names it has it unstaged.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

import msgspec

from kubelite.lib.files import (
    FileLock,
    RecordError,
    names,
    read_record,
    unlink_missing,
    write_record,
)
from kubelite.node.volume.csi import drivers, paths
from kubelite.node.volume.csi.drivers import RegisteredDriver
from kubelite.node.volume.csi.requests import STAGE_UNSTAGE_VOLUME, DriverVolume
from kubelite.node.volume.errors import VolumeError
from kubelite.objects.rules import driver_volumes


class PublishedVolume(msgspec.Struct, frozen=True):
    """A volume that a driver may have published for a pod; ``staged`` is "" where it is not staged
    for the node. An inline one is the pod's alone.
    """

    driver: str
    handle: str
    target: str
    staged: str
    is_inline: bool = False


class Uses(NamedTuple):
    """What the calls say besides the volume: CSI's ``volume_capability``, the contexts, and the
    contents of Secrets.
    """

    capability: dict[str, Any]
    attached: dict[str, str]
    context: dict[str, str]
    stage_secrets: dict[str, str]
    publish_secrets: dict[str, str]


def target(root: str, uid: str, volume: DriverVolume) -> str:
    """Where a pod's volume is published."""
    if volume.is_block:
        return paths.published_device(root, uid, volume.spec_name)
    return paths.published(root, uid, volume.spec_name)


def publish(
    root: str,
    uid: str,
    volume: DriverVolume,
    driver: RegisteredDriver,
    capabilities: frozenset[int],
    uses: Uses,
) -> None:
    """Stages and publishes a volume for the pod ``uid``. Raises VolumeError with the kubelet's
    sentence.
    """
    stages = STAGE_UNSTAGE_VOLUME in capabilities and not volume.is_inline
    record = PublishedVolume(
        driver.name,
        volume.handle,
        target(root, uid, volume),
        _staged(root, volume, stages),
        volume.is_inline,
    )
    try:
        for path in (paths.records(root), paths.locks(root), os.path.dirname(record.target)):
            os.makedirs(path, 0o750, exist_ok=True)
        write_record(paths.record(root, uid, volume.spec_name), record, durable=True)
        with FileLock(paths.lock(root, driver.name, volume.handle)):
            if record.staged:
                os.makedirs(record.staged, 0o750, exist_ok=True)
                _stage(driver, volume, record, uses)
            _publish(driver, volume, record, uses)
    except OSError as error:
        raise VolumeError(
            f'MountVolume.SetUp failed for volume "{volume.spec_name}" : {error}'
        ) from error


def _staged(root: str, volume: DriverVolume, stages: bool) -> str:
    if not stages:
        return ""
    if volume.is_block:
        return paths.staged_device(root, volume.spec_name)
    return paths.staged(root, volume.driver, volume.handle)


def _stage(
    driver: RegisteredDriver, volume: DriverVolume, record: PublishedVolume, uses: Uses
) -> None:
    request = {
        "volume_id": volume.handle,
        "publish_context": uses.attached,
        "staging_target_path": record.staged,
        "volume_capability": uses.capability,
        "secrets": uses.stage_secrets,
        "volume_context": dict(volume.attributes),
    }
    step = "MapVolume.SetUpDevice" if volume.is_block else "MountVolume.MountDevice"
    _call(driver, "NodeStageVolume", request, step, volume)


def _publish(
    driver: RegisteredDriver, volume: DriverVolume, record: PublishedVolume, uses: Uses
) -> None:
    request = {
        "volume_id": volume.handle,
        "publish_context": uses.attached,
        "target_path": record.target,
        "volume_capability": uses.capability,
        "readonly": volume.read_only,
        "secrets": uses.publish_secrets,
        "volume_context": uses.context,
    }
    if record.staged:
        request["staging_target_path"] = record.staged
    step = "MapVolume.MapPodDevice" if volume.is_block else "MountVolume.SetUp"
    _call(driver, "NodePublishVolume", request, step, volume)


def _call(
    driver: RegisteredDriver, name: str, request: dict[str, Any], step: str, volume: DriverVolume
) -> None:
    try:
        drivers.call(driver.socket, f"csi.v1.Node/{name}", request)
    except VolumeError as error:
        raise VolumeError(f'{step} failed for volume "{volume.spec_name}" : {error}') from error


# -- the way back ----------------------------------------------------------------------------------


def published(root: str, uid: str) -> list[str]:
    """The volumes, by their names, that drivers may have published for a pod."""
    prefix = f"{uid}_"
    return [
        name.removeprefix(prefix).removesuffix(paths.RECORD)
        for name in _records(root)
        if name.startswith(prefix)
    ]


def _records(root: str) -> list[str]:
    """The names of all records. What a killed writer has left unfinished says nothing."""
    return [name for name in names(paths.records(root)) if name.endswith(paths.RECORD)]


def in_use(root: str) -> list[str]:
    """The volumes of PersistentVolumes that pods of the node have, by their unique names."""
    used = set()
    for name in _records(root):
        with contextlib.suppress(FileNotFoundError, RecordError):
            record = read_record(f"{paths.records(root)}/{name}", PublishedVolume)
            if not record.is_inline:
                used.add(driver_volumes.unique_name(record.driver, record.handle))
    return sorted(used)


def of_volume(root: str, driver: str, handle: str) -> PublishedVolume | None:
    """How one of the pods that have a volume has it; None where none has."""
    for name in _records(root):
        with contextlib.suppress(FileNotFoundError, RecordError):
            record = read_record(f"{paths.records(root)}/{name}", PublishedVolume)
            if (record.driver, record.handle) == (driver, handle):
                return record
    return None


def unpublish_all(root: str, uid: str) -> None:
    """Takes back all that drivers may have published for a pod. Raises VolumeError; then it can be
    tried again.
    """
    for name in published(root, uid):
        path = paths.record(root, uid, name)
        try:
            record = read_record(path, PublishedVolume)
            with FileLock(paths.lock(root, record.driver, record.handle)):
                _unpublish(root, uid, record)
                unlink_missing(path)
        except (OSError, RecordError, VolumeError) as error:
            raise VolumeError(
                f'UnmountVolume.TearDown failed for volume "{name}" : {error}',
                hint="the driver has to be there: it is asked again",
            ) from error
    for name in names(paths.records(root)):
        if name.startswith(f"{uid}_"):
            unlink_missing(f"{paths.records(root)}/{name}")


def _unpublish(root: str, uid: str, record: PublishedVolume) -> None:
    socket = drivers.registered(root, record.driver).socket
    request = {"volume_id": record.handle, "target_path": record.target}
    drivers.call(socket, "csi.v1.Node/NodeUnpublishVolume", request)
    _remove_target(record.target)
    if record.staged and not _is_used(root, uid, record.staged):
        request = {"volume_id": record.handle, "staging_target_path": record.staged}
        drivers.call(socket, "csi.v1.Node/NodeUnstageVolume", request)
        _remove_target(record.staged)


def _remove_target(path: str) -> None:
    """The place of a mount that the driver has taken away, with the directory that is its own.
    Raises OSError where it is mounted still.
    """
    with contextlib.suppress(FileNotFoundError):
        if os.path.isdir(path):
            os.rmdir(path)
        else:
            os.unlink(path)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(path))


def _is_used(root: str, uid: str, staged: str) -> bool:
    """Whether another pod's record names a staged volume. Raises RecordError, OSError."""
    directory = paths.records(root)
    for name in _records(root):
        if not name.startswith(f"{uid}_"):
            with contextlib.suppress(FileNotFoundError):
                if read_record(f"{directory}/{name}", PublishedVolume).staged == staged:
                    return True
    return False
