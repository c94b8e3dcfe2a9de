"""The view that plans get in a running cluster: it stands on informers, which all controllers
share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kubelite.client.informers import Informer, Informers
from kubelite.client.resources import GroupVersionResource
from kubelite.control.controllers.actions import Create, Delete, Emit, Outcome, Patch, Post, Update
from kubelite.control.controllers.shared.meta import Obj, is_deleting, uid_of
from kubelite.control.controllers.view import ORPHAN, orphan_keys

CATCH_UP_SECONDS = 300.0
"""A view that has not caught up for so long is used all the same: the server refuses what is wrong.
"""


class LiveView:
    """Reads informers, and waits until they contain what was written."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers
        self._known: dict[GroupVersionResource, Informer] = {}
        self._drops: set[asyncio.Task[None]] = set()

    def informer(self, resource: GroupVersionResource, *, metadata_only: bool = False) -> Informer:
        """The informer of a resource, which is started with it."""
        informer = self._known.get(resource)
        if informer is None:
            informer = self._informers.of(resource, metadata_only=metadata_only)
            self._known[resource] = informer
            informer.add_index(ORPHAN, orphan_keys)
        return informer

    def forget(self, resource: GroupVersionResource) -> None:
        """Ends the informer of a resource that is no longer served."""
        if self._known.pop(resource, None) is not None:
            task = asyncio.get_running_loop().create_task(self._informers.drop(resource))
            self._drops.add(task)
            task.add_done_callback(self._drops.discard)

    def get(self, resource: GroupVersionResource, namespace: str, name: str) -> Obj | None:
        return self.informer(resource).get(namespace, name)

    def list(self, resource: GroupVersionResource, namespace: str = "") -> Sequence[Obj]:
        return self.informer(resource).list(namespace or None)

    def by_index(self, resource: GroupVersionResource, index: str, key: str) -> Sequence[Obj]:
        return self.informer(resource).by_index(index, key)

    async def catch_up(self, outcomes: Sequence[Outcome]) -> bool:
        """Waits until the view contains what was written. False where that takes too long: then the
        view is old, and whoever plans with it is refused by the server.
        """
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                for outcome in outcomes:
                    if outcome.refusal is None:
                        await self._contain(outcome)
        except TimeoutError:
            return False
        return True

    async def _contain(self, outcome: Outcome) -> None:
        match outcome.action:
            case Create(resource) | Update(resource) | Patch(resource):
                if outcome.result is not None and resource in self._known:
                    await self._known[resource].at_least(outcome.result)
            case Delete() as action if action.resource in self._known:
                await self._contain_deletion(action, outcome.result)
            case Post() | Emit():
                pass

    async def _contain_deletion(self, action: Delete, result: Obj | None) -> None:
        """The answer to a deletion need not tell its revision: what counts is that the object is
        seen to be gone or going.
        """
        informer = self._known[action.resource]
        if result is not None and is_deleting({"metadata": {}, **result}):
            await informer.at_least(result)
        while True:
            obj = informer.get(action.namespace, action.name)
            if obj is None or is_deleting(obj) or (action.uid and uid_of(obj) != action.uid):
                return
            await informer.at_least(informer.revision + 1)
