"""State that is hostile, damaged or short of room: nothing of it takes the root down, and a pod can
always be measured, stopped and removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubelite.core.plan import Caps
from kubelite.lib import files
from kubelite.node.kubelet.decide import local_storage_limits
from kubelite.node.kubelet.pods import copying
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.runtime import storage
from kubelite.node.runtime.errors import NotFound, RuntimeFailure
from kubelite.node.runtime.exec.debug import can_open_root
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.processes import start_ticks
from kubelite.node.runtime.records import ConditionsRecord, ContainerRecord
from kubelite.node.volume.removal import remove_tree
from kubelite.objects.pod.container import Capabilities, Container, SecurityContext
from tests.attack.arena import SLEEP, Arena, bring_in, image, pod
from tests.e2e.world import eventually

DEPTH = 1500
NEST = (
    "import os\n"
    "for n in range({depth}):\n"
    "    os.mkdir('d'); os.chdir('d')\n"
    "open('end', 'wb').write(b'x' * 200000)\n"
)


def quiet(_: object) -> None:
    return


# -- records ---------------------------------------------------------------------------------------


def _directory(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _torn(path: Path) -> None:
    path.write_bytes(b"{")


@pytest.mark.parametrize("spoil", [_directory, _loop, _fifo, _sparse, _torn])
@pytest.mark.parametrize("name", ["pod.json", "past/c.json"])
def test_a_record_that_cannot_be_read_costs_its_pod_at_most(
    arena: Arena, spoil: Callable[[Path], None], name: str
) -> None:
    arena.up(pod(name="good"))
    arena.up(pod("exit 3", name="bad"))
    arena.pods.queries.wait("default", "bad", "exited", 20)
    uid = arena.pods.queries.get("default", "bad").metadata.uid or ""
    path = Path(arena.home.pod(uid), name)
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    spoil(path)
    pods = Pods(arena.home)
    listed = [each.metadata.name for each in pods.queries.list(None)]
    assert listed == (["good"] if name == "pod.json" else ["bad", "good"])
    assert any(str(path) in sentence for sentence in pods.queries.damaged)
    if name == "pod.json":
        assert pods.queries.damaged_pods == [uid]
        pods.remove_damaged(uid)
        assert not Path(arena.home.pod(uid)).exists()
        assert not [log for log in os.listdir(arena.home.logs) if uid in log]
        with pytest.raises(NotFound):
            pods.remove_damaged(uid)
        with pytest.raises(NotFound):
            pods.remove_damaged("../pods")


def test_a_record_behind_a_link_is_not_read(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    files.write_record(str(real), ConditionsRecord(), durable=False)
    link.symlink_to(real)
    assert files.read_record(str(real), ConditionsRecord) == ConditionsRecord()
    with pytest.raises(files.RecordError, match="cannot be read"):
        files.read_record(str(link), ConditionsRecord)


def test_reset_needs_to_read_nothing(arena: Arena) -> None:
    for name in ("a", "b"):
        arena.up(pod(name=name))
        uid = arena.pods.queries.get("default", name).metadata.uid or ""
        path = Path(arena.home.pod(uid), "pod.json")
        path.unlink()
        _fifo(path)
    (arena.root / "server").mkdir()
    (arena.root / "server" / "ca.key").write_text("secret")
    removed = Pods(arena.home).reset(quiet)
    assert sum(each.startswith("pod of uid") for each in removed) == 2
    assert f"{arena.root}/server" in removed and not arena.root.exists()


def test_reset_of_a_root_that_was_deleted_by_hand(arena: Arena) -> None:
    """Cgroups, network and shims are left, and nothing that a record could tell of."""
    arena.up(pod())
    shim = arena.pods.queries.inspect("default", "p")["sandbox"]["shim"]
    shutil.rmtree(arena.root, ignore_errors=True)
    removed = Pods(arena.home).reset(quiet)
    assert any(each.startswith("pod of uid") for each in removed)
    assert start_ticks(shim) is None


# -- state roots of others -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: os.chown(path, 1234, -1), "belongs to user 1234"),
        (lambda path: path.chmod(0o777), "is writable by others"),
        (lambda path: path.chmod(0o770), "is writable by others"),
    ],
)
@pytest.mark.parametrize("inner", ["", "inner"])
def test_a_state_root_that_others_can_change_is_refused(
    tmp_path: Path, spoil: Callable[[Path], None], message: str, inner: str
) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    spoil(outer)
    home = Home(str(outer / inner))
    for use in (home.make, lambda: Pods(home)):
        with pytest.raises(RuntimeFailure, match=message):
            use()
    assert list(outer.iterdir()) == [], "nothing was made in it"


def test_a_root_below_a_sticky_directory_is_taken(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    Home(str(tmp_path / "k")).make()
    assert (tmp_path / "k" / "pods").is_dir()


# -- deep directories ------------------------------------------------------------------------------


def nest(directory: Path, depth: int = DEPTH) -> None:
    subprocess.run([sys.executable, "-c", NEST.format(depth=depth)], cwd=directory, check=True)


@contextlib.contextmanager
def few_descriptors(number: int) -> Iterator[None]:
    """At most ``number`` descriptors, those that are open now included."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_deep_directories_are_measured(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    nest(top)
    with few_descriptors(max(map(int, os.listdir("/proc/self/fd"))) + 18):
        used = storage.occupied(str(top))
        assert 200_000 <= used < storage.UNMEASURABLE
        assert remove_tree(str(top)) == []


def test_what_cannot_be_measured_counts_as_over_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d").mkdir()

    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EIO, "no")

    assert storage.occupied(str(tmp_path / "missing")) == 0
    monkeypatch.setattr(storage, "walk", refuse)
    assert storage.occupied(str(tmp_path)) == storage.UNMEASURABLE


def test_a_pod_that_hides_its_files_in_depth_is_evicted_and_compared(arena: Arena) -> None:
    limits = {"limits": {"ephemeral-storage": "100Ki"}}
    nesting = NEST.format(depth=DEPTH).replace("'", '"')
    script = f"mkdir /tmp/nest; cd /tmp/nest && python3 -c '{nesting}'; {SLEEP}"
    arena.up(pod(script, resources=limits))
    record = Ledger(arena.home).find("default", "p")
    assert record is not None
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        used = storage.measure(arena.home, record, Ledger(arena.home).containers(record.uid))
        message = local_storage_limits.eviction_message(arena.pods.queries.pod(record), used)
        if message:
            break
        time.sleep(0.2)
    assert "ephemeral" in message
    deepest = ""
    while not deepest.endswith("/end") and time.monotonic() < deadline:
        changes = arena.pods.queries.diff("default", "p", "c")
        deepest = max((change.path for change in changes), key=len)
    assert deepest.count("/d") >= DEPTH
    with arena.pods.files("default", "p", "c") as there, open(os.devnull, "wb") as out:
        left_out: list[str] = []
        copying.pack(there, "/tmp/nest", "nest", there, out, left_out)


# -- no room and few descriptors -------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes."""
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", path], check=True)
    yield path
    subprocess.run(["umount", "-l", path], check=True)


@pytest.mark.parametrize("verb", ["down", "stop", "reset"])
def test_a_pod_on_a_full_disk_can_be_removed(small: Path, weak: Path, verb: str) -> None:
    arena = Arena(small / "k", weak)
    arena.home.make()
    fill = "cat /dev/zero > /fill 2>/dev/null; trap 'exit 0' TERM; while :; do sleep 0.1; done"
    arena.up(pod(fill, spec={"restartPolicy": "Never", "terminationGracePeriodSeconds": 3}))
    deadline = time.monotonic() + 20
    while os.statvfs(small).f_bavail > 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert os.statvfs(small).f_bavail == 0
    if verb == "stop":
        stopped = arena.pods.stop("default", "p", grace=1)
        assert stopped.status is not None and stopped.status.reason == "Stopped"
    if verb == "reset":
        arena.pods.reset(quiet)
    else:
        arena.pods.down("default", "p", grace=1, report=quiet)
    assert not Path(arena.home.pods).exists() or os.listdir(arena.home.pods) == []
    Pods(arena.home).reset(quiet)


def test_a_record_is_overwritten_in_its_blocks(tmp_path: Path) -> None:
    path = str(tmp_path / "r")
    files.write_record(path, ConditionsRecord(), durable=False, spare=1024)
    blocks = os.stat(path).st_blocks
    longer = ConditionsRecord(since={"Ready": ("True", 1), "Initialized": ("False", 2)})
    files.overwrite_record(path, longer)
    assert files.read_record(path, ConditionsRecord) == longer
    assert os.stat(path).st_blocks == blocks


def test_pods_are_removed_with_few_descriptors_and_none_is_leaked(arena: Arena) -> None:
    for _ in range(2):
        arena.up(pod())
        before = set(os.listdir("/proc/self/fd"))
        with few_descriptors(max(map(int, before)) + 18):
            arena.pods.down("default", "p", grace=1, report=quiet)
        # The kernel is still removing the bridge, and who waits for it has its socket.
        eventually(lambda before=before: set(os.listdir("/proc/self/fd")) <= before, "its end")


# -- tools beside a container ----------------------------------------------------------------------


def tools(name: str = "host") -> Container:
    context = SecurityContext(capabilities=Capabilities(add=("SYS_PTRACE",)))
    command = ("sh", "-c", "sleep 0.3")
    return Container(name="debugger", image=name, command=command, security_context=context)


def test_tools_of_the_host_are_refused_beside_a_container_that_could_open_its_files(
    arena: Arena, tmp_path: Path
) -> None:
    """It could reach them through /proc/PID/root of the tools."""
    own = bring_in(arena, image(arena, tmp_path, "tools"))
    secret = tmp_path / "secret"
    secret.touch()
    context = {"capabilities": {"add": ["SYS_PTRACE"]}}
    arena.up(pod(image=own, imagePullPolicy="Never", securityContext=context))
    arena.up(pod(name="plain", image=own, imagePullPolicy="Never"))
    with (
        pytest.raises(RuntimeFailure, match="would open this machine's files"),
        arena.pods.debug("default", "p", "c", tools()),
    ):
        pass
    with arena.pods.debug("default", "plain", "c", tools()) as session:
        look = f"for p in /proc/[0-9]*; do ls $p/root{secret} 2>&1; done"
        assert "ermission denied" in (said := arena.exec(look, name="plain")), said
        assert f"root{secret}\n" not in said
        while not isinstance(session.read(), int):
            pass
    with arena.pods.debug("default", "p", "c", tools(own)) as session:
        while not isinstance(session.read(), int):
            pass


def test_whoever_may_trace_may_open_the_files() -> None:
    """CAP_SYS_PTRACE is enough, whoever the tools run as; else the same user and capabilities."""
    trace, chown = 1 << 19, 1

    def container(uid: int, caps: int) -> ContainerRecord:
        sets = tuple(Caps(bounding=caps, effective=caps, permitted=caps))
        return ContainerRecord(
            id="c", name="c", init=False, attempt=0, image="i", image_id="i", created_at=0,
            env=(), cwd="/", uid=uid, gid=uid, groups=(), caps=sets, no_new_privs=False,
            tty=False, stdin=False, oom_score_adj=0,
        )  # fmt: skip

    tools = Caps(bounding=chown, effective=chown, permitted=chown)
    assert can_open_root(container(1000, trace), 0, tools)
    assert can_open_root(container(0, chown), 0, tools)
    assert not can_open_root(container(0, 0), 0, tools)
    assert not can_open_root(container(1000, chown), 0, tools)
