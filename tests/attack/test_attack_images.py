"""Attacks by images: their configuration, their labels, and device nodes and capabilities in their
layers.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from kubelite.lib import known_roots
from kubelite.node.cgroup import limits
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.image import lookup
from kubelite.node.image.store import ImageStore
from kubelite.node.kubelet.decide import security_context
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.identity import User
from tests.attack.arena import Arena, bring_in, image, pod
from tests.node.image.conftest import MANIFEST_TYPE, Blob, Build, Layout

NEVER = {"imagePullPolicy": "Never"}
STATUS = ["cat", "/proc/self/status"]


def busybox(build: Build, *more: Any) -> Blob:
    """A layer with a few tools and users."""
    folders = [build.entry("dir", name) for name in ("bin", "etc", "tmp", "proc", "sys", "dev")]
    links = [
        build.entry("link", f"bin/{name}", linkname="busybox")
        for name in ("sh", "cat", "ls", "id", "echo", "head")
    ]
    program = build.entry("file", "bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755)
    users = build.entry(
        "file", "etc/passwd", b"root:x:0:0::/root:/bin/sh\nweb:x:33:34::/:/bin/sh\n"
    )
    return build.layer(*folders, program, *links, users, *more)


def load(arena: Arena, folder: Path, layer: Blob, name: str = "evil", **config: Any) -> str:
    """An OCI image with this configuration, loaded under a name."""
    build = Build()
    layout = Layout(folder / f"layout-{name}")
    layout.index([layout.image([layer], build.config([layer], **config))])
    ImageStore(Path(arena.home.images)).load(layout.path, name)
    return name


def field(status: str, name: str) -> str:
    return next(
        line.split(":")[1].strip() for line in status.splitlines() if line.startswith(name + ":")
    )


# -- users (CVE-2024-40635, CVE-2019-11245) --------------------------------------------------------


@pytest.mark.parametrize(
    "user",
    ["4294967295", "4294967296", "18446744073709551616", "-1", "+0", "0x0", "0 ", "web:4294967296"],
)
def test_an_image_whose_user_would_overflow_to_root_does_not_start(
    arena: Arena, tmp_path: Path, user: str
) -> None:
    name = load(arena, tmp_path, busybox(Build()), User=user)
    with pytest.raises(RuntimeFailure, match="the image runs as"):
        arena.output(["id"], image=name, **NEVER)


def test_a_number_that_means_leave_it_is_no_user(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """setresuid(-1) changes nothing: the program would be root."""
    monkeypatch.setattr(
        security_context, "resolve_user", lambda *_, **__: User(0xFFFFFFFF, 1, (1,), "/")
    )
    with arena.without(""), pytest.raises(RuntimeFailure, match="identity"):
        arena.output(STATUS)
    with arena.without("ids"):
        assert field(arena.output(STATUS), "Uid").split() == ["0"] * 4


def test_a_container_that_is_started_again_is_the_same_user(arena: Arena, tmp_path: Path) -> None:
    name = load(arena, tmp_path, busybox(Build()), User="web")
    script = "cat /proc/self/status; while :; do /bin/busybox sleep 0.1; done"
    arena.up(pod(script, image=name, **NEVER))
    seen = []
    for _ in range(3):
        said = Path(f"/proc/{arena.pid()}/status").read_text()
        seen.append([field(said, key) for key in ("Uid", "Gid", "Groups", "CapEff")])
        assert field(arena.exec(STATUS), "Uid").split() == ["33"] * 4
        arena.pods.restart("default", "p", grace=0)
    assert seen == [["33\t33\t33\t33", "34\t34\t34\t34", "34", "0" * 16]] * 3


def test_an_images_passwd_that_is_a_link_names_nobody(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2019-14271 and its kin: a file of the host says which group root is in."""
    (tmp_path / "users").write_text("root:x:0:4321::/root:/bin/sh\n")
    root = image(arena, tmp_path)
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to(tmp_path / "users")
    options: dict[str, Any] = {"image": bring_in(arena, root), **NEVER}
    assert field(arena.output(STATUS, **options), "Gid").split() == ["0"] * 4
    monkeypatch.setattr(lookup, "_FILE", 0)
    assert field(arena.output(STATUS, **options), "Gid").split() == ["4321"] * 4


# -- configuration (CVE-2022-23648, CVE-2026-53488, CVE-2022-4318) ---------------------------------


def test_what_an_image_says_of_itself_is_data(arena: Arena, tmp_path: Path) -> None:
    layer = busybox(Build())
    plain = load(arena, tmp_path, layer, "plain")
    labels = {
        "kubelite.io/rlimits": "nofile=7",
        "io.kubernetes.container.logpath": "binary:///bin/touch?" + str(tmp_path / "made"),
        "containerd.io/restart.loguri": "binary:///bin/touch?" + str(tmp_path / "made"),
        "io.containerd.runc.v2.group": "../..",
        "io.kubernetes.cri-o.Privileged": "true",
    }
    volumes = {
        "/../../../../../../.." + str(tmp_path / "made"): {},
        str(tmp_path / "made"): {},
        "/etc": {},
    }
    evil = load(
        arena,
        tmp_path,
        layer,
        "evil",
        Labels=labels,
        Volumes=volumes,
        Env=["HOME=/x\nroot2::0:0::/:/bin/sh"],
    )
    script = (
        "ulimit -n; cat /etc/passwd; cat /proc/self/status | /bin/busybox grep -E "
        "'^(Cap|Seccomp|NoNew)'; /bin/busybox awk '{print $5}' /proc/self/mountinfo"
    )
    assert arena.output(script, image=evil, **NEVER) == arena.output(script, image=plain, **NEVER)
    assert not (tmp_path / "made").exists()
    # An annotation of the manifest with the same words does have an effect.
    metadata = {"annotations": {"kubelite.io/rlimits": "nofile=7"}}
    assert arena.output("ulimit -n", image=evil, metadata=metadata, **NEVER) == "7\n"


# -- what lies in layers ---------------------------------------------------------------------------


def test_a_device_node_in_a_layer_cannot_be_opened(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Build()
    nodes = [
        build.entry("char", "tun", mode=0o666, devmajor=10, devminor=200),
        build.entry("char", "kmsg", mode=0o666, devmajor=1, devminor=11),
        build.entry("block", "disk", mode=0o666, devmajor=8, devminor=0),
        build.entry("char", "zero", mode=0o666, devmajor=1, devminor=5),
    ]
    options: dict[str, Any] = {"image": load(arena, tmp_path, busybox(build, *nodes)), **NEVER}
    script = "for d in tun kmsg disk zero; do (exec 3</$d) 2>/dev/null && echo $d; done; true"
    assert arena.output(script, **options) == "zero\n"
    monkeypatch.setattr(limits, "DEVICE_RULES", ("a",))
    monkeypatch.setattr(CgroupTree, "_attach_program", lambda *_: None)
    assert {"tun", "kmsg"} & set(arena.output(script, **options).split())


@pytest.mark.parametrize(("defence", "gained"), [("", False), ("inheritable", True)])
def test_inheritable_capabilities_of_a_file_give_nothing(
    arena: Arena, tmp_path: Path, defence: str, gained: bool
) -> None:
    """CVE-2022-24769: a program with inheritable file capabilities, run by a user who has none."""
    build = Build()
    kill = 1 << 5
    value = struct.pack("<5I", 0x02000001, 0, kill, 0, 0).decode("utf-8", "surrogateescape")
    caught = build.entry(
        "file",
        "bin/cat2",
        Path("/bin/busybox").read_bytes(),
        mode=0o755,
        pax_headers={"SCHILY.xattr.security.capability": value},
    )
    name = load(arena, tmp_path, busybox(build, caught), User="web")
    with arena.without(defence):
        said = arena.output(
            ["sh", "-c", "exec -a cat /bin/cat2 /proc/self/status"], image=name, **NEVER
        )
    assert int(field(said, "CapInh"), 16) == (0 if not gained else int(field(said, "CapBnd"), 16))
    assert bool(int(field(said, "CapPrm"), 16) & kill) == gained


@pytest.mark.parametrize("path", ["../../evil", "a/../../../evil", "/evil"])
def test_an_archive_is_unpacked_below_its_directory(
    arena: Arena, tmp_path: Path, path: str
) -> None:
    """The corpus of hostile archives is tests/node/image/test_image_unpack.py; here one goes the
    whole way.
    """
    build = Build()
    layer = busybox(
        build,
        build.entry("file", path, b"x"),
        build.entry("link", "out", linkname=str(tmp_path)),
        build.entry("file", "out/evil", b"x"),
    )
    try:
        name = load(arena, tmp_path, layer)
        arena.output(["ls", "/"], image=name, **NEVER)
    except Exception as error:  # noqa: BLE001 - a refusal is as good
        assert "evil" in str(error)
    assert not (tmp_path / "evil").exists()
    assert not (arena.root / "evil").exists()
    assert not Path("/evil").exists()


def test_an_image_is_not_retagged_by_what_an_archive_says(arena: Arena, tmp_path: Path) -> None:
    """CVE-2026-50195."""
    good = load(arena, tmp_path, busybox(Build(), Build().entry("file", "good", b"")), "app:v1")
    build, layer = Build(), busybox(Build(), Build().entry("file", "evil", b""))
    layout = Layout(tmp_path / "layout")
    found = layout.image([layer], build.config([layer]))
    layout.index(
        [
            {
                **found,
                "mediaType": MANIFEST_TYPE,
                "annotations": {"io.containerd.image.name": "app:v1"},
            }
        ]
    )
    with pytest.raises(Exception, match="app:v1"):
        ImageStore(Path(arena.home.images)).load(layout.path)
    said = arena.output(["ls", "/"], image=good, **NEVER).split()
    assert "good" in said
    assert "evil" not in said


def test_a_repository_is_never_cloned(arena: Arena) -> None:
    """CVE-2024-10220, CVE-2025-1767: there are no gitRepo volumes."""
    spec = {"volumes": [{"name": "v", "gitRepo": {"repository": "/tmp"}}]}
    with pytest.raises(Exception, match=r"gitRepo|cannot be served"):
        arena.output("true", spec=spec)


# -- the machine's own files as an image -----------------------------------------------------------


def test_other_roots_and_data_directories_are_covered(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Arena(tmp_path / "other", arena.weak)
    other.home.make()
    data = tmp_path / "data"
    data.mkdir()
    (data / "ca.key").write_text("private")
    known_roots.register(str(data))
    secret = [{"name": "TOKEN", "value": "hidden-token"}]
    other.up(pod(name="q", env=secret))
    try:
        script = (
            f"exec 2>/dev/null; grep -rl hidden-token {other.root}; cat {data}/ca.key; echo end"
        )
        assert arena.output(script).split() == ["end"]
        monkeypatch.setattr(known_roots, "registered", list)
        assert len(arena.output(script).split()) > 2
    finally:
        other.down("q")
    known_roots.forget(str(data))
