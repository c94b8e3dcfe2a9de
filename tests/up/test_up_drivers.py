"""A CSI driver that accepts connections and never answers, beside a good one. The node's side is a
process of its own: gRPC's threads stay.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from kubelite.client.client import Client
from kubelite.client.errors import NotFound
from kubelite.client.resources import (
    CSI_NODES,
    NODES,
    PERSISTENT_VOLUMES,
    VOLUME_ATTACHMENTS,
)
from kubelite.lib.files import write_record
from kubelite.node.kubelet.cluster.driver_control import DriverControl
from kubelite.node.kubelet.cluster.plugins import Plugins
from kubelite.node.runtime.home import Home
from kubelite.node.volume.csi import drivers, paths
from kubelite.node.volume.csi.drivers import RegisteredDriver
from kubelite.node.volume.csi.publishing import PublishedVolume
from tests.client.servers import served

PATIENCE = 40.0
NAME = "dir.csi.test"
SILENT = "a.silent.test"
VOLUME: Any = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "shelf"},
    "spec": {
        "capacity": {"storage": "1Mi"},
        "accessModes": ["ReadWriteOnce"],
        "csi": {"driver": NAME, "volumeHandle": "shelf-1"},
    },
}


def test_a_driver_that_never_answers_keeps_no_other_waiting(tmp_path: Path) -> None:
    pytest.importorskip("grpc")
    root, state = tmp_path / "root", tmp_path / "state"
    state.mkdir()
    words = [sys.executable, "-m", "tests.cluster.csi_driver", str(root), str(state)]
    with subprocess.Popen(words) as driver:
        try:
            subprocess.run([sys.executable, "-m", __name__, str(root)], check=True)
        finally:
            driver.kill()
    assert (state / "attached-shelf-1").read_text() == "node-of-dirs"


async def look(root: str) -> None:
    """Two sockets that are silent: one of a registration, one of a driver that has registered."""
    drivers.QUICK_SECONDS = drivers.SECONDS = 10 * PATIENCE  # nobody gives up by itself
    home = Home(root)
    for path in (paths.REGISTRY, paths.PLUGINS):
        Path(root, path).mkdir(parents=True, exist_ok=True)
    registering = f"{root}/{paths.REGISTRY}/a.sock"
    with silent(registering), silent(f"{root}/{paths.PLUGINS}/a.sock") as endpoint:
        for directory in (paths.drivers(root), paths.records(root)):
            Path(directory).mkdir(parents=True)
        known = RegisteredDriver(SILENT, endpoint, "n", registering)
        write_record(f"{paths.drivers(root)}/{SILENT}", known, durable=False)
        unfinished = Path(paths.drivers(root), f"{NAME}.0123abcd.tmp")  # of a killed writer
        write_record(str(unfinished), known, durable=False)
        published = PublishedVolume(SILENT, "h", "/nowhere", "")
        write_record(paths.record(root, "uid", "pv"), published, durable=False)
        async with served(Path(root)) as (_, client), at_work(home, client):
            await eventually(lambda: has_registered(client))
            await eventually(lambda: uses_volume(client))
            await client.create(PERSISTENT_VOLUMES, VOLUME)
            await client.create(VOLUME_ATTACHMENTS, attachment())
            await eventually(lambda: is_attached(client))
            await eventually(lambda: asyncio.to_thread(is_gone, unfinished))


@contextmanager
def silent(path: str) -> Any:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        yield path


@asynccontextmanager
async def at_work(home: Home, client: Client) -> AsyncIterator[None]:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
    uid = (await client.create(NODES, node))["metadata"]["uid"]
    control = DriverControl(home, client, "n")
    plugins = Plugins(home, client, "n", lambda: str(uid), control.wake)
    tasks = [asyncio.create_task(work.run()) for work in (plugins, control)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await control.close()


async def has_registered(client: Client) -> bool:
    csi_node = await client.get(CSI_NODES, "n")
    return any(driver["name"] == NAME for driver in csi_node["spec"].get("drivers") or ())


async def uses_volume(client: Client) -> bool:
    status = (await client.get(NODES, "n")).get("status") or {}
    return bool(status.get("volumesInUse") == [f"kubernetes.io/csi/{SILENT}^h"])


async def is_attached(client: Client) -> bool:
    status = (await client.get(VOLUME_ATTACHMENTS, "attached")).get("status") or {}
    return bool(status.get("attached"))


def is_gone(path: Path) -> bool:
    return not path.exists()


def attachment() -> dict[str, Any]:
    source = {"persistentVolumeName": "shelf"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttachment",
        "metadata": {"name": "attached"},
        "spec": {"attacher": NAME, "nodeName": "n", "source": source},
    }


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(NotFound):
                if await check():
                    return
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(look(sys.argv[1]))
