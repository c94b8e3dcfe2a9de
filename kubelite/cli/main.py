"""The command table: which commands there are, where each lives, and what it does in one line.

No logic: :mod:`kubelite.cli.common.dispatch` reads this table, imports the one module that a
command line names, and turns whatever happens into an exit code. Exit codes: 0 success, 1 failure,
2 wrong usage, 124 timed out while waiting, 130 Ctrl-C, 128+n ended by signal n; of ``pod exec``,
``attach`` and ``debug`` the program's own, or 125 kubelite failed, 126 not executable, 127 not
found; of ``pod check`` and ``pod diff`` 1 findings, 2 nothing could be examined.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from kubelite.cli.common.command import Command
from kubelite.cli.common.dispatch import dispatch

if TYPE_CHECKING:
    from collections.abc import Callable

GROUPS = {
    "pod": "Run pods on this machine, without a cluster.",
    "image": "Manage the images in the local store.",
    "network": "Show the network of pods.",
    "scheduler": "Explain scheduling decisions from files, or schedule the pods of a cluster.",
    "node": "Run this machine as a node of a cluster.",
    "token": "Let other machines join a cluster.",
    "system": "Inspect and reset this machine's kubelite.",
}

COMMANDS = {
    "up": Command("cluster.up", "up", "Start a whole Kubernetes on this machine."),
    "down": Command("cluster.down", "down", "End a cluster and remove its pods."),
    "status": Command("cluster.status", "status", "Show what runs of a cluster."),
    "kubeconfig": Command("cluster.kubeconfig", "kubeconfig", "Print or merge a kubeconfig."),
    "ui": Command("ui.serve", "ui", "Show a cluster, or this machine's pods, in the browser."),
    "pod up": Command("pod.up", "up", "Create the pods of a manifest, or update them in place."),
    "pod run": Command("pod.run", "run", "Run one container of an image in a new pod.", 125),
    "pod down": Command("pod.down", "down", "Stop pods and remove everything of them."),
    "pod ls": Command("pod.ls", "ls", "List pods."),
    "pod ps": Command("pod.ls", "ls", "List pods.", alias_of="pod ls"),
    "pod inspect": Command("pod.inspect", "inspect", "Show everything known about a pod."),
    "pod describe": Command("pod.describe", "describe", "Describe pods with their events."),
    "pod check": Command("pod.check", "check", "Check a manifest without creating anything.", 2),
    "pod update": Command("pod.update", "update", "Change images, limits or variables of a pod."),
    "pod start": Command("pod.lifecycle", "start", "Start stopped or ended pods."),
    "pod stop": Command("pod.lifecycle", "stop", "Stop the containers of pods; the pods remain."),
    "pod restart": Command("pod.lifecycle", "restart", "Restart containers now, in place."),
    "pod kill": Command("pod.lifecycle", "kill", "Send a signal to the containers of pods."),
    "pod pause": Command("pod.lifecycle", "pause", "Freeze all processes of pods."),
    "pod unpause": Command("pod.lifecycle", "unpause", "Thaw paused pods."),
    "pod logs": Command("pod.logs", "logs", "Print the logs of a pod's containers."),
    "pod exec": Command("pod.exec", "execute", "Run a program in a container.", 125),
    "pod attach": Command("pod.attach", "attach", "Attach to a container's main process.", 125),
    "pod debug": Command("pod.debug", "debug", "Run tools beside a container.", 125),
    "pod cp": Command("pod.cp", "copy", "Copy files to and from a container."),
    "pod wait": Command("pod.wait", "wait", "Wait until a pod is ready, has ended or is gone."),
    "pod events": Command("pod.events", "events", "Show what has happened to a pod."),
    "pod top": Command("pod.top", "top", "List the processes of a pod."),
    "pod stats": Command("pod.stats", "stats", "Show CPU, memory and network use of containers."),
    "pod diff": Command("pod.diff", "diff", "List the files that a container has changed.", 2),
    "pod prune": Command("pod.prune", "prune", "Remove the pods that have ended."),
    "image import": Command("image.load", "import_", "Create an image from a root file system."),
    "image load": Command("image.load", "load", "Load images from an archive or OCI layout."),
    "image copy": Command("image.copy", "copy", "Copy images of this machine's docker or podman."),
    "image ls": Command("image.ls", "ls", "List the images of the store."),
    "image pull": Command("image.pull", "pull", "Pull images from their registries."),
    "image push": Command("image.push", "push", "Send images to their registries."),
    "image inspect": Command("image.inspect", "inspect", "Show everything known about an image."),
    "image save": Command("image.save", "save", "Write images to an archive."),
    "image tag": Command("image.inspect", "tag", "Give an image a further name."),
    "image build": Command("image.build", "build", "Make an image from a Containerfile."),
    "image commit": Command("image.commit", "commit", "Make an image of a container's changes."),
    "image history": Command("image.history", "history", "Show how an image came about."),
    "image diff": Command("image.history", "diff", "List the files that a changeset changes.", 2),
    "image bundle": Command("image.bundle", "bundle", "Archive the images of manifests."),
    "image mount": Command("image.mount", "mount", "Show an image's files in a directory."),
    "image unmount": Command("image.mount", "unmount", "Take an image's files away again."),
    "image prune": Command("image.rm", "prune", "Remove images that no pod uses."),
    "image rm": Command("image.rm", "rm", "Remove images that no pod uses."),
    "network ls": Command("network.ls", "ls", "Show the pods' network in one line."),
    "network inspect": Command("network.inspect", "inspect", "Show addresses, ports and ways."),
    "scheduler explain": Command("scheduler.explain", "explain", "Explain where a pod would run."),
    "scheduler simulate": Command("scheduler.simulate", "simulate", "Schedule many pods on paper."),
    "scheduler run": Command("scheduler.run", "run", "Schedule the pods of a cluster."),
    "system info": Command("system.info", "info", "Show versions, kernel features and paths."),
    "system check": Command("system.check", "check", "Say what is damaged, or blocks pods."),
    "system df": Command("system.df", "df", "Show what images, pods and logs take on the disk."),
    "system agent": Command("system.agent", "agent", "Run the node agent in the foreground."),
    "system reset": Command("system.reset", "reset", "Remove all pods, images and kernel objects."),
    "node run": Command("node.run", "run", "Run this machine as a node of a cluster."),
    "node join": Command("node.join", "join", "Join the cluster of another machine."),
    "token create": Command("token.create", "create", "Print a token that lets a machine join."),
    "controllers": Command("controllers.run", "controllers", "Run controllers against a cluster."),
    "server": Command("server.serve", "server", "Run a Kubernetes control plane until Ctrl-C."),
    "completion": Command("about.completion", "completion", "Print a shell's completion script."),
    "explain": Command("about.explain", "explain", "Explain an error code."),
    "version": Command("about.version", "version", "Show the versions of kubelite and the kernel."),
}


GARBAGE_THRESHOLD = 100_000
"""Objects that a command may make before it looks for garbage."""


def main() -> int:
    """The ``kubelite`` command: runs what sys.argv says and returns the exit code."""
    return dispatch(GROUPS, COMMANDS)


def finish(command: Callable[[], int]) -> int:
    """The exit code of a command, with everything that it has written out of this process."""
    code = command()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # whoever reads it has gone
    return code


def run() -> NoReturn:
    """The program: :func:`main`, then exits at once.

    Looking for garbage among what imports make, and taking it all apart at the end, would be a
    fifth of a short command's time; nothing here waits for either. Where the launcher asked for it,
    the next command finds a warm process.
    """
    gc.set_threshold(GARBAGE_THRESHOLD)
    launcher = os.environ.pop("KUBELITE_LAUNCHER", "")
    code = finish(main)
    if launcher and sys.argv[1:2] == ["pod"]:
        from kubelite.cli.warm.start import start

        start(launcher)
    os._exit(code)
