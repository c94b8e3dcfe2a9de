"""Layers: honest ones arrive whole, hostile ones touch nothing outside their directory."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kubelite.node.image.errors import BadArchive, ImageError, UnpackRefused
from kubelite.node.image.streams import LayerStream
from kubelite.node.image.unpack import Unpacked, unpack_tar
from kubelite.node.image.unpack_limits import Limits
from tests.node.image.conftest import sha256

CAPABILITY = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
ROOM = 1 << 20


def unpack(data: bytes, target: Path, **limits: Any) -> Unpacked:
    return unpack_tar(io.BytesIO(data), target, Limits(**limits), size_limit=ROOM)


def xattr_header(name: str, value: bytes) -> dict[str, str]:
    return {"SCHILY.xattr." + name: value.decode("utf-8", "surrogateescape")}


def is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def test_an_honest_layer_arrives_whole(build: Any, tmp_path: Path) -> None:
    caps = {"pax_headers": xattr_header("security.capability", CAPABILITY)}
    data = build.tar(
        build.entry("dir", "./", mode=0o751, mtime=1_000),
        build.entry("dir", "bin", mode=0o1777, uid=5, gid=6, mtime=2_000),
        build.entry("file", "bin/tool", b"x" * 70_000, mode=0o6755, uid=1, gid=2, mtime=3_000.5),
        build.entry("file", "bin/ping", b"ping", uid=7, **caps),
        build.entry("link", "sh", linkname="bin/tool", uid=3, gid=4, mtime=4_000),
        build.entry("hard", "again", linkname="./bin/tool"),
        build.entry("fifo", "pipe", mode=0o620),
        build.entry("char", "null", mode=0o666, devmajor=1, devminor=3),
        build.entry("file", "nämé", b"utf-8"),
    )
    done = unpack(data, tmp_path)
    tool = (tmp_path / "bin/tool").stat()
    assert (tmp_path / "bin/tool").read_bytes() == b"x" * 70_000
    assert (stat.S_IMODE(tool.st_mode), tool.st_uid, tool.st_gid) == (0o6755, 1, 2)
    assert tool.st_mtime_ns == 3_000_500_000_000
    assert (tmp_path / "again").stat().st_ino == tool.st_ino
    assert os.getxattr(tmp_path / "bin/ping", "security.capability") == CAPABILITY
    link = (tmp_path / "sh").lstat()
    assert (os.readlink(tmp_path / "sh"), link.st_uid, link.st_mtime) == ("bin/tool", 3, 4_000)
    folder = (tmp_path / "bin").stat()
    assert (stat.S_IMODE(folder.st_mode), folder.st_uid, folder.st_mtime) == (0o1777, 5, 2_000)
    assert (stat.S_IMODE(tmp_path.stat().st_mode), tmp_path.stat().st_mtime) == (0o751, 1_000)
    pipe, null = (tmp_path / "pipe").stat(), (tmp_path / "null").stat()
    assert stat.S_ISFIFO(pipe.st_mode) and stat.S_IMODE(pipe.st_mode) == 0o620
    assert stat.S_IMODE(null.st_mode) == 0o666 and null.st_rdev == os.makedev(1, 3)
    assert (tmp_path / "nämé").read_bytes() == b"utf-8"
    assert done == Unpacked(70_000 + 4 + 5, 9, frozenset(), False)


def test_whiteouts_become_those_of_overlayfs(build: Any, tmp_path: Path) -> None:
    data = build.tar(
        build.entry("file", "a/.wh.gone"),
        build.entry("dir", "b"),
        build.entry("file", "b/.wh..wh..opq"),
        build.entry("dir", "own"),
        build.entry("file", "own/kept", b"kept"),
        build.entry("file", ".wh.own"),
        build.entry("file", ".wh.later"),
        build.entry("dir", "later"),
        build.entry("file", ".wh.file"),
        build.entry("file", "file", b"new"),
        build.entry("file", ".wh..wh.plnk"),
    )
    unpack(data, tmp_path)
    assert is_whiteout(tmp_path / "a/gone")
    for name in ("b", "own", "later"):
        assert os.getxattr(tmp_path / name, "trusted.overlay.opaque") == b"y"
    assert (tmp_path / "own/kept").read_bytes() == b"kept"
    assert (tmp_path / "file").read_bytes() == b"new"
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".wh.")]


def test_whiteout_names_are_plain_names_in_a_root_file_system(build: Any, tmp_path: Path) -> None:
    data = build.tar(build.entry("file", "a/.wh.x", b"plain"))
    unpack_tar(io.BytesIO(data), tmp_path, Limits(), size_limit=ROOM, whiteouts=False)
    assert (tmp_path / "a/.wh.x").read_bytes() == b"plain"


def test_attributes_that_steer_overlayfs_are_dropped(build: Any, tmp_path: Path) -> None:
    headers = {
        **xattr_header("trusted.overlay.opaque", b"y"),
        **xattr_header("trusted.overlay.redirect", b"/etc"),
        **xattr_header("user.overlay.opaque", b"y"),
        **xattr_header("trusted.other", b"y"),
        **xattr_header("user.kept", b"\xff\x00raw"),
    }
    unpack(build.tar(build.entry("dir", "d", pax_headers=headers)), tmp_path)
    assert os.listxattr(tmp_path / "d") == ["user.kept"]
    assert os.getxattr(tmp_path / "d", "user.kept") == b"\xff\x00raw"


def test_later_entries_replace_earlier_ones(build: Any, tmp_path: Path) -> None:
    data = build.tar(
        build.entry("dir", "a"),
        build.entry("file", "a/old", b"old"),
        build.entry("file", "a", b"now a file"),
        build.entry("file", "b", b"1"),
        build.entry("dir", "b"),
        build.entry("file", "b/new", b"2"),
        build.entry("link", "c", linkname="b"),
        build.entry("file", "c", b"3"),
        build.entry("hard", "d", linkname="c"),
        build.entry("hard", "d", linkname="c"),
    )
    unpack(data, tmp_path)
    assert (tmp_path / "a").read_bytes() == b"now a file"
    assert (tmp_path / "b/new").read_bytes() == b"2"
    assert (tmp_path / "c").read_bytes() == b"3" and not (tmp_path / "c").is_symlink()
    assert (tmp_path / "d").stat().st_nlink == 2


def test_links_inside_are_walked_inside(build: Any, outside: Any) -> None:
    target = outside.path.parent / "target"
    data = build.tar(
        build.entry("dir", "usr/lib"),
        build.entry("link", "lib", linkname="usr/lib"),
        build.entry("link", "abs", linkname="/usr/./lib"),
        build.entry("link", "usr/up", linkname="../../../usr"),
        build.entry("file", "lib/one", b"1"),
        build.entry("file", "abs/two", b"2"),
        build.entry("file", "usr/up/three", b"3"),
        build.entry("hard", "four", linkname="abs/one"),
    )
    done = unpack(data, target)
    assert sorted(os.listdir(target / "usr/lib")) == ["one", "two"]
    assert (target / "usr/three").read_bytes() == b"3"
    assert (target / "four").stat().st_ino == (target / "usr/lib/one").stat().st_ino
    assert done.implicit == {("usr",)}
    outside.check()


# Each hostile archive is made for the path of a directory that must not change.
REFUSED = {
    "parent of the root": lambda b, o: [b.entry("file", "../outside/evil", b"x")],
    "parent after a directory": lambda b, o: [b.entry("file", "a/../../outside/evil", b"x")],
    "parent as the whole name": lambda b, o: [b.entry("dir", "..", mode=0o777)],
    "hard link above": lambda b, o: [b.entry("hard", "x", linkname="../outside/secret")],
    "hard link to an absolute path": lambda b, o: [b.entry("hard", "x", linkname=f"{o}/secret")],
    "hard link through a link": lambda b, o: [
        b.entry("link", "l", linkname=str(o)),
        b.entry("hard", "x", linkname="l/secret"),
    ],
    "hard link to a directory": lambda b, o: [
        b.entry("dir", "d"),
        b.entry("hard", "x", linkname="d"),
    ],
    "hard link to itself": lambda b, o: [b.entry("hard", "x", linkname="x")],
    "hard link to a whiteout": lambda b, o: [
        b.entry("file", ".wh.x"),
        b.entry("hard", "y", linkname="x"),
    ],
    "whiteout of the parent": lambda b, o: [b.entry("file", "a/.wh...")],
    "whiteout of the directory": lambda b, o: [b.entry("file", "a/.wh..")],
    "whiteout of nothing": lambda b, o: [b.entry("file", ".wh.")],
    "whiteout device": lambda b, o: [b.entry("char", "x", devmajor=0, devminor=0)],
    "whiteout block device": lambda b, o: [b.entry("block", "x", devmajor=0, devminor=0)],
    "fifo as parent": lambda b, o: [b.entry("fifo", "p"), b.entry("file", "p/x", b"x")],
    "file as parent": lambda b, o: [b.entry("file", "p", b""), b.entry("file", "p/x", b"x")],
    "device as parent": lambda b, o: [
        b.entry("char", "p", devmajor=1, devminor=3),
        b.entry("dir", "p/x"),
    ],
    "link loop": lambda b, o: [
        b.entry("link", "a", linkname="b"),
        b.entry("link", "b", linkname="a"),
        b.entry("file", "a/x", b"x"),
    ],
    "link that grows": lambda b, o: [
        b.entry("link", "a", linkname="a/a"),
        b.entry("file", "a/x", b"x"),
    ],
    "root as a link": lambda b, o: [b.entry("link", "./", linkname=str(o))],
    "link without a target": lambda b, o: [b.entry("link", "l", linkname="")],
    "name too long": lambda b, o: [b.entry("file", "n" * 256)],
    "path too long": lambda b, o: [b.entry("file", "d/" * 2100 + "f")],
    "too deep": lambda b, o: [b.entry("file", "d/" * 300 + "f")],
    "too deep through links": lambda b, o: [
        b.entry("dir", "d/" * 200 + "d"),
        b.entry("link", "l", linkname="d/" * 200),
        b.entry("file", "l/" + "e/" * 200 + "f"),
    ],
    "unknown kind": lambda b, o: [b.entry("file", "x", type=b"V")],
    "owner out of range": lambda b, o: [b.entry("file", "x", uid=0xFFFFFFFF)],
}

TAMED = {
    "absolute name": lambda b, o: [b.entry("file", f"{o}/evil", b"x")],
    "file through an absolute link": lambda b, o: [
        b.entry("link", "l", linkname=str(o)),
        b.entry("file", "l/evil", b"x"),
    ],
    "file through a relative link": lambda b, o: [
        b.entry("link", "l", linkname="../outside"),
        b.entry("file", "l/evil", b"x"),
    ],
    "overwriting a link's target": lambda b, o: [
        b.entry("link", "l", linkname=f"{o}/secret"),
        b.entry("file", "l", b"x", mode=0o777, uid=9),
    ],
    "directory over a link": lambda b, o: [
        b.entry("link", "l", linkname=str(o)),
        b.entry("dir", "l", mode=0o777, uid=9),
    ],
    "link of a link": lambda b, o: [
        b.entry("link", "a", linkname=".."),
        b.entry("link", "b", linkname="a/outside"),
        b.entry("dir", "b/sub", mode=0o777),
        b.entry("file", "b/evil", b"x"),
    ],
    "hard link to a link": lambda b, o: [
        b.entry("link", "l", linkname=f"{o}/secret"),
        b.entry("hard", "h", linkname="l", mode=0o777, uid=9),
        b.entry("file", "h", b"x"),
    ],
    "opaque in a linked directory": lambda b, o: [
        b.entry("link", "l", linkname=str(o)),
        b.entry("file", "l/.wh..wh..opq"),
    ],
    "whiteout in a linked directory": lambda b, o: [
        b.entry("link", "l", linkname=str(o)),
        b.entry("file", "l/.wh.secret"),
    ],
    "device through a link": lambda b, o: [
        b.entry("link", "l", linkname=f"{o}/sub"),
        b.entry("char", "l/null", devmajor=1, devminor=3),
    ],
    "directory swapped for a link": lambda b, o: [
        b.entry("dir", "d"),
        b.entry("file", "d/one", b"1"),
        b.entry("link", "d", linkname=str(o)),
        b.entry("file", "d/evil", b"x"),
    ],
    "swap with times set late": lambda b, o: [
        b.entry("dir", "d/sub", mtime=5),
        b.entry("link", "d", linkname=str(o)),
    ],
}


@pytest.mark.parametrize("case", REFUSED)
def test_hostile_archive_is_refused(case: str, build: Any, outside: Any) -> None:
    data = build.tar(*REFUSED[case](build, outside.path))
    with pytest.raises(UnpackRefused) as caught:
        unpack(data, outside.path.parent / "target")
    assert caught.value.message.startswith('entry "')
    outside.check()


@pytest.mark.parametrize("case", TAMED)
def test_hostile_archive_stays_inside(case: str, build: Any, outside: Any) -> None:
    target = outside.path.parent / "target"
    unpack(build.tar(*TAMED[case](build, outside.path)), target)
    outside.check()
    assert os.listdir(target)


ESCAPING = {
    **{name: REFUSED[name] for name in ("parent of the root", "hard link to an absolute path")},
    **{
        name: TAMED[name]
        for name in (
            "absolute name",
            "file through an absolute link",
            "file through a relative link",
        )
    },
    **{name: TAMED[name] for name in ("overwriting a link's target", "link of a link")},
}


@pytest.mark.parametrize("case", ESCAPING)
def test_the_corpus_would_be_noticed(case: str, build: Any, outside: Any) -> None:
    """The same archives, unpacked by a reader that trusts them, change what must not change."""
    target = outside.path.parent / "target"
    with (
        tarfile.open(
            fileobj=io.BytesIO(build.tar(*ESCAPING[case](build, outside.path)))
        ) as archive,
        suppress(OSError),
    ):
        archive.extractall(target, filter="fully_trusted")
    with pytest.raises(AssertionError):
        outside.check()


def test_entries_are_counted(build: Any, outside: Any) -> None:
    data = build.tar(*(build.entry("file", f"f{n}") for n in range(11)))
    with pytest.raises(UnpackRefused, match=r'"f10".*more than 10 entries'):
        unpack(data, outside.path.parent / "target", entries=10)
    outside.check()


def test_bytes_are_counted(build: Any, outside: Any) -> None:
    target = outside.path.parent / "target"
    data = build.tar(
        build.entry("file", "small", b"x"), build.entry("file", "big", b"x" * (ROOM + 1))
    )
    with pytest.raises(UnpackRefused, match=r'"big".*unpacks to more than'):
        unpack(data, target)
    assert sorted(os.listdir(target)) == ["small"]
    outside.check()


def test_a_sparse_file_counts_with_its_holes(build: Any, tmp_path: Path) -> None:
    headers = {
        "GNU.sparse.map": "0,4",
        "GNU.sparse.size": str(1 << 40),
        "GNU.sparse.numblocks": "1",
    }
    data = build.tar(build.entry("file", "holes", b"data", pax_headers=headers))
    with pytest.raises(UnpackRefused, match="unpacks to more than"):
        unpack(data, tmp_path)


def test_a_sparse_file_is_unpacked(build: Any, tmp_path: Path) -> None:
    headers = {"GNU.sparse.map": "3,4", "GNU.sparse.size": "10", "GNU.sparse.numblocks": "1"}
    entries = [build.entry("file", "holes", b"data", pax_headers=headers)]
    unpack(build.tar(*entries, build.entry("file", "next", b"next")), tmp_path)
    assert (tmp_path / "holes").read_bytes() == b"\0\0\0data\0\0\0"
    assert (tmp_path / "next").read_bytes() == b"next"


def test_a_bomb_stops_at_its_ratio(build: Any, tmp_path: Path) -> None:
    blob = build.layer(build.entry("file", "zeros", bytes(32 << 20)), compress=True).data
    limits = Limits(floor=ROOM)
    bound = limits.unpacked(len(blob))
    assert bound == ROOM
    stream = LayerStream(io.BytesIO(blob), len(blob), bound, "layer x")
    with pytest.raises(UnpackRefused, match="unpacks to more than"):
        unpack_tar(stream, tmp_path, limits, size_limit=limits.ceiling)
    assert sum(p.stat().st_size for p in tmp_path.rglob("*")) <= ROOM


def test_a_header_without_bound_is_refused(build: Any, tmp_path: Path) -> None:
    data = build.tar(build.entry("file", "x", pax_headers={"comment": "c" * (2 << 20)}))
    with pytest.raises(BadArchive, match="header takes more than"):
        unpack(data, tmp_path)


@pytest.mark.parametrize("mtime", ["nan", "inf", "-inf", "1e300", "-1e300"])
def test_impossible_times_become_zero(mtime: str, build: Any, tmp_path: Path) -> None:
    unpack(build.tar(build.entry("file", "x", pax_headers={"mtime": mtime})), tmp_path)
    assert (tmp_path / "x").stat().st_mtime == 0


def test_every_cut_is_noticed_or_complete(build: Any, tmp_path: Path) -> None:
    data = build.tar(build.entry("file", "a", b"a" * 700), build.entry("file", "b", b"b" * 600))
    whole = 0
    for length in range(0, len(data), 100):
        target = tmp_path / str(length)
        target.mkdir()
        try:
            unpack(data[:length], target)
            whole += 1
        except BadArchive:
            continue
        # A tar may end without its end mark, but only between two entries.
        assert (target / "a").read_bytes() == b"a" * 700
    assert whole > 0


def test_a_damaged_header_is_not_the_end(build: Any, tmp_path: Path) -> None:
    data = bytearray(build.tar(build.entry("file", "a", b"a"), build.entry("file", "b", b"b")))
    data[1024] ^= 0xFF
    with pytest.raises(BadArchive, match="damaged"):
        unpack(bytes(data), tmp_path)


@pytest.mark.parametrize("junk", [b"", b"x", b"not a tar" * 200, os.urandom(4096)])
def test_junk_is_no_archive(junk: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadArchive):
        unpack(junk, tmp_path)


def test_mutations_never_escape_or_crash(build: Any, outside: Any, tmp_path: Path) -> None:
    """A fixed set of one-byte changes: each is unpacked or refused, nothing else."""
    data = build.tar(
        build.entry("link", "l", linkname="../outside"),
        build.entry("file", "l/x", b"x", pax_headers=xattr_header("user.a", b"b")),
        build.entry("hard", "h", linkname="l/x"),
    )
    for position in range(0, len(data) - 1024, 7):
        target = tmp_path / "many" / str(position)
        target.mkdir(parents=True)
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        refit(changed)
        with suppress(ImageError):
            unpack(bytes(changed), target)
        outside.check()


def refit(data: bytearray) -> None:
    """Give every header a fitting checksum, so that the change gets past it."""
    for start in range(0, len(data), 512):
        if data[start + 257 : start + 262] == b"ustar":
            data[start + 148 : start + 156] = b" " * 8
            total = sum(data[start : start + 512])
            data[start + 148 : start + 156] = b"%06o\0 " % total


def test_gnu_long_names(build: Any, tmp_path: Path) -> None:
    out = io.BytesIO()
    long = "d" * 150 + "/" + "f" * 150
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        info, data = build.entry("file", long, b"long")
        archive.addfile(info, io.BytesIO(data))
    unpack(out.getvalue(), tmp_path)
    assert (tmp_path / long).read_bytes() == b"long"


@pytest.mark.parametrize("size", [1, 511, 70_000, 3 << 20])
def test_compressed_members_follow_each_other(size: int) -> None:
    """As `cat a.gz b.gz` gives, with zeros behind, read in pieces of any size."""
    halves = os.urandom(300_000), b"x" * 700_001
    packed = b"".join(map(gzip.compress, halves)) + bytes(1000)
    taken = b""
    with LayerStream(io.BytesIO(packed), len(packed), 2 << 20, "it") as stream:
        while len(taken) < 50 * size and (data := stream.read(size)):
            taken += data
        stream.finish()
    assert b"".join(halves).startswith(taken) and taken
    assert stream.diff_id == sha256(b"".join(halves)) and stream.blob_digest == sha256(packed)


@pytest.mark.parametrize("damage", ["cut", "junk behind", "checksum"])
def test_damaged_compression_is_noticed(damage: str) -> None:
    packed = gzip.compress(os.urandom(600_000))
    broken = {
        "cut": packed[:-9],
        "junk behind": packed + b"junk",
        "checksum": packed[:-6] + b"\xff" + packed[-5:],
    }[damage]
    with (
        LayerStream(io.BytesIO(broken), len(broken), 1 << 20, "it") as stream,
        pytest.raises(BadArchive, match="it is damaged"),
    ):
        stream.finish()
