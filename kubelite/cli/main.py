"""The command table: which commands there are, where each lives, and what it does in one line.

No logic: :mod:`kubelite.cli.common.dispatch` reads this table, imports the one module that a
command line names, and turns whatever happens into an exit code. Exit codes: 0 success, 1 failure,
2 wrong usage, 124 timed out while waiting, 130 Ctrl-C, 128+n ended by signal n; of ``pod exec``,
``attach`` and ``debug`` the program's own, or 125 kubelite failed, 126 not executable, 127 not
found; of ``pod check``, ``pod diff`` and ``diff`` 1 findings, 2 nothing could be examined; of
``exec``, ``attach`` and ``run`` in a cluster the program's own.
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
    "rollout": "Follow, undo and restart rollouts in a cluster.",
    "set": "Change images, variables and resources of pod templates.",
    "auth": "Say what the cluster lets you do.",
    "system": "Inspect and reset this machine's kubelite.",
}

COMMANDS = {
    "up": Command("cluster.up", "up", "Start a whole Kubernetes on this machine."),
    "down": Command("cluster.down", "down", "End a cluster and remove its pods."),
    "status": Command("cluster.status", "status", "Show what runs of a cluster."),
    "kubeconfig": Command("cluster.kubeconfig", "kubeconfig", "Print or merge a kubeconfig."),
    "ui": Command("ui.serve", "ui", "Show a cluster, or this machine's pods, in the browser."),
    "get": Command("api.read.get", "get", "List or show objects of a cluster."),
    "describe": Command("api.read.describe", "describe", "Describe objects with their events."),
    "apply": Command("api.write.apply", "apply", "Create or change the objects of files."),
    "delete": Command("api.write.delete", "delete", "Delete objects and wait until they are gone."),
    "logs": Command("api.pods.logs", "logs", "Print the logs of containers."),
    "exec": Command("api.pods.exec", "execute", "Run a program in a container."),
    "create": Command("api.write.create", "create", "Create objects of files or of one kind."),
    "scale": Command("api.write.scale", "scale", "Set how many replicas are wanted."),
    "rollout status": Command("api.write.rollout", "status", "Wait until a rollout is over."),
    "rollout history": Command("api.write.rollout", "history", "List the revisions of objects."),
    "rollout undo": Command("api.write.rollout", "undo", "Return to an earlier revision."),
    "rollout restart": Command("api.write.rollout", "restart", "Replace all pods by new ones."),
    "rollout pause": Command("api.write.rollout", "pause", "Hold changes of deployments back."),
    "rollout resume": Command("api.write.rollout", "resume", "Let paused deployments go on."),
    "wait": Command("api.read.wait", "wait", "Wait until objects are as wanted."),
    "port-forward": Command("api.pods.port_forward", "port_forward", "Reach ports of a pod here."),
    "label": Command("api.write.label", "label", "Set and remove labels."),
    "annotate": Command("api.write.label", "annotate", "Set and remove annotations."),
    "run": Command("api.pods.run", "run_pod", "Run an image in a pod of the cluster."),
    "expose": Command("api.write.expose", "expose", "Create a Service for the pods of an object."),
    "set image": Command("api.write.set", "image", "Change the images of pod templates."),
    "set env": Command("api.write.set", "env", "Change the variables of pod templates."),
    "set resources": Command("api.write.set", "resources", "Change requests and limits."),
    "set serviceaccount": Command("api.write.set", "serviceaccount", "Change the account of pods."),
    "patch": Command("api.write.patch", "patch", "Change objects by a patch."),
    "edit": Command("api.write.edit", "edit", "Change an object in an editor."),
    "diff": Command("api.write.diff", "diff", "Show what apply would change.", 2),
    "api-resources": Command("api.read.api_resources", "api_resources", "List types of objects."),
    "top": Command("api.read.top", "top", "Show what nodes or pods use."),
    "events": Command("api.read.events", "events", "List events, or those of an object."),
    "cordon": Command("api.nodes.cordon", "cordon", "Let no more pods onto nodes."),
    "uncordon": Command("api.nodes.cordon", "uncordon", "Let pods onto nodes again."),
    "drain": Command("api.nodes.drain", "drain", "Evict the pods of nodes."),
    "cp": Command("api.pods.cp", "copy", "Copy files to and from containers."),
    "attach": Command("api.pods.exec", "attach", "Attach to the main process of a container."),
    "auth can-i": Command("api.read.auth", "can_i", "Say whether something is allowed."),
    "auth whoami": Command("api.read.auth", "whoami", "Show who the server takes you for."),
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
    "explain": Command("about.explain", "explain", "Explain an error code, or a field of the API."),
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
