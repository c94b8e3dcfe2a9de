"""What a test does in a namespace of its own: apply, look, change, and wait for states::

kube.apply(MANIFEST)
kube.wait("deployment", "web", is_rolled_out)
kube.scale("deployment", "web", 5)
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kubelite.client.client import Batch, Client, Selection
from kubelite.client.resources import EVENTS, PODS, GroupVersionResource
from kubelite.lib import manifest_yaml
from kubelite.lib.json import Object
from kubelite.objects.facts import labels
from kubelite.testing.cluster import Cluster
from kubelite.testing.pod_status import PodScript
from kubelite.testing.served_kinds import named, of_type

Predicate = Callable[[Object], Any]
Objects = list[Object]
Manifest = str | Path | Mapping[str, Any]
WAIT_SECONDS = 20.0
MAX_WARNINGS = 10


class Kube:
    """The administrator's view of one namespace. Kinds are named as kubectl names them.

    ``kubeconfig`` is for any client, ``env`` for programs: ``subprocess.run(["kubectl", ...],
    env=kube.env)``.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.kubeconfig = cluster.kubeconfig(namespace)
        self.env = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        self._client: Client = cluster.client

    # Objects

    def apply(self, manifest: Manifest) -> Objects:
        """Server-side apply of every document of a manifest: YAML, a file, or an object. Objects
        without a namespace come into the test's. Returns them as they are stored.
        """
        documents = _documents(manifest)
        return [self.cluster.run(self._apply(document)) for document in documents]

    def get(self, kind: str, name: str) -> Object:
        """The object. Raises NotFound."""
        return self.cluster.run(self._get(kind, name))

    def list(self, kind: str, selector: str = "") -> Objects:
        """The objects of a kind, in the order of their names; ``selector`` is one of labels."""
        return self.cluster.run(self._list(kind, selector))

    def patch(self, kind: str, name: str, patch: Mapping[str, Any], sub: str = "") -> Object:
        """A merge patch. Returns the object."""
        return self.cluster.run(self._patch(kind, name, patch, sub))

    def scale(self, kind: str, name: str, replicas: int) -> None:
        """Sets the wanted number of replicas."""
        self.patch(kind, name, {"spec": {"replicas": replicas}}, "scale")

    def delete(self, kind: str, name: str, propagation: str = "") -> None:
        """Deletes an object; ``propagation`` is Background, Foreground or Orphan, "" the kind's
        default.
        """
        self.cluster.run(self._delete(kind, name, propagation))

    def events(self, reason: str = "") -> Objects:
        """The namespace's Events, all or those with a reason."""
        events = self.cluster.run(self._client.list(EVENTS, self.namespace)).items
        return [event for event in events if reason in ("", event["reason"])]

    # Waiting

    def wait(
        self, kind: str, name: str, predicate: Predicate, seconds: float = WAIT_SECONDS
    ) -> Object:
        """Returns the object once the predicate is true of it; a field that it has not yet counts
        as false. Raises AssertionError with the object's state when that takes too long.
        """
        return self.cluster.run(self._wait(kind, name, predicate, seconds))

    def wait_gone(self, kind: str, name: str, seconds: float = WAIT_SECONDS) -> None:
        """Returns when there is no such object. Raises AssertionError when that takes too long."""
        self.cluster.run(self._wait_gone(kind, name, seconds))

    # Pods

    def script(self, selector: str, script: PodScript, times: int | None = None) -> None:
        """What becomes of pods with these labels that are still to come: of the next ``times`` of
        them, None for all. The script given last counts.
        """
        self.cluster.kubelet.script(self.namespace, labels.parse(selector), script, times)

    def rescript(self, pod: str, script: PodScript) -> None:
        """What becomes of a pod from now on: ``rescript("web-0", PodScript(ready=False))``."""
        self.cluster.run(self._rescript(pod, script))

    # The same as coroutines, in the loop of the control plane

    async def _apply(self, document: Mapping[str, Any]) -> Object:
        kind = await of_type(self._client, document["apiVersion"], document["kind"])
        metadata = dict(document.get("metadata") or {})
        if kind.namespaced:
            metadata.setdefault("namespace", self.namespace)
        body = {**document, "metadata": metadata}
        return await self._client.apply(kind.resource, body, field_manager="test", force=True)

    async def _named(self, word: str) -> tuple[GroupVersionResource, str]:
        """The resource, and the namespace in which its objects are looked for."""
        kind = await named(self._client, word)
        return kind.resource, self.namespace if kind.namespaced else ""

    async def _get(self, kind: str, name: str) -> Object:
        resource, namespace = await self._named(kind)
        return await self._client.get(resource, name, namespace)

    async def _list(self, kind: str, selector: str) -> Objects:
        resource, namespace = await self._named(kind)
        page = await self._client.list(resource, namespace, label_selector=selector)
        return sorted(page.items, key=lambda obj: str(obj["metadata"]["name"]))

    async def _patch(self, kind: str, name: str, patch: Mapping[str, Any], sub: str) -> Object:
        resource, namespace = await self._named(kind)
        return await self._client.patch(resource, name, patch, namespace, sub=sub)

    async def _delete(self, kind: str, name: str, propagation: str) -> None:
        resource, namespace = await self._named(kind)
        await self._client.delete(resource, name, namespace, propagation=propagation)

    async def _rescript(self, name: str, script: PodScript) -> None:
        pod = await self._client.get(PODS, name, self.namespace)
        self.cluster.kubelet.rescript(pod, script)

    async def _wait(self, kind: str, name: str, predicate: Predicate, seconds: float) -> Object:
        last: Object | None = None
        try:
            async with asyncio.timeout(seconds), self._watch(kind, name) as states:
                async for last in states:
                    if last is not None and _holds(predicate, last):
                        return last
        except TimeoutError:
            pass
        raise await self._failure(kind, name, last, seconds)

    async def _wait_gone(self, kind: str, name: str, seconds: float) -> None:
        last: Object | None = None
        try:
            async with asyncio.timeout(seconds), self._watch(kind, name) as states:
                async for last in states:
                    if last is None:
                        return
        except TimeoutError:
            pass
        raise await self._failure(kind, name, last, seconds)

    @asynccontextmanager
    async def _watch(self, kind: str, name: str) -> AsyncIterator[AsyncIterator[Object | None]]:
        """The states of an object from now on, None where it is not there."""
        resource, namespace = await self._named(kind)
        selection = Selection(namespace, field_selector=f"metadata.name={name}")
        async with self._client.watch(resource, selection, initial_events=True) as batches:
            yield _states(batches)

    async def _failure(
        self, kind: str, name: str, last: Object | None, seconds: float
    ) -> AssertionError:
        """What is to be said after a wait in vain."""
        state = "it does not exist"
        if last is not None:
            state = f"its status is {json.dumps(last.get('status') or {}, indent=2)}"
        events = (await self._client.list(EVENTS, self.namespace)).items
        warnings = [
            f"\n{event['involvedObject']['kind']} {event['involvedObject']['name']}: "
            f"{event['reason']}: {event.get('message', '')}"
            for event in events
            if event.get("type") == "Warning"
        ]
        what = (
            f'{kind} "{name}" in {self.namespace} is not as expected after {seconds:g} s: {state}'
        )
        return AssertionError(what + "".join(warnings[-MAX_WARNINGS:]))


async def _states(batches: AsyncIterator[Batch]) -> AsyncIterator[Object | None]:
    is_there = False
    async for batch in batches:
        for event in batch:
            if event.type == "BOOKMARK":
                if not is_there:
                    yield None
                continue
            is_there = event.type != "DELETED"
            yield event.object if is_there else None


def _holds(predicate: Predicate, obj: Object) -> bool:
    try:
        return bool(predicate(obj))
    except (LookupError, TypeError):
        return False  # a field that is not there yet


def _documents(manifest: Manifest) -> Objects:
    if isinstance(manifest, Mapping):
        return [dict(manifest)]
    text = manifest.read_bytes() if isinstance(manifest, Path) else manifest
    return [document.value for document in manifest_yaml.documents(text) if document.value]


# What is often waited for


def has_condition(type_: str, status: str = "True") -> Predicate:
    """True of an object with a condition: ``has_condition("Available")``."""

    def holds(obj: Object) -> bool:
        conditions = obj["status"].get("conditions") or ()
        return any(
            (condition["type"], condition["status"]) == (type_, status) for condition in conditions
        )

    return holds


def is_rolled_out(obj: Object) -> bool:
    """True of a Deployment, StatefulSet or DaemonSet all of whose pods are of its current template
    and available.
    """
    status = obj["status"]
    if status.get("observedGeneration") != obj["metadata"].get("generation"):
        return False
    if "desiredNumberScheduled" in status:
        wanted = status["desiredNumberScheduled"]
        counts = ("updatedNumberScheduled", "numberAvailable")
        return all(status.get(count, 0) == wanted for count in counts)
    wanted = obj["spec"]["replicas"]
    return all(
        status.get(count, 0) == wanted
        for count in ("replicas", "updatedReplicas", "availableReplicas")
    )
