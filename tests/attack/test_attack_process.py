"""Attacks on the runtime's own program, descriptors, directories, identity, keys and terminals."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from kubelite.core import shim as shims
from kubelite.node.kubelet.decide.container_config import ContainerConfigError
from kubelite.node.runtime.errors import RuntimeFailure
from tests.attack.arena import MARK, SHIPPED, Arena, bring_in, image, pod

FDS = (
    "for f in /proc/self/fd/*; do n=${f##*/}; t=$(readlink $f) && "
    "case $t in pipe:*|/dev/null|/proc/*|'') ;; *) echo $n $t;; esac; done"
)
STATUS = "grep -E '^(Cap|NoNewPrivs|Groups|Uid|Gid|Seccomp)' /proc/self/status"


def python(text: str) -> list[str]:
    return ["python3", "-c", text]


def fields(text: str) -> dict[str, str]:
    return {
        key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())
    }


def test_the_shipped_program_has_no_switches(weak: Path) -> None:
    assert MARK not in SHIPPED.read_bytes()
    assert MARK in weak.read_bytes()


# -- CVE-2019-5736: the runtime's program overwritten through /proc/self/exe -----------------------


def is_writable_later(program: Path, command: list[str]) -> bool:
    """Whether the file of a running program can be opened for writing through /proc once the
    program has ended.
    """
    child = subprocess.Popen(command, executable=program, stdin=subprocess.PIPE)
    exe = os.open(f"/proc/{child.pid}/exe", os.O_PATH)
    child.communicate()
    try:
        os.close(os.open(f"/proc/self/fd/{exe}", os.O_WRONLY))
    except OSError:
        return False
    finally:
        os.close(exe)
    return True


def test_the_runtimes_program_cannot_be_written_to(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = SHIPPED.read_bytes()
    # A copy, which no other test's pods run from: a file that is being executed is busy before it
    # is read-only.
    program = tmp_path / "shim"
    program.write_bytes(before)
    program.chmod(0o755)
    monkeypatch.setattr(shims, "_PROGRAM", str(program))
    arena.up(pod())
    shim = arena.pods.queries.inspect("default", "p")["sandbox"]["shim"]
    exe = os.open(f"/proc/{shim}/exe", os.O_PATH)
    arena.down()
    with pytest.raises(OSError, match="Read-only file system"):
        os.open(f"/proc/self/fd/{exe}", os.O_WRONLY)
    os.close(exe)
    # A program that is executed from its own file can be.
    (tmp_path / "cat").write_bytes(Path("/bin/cat").read_bytes())
    (tmp_path / "cat").chmod(0o755)
    assert is_writable_later(tmp_path / "cat", ["cat"])
    script = (
        "import os,time\nfor _ in range(1500):\n for p in os.listdir('/proc'):\n"
        "  if p.isdigit() and p != '1':\n   try:\n    f=os.open(f'/proc/{p}/exe',os.O_PATH); "
        "n=os.readlink(f'/proc/self/fd/{f}')\n    if n == '/' or 'shim' in n: "
        "w=os.open(f'/proc/self/fd/{f}',os.O_WRONLY); os.write(w,b'x'); print('WRITTEN')\n"
        "   except OSError: pass\n   else: os.close(f)"
    )
    arena.up(pod(python(script + "\nprint('over')")))
    for _ in range(20):
        try:
            arena.exec(["/proc/self/exe"])
        except RuntimeFailure:
            continue
    arena.pods.queries.wait("default", "p", "exited", 60)
    assert "WRITTEN" not in arena.logs()
    assert program.read_bytes() == SHIPPED.read_bytes() == before


# -- CVE-2016-9962, CVE-2024-21626: descriptors and directories of the host ------------------------


def test_no_descriptor_of_the_host_is_inherited(arena: Arena) -> None:
    assert arena.output(FDS) == ""
    arena.up(pod())
    assert arena.exec(FDS) == ""


def test_a_descriptor_left_open_by_mistake_is_closed(arena: Arena) -> None:
    with arena.without(""):
        assert arena.output(FDS) == ""
    with arena.without("descriptors"):
        assert arena.output(FDS).split() == ["77", "/"]
        assert "lost+found" in arena.output(
            "ls /proc/self/fd/77/; ls /proc/self/fd/77/work; echo lost+found"
        )


@pytest.mark.parametrize("number", [3, 7, 10, 77])
def test_a_working_directory_on_the_host_is_refused(arena: Arena, number: int) -> None:
    with arena.without(""), pytest.raises(RuntimeFailure, match=r"working directory|mount point"):
        arena.output("pwd", workingDir=f"/proc/self/fd/{number}")


def test_a_working_directory_on_the_host_would_be_one(arena: Arena) -> None:
    with arena.without("directory"):
        said = arena.output("/bin/ls -di .", workingDir="/proc/self/fd/77")
    assert str(os.stat("/").st_ino) in said.split()


@pytest.mark.parametrize(("defence", "inside"), [("", True), ("directory", False)])
def test_a_working_directory_swapped_for_one_on_the_host_is_refused_by_an_exec(
    arena: Arena, defence: str, inside: bool
) -> None:
    """CVE-2024-21626 by exec: the container replaces its working directory by a link to a
    descriptor of whoever joins it.
    """
    with arena.without(defence):
        arena.up(pod(workingDir="/srv"))
        arena.exec("cd /; rmdir /srv; ln -s /proc/self/fd/77 /srv")
        if inside:
            with pytest.raises(RuntimeFailure, match="working directory"):
                arena.exec(["/bin/ls", "-di", "."])
        else:
            assert str(os.stat("/").st_ino) in arena.exec(["/bin/ls", "-di", "."]).split()


def test_the_joining_process_is_closed_to_the_container(arena: Arena) -> None:
    """What an exec is before its program runs cannot be looked into from inside."""
    watch = (
        "import os\nseen=set()\n"
        "for _ in range(60000):\n"
        " for p in ('2','3','4','5','6','7','8','9','10','11','12'):\n"
        "  try: f=os.listdir(f'/proc/{p}/fd'); seen.add(os.readlink(f'/proc/{p}/exe'))\n"
        "  except OSError: pass\n"
        "print(sorted(seen), flush=True)"
    )
    for defence, closed in (("", True), ("dumpable", False)):
        with arena.without(defence):
            arena.up(pod(python(watch), spec={"shareProcessNamespace": False}))
            for _ in range(25):
                arena.exec(["/bin/true"])
            arena.pods.queries.wait("default", "p", "exited", 60)
            found = re.findall(r"'([^']*)'", arena.logs())
            arena.down()
        foreign = [exe for exe in found if not exe.startswith(("/usr", "/bin"))]
        if closed:
            assert foreign == []


def test_the_container_runs_from_its_own_file(arena: Arena) -> None:
    assert arena.output("readlink /proc/1/exe").strip().startswith("/usr/bin/")


@pytest.mark.parametrize(
    ("defence", "said"), [("", "Operation not permitted\n"), ("seals", "written\n")]
)
def test_pauses_program_is_a_sealed_copy(arena: Arena, defence: str, said: str) -> None:
    """The one program of ours that a container can see: its pages can be changed by nobody, not
    even through /proc.
    """
    with arena.without(defence):
        arena.up(pod(spec={"shareProcessNamespace": True}))
        pause = arena.pods.queries.inspect("default", "p")["sandbox"]["pause"]
        fd = os.open(f"/proc/{pause}/exe", os.O_PATH)
        arena.down()
    try:
        with open(f"/proc/self/fd/{fd}", "r+b") as file:
            file.write(b"x")
        got = "written\n"
    except PermissionError as error:
        got = f"{error.strerror}\n"
    finally:
        os.close(fd)
    assert got == said


# -- identity --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uid", ["4294967295", "4294967296", "+0", "-1", "0x0", "1e3", "18446744073709551616"]
)
def test_a_user_that_would_overflow_to_root_is_refused(
    arena: Arena, tmp_path: Path, uid: str
) -> None:
    from kubelite.node.runtime.identity import IdentityError, resolve_user

    with pytest.raises(IdentityError):
        resolve_user(uid, None, None, (), "", "")


def test_run_as_non_root_looks_at_the_number(arena: Arena) -> None:
    with pytest.raises((RuntimeFailure, ContainerConfigError), match="runAsNonRoot"):
        arena.output("id", securityContext={"runAsNonRoot": True})


def test_no_capability_is_inheritable_or_ambient(arena: Arena) -> None:
    arena.up(pod())
    for said in (
        fields(arena.exec(STATUS)),
        fields(Path(f"/proc/{arena.pid()}/status").read_text()),
    ):
        assert int(said["CapInh"], 16) == int(said["CapAmb"], 16) == 0
        assert said["CapBnd"] == said["CapEff"] == "00000000a80425fb"
    arena.down()
    with arena.without("capabilities"):
        assert fields(arena.output(STATUS))["CapBnd"] != "00000000a80425fb"


def test_the_primary_group_counts_among_the_others(arena: Arena, tmp_path: Path) -> None:
    """CVE-2022-36109: a file that its group may not read must not be read by leaving the group."""
    (tmp_path / "secret").write_text("secret")
    os.chown(tmp_path / "secret", 0, 4321)
    (tmp_path / "secret").chmod(0o604)
    options = {
        "spec": {"volumes": [{"name": "v", "hostPath": {"path": str(tmp_path / "secret")}}]},
        "volumeMounts": [{"name": "v", "mountPath": "/secret"}],
        "securityContext": {"runAsUser": 1000, "runAsGroup": 4321},
    }
    script = (
        "import os\ntry: os.setgroups([])\nexcept OSError: pass\nprint(os.getgroups())\n"
        "try: print(open('/secret').read())\nexcept OSError as e: print(e.strerror)"
    )
    assert arena.output(python(script), **options).splitlines() == ["[4321]", "Permission denied"]
    # A set-gid program changes the group that it is in, but not those beside it.
    (tmp_path / "cat").write_bytes(Path("/bin/cat").read_bytes())
    os.chown(tmp_path / "cat", 0, 99)
    (tmp_path / "cat").chmod(0o2755)
    options["spec"]["volumes"].append({"name": "c", "hostPath": {"path": str(tmp_path / "cat")}})
    options["volumeMounts"].append({"name": "c", "mountPath": "/usr/local/bin/cat"})
    assert "Permission denied" in arena.output("/usr/local/bin/cat /secret 2>&1", **options)
    with arena.without("groups"):
        assert arena.output("/usr/local/bin/cat /secret 2>&1", **options) == "secret"


@pytest.mark.parametrize(("defence", "effective"), [("", "1000"), ("privileges", "0")])
def test_a_set_uid_program_raises_no_rights(
    arena: Arena, tmp_path: Path, defence: str, effective: str
) -> None:
    (tmp_path / "id").write_bytes(Path("/usr/bin/id").read_bytes())
    (tmp_path / "id").chmod(0o4755)
    options = {
        "spec": {"volumes": [{"name": "v", "hostPath": {"path": str(tmp_path / "id")}}]},
        "volumeMounts": [{"name": "v", "mountPath": "/usr/local/bin/id"}],
        "securityContext": {"runAsUser": 1000, "allowPrivilegeEscalation": False},
    }
    with arena.without(defence):
        assert arena.output("exec /usr/local/bin/id -u", **options).strip() == effective


# -- keys and terminals ----------------------------------------------------------------------------

KEYS = (
    "import ctypes\nlibc=ctypes.CDLL(None,use_errno=True)\n"
    "ring=libc.syscall(250,0,-3,0)\nprint(ring)\n"
    "print(libc.syscall(250,10,-3,b'user',b'kubelite-secret',0))"
)
UNCONFINED = {"seccompProfile": {"type": "Unconfined"}}


def test_the_callers_keys_are_out_of_reach(arena: Arena) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(250, 1, None)  # a session keyring of this test's own
    key = libc.syscall(248, b"user", b"kubelite-secret", b"x", 1, -3)
    assert key > 0
    confined = arena.output(python(KEYS)).split()
    assert confined == ["-1", "-1"]
    arena.up(pod(securityContext=UNCONFINED))
    assert arena.exec(python(KEYS)).split()[1] == "-1"
    arena.down()
    assert arena.output(python(KEYS), securityContext=UNCONFINED).split()[1] == "-1"
    with arena.without("keyring"):
        assert arena.output(python(KEYS), securityContext=UNCONFINED).split()[1] == str(key)
        arena.up(pod(securityContext=UNCONFINED))
        assert arena.exec(python(KEYS)).split()[1] == str(key)


def test_nothing_can_be_typed_into_the_callers_terminal(arena: Arena) -> None:
    """The terminal inside is one of the container's own devpts, which the caller never has as its
    own.
    """
    script = "import fcntl,os\nprint(os.ttyname(0))\n"
    arena.up(pod())
    session = arena.pods.exec(
        "default", "p", "c", ["python3", "-c", script + "fcntl.ioctl(0, 0x5412, b'x')"], tty=True
    )
    said = b""
    with session:
        while not isinstance(got := session.read(), int):
            said += got[1]
    assert said.split()[0] == b"/dev/pts/0"
    assert (
        os.path.realpath("/proc/self/fd/0") != "/dev/pts/0"
        or os.fstat(0).st_dev != os.stat("/dev/pts").st_dev
    )


# -- sockets, state, names -------------------------------------------------------------------------


def test_no_abstract_socket_of_ours_is_seen_on_the_hosts_network(arena: Arena) -> None:
    with socket.socket(socket.AF_UNIX) as beside:
        beside.bind("\0a-socket-of-this-test")
        said = arena.output("cat /proc/net/unix", spec={"hostNetwork": True})
    abstract = {line.split()[-1] for line in said.splitlines() if "@" in line.split()[-1]}
    assert "@a-socket-of-this-test" in abstract
    assert [name for name in abstract if "kubelite" in name or "shim" in name] == []
    # The one socket there is cannot be reached from inside, whatever the container shares with the
    # host.
    script = f"find {arena.root} -name shim.sock"
    assert arena.output(script, spec={"hostNetwork": True, "hostPID": True}) == ""


def walk(place: str) -> list[str]:
    """What somebody without rights finds below a directory."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    found = subprocess.run([*nobody, "find", place], capture_output=True, text=True)
    return [line for line in found.stdout.splitlines() if line != place]


def test_nobody_else_can_enter_the_state(weak: Path) -> None:
    """CVE-2024-25621. The directory above is open to everybody, as /var/lib is."""
    above = Path(tempfile.mkdtemp(prefix="kubelite-", dir="/var/tmp"))
    above.chmod(0o755)
    arena = Arena(above / "k", weak)
    arena.home.make()
    try:
        arena.up(pod())
        assert walk(arena.home.root) == []
        (found,) = Path(arena.home.run).rglob("shim.sock")
        assert found.stat().st_mode & 0o777 == 0o600
        (above / "k").chmod(0o755)
        opened = [line.removeprefix(f"{above}/k/") for line in walk(arena.home.root)]
        assert "pods" in opened, "it is the directory's mode that keeps them out"
        assert [line for line in opened if "/" in line] == [], (
            "and each one in it is closed as well"
        )
    finally:
        arena.down()
        shutil.rmtree(above)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "", "a\0b"])
def test_a_name_that_would_lead_elsewhere_is_no_cgroup(arena: Arena, name: str) -> None:
    from kubelite.node.cgroup.detect import read_world
    from kubelite.node.cgroup.errors import CgroupError
    from kubelite.node.cgroup.tree import CgroupTree

    with (
        CgroupTree(read_world(), arena.home.cgroup) as tree,
        pytest.raises((CgroupError, ValueError)),
    ):
        tree.make_container("uid", name, [])


def test_a_name_that_is_not_looked_at_leads_out_of_the_group(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kubelite.node.cgroup import tree as trees
    from kubelite.node.cgroup.detect import read_world

    arena.up(pod())
    uid = arena.pods.queries.get("default", "p").metadata.uid or ""
    monkeypatch.setattr(trees, "_checked", lambda name: name)
    with trees.CgroupTree(read_world(), arena.home.cgroup) as tree:
        tree.make_container(uid, "../escaped", []).close()
    made = [
        path for path in Path("/sys/fs/cgroup").rglob("escaped") if path.parent.name == "besteffort"
    ]
    for each in made:
        each.rmdir()
    assert made


# -- images that lie about their users -------------------------------------------------------------


def test_an_images_passwd_that_is_no_file_is_not_read(arena: Arena, tmp_path: Path) -> None:
    root = image(arena, tmp_path, "fifo")
    (root / "etc/passwd").unlink()
    os.mkfifo(root / "etc/passwd")
    name = bring_in(arena, root)
    began = time.monotonic()
    arena.up(pod(["/bin/sleep", "60"], image=name, imagePullPolicy="Never"))
    assert time.monotonic() - began < 10
    assert arena.pods.queries.inspect("default", "p")["containers"]["c"]["user"] == 0
    arena.down()
    (root / "etc/passwd").unlink()
    with open(root / "etc/passwd", "wb") as file:
        file.truncate(1 << 29)
    (root / "etc/group").write_text("")
    root.rename(tmp_path / "sparse")
    name = bring_in(arena, tmp_path / "sparse")
    began = time.monotonic()
    arena.up(
        pod(
            ["/bin/sleep", "60"],
            image=name,
            imagePullPolicy="Never",
            securityContext={"runAsUser": 5},
        )
    )
    assert time.monotonic() - began < 10


def test_an_images_passwd_that_is_a_link_out_is_the_images(arena: Arena, tmp_path: Path) -> None:
    root = image(arena, tmp_path, "link")
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to("/etc/shadow")
    name = bring_in(arena, root)
    said = arena.output(["cat", "/etc/passwd"], image=name, imagePullPolicy="Never")
    assert "root:" not in said


# -- a 32-bit call past the filter ---

SOCKETCALL = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* socketcall(SYS_SOCKET, {family, SOCK_STREAM, 0}) as a 32-bit program makes it. */
int main(int argc, char **argv) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT;
    unsigned *words = mmap(0, 4096, PROT_READ | PROT_WRITE, flags, -1, 0);
    long result;
    words[0] = (unsigned)atoi(argv[argc - 1]);
    words[1] = 1;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(102), "b"(1), "c"(words)
                     : "memory", "r8", "r9", "r10", "r11");
    printf("%d\n", (int)result < 0 ? (int)result : 0);
}
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="32-bit calls are tried on x86_64")
def test_socketcall_opens_no_family_that_socket_refuses(arena: Arena, tmp_path: Path) -> None:
    source, program = tmp_path / "socketcall.c", tmp_path / "socketcall"
    source.write_text(SOCKETCALL)
    subprocess.run(["gcc", "-static", "-O1", str(source), "-o", str(program)], check=True)
    assert arena.output([str(program), "40"]).split() == [str(-errno.ENOSYS)]
    with arena.without("filter"):
        opened = arena.output([str(program), "40"]).split()
        assert opened != [str(-errno.ENOSYS)]
