"""Webhooks: an AdmissionReview is sent, the answer allows, refuses or patches.

Mutating ones are called one after the other, those that ask for it again when another has changed
the object; validating ones all at once (apiserver, ``admission/plugin/webhook``).
"""

from __future__ import annotations

import asyncio
import base64
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kubelite.control.api.admission.dynamic import matching
from kubelite.control.api.admission.dynamic.expressions import EvaluationError, Scope, all_hold
from kubelite.control.api.admission.dynamic.policies import request_of, versions_of
from kubelite.control.api.admission.dynamic.review import admission_request, as_version
from kubelite.control.api.admission.dynamic.webhook_call import CallFailed, post
from kubelite.control.api.patching import json_patch
from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire.status import StatusError, bad_request, internal
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt
    from kubelite.control.api.admission.dynamic.configured import Configured
    from kubelite.control.api.wire.resource import Resource

_VERSION = "admission.k8s.io/v1"


class Call(NamedTuple):
    """One webhook that is to be called, and the version of the resource it wants."""

    configuration: str
    hook: Object
    matched: Resource


async def mutate(configured: Configured, attempt: Attempt, write: matching.Write) -> None:
    """Calls the mutating webhooks. Raises StatusError."""
    calls = _calls(configured.all("mutatingwebhookconfigurations"), attempt, write)
    changed_after: list[Call] = []
    for call in calls:
        before = attempt.obj
        await _mutate_by(call, attempt)
        if attempt.obj != before:
            changed_after = [
                earlier for earlier in calls[: calls.index(call)] if _wants_more(earlier)
            ]
    for call in changed_after:
        await _mutate_by(call, attempt)


def _wants_more(call: Call) -> bool:
    return call.hook.get("reinvocationPolicy") == "IfNeeded"


async def _mutate_by(call: Call, attempt: Attempt) -> None:
    answer = await _ask(call, attempt)
    if answer is None or not answer.get("patch"):
        return None
    if answer.get("patchType") != "JSONPatch":
        return _failed(call, "the patch type must be JSONPatch")
    try:
        patch = msgspec.json.decode(base64.b64decode(answer["patch"]))
        res = attempt.request.resource
        converted = as_version(attempt.obj, call.matched) or {}
        changed = json_patch.apply(converted, patch)
        conformed, _ = strategy.conform(res, strategy.served(res, changed), old=attempt.old)
    except (ValueError, msgspec.DecodeError, StatusError) as error:
        raise internal(
            f'webhook "{call.hook["name"]}" gave a patch that cannot be applied: {error}'
        ) from error
    attempt.obj = conformed
    return None


async def validate(configured: Configured, attempt: Attempt, write: matching.Write) -> None:
    """Calls the validating webhooks. Raises StatusError."""
    calls = _calls(configured.all("validatingwebhookconfigurations"), attempt, write)
    if not calls:
        return
    results = await asyncio.gather(*(_ask(call, attempt) for call in calls), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _calls(configurations: list[Object], attempt: Attempt, write: matching.Write) -> list[Call]:
    """The webhooks that are about a write. Raises StatusError."""
    calls = []
    for configuration in configurations:
        for hook in configuration.get("webhooks") or ():
            if not matching.selectors_match(
                hook.get("namespaceSelector"), hook.get("objectSelector"), write
            ):
                continue
            matched = matching.matched_resource(
                hook.get("rules") or (),
                hook.get("matchPolicy") or "Equivalent",
                write,
                partial(versions_of, attempt),
            )
            if matched is not None and _conditions_hold(hook, attempt, matched):
                calls.append(Call(configuration["metadata"]["name"], hook, matched))
    return calls


def _conditions_hold(hook: Object, attempt: Attempt, matched: Resource) -> bool:
    if not hook.get("matchConditions"):
        return True
    names = {
        "object": partial(as_version, attempt.obj or None, matched),
        "oldObject": partial(as_version, attempt.old, matched),
        "request": partial(request_of, attempt, matched),
    }
    try:
        return all_hold(hook["matchConditions"], Scope(names))
    except EvaluationError as error:
        if hook.get("failurePolicy", "Fail") == "Ignore":
            return False
        raise _refusal(attempt, hook, f"match conditions: {error}", 403, "Forbidden") from error


async def _ask(call: Call, attempt: Attempt) -> Object | None:
    """The answer of a webhook that allows; None where a failure is ignored. Raises StatusError."""
    hook = call.hook
    if attempt.dry_run and hook.get("sideEffects") not in ("None", "NoneOnDryRun"):
        why = f'admission webhook "{hook["name"]}" does not support dry run'
        raise bad_request(why)
    request = admission_request(attempt, call.matched)
    review = {"kind": "AdmissionReview", "apiVersion": _VERSION, "request": request}
    try:
        seconds = hook.get("timeoutSeconds") or 10
        answer = await post(attempt.context.store, hook["clientConfig"], review, seconds)
        response = _checked(answer, request["uid"])
    except CallFailed as error:
        _failed(call, str(error))
        return None
    for warning in response.get("warnings") or ():
        attempt.warnings.append(str(warning))
    for key, value in (response.get("auditAnnotations") or {}).items():
        attempt.request.notes[f"{hook['name']}/{key}"] = str(value)
    if response.get("allowed") is True:
        return response
    status = response.get("status") or {}
    code = status.get("code") or 403
    text = status.get("message") or status.get("reason") or "denied the request without explanation"
    raise _refusal(attempt, hook, str(text), int(code), str(status.get("reason") or "Forbidden"))


def _refusal(attempt: Attempt, hook: Object, why: str, code: int, reason: str) -> StatusError:
    text = f'admission webhook "{hook["name"]}" denied the request: {why}'
    if why == "denied the request without explanation":
        text = f'admission webhook "{hook["name"]}" {why}'
    return StatusError(code if code >= 400 else 403, reason, text)


def _failed(call: Call, why: str) -> None:
    """What a call that came to nothing means. Raises StatusError unless it is to be ignored."""
    if call.hook.get("failurePolicy", "Fail") == "Fail":
        raise internal(f'failed calling webhook "{call.hook["name"]}": {why}')


def _checked(answer: Any, uid: str) -> Object:
    if not isinstance(answer, dict) or answer.get("kind") != "AdmissionReview":
        raise CallFailed("the answer is no AdmissionReview")
    response = answer.get("response")
    if not isinstance(response, dict) or response.get("uid") != uid:
        raise CallFailed("the answer has no response to this request")
    return response
