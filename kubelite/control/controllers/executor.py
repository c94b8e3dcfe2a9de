"""Carries out the steps of a plan through a client, as the controller's user."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from kubelite.client.client import Client
from kubelite.client.errors import ApiError, ClientError, NotFound, Unreachable
from kubelite.control.controllers.actions import (
    Action,
    Clear,
    Confirm,
    Create,
    Delete,
    Emit,
    Outcome,
    Patch,
    Plan,
    Post,
    Read,
    Refusal,
    Step,
    Update,
)
from kubelite.control.controllers.clearing import clear
from kubelite.control.controllers.shared.meta import Obj, is_deleting, uid_of

PARALLEL = 64
"""At most so many requests of a step are under way at once."""


class Recorder(Protocol):
    """Writes Events, in its own time."""

    def event(self, regarding: Obj, type_: str, reason: str, message: str) -> None:
        """Records one."""


class Executor:
    """Carries out plans. What a plan looked at may have changed: the server's conditions decide."""

    def __init__(self, client: Client, recorder: Recorder) -> None:
        self._client = client
        self._recorder = recorder

    async def run(self, plan: Plan) -> list[Outcome]:
        """Carries out a plan as far as it goes. The last outcomes hold what ended it early."""
        outcomes: list[Outcome] = []
        await self._run(plan.steps, outcomes)
        return outcomes

    async def _run(self, steps: Iterable[Action | Step], outcomes: list[Outcome]) -> bool:
        """Whether all of it went well enough to go on."""
        for step in steps:
            group = step if isinstance(step, Step) else Step((step,))
            results = await self._step(group)
            outcomes += results
            goes_on = all(outcome.refusal is None for outcome in results) or group.tolerant
            if group.then is not None:
                goes_on = await self._run(group.then(tuple(results)), outcomes) and goes_on
            if not goes_on:
                return False
        return True

    async def _step(self, step: Step) -> list[Outcome]:
        if step.order == "parallel":
            return await self._at_once(step.actions)
        outcomes: list[Outcome] = []
        rest, size = step.actions, 1
        while rest and not any(outcome.refusal for outcome in outcomes):
            outcomes += await self._at_once(rest[:size])
            rest = rest[size:]
            size *= 2 if step.order == "slow start" else 1
        return outcomes

    async def _at_once(self, actions: Sequence[Action]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for start in range(0, len(actions), PARALLEL):
            part = actions[start : start + PARALLEL]
            if len(part) == 1:
                outcomes.append(await self._act(part[0]))
            else:
                outcomes += await asyncio.gather(*map(self._act, part))
        return outcomes

    async def _act(self, action: Action) -> Outcome:
        if isinstance(action, Emit):
            self._recorder.event(action.regarding, action.type, action.reason, action.message)
            return Outcome(action)
        try:
            return Outcome(action, await self._request(action))
        except NotFound as error:
            if isinstance(action, Delete | Patch):
                return Outcome(action)
            return Outcome(action, None, _refusal(error))
        except ApiError as error:
            return Outcome(action, None, _refusal(error))
        except Unreachable as error:
            return Outcome(action, None, Refusal(0, "Unreachable", str(error)))
        except ClientError as error:
            return Outcome(action, None, Refusal(0, type(error).__name__, str(error)))

    async def _request(
        self, action: Create | Update | Patch | Delete | Post | Confirm | Read | Clear
    ) -> Obj:
        client = self._client
        match action:
            case Create(resource, body):
                return await client.create(resource, body)
            case Update(resource, body, sub):
                return await client.update(resource, body, sub=sub)
            case Patch(resource, namespace, name, body, type_, sub):
                return await client.patch(resource, name, body, namespace, kind=type_, sub=sub)
            case Post(resource, namespace, name, sub, body):
                return await client.create(resource, body, namespace, name=name, sub=sub)
            case Delete():
                return await self._delete(action)
            case Confirm():
                return await self._confirm(action)
            case Read(resource, namespace, name, sub) if name:
                return await client.get(resource, name, namespace, sub=sub)
            case Read(resource, namespace, label_selector=selector):
                page = await client.list(resource, namespace, label_selector=selector)
                return {"items": page.items}
            case Clear(namespace, only):
                return await clear(client, namespace, only)

    async def _delete(self, action: Delete) -> Obj:
        return await self._client.delete(
            action.resource,
            action.name,
            action.namespace,
            propagation=action.propagation,
            grace_seconds=action.grace,
            uid=action.uid,
            resource_version=action.resource_version,
        )

    async def _confirm(self, action: Confirm) -> Obj:
        obj = await self._client.get(action.resource, action.name, action.namespace)
        is_ending = is_deleting(obj) and not action.may_be_deleting
        if uid_of(obj) != action.uid or is_ending:
            what = f'{action.resource} "{action.name}" is not what it was, or is being deleted'
            raise NotFound(404, {"reason": "NotFound", "message": what})
        return obj


def _refusal(error: ApiError) -> Refusal:
    causes = tuple(str(cause.get("reason") or "") for cause in error.causes)
    return Refusal(error.code, error.reason, error.message, causes)
