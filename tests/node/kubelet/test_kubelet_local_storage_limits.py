"""Which pods must go for the disk that they occupy, and how that is measured."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubelite.node.kubelet.decide.local_storage_limits import eviction_message
from kubelite.node.runtime.records import Storage
from kubelite.node.runtime.storage import occupied
from kubelite.objects.pod import qos
from kubelite.objects.pod.pod import (
    Container,
    EmptyDirVolumeSource,
    Pod,
    PodSpec,
    ResourceRequirements,
    Volume,
)

MI = 1 << 20


def pod(*limits: str, volumes: dict[str, str] | None = None, medium: str | None = None) -> Pod:
    containers = tuple(
        Container(
            name=f"c{i}",
            resources=ResourceRequirements(limits={"ephemeral-storage": text} if text else {}),
        )
        for i, text in enumerate(limits)
    )
    found = tuple(
        Volume(name=name, empty_dir=EmptyDirVolumeSource(size_limit=text, medium=medium))
        for name, text in (volumes or {}).items()
    )
    return Pod(spec=PodSpec(containers=containers, volumes=found))


@pytest.mark.parametrize(
    ("wanted", "used", "said"),
    [
        (pod("10Mi"), Storage({"c0": 10 * MI}, {}, 0), ""),
        (
            pod("10Mi"),
            Storage({"c0": 10 * MI}, {}, 1),
            "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
        ),
        (
            pod("10Mi", "90Mi"),
            Storage({"c0": 11 * MI}, {}, 0),
            'Container c0 exceeded its local ephemeral storage limit "10Mi". ',
        ),
        (pod("10Mi", ""), Storage({"c0": 1, "c1": 900 * MI}, {}, 0), ""),
        (
            pod("", volumes={"v": "1Mi"}),
            Storage({}, {"v": MI + 1}, 0),
            'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
        ),
        (pod("", volumes={"v": "1Mi"}), Storage({}, {"v": MI}, 0), ""),
        (pod("", volumes={"v": "1Mi"}, medium="Memory"), Storage({}, {"v": MI + 1}, 0), ""),
        (pod("", volumes={"v": "0"}), Storage({}, {"v": MI}, 0), ""),
        (
            pod("5Mi", volumes={"v": "9Mi"}),
            Storage({"c0": MI}, {"v": 8 * MI}, 0),
            "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. ",
        ),
    ],
)
def test_what_exceeds_its_limit(wanted: Pod, used: Storage, said: str) -> None:
    assert eviction_message(wanted, used) == said
    assert qos.has_storage_limit(wanted)


def test_without_limits_nothing_is_measured() -> None:
    assert not qos.has_storage_limit(pod("", ""))


def test_what_a_directory_occupies(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_bytes(b"x" * MI)
    os.link(tmp_path / "d/file", tmp_path / "again")
    (tmp_path / "out").symlink_to("/usr")
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 30)
    assert MI <= occupied(str(tmp_path)) < MI + 64 * 1024
    assert occupied(str(tmp_path / "none")) == 0
