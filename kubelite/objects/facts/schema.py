"""What a Kubernetes type is made of: fields in the servers' order, merge keys, list types, protobuf
numbers. Pure.

Two generated tables are joined here, a definition at a time and only when it is asked for:

- ``schema_table`` (from the published OpenAPI document). A line is ``NAME [#GROUP/VERSION/KIND]
  [^atomic|^granular]`` and then words ``FIELD[!]:TYPE[;lt=LIST TYPE][;lk=LIST KEYS][;mk=MERGE
  KEY][;ps=PATCH STRATEGY][;mt=MAP TYPE]``, where ``!`` means required; or ``=TYPE`` for a name that
  only stands for another type.
- ``protobuf_table`` (from the published .proto files). Words ``FIELD=NUMBER[~]TYPE[*][!]``: ``~`` a
  struct whose fields lie in its parent, ``*`` a pointer (its zero is a value), ``!`` written even
  when it is zero.

A TYPE is a letter (s string, b bool, i int32, l int64, d float, y base64, o any object, *
anything), ``[TYPE`` a list, ``{TYPE`` a map from strings, or the short name of a definition,
``core.v1.Pod``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from kubelite.objects.facts import schema_table

LEVEL = schema_table.LEVEL
_HOMES = {
    "meta.": "io.k8s.apimachinery.pkg.apis.",
    "resource.Q": "io.k8s.apimachinery.pkg.api.",
    "intstr.": "io.k8s.apimachinery.pkg.util.",
    "runtime.": "io.k8s.apimachinery.pkg.",
    "apiextensions.": "io.k8s.apiextensions-apiserver.pkg.apis.",
    "apiregistration.": "io.k8s.kube-aggregator.pkg.apis.",
    "metrics.": "io.k8s.metrics.pkg.apis.",
}


class Field(msgspec.Struct, frozen=True):
    """One field. ``pointer``: its zero is a value and is kept; ``written``: it is there even when
    it is empty.
    """

    name: str
    type: str
    required: bool = False
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    merge_key: str = ""
    strategies: tuple[str, ...] = ()
    map_type: str = ""
    pointer: bool = True
    written: bool = False

    @property
    def item(self) -> str:
        """The type inside lists and maps: ``core.v1.Container`` of ``[core.v1.Container``."""
        return self.type.lstrip("[{")


class Definition(msgspec.Struct, frozen=True):
    """A type: its fields in the servers' order, or what it stands for. ``atomic``: it is replaced
    as a whole.
    """

    name: str
    fields: dict[str, Field]
    kind: tuple[str, str, str] | None = None
    atomic: bool = False
    alias: str = ""


class Wire(msgspec.Struct, frozen=True):
    """One field of a protobuf message."""

    name: str
    type: str
    inline: bool
    pointer: bool
    written: bool


@cache
def _word() -> re.Pattern[str]:
    """A field in the schema table. Compiled when first needed: a command may not need it."""
    return re.compile(r"(?P<name>[^!:]+)(?P<required>!?):(?P<type>[^;]+)(?P<options>.*)")


@cache
def _proto() -> re.Pattern[str]:
    """A field in the protobuf table."""
    return re.compile(
        r"(?P<name>[^=]*)=(?P<number>\d+)(?P<inline>~?)(?P<type>[^*!]+)"
        r"(?P<pointer>\*?)(?P<written>!?)"
    )


@cache
def types_of(name: str) -> dict[str, str]:
    """The fields of a definition and their types; empty for one that only stands for another type
    or is not known. Quicker than :func:`definition`, for whoever wants no more.
    """
    types = {}
    for word in _lines().get(name, "").split():
        field, colon, rest = word.partition(":")
        if colon and word[0] not in "#^=":
            types[field.removesuffix("!")] = rest.partition(";")[0]
    return types


@cache
def _lines() -> dict[str, str]:
    return dict(line.split(" ", 1) for line in schema_table.TABLE.splitlines() if " " in line)


@cache
def _wires(*, drivers: bool) -> dict[str, str]:
    if drivers:
        from kubelite.objects.facts.protobuf.driver_table import TABLE
    else:
        from kubelite.objects.facts.protobuf_table import TABLE
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in TABLE.splitlines()}


def is_of_drivers(name: str) -> bool:
    """Whether a message is one of those between the kubelet and its plug-ins."""
    return name.startswith(("csi.", "pluginregistration."))


@cache
def _kinds() -> dict[tuple[str, str, str], str]:
    headings = re.findall(r"^(\S+) #([^/ ]*)/([^/ ]+)/(\S+)", schema_table.TABLE, re.M)
    return {(group, version, kind): name for name, group, version, kind in headings}


def names() -> list[str]:
    """Every definition there is, by short name."""
    return [line.partition(" ")[0] for line in schema_table.TABLE.splitlines()]


def name_of(group: str, version: str, kind: str) -> str | None:
    """The definition of a kind: ``apps, v1, Deployment`` is ``apps.v1.Deployment``."""
    return _kinds().get((group, version, kind))


def definition_of(document: Mapping[str, Any]) -> str | None:
    """The definition of a document's kind; None for one that is not built in."""
    group, _, version = str(document.get("apiVersion")).rpartition("/")
    return name_of(group, version, str(document.get("kind")))


def public_name(short: str) -> str:
    """The name under which OpenAPI documents know a definition: ``io.k8s.api.core.v1.Pod``."""
    home = next(
        (home for prefix, home in _HOMES.items() if short.startswith(prefix)), "io.k8s.api."
    )
    return home + short


@cache
def definition(name: str) -> Definition:
    """A definition by short name; one without fields when nothing is known of it."""
    words = _lines().get(name, "").split()
    kind = next((word for word in words if word[0] == "#"), None)
    group, version, kind_name = kind[1:].split("/") if kind else ("", "", "")
    fields = {match["name"]: match for word in words if (match := _word().fullmatch(word))}
    wires = order(name)
    ordered = [
        *(
            field
            for field in ("kind", "apiVersion", "metadata")
            if field in fields and field not in wires
        )
    ]
    ordered += [field for field in wires if field in fields]
    ordered += [field for field in fields if field not in ordered]
    return Definition(
        name,
        {field: _field(fields[field], wires.get(field)) for field in ordered},
        (group, version, kind_name) if kind else None,
        "^atomic" in words,
        next((word[1:] for word in words if word[0] == "="), ""),
    )


def _field(match: re.Match[str], wire: Wire | None) -> Field:
    options = dict(option.split("=", 1) for option in match["options"].split(";") if option)
    listed = match["type"][0] in "[{"
    unknown = wire is None and match["name"] not in ("kind", "apiVersion")
    return Field(
        match["name"],
        match["type"],
        match["required"] == "!",
        options.get("lt", ""),
        tuple(options["lk"].split(",")) if "lk" in options else (),
        options.get("mk", ""),
        tuple(options["ps"].split(",")) if "ps" in options else (),
        options.get("mt", ""),
        unknown if wire is None else wire.pointer or (listed and wire.type[0] not in "[{"),
        wire is not None and wire.written,
    )


@cache
def message(name: str) -> dict[int, Wire]:
    """The fields of a protobuf message by number; empty for one that is not known."""
    matches = (
        _proto().fullmatch(word)
        for word in _wires(drivers=is_of_drivers(name)).get(name, "").split()
    )
    return {
        int(match["number"]): Wire(
            match["name"],
            match["type"],
            match["inline"] == "~",
            match["pointer"] == "*",
            match["written"] == "!",
        )
        for match in matches
        if match
    }


@cache
def order(name: str) -> dict[str, Wire]:
    """The fields of a message by JSON name, as the servers order them; inlined structs spread
    out.
    """
    by_field: dict[str, Wire] = {}
    for wire in message(name).values():
        by_field |= order(wire.type) if wire.inline else {wire.name: wire}
    return by_field
