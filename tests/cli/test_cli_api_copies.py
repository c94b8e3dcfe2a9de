"""What `kubelite cp` takes from an archive that a hostile container has sent."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from kubelite.cli.api.pods import cp

Member = tuple[str, bytes, str]


def archive(*members: Member) -> io.BytesIO:
    """Files with their content, or links of a type to a target."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as writer:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o755
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                writer.addfile(info, io.BytesIO(content.encode()))
            else:
                info.linkname = content
                writer.addfile(info)
    written.seek(0)
    return written


FILE, DIRECTORY, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
HOSTILE: dict[str, tuple[list[Member], list[str]]] = {
    "upwards": ([("logs/../.bashrc", FILE, "evil")], ["logs/../.bashrc"]),
    "through a link": (
        [("logs/l", LINK, "../.ssh"), ("logs/l/keys", FILE, "evil")],
        ["logs/l"],
    ),
    "a hard link that is written over": (
        [("logs/h", HARD, ".bashrc"), ("logs/h", FILE, "evil")],
        ["logs/h"],
    ),
    "a device": ([("logs/d", tarfile.CHRTYPE, "")], ["logs/d"]),
    "another name": ([(".bashrc", FILE, "evil"), ("../logs/x", FILE, "evil")], []),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_is_written_outside_the_target(kind: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".bashrc").write_text("mine")
    members, left_out = HOSTILE[kind]
    everything = [("logs", DIRECTORY, ""), ("logs/a", FILE, "good"), *members]
    assert cp.unpack(archive(*everything), "logs", str(home / "logs")) == left_out
    assert (home / "logs/a").read_text() == "good"
    assert (home / ".bashrc").read_text() == "mine"
    assert sorted(path.name for path in home.iterdir()) == [".bashrc", ".ssh", "logs"]
    assert list((home / ".ssh").iterdir()) == []


def test_a_file_takes_the_name_of_the_target(tmp_path: Path) -> None:
    assert cp.unpack(archive(("a", FILE, "x")), "a", str(tmp_path / "b")) == []
    assert cp.unpack(archive(("a", FILE, "y")), "a", str(tmp_path)) == []
    assert [(tmp_path / name).read_text() for name in "ba"] == ["x", "y"]
