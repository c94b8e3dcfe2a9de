"""What a node may do: what its kubelet needs, for the pods that are bound to it, and nothing else.

After Kubernetes' node authorizer (``plugin/pkg/auth/authorizer/node``): general rules as for RBAC,
and objects that belong to a node because one of its pods refers to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.auth import node_refusals
from kubelite.control.api.auth.rbac import Rule
from kubelite.control.api.wire.directory_cache import Followers
from kubelite.control.api.wire.documents import load
from kubelite.objects.facts.static_pods import MIRROR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.attributes import AuthorizationAttributes
    from kubelite.control.api.wire.request import User
    from kubelite.control.store.store import Store
    from kubelite.control.store.types import Entry

USER, GROUP = "system:node:", "system:nodes"

RULES = (
    Rule(("create",), ("authentication.k8s.io",), ("tokenreviews",)),
    Rule(
        ("create",),
        ("authorization.k8s.io",),
        ("subjectaccessreviews", "localsubjectaccessreviews"),
    ),
    Rule(("get", "list", "watch"), ("",), ("services",)),
    Rule(("create", "get", "list", "watch"), ("",), ("nodes",)),
    Rule(("create", "patch", "update"), ("", "events.k8s.io"), ("events",)),
    Rule(
        ("create", "get", "list", "watch"),
        ("certificates.k8s.io",),
        ("certificatesigningrequests",),
    ),
    Rule(("get", "list", "watch"), ("node.k8s.io",), ("runtimeclasses",)),
    Rule(("get", "list", "watch"), ("storage.k8s.io",), ("csidrivers",)),
    Rule(("create",), ("",), ("pods",)),
)
_OWN_NODE = {
    ("", "nodes", ""): ("get", "update", "patch"),
    ("", "nodes", "status"): ("get", "update", "patch"),
    ("storage.k8s.io", "csinodes", ""): ("create", "get", "update", "patch", "delete"),
}
_OWN_LEASE = ("create", "get", "update", "patch", "delete")
_OWN_POD = {"": ("get", "delete"), "status": ("update", "patch"), "eviction": ("create",)}
_GONE_POD = {"": ("delete",), "status": ("update", "patch")}
"""What a node may try with a pod that is nobody's, to be told that it is not found: in Kubernetes
these are open to every node, and NodeRestriction looks at the pod.
"""
_REFERRED = {"secrets": ("get", "list", "watch"), "configmaps": ("get", "list", "watch")}
_CLAIMS = ("persistentvolumeclaims", "persistentvolumes")


class _Volume(NamedTuple):
    """A PersistentVolume: the claim that it is for, and the Secrets that open it."""

    claim: tuple[str, str]
    secrets: frozenset[tuple[str, str]]


class NodeAuthorizer:
    """Knows which pods are bound to which node, and what they refer to."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pods: dict[tuple[str, str], tuple[str, frozenset[tuple[str, str, str]]]] = {}
        self._volumes: dict[tuple[str, str], _Volume] = {}
        self._attachments: dict[tuple[str, str], str] = {}
        prefixes = ("pods", "persistentvolumes", "volumeattachments")
        self._followers = Followers(store, prefixes, self._note, self._reset)

    async def refresh(self, user: User) -> None:
        """Learns what has changed, if it is a node that asks. Raises StoreError."""
        if GROUP not in user.groups:
            return
        await self._followers.refresh()

    def _note(self, prefix: str, key: tuple[str, str], entry: Entry | None) -> None:
        if prefix == "pods":
            if entry is None:
                self._pods.pop(key, None)
                return
            obj = load(entry)
            node = obj.get("spec", {}).get("nodeName", "")
            self._pods[key] = node, frozenset(granted(obj)) if node else frozenset()
        elif prefix == "persistentvolumes":
            _put(self._volumes, key, _claimed(load(entry)) if entry else None)
        else:
            _put(self._attachments, key, load(entry)["spec"]["nodeName"] if entry else "")

    def _reset(self, prefix: str) -> None:
        by_prefix: dict[str, dict[tuple[str, str], Any]] = {
            "pods": self._pods,
            "persistentvolumes": self._volumes,
            "volumeattachments": self._attachments,
        }
        by_prefix[prefix].clear()

    def allows(self, attributes: AuthorizationAttributes) -> bool:
        """Whether a node may do something, as of the last :meth:`refresh`. May be called in a
        thread: it looks at copies of what the loop changes.
        """
        node = _node_of(attributes)
        if not node:
            return False
        if attributes.resource in ("nodes", "pods") and attributes.verb in ("list", "watch"):
            is_nodes = attributes.resource == "nodes"
            return node == (attributes.pinned_name if is_nodes else attributes.pinned_node)
        if (
            not attributes.sub
            and attributes.resource != "nodes"
            and any(rule.allows(attributes) for rule in RULES)
        ):
            return True
        return self._own(node, attributes)

    def refusal(self, attributes: AuthorizationAttributes) -> str:
        """Why somebody may not do something; "" for whoever is no node."""
        node = _node_of(attributes)
        return node_refusals.why(node, attributes) if node else ""

    def _own(self, node: str, attributes: AuthorizationAttributes) -> bool:
        place = (attributes.group, attributes.resource, attributes.sub)
        if place in _OWN_NODE:
            creates = attributes.verb == "create" and attributes.name in ("", node)
            return creates or (attributes.verb in _OWN_NODE[place] and attributes.name == node)
        if attributes.group == "coordination.k8s.io" and attributes.resource == "leases":
            mine = attributes.name == node or (attributes.verb == "create" and not attributes.name)
            return (
                attributes.namespace == "kube-node-lease" and mine and attributes.verb in _OWN_LEASE
            )
        if place == ("storage.k8s.io", "volumeattachments", ""):
            owner = self._attachments.get(("", attributes.name))
            return attributes.verb == "get" and owner == node
        return attributes.group == "" and self._of_pods(node, attributes)

    def _of_pods(self, node: str, attributes: AuthorizationAttributes) -> bool:
        wanted = (attributes.namespace, attributes.name)
        if attributes.resource == "pods":
            pod = self._pods.get(wanted)
            allowed = _GONE_POD if pod is None else _OWN_POD if pod[0] == node else {}
            return attributes.verb in allowed.get(attributes.sub, ())
        if attributes.resource == "serviceaccounts":
            return (
                attributes.verb == "create"
                and attributes.sub == "token"
                and self._refers(node, attributes)
            )
        if attributes.sub or attributes.verb not in _REFERRED.get(attributes.resource, ("get",)):
            return False
        if attributes.resource == "persistentvolumes":
            volume = self._volumes.get(("", attributes.name))
            return volume is not None and self._uses_volume(node, volume)
        if attributes.resource not in (*_REFERRED, *_CLAIMS):
            return False
        if bool(attributes.name) and self._refers(node, attributes):
            return True
        return attributes.resource == "secrets" and self._opens_volume(node, attributes)

    def _uses_volume(self, node: str, volume: _Volume) -> bool:
        return self._refers_to(node, ("persistentvolumeclaims", *volume.claim))

    def _opens_volume(self, node: str, attributes: AuthorizationAttributes) -> bool:
        """Whether a volume that the node uses names this Secret."""
        secret = (attributes.namespace, attributes.name)
        return attributes.verb == "get" and any(
            secret in volume.secrets and self._uses_volume(node, volume)
            for volume in tuple(self._volumes.values())
        )

    def _refers(self, node: str, attributes: AuthorizationAttributes) -> bool:
        return self._refers_to(node, (attributes.resource, attributes.namespace, attributes.name))

    def _refers_to(self, node: str, reference: tuple[str, str, str]) -> bool:
        pods = tuple(self._pods.values())
        return any(where == node and reference in refers for where, refers in pods)


def _node_of(attributes: AuthorizationAttributes) -> str:
    """The node that asks for a resource; "" for anybody and anything else."""
    user = attributes.user
    if GROUP not in user.groups or attributes.path:
        return ""
    return user.name[len(USER) :] if user.name.startswith(USER) else ""


def _put(table: dict[tuple[str, str], Any], key: tuple[str, str], value: Any) -> None:
    """Only what says something is kept."""
    if value:
        table[key] = value
    else:
        table.pop(key, None)


def _claimed(volume: dict[str, Any]) -> _Volume | None:
    """A PersistentVolume that says which claim it is for, as Kubernetes' graph has it: what claims
    say of volumes, their authors choose.
    """
    holder = volume["spec"].get("claimRef")
    if not holder:
        return None
    claim = holder.get("namespace", ""), holder.get("name", "")
    return _Volume(claim, frozenset(_volume_secrets(volume)))


def _volume_secrets(volume: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The Secrets of a PersistentVolume that the kubelet gives to the driver."""
    source = volume["spec"].get("csi") or {}
    for field in ("nodeStageSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"):
        if reference := source.get(field):
            yield reference.get("namespace", ""), reference.get("name", "")


def granted(pod: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What a pod opens to its node. A mirror pod, which the node itself has made, opens nothing."""
    if MIRROR not in (pod["metadata"].get("annotations") or {}):
        yield from references(pod)


def references(pod: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What a pod refers to in its namespace: (resource, namespace, name)."""
    namespace, spec = pod["metadata"]["namespace"], pod.get("spec", {})
    if spec.get("serviceAccountName"):
        yield "serviceaccounts", namespace, spec["serviceAccountName"]
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", namespace, secret.get("name", "")
    for container in [
        container
        for kind in ("containers", "initContainers", "ephemeralContainers")
        for container in spec.get(kind) or ()
    ]:
        for source in container.get("envFrom") or ():
            yield from _sources(namespace, source.get("secretRef"), source.get("configMapRef"))
        for variable in container.get("env") or ():
            origin = variable.get("valueFrom") or {}
            yield from _sources(
                namespace, origin.get("secretKeyRef"), origin.get("configMapKeyRef")
            )
    for volume in spec.get("volumes") or ():
        yield from _volume(namespace, volume, pod["metadata"]["name"])


def _sources(
    namespace: str, secret: dict[str, Any] | None, config: dict[str, Any] | None
) -> Iterator[tuple[str, str, str]]:
    if secret:
        yield "secrets", namespace, secret.get("name", "")
    if config:
        yield "configmaps", namespace, config.get("name", "")


def _volume(namespace: str, volume: dict[str, Any], pod: str) -> Iterator[tuple[str, str, str]]:
    if "secret" in volume:
        yield "secrets", namespace, volume["secret"].get("secretName", "")
    if "persistentVolumeClaim" in volume:
        yield (
            "persistentvolumeclaims",
            namespace,
            volume["persistentVolumeClaim"].get("claimName", ""),
        )
    if "ephemeral" in volume:
        yield "persistentvolumeclaims", namespace, f"{pod}-{volume.get('name')}"
    yield from _sources(namespace, None, volume.get("configMap"))
    for source in volume.values():
        if isinstance(source, dict):  # the drivers' own words for the secret that opens a volume
            yield from _sources(
                namespace, source.get("secretRef") or source.get("nodePublishSecretRef"), None
            )
    if "azureFile" in volume:
        yield "secrets", namespace, volume["azureFile"].get("secretName", "")
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield from _sources(namespace, source.get("secret"), source.get("configMap"))
