"""Why a pod is pending: what the scheduler says of each node, over the objects that the user may
see.
"""

from __future__ import annotations

import asyncio
from typing import Any

from kubelite.client.client import Client
from kubelite.client.http import HttpTransport
from kubelite.client.resources import GroupVersionResource
from kubelite.control.api.wire.status import bad_request, internal
from kubelite.lib.json import Object
from kubelite.ui.api_lookup import api_refusals, find_pod


class Placement:
    """Decides as the default scheduler would now; nothing is written."""

    def __init__(self, transport: HttpTransport) -> None:
        self._client = Client(transport, user_agent="kubelite-ui")

    async def explain(self, namespace: str, name: str) -> Object:
        """The decision about a pod that is on no node, in the form of ``kubelite scheduler explain
        -o json``. Raises StatusError.
        """
        pod = await find_pod(self._client, namespace, name)
        if node := pod["spec"].get("nodeName"):
            raise bad_request(f"pod {name} is on node {node}")
        from kubelite.control.scheduler.loop.view import served_kinds

        with api_refusals():
            kinds = await served_kinds(self._client)
            lists = await asyncio.gather(
                *(self._list(kind, resource) for kind, resource in kinds.items())
            )
        cluster = [
            obj for objects in lists for obj in objects if obj["metadata"] != pod["metadata"]
        ]
        return await asyncio.to_thread(_decide, cluster, pod)

    async def _list(self, kind: str, resource: GroupVersionResource) -> list[Object]:
        page = await self._client.list(resource)
        return [{**obj, "kind": kind} for obj in page.items]


def _decide(cluster: list[Object], pod: Object) -> dict[str, Any]:
    """Blocks for as long as a decision takes. Raises StatusError."""
    from kubelite.control.scheduler import SchedulerError, explain

    try:
        return explain(cluster, pod)
    except SchedulerError as error:
        raise internal(str(error)) from error
