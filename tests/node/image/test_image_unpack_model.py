"""Generated archives: what is unpacked is what the slow model says, and what others unpack."""

from __future__ import annotations

import gzip
import io
import os
import resource
import shutil
import stat
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kubelite.node.image.content.merged import MergedTree
from kubelite.node.image.errors import UnpackRefused
from kubelite.node.image.oci import NAME_OR_TAG
from kubelite.node.image.store import ImageStore
from kubelite.node.image.unpack import OPAQUE_XATTR, is_whiteout, unpack_tar
from kubelite.node.image.unpack_limits import Limits
from tests.node.image.conftest import Blob, Build, sha256
from tests.node.image.unpack_model import Entry, Model, Refused

NAMES = st.sampled_from(["a", "b", "A", "\u00e9", "e\u0301", "c"])
PART = st.one_of(NAMES, NAMES, st.sampled_from(["..", "."]))
PATH = st.builds(
    lambda start, parts: start + "/".join(parts),
    st.sampled_from(["", "", "", "./", "/"]),
    st.lists(PART, min_size=1, max_size=4),
)
MARK = st.builds(
    lambda above, mark: f"{above}/{mark}",
    PATH,
    st.sampled_from([".wh.a", ".wh.b", ".wh..wh..opq", ".wh..wh.plnk", ".wh.", ".wh.."]),
)
PLAIN = st.just(0o644)
ENTRIES = st.lists(
    st.one_of(
        st.builds(Entry, st.just("file"), PATH, st.sampled_from(["x", "yy"]), PLAIN),
        st.builds(Entry, st.just("dir"), PATH, st.just(""), st.sampled_from([0o755, 0o1777])),
        st.builds(Entry, st.just("link"), PATH, PATH, PLAIN),
        st.builds(Entry, st.just("hard"), PATH, PATH, PLAIN),
        st.builds(Entry, st.just("file"), MARK, st.just(""), PLAIN),
    ),
    max_size=12,
)


def tar_of(entries: list[Entry]) -> bytes:
    build = Build()
    return build.tar(
        *(
            build.entry(e.kind, e.name, e.text.encode(), mode=e.mode)
            if e.kind == "file"
            else build.entry(e.kind, e.name, linkname=e.text, mode=e.mode)
            for e in entries
        )
    )


def listing(root: Path) -> dict[str, tuple[Any, ...]]:
    """The tree in the words of the model."""
    found: dict[str, tuple[Any, ...]] = {}
    same: dict[int, str] = {}

    def visit(path: Path, name: str) -> None:
        status = path.lstat()
        first = same.setdefault(status.st_ino, name)
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISDIR(status.st_mode):
            found[name] = ("dir", mode, "", OPAQUE_XATTR in os.listxattr(path), first)
            for inner in sorted(os.listdir(path)):
                visit(path / inner, f"{name}/{inner}")
        elif stat.S_ISLNK(status.st_mode):
            found[name] = ("link", 0, os.readlink(path), False, first)
        elif is_whiteout(status):
            found[name] = ("whiteout", 0, "", False, first)
        else:
            found[name] = ("file", mode, path.read_text(), False, first)

    visit(root, "")
    return found


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ENTRIES)
@example([Entry("link", "a", "/../.."), Entry("file", "a/b", "x")])
@example([Entry("file", ".wh.")])
@example([Entry("file", "/.wh..wh..opq"), Entry("dir", "/", mode=0o700)])
@example([Entry("file", "a"), Entry("hard", "a", "./b/../a")])
@example([Entry("dir", "a"), Entry("file", "a/b"), Entry("hard", "a", "a/b")])
def test_an_archive_is_unpacked_as_the_model_says(entries: list[Entry]) -> None:
    model, is_refused = Model(), False
    try:
        for entry in entries:
            model.apply(entry)
    except Refused:
        is_refused = True
    with tempfile.TemporaryDirectory(prefix="kubelite-") as directory:
        place, beside = Path(directory, "in", "layer"), Path(directory, "outside")
        place.mkdir(parents=True, mode=0o755)
        beside.write_text("untouched")
        try:
            unpack_tar(io.BytesIO(tar_of(entries)), place, Limits(), size_limit=1 << 20)
        except UnpackRefused:
            assert is_refused
        else:
            assert not is_refused
            assert listing(place) == model.listing()
        assert sorted(p.name for p in Path(directory).iterdir()) == ["in", "outside"]
        assert os.listdir(place.parent) == ["layer"] and beside.read_text() == "untouched"


HONEST = [
    Entry("dir", "d", mode=0o1777),
    Entry("file", "d/f", "x"),
    Entry("hard", "d/g", "d/f"),
    Entry("link", "l", "d/f"),
    Entry("file", "A", "upper"),
    Entry("file", "a", "lower"),
    Entry("file", "\u00e9", "composed"),
    Entry("file", "e\u0301", "decomposed"),
    Entry("file", "d/f2", "first"),
    Entry("file", "d/f2", "second"),
    Entry("file", "n" * 200, "long"),
]


def by_umoci(layout: Path, place: Path) -> Path:
    succeed("umoci", "unpack", "--image", f"{layout}:1", place / "bundle")
    return place / "bundle/rootfs"


def by_podman(layout: Path, place: Path) -> Path:
    podman = ("podman", "--root", place / "g", "--runroot", place / "r", "--storage-driver", "vfs")
    image = succeed(*podman, "pull", "--quiet", f"oci:{layout}:1").strip()
    return Path(succeed(*podman, "image", "mount", image).strip())


def succeed(*words: str | Path) -> str:
    run = subprocess.run(words, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize(("engine", "unpacked"), [("umoci", by_umoci), ("podman", by_podman)])
def test_others_unpack_the_same(
    engine: str,
    unpacked: Callable[[Path, Path], Path],
    build: Build,
    images: Path,
    tmp_path: Path,
) -> None:
    """Two layers, the second with whiteouts, beside what a container of ours would see.
    podman refuses a name that comes twice in a layer.
    """
    if shutil.which(engine) is None:
        pytest.skip(f"no {engine} on this machine")
    upper = [Entry("file", "d/.wh.g"), Entry("file", "new", "n"), Entry("file", ".wh.l")]
    lower = HONEST if engine == "umoci" else [*{entry.name: entry for entry in HONEST}.values()]
    blobs = [Blob(data, sha256(data)) for data in map(tar_of, (lower, upper))]
    layout = build.layout(tmp_path / "layout", [({NAME_OR_TAG: "1"}, blobs)])
    ((image, _),) = ImageStore(images).load(layout.path, "app")
    with (
        tempfile.TemporaryDirectory(prefix="kubelite-") as place,  # podman takes no long paths
        MergedTree(image.layers) as tree,
    ):
        theirs = listing(unpacked(layout.path, Path(place)))
        ours = merged(tree)
    if engine == "podman":
        assert (ours.pop("")[1], theirs.pop("")[1]) == (0o755, 0o555)  # which no layer has said
    assert ours == {name: entry[:3] for name, entry in theirs.items()}


def merged(tree: MergedTree) -> dict[str, tuple[Any, ...]]:
    """What a container would see, in the words of the model."""
    found: dict[str, tuple[Any, ...]] = {}

    def visit(parts: tuple[str, ...]) -> None:
        entry = tree.find(parts)
        assert entry is not None
        name = "".join(f"/{part}" for part in parts)
        mode = stat.S_IMODE(entry.status.st_mode)
        if stat.S_ISDIR(entry.status.st_mode):
            found[name] = ("dir", mode, "")
            for inner in tree.names(parts):
                visit((*parts, inner))
        elif stat.S_ISLNK(entry.status.st_mode):
            found[name] = ("link", 0, tree.target(parts))
        else:
            with open(tree.open(parts)) as file:
                found[name] = ("file", mode, file.read())

    visit(())
    return found


def test_a_million_entries_are_refused_in_bounded_memory(build: Build, images: Path) -> None:
    """More names than a layer may have: what was unpacked goes away, and memory does not grow."""
    store = ImageStore(images, Limits(entries=20_000))
    header = build.tar(build.entry("file", "x" * 90))[:512]
    plain = io.BytesIO()
    for number in range(30_000):
        entry = bytearray(header)
        entry[:90] = str(number).encode().rjust(90, b"x")
        entry[148:156] = b" " * 8
        entry[148:156] = b"%06o\0 " % sum(entry)
        plain.write(entry)
    source = images.parent / "many.tar.gz"
    source.write_bytes(gzip.compress(plain.getvalue() + bytes(1024), 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnpackRefused, match="more than 20000 entries"):
        store.import_rootfs("many", source)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000
    assert os.listdir(images / "layers") == []


def test_gigabytes_of_zeros_stop_at_the_bound(build: Build, images: Path) -> None:
    """A file that claims ten gigabytes, compressed a thousandfold."""
    size = 10 << 30
    header = bytearray(build.tar(build.entry("file", "zeros"))[:512])
    header[124:136] = b"\x80" + size.to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
    source = images.parent / "zeros.tar.gz"
    chunk = bytes(64 << 20)
    with source.open("wb") as file:
        file.write(compressor.compress(bytes(header)))
        for _ in range(3):
            file.write(compressor.compress(chunk))
        file.write(compressor.flush())
    limits = Limits(floor=16 << 20)
    with pytest.raises(UnpackRefused, match="more than"):
        ImageStore(images, limits).import_rootfs("zeros", source)
    assert os.listdir(images / "layers") == []
