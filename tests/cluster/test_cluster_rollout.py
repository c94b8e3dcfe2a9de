"""Requests at a steady rate while the pods behind a Service are replaced and removed."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from tests.cluster.world import Cluster, eventually

RATE = 200
"""Requests a second, each over a connection of its own."""
SERVER = """
import asyncio, os
async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    body = os.environ["RELEASE"].encode()
    writer.write(b"HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    await writer.drain()
    writer.close()
async def main():
    async with await asyncio.start_server(answer, "", 8080, backlog=512) as server:
        await server.serve_forever()
asyncio.run(main())
"""
WEB = """
apiVersion: v1
kind: ConfigMap
metadata: {name: server}
data:
  server.py: |
    SERVER
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 10
      volumes: [{name: server, configMap: {name: server}}]
      containers:
      - name: a
        image: host
        command: [python3, /server/server.py]
        env: [{name: RELEASE, value: "1"}]
        volumeMounts: [{name: server, mountPath: /server}]
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
        lifecycle: {preStop: {sleep: {seconds: 3}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


class Load:
    """Requests at :data:`RATE`, sent when their time has come, whatever became of those before."""

    def __init__(self, url: str) -> None:
        self.answers: Counter[str] = Counter()
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            loop, tasks = asyncio.get_running_loop(), []
            begin = loop.time()
            while not self._stop.is_set():
                await asyncio.sleep(begin + len(tasks) / RATE - loop.time())
                tasks.append(asyncio.create_task(self._ask(session)))
            await asyncio.gather(*tasks)

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        try:
            async with session.get(self._url) as answer:
                self.answers[f"{answer.status} {await answer.text()}"] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            self.answers[repr(error)] += 1

    @contextmanager
    def running(self) -> Iterator[Counter[str]]:
        """The answers so far; all of them when it is over."""
        self._thread.start()
        try:
            yield self.answers
        finally:
            self._stop.set()
            self._thread.join()


def test_no_request_is_lost_while_pods_are_replaced_and_the_last_one_ends(cluster: Cluster) -> None:
    cluster.apply(WEB.replace("SERVER", SERVER.strip().replace("\n", "\n    ")))
    cluster.kubectl("wait", "--for=condition=Available", "deploy/web", "--timeout=60s")
    port = cluster.get("service", "web")["spec"]["ports"][0]["nodePort"]
    with Load(f"http://127.0.0.1:{port}/").running() as answers:
        eventually(lambda: answers["200 1"] > RATE)
        cluster.kubectl("set", "env", "deploy/web", "RELEASE=2")
        cluster.kubectl("rollout", "status", "deploy/web", "--timeout=120s")
        eventually(lambda: answers["200 2"] > RATE)
        cluster.kubectl("scale", "deploy/web", "--replicas=0")
        eventually(lambda: all_ending(cluster))
        before = answers["200 2"]
        eventually(lambda: answers["200 2"] > before + RATE // 2)
    assert set(answers) == {"200 1", "200 2"}, answers


def all_ending(cluster: Cluster) -> bool:
    """Whether every endpoint is terminating and still serves."""
    slices = cluster.get("endpointslices", "-l", "kubernetes.io/service-name=web")["items"]
    conditions = [e["conditions"] for s in slices for e in s.get("endpoints") or ()]
    return bool(conditions) and all(c["terminating"] and c["serving"] for c in conditions)
