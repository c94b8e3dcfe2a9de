"""Pods run as a ServiceAccount: it must be there, and its token is mounted where programs look for
it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from kubelite.control.api.auth.node_authorizer import references
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import refused
from kubelite.lib.json import Object
from kubelite.objects.facts.static_pods import MIRROR

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt

MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = (
    3607  # an hour and a few seconds, by which a program can tell it from a token asked for by hand
)
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


async def service_account(attempt: Attempt) -> None:
    """Names the account of a new pod, and mounts its token. Raises StatusError 403."""
    if not attempt.creates("", "pods"):
        return
    spec = attempt.obj.setdefault("spec", {})
    if MIRROR in (attempt.obj["metadata"].get("annotations") or {}):
        _check_mirror(attempt, spec)
        return
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    entry = await attempt.context.store.get("serviceaccounts", attempt.namespace, name)
    if entry is None:
        place = f"{attempt.namespace}/{name}"
        why = f'error looking up service account {place}: serviceaccount "{name}" not found'
        raise refused(attempt.request.resource, attempt.name, why)
    account = load(entry)
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account["imagePullSecrets"]
    if wants_token(spec, account):
        mount_token(spec, "kube-api-access-" + "".join(random.choices(_LETTERS, k=5)))


def _check_mirror(attempt: Attempt, spec: Object) -> None:
    pod = {"metadata": {**attempt.obj["metadata"], "namespace": attempt.namespace}, "spec": spec}
    kinds = {kind for kind, _, _ in references(pod)}
    if kinds & {"serviceaccounts", "secrets"} or _asks_for_token(spec):
        raise refused(
            attempt.request.resource,
            attempt.name,
            "a mirror pod may not reference service accounts or secrets",
        )


def _asks_for_token(spec: Object) -> bool:
    projected = [
        volume["projected"] for volume in spec.get("volumes") or () if volume.get("projected")
    ]
    return any(
        "serviceAccountToken" in source
        for projection in projected
        for source in projection.get("sources") or ()
    )


def wants_token(spec: Object, account: Object) -> bool:
    """Whether a token is mounted; the pod's own word counts more than the account's."""
    wish = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken"))
    return wish is not False


def mount_token(spec: Object, volume: str) -> None:
    """Adds the token's volume, and a mount of it to each container that has nothing mounted there.
    In place.
    """
    volumes = spec.get("volumes") or []
    known = next(
        (
            mounted["name"]
            for mounted in volumes
            if str(mounted.get("name")).startswith("kube-api-access-")
        ),
        None,
    )
    missing = [
        container
        for kind in ("initContainers", "containers")
        for container in spec.get(kind) or ()
        if all(mount.get("mountPath") != MOUNT for mount in container.get("volumeMounts") or ())
    ]
    for container in missing:
        mounts = container.get("volumeMounts") or []
        container["volumeMounts"] = [
            *mounts,
            {"name": known or volume, "readOnly": True, "mountPath": MOUNT},
        ]
    if missing and known is None:
        spec["volumes"] = [*volumes, token_volume(volume)]


def token_volume(name: str) -> Object:
    """Token, authority and namespace in one volume."""
    own = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [own]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 420}}
