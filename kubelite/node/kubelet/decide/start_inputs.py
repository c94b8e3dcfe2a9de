"""The inputs of a container's start, from the pod, the image and facts about the node. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from kubelite.core.plan import Device
from kubelite.node.cgroup.limits import ControlWrite
from kubelite.node.image.model import Image
from kubelite.node.kubelet.decide import container_config
from kubelite.node.kubelet.decide.container_config import ImageFacts, NodeFacts
from kubelite.node.kubelet.decide.stopping import signal_number
from kubelite.node.runtime.launch_plan import Security, SharedNamespaces, StartInputs
from kubelite.objects.pod.container import Container
from kubelite.objects.pod.pod import Pod


def start_inputs(
    pod: Pod,
    container: Container,
    image: Image,
    image_facts: ImageFacts,
    node: NodeFacts,
    security: Security,
    shared: SharedNamespaces,
    *,
    covers: tuple[str, ...],
    devices: tuple[Device, ...],
    control_writes: tuple[ControlWrite, ...],
    variables: Mapping[str, str],
) -> StartInputs:
    """``security`` has its seccomp filter compiled; ``covers`` are the host's paths to hide where
    the image is the host's root; ``control_writes`` are for the container's cgroup; ``variables``
    are those that the manifest declares. Raises ContainerConfigError.
    """
    return StartInputs(
        name=container.name,
        init=container in pod.spec.init_containers,
        image=container.image or "",
        image_id=image_facts.id,
        layers=tuple(str(layer) for layer in image.layers),
        program=container_config.program(
            container, image_facts, node, security.user.home, variables
        ),
        variables=variables,
        security=security,
        shared=shared,
        covers=covers,
        devices=devices,
        control_writes=control_writes,
        stdin=bool(container.stdin),
        stdin_once=bool(container.stdin_once),
        log=node.log,
        message_path=container_config.message_path(container),
        stop_signal=signal_number(image_facts.config.stop_signal),
    )
