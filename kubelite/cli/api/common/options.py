"""The options that several verbs have."""

from __future__ import annotations

import enum
from typing import Annotated, Any

from kubelite.cli.api.printing import formats
from kubelite.cli.common import targets
from kubelite.cli.common.command import Argument, Option

Kubeconfig = Annotated[
    str | None,
    Option(
        "--kubeconfig",
        "How to reach the cluster; by default KUBECONFIG, ~/.kube/config, this pod's account,"
        " this machine's cluster.",
        "FILE",
        completes="file",
    ),
]
Context = Annotated[str | None, Option("--context", "Context of the kubeconfig to use.", "NAME")]
Objects = Annotated[
    list[str] | None,
    Argument("[TYPE [NAME...] | TYPE/NAME...]", "What: pods, deploy/web, svc,ep web."),
]
Files = Annotated[list[str] | None, targets.FILES]
Recursive = Annotated[bool, targets.RECURSIVE]
Kustomize = Annotated[list[str] | None, targets.KUSTOMIZE]
AllNamespaces = Annotated[
    bool, Option("--all-namespaces -A", "Include the objects of all namespaces.")
]
Selector = Annotated[
    str, Option("--selector -l", "Objects with these labels: app=web,tier!=db.", "SELECTOR")
]
FieldSelector = Annotated[
    str, Option("--field-selector", "Objects with these fields: status.phase=Running.", "SELECTOR")
]
All = Annotated[bool, Option("--all", "All objects of the type in the namespace.")]
Shown = Annotated[
    Any,
    Option(
        "--output -o", f"Form of the output: {', '.join(formats.NAMES)}.", "FORMAT", formats.parse
    ),
]
NO_FORMAT = formats.Format()


class DryRun(enum.StrEnum):
    """Whether a change is only tried: not at all, here, or by the server."""

    none = "none"
    client = "client"
    server = "server"


class Switch(enum.StrEnum):
    """On or off, for options that kubectl takes as ``--wait=false``."""

    true = "true"
    false = "false"


Dry = Annotated[
    DryRun, Option("--dry-run", "Only show what would be done: client, or server to have it tried.")
]
Container = Annotated[
    str | None,
    Option("--container -c", "Container; by default the one that the pod names, or its first."),
]
