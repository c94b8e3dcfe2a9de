"""The page over real pods of `pod up`, without a cluster."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from yarl import URL

from kubelite.client.kubeconfig import ClusterAccess
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.processes import start_ticks
from kubelite.ui.local.engine import LocalEngine
from kubelite.ui.server import Info
from tests.control.debian import kubectl_of
from tests.e2e.world import SLEEP, World, pod, world
from tests.ui.place import Place, page_of

__all__ = ["world"]

PODS = "/api/v1/namespaces/default/pods"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@asynccontextmanager
async def local(world: World) -> AsyncIterator[Place]:
    info = Info("local", "local", str(world.root))
    home = Home(str(world.root))
    async with LocalEngine(home) as engine, page_of(engine.access, info, home) as place:
        yield place


async def in_thread(work: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.to_thread(work, *args)


class Events:
    """The events of a watch."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def until(self, kind: str, holds: Callable[[Any], bool] = lambda pod: True) -> Any:
        """The first object of an event of this kind of which something holds."""
        async with asyncio.timeout(120):
            async for line in self._answer.content:
                event = json.loads(line)
                if event["type"] == kind and holds(event["object"]):
                    return event["object"]
        raise AssertionError(f"the watch has ended before {kind}")


def phase(wanted: str) -> Callable[[Any], bool]:
    return lambda shown: shown["status"]["phase"] == wanted


async def test_pods_are_there_with_status_events_logs_figures_and_a_shell(world: World) -> None:
    await in_thread(world.up, pod("echo one; echo two; " + SLEEP))
    async with local(world) as place:
        (shown,) = (await place.get("/api/v1/pods"))[1]["items"]
        assert shown["metadata"]["uid"] == world.get("p")["metadata"]["uid"]
        assert shown["status"]["phase"] == "Running"
        _, table = await place.get(PODS, Accept=TABLE)
        assert table["rows"][0]["cells"][:3] == ["p", "1/1", "Running"]
        _, events = await place.get("/api/v1/namespaces/default/events")
        assert {"Created", "Started"} <= {event["reason"] for event in events["items"]}
        _, nodes = await place.get("/api/v1/nodes")
        assert [node["metadata"]["name"] for node in nodes["items"]] == [shown["spec"]["nodeName"]]
        await until(lambda: last_line(place), "two\n")
        await until(lambda: measured(place), ["p"])
        node = shown["spec"]["nodeName"]
        _, figures = await place.get(f"/api/v1/nodes/{node}/proxy/stats/summary")
        assert figures["node"]["nodeName"] == node and "network" in figures["node"]
        assert (await place.get("/ui/info"))[1]["mode"] == "local"
        _, start = await place.get("/ui/timeline?namespace=default&pod=p")
        steps = [mark["step"] for mark in start["steps"] if mark["isExact"]]
        assert steps[:4] == ["accepted", "sandbox", "containerCreated", "started"]
        assert "ready" in steps
        await use_a_shell(place)
        await try_what_needs_a_cluster(place)


async def until(look: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Looks until it finds what is wanted."""
    async with asyncio.timeout(120):
        while await look() != wanted:
            await asyncio.sleep(0.05)


async def last_line(place: Place) -> str:
    async with place.browser.get(place.url(f"{PODS}/p/log?tailLines=1")) as log:
        return await log.text()


async def measured(place: Place) -> list[str]:
    _, usage = await place.get("/apis/metrics.k8s.io/v1beta1/pods")
    return [item["metadata"]["name"] for item in usage["items"]]


async def use_a_shell(place: Place) -> None:
    query = "command=cat&container=c&stdin=1&stdout=1&stderr=1"
    async with place.browser.ws_connect(
        place.url(f"{PODS}/p/exec?{query}"),
        protocols=["v5.channel.k8s.io"],
        headers={"Origin": place.origin},
    ) as shell:
        assert shell.protocol == "v5.channel.k8s.io"
        await shell.send_bytes(b"\x00hello\n")
        assert await received(shell, 1, 6) == b"hello\n"
        await shell.send_bytes(b"\xff\x00")  # no more input
        assert json.loads(await received(shell, 3, 1))["status"] == "Success"


async def received(shell: aiohttp.ClientWebSocketResponse, channel: int, size: int) -> bytes:
    """At least so many bytes of a channel."""
    data = b""
    async with asyncio.timeout(120):
        while len(data) < size:
            message = await shell.receive_bytes()
            data += message[1:] if message[0] == channel else b""
    return data


async def try_what_needs_a_cluster(place: Place) -> None:
    assert (await place.send("POST", PODS, pod()))[0] == 403
    rules = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "default"},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    _, review = await place.send("POST", path, rules)
    verbs = {
        verb
        for rule in review["status"]["resourceRules"]
        if "pods" in rule["resources"]
        for verb in rule["verbs"]
    }
    assert "delete" in verbs and "create" not in verbs


async def test_a_watch_follows_what_the_command_line_does(world: World) -> None:
    document = pod(SLEEP)
    document["metadata"]["namespace"] = "team"
    async with local(world) as place:
        assert (await place.get("/api/v1/pods"))[1]["items"] == []
        async with place.browser.get(place.url("/api/v1/pods?watch=1")) as answer:
            events = Events(answer)
            await in_thread(world.up, document)
            added = await events.until("ADDED")
            if not phase("Running")(added):
                await events.until("MODIFIED", phase("Running"))
            _, namespace = await place.get("/api/v1/namespaces/team")
            assert namespace["status"]["phase"] == "Active"
            await in_thread(world.kl, "pod", "kill", "p", "-n", "team", "-s", "KILL")
            ended = await events.until("MODIFIED", phase("Failed"))
            state = ended["status"]["containerStatuses"][0]["state"]["terminated"]
            assert state["exitCode"] == 137
            await in_thread(world.kl, "pod", "down", "p", "-n", "team", "--grace-period", "0")
            gone = await events.until("DELETED")
            assert gone["metadata"]["uid"] == added["metadata"]["uid"]


async def test_kubectl_works_on_the_engine_and_deletes_its_pods(
    world: World, tmp_path: Path
) -> None:
    for name in ("p", "fast"):
        await in_thread(world.up, pod("echo hello; " + SLEEP, name=name))
    async with LocalEngine(Home(str(world.root))) as engine:
        kubectl = with_kubectl(engine.access, tmp_path)
        assert (await in_thread(kubectl, "get", "pods")).count("Running") == 2
        await until(lambda: in_thread(kubectl, "logs", "p"), "hello\n")
        assert await in_thread(kubectl, "exec", "p", "--", "echo", "inside") == "inside\n"
        assert "Started container c" in await in_thread(kubectl, "describe", "pod", "p")
        await in_thread(kubectl, "delete", "pod", "p", "--grace-period=5")
        await in_thread(kubectl, "delete", "pod", "fast", "--force", "--grace-period=0")
        await until(lambda: in_thread(world.files), set())
        await until(lambda: in_thread(kubectl, "get", "pods"), "")


def with_kubectl(access: ClusterAccess, path: Path) -> Callable[..., str]:
    """A kubectl of the user who has this access."""
    for name in ("authority", "certificate", "key"):
        (path / name).write_bytes(getattr(access, name))
    cluster = {"server": access.server, "certificate-authority": "authority"}
    user = {"client-certificate": "certificate", "client-key": "key"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "local", "user": user}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
        "current-context": "local",
    }
    (path / "config").write_text(yaml.safe_dump(config))

    def run(*words: str) -> str:
        done = subprocess.run(
            [kubectl_of("new"), "--kubeconfig", str(path / "config"), *words],
            env={**os.environ, "HOME": str(path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_command_ends_at_ctrl_c_and_leaves_nothing(world: World) -> None:
    """What one that was killed has left goes as well, what is of a living one stays."""
    run = world.root / "run"
    own = run / f"ui-{os.getpid()}-{start_ticks(os.getpid())}-a"
    for left in (own, run / "ui-1-1-b", run / "ui-c"):
        left.mkdir(parents=True)
        (left / "key").touch()
    process = world.start("ui", "--local", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        address = URL(process.stdout.readline().decode().strip())
        assert address.fragment.startswith("token=")
        with urllib.request.urlopen(str(address.with_fragment(None)), timeout=120) as page:
            assert b"<title>kubelite" in page.read()
        assert len(list(run.glob("ui-*"))) == 2
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert (process.returncode, b"Traceback" in err) == (0, False), err
    assert list(run.glob("ui-*")) == [own]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port), 5)
