"""The pod and the container that a command line means."""

from __future__ import annotations

from collections.abc import Sequence

from kubelite.cli.api.common.discovery import ApiResource
from kubelite.cli.api.common.session import Api
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.pod_row import default_container
from kubelite.client.resources import PODS
from kubelite.lib.json import Object
from kubelite.objects.facts import labels

_WITH_MAP = ("Service", "ReplicationController")
"""Kinds whose selector is a plain map."""


async def pods_of(api: Api, word: str) -> list[Object]:
    """The pod of ``NAME`` or ``pod/NAME``, or the pods of ``TYPE/NAME``, best first. Raises
    CliError, ApiError.
    """
    if "/" not in word:
        return [await api.client.get(PODS, word, api.namespace)]
    (operand,) = await api.operands([word])
    resource, name = operand
    obj = await api.client.get(resource.gvr, name, api.namespace if resource.namespaced else "")
    if resource.kind == "Pod":
        return [obj]
    page = await api.client.list(PODS, api.namespace, label_selector=label_selector(resource, obj))
    if not page.items:
        message = f"no pod matches the selector of {word}"
        raise CliError(Diagnostic(message, hint="`kubelite get pods --show-labels`"))
    return sorted(page.items, key=_rank)


def label_selector(resource: ApiResource, obj: Object) -> str:
    """The selector of an object's pods as a query has it. Raises CliError where it has none."""
    selector = (obj.get("spec") or {}).get("selector")
    if not selector:
        raise CliError(Diagnostic(f"{resource.label(obj['metadata']['name'])} has no pods"))
    is_map = resource.kind in _WITH_MAP
    return str(labels.of_map(selector) if is_map else labels.of_document(selector))


def _rank(pod: Object) -> tuple[bool, bool, str]:
    """Ready ones first, then running ones, then the youngest."""
    status = pod.get("status") or {}
    conditions = {row["type"]: row["status"] for row in status.get("conditions") or ()}
    created = pod["metadata"].get("creationTimestamp") or ""
    is_ready, is_running = conditions.get("Ready") == "True", status.get("phase") == "Running"
    return not is_ready, not is_running, created


async def one_pod(api: Api, words: Sequence[str]) -> Object:
    """The one pod that a command works with. Raises CliError, ApiError."""
    word = "/".join(words)
    if not word:
        raise CliError(Diagnostic("name a pod: NAME, or TYPE/NAME", exit_code=2))
    return (await pods_of(api, word))[0]


def container_of(api: Api, pod: Object, name: str | None) -> str:
    """The container that is meant; the default one is named where there are several."""
    if name:
        names = default_container(pod)[1]
        ephemeral = [row["name"] for row in pod["spec"].get("ephemeralContainers") or ()]
        if name not in (*names, *ephemeral):
            raise CliError(
                Diagnostic(f"container {name} not found in pod {pod['metadata']['name']}")
            )
        return name
    default, names = default_container(pod)
    if len(names) > 1:
        init = {row["name"] for row in pod["spec"].get("initContainers") or ()}
        shown = ", ".join(f"{entry} (init)" if entry in init else entry for entry in names)
        api.screen.note(f'Defaulted container "{default}" out of: {shown}')
    return default
