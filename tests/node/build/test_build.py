"""Builds: the cache, stages side by side, here-documents, secrets, and what fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kubelite.lib.files import FileLock
from kubelite.node.image.store import ImageStore
from tests.node.build.conftest import Builders, config_of, files_of
from tests.node.image.test_image_store import check_whole

MEET = """
import socket, sys
mine, other = (b"\\0kubelite-build-" + word.encode() for word in sys.argv[1:])
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(mine)
sock.settimeout(0.05)
for _ in range(600):
    try:
        sock.sendto(b"here", other)
    except OSError:
        pass
    try:
        sock.recv(10)
    except OSError:
        continue
    try:
        sock.sendto(b"here", other)
    except OSError:
        pass  # it has heard, and gone
    break
else:
    sys.exit("nobody came")
"""


def content(builders: Builders, path: str) -> str:
    return (builders.unpacked() / "rootfs" / path).read_text()


def image_id(builders: Builders, name: str = "made") -> str:
    return json.loads(builders.kl("image", "inspect", name).stdout)["id"]


def pods(builders: Builders) -> list[str]:
    return builders.kl("pod", "ls", "-A", "-o", "name").stdout.split()


def test_here_documents(builders: Builders) -> None:
    builders.build(
        "FROM base\nENV N=env\nRUN <<EOF\necho one $N > /one\nid -u >> /one\nEOF\n"
        "RUN sh -s word <<'EOF'\necho $1 > /two\nEOF\n"
        "RUN <<EOF\n#!/bin/cat\nshown\nEOF\n"
        "COPY <<a.txt <<'b.txt' /w/\n$N\na.txt\n$N\nb.txt\n"
    )
    rootfs = builders.unpacked() / "rootfs"
    texts = [(rootfs / name).read_text() for name in ("one", "two", "w/a.txt", "w/b.txt")]
    assert texts == ["one env\n0\n", "word\n", "env\n", "$N\n"]
    assert not (rootfs / "run/kubelite-script").exists()


def test_files_that_are_left_out_and_directories_that_are_kept(builders: Builders) -> None:
    """buildah 1.28 knows neither flag."""
    builders.build(
        "FROM scratch\nARG END=txt\nCOPY --exclude=*/deep --exclude=*.$END . /one\n"
        "COPY --exclude=a* *.txt none* /two/\n"
        "COPY --parents sub/s.txt sub/./deep/* ./b.* /three/\nCOPY --parents **/d.txt /four\n"
    )
    files = files_of(builders.unpacked() / "rootfs")
    below = {top: {name for name in files if name.startswith(f"{top}/")} for top in files}
    assert {"one/run.sh", "one/sub/link"} <= below["one"]
    assert not below["one"] & {"one/a.txt", "one/sub/deep", "one/sub/deep/d.txt"}
    assert below["two"] == {"two/b.txt", "two/with space.txt"}
    assert below["three"] == {
        "three/sub", "three/sub/s.txt", "three/deep", "three/deep/d.txt", "three/b.txt",
    }  # fmt: skip
    assert below["four"] == {"four/sub", "four/sub/deep", "four/sub/deep/d.txt"}
    assert files["four/sub/deep"][0] == files["three/deep"][0] == "0o40700"


def test_modes_variables_and_what_does_not_exist(builders: Builders) -> None:
    builders.build(
        "FROM --platform=$BUILDPLATFORM base\nARG MODE=u+x D=/in\n"
        "COPY --chmod=$MODE,go= a.txt sub /w/\n"
        "RUN --mount=type=bind,source=sub,target=$D ls $D > /o\n"
        "COPY none* /gone/\n"
    )
    files = files_of(builders.unpacked() / "rootfs")
    assert [files[name][0] for name in ("w/a.txt", "w/deep")] == ["0o100700", "0o40700"]
    assert files["o"][3][0].split() == [b"deep", b"link", b"s.txt"] and "gone" not in files
    for text, message in (
        ("FROM --platform=linux/s390x base\n", "line 1: --platform=linux/s390x cannot be built"),
        ("FROM base\nCOPY --chmod=x a.txt /\n", "line 2: COPY: --chmod=x is not a mode"),
        ("FROM base\nCOPY none /\n", "line 2: COPY: there is no none to copy"),
        ("FROM base\nUSER nobody\nWORKDIR /new\n", "line 3: WORKDIR: the user nobody"),
    ):
        done = builders.build(text, check=False)
        assert done.returncode == 1 and message in done.stderr


def test_triggers_with_here_documents(builders: Builders) -> None:
    builders.build("FROM base\nONBUILD RUN <<EOF\necho $A > /told\nEOF\n")
    builders.kl("image", "tag", "made", "with-trigger")
    builders.build("FROM with-trigger\n", "--no-cache")
    assert content(builders, "told") == "\n"


def test_a_containerfile_has_its_own_list_of_ignored_files(builders: Builders) -> None:
    ignored = builders.place / "Containerfile.dockerignore"
    ignored.write_text("\ufeff*\n!skip/x.txt\n")
    try:
        builders.build("FROM scratch\nCOPY . /\n")
    finally:
        ignored.unlink()
    assert set(files_of(builders.unpacked() / "rootfs")) == {".", "skip", "skip/x.txt"}


def test_the_shell_instruction_is_for_all_commands(builders: Builders) -> None:
    builders.build('FROM base\nSHELL ["/bin/sh", "-e", "-c"]\nRUN echo $- > /flags\nCMD echo x\n')
    assert "e" in content(builders, "flags")
    assert config_of(builders.place / "made.oci")["config"]["Cmd"] == [
        "/bin/sh",
        "-e",
        "-c",
        "echo x",
    ]


def test_a_second_build_carries_out_nothing_and_gives_the_same_image(builders: Builders) -> None:
    text = "FROM base\nCOPY a.txt /w/\nRUN cat /proc/sys/kernel/random/uuid > /random\nLABEL l=1\n"
    builders.build(text)
    first, random = image_id(builders), content(builders, "random")
    builders.build(text)
    assert image_id(builders) == first
    builders.build(text.replace("l=1", "l=2"))
    assert image_id(builders) != first and content(builders, "random") == random
    builders.build(text, "--no-cache")
    assert content(builders, "random") != random


def test_what_a_step_depends_on_is_looked_at(builders: Builders) -> None:
    text = "FROM base\nARG V\nCOPY sub /w\nRUN cat /proc/sys/kernel/random/uuid > /random\n"
    builders.build(text, "--build-arg", "V=1")
    random = content(builders, "random")
    builders.build(text, "--build-arg", "V=2")
    assert content(builders, "random") != (random := random)
    changed = builders.context / "sub/s.txt"
    before = changed.read_text()
    try:
        os.utime(changed, (9, 9))
        builders.build(text, "--build-arg", "V=1")
        assert content(builders, "random") == random, "times do not count"
        changed.write_text("changed\n")
        builders.build(text, "--build-arg", "V=1")
        assert content(builders, "random") != random and content(builders, "w/s.txt") == "changed\n"
    finally:
        changed.write_text(before)


def test_the_same_inputs_give_the_same_digests_at_any_time(builders: Builders) -> None:
    text = "FROM base\nRUN mkdir /d && echo x > /d/x\nWORKDIR /new\nCOPY a.txt .\n"
    epoch = {"SOURCE_DATE_EPOCH": "1600000000"}
    builders.build(text, "--no-cache", **epoch)
    first = image_id(builders)
    time.sleep(1.1)  # the next second: what has no epoch differs now
    builders.build(text, "--no-cache", **epoch)
    assert image_id(builders) == first
    config = config_of(builders.unpacked().with_suffix(".oci"))
    assert config["created"] == "2020-09-13T12:26:40Z"


def test_stages_that_do_not_need_each_other_run_side_by_side(builders: Builders) -> None:
    """Each step waits for a datagram of the other."""
    text = "".join(
        f"FROM host AS {name}\nRUN --network=host python3 - "
        f"{mine} {other} <<EOF > /{name}{MEET}EOF\n"
        for name, mine, other in (("one", 1, 2), ("two", 2, 1))
    )
    builders.build(
        f"{text}FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /\n", "--no-cache"
    )
    assert set(files_of(builders.unpacked() / "rootfs")) == {".", "one", "two"}


def test_only_the_stages_that_are_needed_are_built(builders: Builders) -> None:
    text = "FROM base AS broken\nRUN exit 3\nFROM base AS good\nRUN echo x > /x\nFROM broken\n"
    builders.build(text, "--target", "good")
    assert content(builders, "x") == "x\n"


def test_a_secret_is_there_for_its_step_only(builders: Builders, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    text = (
        "FROM base\nRUN --mount=type=secret,id=token,uid=1000 stat "
        "-c '%a %u' /run/secrets/token > /was"
        " && cat /run/secrets/token > /dev/null\n"
    )
    builders.build(text, "--secret", f"id=token,src={tmp_path / 'token'}")
    assert content(builders, "was") == "400 1000\n"
    assert not (builders.place / "made.bundle/rootfs/run/secrets").exists()
    assert subprocess.run(["grep", "-rq", "s3cret", builders.root]).returncode == 1
    needed = text.replace("uid=1000", "required")
    done = builders.kl(
        "image", "build", "-f", write(builders, needed), str(builders.context), check=False
    )
    assert done.returncode == 1 and "secret token is not given" in done.stderr


def write(builders: Builders, text: str) -> str:
    file = builders.place / "Containerfile"
    file.write_text(text)
    return str(file)


def test_a_cache_stays_from_build_to_build(builders: Builders) -> None:
    mount = "RUN --mount=type=cache,target=/cache,id=numbers"
    builders.build(f"FROM base\n{mount} echo 1 > /cache/n\n")
    builders.build(f"FROM base\n{mount} cat /cache/n > /n\n")
    assert content(builders, "n") == "1\n"
    assert not (builders.place / "made.bundle/rootfs/cache").exists()


def test_memory_and_files_that_are_mounted_leave_no_trace(builders: Builders) -> None:
    """buildah 1.28 removes the directories that it mounts on, so that it is no judge here."""
    builders.build(
        "FROM base AS one\nRUN echo 1 > /one\nFROM base\n"
        "RUN --mount=type=tmpfs,target=/tmp --mount=type=tmpfs,target=/new/t echo x > /tmp/x\n"
        "RUN --mount=type=bind,source=sub,target=/opt/app,rw echo >> /opt/app/s.txt"
        " && cat /opt/app/s.txt > /out\n"
        "RUN --mount=type=bind,from=one,source=/one,target=/mnt/one cat /mnt/one >> /out\n"
    )
    files = files_of(builders.unpacked() / "rootfs")
    assert files["out"][3][0] == b"sub/s.txt\n\n1\n"
    assert {"tmp", "opt/app/old"} <= set(files) and not {"tmp/x", "new", "mnt"} & set(files)
    assert (builders.context / "sub/s.txt").read_text() == "sub/s.txt\n"


def test_prune_all_forgets_steps_and_caches_unless_a_build_is_at_work(builders: Builders) -> None:
    text = "FROM base\nRUN --mount=type=cache,target=/c echo 1 >> /c/n && cat /c/n > /n\n"
    builders.build(text)
    builders.kl("image", "prune", "--all", "--yes")
    assert list((builders.root / "images/steps").iterdir()) == []
    builders.prepare()
    builders.build(text)
    assert content(builders, "n") == "1\n"
    place = ImageStore(builders.root / "images").work_directory() / "other.lock"
    with FileLock(str(place)) as lock:
        done = builders.kl("image", "prune", "--all", "--yes", check=False)
        lock.remove()
    assert done.returncode == 1 and "a build is at work" in done.stderr
    builders.prepare()


def test_a_stage_of_the_machines_own_files(builders: Builders) -> None:
    """Several steps see each other; the image holds what is copied out of them."""
    builders.build(
        "FROM host AS tools\nRUN python3 -c 'print(6 * 7)' > /answer\n"
        "RUN cat /answer /answer > /twice && rm /answer\n"
        "COPY a.txt /answers/\nRUN test ! -e /answer && cat /answers/a.txt >> /twice\n"
        "FROM scratch\nCOPY --from=tools /twice /\n"
    )
    assert content(builders, "twice") == "42\n42\na.txt\n"
    assert not Path("/answer").exists()
    file = write(builders, "FROM host\nRUN true > /made\n")
    done = builders.kl("image", "build", "-f", file, str(builders.context), check=False)
    assert done.returncode == 1 and "machine's own files" in done.stderr


FAULTS = [
    ("FROM base\nRUN exit 3\n", "line 2: RUN: the command ended with exit code 3"),
    ("FROM base\nCOPY nowhere /\n", "line 2: COPY: there is no nowhere to copy"),
    ("FROM base\nCOPY x.log /\n", "there is no x.log"),
    ("FROM base\nCOPY ../../etc/passwd /p\n", "there is no ../../etc/passwd"),
    ("FROM base\nCOPY --chown=nobody99 a.txt /\n", "nobody99"),
    ("FROM base\nCOPY --unpack a.txt /\n", "--unpack is not supported"),
    ("FROM base\nRUN --mount=type=ssh true\n", "mounts of type ssh"),
    ("RUN true\n", "before the first FROM"),
    ("FROM base\nEXPOSE http\n", "http is not a port"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_what_fails_names_its_line_and_leaves_nothing(
    builders: Builders, text: str, message: str
) -> None:
    before = builders.kl("image", "ls", "-o", "json").stdout
    file = write(builders, text)
    done = builders.kl("image", "build", "-f", file, str(builders.context), check=False)
    assert done.returncode == 1 and message in done.stderr
    assert builders.kl("image", "ls", "-o", "json").stdout == before
    assert pods(builders) == []
    assert list((builders.root / "images/builds").iterdir()) == []


@pytest.mark.parametrize("moment", ["RUN sleep", "COPY sub", "RUN echo last"])
def test_a_killed_build_leaves_a_whole_store_and_the_next_goes_on(
    builders: Builders, moment: str
) -> None:
    builders.kl("image", "prune", "--all", "--yes")
    builders.prepare()
    text = "FROM base\nRUN echo 1 > /1\nCOPY sub /sub\nRUN sleep 0.3\nRUN echo last > /last\n"
    command = ["image", "build", "-f", write(builders, text), "-t", "made", str(builders.context)]
    building: Any = subprocess.Popen(
        [sys.executable, "-m", "kubelite", *command],
        stderr=subprocess.PIPE,
        text=True,
        env=builders.env,
    )
    for line in building.stderr:
        if moment in line:
            building.send_signal(signal.SIGKILL)
            break
    building.wait()
    building.stderr.close()
    assert building.returncode == -signal.SIGKILL
    builders.build(text)
    assert content(builders, "last") == "last\n"
    for name in pods(builders):
        builders.kl("pod", "down", name.removeprefix("pod/"), "-n", "kubelite-build")
    for image in ImageStore(builders.root / "images").list():
        if not image.names:
            builders.kl("image", "rm", image.id)
    check_whole(builders.root / "images")
