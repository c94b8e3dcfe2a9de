"""From a pod, its images and facts of this node to everything that its start needs, decided before anything is done. Pure.

Rules are the kubelet's: environment and ``$(VAR)`` expansion, command and args against the image's entrypoint, users and
security settings, mounts.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelite.node.image.model import ImageConfig
from kubelite.node.runtime.bundle import Program, Security, Shared
from kubelite.node.runtime.identity import IdentityError, capabilities, resolve_user
from kubelite.objects import expand, qos
from kubelite.objects.pod import Container, Pod

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ImageFacts(NamedTuple):
    """What a container needs to know of its image; ``passwd`` and ``group`` are the texts of those files in it."""

    id: str
    config: ImageConfig
    passwd: str
    group: str


class NodeFacts(NamedTuple):
    """What a container may ask about the node and its pod; ``capabilities`` masks what this machine can give."""

    name: str
    address: str
    pod_address: str
    memory: int
    capabilities: int
    hostname: str


class Unstartable(ValueError):
    """The pod cannot be started as it is; ``container`` says where, the text why."""

    def __init__(self, container: str, reason: str) -> None:
        super().__init__(f'container "{container}": {reason}')


def shared_namespaces(pod: Pod) -> Shared:
    """Which namespaces the pod's containers share with each other and with the host."""
    spec = pod.spec
    return Shared(
        bool(spec.host_network), bool(spec.host_pid), bool(spec.host_ipc), bool(spec.share_process_namespace)
    )


def program(pod: Pod, container: Container, image: ImageFacts, node: NodeFacts, home: str) -> Program:
    """Command line, environment and directory. Raises Unstartable when neither pod nor image names a command."""
    declared = expand.container_env(pod, container, _values(node))
    env = dict(item.partition("=")[::2] for item in (DEFAULT_PATH, *image.config.env))
    env.setdefault("HOME", home)
    env["HOSTNAME"] = node.hostname
    if container.tty:
        env.setdefault("TERM", "xterm")
    env.update(declared)
    command = [expand.expand(word, declared) for word in container.command or ()]
    args = [expand.expand(word, declared) for word in container.args or ()]
    if not command:
        command = list(image.config.entrypoint)
        args = args or list(image.config.cmd)
    if not command and not args:
        raise Unstartable(container.name, "no command: neither the manifest nor the image names one")
    cwd = container.working_dir or image.config.working_dir or "/"
    pairs = tuple(f"{key}={value}" for key, value in env.items())
    return Program((*command, *args), pairs, cwd, bool(container.tty))
