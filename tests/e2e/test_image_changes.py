"""Images as changesets: committed, looked at, mounted, and bundled for another machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.world import World, eventually, pod

SHELL = str(shutil.which("sh"))
CHANGES = """
echo new > /data/new; echo more >> /data/old; rm /etc/gone
rm -r /full; mkdir /full; echo other > /full/other; ln /data/new /data/linked
"""


@pytest.fixture
def committed(world: World, root: Path) -> World:
    """A store with the image ``small`` and with ``changed``, made of a pod that ran from it."""
    for name in ("data/old", "etc/gone", "full/inside"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("old\n")
    world.kl("image", "import", "small", str(root))
    container = {"image": "small", "imagePullPolicy": "Never", "command": [SHELL, "-c", CHANGES]}
    world.up(pod(name="web", **container))
    eventually(lambda: world.get("web")["status"]["phase"] == "Succeeded", "the end of the pod")
    world.kl("image", "commit", "web", "changed", "-m", "by hand")
    world.down("web")
    return world


def run(world: World, image: str, script: str) -> list[str]:
    container = {"image": image, "imagePullPolicy": "Never", "command": [SHELL, "-c", script]}
    return world.output(pod(**container)).splitlines()


def test_a_committed_container_is_an_image(committed: World) -> None:
    rows = run(
        committed, "changed", "cat /data/new /data/old; ls /full; ls /etc/gone; ls /data/linked"
    )
    assert rows[:4] == ["new", "old", "more", "other"]
    assert "/data/linked" in rows and "/etc/gone" not in rows
    assert run(committed, "small", "ls /full; cat /etc/gone; ls /data") == ["inside", "old", "old"]


def test_history_and_diff_show_the_changeset(committed: World) -> None:
    history = json.loads(committed.kl("image", "history", "changed", "-o", "json").stdout)
    assert [(row["layer"], row.get("comment")) for row in history] == [(2, "by hand"), (1, None)]
    diff = committed.kl("image", "diff", "changed", check=False)
    assert diff.returncode == 1
    assert diff.stdout.splitlines() == [
        "C /data", "A /data/linked", "A /data/new", "C /data/old", "C /etc", "D /etc/gone",
        "C /full", "D /full/inside", "A /full/other",
    ]  # fmt: skip
    assert committed.kl("image", "diff", "changed", "--layer", "3", check=False).returncode == 2


def test_the_history_as_a_table(committed: World) -> None:
    rows = committed.kl("image", "history", "changed").stdout.splitlines()
    assert rows[0].split()[:3] == ["LAYER", "AGE", "SIZE"]
    assert rows[1].startswith("2 ") and "kubelite image commit web" in rows[1]
    assert rows[2].startswith("1 ") and "kubelite image import" in rows[2]


def test_the_machines_own_files_are_not_committed(world: World) -> None:
    world.up(pod("true", name="web"))
    eventually(lambda: world.get("web")["status"]["phase"] == "Succeeded", "the end of the pod")
    done = world.kl("image", "commit", "web", "mine", check=False)
    assert done.returncode == 1 and "cannot become an image" in done.stderr


@pytest.mark.parametrize("image", ["small", "changed"])
def test_a_mounted_image_shows_its_files_and_stays(
    committed: World, tmp_path: Path, image: str
) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    committed.kl("image", "mount", image, str(place))
    try:
        assert (place / "etc/gone").exists() == (image == "small")
        with pytest.raises(OSError, match="Read-only"):
            (place / "x").write_text("x")
        refused = committed.kl("image", "rm", image, check=False)
        assert refused.returncode == 1 and "in use" in refused.stderr
    finally:
        committed.kl("image", "unmount", str(place))
    assert os.listdir(place) == []
    again = committed.kl("image", "unmount", str(place), check=False)
    assert again.returncode == 1 and "no image" in again.stderr
    assert committed.kl("image", "rm", image).returncode == 0


def test_a_bundle_of_manifests_runs_where_there_is_no_registry(
    committed: World, tmp_path: Path
) -> None:
    web = pod(name="web", image="changed")
    template = {"metadata": {}, "spec": {"initContainers": [{"image": "small"}], "containers": []}}
    deployment = {"kind": "Deployment", "apiVersion": "apps/v1", "spec": {"template": template}}
    for name, document in (("pod.json", web), ("deployment.json", deployment)):
        (tmp_path / name).write_text(json.dumps(document))
    manifests = [
        word for n in ("pod", "deployment") for word in ("-f", str(tmp_path / f"{n}.json"))
    ]
    archive = subprocess.run(
        committed.command("image", "bundle", *manifests), capture_output=True, env=committed.env
    )
    assert archive.returncode == 0, archive.stderr
    before = json.loads(committed.kl("image", "ls", "-o", "json").stdout)
    for name in ("small", "changed"):
        committed.kl("image", "rm", name)
    committed.kl("image", "load", "-", input=archive.stdout)
    after = json.loads(committed.kl("image", "ls", "-o", "json").stdout)
    assert [image["id"] for image in after] == [image["id"] for image in before]
    assert run(committed, "changed", "cat /data/new") == ["new"]


def test_the_files_of_an_image_are_a_volume(committed: World) -> None:
    """Of one layer and of several; read-only, nothing in it is executed (KEP 4639)."""
    volumes = [
        {"name": name, "image": {"reference": name, "pullPolicy": "Never"}}
        for name in ("small", "changed")
    ]
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("small", "changed")]
    script = (
        "cat /small/data/old /changed/data/new; ls /small/full /changed/full; "
        "for v in small changed; do touch /$v/x 2>/dev/null || echo read-only; "
        f"/$v{SHELL} -c true 2>/dev/null || echo not executed; done; sleep 1000"
    )
    manifest = pod(script, spec={"volumes": volumes}, volumeMounts=mounts)
    committed.up(manifest)
    expected = ["old", "new", "/changed/full:", "other", "", "/small/full:", "inside"]
    expected += ["read-only", "not executed"] * 2
    eventually(lambda: committed.logs("p").splitlines() == expected, "the files of both images")
    refused = committed.kl("image", "rm", "changed", check=False)
    assert refused.returncode == 1 and "in use" in refused.stderr
    committed.down("p")


def test_a_directory_of_an_image_is_a_volume(committed: World) -> None:
    """As all its layers together have it: with what is deleted or replaced in a later one."""
    reference = {"reference": "changed", "pullPolicy": "Never"}
    volumes = [{"name": "v", "image": reference}]
    mounts = [{"name": "v", "mountPath": f"/{name}", "subPath": name} for name in ("data", "full")]
    script = (
        "cat /data/new; ls /full /data; touch /data/x 2>/dev/null || echo read-only; sleep 1000"
    )
    committed.up(pod(script, spec={"volumes": volumes}, volumeMounts=mounts))
    whole = [{"name": "v", "mountPath": "/v"}]
    script = "cat /v/data/new; cd /v; ls full data; sleep 1000"
    committed.up(pod(script, name="q", spec={"volumes": volumes}, volumeMounts=whole))
    eventually(lambda: "read-only" in committed.logs("p"), "it has seen them")
    eventually(lambda: "full:" in committed.logs("q"), "it has seen them")
    seen = committed.logs("p").replace("/full", "full").replace("/data:", "data:").splitlines()
    assert [line for line in seen if "read-only" not in line] == committed.logs("q").splitlines()
    for subpath, text in (("nowhere", "no such directory"), ("data/new", "no such directory"),
                          ("data,upperdir=x", "must not contain")):  # fmt: skip
        wrong = pod("true", name="r", spec={"volumes": volumes},
                    volumeMounts=[{**mounts[0], "subPath": subpath}])  # fmt: skip
        failed = committed.up(wrong, check=False)
        assert failed.returncode == 1 and text in failed.stderr, failed.stderr
