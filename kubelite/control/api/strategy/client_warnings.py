"""What a client is told beside the answer, in ``Warning`` headers: deprecated kinds and fields, and
what has no effect. Pure.

Facts are those of the ``WarningsOnCreate`` and ``WarningsOnUpdate`` of Kubernetes' registries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.kinds.registry import rules_of
from kubelite.control.api.tables.text import lookup
from kubelite.lib.json import Object
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from kubelite.control.api.wire.resource import Resource

_RECOMMENDED = "which can result in surprising behavior; a DNS label is recommended"


def on_sent(res: Resource, obj: Object) -> list[str]:
    """What is odd about a new object before anything is written into it."""
    sent_warnings = rules_of(res).sent_warnings if res.crd is None else None
    return list(sent_warnings(obj)) if sent_warnings is not None else []


def on_create(res: Resource, obj: Object) -> list[str]:
    """What is odd about a new object."""
    rules = rules_of(res)
    name = [_warn_of_name(obj, rules.hostname_use)] if rules.hostname_use else []
    rest = rules.warnings(obj) if rules.warnings else ()
    return [warning for warning in (*name, *rest) if warning]


def on_update(res: Resource, new: Object, old: Object) -> list[str]:
    """What is odd about an object whose specification has changed."""
    rules = rules_of(res)
    if rules.warnings is None or not rules.warns_on_update:
        return []
    if rules.has_generation and _generation(new) == _generation(old):
        return []
    if rules.warned_change and lookup(new, rules.warned_change) == lookup(old, rules.warned_change):
        return []
    known = set(rules.warnings(old)) if rules.warned_once else ()
    return [warning for warning in rules.warnings(new) if warning not in known]


def on_delete(res: Resource, *, says_policy: bool) -> list[str]:
    """What is odd about a deletion; ``says_policy``: it says what becomes of dependents."""
    warning = rules_of(res).deletion_warning
    return [warning] if warning and not says_policy else []


def _generation(obj: Object) -> int:
    generation: int = obj["metadata"].get("generation", 0)
    return generation


def _warn_of_name(obj: Object, use: str) -> str:
    problems = names.label(obj["metadata"].get("name", ""))
    if not problems:
        return ""
    return f"metadata.name: this is used in {use}, {_RECOMMENDED}: [{' '.join(problems)}]"
