"""``image history`` and ``image diff``: the changesets that an image is made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

from kubelite.cli.common import output
from kubelite.cli.common.command import Option, Output, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic, cell
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.store import IMAGE, open_store
from kubelite.cli.pod.ls import OUTPUT
from kubelite.lib import sizes
from kubelite.objects.facts import ages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubelite.node.image.content.documents import History

_COMMAND_WIDTH = 60


class _Row(NamedTuple):
    """A line of the history; ``layer`` counts from the lowest, 0 where nothing was changed."""

    layer: int
    size: int
    entry: History


@usage("kubelite image history web:1", "kubelite image history web:1 -o wide")
def history(
    settings: Settings,
    name: Annotated[str, IMAGE],
    *,
    format: Annotated[Output, OUTPUT] = Output.table,
) -> int:
    """Prints how an image came about, the latest change first. Raises ImageNotFound."""
    from kubelite.node.image.content.documents import history_of

    screen, store = Screen(settings), open_store(settings)
    image = store.get(name)
    rows = list(_rows(history_of(store.configuration(image)), store.layer_sizes(image)))
    if format in (Output.json, Output.yaml):
        import msgspec

        listed = [
            {"layer": row.layer, "size": row.size, **msgspec.to_builtins(row.entry)}
            for row in reversed(rows)
        ]
        screen.data(output.document(listed, format))
    else:
        screen.data(_table(rows[::-1], format is Output.wide))
    return 0


def _rows(history: Sequence[History], sizes: Sequence[int]) -> Iterator[_Row]:
    """The entries with their layers; the lowest layers may have none that tells of them."""
    from kubelite.node.image.content.documents import History as Entry

    layer = max(0, len(sizes) - sum(not entry.empty_layer for entry in history))
    for number in range(layer):
        yield _Row(number + 1, sizes[number], Entry())
    for entry in history:
        has_layer = not entry.empty_layer and layer < len(sizes)
        layer += has_layer
        yield _Row(layer * has_layer, sizes[layer - 1] if has_layer else 0, entry)


def _table(rows: Sequence[_Row], wide: bool) -> str:
    now = datetime.now(UTC)
    cells = [
        [
            str(row.layer) if row.layer else "-",
            ages.since(row.entry.created, now),
            sizes.shown(row.size),
            _shortened(row.entry.created_by, wide) or "<none>",
            row.entry.comment,
        ]
        for row in rows
    ]
    return output.table(["LAYER", "AGE", "SIZE", "CREATED BY", "COMMENT"], cells)


def _shortened(text: str, wide: bool) -> str:
    one_line = " ".join(cell(text).split())
    if wide or len(one_line) <= _COMMAND_WIDTH:
        return one_line
    return one_line[: _COMMAND_WIDTH - 1] + "…"


_LAYER = Option("--layer", "Which changeset, as image history numbers them.", "N")


@usage(
    "kubelite image diff web:1",
    "kubelite image diff web:1 --layer 2",
    notes="Lists files that were added (A), changed (C) or deleted (D). Exit code: 0 none, 1 some,"
    " 2 there is no such changeset.",
)
def diff(
    settings: Settings,
    name: Annotated[str, IMAGE],
    *,
    layer: Annotated[int | None, _LAYER] = None,
) -> int:
    """Prints what a changeset of an image, the last one, changes in those below; 1 if anything.

    Raises ImageNotFound, CliError.
    """
    from kubelite.node.image.content.changes import changes

    screen = Screen(settings)
    image = open_store(settings).get(name)
    count = len(image.layers)
    number = count if layer is None else layer
    if not 1 <= number <= count:
        message = f"{name} has {count} changesets, not one with number {number}"
        raise CliError(Diagnostic(message, exit_code=2))
    paths = [str(path) for path in image.layers[:number]]
    is_changed = False
    for change in changes(paths[-1], paths[:-1]):
        is_changed = True
        screen.data(f"{change.kind} {cell(change.path)}\n")
    return int(is_changed)
