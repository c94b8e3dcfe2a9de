"""``create``: objects of files, or of one kind that the command line describes."""

from __future__ import annotations

import os
from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.changing import Change
from kubelite.cli.api.common.selection import Target, Which, in_files
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.write.generators import GENERATORS, SYNONYMS, Flags
from kubelite.cli.api.write.managers import FIELD_MANAGER
from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.client.errors import ApiError

Many = list[str] | None


@usage(
    "kubelite create -f web.yaml",
    "kubelite create deployment web --image web:1 --replicas 3 --port 80",
    "kubelite create secret generic login --from-literal user=admin",
    "kubelite create job once --image busybox -- date",
    notes="Without -f: one of " + ", ".join(GENERATORS) + ", and its name.",
)
def create(
    settings: Settings,
    words: Annotated[
        list[str] | None, Argument("[KIND NAME] [-- COMMAND]", "What to create, without -f.")
    ] = None,
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    image: Annotated[Many, Option("--image", "Image of a container; may be repeated.")] = None,
    replicas: Annotated[int, Option("--replicas", "Pods of a deployment.", minimum=0)] = 1,
    port: Annotated[
        int | None, Option("--port", "Port of the containers.", minimum=1, maximum=65535)
    ] = None,
    literal: Annotated[
        Many, Option("--from-literal", "An entry of a config map or secret.", "KEY=VALUE")
    ] = None,
    file: Annotated[
        Many,
        Option(
            "--from-file",
            "Entries from a file, or the files of a directory.",
            "[KEY=]PATH",
            completes="file",
        ),
    ] = None,
    env_file: Annotated[
        Many, Option("--from-env-file", "Entries from lines KEY=VALUE.", "FILE", completes="file")
    ] = None,
    cert: Annotated[str, Option("--cert", "Certificate of a TLS secret.", "FILE")] = "",
    key: Annotated[str, Option("--key", "Key of a TLS secret.", "FILE")] = "",
    type: Annotated[str, Option("--type", "Type of a secret.")] = "",
    schedule: Annotated[str, Option("--schedule", "When a cron job runs: '*/5 * * * *'.")] = "",
    restart: Annotated[str, Option("--restart", "Restart policy of a job's pods.")] = "",
    source: Annotated[str, Option("--from", "The job of this object: cronjob/NAME.")] = "",
    tcp: Annotated[Many, Option("--tcp", "Port of a service.", "PORT[:TARGET]")] = None,
    cluster_ip: Annotated[str, Option("--clusterip", "Address of a service, or None.")] = "",
    external_name: Annotated[str, Option("--external-name", "Name that it leads to.")] = "",
    verb: Annotated[Many, Option("--verb", "Verbs of a role; may be repeated.")] = None,
    resource: Annotated[
        Many, Option("--resource", "Resources of a role: pods,deploy.apps.")
    ] = None,
    role: Annotated[str, Option("--role", "Role of a role binding.")] = "",
    cluster_role: Annotated[str, Option("--clusterrole", "Cluster role of a binding.")] = "",
    user: Annotated[Many, Option("--user", "User of a binding.")] = None,
    group: Annotated[Many, Option("--group", "Group of a binding.")] = None,
    service_account: Annotated[
        Many, Option("--serviceaccount", "Service account of a binding.", "NAMESPACE:NAME")
    ] = None,
    format: options.Shown = options.NO_FORMAT,
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Creates objects. Raises CliError."""
    which = Which((), files or (), recursive, kustomize or ())
    change = Change(dry_run, format)
    kind, operands, command = _operands(words or [])
    flags = Flags(
        operands[-1] if operands else "",
        operands[:-1],
        image or (),
        replicas,
        port,
        command,
        {},
        type,
        schedule,
        restart,
        tcp or (),
        cluster_ip,
        external_name,
        _split(verb),
        _split(resource),
        role,
        cluster_role,
        user or (),
        group or (),
        service_account or (),
    )

    async def work(api: Api) -> None:
        if which.has_files:
            for target in await in_files(api, which, named=False):
                await create_one(api, target, change)
            return
        entries = _entries(literal, file, env_file, cert, key)
        described = flags._replace(data=entries, from_cron_job=await _cron_job(api, source))
        await create_one(api, await target_of(api, _generated(kind, described)), change)

    if which.has_files == bool(kind):
        raise CliError(Diagnostic("must specify one of -f, -k, or a kind and a name", exit_code=2))
    return run(settings, Reach(kubeconfig, context), work)


def _operands(words: list[str]) -> tuple[str, list[str], list[str]]:
    """The kind, what stands before the command, and the command: the kinds that take one have a
    name alone before it.
    """
    if not words:
        return "", [], []
    kind = SYNONYMS.get(words[0].lower(), words[0].lower())
    if kind in ("deployment", "job", "cronjob"):
        return kind, words[1:2], words[2:]
    return kind, words[1:], []


def _generated(kind: str, flags: Flags) -> dict[str, object]:
    if kind not in GENERATORS:
        raise CliError(
            Diagnostic(
                f"{kind} cannot be created from a command line",
                hint=f"one of {', '.join(GENERATORS)}; everything else with -f",
                exit_code=2,
            )
        )
    if not flags.name:
        raise CliError(Diagnostic(f"name the {kind}: kubelite create {kind} NAME", exit_code=2))
    try:
        return GENERATORS[kind](flags)
    except ValueError as error:
        raise CliError(Diagnostic(f"create {kind}: {error}", exit_code=2)) from error


async def _cron_job(api: Api, text: str) -> dict[str, object] | None:
    if not text:
        return None
    (operand,) = await api.operands([text])
    return await api.client.get(operand.resource.gvr, operand.name, api.namespace)


def _split(texts: Many) -> list[str]:
    return [part for text in texts or () for part in text.split(",") if part]


def _entries(literals: Many, files: Many, env_files: Many, cert: str, key: str) -> dict[str, bytes]:
    """The entries of a config map or secret. Raises CliError, OSError."""
    entries: dict[str, bytes] = {}
    for text in literals or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise CliError(Diagnostic(f"--from-literal {text}: expected KEY=VALUE", exit_code=2))
        entries[name] = value.encode()
    for text in files or ():
        name, equals, path = text.partition("=")
        entries |= _of_path(path if equals else text, name if equals else "")
    for path in env_files or ():
        lines = (line.strip() for line in _read(path).decode(errors="replace").splitlines())
        pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
        entries |= {name: value.encode() for name, _, value in pairs}
    for name, path in (("tls.crt", cert), ("tls.key", key)):
        if path:
            entries[name] = _read(path)
    return entries


def _of_path(path: str, name: str) -> dict[str, bytes]:
    if not os.path.isdir(path):
        return {name or os.path.basename(path): _read(path)}
    inside = sorted(entry for entry in os.listdir(path))
    paths = {entry: os.path.join(path, entry) for entry in inside}
    return {entry: _read(whole) for entry, whole in paths.items() if os.path.isfile(whole)}


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


async def target_of(api: Api, obj: dict[str, object]) -> Target:
    """An object that a command line describes, with its namespace."""
    resource = (await api.resources()).of_kind(str(obj["apiVersion"]), str(obj["kind"]))
    metadata = obj["metadata"]
    assert isinstance(metadata, dict)
    if resource.namespaced:
        metadata.setdefault("namespace", api.namespace)
    namespace = api.namespace if resource.namespaced else ""
    return Target(resource, namespace, str(metadata["name"]), obj)


async def create_one(api: Api, target: Target, change: Change, word: str = "created") -> None:
    """Creates an object and shows it; a refusal is shown too."""
    created = target.obj
    if not change.is_local:
        try:
            created = await api.client.create(
                target.resource.gvr,
                target.obj,
                target.namespace,
                dry_run=change.is_tried,
                field_manager=f"{FIELD_MANAGER}-create",
                strict=True,
            )
        except ApiError as error:
            if target.source:
                return api.refused(error, f'error when creating "{target.source}"')
            kind = target.resource.kind.lower()
            return api.failed(f"failed to create {kind}: {error.message}")
    name = str((created.get("metadata") or {}).get("name") or target.name)
    return change.show(api, target._replace(name=name), word, created)
