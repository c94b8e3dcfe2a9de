"""``pod check``: everything that can be said about a manifest without creating anything."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common import manifest
from kubelite.cli.common.command import Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic, render
from kubelite.cli.common.screen import Screen
from kubelite.cli.pod.up import FILE, LENIENT
from kubelite.cli.review import Review, review


@usage(
    "kubelite pod check web.yaml",
    "cat web.yaml | kubelite pod check -",
    notes="Exit code: 0 no errors, 1 errors, 2 the manifest could not be read.",
)
def check(
    settings: Settings,
    source: Annotated[str, FILE],
    *,
    lenient: Annotated[bool, LENIENT] = False,
) -> int:
    """Lists errors, warnings and fields without effect; 0 if ``pod up`` would accept the manifest.

    Raises CliError with exit code 2 if the manifest cannot be read.
    """
    screen = Screen(settings)
    try:
        documents = manifest.read(source)
    except CliError as error:
        unreadable = (diagnostic._replace(exit_code=2) for diagnostic in error.diagnostics)
        raise CliError(*unreadable) from error
    file = manifest.label(source)
    reviewed = review(documents, file, namespace=settings.namespace, lenient=lenient)
    for level, diagnostics in (
        ("error", reviewed.errors),
        ("warning", reviewed.warnings),
        ("note", reviewed.notes),
    ):
        _print(screen, level, diagnostics)
    screen.note(f"{file}: {summary(reviewed)}")
    return 1 if reviewed.errors else 0


def _print(screen: Screen, level: str, diagnostics: list[Diagnostic]) -> None:
    for diagnostic in diagnostics:
        screen.data(render(diagnostic, screen.out, level) + "\n")


def summary(reviewed: Review) -> str:
    """What there is and what was found: ``2 pods, 1 error, 3 fields without effect``."""
    kinds = [key.kind for key in reviewed.objects]
    contents = [
        (len(reviewed.pods), "pod", "pods"),
        (kinds.count("ConfigMap"), "ConfigMap", "ConfigMaps"),
        (kinds.count("Secret"), "Secret", "Secrets"),
    ]
    findings = [
        (len(reviewed.errors), "error", "errors"),
        (len(reviewed.warnings), "warning", "warnings"),
        (len(reviewed.notes), "field without effect", "fields without effect"),
    ]
    return ", ".join([*_counted(contents), *(_counted(findings) or ["clean"])])


def _counted(counts: list[tuple[int, str, str]]) -> list[str]:
    return [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
