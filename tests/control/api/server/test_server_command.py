"""``kubelite server`` as a person meets it: what it writes, what it says, how it ends, and a disk
that is full.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from kubelite.lib import known_roots
from tests.control.api.server.test_api_crash import ROOT, Process
from tests.control.debian import free_ports
from tests.control.world import CONFIG, config_map


def run(*words: str, seconds: float = 20) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kubelite", "server", "--no-node", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)


@pytest.fixture
def server(tmp_path: Path):
    made = Process(tmp_path)
    made.start()
    yield made
    made.stop()


def test_it_touches_its_data_directory_only(tmp_path: Path, server: Process) -> None:
    config = tmp_path / f"config-{server.port}"
    assert sorted(path.name for path in tmp_path.iterdir()) == [config.name, "data", "log"]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "pki",
        "store.db",
        "store.db-wal",
    ]
    assert config.stat().st_mode & 0o777 == 0o600
    for secret in ("ca.key", "server.key", "sa.key", "admin.key"):
        assert (tmp_path / "data" / "pki" / secret).stat().st_mode & 0o777 == 0o600
    server.stop()
    assert "ready at https://127.0.0.1:" in (tmp_path / "log").read_text()
    assert not (tmp_path / "data" / "store.db-wal").exists()


def test_pods_that_see_the_hosts_files_do_not_see_its_data(tmp_path: Path, server: Process) -> None:
    assert str(tmp_path / "data") in known_roots.registered()


def test_it_writes_nowhere_else(tmp_path: Path) -> None:
    """Every file that is made, changed or taken away lies in the data directory, but for the
    kubeconfig.
    """
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    trace, config = tmp_path / "trace", tmp_path / "config"
    serve = [
        sys.executable,
        "-B",
        "-m",
        "kubelite",
        "server",
        "--no-node",
        "--port",
        "0",
        "--data-dir",
        str(tmp_path / "data"),
    ]
    command = [
        strace,
        "-D",
        "-f",
        "-o",
        str(trace),
        "-e",
        "trace=%file,bind",
        *serve,
        "--kubeconfig",
        str(config),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not config.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    ended = re.compile(
        rf"^{process.pid} +\+\+\+ exited", re.M
    )  # strace pads numbers of less than five digits
    while not ended.search(trace.read_text(errors="replace")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    changing = re.compile(
        r"O_WRONLY|O_RDWR|O_CREAT|\b(?:mkdir|rename|unlink|link|symlink|chmod|chown|truncate|mknod|rmdir)\w*\("
    )
    lines = [
        line
        for line in trace.read_text(errors="replace").splitlines()
        if changing.search(line) and " = -1 " not in line
    ]
    paths = {path for line in lines for path in re.findall(r'"(/[^"]*)"', line)}
    assert str(tmp_path / "data" / "store.db") in paths
    # A directory of one's choice is noted where pods that see the host's files look for it.
    mine = (str(tmp_path / "data"), str(config), known_roots.registry(), "/dev/null", "/dev/tty")
    assert [path for path in paths if not path.startswith(mine)] == []
    assert not [
        line for line in trace.read_text().splitlines() if "bind(" in line and "AF_UNIX" in line
    ]


def test_its_errors_are_sentences(tmp_path: Path, server: Process) -> None:
    second = run("--data-dir", str(tmp_path / "data"), "--port", "0")
    assert (second.returncode, "another process has it open" in second.stderr) == (1, True)
    taken = run("--data-dir", str(tmp_path / "other"), "--port", str(server.port))
    assert (taken.returncode, f"cannot listen on 127.0.0.1:{server.port}" in taken.stderr) == (
        1,
        True,
    )
    theirs = tmp_path / "theirs"
    theirs.write_text("apiVersion: v1\n")
    foreign = run("--data-dir", str(tmp_path / "other"), "--port", "0", "--kubeconfig", str(theirs))
    assert (foreign.returncode, "was not written by kubelite" in foreign.stderr) == (1, True)
    assert theirs.read_text() == "apiVersion: v1\n"
    tokens = tmp_path / "tokens"
    tokens.write_text("only-a-token\n")
    wrong = run("--data-dir", str(tmp_path / "other"), "--port", "0", "--token-file", str(tokens))
    assert (wrong.returncode, "line 1: want token,user,uid" in wrong.stderr) == (1, True)
    lost = run(
        "--data-dir",
        str(tmp_path / "other"),
        "--port",
        "0",
        "--etcd",
        f"http://127.0.0.1:{free_ports(1)[0]}",
    )
    assert (lost.returncode, "does not answer" in lost.stderr) == (1, True)
    for said in (second, taken, foreign, wrong, lost):
        assert "Traceback" not in said.stderr


@pytest.mark.parametrize(
    ("path", "mode", "words"),
    [
        ("data", 0o777, "is writable by others (mode 0777)"),
        (".", 0o757, "is writable by others (mode 0757)"),
        ("data/pki/ca.key", 0o644, "is open to others (mode 0644)"),
        ("data/store.db", 0o660, "is open to others (mode 0660)"),
    ],
)
def test_it_refuses_what_others_could_change_or_read(
    tmp_path: Path, server: Process, path: str, mode: int, words: str
) -> None:
    server.stop()
    (tmp_path / path).chmod(mode)
    refused = run("--data-dir", str(tmp_path / "data"), "--port", "0")
    assert (refused.returncode, words in refused.stderr) == (1, True)
    (tmp_path / path).chmod(0o700)


def test_it_refuses_an_audit_log_that_is_open_to_others(tmp_path: Path) -> None:
    log = tmp_path / "audit"
    log.touch(0o666)
    log.chmod(0o666)
    words = ("--data-dir", str(tmp_path / "data"), "--port", "0", "--audit-log", str(log))
    refused = run(*words)
    assert (refused.returncode, "is open to others" in refused.stderr) == (1, True)


async def test_watchers_are_told_when_it_ends(tmp_path: Path, server: Process) -> None:
    async with (
        server.session() as session,
        session.get(f"{CONFIG}?watch=1&allowWatchBookmarks=true") as watch,
    ):
        assert b"ADDED" in await watch.content.readline()
        started = time.monotonic()
        await asyncio.to_thread(server.stop)
        assert b"BOOKMARK" in await asyncio.wait_for(watch.content.readline(), 5)
        assert await watch.content.read() == b""
        assert time.monotonic() - started < 3


async def test_static_tokens(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text('# who\nsecret-1,jane,7,"ops,dev"\nsecret-2,root,8,system:masters\n')
    server = Process(tmp_path, "--token-file", str(tokens))
    server.start()
    try:
        import ssl

        context = ssl.create_default_context(cafile=str(tmp_path / "data" / "pki" / "ca.crt"))
        async with aiohttp.ClientSession(
            f"https://127.0.0.1:{server.port}", connector=aiohttp.TCPConnector(ssl=context)
        ) as session:
            for token, code in (("secret-1", 403), ("secret-2", 200), ("secret-3", 401)):
                async with session.get(
                    CONFIG, headers={"Authorization": f"Bearer {token}"}
                ) as reply:
                    assert reply.status == code
    finally:
        server.stop()


async def test_metrics_can_be_switched_on(tmp_path: Path) -> None:
    codes: dict[bool, list[int]] = {}
    for on in (False, True):
        server = Process(tmp_path, *(["--metrics"] if on else []))
        server.start()
        group = "/apis/metrics.k8s.io/v1beta1"
        try:
            async with server.session() as session:
                found = [
                    await session.get(group + path)
                    for path in ("", "/nodes", "/pods", "/nodes/none")
                ]
                codes[on] = [reply.status for reply in found]
                if on:
                    listed = await found[1].json()
                    assert (listed["kind"], listed["apiVersion"], listed["items"]) == (
                        "NodeMetricsList",
                        "metrics.k8s.io/v1beta1",
                        [],
                    )
                async with session.post(
                    f"{group}/nodes", json={"metadata": {"name": "n"}}
                ) as reply:
                    assert reply.status == (405 if on else 404)
        finally:
            server.stop()
    assert codes == {False: [404] * 4, True: [200, 200, 200, 404]}


async def _at_rest(files: list[Path]) -> list[tuple[int, int]]:
    """The sizes and times of files, once nothing has been written to them for a second: what a
    start and a new node cause is done.
    """
    found: list[tuple[int, int]] = []
    async with asyncio.timeout(60):
        while True:
            now = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
            if now == found:
                return found
            found = now
            await asyncio.sleep(1)


async def test_an_idle_cluster_writes_nothing(tmp_path: Path, server: Process) -> None:
    """Leases and heartbeats go on; the disk sees nothing of them."""
    async with server.session() as session:
        leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        condition = {
            "type": "Ready",
            "status": "True",
            "reason": "R",
            "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        async with session.post("/api/v1/nodes", json={"metadata": {"name": "n"}}) as reply:
            assert reply.status == 201
        async with session.post(
            leases, json={"metadata": {"name": "n"}, "spec": {"holderIdentity": "n"}}
        ) as reply:
            assert reply.status == 201

        async def beat(number: int) -> None:
            merge = {"Content-Type": "application/strategic-merge-patch+json"}
            moment = f"2026-01-01T00:{number:02}:00Z"
            status = {"status": {"conditions": [{**condition, "lastHeartbeatTime": moment}]}}
            async with session.patch("/api/v1/nodes/n/status", json=status, headers=merge) as reply:
                assert reply.status == 200
            renewal = {"spec": {"renewTime": f"2026-01-01T00:{number:02}:00.000000Z"}}
            async with session.patch(f"{leases}/n", json=renewal, headers=merge) as reply:
                assert reply.status == 200
            event = {
                "metadata": {"name": f"e{number}"},
                "involvedObject": {"kind": "Node", "name": "n"},
                "reason": "Beat",
            }
            async with session.post("/api/v1/namespaces/default/events", json=event) as reply:
                assert reply.status == 201

        await beat(0)
        files = [tmp_path / "data" / name for name in ("store.db", "store.db-wal")]
        before = await _at_rest(files)
        for number in range(1, 30):
            await beat(number)
        assert [(file.stat().st_size, file.stat().st_mtime_ns) for file in files] == before


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
async def test_a_full_disk(tmp_path: Path) -> None:
    """On a file system of four megabytes: writes are refused with a Status, reads go on, and it
    recovers.
    """
    disk, config, port = tmp_path / "disk", tmp_path / "config", free_ports(1)[0]
    disk.mkdir()
    serve = [
        sys.executable,
        "-m",
        "kubelite",
        "server",
        "--no-node",
        "--port",
        str(port),
        "--data-dir",
        str(disk / "data"),
    ]
    script = f'mount -t tmpfs -o size=4m none "{disk}" && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", *serve, "--kubeconfig", str(config)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not config.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        inside = Path(f"/proc/{process.pid}/root{disk}/data")
        shutil.copytree(inside / "pki", tmp_path / "data" / "pki")
        reach = Process(tmp_path, port=port)
        async with reach.session() as session:
            codes: list[int] = []
            for number in range(100):
                async with session.post(
                    CONFIG, json=config_map(f"c{number}", v="x" * 200_000)
                ) as reply:
                    codes.append(reply.status)
                    if reply.status != 201:
                        assert (await reply.json())["kind"] == "Status"
            assert 201 in codes
            assert set(codes) - {201} <= {500, 503, 507}
            assert 507 in codes
            async with session.get(f"{CONFIG}/c0") as reply:
                assert reply.status == 200
            for number, code in enumerate(codes):
                async with session.get(f"{CONFIG}/c{number}") as reply:
                    assert (reply.status == 200) == (code == 201)
            subprocess.run(
                [
                    "nsenter",
                    "-t",
                    str(process.pid),
                    "-m",
                    "mount",
                    "-o",
                    "remount,size=64m",
                    str(disk),
                ],
                check=True,
            )
            async with session.post(CONFIG, json=config_map("after", v="x" * 200_000)) as reply:
                assert reply.status == 201
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
