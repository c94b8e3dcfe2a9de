"""A pod of an image that was imported: its root, and where the pod's own files lie in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e.world import World, eventually, pod


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
