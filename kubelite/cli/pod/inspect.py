"""``pod inspect``: everything that is known about one pod."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common import output
from kubelite.cli.common.command import Document, Settings, usage
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAME, pod_name
from kubelite.cli.pod.ls import OUTPUT


@usage("kubelite pod inspect web", "kubelite pod inspect web -o yaml")
def inspect(
    settings: Settings,
    name: Annotated[str, NAME],
    *,
    format: Annotated[Document, OUTPUT] = Document.json,
) -> int:
    """Prints a pod's object, sandbox, processes and kernel objects. Raises NotFound."""
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    described = as_document(pods.queries.inspect(settings.active_namespace, pod_name(name)))
    pods.restart_missing_agent()
    screen.data(output.document(described, format))
    return 0
