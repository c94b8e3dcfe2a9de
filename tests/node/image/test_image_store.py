"""The store: imports, names, removal, and what a killed import leaves."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubelite.node.image.content.checking import problems, usage
from kubelite.node.image.errors import (
    BadArchive,
    BadReference,
    ImageError,
    ImageInUse,
    ImageNotFound,
    PullError,
    UnpackRefused,
)
from kubelite.node.image.source import ImageSource
from kubelite.node.image.store import ImageStore
from kubelite.node.image.unpack_limits import Limits

IMPORT = """
import sys
from pathlib import Path
from kubelite.node.image.store import ImageStore
store = ImageStore(Path(sys.argv[1]))
if sys.argv[2] == "load":
    store.load(Path(sys.argv[4]), sys.argv[3])
else:
    store.import_rootfs(sys.argv[3], Path(sys.argv[4]))
"""


def start(*args: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", IMPORT, *map(str, args)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(command, env=environment)


def until(condition: Callable[[], object], child: subprocess.Popen[bytes]) -> None:
    """Wait for a condition or the end of the child, for at most half a minute."""
    deadline = time.monotonic() + 30
    while not condition() and child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def contents(images: Path) -> dict[str, list[str]]:
    return {p.name: sorted(os.listdir(p)) for p in images.iterdir() if p.is_dir()}


def referred(images: Path) -> set[str]:
    """The digits of all blobs that records name."""
    records = [p.read_text().partition("\n")[0] for p in images.glob("[il]*/*.json")]
    fields = [json.loads(record) for record in records]
    named = {f.get(key, "") for f in fields for key in ("id", "manifest", "blob")}
    return {digest.removeprefix("sha256:") for digest in named} - {""}


def check_whole(images: Path) -> None:
    """Every layer is used and recorded, every image has its layers and blobs, nothing else is
    there but what builds keep.
    """
    assert list(problems(images)) == []
    store, found = ImageStore(images), contents(images)
    if found.pop("blobs", None):
        blobs = {path.name: path.read_bytes() for path in (images / "blobs/sha256").iterdir()}
        assert all(hashlib.sha256(data).hexdigest() == name for name, data in blobs.items())
        assert set(blobs) == referred(images)
    steps = [json.loads(p.read_text().partition("\n")[0]) for p in images.glob("steps/*.json")]
    layers = {layer for image in store.list() for layer in image.layer_ids}
    layers |= {step["layer_id"] for step in steps} - {""}
    assert found.pop("layers") == sorted([*layers, *(f"{layer}.json" for layer in layers)])
    assert len(found.pop("images")) == len(store.list())
    for name in ("names", "steps", "points", "caches"):
        found.pop(name, None)
    assert found.pop("builds", []) == []
    assert found == {}


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A directory with one of everything that a root file system holds."""
    root = tmp_path / "rootfs"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "tool").write_bytes(b"#!tool" * 9000)
    os.chown(root / "bin" / "tool", 11, 12)
    (root / "bin" / "tool").chmod(0o4755)
    os.setxattr(root / "bin" / "tool", "user.note", b"\xffnote")
    os.link(root / "bin" / "tool", root / "bin" / "same")
    os.symlink("/bin/tool", root / "link")
    os.lchown(root / "link", 13, 14)
    os.mkfifo(root / "pipe", 0o622)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (root / ".wh.name").write_text("a plain name")
    (root / "empty").mkdir(0o1777)
    (root / "empty").chmod(0o1777)
    os.utime(root / "bin", (1000, 1000))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
    return root


def listing(root: Path) -> dict[str, tuple[Any, ...]]:
    found = {}
    for path in [root, *root.rglob("*")]:
        s = path.lstat()
        more: Any = os.readlink(path) if path.is_symlink() else None
        if path.is_file() and not path.is_symlink():
            more = (path.read_bytes(), {n: os.getxattr(path, n) for n in os.listxattr(path)})
        name = path.relative_to(root).as_posix()
        found[name] = (s.st_mode, s.st_uid, s.st_gid, s.st_rdev, int(s.st_mtime), more)
    return found


def test_a_directory_is_copied_whole(rootfs: Path, images: Path) -> None:
    loaded = ImageStore(images).import_rootfs("debian", rootfs)
    expected = listing(rootfs)
    del expected["socket"]
    (layer,) = loaded.image.layers
    assert listing(layer) == expected
    assert (layer / "bin/same").stat().st_ino == (layer / "bin/tool").stat().st_ino
    assert loaded.image.size == 6 * 9000 + len("a plain name")
    assert loaded.image.config.env[0].startswith("PATH=/")
    check_whole(images)


@pytest.mark.parametrize("compress", [False, True])
def test_a_tar_is_unpacked(compress: bool, build: Any, images: Path, tmp_path: Path) -> None:
    data = build.tar(build.entry("file", "bin/sh", b"sh"), build.entry("file", ".wh.x", b"plain"))
    source = tmp_path / "rootfs.tar"
    source.write_bytes(gzip.compress(data) if compress else data)
    image = ImageStore(images).import_rootfs("shell:v1", source).image
    assert (image.layers[0] / "bin/sh").read_bytes() == b"sh"
    assert (image.layers[0] / ".wh.x").read_bytes() == b"plain"
    assert ImageStore(images).get("docker.io/library/shell:v1") == image


def test_the_same_files_are_the_same_image(rootfs: Path, images: Path) -> None:
    store = ImageStore(images)
    one, two = store.import_rootfs("one", rootfs), store.import_rootfs("two", rootfs)
    assert one.image.id == two.image.id and two.replaced == {}
    assert [image.names for image in store.list()] == [
        ("docker.io/library/one:latest", "docker.io/library/two:latest")
    ]
    (rootfs / "more").write_text("more")
    three = store.import_rootfs("two", rootfs)
    assert three.replaced == {"docker.io/library/two:latest": one.image.id}
    check_whole(images)


def test_refused_root_file_systems(build: Any, images: Path, tmp_path: Path) -> None:
    store = ImageStore(images)
    store.import_rootfs("keep", tmp_path_with(tmp_path / "keep"))
    before = contents(images)
    evil = tmp_path / "evil.tar"
    evil.write_bytes(build.tar(build.entry("file", "../x")))
    whiteout = tmp_path_with(tmp_path / "whiteout")
    os.mknod(whiteout / "w", stat.S_IFCHR, 0)
    xz = tmp_path / "rootfs.tar.xz"
    xz.write_bytes(b"\xfd7zXZ\x00" + bytes(100))
    for source, error in (
        (evil, UnpackRefused),
        (whiteout, UnpackRefused),
        (xz, BadArchive),
        (tmp_path / "missing", BadArchive),
        (Path("/dev/null"), BadArchive),
        (tmp_path, BadArchive),
    ):
        with pytest.raises(error):
            store.import_rootfs("new", source)
    assert contents(images) == before
    for name in ("host", "Bad", "a@sha256:" + "0" * 64):
        with pytest.raises(BadReference):
            store.import_rootfs(name, evil)


def tmp_path_with(path: Path) -> Path:
    path.mkdir()
    (path / "file").write_text(path.name)
    return path


def test_limits_hold_for_a_load(build: Any, images: Path, tmp_path: Path) -> None:
    zeros = build.layer(build.entry("file", "zeros", bytes(8 << 20)), compress=True)
    layout = build.layout(tmp_path / "l", [])
    layout.index([layout.image([zeros], build.config([zeros]))])
    with pytest.raises(UnpackRefused, match="unpacks to more than"):
        ImageStore(images, Limits(floor=1 << 20)).load(layout.path, "bomb")
    check_whole(images)
    ImageStore(images, Limits(floor=16 << 20)).load(layout.path, "fits")
    with pytest.raises(UnpackRefused, match="entries"):
        ImageStore(tmp_path / "other", Limits(entries=0)).load(layout.path, "many")


def test_names_ids_and_hints(images: Path, tmp_path: Path) -> None:
    store = ImageStore(images)
    with pytest.raises(ImageNotFound, match='no image "nginx"'):
        store.get("nginx")
    image = store.import_rootfs("nginx:1.29", tmp_path_with(tmp_path / "r")).image
    assert store.get("docker.io/library/nginx:1.29") == image
    for ident in (image.id, image.id[7:], image.id[7:19]):
        assert store.get(ident).layers == image.layers
    with pytest.raises(ImageNotFound) as caught:
        store.get("ngnix:1.29")
    assert "nginx:1.29" in caught.value.hint and "image load" in caught.value.hint
    for absent in ("nginx", "sha256:" + "0" * 64, "nginx@sha256:" + "0" * 64):
        with pytest.raises(ImageNotFound):
            store.get(absent)
    with pytest.raises(BadReference):
        store.get("No Such")


def test_removal(build: Any, images: Path, tmp_path: Path) -> None:
    store = ImageStore(images)
    base, top = (
        build.layer(build.entry("file", "b", b"1")),
        build.layer(build.entry("file", "t", b"22")),
    )
    one = store.load(build.docker(tmp_path / "1", ["one", "uno"], [base]))[0].image
    two = store.load(build.docker(tmp_path / "2", ["two"], [base, top]))[0].image
    with pytest.raises(ImageInUse):
        store.remove("two", {two.id})
    assert store.remove("one", {one.id}) == (("docker.io/library/one:latest",), "", 0)
    with pytest.raises(ImageInUse):
        store.remove("uno", {one.id})
    documents = (images / "blobs/sha256" / one.id[7:]).stat().st_size
    assert store.remove("uno") == (("docker.io/library/uno:latest",), one.id, documents)
    check_whole(images)
    assert store.get("two") == two and all(layer.is_dir() for layer in two.layers)
    blobs = sum(path.stat().st_size for path in (images / "blobs/sha256").iterdir())
    assert store.remove(two.id[7:23]) == (("docker.io/library/two:latest",), two.id, 3 + blobs)
    with pytest.raises(ImageNotFound):
        store.remove("two")
    assert store.list() == []
    check_whole(images)


def test_an_image_that_lost_its_name_can_be_removed(images: Path, tmp_path: Path) -> None:
    store = ImageStore(images)
    old = store.import_rootfs("app", tmp_path_with(tmp_path / "a")).image
    store.import_rootfs("app", tmp_path_with(tmp_path / "b"))
    assert [image.names for image in store.list()] == [(), ("docker.io/library/app:latest",)]
    assert store.remove(old.id).image_id == old.id
    check_whole(images)


def test_a_damaged_record_costs_nobody_else_anything(images: Path, tmp_path: Path) -> None:
    store = ImageStore(images)
    bad = store.import_rootfs("bad", tmp_path_with(tmp_path / "a")).image
    store.import_rootfs("good", tmp_path_with(tmp_path / "b"))
    record = images / "images" / f"{bad.id[7:]}.json"
    record.write_bytes(record.read_bytes()[:-20])
    assert [image.names for image in store.list()] == [("docker.io/library/good:latest",)]
    store.import_rootfs("new", tmp_path_with(tmp_path / "c"))
    assert bad.layers[0].is_dir()
    assert store.get("good").layers[0].is_dir()
    with pytest.raises(ImageError, match="checksum"):
        store.get("bad")
    digits = bad.id[7:]
    assert (images / "blobs/sha256" / digits).exists()
    assert store.remove("bad").freed > 1
    assert not (images / "blobs/sha256" / digits).exists()
    check_whole(images)


@pytest.mark.parametrize("folder", ["images", "names", "layers"])
def test_importing_again_mends_a_damaged_record(folder: str, images: Path, tmp_path: Path) -> None:
    store, source = ImageStore(images), tmp_path_with(tmp_path / "a")
    image = store.import_rootfs("app", source).image
    (record,) = (images / folder).glob("*.json")
    whole = record.read_bytes()
    record.write_bytes(b"{}\n")
    (images / folder / f"{record.name}.0.tmp").write_bytes(whole)
    assert store.import_rootfs("app", source).image == image
    assert record.read_bytes() == whole
    assert store.get("app") == image
    check_whole(images)


@pytest.mark.parametrize("moment", ["scratch", "layer", "record", "image"])
def test_a_killed_import_leaves_nothing(
    moment: str, build: Any, images: Path, tmp_path: Path
) -> None:
    kept = ImageStore(images).import_rootfs("kept", tmp_path_with(tmp_path / "kept")).image
    layout = build.layout(tmp_path / "l", [])
    noise = [os.urandom(3 << 20) for _ in range(3)]
    layers = [build.layer(build.entry("file", f"f{n}", data)) for n, data in enumerate(noise)]
    layout.index([layout.image(layers, build.config(layers))])
    seen = {
        "scratch": lambda: list(images.glob("tmp-*/layer/f*")),
        "layer": lambda: len(list((images / "layers").iterdir())) > 2,
        "record": lambda: len(list((images / "layers").glob("*.json"))) > 1,
        "image": lambda: len(list((images / "images").glob("*.json"))) > 1,
    }[moment]
    child = start(images, "load", "new", layout.path)
    until(seen, child)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert ImageStore(images).get("kept") == kept
    ImageStore(images).import_rootfs("next", tmp_path_with(tmp_path / "next"))
    check_whole(images)
    ImageStore(images).load(layout.path, "new")
    check_whole(images)
    new = ImageStore(images).get("new")
    assert [(d / f"f{n}").read_bytes() for n, d in enumerate(new.layers)] == noise


def test_a_killed_copy_of_a_directory_leaves_nothing(images: Path, tmp_path: Path) -> None:
    huge = tmp_path_with(tmp_path / "huge")
    with open(huge / "endless", "wb") as file:
        file.truncate(Limits().floor)  # takes a second to copy
    child = start(images, "import", "huge", huge)
    until(lambda: list(images.glob("tmp-*/layer/endless")), child)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert list(images.glob("tmp-*"))
    ImageStore(images).import_rootfs("next", tmp_path_with(tmp_path / "next"))
    assert not list(images.glob("tmp-*"))
    check_whole(images)


def test_imports_at_the_same_time(build: Any, images: Path, tmp_path: Path) -> None:
    shared = build.layer(build.entry("file", "shared", os.urandom(1 << 20)))
    children = []
    for number in range(4):
        own = build.layer(build.entry("file", "own", b"%d" % number))
        layout = build.layout(tmp_path / str(number), [])
        layout.index([layout.image([shared, own], build.config([shared, own]))])
        children.append(start(images, "load", f"app:{number}", layout.path))
    assert [child.wait(60) for child in children] == [0, 0, 0, 0]
    store = ImageStore(images)
    loaded = [store.get(f"app:{number}") for number in range(4)]
    assert len({image.layers[0] for image in loaded}) == 1
    assert [(image.layers[1] / "own").read_bytes() for image in loaded] == [b"0", b"1", b"2", b"3"]
    check_whole(images)


def test_the_source_answers_from_the_store(images: Path, tmp_path: Path) -> None:
    source = ImageSource(ImageStore(images))
    image = ImageStore(images).import_rootfs("app", tmp_path_with(tmp_path / "a")).image
    for policy in ("Always", "IfNotPresent", "Never"):
        assert source.resolve("app", policy) == image
        assert source.resolve("host", policy).layers == (Path("/"),)
    reasons = {}
    for policy in ("Always", "IfNotPresent", "Never"):
        with pytest.raises(PullError) as caught:
            source.resolve("absent", policy)
        reasons[policy] = caught.value.reason
        assert "image load" in caught.value.hint
    assert reasons == {
        "Always": "ErrImagePull",
        "IfNotPresent": "ErrImagePull",
        "Never": "ErrImageNeverPull",
    }
    with pytest.raises(PullError) as caught:
        source.resolve("Not A Name", "Always")
    assert caught.value.reason == "InvalidImageName"


def test_an_unpacked_image_works_as_overlay(build: Any, images: Path, tmp_path: Path) -> None:
    base = build.layer(
        build.entry("dir", "d"),
        build.entry("file", "d/hidden", b"1"),
        build.entry("file", "gone", b"1"),
        build.entry("file", "kept", b"base"),
    )
    top = build.layer(
        build.entry("dir", "d"),
        build.entry("file", "d/.wh..wh..opq"),
        build.entry("file", "d/new", b"2"),
        build.entry("file", ".wh.gone"),
    )
    image = ImageStore(images).load(build.docker(tmp_path / "a", ["app"], [base, top]))[0].image
    (tmp_path / "merged").mkdir()
    lower = ":".join(str(layer) for layer in reversed(image.layers))
    script = f"mount -t overlay overlay -o lowerdir={lower} '{tmp_path}/merged' && find . -type f"
    done = subprocess.run(
        [
            "unshare",
            "-m",
            "sh",
            "-c",
            f"{script.replace('find .', f'cd {tmp_path}/merged; find .')}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(done.stdout.split()) == ["./d/new", "./kept"]


def test_holes_of_a_directory_are_not_read(images: Path, tmp_path: Path) -> None:
    source = tmp_path / "sparse"
    source.mkdir()
    (source / "small").write_bytes(b"data")
    with (source / "disk.img").open("wb") as file:
        file.truncate(1 << 42)
    before = time.monotonic()
    with pytest.raises(BadArchive, match=r"disk.img.* is sparse: 4398046511104 bytes, of which 0"):
        ImageStore(images).import_rootfs("sparse", source)
    assert time.monotonic() - before < 20
    assert list((images / "layers").glob("*")) == []
    os.truncate(source / "disk.img", 1 << 20)
    assert ImageStore(images).import_rootfs("sparse", source).image.size > 1 << 20


def test_a_check_names_what_is_damaged_and_what_is_lost(
    build: Any, images: Path, tmp_path: Path
) -> None:
    store = ImageStore(images)
    layer = build.layer(build.entry("file", "f", b"x" * 100))
    ((one, _),) = store.load(build.docker(tmp_path / "1", ["one"], [layer]))
    two = store.import_rootfs("two", tmp_path_with(tmp_path / "b")).image
    assert list(problems(images)) == []
    blob = images / "blobs/sha256" / layer.digest[7:]
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    assert list(problems(images)) == [f"blob {layer.digest} does not match its digest"]
    blob.unlink()
    (images / "layers" / f"{one.layer_ids[0]}.json").unlink()
    (images / "images" / f"{two.id[7:]}.json").unlink()
    assert sorted(problems(images)) == [
        f"docker.io/library/two:latest names image {two.id}, which is not there",
        f"image {one.id} has lost its layer {one.layer_ids[0]}",
    ]
    (names,) = [p for p in (images / "names").iterdir() if "one" in p.read_text()]
    names.write_text("torn")
    assert any("torn or was changed" in problem for problem in problems(images))


def test_what_images_take_and_what_can_be_had_back(
    build: Any, images: Path, tmp_path: Path
) -> None:
    store = ImageStore(images)
    base = build.layer(build.entry("file", "b", b"x" * 1000))
    top = build.layer(build.entry("file", "t", b"y" * 30))
    ((one, _),) = store.load(build.docker(tmp_path / "1", ["one"], [base]))
    store.load(build.docker(tmp_path / "2", ["two"], [base, top]))
    sizes = 1000 + len(base.data), 30 + len(top.data)
    assert usage(images, set()).images == (2, 0, sum(sizes), sum(sizes))
    assert usage(images, {one.id}).images == (2, 1, sum(sizes), sizes[1])
