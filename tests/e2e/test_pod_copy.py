"""``pod cp`` with a container that has nothing but one static program, and against links that lead
elsewhere.
"""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import SLEEP, World, pod


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A tree of this machine with what trees have."""
    made = tmp_path / "tree"
    (made / "deep" / "er").mkdir(parents=True)
    (made / "deep" / "er" / "file").write_bytes(os.urandom(3 << 20))
    (made / "tool").write_text("#!/bin/sh\n")
    (made / "tool").chmod(0o751)
    (made / "link").symlink_to("deep/er/file")
    (made / "nowhere").symlink_to("/no/such/thing")
    (made / "empty").mkdir(mode=0o700)
    os.mkfifo(made / "pipe")
    os.utime(made / "tool", (1_000_000_000, 1_000_000_000))
    return made


def described(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        status, name = path.lstat(), str(path.relative_to(root))
        if path.is_symlink():
            found[name] = path.readlink()
        elif stat.S_ISREG(status.st_mode):
            found[name] = (stat.S_IMODE(status.st_mode), path.read_bytes(), int(status.st_mtime))
        elif path.is_dir():
            found[name] = stat.S_IMODE(status.st_mode)
    return found


def test_a_tree_goes_in_and_comes_out_as_it_was(world: World, here: Path, tmp_path: Path) -> None:
    world.up(pod(SLEEP))
    said = world.kl("pod", "cp", str(here), "p:/new")
    assert "skipped new/pipe" in said.stderr
    assert world.exec("p",
                      "cat /new/deep/er/file | wc -c; stat -c %a "
                      "/new/tool; readlink /new/nowhere").split() == [
        str(3 << 20), "751", "/no/such/thing",
    ]  # fmt: skip
    world.kl("pod", "cp", "p:/new", str(tmp_path / "back"))
    assert described(tmp_path / "back") == described(here)


def test_where_a_copy_goes(world: World, tmp_path: Path) -> None:
    world.up(pod(SLEEP))
    (tmp_path / "a").write_text("one")
    world.kl("pod", "cp", str(tmp_path / "a"), "p:/tmp/b")
    world.kl("pod", "cp", str(tmp_path / "a"), "p:/tmp")
    world.kl("pod", "cp", str(tmp_path / "a"), "p:tmp/")
    assert world.exec("p", "cat /tmp/a /tmp/b") == "oneone"
    (tmp_path / "a").write_text("two")
    world.kl("pod", "cp", str(tmp_path / "a"), "p:/tmp/b")
    assert world.exec("p", "cat /tmp/b; mkdir /tmp/d; echo in > /tmp/d/in") == "two"
    world.kl("pod", "cp", "p:/tmp/d/.", str(tmp_path))
    assert (tmp_path / "in").read_text() == "in\n"
    world.kl("pod", "cp", "p:/tmp/d", str(tmp_path))
    assert (tmp_path / "d" / "in").read_text() == "in\n"
    for source, target, said in [
        ("p:/none", str(tmp_path), "no such file"),
        (str(tmp_path / "none"), "p:/tmp", "no such file"),
        (str(tmp_path / "d"), "p:/tmp/b", "cannot take the place of a file"),
        (str(tmp_path / "a"), "p:/none/", "no such directory"),
        (str(tmp_path / "a"), "p:/none/x", "No such file"),
        (str(tmp_path), str(tmp_path), "one of source and target"),
    ]:
        refused = world.kl("pod", "cp", source, target, check=False)
        assert refused.returncode != 0 and said in refused.stderr, refused.stderr


def test_an_image_without_any_tool(world: World, tmp_path: Path) -> None:
    source = tmp_path / "wait.c"
    source.write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
    (tmp_path / "root" / "data").mkdir(parents=True)
    subprocess.run(["gcc", "-static", "-o", tmp_path / "root" / "wait", source], check=True)
    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(tmp_path / "root", ".")
    world.kl("image", "import", "bare:1", str(tmp_path / "root.tar"))
    made = pod(
        image="bare:1", command=["/wait"], securityContext={"runAsUser": 1234, "runAsGroup": 77}
    )
    world.up(made)
    (tmp_path / "word").write_text("hello")
    world.kl("pod", "cp", str(tmp_path / "word"), "p:/data/word")
    world.kl("pod", "cp", "p:/data/word", str(tmp_path / "again"))
    assert (tmp_path / "again").read_text() == "hello"
    root = Path(f"/proc/{world.inspect('p')['containers']['c']['pid']}/root")
    status = (root / "data" / "word").stat()
    assert (status.st_uid, status.st_gid) == (1234, 77), "it belongs to the user of the container"
    assert (tmp_path / "again").stat().st_uid == os.getuid()


def test_no_link_of_a_container_leads_out_of_it(world: World, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    world.up(pod(SLEEP))
    world.exec(
        "p",
        f"""
        mkdir -p /tmp/t {tmp_path}; ln -s {secret} /tmp/t/file; ln -s / /tmp/root
        ln -s ../../../../../.. /tmp/up
        ln -s /proc/1/root /tmp/proc; rm -f {secret}; cp /bin/true /tmp/suid; chmod 4755 /tmp/suid
    """,
    )
    refused = world.kl("pod", "cp", "p:/tmp/t/file", str(tmp_path / "stolen"), check=False)
    assert refused.returncode == 1 and not (tmp_path / "stolen").exists(), (
        "inside there is no such file"
    )
    (tmp_path / "new").write_text("new")
    for link in ("root", "up"):
        world.kl("pod", "cp", str(tmp_path / "new"), f"p:/tmp/{link}{secret}")
        assert (
            secret.read_text() == "mine" and world.exec("p", f"cat {secret}; rm {secret}") == "new"
        )
    assert (
        world.kl("pod", "cp", str(tmp_path / "new"), "p:/tmp/proc/x", check=False).returncode == 1
    )
    world.kl("pod", "cp", "p:/tmp/suid", str(tmp_path / "suid"))
    assert stat.S_IMODE((tmp_path / "suid").stat().st_mode) == 0o755, (
        "nobody becomes root here by it"
    )


def test_tar_streams(world: World, tmp_path: Path) -> None:
    world.up(pod(SLEEP))
    world.exec("p", "rm -rf /tmp/x; mkdir -p /tmp/x/y; echo hi > /tmp/x/y/z")
    command = [sys.executable, "-m", "kubelite", "pod", "cp"]
    out = subprocess.run(
        [*command, "p:/tmp/x", "-"], env=world.env, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(out)) as archive:
        assert archive.getnames() == ["x", "x/y", "x/y/z"]
    subprocess.run([*command, "-", "p:/var/tmp"], env=world.env, input=out, check=True)
    assert world.exec("p", "cat /var/tmp/x/y/z") == "hi\n"
    evil = io.BytesIO()
    with tarfile.open(fileobj=evil, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../escaped"))
    refused = subprocess.run(
        [*command, "-", "p:/var/tmp"], env=world.env, input=evil.getvalue(), capture_output=True
    )
    assert refused.returncode == 1 and b"leads out" in refused.stderr
