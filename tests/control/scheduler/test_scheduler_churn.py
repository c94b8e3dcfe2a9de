"""Whatever happens and whatever is killed: nothing is over-committed, and nobody waits in vain."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubelite.client import informers as informers_module
from kubelite.client.client import Client
from kubelite.client.errors import ApiError, ServerError, Unreachable
from kubelite.client.local import LocalTransport
from kubelite.client.resources import NODES, PODS
from kubelite.client.transport import Call, Identity, Reply
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.scheduler.loop import queue as queue_module
from kubelite.control.scheduler.loop import writer as writer_module
from kubelite.control.scheduler.loop.run import USER, run_scheduler
from kubelite.control.store.memory import Memory
from tests.control.scheduler.live import ADMIN, add_node, node_of, pod, scheduled

MILLI = {"1": 1000, "2": 2000, "3": 3000}


class Faulty(LocalTransport):
    """Loses a call, before or after it was carried out, wherever the list of faults says so."""

    def __init__(self, application: Any, faults: list[int]) -> None:
        super().__init__(application, Identity(USER))
        self._faults = faults

    async def call(self, call: Call) -> Reply:
        fault = self._faults.pop() if self._faults and call.method != "GET" else 9
        if fault == 0:
            raise Unreachable("lost on the way there")
        reply = await super().call(call)
        if fault == 1:
            raise Unreachable("lost on the way back")
        if fault == 2:
            raise ServerError(500, {"message": "made up by the test"})
        return reply


steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["pod", "pod", "pod", "vip", "delete", "finish", "node", "drop", "kill", "pause"]
        ),
        st.integers(0, 5),
        st.sampled_from(sorted(MILLI)),
    ),
    min_size=3,
    max_size=30,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=steps, faults=st.lists(st.integers(0, 9), max_size=15))
def test_the_cluster_converges_whatever_is_killed(tmp_path, monkeypatch, steps, faults) -> None:
    monkeypatch.setattr(informers_module, "FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(writer_module, "RETRY_SECONDS", (0.001,) * 20)
    times = {"gates": True, "first": 0.005, "longest": 0.02}
    monkeypatch.setattr(queue_module.Queue.__init__, "__kwdefaults__", times)
    asyncio.run(asyncio.wait_for(Churn(tmp_path, list(faults)).run(steps), 60))


class Churn:
    """One history of a cluster."""

    def __init__(self, path: Any, faults: list[int]) -> None:
        self._server = ApiServer(Memory(), Options(str(path / "pki"), port=0))
        self._faults = faults
        self._task: asyncio.Task[None] | None = None

    async def run(self, steps: Any) -> None:
        await self._server.start()
        client = Client(LocalTransport(self._server.application, ADMIN))
        high = {"metadata": {"name": "high"}, "value": 1000}
        from kubelite.client.resources import PRIORITY_CLASSES

        await client.create(PRIORITY_CLASSES, high)
        self._start()
        try:
            for verb, number, cpu in steps:
                try:
                    await self._step(client, verb, number, cpu)
                except ApiError:
                    pass  # it is not there, or is there already
            await self._settle(client)
        finally:
            await self._kill()
            await self._server.close()

    def _start(self) -> None:
        transport = Faulty(self._server.application, self._faults)
        self._task = asyncio.create_task(run_scheduler(Client(transport), seed=0))

    async def _kill(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _step(self, client: Client, verb: str, number: int, cpu: str) -> None:
        if verb == "pod":
            await client.create(PODS, pod(f"p{number}", cpu))
        elif verb == "vip":
            await client.create(PODS, pod(f"v{number}", cpu, priorityClassName="high"))
        elif verb == "delete":
            await client.delete(PODS, f"p{number}", "default", grace_seconds=0)
        elif verb == "finish":
            done = {"status": {"phase": "Succeeded"}}
            await client.patch_status(PODS, f"p{number}", done, "default", kind="strategic")
        elif verb == "node":
            await add_node(client, f"n{number % 3}")
        elif verb == "drop":
            await client.delete(NODES, f"n{number % 3}")
        elif verb == "kill":
            await self._kill()
            self._start()
        else:
            await asyncio.sleep(0.002 * number)

    async def _settle(self, client: Client) -> None:
        """Plays the kubelet for pods that are ended, until nothing is left to do."""
        deadline = asyncio.get_running_loop().time() + 20
        problem = "not looked at yet"
        while problem:
            assert asyncio.get_running_loop().time() < deadline, problem
            if self._task is not None and self._task.done():
                self._start()  # it could not reach the server when it began
            pods = (await client.list(PODS)).items
            nodes = (await client.list(NODES)).items
            for each in pods:
                if each["metadata"].get("deletionTimestamp"):
                    await client.delete(PODS, each["metadata"]["name"], "default", grace_seconds=0)
            problem = wrong(pods, {node["metadata"]["name"] for node in nodes})
            await asyncio.sleep(0.01)
        overcommitted = [
            name
            for name, free in room(pods, [n["metadata"]["name"] for n in nodes]).items()
            if free < 0
        ]
        assert overcommitted == []


def request(each: Any) -> int:
    return MILLI[each["spec"]["containers"][0]["resources"]["requests"]["cpu"]]


def room(pods: list[Any], nodes: Any) -> dict[str, int]:
    free = dict.fromkeys(nodes, 4000)
    for each in pods:
        if node_of(each) in free and each["status"]["phase"] not in ("Succeeded", "Failed"):
            free[node_of(each)] -= request(each)
    return free


def wrong(pods: list[Any], nodes: set[str]) -> str:
    """What is not yet as it must be in the end; "" when all is well."""
    free = room(pods, nodes)
    for each in pods:
        name = each["metadata"]["name"]
        if each["metadata"].get("deletionTimestamp"):
            return f"{name} is terminating"
        if node_of(each) or each["status"]["phase"] in ("Succeeded", "Failed"):
            continue
        if any(left >= request(each) for left in free.values()):
            return f"{name} has no node although there is room: {free}"
        if scheduled(each).get("status") != "False":
            return f"{name} is not told why it has no node"
        lower = [
            other
            for other in pods
            if node_of(other) in nodes
            and other["spec"]["priority"] < each["spec"]["priority"]
            and other["status"]["phase"] not in ("Succeeded", "Failed")
        ]
        for node in nodes:
            gain = sum(request(other) for other in lower if node_of(other) == node)
            if free[node] + gain >= request(each):
                return f"{name} could preempt on {node}"
    return ""
