"""``auth can-i`` and ``auth whoami``: what the server lets the user do, and who that is."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.discovery import UnknownType
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.printing import formats
from kubelite.cli.api.printing.table import Columns
from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.client.resources import GroupVersionResource
from kubelite.lib.json import Object

_REVIEWS = "authorization.k8s.io"


@usage("kubelite auth can-i create deployments -n prod", "kubelite auth can-i --list")
def can_i(
    settings: Settings,
    words: Annotated[
        list[str] | None,
        Argument(
            "[VERB TYPE[/NAME] | VERB /PATH]", "What is to be allowed: get pods, get /healthz."
        ),
    ] = None,
    *,
    subresource: Annotated[str, Option("--subresource", "Of which sub-resource: log.")] = "",
    all_namespaces: options.AllNamespaces = False,
    list_all: Annotated[bool, Option("--list", "Everything that is allowed.")] = False,
    quiet: Annotated[bool, Option("--silent", "Print nothing; the exit code says it.")] = False,
    no_headers: Annotated[bool, Option("--no-headers", "Omit the header line.")] = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Prints yes, or no and ends with 1. Raises CliError."""
    if list_all == bool(words) or (words and len(words) not in (2, 3)):
        raise CliError(
            Diagnostic("you must specify two arguments: verb resource or verb path", exit_code=2)
        )

    async def work(api: Api) -> int:
        if list_all:
            await _list(api, not no_headers)
            return 0
        assert words is not None
        spec = await _spec(api, words, subresource, "" if all_namespaces else api.namespace)
        resource = GroupVersionResource(_REVIEWS, "v1", "selfsubjectaccessreviews")
        status = (await api.client.create(resource, {"spec": spec})).get("status") or {}
        reason = f" - {status['reason']}" if status.get("reason") else ""
        is_allowed = bool(status.get("allowed"))
        if not quiet:
            api.screen.data("yes\n" if is_allowed else f"no{reason}\n")
        return 0 if is_allowed else 1

    return run(settings, Reach(kubeconfig, context), work)


async def _spec(api: Api, words: list[str], subresource: str, namespace: str) -> Object:
    """What a review asks for; an unknown type is asked for as it is written."""
    verb, what = words[:2]
    if what.startswith("/"):
        return {"nonResourceAttributes": {"verb": verb, "path": what}}
    kind, _, name = what.partition("/")
    kind, _, sub = kind.partition("/")
    name = name or "".join(words[2:])
    attributes = {"verb": verb, "resource": kind, "name": name, "subresource": subresource or sub}
    try:
        row = (await api.resources()).named(kind)
        attributes |= {"group": row.group, "resource": row.plural, "version": row.version}
        namespace = namespace if row.namespaced else ""
    except UnknownType:
        if kind != "*":
            api.screen.refusal(f"Warning: the server doesn't have a resource type '{kind}'")
    given = {key: value for key, value in attributes.items() if value}
    return {"resourceAttributes": given | ({"namespace": namespace} if namespace else {})}


async def _list(api: Api, with_headers: bool) -> None:
    resource = GroupVersionResource(_REVIEWS, "v1", "selfsubjectrulesreviews")
    review = await api.client.create(resource, {"spec": {"namespace": api.namespace}})
    rows = [["Resources", "Non-Resource URLs", "Resource Names", "Verbs"]] if with_headers else []
    for rule in (review.get("status") or {}).get("resourceRules") or ():
        for name in rule.get("resources") or ():
            for group in rule.get("apiGroups") or ("",):
                qualified = f"{name}.{group}" if group else name
                rows.append(
                    [qualified, "[]", _listed(rule, "resourceNames"), _listed(rule, "verbs")]
                )
    for rule in (review.get("status") or {}).get("nonResourceRules") or ():
        rows += [
            ["", f"[{path}]", "[]", _listed(rule, "verbs")] for path in rule["nonResourceURLs"]
        ]
    api.screen.data(Columns().text(rows))


def _listed(rule: Object, key: str) -> str:
    return f"[{' '.join(rule.get(key) or ())}]"


@usage("kubelite auth whoami")
def whoami(
    settings: Settings,
    *,
    format: options.Shown = options.NO_FORMAT,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Prints the user's name, groups and further attributes. Raises CliError."""

    async def work(api: Api) -> None:
        resource = GroupVersionResource("authentication.k8s.io", "v1", "selfsubjectreviews")
        review = await api.client.create(resource, {})
        if format.name:
            api.screen.data(formats.text(review, format))
            return
        user = (review.get("status") or {}).get("userInfo") or {}
        rows = [["ATTRIBUTE", "VALUE"], ["Username", str(user.get("username") or "")]]
        rows += [["UID", str(user["uid"])]] if user.get("uid") else []
        rows.append(["Groups", _listed(user, "groups")])
        rows += [
            [f"Extra: {key}", _listed(user["extra"], key)]
            for key in sorted(user.get("extra") or {})
        ]
        api.screen.data(Columns().text(rows))

    return run(settings, Reach(kubeconfig, context), work)
