"""``describe``: objects for people, with what has happened to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.selection import Target, Which, existing, nothing
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.printing import description
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.pod import describe as pod_description
from kubelite.client.resources import EVENTS
from kubelite.lib.json import Object


@usage("kubelite describe pod web", "kubelite describe deploy,svc -l app=web")
def describe(
    settings: Settings,
    objects: options.Objects = None,
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    all_namespaces: options.AllNamespaces = False,
    show_events: Annotated[
        options.Switch, Option("--show-events", "Show the events of each object, too.")
    ] = options.Switch.true,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Describes objects. Raises CliError."""
    which = Which(
        objects or (),
        files or (),
        recursive,
        kustomize or (),
        selector,
        all_namespaces=all_namespaces,
    )

    async def work(api: Api) -> None:
        targets = await existing(api, which)
        if not targets and not api.exit_code:
            api.screen.note(nothing(which, api, namespaced=True) + ".")
        texts = []
        for target in targets:
            text = text_of(target)
            if show_events is options.Switch.true:
                events = await _events(api, target)
                text += description.events(events, datetime.now(UTC))
            texts.append(text)
        if texts:
            api.screen.data("\n\n".join(texts))

    return run(settings, Reach(kubeconfig, context), work)


def text_of(target: Target) -> str:
    """The description of an object, without its events: of a pod as `pod describe` has it."""
    resource = target.resource
    obj = {"apiVersion": resource.api_version, "kind": resource.kind, **target.obj}
    if resource.kind == "Secret":
        obj["data"] = {
            key: f"{len(text)} characters" for key, text in (obj.get("data") or {}).items()
        }
    if resource.api_version == "v1" and resource.kind == "Pod":
        return pod_description.body(obj)
    return description.text(obj)


async def _events(api: Api, target: Target) -> list[Object]:
    """The events of an object; those of nodes have the node's name where others have a uid."""
    fields = {
        "involvedObject.kind": target.resource.kind,
        "involvedObject.name": target.name,
        "involvedObject.namespace": target.namespace,
    }
    selector = ",".join(f"{key}={value}" for key, value in fields.items() if value)
    page = await api.client.list(EVENTS, target.namespace, field_selector=selector)
    return page.items
