"""A pod of an image that was imported: its root, and where the pod's own files lie in it."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from tests.e2e.world import World, eventually, pod
from tests.node.image.registry import Registry


def said(world: World, root: Path, script: str) -> list[str]:
    world.kl("image", "import", "small", str(root))
    command = [shutil.which("sh"), "-c", script]
    return world.output(pod(image="small", imagePullPolicy="Never", command=command)).splitlines()


def test_an_image_without_them_gets_the_pods_files_and_keeps_its_etc(
    world: World, root: Path
) -> None:
    rows = said(world, root, "stat -c %a /etc; ls /etc; cat /etc/hostname; cat /etc/hosts")
    assert rows[:5] == ["711", "hostname", "hosts", "resolv.conf", "p"]
    assert rows[-1].split()[1:] == ["p"]


def test_an_image_that_has_them_shows_the_pods_instead(world: World, root: Path) -> None:
    (root / "etc" / "hosts").write_text("192.0.2.1 image\n")
    (root / "etc" / "own").write_text("image\n")
    rows = said(world, root, "cat /etc/own /etc/hosts")
    assert rows[0] == "image" and "192.0.2.1 image" not in rows
    assert rows[-1].split()[1:] == ["p"]


def test_the_containers_writable_layer_holds_only_what_it_wrote(world: World, root: Path) -> None:
    world.kl("image", "import", "small", str(root))
    script = "echo x > /written; while :; do :; done"
    container = {
        "image": "small",
        "imagePullPolicy": "Never",
        "resources": {"limits": {"cpu": "50m"}},
    }
    world.up(pod(command=[shutil.which("sh"), "-c", script], **container))
    uid = world.get("p")["metadata"]["uid"]
    upper = world.root / "pods" / uid / "root" / "c" / "0" / "upper"
    eventually((upper / "written").exists, "the container has written")
    assert {path.name for path in upper.iterdir()} == {"written"}


def layer(files: Path) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.add(files, ".")
    return made.getvalue()


def docker_archive(path: Path, layers: Sequence[bytes]) -> None:
    """As `docker save` writes an image ``stacked:1`` of these layers, lowest first."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{sha256(b).hexdigest()}" for b in layers],
        },
    }
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "c.json", "RepoTags": ["stacked:1"], "Layers": names}]
    files = {"c.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(path, "w") as tar:
        for name, data in (files | dict(zip(names, layers, strict=True))).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_an_image_that_has_a_layer_twice(world: World, root: Path, tmp_path: Path) -> None:
    """Builders repeat layers, empty ones above all; what the upper one brings is seen."""
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    for directory, text in ((lower, "first\n"), (upper, "second\n")):
        directory.mkdir()
        (directory / "said").write_text(text)
    nothing, first, second = layer(root), layer(lower), layer(upper)
    docker_archive(tmp_path / "image.tar", [nothing, first, nothing, second, first, nothing])
    world.kl("image", "load", str(tmp_path / "image.tar"))
    command = [shutil.which("sh"), "-c", "cat /said"]
    assert world.output(pod(image="stacked:1", command=command)) == "first\n"


def test_an_image_of_a_registry_is_pulled_at_each_start_and_says_so(
    world: World, root: Path, tmp_path: Path
) -> None:
    """Pulled by `pod up`; with the registry gone, the container that has to start again waits."""
    registry = Registry(tmp_path / "registry")
    name = f"{registry.host}/small:1"
    try:
        world.kl("image", "import", name, str(root))
        world.kl("image", "push", name)
        world.kl("image", "rm", name)
        command = [shutil.which("sh"), "-c", "while [ ! -e /end ]; do :; done"]
        limits = {"limits": {"cpu": "50m"}}
        wanted = pod(image=name, imagePullPolicy="Always", command=command, resources=limits)
        wanted["spec"]["restartPolicy"] = "Always"
        world.up(wanted)
        events = world.kl("pod", "events", "p").stdout
        assert f'Pulling image "{name}"' in events
        assert re.search(rf'Successfully pulled image "{name}" in \S+ \(\S+ including', events)
        assert "already present" not in events
    finally:
        registry.close()
    world.kl("pod", "exec", "p", "--", shutil.which("sh"), "-c", ": > /end")

    def waiting() -> dict[str, str]:
        state = world.get("p")["status"]["containerStatuses"][0]["state"]
        return state.get("waiting", {})

    eventually(lambda: waiting().get("reason") == "ErrImagePull", "it cannot be pulled", 30)
    assert waiting()["message"].startswith(f'failed to pull image "{name}": ')
