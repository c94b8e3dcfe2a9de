"""Objects that a command line describes: those of ``create``, ``run`` and ``expose``. Pure.

Raises ValueError with a sentence for a command line that describes none.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kubelite.lib.json import Object


class Flags(NamedTuple):
    """What the options of ``create`` say; each kind reads its own."""

    name: str
    words: Sequence[str] = ()
    images: Sequence[str] = ()
    replicas: int = 1
    port: int | None = None
    command: Sequence[str] = ()
    data: Mapping[str, bytes] = {}
    type: str = ""
    schedule: str = ""
    restart: str = ""
    tcp: Sequence[str] = ()
    cluster_ip: str = ""
    external_name: str = ""
    verbs: Sequence[str] = ()
    resources: Sequence[str] = ()
    role: str = ""
    cluster_role: str = ""
    users: Sequence[str] = ()
    groups: Sequence[str] = ()
    service_accounts: Sequence[str] = ()
    from_cron_job: Object | None = None


def namespace(flags: Flags) -> Object:
    """A namespace: the name is all there is."""
    return _object("v1", "Namespace", flags.name)


def service_account(flags: Flags) -> Object:
    """A service account: the name is all there is."""
    return _object("v1", "ServiceAccount", flags.name)


def deployment(flags: Flags) -> Object:
    """As kubectl's: label ``app``, containers named after their images."""
    _need(flags.images, "--image")
    labels = {"app": flags.name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": _containers(flags)}}
    spec = {"replicas": flags.replicas, "selector": {"matchLabels": labels}, "template": template}
    return _object("apps/v1", "Deployment", flags.name, spec=spec, labels=labels)


def job(flags: Flags) -> Object:
    """One container named after the job, or the job of a cron job."""
    if flags.from_cron_job is not None:
        return _from_cron_job(flags.name, flags.from_cron_job)
    _need(flags.images, "--image or --from")
    return _object("batch/v1", "Job", flags.name, spec=_job_spec(flags, "Never"))


def cron_job(flags: Flags) -> Object:
    """One container named after the cron job, run by its schedule."""
    _need(flags.images, "--image")
    _need(flags.schedule, "--schedule")
    spec = {
        "schedule": flags.schedule,
        "jobTemplate": {
            "metadata": {"name": flags.name},
            "spec": _job_spec(flags, "OnFailure"),
        },
    }
    return _object("batch/v1", "CronJob", flags.name, spec=spec)


def _job_spec(flags: Flags, restart: str) -> Object:
    container: Object = {"name": flags.name, "image": flags.images[0]}
    if flags.command:
        container["command"] = list(flags.command)
    pod = {"restartPolicy": flags.restart or restart, "containers": [container]}
    return {"template": {"spec": pod}}


def _from_cron_job(name: str, parent: Object) -> Object:
    template = parent["spec"]["jobTemplate"]
    metadata = template.get("metadata") or {}
    by_hand = {"cronjob.kubernetes.io/instantiate": "manual"}
    created = _object("batch/v1", "Job", name, spec=template["spec"])
    created["metadata"] |= {
        "labels": metadata.get("labels") or {},
        "annotations": {**(metadata.get("annotations") or {}), **by_hand},
        "ownerReferences": [
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "name": parent["metadata"]["name"],
                "uid": parent["metadata"]["uid"],
                "controller": True,
            }
        ],
    }
    return created


def config_map(flags: Flags) -> Object:
    """Texts in ``data``, everything else in ``binaryData``."""
    created = _object("v1", "ConfigMap", flags.name)
    for key, value in flags.data.items():
        try:
            created.setdefault("data", {})[key] = value.decode()
        except UnicodeDecodeError:
            created.setdefault("binaryData", {})[key] = base64.b64encode(value).decode()
    return created


def secret(flags: Flags) -> Object:
    """``secret generic NAME``, ``secret tls NAME`` with the keys ``tls.crt`` and ``tls.key``."""
    form = flags.words[0] if flags.words else ""
    if form not in ("generic", "tls"):
        raise ValueError("create secret takes generic or tls, then the name")
    kind = flags.type or ("kubernetes.io/tls" if form == "tls" else "Opaque")
    if form == "tls" and not {"tls.crt", "tls.key"} <= set(flags.data):
        raise ValueError("a TLS secret needs --cert and --key")
    data = {key: base64.b64encode(value).decode() for key, value in flags.data.items()}
    return {
        **_object("v1", "Secret", flags.name),
        "type": kind,
        **({"data": data} if data else {}),
    }


_SERVICE_TYPES = {
    "clusterip": "ClusterIP",
    "nodeport": "NodePort",
    "loadbalancer": "LoadBalancer",
    "externalname": "ExternalName",
}


def service(flags: Flags) -> Object:
    """``service TYPE NAME --tcp PORT[:TARGET]``: its pods are those labeled ``app=NAME``."""
    form = flags.words[0] if flags.words else ""
    if form not in _SERVICE_TYPES:
        raise ValueError(f"create service takes one of {', '.join(_SERVICE_TYPES)}, then the name")
    labels = {"app": flags.name}
    spec: Object = {"type": _SERVICE_TYPES[form], "selector": labels}
    if flags.tcp:
        spec["ports"] = [_tcp_port(text) for text in flags.tcp]
    if form == "externalname":
        _need(flags.external_name, "--external-name")
        spec["externalName"] = flags.external_name
    else:
        _need(flags.tcp or flags.cluster_ip == "None", "--tcp")
    if flags.cluster_ip:
        spec["clusterIP"] = flags.cluster_ip
    return _object("v1", "Service", flags.name, spec=spec, labels=labels)


def _tcp_port(text: str) -> Object:
    port, _, target = text.partition(":")
    return {
        "name": text.replace(":", "-"),
        "protocol": "TCP",
        "port": port_number(port),
        "targetPort": port_or_name(target or port),
    }


def port_number(text: str) -> int:
    """A port from 1 to 65535."""
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ValueError(f"{text!r} is no port: a number from 1 to 65535")
    return int(text)


def port_or_name(text: str) -> int | str:
    """A port by its number or name."""
    return port_number(text) if text.isdecimal() else text


def role(flags: Flags) -> Object:
    """A role of one namespace."""
    return _role("Role", flags)


def cluster_role(flags: Flags) -> Object:
    """A role of the cluster."""
    return _role("ClusterRole", flags)


def _role(kind: str, flags: Flags) -> Object:
    """Resources are ``pods``, ``deployments.apps``, ``pods/log``; one rule for each group."""
    _need(flags.verbs, "--verb")
    _need(flags.resources, "--resource")
    groups: dict[str, list[str]] = {}
    for text in flags.resources:
        name, _, group = text.partition(".")
        groups.setdefault(group, []).append(name)
    rules = [
        {"verbs": list(flags.verbs), "apiGroups": [group], "resources": names}
        for group, names in groups.items()
    ]
    return {**_object("rbac.authorization.k8s.io/v1", kind, flags.name), "rules": rules}


def role_binding(flags: Flags) -> Object:
    """Gives a role within one namespace."""
    return _binding("RoleBinding", flags)


def cluster_role_binding(flags: Flags) -> Object:
    """Gives a role in all namespaces."""
    return _binding("ClusterRoleBinding", flags)


def _binding(kind: str, flags: Flags) -> Object:
    if bool(flags.role) == bool(flags.cluster_role):
        raise ValueError("exactly one of --role and --clusterrole is needed")
    group = "rbac.authorization.k8s.io"
    subjects = [{"kind": "User", "apiGroup": group, "name": name} for name in flags.users]
    subjects += [{"kind": "Group", "apiGroup": group, "name": name} for name in flags.groups]
    for text in flags.service_accounts:
        home, colon, name = text.partition(":")
        if not colon:
            raise ValueError(f"--serviceaccount {text}: expected NAMESPACE:NAME")
        subjects.append({"kind": "ServiceAccount", "namespace": home, "name": name})
    reference = {
        "apiGroup": group,
        "kind": "Role" if flags.role else "ClusterRole",
        "name": flags.role or flags.cluster_role,
    }
    created = _object(f"{group}/v1", kind, flags.name)
    return {**created, "roleRef": reference, "subjects": subjects}


Generator = Callable[[Flags], Object]
GENERATORS: dict[str, Generator] = {
    "clusterrole": cluster_role,
    "clusterrolebinding": cluster_role_binding,
    "configmap": config_map,
    "cronjob": cron_job,
    "deployment": deployment,
    "job": job,
    "namespace": namespace,
    "role": role,
    "rolebinding": role_binding,
    "secret": secret,
    "service": service,
    "serviceaccount": service_account,
}
SYNONYMS = {"cm": "configmap", "cj": "cronjob", "deploy": "deployment", "ns": "namespace"} | {
    "sa": "serviceaccount",
    "svc": "service",
}


def exposed(obj: Object, name: str, ports: list[int], target: str, type: str) -> Object:
    """The Service for the pods of an object. Raises ValueError where it has none, or no port."""
    spec, kind = obj.get("spec") or {}, obj["kind"]
    selector = _selector(kind, obj)
    template = spec.get("template") or {}
    pod = obj if kind == "Pod" else template
    declared = [
        port["containerPort"]
        for container in (pod.get("spec") or {}).get("containers") or ()
        for port in container.get("ports") or ()
    ] or [port["port"] for port in spec.get("ports") or () if kind == "Service"]
    ports = ports or declared
    if not ports:
        raise ValueError("couldn't find port via --port flag or introspection")
    rows: list[Object] = [
        {"protocol": "TCP", "port": port, "targetPort": port_or_name(target) if target else port}
        for port in ports
    ]
    if len(rows) > 1:
        for number, row in enumerate(rows, 1):
            row["name"] = f"port-{number}"
    service: Object = {"selector": selector, "ports": rows} | ({"type": type} if type else {})
    return _object("v1", "Service", name, spec=service, labels=obj["metadata"].get("labels"))


def _selector(kind: str, obj: Object) -> Object:
    spec = obj.get("spec") or {}
    if kind == "Pod":
        labels: Object = obj["metadata"].get("labels") or {}
        if not labels:
            raise ValueError("the pod has no labels and cannot be exposed")
        return labels
    selector = spec.get("selector") or {}
    if kind in ("Deployment", "ReplicaSet", "StatefulSet"):
        if selector.get("matchExpressions"):
            raise ValueError("couldn't convert expressions - selectors with them have no Service")
        return dict(selector.get("matchLabels") or {})
    if kind in ("Service", "ReplicationController") and selector:
        return dict(selector)
    raise ValueError(f"cannot expose a {kind}")


def _containers(flags: Flags) -> list[Object]:
    containers: list[Object] = []
    for image in flags.images:
        container: Object = {"name": _container_name(image), "image": image}
        if flags.command:
            container["command"] = list(flags.command)
        if flags.port is not None:
            container["ports"] = [{"containerPort": flags.port}]
        containers.append(container)
    return containers


def _container_name(image: str) -> str:
    """The last part of an image's name, without tag and digest."""
    name = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    return name.replace("_", "-").lower()


def _need(value: Any, option: str) -> None:
    if not value:
        raise ValueError(f"required option {option} is missing")


def _object(
    api_version: str, kind: str, name: str, spec: Object | None = None, labels: Object | None = None
) -> Object:
    metadata = {"name": name} | ({"labels": dict(labels)} if labels else {})
    head = {"apiVersion": api_version, "kind": kind, "metadata": metadata}
    return head if spec is None else {**head, "spec": spec}
