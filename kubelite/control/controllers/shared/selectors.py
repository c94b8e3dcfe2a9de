"""Label selectors as they stand in a spec. Pure."""

from __future__ import annotations

import msgspec

from kubelite.control.controllers.shared.meta import Obj
from kubelite.lib.text_cache import remember_short_calls
from kubelite.objects.facts.labels import NOTHING, Selector, SelectorError, of_map, requirement


def selector_of(raw: Obj | None) -> Selector:
    """The selector of a ``labelSelector`` field; one that cannot be read selects nothing."""
    return NOTHING if raw is None else _read(msgspec.json.encode(raw))


@remember_short_calls(4096)
def _read(text: bytes) -> Selector:
    raw = msgspec.json.decode(text)
    try:
        expressions = tuple(
            requirement(term["key"], term["operator"], term.get("values") or ())
            for term in raw.get("matchExpressions") or ()
        )
    except (SelectorError, KeyError):
        return NOTHING
    return Selector((*of_map(raw.get("matchLabels") or {}).requirements, *expressions))
