"""What a scheduler writes: bindings, conditions, claims, deletions. No decision is made here."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from kubelite.client.client import Client
from kubelite.client.errors import ClientError, Conflict, NotFound, ServerError, Unreachable
from kubelite.client.events import SeriesRecorder
from kubelite.client.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS
from kubelite.control.scheduler.loop import conditions
from kubelite.control.scheduler.loop.changes import node_of, scheduler_name
from kubelite.objects.facts.local_volumes import SELECTED_NODE

Object = Mapping[str, Any]

BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
MAX_MESSAGE = 1024
RETRY_SECONDS = (0.1, 0.5, 2.0, 5.0, 10.0)

_log = logging.getLogger("kubelite.scheduler")


class Writer:
    """Requests to the API, and Events about them."""

    def __init__(self, client: Client, recorder: SeriesRecorder) -> None:
        self._client = client
        self._recorder = recorder

    async def bind(self, pod: Object, node: str) -> None:
        """Assigns a pod to a node. Raises ClientError."""
        metadata = pod["metadata"]
        await self._client.bind(metadata["namespace"], metadata["name"], node, uid=metadata["uid"])
        self._say_scheduled(pod, node)

    async def is_bound(self, pod: Object, node: str) -> bool:
        """Whether a binding whose answer was lost has been carried out. Asks until there is an
        answer.
        """
        metadata = pod["metadata"]
        for pause in itertools.chain(RETRY_SECONDS, itertools.repeat(RETRY_SECONDS[-1])):
            try:
                present = await self._client.get(PODS, metadata["name"], metadata["namespace"])
            except (Unreachable, ServerError):
                await asyncio.sleep(pause)
                continue
            except ClientError:
                return False
            is_bound = present["metadata"]["uid"] == metadata["uid"] and node_of(present) == node
            if is_bound:
                self._say_scheduled(pod, node)
            return is_bound
        return False

    def _say_scheduled(self, pod: Object, node: str) -> None:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self._recorder.event(
            pod,
            "Normal",
            "Scheduled",
            "Binding",
            f"Successfully assigned {namespace}/{name} to {node}",
            controller=scheduler_name(pod),
        )

    async def report_failure(
        self, pod: Object, reason: str, message: str, nominated: str | None = None
    ) -> None:
        """Says in an Event and in the pod's condition why it has no node."""
        self._recorder.event(
            pod,
            "Warning",
            "FailedScheduling",
            "Scheduling",
            message[:MAX_MESSAGE],
            controller=scheduler_name(pod),
        )
        condition = conditions.not_scheduled(pod, reason, message, _now())
        await self._patch_status(pod, conditions.status_patch(condition, nominated))

    async def clear_nomination(self, pod: Object) -> None:
        """The room that was made for a pod goes to a more important one."""
        await self._patch_status(pod, conditions.status_patch(None, ""))

    async def preempt(self, pod: Object, node: str, victims: Iterable[Object]) -> None:
        """Evicts pods, each with its own grace period, to make room for a pod on a node."""
        await asyncio.gather(*(self._evict(victim, pod, node) for victim in victims))

    async def _evict(self, victim: Object, pod: Object, node: str) -> None:
        metadata = victim["metadata"]
        condition = conditions.disrupted(victim, scheduler_name(pod), _now())
        await self._patch_status(victim, conditions.status_patch(condition))
        try:
            await _persistently(
                lambda: self._client.delete(
                    PODS, metadata["name"], metadata["namespace"], uid=metadata["uid"]
                )
            )
        except (NotFound, Conflict):
            return  # it has gone by itself
        except ClientError as error:
            _log.warning("pod %s was not preempted: %s", metadata["name"], error)
            return
        self._recorder.event(
            victim,
            "Normal",
            "Preempted",
            "Preempting",
            f"Preempted by pod {pod['metadata']['uid']} on node {node}",
            related=pod,
            controller=scheduler_name(pod),
        )

    async def select_node(self, claim: Object, node: str) -> Object:
        """Asks the provisioner of a claim to make its volume for this node. Returns the claim.
        Raises ClientError.
        """
        metadata = claim["metadata"]
        if (metadata.get("annotations") or {}).get(SELECTED_NODE) == node:
            return claim
        patch = _conditional(metadata, {"annotations": {SELECTED_NODE: node}})
        return await self._client.patch(
            PERSISTENT_VOLUME_CLAIMS, metadata["name"], patch, metadata["namespace"]
        )

    async def reserve_volume(self, volume: Object, claim: Object) -> Object:
        """Binds a volume to a claim; the volume controller binds the claim. Returns the volume.
        Raises ClientError.
        """
        owner = claim["metadata"]
        reference = {
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "namespace": owner["namespace"],
            "name": owner["name"],
            "uid": owner["uid"],
            "resourceVersion": owner["resourceVersion"],
        }
        held = (volume.get("spec") or {}).get("claimRef") or {}
        if held.get("uid") == owner["uid"]:
            return volume
        annotations = {} if held else {"annotations": {BOUND_BY_CONTROLLER: "yes"}}
        patch = _conditional(volume["metadata"], annotations)
        patch["spec"] = {"claimRef": reference}
        return await self._client.patch(PERSISTENT_VOLUMES, volume["metadata"]["name"], patch)

    async def _patch_status(self, pod: Object, patch: dict[str, Any] | None) -> None:
        """Writes it if the pod is still the same one; what is gone needs no status."""
        if patch is None:
            return
        metadata = pod["metadata"]
        patch["metadata"] = {"uid": metadata["uid"]}
        try:
            await _persistently(
                lambda: self._client.patch_status(
                    PODS, metadata["name"], patch, metadata["namespace"], kind="strategic"
                )
            )
        except (NotFound, Conflict):
            pass
        except ClientError as error:
            _log.warning("the status of pod %s was not written: %s", metadata["name"], error)


async def _persistently(write: Callable[[], Awaitable[object]]) -> None:
    """Tries again for a while when the server fails: nobody else would. Raises ClientError."""
    for pause in RETRY_SECONDS:
        try:
            await write()
            return
        except (Unreachable, ServerError):
            await asyncio.sleep(pause)
    await write()


def _conditional(metadata: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A patch that fails where the object is no longer as it was seen."""
    return {"metadata": {"resourceVersion": metadata["resourceVersion"], **change}}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
