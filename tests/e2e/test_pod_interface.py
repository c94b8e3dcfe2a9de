"""The command line as a person and a program use it: listing, inspecting, waiting, images, the
machine.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.e2e.world import SLEEP, World, pod


def test_up_prints_each_step_with_its_milliseconds_and_the_total(world: World) -> None:
    said = world.up(
        pod(SLEEP, spec={"initContainers": [{"name": "i", "image": "host", "command": ["true"]}]})
    )
    steps = [row.split() for row in said.stderr.splitlines() if row.endswith(" ms")]
    assert [step[1] for step in steps] == ["image", "sandbox", "init", "container"]
    assert all(float(step[-2]) >= 0 for step in steps)
    assert said.stdout.startswith("p is up in 0.") or said.stdout.startswith("p is up in ")
    again = world.up(
        pod(SLEEP, spec={"initContainers": [{"name": "i", "image": "host", "command": ["true"]}]})
    )
    assert "already up" in again.stdout


def test_what_shapes_the_pod_itself_needs_replace(world: World, tmp_path: Path) -> None:
    world.up(pod(SLEEP))
    changed = tmp_path / "pod.yaml"
    changed.write_text(
        yaml.safe_dump(pod(SLEEP, env=[{"name": "A", "value": "b"}], spec={"hostNetwork": True}))
    )
    refused = world.kl("pod", "up", str(changed), check=False)
    assert (
        refused.returncode == 1
        and "spec.hostNetwork" in refused.stderr
        and "--replace" in refused.stderr
    )
    world.kl("pod", "up", "--replace", str(changed))
    assert world.exec("p", "echo $A") == "b\n"


def test_every_form_of_output(world: World) -> None:
    world.up(pod(SLEEP))
    rows = world.kl("pod", "ls").stdout.splitlines()
    assert rows[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert rows[1].split()[:4] == ["p", "1/1", "Running", "0"]
    wide = world.kl("pod", "ls", "-o", "wide").stdout.splitlines()[1].split()
    found = world.get("p")
    assert found["status"]["podIP"] in wide
    assert yaml.safe_load(world.kl("pod", "ls", "p", "-o", "yaml").stdout) == found
    assert world.kl("pod", "ls", "-o", "name").stdout == "pod/p\n"
    assert json.loads(world.kl("pod", "ls", "-o", "json").stdout)["items"] == [found]
    assert (found["apiVersion"], found["kind"]) == ("v1", "Pod")
    assert {c["type"]: c["status"] for c in found["status"]["conditions"]} == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }


def test_wait_and_its_exit_codes(world: World) -> None:
    world.up(pod("sleep 4; exit 4"))
    assert world.kl("pod", "wait", "p", "--timeout", "5s").stdout == "pod/p is ready\n"
    assert "code 4" in world.kl("pod", "wait", "p", "--for=exited").stdout
    hopeless = world.kl("pod", "wait", "p", check=False)
    assert hopeless.returncode == 1 and "will not become ready" in hopeless.stderr
    late = world.kl("pod", "wait", "p", "--for=deleted", "--timeout", "0.2s", check=False)
    assert late.returncode == 124
    world.down("p")
    assert world.kl("pod", "wait", "p", "--for=deleted").returncode == 0


def test_namespaces_keep_names_apart(world: World) -> None:
    one, two = pod(SLEEP), pod(SLEEP)
    one["metadata"]["namespace"] = "one"
    two["metadata"]["namespace"] = "two"
    world.up(one)
    world.up(two)
    assert world.kl("pod", "ls").stdout == ""
    assert [
        row.split()[0] for row in world.kl("pod", "ls", "-A", "--no-headers").stdout.splitlines()
    ] == ["one", "two"]
    world.kl("pod", "down", "p", "-n", "one", "--grace-period", "0")
    assert world.kl("pod", "ls", "-n", "two", "-o", "name").stdout == "pod/p\n"


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A root file system of one static program, made from what every machine has: the dynamic
    loader is not needed.
    """
    import shutil
    import subprocess

    root = tmp_path / "rootfs"
    (root / "bin").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc" / "passwd").write_text(
        "root:x:0:0::/root:/bin/say\napp:x:77:78::/home/app:/bin/say\n"
    )
    source = tmp_path / "say.c"
    source.write_text(
        "#include <stdio.h>\n#include <unistd.h>\nint main(int n, "
        'char **a) { printf("%d %d", getuid(), getgid());'
        ' for (int i = 1; i < n; i++) printf(" %s", a[i]); puts(""); return 0; }\n'
    )
    subprocess.run(
        [shutil.which("gcc") or "cc", "-static", "-o", str(root / "bin" / "say"), str(source)],
        check=True,
    )
    return root


def test_an_imported_image_runs(world: World, rootfs: Path, tmp_path: Path) -> None:
    archive = tmp_path / "rootfs.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(rootfs, ".")
    world.kl("image", "import", "say:1", str(archive))
    assert "say:1" in world.kl("image", "ls").stdout
    spec = pod(image="say:1", command=["/bin/say"], args=["hello", "world"])
    assert world.output(spec) == "0 0 hello world\n"
    spec["spec"]["containers"][0]["securityContext"] = {"runAsUser": 77}
    assert world.output(spec) == "77 78 hello world\n"
    world.kl("image", "rm", "say:1")
    assert world.kl("image", "ls", "-o", "name").stdout == ""


def test_an_image_in_use_is_not_removed(world: World, rootfs: Path) -> None:
    world.kl("image", "import", "say:1", str(rootfs))
    world.up(pod(image="say:1", command=["/bin/say"]))
    refused = world.kl("image", "rm", "say:1", check=False)
    assert refused.returncode == 1
    world.down("p")
    world.kl("image", "rm", "say:1")


def test_info_says_what_this_machine_offers(world: World) -> None:
    facts = json.loads(world.kl("system", "info", "-o", "json").stdout)
    assert facts["cgroups"]["kind"] in ("v1", "hybrid", "v2")
    assert facts["root"] == str(world.root)
    assert facts["features"]["overlay"] is True
    assert "root" in world.kl("system", "info").stdout


def test_version_needs_nothing(world: World) -> None:
    assert world.kl("--version").stdout.startswith("kubelite ")
    assert json.loads(world.kl("version", "-o", "json").stdout)["kubelite"]
