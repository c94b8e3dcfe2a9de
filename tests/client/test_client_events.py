"""Events: aggregation, counts and spam limits as client-go has them, seen on a real API server."""

from __future__ import annotations

import asyncio
from typing import Any

from kubelite.client.client import Client
from kubelite.client.correlation import COMBINED, Correlator, Occurrence
from kubelite.client.events import EventRecorder, SeriesRecorder
from kubelite.client.leader import LeaderElector, Times
from kubelite.client.resources import EVENTS, LEASES, PODS
from tests.client.servers import pod, served


def occurrence(message: str, reason: str = "Why") -> Occurrence:
    return Occurrence("test", (("kind", "Pod"), ("name", "web")), "Normal", reason, message)


def test_equal_events_are_counted_on_the_first() -> None:
    correlator = Correlator()
    first = correlator.judge(occurrence("a"), 0.0)
    assert first is not None and (first.times, first.name) == (1, "")
    correlator.written(first, "web.1")
    second = correlator.judge(occurrence("a"), 1.0)
    assert second is not None
    assert (second.times, second.name, second.first_seen) == (2, "web.1", 0.0)


def test_the_tenth_similar_message_is_combined() -> None:
    correlator = Correlator()
    verdicts = [correlator.judge(occurrence(f"m{n}"), 0.0) for n in range(12)]
    messages = [verdict.message for verdict in verdicts if verdict]
    assert messages[:9] == [f"m{n}" for n in range(9)]
    assert messages[9:] == [f"{COMBINED}m{n}" for n in (9, 10, 11)]
    assert [verdict.times for verdict in verdicts[9:] if verdict] == [1, 2, 3]
    later = correlator.judge(occurrence("m99"), 1000.0)
    assert later is not None and later.message == "m99"


def test_an_object_may_cause_25_events_and_one_per_five_minutes() -> None:
    correlator = Correlator()
    allowed = [correlator.judge(occurrence("a", f"R{n}"), 0.0) for n in range(40)]
    assert sum(verdict is not None for verdict in allowed) == 25
    assert correlator.judge(occurrence("a"), 299.0) is None
    assert correlator.judge(occurrence("a"), 301.0) is not None


async def events(client: Client, count: int) -> list[Any]:
    for _ in range(200):
        items = (await client.list(EVENTS, "default")).items
        if len(items) >= count:
            return items
        await asyncio.sleep(0.01)
    raise AssertionError(items)


async def test_core_events_on_a_server(tmp_path) -> None:
    async with served(tmp_path) as (_, client):
        web = await client.create(PODS, pod("web"))
        recorder = EventRecorder(client, "job-controller")
        for _ in range(3):
            recorder.event(web, "Warning", "Failed", "it failed")
        await recorder.close()
        (event,) = await events(client, 1)
        assert (event["count"], event["reason"], event["type"]) == (3, "Failed", "Warning")
        assert event["source"] == {"component": "job-controller"}
        assert event["reportingComponent"] == "job-controller"
        assert event["involvedObject"]["uid"] == web["metadata"]["uid"]


async def test_series_on_a_server(tmp_path) -> None:
    async with served(tmp_path) as (_, client):
        web = await client.create(PODS, pod("web"))
        recorder = SeriesRecorder(client, "default-scheduler", "default-scheduler-host")
        for _ in range(3):
            recorder.event(web, "Warning", "FailedScheduling", "Scheduling", "0/1 nodes")
        recorder.event(web, "Normal", "Scheduled", "Binding", "assigned")
        await recorder.close()
        first, second = await events(client, 2)
        assert first["reportingComponent"] == "default-scheduler"
        assert first["message"] == "0/1 nodes" and first["series"]["count"] >= 1
        assert second["reason"] == "Scheduled" and "series" not in second


async def test_one_candidate_leads_and_the_next_takes_over(tmp_path) -> None:
    async with served(tmp_path) as (_, client):
        times = Times(lease=1.0, renew_deadline=0.6, retry=0.1)
        leading: list[str] = []

        def candidate(name: str) -> asyncio.Task[None]:
            async def lead() -> None:
                leading.append(name)
                try:
                    await asyncio.Event().wait()
                finally:
                    leading.remove(name)

            elector = LeaderElector(client, "kube-system", "test", name, times)
            return asyncio.create_task(elector.run(lead))

        first = candidate("a")
        await asyncio.sleep(0.05)
        second = candidate("b")
        await asyncio.sleep(1.5)
        assert leading == ["a"]
        first.cancel()
        await asyncio.wait([first])
        for _ in range(100):
            await asyncio.sleep(0.05)
            if leading:
                break
        assert leading == ["b"]
        lease = await client.get(LEASES, "test", "kube-system")
        assert lease["spec"]["holderIdentity"] == "b"
        assert lease["spec"]["leaseTransitions"] == 1
        second.cancel()
        await asyncio.wait([second])
