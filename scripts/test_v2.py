"""Runs the tests of the kernel layer in an emulated machine: once with cgroup v2 only, and a few of
them with v1 only.

    python scripts/test_v2.py [--world v2|v1] [PYTEST ARGUMENTS]

Needs root, x86_64, Debian with its own Python, qemu-system-x86 and e2fsprogs. The machine's root
and kernel are made of Debian packages, as apt finds them here, and kept in build/v2; the tree and
this Python's packages go in on a second disk. Prints what the machine said and how many tests
passed in each world; the exit code is pytest's, or 124 when not all was done within 30 minutes.
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import NamedTuple

TREE = Path(__file__).resolve().parents[1]
PLACE = TREE / "build/v2"
LIMIT = 1800
PACKAGES = (
    "base-files base-passwd usr-is-merged libc-bin bash coreutils dash findutils gawk grep sed tar "
    "hostname mount util-linux procps iproute2 kmod nftables libnftables1 libseccomp2 "
    "busybox-static python3"
).split()
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
TOOLS = {"apt-get": "apt", "qemu-system-x86_64": "qemu-system-x86", "mkfs.ext4": "e2fsprogs"}
KERNEL = "linux-image-cloud-amd64"
MODULES = (
    "virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk".split()
)
NEEDED = "overlay veth bridge nf_tables nft_chain_nat nft_masq nft_ct"
# Without its guards against other guests an emulated kernel is twice as fast; plain `max` faults
# twice on its way up.
MACHINE = (
    "-accel tcg,thread=multi -cpu max,-cx16 -smp 2 -m 2048 -nographic -no-reboot -nic none".split()
)
LINE = "console=ttyS0 loglevel=3 panic=-1 mitigations=off tsc=reliable hugepages=8"
UNNEEDED = (
    "pip setuptools mypy* ruff* aiohttp* kubernetes kubernetes_validate* grpc* cel prompt_toolkit*"
).split()


class World(NamedTuple):
    """One boot: what the kernel is told besides, how its cgroups are mounted, and the words for
    pytest.
    """

    line: str
    mounts: str
    tests: list[str]


# What differs between the worlds; each command of these takes an emulated machine seconds.
PODS = [
    "tests/e2e/test_pod_eviction.py",
    "tests/e2e/test_pod_update.py::test_cpu_and_memory_change_without_a_restart",
    "tests/e2e/test_pod_update.py::test_a_limit_below_what_is_used_is_refused_and_nothing_changes",
    "tests/e2e/test_pod_look.py::test_stats_count_cpu_memory_tasks_and_network",
    "tests/e2e/test_pod_users.py::test_root_inside_is_nobody_outside",
    "tests/e2e/test_pod_users.py::test_containers_of_a_pod_share_its_users_and_volumes",
    "tests/e2e/test_pod_users.py::test_system_mounts_and_devices_work",
    "tests/e2e/test_pod_users.py::test_an_exec_and_a_terminal_are_inside_as_well",
]
HELD = (
    "test_cgroup or test_limits or fork_bomb or ends_at_the_limit or throttled or devices_of "
    "or release_agent"
)
V1 = """mount -t tmpfs cgroup /sys/fs/cgroup
for c in cpu,cpuacct memory pids devices freezer hugetlb; do
    mkdir /sys/fs/cgroup/$c
    mount -t cgroup -o $c $c /sys/fs/cgroup/$c || rmdir /sys/fs/cgroup/$c
done"""
WORLDS = {
    "v2": World(
        "cgroup_no_v1=all",
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
        [
            "tests/kernel",
            "tests/attack/test_attack_kernel.py",
            "tests/attack/test_attack_images.py",
            *PODS,
            "-k",
            # What no cgroup has part in and costs an emulated machine minutes.
            "not killed_any and not ipv6 and not samples",
        ],
    ),
    "v1": World("", V1, ["tests/kernel", "tests/attack/test_attack_kernel.py", "-k", HELD]),
}

INITRD = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
for m in {modules}; do /bin/busybox insmod /$m.ko; done
/bin/busybox mount -t ext4 /dev/vda /root && /bin/busybox mount -t ext4 /dev/vdb /root/mnt
exec /bin/busybox switch_root /root /mnt/$world
"""
INIT = """#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
export KUBELITE_SLOW=5 KUBELITE_STRICT=1 KUBELITE_WEAK=/mnt/kubelite-shim
export PYTHONPATH=/mnt/tree:/mnt/packages
mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm && mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm && mount -t tmpfs run /run
{mounts}
ip link set lo up && hostname {name}
for m in {modules}; do modprobe $m; done
cd /mnt/tree
timeout {limit} python3 -m pytest -q -p no:cacheprovider --tb=short --color=no {arguments}
echo "KUBELITE-DONE $?"
sync; echo o > /proc/sysrq-trigger; sleep 60
"""


def check_machine() -> None:
    """Says what this machine lacks for it. Raises SystemExit."""
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if os.uname().machine != "x86_64" or os.geteuid() != 0 or missing:
        sys.exit(
            f"this needs x86_64, root and apt; missing packages: {' '.join(missing) or 'none'}"
        )


def run(*command: str | Path, **options: object) -> None:
    """Runs a tool; its own messages say what is wrong."""
    subprocess.run([str(word) for word in command], check=True, **options)  # type: ignore[call-overload]


def download(folder: Path) -> list[Path]:
    """The packages of the root with all that they depend on, and the kernel, by the machine's own
    apt. Raises SystemExit.
    """
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    own = [
        "-qq",
        "-oAPT::Sandbox::User=root",
        f"-oDir::State::status={folder}/status",
        f"-oDir::Cache::archives={folder}",
    ]
    subprocess.run(
        ["apt-get", "update", "-qq"]
    )  # of old lists the files may be gone; without a network they may do
    wanted = subprocess.run(["apt-cache", "depends", KERNEL], capture_output=True, text=True).stdout
    kernel = re.search(r"Depends: (linux-image-\S+)", wanted)
    if kernel is None:
        sys.exit(f"apt knows no {KERNEL}: is this Debian, and its mirror within reach?")
    try:
        run(
            "apt-get",
            *own,
            "-y",
            "--no-install-recommends",
            "--download-only",
            "install",
            *PACKAGES,
        )
        run("apt-get", *own, "download", kernel[1], cwd=folder)
    except subprocess.CalledProcessError:
        sys.exit("apt cannot get the packages of the emulated machine: is its mirror within reach?")
    return sorted(folder.glob("*.deb"))


def make_root() -> Path:
    """An image of a Debian root with the kernel's modules, and the kernel beside it; made once."""
    image = PLACE / "root.ext4"
    if image.exists():
        return image
    root = PLACE / "root"
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in download(PLACE / "packages"):
        unpack(package, root)
    finish(root)
    make_initrd(root)
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    kernel.rename(PLACE / "vmlinuz")
    return make_disk(image, root, 1024)


def unpack(package: Path, root: Path) -> None:
    """What a package brings, without its scripts: the machine lives for minutes."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as files:
        unneeded = [f"--exclude=./usr/share/{name}" for name in ("doc", "man", "locale", "info")]
        run("tar", "-x", "-C", root, "--keep-directory-symlink", *unneeded, stdin=files.stdout)
    if files.returncode:
        sys.exit(f"{package} cannot be unpacked: remove it and try again")


def finish(root: Path) -> None:
    """Does what the packages' scripts would have done, as far as it is needed."""
    for name in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    (root / "usr/bin/awk").symlink_to("gawk")
    (root / "mnt").mkdir()
    run("chroot", root, "ldconfig")
    run("chroot", root, "depmod", next((root / "lib/modules").iterdir()).name)
    precompile(root / f"usr/lib/{PYTHON}", root, "/")


def precompile(folder: Path, outside: Path, inside: str) -> None:
    """Compiles the modules below a folder for a machine that finds ``outside`` at ``inside``, and
    takes hours over it itself.
    """
    if not folder.exists():
        sys.exit(
            f"the emulated machine has no {PYTHON}: the Python that is Debian's own is needed here"
        )
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(
        folder, quiet=2, workers=2, stripdir=outside, prependdir=inside, invalidation_mode=mode
    )


def make_initrd(root: Path) -> None:
    """A first root in memory with the drivers of the disks."""
    first = PLACE / "first"
    shutil.rmtree(first, ignore_errors=True)
    for name in ("bin", "dev", "root"):
        (first / name).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", first / "bin/busybox")
    for module in MODULES:
        (found,) = (root / "lib/modules").rglob(f"{module}.ko*")
        shutil.copy(found, first / found.name)
    (first / "init").write_text(INITRD.format(modules=" ".join(MODULES)))
    (first / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(first)) for path in first.rglob("*")).encode()
    with (PLACE / "initrd").open("wb") as file:
        run(
            root / "bin/busybox",
            "cpio",
            "-oH",
            "newc",
            cwd=first,
            input=names,
            stdout=file,
            stderr=subprocess.DEVNULL,
        )


def make_disk(image: Path, folder: Path, megabytes: int) -> Path:
    """An ext4 image that holds a directory."""
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    run("mkfs.ext4", "-q", "-O", "^has_journal", "-d", folder, image)
    return image


def make_load(worlds: dict[str, World], limit: int) -> Path:
    """The tree as it is built now, the packages it needs, and the shim of the test build; all
    compiled already, since that takes an emulated machine longest."""
    load = PLACE / "load"
    shutil.rmtree(load, ignore_errors=True)
    ignored = shutil.ignore_patterns(".git", "build", "__pycache__", ".hypothesis", ".venv")
    shutil.copytree(TREE, load / "tree", ignore=ignored)
    packages = Path(sysconfig.get_paths()["purelib"])
    shutil.copytree(
        packages, load / "packages", ignore=shutil.ignore_patterns("__pycache__", *UNNEEDED)
    )
    precompile(load, load, "/mnt")
    sys.path.insert(0, str(TREE))
    from tests.attack.arena import build_weak

    build_weak(load)
    for name, world in worlds.items():
        init = INIT.format(
            name=name,
            mounts=world.mounts,
            modules=NEEDED,
            limit=limit,
            arguments=" ".join(map(shlex.quote, world.tests)),
        )
        (load / name).write_text(init)
        (load / name).chmod(0o755)
    return make_disk(PLACE / "load.ext4", load, 768)


def boot(name: str, world: World, disks: list[Path], limit: float) -> tuple[int, str]:
    """Runs the machine; returns the exit code of the tests, and what the console said."""
    log = PLACE / f"console-{name}.log"
    drives = [
        word
        for disk in disks
        for word in ("-drive", f"file={disk},if=virtio,format=raw,cache=unsafe,snapshot=on")
    ]
    line = f"{LINE} world={name} {world.line}"
    command = [
        "qemu-system-x86_64",
        *MACHINE,
        "-kernel",
        PLACE / "vmlinuz",
        "-initrd",
        PLACE / "initrd",
        "-append",
        line,
    ]
    with log.open("wb") as file:
        machine = subprocess.Popen(
            [*map(str, command), *drives], stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
        try:
            machine.wait(limit)
        except subprocess.TimeoutExpired:
            return 124, log.read_text(errors="replace")
        finally:
            machine.kill()
            machine.wait()
    said = log.read_text(errors="replace").replace("\r", "")
    found = re.search(r"^KUBELITE-DONE (\d+)", said, re.M)
    return int(found[1]) if found else 1, said


def main(arguments: list[str]) -> int:
    """Makes what is missing, runs the machine and shows what it said."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", choices=WORLDS)
    chosen, words = parser.parse_known_args(arguments)
    worlds = {
        n: w._replace(tests=words or w.tests)
        for n, w in WORLDS.items()
        if chosen.world in (None, n)
    }
    began = time.monotonic()
    check_machine()
    PLACE.mkdir(parents=True, exist_ok=True)
    disks = [make_root(), make_load(worlds, LIMIT)]
    print(f"made in {time.monotonic() - began:.0f} s", flush=True)
    codes, counts = [], []
    for name, world in worlds.items():
        code, said = boot(name, world, disks, began + LIMIT - time.monotonic())
        print(said, flush=True)
        summary = re.findall(r"^\d+ (?:passed|failed).* in .*$", said, re.M)
        counts.append(
            f"cgroups {name}: {summary[-1] if summary else 'no summary'}, exit code {code}"
        )
        codes.append(code)
    print("\n".join(counts), f"in all {time.monotonic() - began:.0f} s", sep="\n")
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
