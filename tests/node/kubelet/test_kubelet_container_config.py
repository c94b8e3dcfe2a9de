"""What a container is started with, decided from the pod, its image and facts of the node."""

from __future__ import annotations

import msgspec
import pytest

from kubelite.node.image.model import ImageConfig
from kubelite.node.kubelet.decide import container_config, security_context
from kubelite.node.kubelet.decide.container_config import (
    ContainerConfigError,
    ImageFacts,
    NodeFacts,
)
from kubelite.node.volume.errors import VolumeError
from kubelite.objects.pod.pod import (
    Capabilities,
    Container,
    ContainerPort,
    EmptyDirVolumeSource,
    EnvVar,
    Pod,
    PodSecurityContext,
    PodSpec,
    ResourceRequirements,
    SecurityContext,
    Sysctl,
    Volume,
)

NODE = NodeFacts("node", "10.0.0.1", ("10.0.0.2",), 4, 8 << 30, (1 << 41) - 1, "p")
PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:77:78::/home/app:/bin/sh\n"


def image(**config) -> ImageFacts:
    return ImageFacts("sha256:1", ImageConfig(**config), PASSWD, "extra:x:90:app\n")


def pod(container: Container, **spec) -> Pod:
    return Pod(spec=PodSpec(containers=(container,), **spec))


def program(container: Container, facts: ImageFacts):
    declared = container_config.declared_env(pod(container), container, NODE)
    return container_config.program(container, facts, NODE, "/root", declared)


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        ((), (), ("/entry", "default")),
        ((), ("mine",), ("/entry", "mine")),
        (("/other",), (), ("/other",)),
        (("/other",), ("mine",), ("/other", "mine")),
    ],
)
def test_command_and_args_against_the_images_own(command, args, expected) -> None:
    container = Container(name="c", command=command, args=args)
    made = program(container, image(entrypoint=("/entry",), cmd=("default",)))
    assert made.args == expected


def test_no_command_anywhere_is_refused() -> None:
    container = Container(name="c")
    with pytest.raises(ContainerConfigError, match='container "c": no command'):
        program(container, image())


def test_environment_is_the_images_then_the_nodes_then_the_manifests() -> None:
    container = Container(
        name="c",
        command=("x", "$(A)", "$$(A)"),
        env=(EnvVar(name="A", value="1"), EnvVar(name="HOME", value="/h")),
    )
    made = program(container, image(env=("PATH=/image", "A=0")))
    assert dict(pair.split("=", 1) for pair in made.env) == {
        "PATH": "/image",
        "A": "1",
        "HOME": "/h",
        "HOSTNAME": "p",
    }
    assert made.args == ("x", "1", "$(A)")
    assert made.cwd == "/"


def test_a_containers_security_goes_before_the_pods() -> None:
    container = Container(
        name="c",
        security_context=SecurityContext(
            run_as_user=5,
            capabilities=Capabilities(drop=("ALL",), add=("NET_ADMIN",)),
            allow_privilege_escalation=False,
        ),
    )
    owner = pod(
        container, security_context=PodSecurityContext(run_as_user=6, run_as_group=7, fs_group=8)
    )
    made = security_context.security(owner, container, image(), NODE)
    assert (made.user.uid, made.user.gid, made.user.groups) == (5, 7, (7, 8))
    assert made.caps.permitted == 1 << 12
    assert made.no_new_privs and not made.privileged


def test_the_images_user_is_looked_up_in_the_image() -> None:
    container = Container(name="c")
    made = security_context.security(pod(container), container, image(user="app"), NODE)
    assert (made.user.uid, made.user.gid, made.user.groups, made.user.home) == (
        77,
        78,
        (78, 90),
        "/home/app",
    )
    with pytest.raises(ContainerConfigError, match="nobody-knows"):
        security_context.security(pod(container), container, image(user="nobody-knows"), NODE)


def test_run_as_non_root_refuses_only_root() -> None:
    container = Container(name="c", security_context=SecurityContext(run_as_non_root=True))
    assert (
        security_context.security(pod(container), container, image(user="app"), NODE).user.uid == 77
    )
    with pytest.raises(ContainerConfigError, match="runAsNonRoot"):
        security_context.security(pod(container), container, image(), NODE)


@pytest.mark.parametrize("name", ["net.ipv4.tcp_syncookies", "net/ipv4/tcp_syncookies"])
def test_safe_sysctls_are_paths_below_proc_sys(name: str) -> None:
    owner = pod(
        Container(name="c"),
        security_context=PodSecurityContext(sysctls=(Sysctl(name=name, value="1"),)),
    )
    assert security_context.sysctls(owner) == (("net/ipv4/tcp_syncookies", "1"),)


@pytest.mark.parametrize(
    ("name", "spec", "why"),
    [
        ("kernel.pid_max", {}, "is not namespaced"),
        ("net.core.somaxconn", {}, "--allow-unsafe-sysctl net.core.somaxconn"),
        ("net.ipv4.tcp_syncookies", {"host_network": True}, "would change the host"),
        ("kernel.shm_rmid_forced", {"host_ipc": True}, "would change the host"),
    ],
)
def test_other_sysctls_are_refused(name: str, spec: dict[str, bool], why: str) -> None:
    context = PodSecurityContext(sysctls=(Sysctl(name=name, value="1"),))
    with pytest.raises(ContainerConfigError, match=why):
        security_context.sysctls(pod(Container(name="c"), security_context=context, **spec))


def test_limits_ports_and_sizes() -> None:
    container = Container(
        name="c",
        resources=ResourceRequirements(
            limits={"cpu": "500m", "memory": "64Mi"}, requests={"cpu": "250m"}
        ),
        ports=(ContainerPort(container_port=80, host_port=8080), ContainerPort(container_port=81)),
    )
    owner = pod(
        container,
        volumes=(
            Volume(name="m", empty_dir=EmptyDirVolumeSource(medium="Memory", size_limit="1Mi")),
            Volume(name="d", empty_dir=EmptyDirVolumeSource()),
        ),
    )
    found = container_config.container_limits(container)
    assert (found.cpu_request, found.cpu_limit, found.memory_limit) == (250, 500, 64 << 20)
    assert container_config.pod_limits(owner).memory_limit == 64 << 20
    assert [
        (p.host_port, p.container_port, p.protocol) for p in container_config.host_ports(owner)
    ] == [(8080, 80, "TCP")]
    assert container_config.volume_sizes(owner) == {"m": 1 << 20}


def test_no_huge_page_that_was_not_asked_for() -> None:
    container = Container(
        name="c", resources=ResourceRequirements(limits={"hugepages-2Mi": "8Mi", "memory": "1Mi"})
    )
    sizes = (2 << 20, 1 << 30)
    assert container_config.container_limits(container, sizes).huge_pages == (
        (2 << 20, 8 << 20),
        (1 << 30, 0),
    )
    assert container_config.pod_limits(pod(container), 100, sizes).huge_pages == (
        (2 << 20, 8 << 20),
        (1 << 30, 0),
    )
    assert container_config.pod_limits(pod(Container(name="d")), 100, sizes)[3:] == (
        100,
        ((2 << 20, 0), (1 << 30, 0)),
    )


def test_a_cpu_limit_that_no_kernel_can_keep_is_refused() -> None:
    def limited(cpu: str) -> Container:
        return Container(name="c", resources=ResourceRequirements(limits={"cpu": cpu}))

    assert container_config.container_limits(limited("4096")).cpu_limit == 4096_000
    with pytest.raises(ContainerConfigError, match=r"10Gi is 10737418240 CPUs.*was memory meant"):
        container_config.container_limits(limited("10Gi"))


def test_a_relative_working_directory_is_refused() -> None:
    container = Container(name="c", command=("x",), working_dir="srv")
    with pytest.raises(ContainerConfigError, match='workingDir "srv" is not an absolute path'):
        program(container, image())


@pytest.mark.parametrize(
    ("medium", "requested", "size"),
    [
        ("HugePages", ["2Mi"], 2 << 20),
        ("HugePages-1Gi", ["2Mi", "1Gi"], 1 << 30),
        ("HugePages", ["2Mi", "1Gi"], "multiple page sizes"),
        ("HugePages", [], "no container requests"),
        ("HugePages-1Gi", ["2Mi"], "no container requests"),
    ],
)
def test_the_page_size_of_a_volume(medium: str, requested: list[str], size: int | str) -> None:
    limits = {f"hugepages-{page}": "4Gi" for page in requested}
    spec = {
        "containers": [{"name": "c", "image": "i", "resources": {"limits": limits}}],
        "volumes": [{"name": "h", "emptyDir": {"medium": medium}}, {"name": "e", "emptyDir": {}}],
    }
    made = msgspec.convert({"metadata": {"name": "p"}, "spec": spec}, Pod)
    if isinstance(size, int):
        assert container_config.page_sizes(made) == {"h": size}
        return
    with pytest.raises(VolumeError, match=size):
        container_config.page_sizes(made)
