"""Rules about annotations that Kubernetes reads: mirror pods, deletion cost, seccomp and AppArmor
from before they were fields. Documents in, causes out. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.facts.static_pods import MIRROR
from kubelite.objects.rules.cause import Cause, Key, Path, forbidden, invalid
from kubelite.objects.rules.pods.containers import each_container
from kubelite.objects.rules.pods.paths import relative

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_LOCAL = "localhost/"
_SECCOMP_NAMES = {
    "RuntimeDefault": ("runtime/default", "docker/default"),
    "Unconfined": ("unconfined",),
}
_APP_ARMOR_NAMES = {"RuntimeDefault": ("runtime/default",), "Unconfined": ("unconfined",)}


def pod_annotations(metadata: Object, spec: Object, path: Path) -> Iterator[Cause]:
    """The annotations of a pod or a template that have a meaning."""
    annotations = metadata.get("annotations") or {}
    if MIRROR in annotations and not spec.get("nodeName"):
        why = "must set spec.nodeName if mirror pod annotation is set"
        yield invalid((*path, Key(MIRROR)), annotations[MIRROR], why)
    cost = annotations.get(DELETION_COST)
    if cost is not None and not _is_deletion_cost(cost):
        yield invalid((*path, Key(DELETION_COST)), cost, "must be a 32bit integer")
    for key, profile in sorted(annotations.items()):
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER):
            yield from _seccomp_name(profile, (*path, key))
    known = {container.get("name", "") for container, _ in each_container(spec, ())}
    for key, profile in sorted(annotations.items()):
        if key.startswith(APP_ARMOR):
            name = key.removeprefix(APP_ARMOR)
            if name not in known:
                yield invalid((*path, Key(key)), name, "container not found")
            if profile not in ("", "runtime/default", "unconfined") and not profile.startswith(
                _LOCAL
            ):
                why = f'invalid AppArmor profile name: "{profile}"'
                yield invalid((*path, Key(key)), profile, why)


def _is_deletion_cost(text: str) -> bool:
    """A number of 32 bits, without a sign or zeros before it."""
    plain = re.fullmatch(r"0|-?[1-9][0-9]{0,9}", text)
    return plain is not None and -(2**31) <= int(text) < 2**31


def _seccomp_name(profile: str, path: Path) -> Iterator[Cause]:
    if profile.startswith(_LOCAL):
        yield from relative(profile.removeprefix(_LOCAL), path)
    elif profile not in ("runtime/default", "docker/default", "unconfined"):
        yield invalid(path, profile, "must be a valid seccomp profile")


def annotation_conflicts(metadata: Object, spec: Object) -> Iterator[Cause]:
    """Profiles that a new pod names both ways must be the same."""
    annotations: Object = metadata.get("annotations") or {}
    path: Path = ("spec",)
    if not annotations:
        return
    context = spec.get("securityContext") or {}
    if profile := context.get("seccompProfile"):
        of_pod = (*path, "securityContext", "seccompProfile")
        text = annotations.get(SECCOMP_POD)
        yield from _same(profile, text, _SECCOMP_NAMES, "seccomp", of_pod)
    containers = list(each_container(spec, path))
    for container, here in containers:
        own = (container.get("securityContext") or {}).get("seccompProfile")
        text = annotations.get(SECCOMP_CONTAINER + container.get("name", ""))
        field = (*here, "securityContext", "seccompProfile")
        yield from _same(own, text, _SECCOMP_NAMES, "seccomp", field)
    if (spec.get("os") or {}).get("name") == "windows":
        return
    for container, here in containers:
        own = (container.get("securityContext") or {}).get("appArmorProfile")
        text = annotations.get(APP_ARMOR + container.get("name", ""))
        field = (*here, "securityContext", "appArmorProfile")
        profile = own or context.get("appArmorProfile")
        yield from _same(profile, text, _APP_ARMOR_NAMES, "apparmor", field)


def _same(
    profile: Object | None,
    annotation: str | None,
    named: Mapping[str, tuple[str, ...]],
    what: str,
    path: Path,
) -> Iterator[Cause]:
    if profile is None or annotation is None:
        return
    kind = profile.get("type", "")
    different = f"{what} type in annotation and field must match"
    if (kind in named and annotation not in named[kind]) or (
        kind == "Localhost" and not annotation.startswith(_LOCAL)
    ):
        yield forbidden((*path, "type"), different)
    elif kind == "Localhost" and annotation != _LOCAL + profile.get("localhostProfile", ""):
        why = f"{what} profile in annotation and field must match"
        yield forbidden((*path, "localhostProfile"), why)
