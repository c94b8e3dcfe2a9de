"""``drain``: evicts the pods of nodes, so that these can be taken out of service."""

from __future__ import annotations

import asyncio
from typing import Annotated, NamedTuple

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.changing import Change
from kubelite.cli.api.common.discovery import ApiResource
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.common.waiting import until
from kubelite.cli.api.nodes.cordon import Names, mark, nodes
from kubelite.cli.common import durations
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.client.errors import NotFound, TooManyRequests
from kubelite.client.resources import PODS
from kubelite.control.controllers.shared.meta import controller_of
from kubelite.lib.json import Object
from kubelite.objects.facts.static_pods import MIRROR

_AGAIN_SECONDS = 5.0


class Policy(NamedTuple):
    """Which pods may be lost."""

    force: bool
    ignore_daemon_sets: bool
    delete_empty_dir_data: bool


class Verdict(NamedTuple):
    """What becomes of a node's pods: those to evict, and sentences for those in the way and those
    that stay.
    """

    evicted: list[Object]
    refusals: list[str]
    warnings: list[str]


@usage(
    "kubelite drain n1 --ignore-daemonsets",
    "kubelite drain n1 --ignore-daemonsets --delete-emptydir-data --force",
)
def drain(
    settings: Settings,
    names: Names = None,
    *,
    selector: options.Selector = "",
    pod_selector: Annotated[str, Option("--pod-selector", "Only pods with these labels.")] = "",
    ignore_daemon_sets: Annotated[
        bool, Option("--ignore-daemonsets", "Leave pods of DaemonSets where they are.")
    ] = False,
    delete_empty_dir_data: Annotated[
        bool, Option("--delete-emptydir-data", "Evict pods whose emptyDir data is lost.")
    ] = False,
    force: Annotated[bool, Option("--force", "Evict pods that nothing creates again.")] = False,
    disable_eviction: Annotated[
        bool, Option("--disable-eviction", "Delete pods, against disruption budgets.")
    ] = False,
    grace_period: Annotated[
        int, Option("--grace-period", "Seconds to end in; -1 leaves it to the pod.", minimum=-1)
    ] = -1,
    timeout: Annotated[
        float,
        Option("--timeout", "How long to wait; 0 without a limit.", "DURATION", durations.parse),
    ] = 0.0,
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Marks nodes as unschedulable and evicts their pods. Raises CliError."""
    policy = Policy(force, ignore_daemon_sets, delete_empty_dir_data)
    grace = None if grace_period < 0 else grace_period
    change = Change(dry_run)

    async def work(api: Api) -> None:
        for target in await nodes(api, names or [], selector):
            await mark(api, target, change, unschedulable=True)
            verdict = judged(await _pods(api, target.name, pod_selector), policy)
            if verdict.refusals:
                hint = "the pods are left as they are; the node takes no more"
                api.failed(
                    f'unable to drain node "{target.name}": ' + "; ".join(verdict.refusals), hint
                )
                continue
            for warning in verdict.warnings:
                api.screen.note(f"Warning: {warning}")
            if dry_run is options.DryRun.none:
                await _evict_all(api, verdict.evicted, grace, delete=disable_eviction)
            change.show(api, target, "drained", target.obj)

    async def limited(api: Api) -> None:
        try:
            async with asyncio.timeout(timeout or None):
                await work(api)
        except TimeoutError:
            api.failed(f"drain did not complete within {durations.human(timeout)}")

    return run(settings, Reach(kubeconfig, context), limited)


async def _pods(api: Api, node: str, selector: str) -> list[Object]:
    field = f"spec.nodeName={node}"
    page = await api.client.list(PODS, label_selector=selector, field_selector=field)
    return page.items


def judged(pods: list[Object], policy: Policy) -> Verdict:
    """What becomes of pods. Pure; the conditions are kubectl's."""
    verdict = Verdict([], [], [])
    in_the_way: dict[str, list[str]] = {}
    for pod in pods:
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            continue
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        owner, has_ended = controller_of(pod), _has_ended(pod)
        if owner is not None and owner["kind"] == "DaemonSet" and not has_ended:
            if policy.ignore_daemon_sets:
                verdict.warnings.append(f"ignoring DaemonSet-managed Pods: {name}")
            else:
                kind = "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"
                in_the_way.setdefault(kind, []).append(name)
            continue
        reason = "" if has_ended else _loss(pod, owner is None, policy)
        if reason:
            in_the_way.setdefault(reason, []).append(name)
        else:
            verdict.evicted.append(pod)
    for reason, names in in_the_way.items():
        verdict.refusals.append(f"cannot delete {reason}: {', '.join(names)}")
    return verdict


def _loss(pod: Object, is_alone: bool, policy: Policy) -> str:
    """What would be lost with a pod; "" for nothing."""
    volumes = pod["spec"].get("volumes") or ()
    if not policy.delete_empty_dir_data and any("emptyDir" in volume for volume in volumes):
        return "Pods with local storage (use --delete-emptydir-data to override)"
    if is_alone and not policy.force:
        return "Pods that declare no controller (use --force to override)"
    return ""


def _has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


async def _evict_all(api: Api, pods: list[Object], grace: int | None, *, delete: bool) -> None:
    resource = (await api.resources()).of_kind("v1", "Pod")
    await asyncio.gather(*(_evict(api, resource, pod, grace, delete=delete) for pod in pods))


async def _evict(
    api: Api, resource: ApiResource, pod: Object, grace: int | None, *, delete: bool
) -> None:
    """Evicts a pod, again and again where a disruption budget forbids it, and waits until it is
    gone.
    """
    metadata = pod["metadata"]
    namespace, name, uid = metadata["namespace"], metadata["name"], metadata["uid"]
    api.screen.note(f"{'deleting' if delete else 'evicting'} pod {namespace}/{name}")
    while True:
        try:
            if delete:
                await api.client.delete(PODS, name, namespace, grace_seconds=grace, uid=uid)
            else:
                await api.client.evict(namespace, name, grace_seconds=grace, uid=uid)
            break
        except NotFound:
            break
        except TooManyRequests as error:
            api.screen.note(
                f'error when evicting pods/"{name}" -n "{namespace}"'
                f" (will retry after {_AGAIN_SECONDS:g}s): {error.message}"
            )
            await asyncio.sleep(_AGAIN_SECONDS)

    def is_gone(obj: Object | None) -> bool:
        return obj is None or obj["metadata"]["uid"] != uid

    await until(api.client, resource, namespace, name, is_gone)
    api.screen.data(f"pod/{name} evicted\n")
