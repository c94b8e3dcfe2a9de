"""The objects that a command line means: by type and name, by selector, or in files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.cli.api.common.discovery import ApiResource, UnknownType
from kubelite.cli.api.common.session import Api
from kubelite.cli.common import manifest
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.targets import manifest_files, matcher
from kubelite.client.client import Selection
from kubelite.client.errors import ApiError

if TYPE_CHECKING:
    from kubelite.lib.json import Object


NAME_NEEDED = "resource(s) were provided, but no name was specified"
"""What a type alone is refused with, as by kubectl."""


class Which(NamedTuple):
    """What the options of a verb say about its objects."""

    words: Sequence[str] = ()
    files: Sequence[str] = ()
    recursive: bool = False
    kustomize: Sequence[str] = ()
    selector: str = ""
    field_selector: str = ""
    all_namespaces: bool = False
    all: bool = False

    @property
    def has_files(self) -> bool:
        return bool(self.files or self.kustomize)


class Target(NamedTuple):
    """One object. ``obj`` is as the server has it, or as the file ``source`` has it."""

    resource: ApiResource
    namespace: str
    name: str
    obj: Object
    source: str = ""

    @property
    def label(self) -> str:
        return self.resource.label(self.name)


async def in_files(api: Api, which: Which, *, named: bool = True) -> list[Target]:
    """The objects of the files, each with its namespace; with a selector, those whose labels match.

    Raises CliError, also for an object that has no name yet unless ``named`` is False: the path of
    such an object is that of all objects of its kind.
    """
    from kubelite.cli.review import items

    if which.field_selector:
        raise CliError(
            Diagnostic(
                "--field-selector chooses among the server's objects, not among those of files",
                hint="choose by labels with -l, or leave -f out",
                exit_code=2,
            )
        )
    resources = await api.resources()
    sources = manifest_files(which.files, recursive=which.recursive) if which.files else []
    targets: list[Target] = []
    for source in (*sources, *which.kustomize):
        targets += [
            _of_file(api, source, resources.of_kind, item.value)
            for item in items(manifest.read(source))
        ]
    if not targets:
        raise CliError(Diagnostic("no objects passed"))
    if which.selector:
        matches = matcher(which.selector)
        targets = [target for target in targets if matches(target.obj["metadata"].get("labels"))]
    if named:
        _require_names(targets)
    return targets


def _require_names(targets: Sequence[Target]) -> None:
    for target in targets:
        if not target.name:
            raise CliError(
                Diagnostic(
                    f"{target.source}: a {target.resource.kind} has no metadata.name",
                    hint="name it; only `kubelite create -f` takes a generateName",
                )
            )


def _of_file(
    api: Api, source: str, of_kind: Callable[[str, str], ApiResource], value: Any
) -> Target:
    where = manifest.label(source)
    obj = value if isinstance(value, dict) else {}
    missing = next((key for key in ("apiVersion", "kind") if not obj.get(key)), "")
    if missing:
        raise CliError(
            Diagnostic(
                f"{where}: an object has no {missing}",
                hint="each document of a manifest begins with apiVersion and kind",
            )
        )
    metadata = obj.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise CliError(Diagnostic(f"{where}: metadata of a {obj['kind']} is not a mapping"))
    try:
        resource = of_kind(str(obj["apiVersion"]), str(obj["kind"]))
    except UnknownType as error:
        name = metadata.get("name", "")
        raise CliError(
            Diagnostic(f'resource mapping not found for name: "{name}" from "{where}": {error}')
        ) from error
    namespace = _namespace(api, resource, metadata) if resource.namespaced else ""
    return Target(resource, namespace, str(metadata.get("name") or ""), obj, where)


def _namespace(api: Api, resource: ApiResource, metadata: dict[str, Any]) -> str:
    own = str(metadata.setdefault("namespace", api.namespace) or api.namespace)
    if api.is_namespace_given and own != api.namespace:
        raise CliError(
            Diagnostic(
                f'the namespace from the provided object "{own}" does not match the namespace'
                f" \"{api.namespace}\". You must pass '--namespace={own}' to perform this"
                " operation."
            )
        )
    return own


async def existing(api: Api, which: Which, *, needs: str = "") -> list[Target]:
    """The objects as the server has them; one that is not there is shown as a failure and left out.

    ``needs``: a type alone is refused with this sentence, unless a selector or ``--all`` is given.
    Raises CliError where nothing is named, and ApiError.
    """
    if which.has_files:
        references = [(t.resource, t.namespace, t.name) for t in await in_files(api, which)]
    else:
        references = [
            (operand.resource, api.namespace if operand.resource.namespaced else "", operand.name)
            for operand in await api.operands(which.words)
        ]
    if not references:
        raise CliError(
            Diagnostic(
                "You must provide one or more resources by argument or filename",
                hint="such as TYPE/NAME, TYPE NAME, TYPE -l SELECTOR or -f FILE",
                exit_code=2,
            )
        )
    is_selected = bool(which.selector or which.field_selector or which.all)
    targets: list[Target] = []
    for resource, namespace, name in references:
        if name:
            targets += await _one(api, resource, namespace, name)
        elif needs and not is_selected:
            raise CliError(Diagnostic(needs, exit_code=2))
        else:
            targets += await listed(api, which, resource)
    return targets


async def _one(api: Api, resource: ApiResource, namespace: str, name: str) -> list[Target]:
    try:
        obj = await api.client.get(resource.gvr, name, namespace)
    except ApiError as error:
        api.refused(error)
        return []
    return [Target(resource, namespace, name, obj)]


def selection(api: Api, which: Which, resource: ApiResource) -> Selection:
    """What a list of a resource is asked for."""
    everywhere = which.all_namespaces or not resource.namespaced
    return Selection("" if everywhere else api.namespace, which.selector, which.field_selector)


async def listed(api: Api, which: Which, resource: ApiResource) -> list[Target]:
    """The objects of a resource that the selectors choose. Raises ApiError."""
    chosen = selection(api, which, resource)
    page = await api.client.list(
        resource.gvr,
        chosen.namespace,
        label_selector=chosen.label_selector,
        field_selector=chosen.field_selector,
    )
    return [
        Target(resource, str(obj["metadata"].get("namespace") or ""), obj["metadata"]["name"], obj)
        for obj in page.items
    ]


def nothing(which: Which, api: Api, *, namespaced: bool) -> str:
    """The sentence for no object at all."""
    where = f" in {api.namespace} namespace" if namespaced and not which.all_namespaces else ""
    return f"No resources found{where}"
