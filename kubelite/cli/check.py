"""``pod check``: everything that can be said about a manifest without creating anything."""

from __future__ import annotations

from kubelite.cli import manifest
from kubelite.cli.review import Review, review
from kubelite.cli.screen import Screen
from kubelite.cli.settings import Settings
from kubelite.cli.text import CliError, Trouble, render


def check(settings: Settings, source: str, *, lenient: bool = False) -> int:
    """Lists errors, warnings and fields without effect; 0 when ``pod up`` would take the manifest,
    1 when it would not.

    Raises CliError with exit code 2 when the manifest cannot be read.
    """
    screen = Screen(settings)
    try:
        documents = manifest.read(source)
    except CliError as error:
        raise CliError(*(trouble._replace(exit=2) for trouble in error.troubles)) from error
    found = review(documents, manifest.shown(source), namespace=settings.namespace, lenient=lenient)
    for word, troubles in (
        ("error", found.errors),
        ("warning", found.warnings),
        ("note", found.notes),
    ):
        _list(screen, word, troubles)
    screen.note(f"{manifest.shown(source)}: {summary(found)}")
    return 1 if found.errors else 0


def _list(screen: Screen, word: str, troubles: list[Trouble]) -> None:
    for trouble in troubles:
        screen.data(render(trouble, screen.out, word) + "\n")


def summary(found: Review) -> str:
    """How many pods and findings there are: ``2 pods, 1 error, 3 fields without effect``."""
    parts = [
        (len(found.pods), "pod", "pods"),
        (len(found.errors), "error", "errors"),
        (len(found.warnings), "warning", "warnings"),
        (len(found.notes), "field without effect", "fields without effect"),
    ]
    said = [f"{count} {one if count == 1 else many}" for count, one, many in parts if count]
    return ", ".join(said) if len(said) > 1 or found.errors else f"{said[0]}, clean"
