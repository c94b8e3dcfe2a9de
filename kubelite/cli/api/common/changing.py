"""What the verbs that change objects share: dry runs, and the sentence for each object."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kubelite.cli.api.common.options import DryRun
from kubelite.cli.api.common.selection import Target
from kubelite.cli.api.common.session import Api
from kubelite.cli.api.printing import formats
from kubelite.cli.api.printing.formats import Format

if TYPE_CHECKING:
    from kubelite.lib.json import Object

_SUFFIXES = {DryRun.none: "", DryRun.client: " (dry run)", DryRun.server: " (server dry run)"}


class Change(NamedTuple):
    """How objects are changed and shown: tried only, and in which form."""

    dry_run: DryRun = DryRun.none
    format: Format = Format()

    @property
    def is_tried(self) -> bool:
        """Whether the server only tries it."""
        return self.dry_run is DryRun.server

    @property
    def is_local(self) -> bool:
        """Whether the server is not asked to do anything."""
        return self.dry_run is DryRun.client

    @property
    def suffix(self) -> str:
        """What is said of a change that is only tried."""
        return _SUFFIXES[self.dry_run]

    def show(self, api: Api, target: Target, word: str, obj: Object) -> None:
        """Prints what has become of an object: ``pod/web created``, or the object itself."""
        if not self.format.name:
            api.screen.data(f"{target.label} {word}{self.suffix}\n")
        elif self.format.name == "name":
            api.screen.data(f"{target.label}\n")
        else:
            separator = "---\n" if self.format.name == "yaml" and api.has_shown else ""
            api.screen.data(separator + formats.text(obj, self.format))
            api.has_shown = True
