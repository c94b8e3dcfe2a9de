"""``pod debug``: tools beside a container that has none."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.e2e.world import World, pod


@pytest.fixture
def bare(world: World, tmp_path: Path) -> World:
    """A pod whose image holds one static program and nothing else."""
    (tmp_path / "wait.c").write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["gcc", "-static", "-o", root / "wait", tmp_path / "wait.c"], check=True)
    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(root, ".")
    world.kl("image", "import", "bare:1", str(tmp_path / "root.tar"))
    world.up(pod(image="bare:1", command=["/wait"], env=[{"name": "SECRET", "value": "word"}]))
    assert world.kl("pod", "exec", "p", "--", "sh", check=False).returncode == 127
    return world


def test_tools_see_the_processes_the_network_and_the_files(bare: World) -> None:
    def debug(script: str) -> str:
        return bare.kl("pod", "debug", "p", "--", "sh", "-c", script).stdout

    assert debug(
        "tr '\\0' ' ' < /proc/1/cmdline; ls /proc/1/root | tr '\\n' ' '; "
        "tr '\\0' '\\n' < /proc/1/environ | grep SECRET"
    ) == ("/wait dev etc proc sys wait SECRET=word\n")
    address = bare.get("p")["status"]["podIP"]
    assert address in debug("cat /proc/net/fib_trie") and debug("hostname") == "p\n"
    namespaces = "for n in net ipc uts pid mnt cgroup; do readlink /proc/self/ns/$n; done"
    mine = debug(namespaces).split()
    pid = bare.inspect("p")["containers"]["c"]["pid"]
    theirs = [
        Path(f"/proc/{pid}/ns/{kind}").readlink()
        for kind in ("net", "ipc", "uts", "pid", "mnt", "cgroup")
    ]
    assert [one == str(other) for one, other in zip(mine, theirs, strict=True)] == [
        True,
        True,
        True,
        True,
        False,
        True,
    ]


def test_it_leaves_nothing_and_changes_nothing(bare: World, tmp_path: Path) -> None:
    before = bare.files()
    done = bare.kl(
        "pod",
        "debug",
        "-i",
        "p",
        "--",
        "sh",
        input="echo here > /made; cat /made; exit 7\n",
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "here\n")
    assert bare.files() == before and not Path("/made").exists()
    assert bare.get("p")["status"]["containerStatuses"][0]["restartCount"] == 0
    assert bare.kl("pod", "debug", "p", "--", "/not/there", check=False).returncode in (125, 127)
    assert (
        bare.kl("pod", "debug", "p", "--image", "none-such", "--", "sh", check=False).returncode
        == 125
    )
    assert bare.files() == before
