"""Access to the local engine: the state root that the options name, the pods in it, and where they
get their network from.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common.command import Option
from kubelite.cli.common.diagnostic import CliError, Diagnostic

if TYPE_CHECKING:
    from kubelite.cli.common.command import Settings
    from kubelite.cli.common.screen import Screen
    from kubelite.cli.pod_row import Doc
    from kubelite.node.kubelet.pods.pods import Pods
    from kubelite.node.network.cni import Directories
    from kubelite.node.runtime.home import Home

CniConfDir = Annotated[
    str | None,
    Option(
        "--cni-conf-dir",
        "Give pods the network that CNI configuration in this directory asks for.",
        "DIR",
    ),
]
CniBinDir = Annotated[
    str, Option("--cni-bin-dir", "Where the CNI plug-ins are, with : between.", "DIRS")
]


def open_home(settings: Settings) -> Home:
    """The state root to work in. Raises CliError if the caller is not root, since everything below
    it belongs to root, and RuntimeFailure for one that others could change.
    """
    from kubelite.node.runtime.home import Home

    if os.geteuid() != 0:
        raise CliError(
            Diagnostic(
                "kubelite must run as root to work with pods and images",
                hint="run the same command with sudo",
            )
        )
    home = Home(settings.root)
    home.check()
    return home


def open_pods(settings: Settings, screen: Screen) -> Pods:
    """The pods of the state root; with ``-v`` each step of the engine is printed to stderr. Warns
    of settings of the node that count for nothing.
    """
    home = open_home(settings)
    from kubelite.node.kubelet.act import config_file
    from kubelite.node.kubelet.pods.pods import Pods

    if fault := config_file.fault(home):
        screen.warn(Diagnostic(fault, hint="until it is corrected all defaults apply"))
    return Pods(home, trace=screen.detail if settings.verbose else None)


def cni_directories(conf: str | None, bin: str) -> Directories | None:
    """The directories of CNI plug-ins; None where pods get kubelite's own network."""
    from kubelite.node.network.cni import Directories

    return Directories(os.path.abspath(conf), bin) if conf else None


def as_document(pod: object) -> Doc:
    """A pod as JSON has it: dicts, lists and plain values, absent fields left out."""
    import msgspec

    document: Doc = msgspec.to_builtins(pod)
    return document


def suggest_command(settings: Settings, arguments: str) -> str:
    """A command line to suggest, with the global options that this one was given."""
    root = f" --root {settings.root}" if settings.root else ""
    namespace = (
        f" -n {settings.namespace}"
        if settings.namespace and settings.namespace != "default"
        else ""
    )
    return f"kubelite{root} {arguments}{namespace}"
