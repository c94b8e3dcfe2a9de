"""Runs the tests of the kernel layer on a kernel that has cgroup v2 only, in an emulated machine.

    python scripts/test_v2.py [--keep] [PYTEST ARGUMENTS]

Needs Debian's qemu-system-x86, debootstrap, e2fsprogs, cpio and busybox-static, and root for debootstrap. The machine's root and
kernel are made once and kept in build/v2; the tree and this Python's packages go in on a second disk. Prints pytest's summary
and returns its exit code, 124 when the machine was not done within 15 minutes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
PLACE = TREE / "build/v2"
LIMIT = 900
PACKAGES = "python3,kmod,iproute2,nftables,libnftables1,procps,util-linux,libseccomp2,busybox-static"
MODULES = "virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk".split()
MACHINE = "-accel tcg,thread=multi -cpu max,-cx16 -smp 2 -m 2048 -nographic -no-reboot -nic none".split()
TESTS = ["tests/kernel/test_cgroup.py", "tests/attack/test_attack_kernel.py", "tests/e2e/test_pod_users.py"]
SLOW = "not smuggle and not annotations and not characters and not terminal and not share_its"
DONE = re.compile(r"^KUBELITE-V2 (\d+)", re.M)

INITRD = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
for m in {modules}; do /bin/busybox insmod /$m.ko; done
/bin/busybox mount -t ext4 -o ro /dev/vda /root
exec /bin/busybox switch_root /root /sbin/kubelite-test
"""
INIT = """#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 KUBELITE_SLOW=20
mount -o remount,rw / && mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm && mount -t devpts devpts /dev/pts && mount -t tmpfs shm /dev/shm && mount -t tmpfs run /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t ext4 /dev/vdb /mnt && ip link set lo up && hostname v2
for m in overlay veth bridge nf_tables nft_chain_nat nft_masq nft_ct; do modprobe $m; done
cd /mnt/tree && PYTHONPATH=/mnt/tree:/mnt/packages KUBELITE_WEAK=/mnt/kubelite-shim \\
    timeout {limit} python3 -m pytest -q -p no:cacheprovider --tb=short {arguments}
echo "KUBELITE-V2 $?"
sync; echo o > /proc/sysrq-trigger; sleep 60
"""


def run(*command: str | Path, **options: object) -> None:
    """Runs a tool; its own messages say what is wrong."""
    subprocess.run([str(word) for word in command], check=True, **options)  # type: ignore[call-overload]


def make_root() -> Path:
    """A Debian root with the kernel's modules, and the kernel beside it; made once."""
    root = PLACE / "root"
    if not (PLACE / "vmlinuz").exists():
        shutil.rmtree(root, ignore_errors=True)
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root)
        wanted = subprocess.run(
            ["apt-cache", "depends", "linux-image-cloud-amd64"], check=True, capture_output=True, text=True
        ).stdout
        name = re.search(r"Depends: (linux-image-\S+)", wanted)
        assert name is not None, "apt-cache knows no linux-image-cloud-amd64: apt-get update"
        run("apt-get", "download", name[1], cwd=PLACE)
        (deb,) = PLACE.glob("linux-image-*.deb")
        run("dpkg-deb", "-x", deb, PLACE / "kernel")
        shutil.copytree(PLACE / "kernel/lib/modules", root / "lib/modules", dirs_exist_ok=True)
        run("chroot", root, "depmod", next((root / "lib/modules").iterdir()).name)
        (kernel,) = (PLACE / "kernel/boot").glob("vmlinuz-*")
        kernel.rename(PLACE / "vmlinuz")
    return root


def make_initrd(root: Path) -> Path:
    """A first root in memory with the drivers of the disks."""
    first = PLACE / "first"
    shutil.rmtree(first, ignore_errors=True)
    for name in ("bin", "dev", "root"):
        (first / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", first / "bin/busybox")
    for module in MODULES:
        (found,) = (root / "lib/modules").rglob(f"{module}.ko")
        shutil.copy(found, first / found.name)
    (first / "init").write_text(INITRD.format(modules=" ".join(MODULES)))
    (first / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(first)) for path in first.rglob("*"))
    made = PLACE / "initrd"
    with made.open("wb") as file:
        run("cpio", "-o", "-H", "newc", "--quiet", cwd=first, input=names.encode(), stdout=file)
    return made


def make_disk(name: str, folder: Path, megabytes: int) -> Path:
    """An ext4 image that holds a directory."""
    made = PLACE / f"{name}.ext4"
    made.unlink(missing_ok=True)
    with made.open("wb") as file:
        file.truncate(megabytes << 20)
    run("mkfs.ext4", "-q", "-d", folder, made)
    return made


def make_load() -> Path:
    """The tree as it is built now, the packages it needs, and the shim of the test build."""
    load = PLACE / "load"
    shutil.rmtree(load, ignore_errors=True)
    ignored = shutil.ignore_patterns(".git", "build", "__pycache__", ".hypothesis", ".venv")
    shutil.copytree(TREE, load / "tree", ignore=ignored)
    packages = Path(sysconfig.get_paths()["purelib"])
    unneeded = shutil.ignore_patterns("__pycache__", "pip", "mypy*", "ruff*", "aiohttp*")
    shutil.copytree(packages, load / "packages", ignore=unneeded)
    sys.path.insert(0, str(TREE))
    from tests.attack.arena import build_weak

    build_weak(load)
    return load


def boot(initrd: Path, disks: list[Path], log: Path) -> int:
    """Runs the machine, its console in ``log``; returns the exit code of the tests."""
    drives = [word for disk in disks for word in ("-drive", f"file={disk},if=virtio,format=raw,cache=unsafe")]
    line = "console=ttyS0 quiet panic=-1 cgroup_no_v1=all"
    command = ["qemu-system-x86_64", *MACHINE, "-kernel", PLACE / "vmlinuz", "-initrd", initrd, "-append", line, *drives]
    with log.open("wb") as file:
        machine = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        try:
            machine.wait(LIMIT)
        except subprocess.TimeoutExpired:
            return 124
        finally:
            machine.kill()
            machine.wait()
    found = DONE.search(log.read_text(errors="replace").replace("\r", ""))
    return int(found[1]) if found else 1


def main(arguments: list[str]) -> int:
    """Makes what is missing, runs the machine and shows what it said."""
    began = time.monotonic()
    PLACE.mkdir(parents=True, exist_ok=True)
    chosen = arguments or [*TESTS, "-k", f"'{SLOW}'"]
    root = make_root()
    (root / "sbin/kubelite-test").write_text(INIT.format(limit=LIMIT - 60, arguments=" ".join(chosen)))
    (root / "sbin/kubelite-test").chmod(0o755)
    disks = [make_disk("root", root, 2048), make_disk("load", make_load(), 1024)]
    log = PLACE / "console.log"
    code = boot(make_initrd(root), disks, log)
    print(log.read_text(errors="replace").replace("\r", ""))
    print(f"v2: exit code {code} after {time.monotonic() - began:.0f} s; console in {log}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
