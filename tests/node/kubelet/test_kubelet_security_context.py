"""Which rights a container is given, in plain values."""

from __future__ import annotations

from typing import Any

import pytest

from kubelite.core.plan import Module, Rlimit
from kubelite.node.image.model import ImageConfig
from kubelite.node.kubelet.decide import security_context
from kubelite.node.kubelet.decide.container_config import (
    ContainerConfigError,
    ImageFacts,
    NodeFacts,
)
from kubelite.objects.pod.container import AppArmorProfile, SeccompProfile, SELinuxOptions
from kubelite.objects.pod.meta import ObjectMeta
from kubelite.objects.pod.pod import (
    Container,
    Pod,
    PodSecurityContext,
    PodSpec,
    SecurityContext,
    Sysctl,
)

NODE = NodeFacts("node", "10.0.0.1", ("10.0.0.2",), 4, 8 << 30, (1 << 41) - 1, "p")
IMAGE = ImageFacts(
    "sha256:1", ImageConfig(user="app"), "app:x:77:78::/home/app:/bin/sh\n", "extra:x:90:app\n"
)
LOCALHOST = SeccompProfile(type="Localhost", localhost_profile="profiles/x.json")


def made(
    own: SecurityContext | None = None,
    shared: PodSecurityContext | None = None,
    node: NodeFacts = NODE,
    **spec,
):
    container = Container(name="c", security_context=own)
    return security_context.security(
        Pod(spec=PodSpec(containers=(container,), security_context=shared, **spec)),
        container,
        IMAGE,
        node,
    )


@pytest.mark.parametrize(
    ("own", "shared", "privileged", "expected"),
    [
        (None, None, False, "default"),
        (None, None, True, ""),
        (SeccompProfile(type="Unconfined"), None, False, ""),
        (None, SeccompProfile(type="Unconfined"), False, ""),
        (
            SeccompProfile(type="RuntimeDefault"),
            SeccompProfile(type="Unconfined"),
            False,
            "default",
        ),
        (LOCALHOST, None, False, "localhost/profiles/x.json"),
        (LOCALHOST, None, True, ""),
    ],
)
def test_which_seccomp_profile(own, shared, privileged: bool, expected: str) -> None:
    context = SecurityContext(seccomp_profile=own, privileged=privileged)
    assert made(context, PodSecurityContext(seccomp_profile=shared)).seccomp == expected


@pytest.mark.parametrize(
    ("policy", "groups"), [(None, (78, 90, 5)), ("Merge", (78, 90, 5)), ("Strict", (78, 5))]
)
def test_groups_of_the_image_count_unless_the_policy_is_strict(
    policy: str | None, groups: tuple[int, ...]
) -> None:
    shared = PodSecurityContext(supplemental_groups=(5,), supplemental_groups_policy=policy)
    assert made(None, shared).user.groups == groups


STRICT = AppArmorProfile(type="Localhost", localhost_profile="strict")
ARMED = NODE._replace(modules=frozenset({"AppArmor", "SELinux"}))


@pytest.mark.parametrize(
    ("own", "shared", "expected"),
    [
        ({}, {}, ()),
        ({"app_armor_profile": STRICT}, {}, ((Module.APPARMOR, "exec strict"),)),
        ({}, {"app_armor_profile": STRICT}, ((Module.APPARMOR, "exec strict"),)),
        (
            {"app_armor_profile": AppArmorProfile(type="Unconfined")},
            {"app_armor_profile": STRICT},
            (),
        ),
        ({"app_armor_profile": STRICT, "privileged": True}, {}, ()),
        (
            {"se_linux_options": SELinuxOptions(level="s0:c1,c2")},
            {},
            ((Module.SELINUX, "system_u:system_r:container_t:s0:c1,c2"),),
        ),
        (
            {},
            {"se_linux_options": SELinuxOptions(user="u", role="r", type="t")},
            ((Module.SELINUX, "u:r:t:s0"),),
        ),
        (
            {"se_linux_options": SELinuxOptions(type="own_t")},
            {"se_linux_options": SELinuxOptions(type="pods_t"), "app_armor_profile": STRICT},
            ((Module.APPARMOR, "exec strict"), (Module.SELINUX, "system_u:system_r:own_t:s0")),
        ),
    ],
)
def test_what_the_security_modules_are_told(
    own: dict[str, Any], shared: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    assert made(SecurityContext(**own), PodSecurityContext(**shared), node=ARMED).labels == expected


@pytest.mark.parametrize("kind", ["RuntimeDefault", "Unconfined"])
def test_an_apparmor_profile_that_asks_for_nothing_special_is_fine(kind: str) -> None:
    assert made(SecurityContext(app_armor_profile=AppArmorProfile(type=kind)))


def test_a_profile_that_cannot_be_enforced_is_refused_and_a_label_means_nothing() -> None:
    with pytest.raises(
        ContainerConfigError, match='AppArmor profile "strict": this kernel runs without AppArmor'
    ):
        made(SecurityContext(app_armor_profile=STRICT))
    assert made(None, PodSecurityContext(se_linux_options=SELinuxOptions(level="s0"))).labels == ()


def test_ids_of_a_pod_with_its_own_users_are_few() -> None:
    with pytest.raises(ContainerConfigError, match="id 65536 is not among the 65536 ids"):
        made(SecurityContext(run_as_user=65536), host_users=False)
    with pytest.raises(ContainerConfigError, match="id 70000 is not among"):
        made(None, PodSecurityContext(supplemental_groups=(70000,)), host_users=False)
    assert made(SecurityContext(run_as_user=65535), host_users=False).user.uid == 65535
    assert made(SecurityContext(run_as_user=65536)).user.uid == 65536


@pytest.mark.parametrize(
    ("name", "allowed", "expected"),
    [
        ("kernel.msgmax", ("kernel.msg*",), "kernel/msgmax"),
        ("kernel.shmmax", ("kernel.shmmax",), "kernel/shmmax"),
        (
            "net/ipv4/conf/eth0.5/forwarding",
            ("net.ipv4.conf.eth0.5.forwarding",),
            "net/ipv4/conf/eth0.5/forwarding",
        ),
        ("kernel.msgmax", ("kernel.shm*",), None),
        ("kernel.msgmax", (), None),
        ("vm.swappiness", ("vm.*",), None),
        ("kernel.core_pattern", ("*",), None),
        ("kernel.shm_rmid_forced+kernel.core_pattern", (), None),
    ],
)
def test_unsafe_sysctls_need_a_permit_and_a_namespace(
    name: str, allowed: tuple[str, ...], expected: str | None
) -> None:
    context = PodSecurityContext(sysctls=(Sysctl(name=name, value="1"),))
    pod = Pod(spec=PodSpec(containers=(Container(name="c"),), security_context=context))
    if expected is None:
        with pytest.raises(ContainerConfigError):
            security_context.sysctls(pod, allowed)
    else:
        assert security_context.sysctls(pod, allowed) == ((expected, "1"),)


def annotated(text: str) -> Pod:
    return Pod(
        metadata=ObjectMeta(annotations={security_context.RLIMITS: text}),
        spec=PodSpec(containers=(Container(name="c"),)),
    )


def test_rlimits_of_the_annotation() -> None:
    assert security_context.rlimits(annotated("nofile=10:20, core=0,memlock=5:unlimited")) == (
        Rlimit(7, 10, 20),
        Rlimit(4, 0, 0),
        Rlimit(8, 5, (1 << 64) - 1),
    )


@pytest.mark.parametrize(
    "text", ["nofile", "nofile=", "nofile=20:10", "nofile=-1", "nofile=1e3", "files=3", "core=0:x"]
)
def test_rlimits_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ContainerConfigError, match="is not a limit"):
        security_context.rlimits(annotated(text))
