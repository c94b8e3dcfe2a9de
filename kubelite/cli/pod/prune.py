"""``pod prune``: removes the pods that have ended."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.engine import as_document, open_pods, suggest_command
from kubelite.cli.common.screen import Screen
from kubelite.cli.pod.ls import ALL_NAMESPACES

YES = Option("--yes -y", "Do not ask for confirmation.")
_ENDED = ("Succeeded", "Failed")


@usage("kubelite pod prune")
def prune(
    settings: Settings,
    *,
    all_namespaces: Annotated[bool, ALL_NAMESPACES] = False,
    yes: Annotated[bool, YES] = False,
) -> int:
    """Removes ended pods after asking. Raises CliError if it cannot ask."""
    from kubelite.cli.common.confirm import confirm

    screen = Screen(settings)
    pods = open_pods(settings, screen)
    namespace = None if all_namespaces else settings.active_namespace
    listed = [as_document(pod) for pod in pods.queries.list(namespace)]
    named = (pod["metadata"] for pod in listed if pod["status"]["phase"] in _ENDED)
    ended = [
        metadata
        for metadata in named
        if not pods.is_of_cluster(pods.queries.find(metadata["namespace"], metadata["name"]))
    ]
    if not ended:
        screen.note("no pod has ended, nothing to do")
        return 0
    screen.note("This removes pods that have ended, with their logs and volumes:")
    for metadata in ended:
        screen.note(f"  {metadata['namespace']}/{metadata['name']}")
    if not yes:
        confirm("removing pods", suggest_command(settings, "pod prune --yes"))
    for metadata in ended:
        pods.down(metadata["namespace"], metadata["name"], report=lambda _: None)
        screen.data(f"{metadata['name']} removed\n")
    return 0
