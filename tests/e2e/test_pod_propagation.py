"""mountPropagation: which mounts made later are seen where."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import World

MOUNT = "mkdir -p /v/made && mount -t tmpfs made /v/made && touch /v/made/file"


def container(name: str, propagation: str | None) -> dict[str, Any]:
    mount = {"name": "v", "mountPath": "/v"}
    if propagation:
        mount["mountPropagation"] = propagation
    return {
        "name": name,
        "image": "host",
        "command": ["sleep", "infinity"],
        "securityContext": {"privileged": propagation == "Bidirectional"},
        "volumeMounts": [mount],
    }


def pod(volume: dict[str, Any], *containers: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "v", **volume}],
            "containers": list(containers),
        },
    }


def seen(world: World, name: str) -> str:
    return world.exec("p", "ls /v/made 2>/dev/null || true", name).strip()


@pytest.mark.parametrize("medium", ["", "Memory"])
def test_mounts_in_an_empty_dir_travel_within_the_pod_and_end_with_it(
    world: World, medium: str
) -> None:
    world.up(
        pod(
            {"emptyDir": {"medium": medium}},
            container("sender", "Bidirectional"),
            container("receiver", "HostToContainer"),
            container("private", None),
        )
    )
    world.exec("p", MOUNT, "sender")
    assert [seen(world, name) for name in ("sender", "receiver", "private")] == ["file", "file", ""]
    assert "/made " not in Path("/proc/self/mountinfo").read_text()
    world.exec("p", "umount /v/made", "sender")
    assert seen(world, "receiver") == ""
    assert world.kl("pod", "down", "p").stderr.count("cannot be removed") == 0


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A shared mount of the host."""
    directory = tmp_path / "shared"
    (directory / "made").mkdir(parents=True)
    subprocess.run(["mount", "--bind", directory, directory], check=True)
    try:
        subprocess.run(["mount", "--make-private", directory], check=True)
        subprocess.run(["mount", "--make-shared", directory], check=True)
        yield directory
    finally:
        subprocess.run(["umount", "--recursive", directory], check=True)


def test_mounts_below_a_host_path_travel_to_the_host_and_back(world: World, shared: Path) -> None:
    world.up(
        pod(
            {"hostPath": {"path": str(shared)}},
            container("both", "Bidirectional"),
            container("slave", "HostToContainer"),
            container("private", None),
        )
    )
    world.exec("p", MOUNT, "both")
    assert (shared / "made" / "file").exists()
    assert [seen(world, name) for name in ("both", "slave", "private")] == ["file", "file", ""]
    world.exec("p", "umount /v/made", "both")
    assert not (shared / "made" / "file").exists()

    subprocess.run(["mount", "-t", "tmpfs", "from-host", shared / "made"], check=True)
    (shared / "made" / "host").touch()
    assert [seen(world, name) for name in ("both", "slave", "private")] == ["host", "host", ""]

    # What a slave mounts stays with it.
    world.exec("p", "mount -t tmpfs mine /v/made 2>/dev/null || true", "slave")
    assert seen(world, "both") == "host"
    world.down("p")
    assert (shared / "made" / "host").exists()


def test_a_sub_path_is_shared_and_nothing_beside_it(world: World, shared: Path) -> None:
    (shared / "sub").mkdir()
    both = container("both", "Bidirectional")
    both["volumeMounts"][0]["subPath"] = "sub"
    world.up(pod({"hostPath": {"path": str(shared)}}, both))
    world.exec("p", MOUNT, "both")
    assert (shared / "sub" / "made" / "file").exists()
    assert list((shared / "made").iterdir()) == []


def test_a_host_path_that_the_host_does_not_share_is_refused_with_what_to_do(
    world: World, tmp_path: Path
) -> None:
    subprocess.run(["mount", "--bind", tmp_path, tmp_path], check=True)
    try:
        subprocess.run(["mount", "--make-private", tmp_path], check=True)
        volume = {"hostPath": {"path": str(tmp_path)}}
        failed = world.up(pod(volume, container("both", "Bidirectional")), check=False)
        assert failed.returncode == 1
        assert f"{tmp_path} is mounted on {tmp_path}, which is not a shared mount" in failed.stderr
        assert "mount --make-shared" in failed.stderr
    finally:
        subprocess.run(["umount", tmp_path], check=True)
