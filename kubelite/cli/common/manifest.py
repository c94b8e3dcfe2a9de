"""From the operand of ``pod up`` to pods: reads the file; :mod:`kubelite.cli.review` judges it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.lib.manifest_yaml import MAX_BYTES, Document, YamlError, documents

if TYPE_CHECKING:
    from kubelite.cli.review import Owner, PodName
    from kubelite.lib.json import Object
    from kubelite.objects.pod.pod import Pod

MAX_SHOWN = 25
_TEMPLATE = "this looks like a template: render it first, such as with `helm template`"
_BEGINNING = "a manifest begins with apiVersion: v1 and kind: Pod"


class Manifest(NamedTuple):
    """The pods to create, checked and defaulted, and warnings to show. ``referenced`` are the
    ConfigMaps, Secrets and claims that a pod refers to, by its namespace and name; ``owners`` the
    objects whose templates were made into pods.
    """

    pods: list[Pod]
    warnings: list[Diagnostic]
    referenced: dict[PodName, list[Object]]
    owners: list[Owner]

    def documents(self, pod: Pod) -> list[Object]:
        """The ConfigMaps, Secrets and claims that a pod refers to."""
        return self.referenced.get((pod.metadata.namespace or "", pod.metadata.name or ""), [])


def load(source: str, *, namespace: str | None = None, lenient: bool = False) -> Manifest:
    """The pods of a manifest, ``-`` for stdin. Raises CliError with all that is wrong with it."""
    return load_all([source], namespace=namespace, lenient=lenient)


def load_all(
    sources: list[str], *, namespace: str | None = None, lenient: bool = False
) -> Manifest:
    """The pods of manifests that belong together. Raises CliError with the problems of all."""
    files: list[tuple[str, list[Document]]] = []
    errors: list[Diagnostic] = []
    for source in sources:
        try:
            files.append((label(source), read(source)))
        except CliError as error:
            errors += error.diagnostics
    if not files:
        raise CliError(*limited(errors))
    from kubelite.cli.review import review_files

    for _, documents_of_file in files:
        _generate_names(documents_of_file)
    reviewed = review_files(files, namespace=namespace, lenient=lenient)
    errors += reviewed.errors
    if errors:
        raise CliError(*limited(errors))
    return Manifest(reviewed.pods, reviewed.warnings, reviewed.referenced, reviewed.owners)


def _generate_names(listed: list[Document]) -> None:
    """Gives pods with a generateName their name, as the API server does: five random letters."""
    from kubelite.cli.review import items

    for item in items(listed):
        metadata = item.value.get("metadata") if isinstance(item.value, dict) else None
        if isinstance(metadata, dict) and metadata.get("generateName") and not metadata.get("name"):
            import secrets

            from kubelite.control.controllers.shared.hashing import ALPHABET, MAX_BASE

            suffix = "".join(secrets.choice(ALPHABET) for _ in range(5))
            metadata["name"] = f"{metadata['generateName']}"[:MAX_BASE] + suffix


class Named(NamedTuple):
    """What manifests name, valid or not: pods by namespace and name, owners of pods, generateNames
    by namespace, and claims by namespace and name.
    """

    pods: list[PodName]
    owners: list[Owner]
    prefixes: list[PodName]
    claims: list[PodName]


def named(source: str, namespace: str | None) -> Named:
    """What the pods of a manifest are known by. Raises CliError where it has none."""
    from kubelite.cli.review import Owner, items
    from kubelite.objects.rules.pods.defaults import NAMESPACE

    result = Named([], [], [], [])
    for item in items(read(source)):
        value = item.value if isinstance(item.value, dict) else {}
        metadata = value.get("metadata")
        if not isinstance(metadata, dict):
            continue
        home = str(metadata.get("namespace") or namespace or NAMESPACE)
        if isinstance(name := metadata.get("name"), str):
            if value.get("kind") == "Pod":
                result.pods.append((home, name))
            elif value.get("kind") == "PersistentVolumeClaim":
                result.claims.append((home, name))
            elif isinstance(value.get("spec"), dict):
                from kubelite.cli import workloads

                if workloads.family_of(value):
                    result.owners.append(Owner(home, workloads.owner_of(value)))
                    claims = workloads.claims(value)
                    result.claims.extend((home, claim["metadata"]["name"]) for claim in claims)
        elif value.get("kind") == "Pod" and isinstance(metadata.get("generateName"), str):
            result.prefixes.append((home, metadata["generateName"]))
    if not (result.pods or result.owners or result.prefixes):
        from kubelite.cli.common.error_codes import EMPTY

        raise CliError(Diagnostic(f"there is no Pod in {label(source)}", EMPTY))
    return result


def label(source: str) -> str:
    """The file's name as places show it."""
    return "stdin" if source == "-" else source


def limited(errors: list[Diagnostic]) -> list[Diagnostic]:
    """The first errors, and how many more there are."""
    if len(errors) <= MAX_SHOWN:
        return errors
    more = len(errors) - MAX_SHOWN
    return [*errors[:MAX_SHOWN], Diagnostic(f"{more} more errors are not shown")]


def read(source: str) -> list[Document]:
    """The documents of a manifest: a file, ``-``, a URL, or a directory whose kustomization builds
    it. Raises CliError if it cannot be read or is not YAML.
    """
    name = label(source)
    data = _read(source)
    if not data.strip():
        from kubelite.cli.common.error_codes import EMPTY

        raise CliError(Diagnostic(f"{name} is empty", EMPTY, hint=_BEGINNING))
    try:
        return documents(data)
    except YamlError as error:
        from kubelite.cli.common.error_codes import CODES, NOT_YAML

        place = f"{name}:{error.place.line}:{error.place.column}" if error.place is not None else ""
        remedy = _TEMPLATE if b"{{" in data else CODES[NOT_YAML].remedy
        hint = remedy if place else "a manifest is text: YAML or JSON"
        raise CliError(
            Diagnostic(f"{name} cannot be read: {error}", NOT_YAML, place, hint=hint)
        ) from error


def _read(source: str) -> bytes:
    if source.startswith(("http://", "https://")):
        from kubelite.cli import sources

        data = sources.download(source, MAX_BYTES + 1)
    elif os.path.isdir(source):
        from kubelite.cli import sources

        data = sources.build(source)
    else:
        data = _read_file(source)
    if len(data) > MAX_BYTES:
        from kubelite.cli.common.error_codes import UNREADABLE

        raise CliError(
            Diagnostic(
                f"{label(source)} is too large for a manifest: more than {MAX_BYTES >> 20} MiB",
                UNREADABLE,
                hint="put data in a volume; split pods into separate files",
            )
        )
    return data


def _read_file(source: str) -> bytes:
    try:
        with open(0 if source == "-" else source, "rb", closefd=source != "-") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        from kubelite.cli.common.error_codes import UNREADABLE

        missing = isinstance(error, FileNotFoundError)
        hint = "- reads stdin; an image is run by `kubelite pod run IMAGE`" if missing else ""
        reason = (error.strerror or str(error)).lower()
        raise CliError(
            Diagnostic(f"{label(source)} cannot be read: {reason}", UNREADABLE, hint=hint)
        ) from error
