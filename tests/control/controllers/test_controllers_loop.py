"""The loop: order per key, back-off, timers, and plans that see their own writes, over a real
server in this process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kubelite.client.client import Client
from kubelite.client.events import EventRecorder
from kubelite.client.informers import Informers
from kubelite.client.resources import CONFIG_MAPS
from kubelite.control.controllers.actions import NOTHING, Create, Patch, Plan, Step, Update
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.executor import Executor
from kubelite.control.controllers.live_view import LiveView
from kubelite.control.controllers.loop import ControllerLoop
from kubelite.testing.clock import ManualClock
from tests.client.servers import served


class Running:
    def __init__(self, client: Client, loop: ControllerLoop, clock: ManualClock) -> None:
        self.client, self.loop, self.clock = client, loop, clock

    async def idle(self) -> None:
        """Until the loop has been idle for a moment."""
        quiet = 0
        async with asyncio.timeout(10):
            while quiet < 5:
                await asyncio.sleep(0.005)
                quiet = quiet + 1 if self.loop.is_idle else 0


@asynccontextmanager
async def running(path: Path, plan: Any, *, workers: int = 2) -> AsyncIterator[Running]:
    controller = Controller("test", "test", "test", {CONFIG_MAPS: own_key}, plan, workers)
    async with served(path) as (_, client), Informers(client, check_shared=True) as informers:
        clock = ManualClock()
        recorder = EventRecorder(client, "test")
        loop = ControllerLoop(controller, LiveView(informers), Executor(client, recorder), clock)
        await loop.start()
        yield Running(client, loop, clock)
        await loop.close()
        await recorder.close()


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }


def counts_to(limit: int) -> Any:
    """A plan that counts a number in each ConfigMap up, one at a time."""
    plans: list[int] = []

    def plan(view: Any, key: Any, now: float) -> Plan:
        obj = view.get(CONFIG_MAPS, *key)
        if obj is None or "n" not in (obj.get("data") or {}):
            return NOTHING
        number = int(obj["data"]["n"])
        plans.append(number)
        if number >= limit:
            return NOTHING
        return Plan((Update(CONFIG_MAPS, {**obj, "data": {"n": str(number + 1)}}),))

    return plan, plans


async def test_each_plan_sees_the_write_of_the_one_before(tmp_path) -> None:
    plan, plans = counts_to(20)
    async with running(tmp_path, plan) as world:
        await world.client.create(CONFIG_MAPS, config_map("a", n="0"))
        async with asyncio.timeout(10):
            while (await world.client.get(CONFIG_MAPS, "a", "default"))["data"]["n"] != "20":
                await asyncio.sleep(0.01)
        await world.idle()
        assert sorted(set(plans)) == list(range(21))
        assert world.clock.due() == []  # nothing was refused for being late


async def test_a_refused_write_is_tried_again_later_each_time(tmp_path) -> None:
    attempts: list[float] = []

    def plan(view: Any, key: Any, now: float) -> Plan:
        if key[1] != "a":
            return NOTHING
        attempts.append(now)
        return Plan((Create(CONFIG_MAPS, config_map("a")), Create(CONFIG_MAPS, config_map("b"))))

    async with running(tmp_path, plan) as world:
        await world.client.create(CONFIG_MAPS, config_map("a"))
        delays = []
        for _ in range(5):
            await world.idle()
            (when,) = world.clock.due()
            delays.append(round(when - world.clock.time, 4))
            world.clock.advance(when - world.clock.time)
        assert delays == [0.005, 0.01, 0.02, 0.04, 0.08]
        await world.idle()
        names = [each["metadata"]["name"] for each in (await world.client.list(CONFIG_MAPS)).items]
        assert "b" not in names  # the plan ended at its first refusal


async def test_changes_during_the_rest_after_a_costly_plan_are_one_plan(tmp_path) -> None:
    seen: list[str] = []

    def plan(view: Any, key: Any, now: float) -> Plan:
        obj = view.get(CONFIG_MAPS, *key)
        if key[1] == "a" and obj is not None:
            seen.append(obj["data"]["n"])
            time.sleep(0.02)
        return NOTHING

    async with running(tmp_path, plan) as world:
        await world.client.create(CONFIG_MAPS, config_map("a", n="0"))
        for number in range(1, 16):
            patch = {"data": {"n": str(number)}}
            await world.client.patch(CONFIG_MAPS, "a", patch, "default")
            await asyncio.sleep(0.02)
        await world.idle()
        assert seen[-1] == "15"
        assert len(seen) < 10, "each change was a plan of its own"


async def test_a_fault_in_a_plan_stops_no_other_key(tmp_path, caplog) -> None:
    planned: set[str] = set()

    def plan(view: Any, key: Any, now: float) -> Plan:
        if key[1] == "bad":
            raise ZeroDivisionError
        planned.add(key[1])
        return NOTHING

    async with running(tmp_path, plan) as world:
        await world.client.create(CONFIG_MAPS, config_map("bad"))
        await world.client.create(CONFIG_MAPS, config_map("good"))
        await world.idle()
        assert "good" in planned
        assert "the plan for default/bad failed" in caplog.text


async def test_a_plan_is_woken_when_it_asks(tmp_path) -> None:
    times: list[float] = []

    def plan(view: Any, key: Any, now: float) -> Plan:
        if key[1] != "a":
            return NOTHING
        times.append(now)
        return Plan((), now + 60 if len(times) < 3 else None)

    async with running(tmp_path, plan) as world:
        await world.client.create(CONFIG_MAPS, config_map("a"))
        for _ in range(4):
            await world.idle()
            world.clock.advance(59)
            await world.idle()
            world.clock.advance(1)
        assert times == [1000, 1060, 1120]


async def test_a_write_without_effect_is_not_repeated_at_once(tmp_path) -> None:
    plans = 0

    def plan(view: Any, key: Any, now: float) -> Plan:
        nonlocal plans
        obj = view.get(CONFIG_MAPS, *key)
        if obj is None or key[1] != "a":
            return NOTHING
        plans += 1
        return Plan((Update(CONFIG_MAPS, dict(obj)),))

    async with running(tmp_path, plan) as world:
        await world.client.create(CONFIG_MAPS, config_map("a"))
        await world.idle()
        assert plans == 1
        assert len(world.clock.due()) == 1


async def test_no_key_is_carried_out_twice_at_once(tmp_path) -> None:
    busy: set[Any] = set()
    most = 0

    def plan(view: Any, key: Any, now: float) -> Plan:
        nonlocal most
        obj = view.get(CONFIG_MAPS, *key)
        if obj is None or int((obj.get("data") or {}).get("n", "9")) >= 5:
            return NOTHING
        assert key not in busy
        busy.add(key)
        most = max(most, len(busy))
        patch = Patch(CONFIG_MAPS, *key, {"data": {"n": str(int(obj["data"]["n"]) + 1)}}, "merge")

        def done(outcomes: Any) -> tuple[()]:
            busy.discard(key)
            return ()

        return Plan((Step((patch,), done),))

    async with running(tmp_path, plan, workers=3) as world:
        for number in range(8):
            await world.client.create(CONFIG_MAPS, config_map(f"m{number}", n="0"))
        await world.idle()
        listed = (await world.client.list(CONFIG_MAPS, "default")).items
        assert all((each.get("data") or {}).get("n", "5") == "5" for each in listed)
        assert most <= 3


@pytest.mark.parametrize("order", ["serial", "parallel", "slow start"])
async def test_the_order_of_a_step(tmp_path, order: Any) -> None:
    seen: list[int] = []

    def plan(view: Any, key: Any, now: float) -> Plan:
        if key[1] != "start" or seen:
            return NOTHING
        bodies = [config_map(f"x{number}") for number in range(10)]
        bodies[4]["metadata"]["name"] = "Not Allowed"
        actions = tuple(Create(CONFIG_MAPS, body) for body in bodies)

        def count(outcomes: Any) -> tuple[()]:
            seen.append(len(outcomes))
            return ()

        return Plan((Step(actions, count, order),))

    async with running(tmp_path, plan) as world:
        await world.client.create(CONFIG_MAPS, config_map("start"))
        await world.idle()
        assert seen == [{"serial": 5, "parallel": 10, "slow start": 7}[order]]
