"""``kubelite scheduler run``: a scheduler in a process of its own, over HTTPS, and who leads."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubelite.client import kubeconfig
from kubelite.client.client import Client
from kubelite.client.http import HttpTransport
from kubelite.client.local import LocalTransport
from kubelite.client.resources import EVENTS, LEASES, PODS
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.store.memory import Memory
from kubelite.up.control_plane import ControlPlane
from tests.control.scheduler.live import ADMIN, add_node, node_of, pod


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "kubelite", *words]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=20)


async def until(condition, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_a_scheduler_of_its_own_and_its_successor(tmp_path: Path) -> None:
    config = str(tmp_path / "config")
    where = ("--data-dir", str(tmp_path / "data"), "--port", "0", "--kubeconfig", config)
    with process("server", "--no-scheduler", "--controllers", "-*", *where):
        await until(lambda: asyncio.to_thread(os.path.exists, config))
        client = Client(HttpTransport(kubeconfig.load(config)))
        try:
            await add_node(client, "n1")
            await client.create(PODS, pod("first"))

            async def bound(name: str) -> bool:
                return bool(node_of(await client.get(PODS, name, "default")))

            with process("scheduler", "run", "--kubeconfig", config):
                await until(lambda: bound("first"))
                lease = await client.get(LEASES, "kube-scheduler", "kube-system")
                first_holder = lease["spec"]["holderIdentity"]
                assert first_holder
                with process("scheduler", "run", "--kubeconfig", config) as second:
                    await asyncio.sleep(1)
                    await client.create(PODS, pod("second"))
                    await until(lambda: bound("second"))
                    assert second.poll() is None
            lease = await client.get(LEASES, "kube-scheduler", "kube-system")
            assert lease["spec"]["holderIdentity"] == ""  # given up on the way out
        finally:
            await client.close()


def test_bad_kubeconfig_is_one_sentence(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    answer = subprocess.run(
        [sys.executable, "-m", "kubelite", "scheduler", "run", "--kubeconfig", missing],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert answer.returncode == 1
    assert f"cannot read {missing}" in answer.stderr
    assert "Traceback" not in answer.stderr


async def test_of_two_control_planes_one_schedules_and_the_other_takes_over(tmp_path) -> None:
    server = ApiServer(Memory(), Options(str(tmp_path / "pki"), port=0))
    await server.start()
    planes = [ControlPlane(server.application, (), scheduler=True, elect=True) for _ in range(2)]
    client = Client(LocalTransport(server.application, ADMIN))
    try:
        await add_node(client, "n1")

        async def bound(name: str) -> bool:
            return bool(node_of(await client.get(PODS, name, "default")))

        for plane in planes:
            await plane.start()
        await client.create(PODS, pod("first"))
        await until(lambda: bound("first"))
        lease = await client.get(LEASES, "kube-scheduler", "kube-system")
        await planes[0].close()
        await client.create(PODS, pod("second"))
        await until(lambda: bound("second"))
        successor = await client.get(LEASES, "kube-scheduler", "kube-system")
        assert successor["spec"]["holderIdentity"] not in ("", lease["spec"]["holderIdentity"])
        events = (await client.list(EVENTS, "default")).items
        assert len([each for each in events if each["reason"] == "Scheduled"]) == 2
    finally:
        for plane in planes:
            await plane.close()
        await server.close()
