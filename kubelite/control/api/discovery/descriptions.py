"""The published descriptions of types and fields, for ``kubectl explain``, where
``kubernetes-validate`` is installed.
"""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from typing import Any

import msgspec

from kubelite.objects.facts import schema

_FILE = f"kubernetes-json-schema/v{schema.LEVEL}.0-local/_definitions.json"


def describe(name: str) -> dict[str, str]:
    """The descriptions of a definition by its public name: of itself under "", of its fields by
    name.
    """
    described = _definitions().get(name, {})
    fields = {
        field: spec.get("description", "")
        for field, spec in described.get("properties", {}).items()
    }
    return {"": described.get("description", ""), **fields}


@cache
def _definitions() -> dict[str, Any]:
    package = importlib.util.find_spec("kubernetes_validate")
    folders = package.submodule_search_locations if package else None
    if not folders:
        return {}
    try:
        with open(os.path.join(folders[0], _FILE), "rb") as file:
            definitions: dict[str, Any] = msgspec.json.decode(file.read())["$defs"]
    except (OSError, msgspec.DecodeError, KeyError):
        return {}
    return definitions
