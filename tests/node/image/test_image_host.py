"""The reserved image `host`: what is covered, and where it cannot run."""

from __future__ import annotations

import os
from pathlib import Path

from kubelite.node.image.hidden_paths import (
    Mount,
    by_point,
    candidates,
    homes_in,
    mount_of,
    outermost,
    overlay_problem,
    parse_mountinfo,
)
from kubelite.node.image.host import host_covers, host_image, host_image_problem

MOUNTINFO = """\
22 27 0:21 / /proc rw,relatime shared:4 - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:25 / /var/lib/my\\040data rw,relatime shared:1 master:2 - xfs /dev/vdb rw
31 27 0:26 / /mnt rw - overlay overlay rw,lowerdir=/a,upperdir=/b - c
32 31 0:27 / /mnt/volume rw - ext4 /dev/vdc rw
33 32 0:28 / /mnt/volume rw - tmpfs tmpfs rw
junk
"""


def test_mountinfo() -> None:
    mounts = parse_mountinfo(MOUNTINFO)
    assert mounts[2] == Mount("/var/lib/my data", "xfs")
    assert [m.kind for m in mounts] == ["proc", "ext4", "xfs", "overlay", "ext4", "tmpfs"]
    kinds = {
        "/etc": "ext4",
        "/var/lib/my data/x": "xfs",
        "/var/lib/my datum": "ext4",
        "/mnt": "overlay",
        "/mnt/volumes": "overlay",
        "/mnt/volume/x": "tmpfs",
    }
    for path, kind in kinds.items():
        found = mount_of(path, by_point(mounts))
        assert found is not None and found.kind == kind


def test_overlay_needs_a_volume() -> None:
    mounts = by_point(parse_mountinfo(MOUNTINFO))
    assert overlay_problem("/var/lib/kubelite", mounts) is None
    assert overlay_problem("/mnt/volume/kubelite", mounts) is None
    assert "make kubelite's root a volume" in (overlay_problem("/mnt/kubelite", mounts) or "")


def test_candidates_know_homes_and_host_keys() -> None:
    passwd = "root:x:0:0::/root:/bin/sh\nann:x:1:1::/home/ann/:/bin/sh\nd:x:2:2::/:/bin/sh\nbad\n"
    assert homes_in(passwd) == {"/root", "/home/ann"}
    homes = {"/root": [".ssh", ".cache"], "/home/ann": [".aws", ".config"]}
    names = ["ssh_host_rsa_key", "ssh_host_rsa_key.pub", "sshd_config"]
    paths = candidates(["/srv/kubelite"], homes, names)
    for path in (
        "/srv/kubelite",
        "/var/lib/kubelite",
        "/run/kubelite",
        "/root/.ssh",
        "/home/ann/.aws",
        "/etc/ssh/ssh_host_rsa_key",
    ):
        assert path in paths
    assert "/etc/ssh/sshd_config" not in paths
    assert "/etc/ssh/ssh_host_rsa_key.pub" not in paths
    assert "/root/.cache/huggingface/token" in paths and "/home/ann/.config/rclone" in paths
    assert "/home/ann/.ssh" not in paths, "looked for only in homes that have it"


def test_outermost() -> None:
    assert outermost(["/b", "/a/c", "/a", "/a-b", "/a/c/d", "/b"]) == ["/a", "/a-b", "/b"]


def test_covers_of_this_machine() -> None:
    covers = host_covers(Path("/etc"))
    assert "/etc" in covers
    covers = host_covers()
    assert "/etc/shadow" in covers
    assert covers == sorted(covers, key=lambda path: path.split("/"))
    for path in covers:
        assert os.path.realpath(path) == path and os.path.exists(path)
    assert not [path for path in covers if path.startswith(("/proc", "/sys", "/dev"))]


def test_the_state_root_is_covered_where_it_really_lies(tmp_path: Path) -> None:
    (tmp_path / "real" / "state").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    mounts = by_point(parse_mountinfo(Path("/proc/self/mountinfo").read_text()))
    mount = mount_of(os.path.realpath(tmp_path), mounts)
    covers = host_covers(tmp_path / "link" / "state", Path("/proc/self"), tmp_path / "missing")
    visible = mount is not None and mount.point == "/"
    assert (os.path.realpath(tmp_path / "real" / "state") in covers) == visible
    assert not [path for path in covers if path.startswith("/proc") or path.endswith("missing")]


def test_the_host_image() -> None:
    image = host_image()
    assert image.layers == (Path("/"),) and image.names == ("host",)
    assert image.config.entrypoint == () and image.config.cmd == ()
    assert image.config.env[0].startswith("PATH=")


def test_this_machine_can_hold_a_writable_layer_or_says_why(tmp_path: Path) -> None:
    mounts = by_point(parse_mountinfo(Path("/proc/self/mountinfo").read_text()))
    mount = mount_of(os.path.realpath(tmp_path), mounts)
    problem = host_image_problem(tmp_path)
    assert (problem is not None) == (mount is not None and mount.kind == "overlay")
