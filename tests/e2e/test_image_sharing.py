"""What images and containers share: the disk space of a base, and the pages of its files."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.e2e.world import World

CONTAINERS = 20


def disk_bytes(path: Path) -> int:
    said = subprocess.run(["du", "-s", "-B1", path], capture_output=True, text=True, check=True)
    return int(said.stdout.split()[0])


def test_what_an_image_takes_is_told_before_there_is_a_pod(world: World, root: Path) -> None:
    def used() -> dict[str, int]:
        return json.loads(world.kl("system", "df", "-o", "json").stdout)["Images"]

    assert used()["total"] == 0
    world.kl("image", "import", "base", str(root))
    assert used()["total"] == 1 and used()["size"] > 0


def test_ten_images_on_one_base_take_its_space_once(world: World, root: Path) -> None:
    (root / "large").write_bytes(os.urandom(24 << 20))
    world.kl("image", "import", "base", str(root))
    before = disk_bytes(world.root / "images")
    for number in range(10):
        text = f"FROM base\nCOPY <<EOF /number\n{number}\nEOF\n"
        world.kl("image", "build", "-f", "-", "-t", f"app:{number}", str(root), input=text)
    assert len(json.loads(world.kl("image", "ls", "-o", "json").stdout)) == 11
    assert disk_bytes(world.root / "images") - before < 4 << 20


def test_twenty_containers_of_an_image_read_the_same_file(world: World, root: Path) -> None:
    """Each has an overlay of its own; below all of them is one inode, whose pages are kept once."""
    world.kl("image", "import", "small", str(root))
    container = {"image": "small", "imagePullPolicy": "Never", "command": ["/bin/sh", "-c"]}
    waiting = container | {"args": ["while :; do sleep 60; done"]}
    if not (root / "bin").exists():
        waiting["command"] = ["/usr/bin/sh", "-c"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "many"},
        "spec": {"containers": [waiting | {"name": f"c{n}"} for n in range(CONTAINERS)],
                 "terminationGracePeriodSeconds": 0},
    }  # fmt: skip
    world.up(pod)
    layers = world.root / "images/layers"
    shell = waiting["command"][0].removeprefix("/")
    (file,) = layers.glob(f"*/{shell}")
    pids = [found["pid"] for found in world.inspect("many")["containers"].values()]
    files = {os.stat(f"/proc/{pid}/root/{shell}").st_ino for pid in pids}
    assert len(pids) == CONTAINERS and files == {file.stat().st_ino}
