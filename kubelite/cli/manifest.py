"""From the operand of ``pod up`` to pods: reads the file, and leaves the judging to
:mod:`kubelite.cli.review`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kubelite.cli import codes
from kubelite.cli.text import CliError, Trouble
from kubelite.lib.manifest_yaml import MAX_BYTES, Document, YamlError, documents

if TYPE_CHECKING:
    from kubelite.objects.pod.pod import Pod

MAX_SHOWN = 25


class Plan(NamedTuple):
    """The pods to create, checked and with their defaults, and what is to be told about them."""

    pods: list[Pod]
    warnings: list[Trouble]


def load(source: str, *, namespace: str | None = None, lenient: bool = False) -> Plan:
    """The pods of a manifest, ``-`` for stdin. Raises CliError with everything that is wrong with
    it.
    """
    read_documents = read(source)
    from kubelite.cli.review import review

    found = review(read_documents, shown(source), namespace=namespace, lenient=lenient)
    if found.errors:
        raise CliError(*limited(found.errors))
    return Plan(found.pods, found.warnings)


def names(source: str, namespace: str | None) -> list[tuple[str, str]]:
    """Namespace and name of each pod that a manifest names, whatever else it says. Raises CliError."""
    from kubelite.cli.review import items
    from kubelite.objects.rules.defaults import NAMESPACE

    found = []
    for item in items(read(source)):
        value = item.value if isinstance(item.value, dict) else {}
        metadata = value.get("metadata")
        if (
            value.get("kind") == "Pod"
            and isinstance(metadata, dict)
            and isinstance(metadata.get("name"), str)
        ):
            found.append(
                (str(metadata.get("namespace") or namespace or NAMESPACE), metadata["name"])
            )
    if not found:
        raise CliError(Trouble(f"there is no Pod in {shown(source)}", codes.EMPTY))
    return found


def shown(source: str) -> str:
    """The file's name in places."""
    return "stdin" if source == "-" else source


def limited(errors: list[Trouble]) -> list[Trouble]:
    """The first errors, and how many there are beyond them."""
    if len(errors) <= MAX_SHOWN:
        return errors
    return [
        *errors[:MAX_SHOWN],
        Trouble(f"{len(errors) - MAX_SHOWN} more errors like these are not shown"),
    ]


def read(source: str) -> list[Document]:
    """The documents of a manifest. Raises CliError when it cannot be read or is not YAML."""
    if source.startswith(("http://", "https://")):
        hint = f"fetch it first: curl -fsSL {source} | kubelite pod up -"
        raise CliError(Trouble("manifests are not fetched from the network", codes.URL, hint=hint))
    name = shown(source)
    data = _read(source)
    if not data.strip():
        hint = "a manifest begins with apiVersion: v1 and kind: Pod"
        raise CliError(Trouble(f"{name} is empty", codes.EMPTY, hint=hint))
    try:
        return documents(data)
    except YamlError as error:
        place = f"{name}:{error.place.line}:{error.place.column}" if error.place is not None else ""
        hint = codes.CODES[codes.NOT_YAML].remedy if place else "a manifest is text: YAML, or JSON"
        raise CliError(
            Trouble(f"{name} cannot be read: {error}", codes.NOT_YAML, place, hint=hint)
        ) from error


def _read(source: str) -> bytes:
    name = shown(source)
    try:
        with open(0 if source == "-" else source, "rb", closefd=source != "-") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        hint = (
            "- in its place reads the manifest from stdin"
            if isinstance(error, FileNotFoundError)
            else ""
        )
        reason = (error.strerror or str(error)).lower()
        raise CliError(
            Trouble(f"{name} cannot be read: {reason}", codes.UNREADABLE, hint=hint)
        ) from error
    if len(data) > MAX_BYTES:
        said = f"{name} is too large for a manifest: it has more than {MAX_BYTES >> 20} MiB"
        raise CliError(
            Trouble(
                said,
                codes.UNREADABLE,
                hint="data belongs into a volume, several pods into several files",
            )
        )
    return data
