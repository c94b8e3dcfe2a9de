"""What users and misfortune do to a cluster: plain values that hypothesis draws, and what they
do.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple, Protocol

from hypothesis import strategies as st

from kubelite.client.errors import ApiError, NotFound
from kubelite.client.resources import (
    CONFIG_MAPS,
    NAMESPACES,
    NODES,
    PODS,
    RESOURCE_QUOTAS,
    SERVICE_ACCOUNTS,
    GroupVersionResource,
    of_kind,
)
from kubelite.control.controllers.shared.meta import controller_of, name_of, spec_of, uid_of
from kubelite.control.controllers.shared.pod_state import is_active
from tests.control.convergence.ledger import Object
from tests.control.convergence.world import NODE_NAMES, OUTCOME, World

SPACE = "a"
LONG = 1100.0
"""Longer than any back-off of a controller."""
PIECE = 60
LEFT_SECONDS = 350.0 + 3 * PIECE
"""By then a node is called lost (50 s) and its pods' tolerations are over (300 s)."""
WORKLOADS = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicationController": "v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
}
OTHERS = {
    "Service": "v1",
    "Endpoints": "v1",
    "Pod": "v1",
    "PodDisruptionBudget": "policy/v1",
    "PersistentVolumeClaim": "v1",
    "PersistentVolume": "v1",
}


class Step(Protocol):
    """Something that happens."""

    async def act(self, world: World) -> None:
        """Makes it happen. A refusal by the server is an answer like any other."""


class Apply(NamedTuple):
    """An object is created, or changed to be like this."""

    body: Any

    async def act(self, world: World) -> None:
        await world.client.apply(_resource(self.body), self.body, field_manager="user", force=True)


class Scale(NamedTuple):
    kind: str
    replicas: int

    async def act(self, world: World) -> None:
        resource = _resource({"apiVersion": WORKLOADS[self.kind], "kind": self.kind})
        await world.client.scale(resource, self.kind.lower(), self.replicas, SPACE)


class Delete(NamedTuple):
    kind: str
    propagation: str

    async def act(self, world: World) -> None:
        resource = _resource({"apiVersion": (WORKLOADS | OTHERS)[self.kind], "kind": self.kind})
        space = "" if self.kind == "PersistentVolume" else SPACE
        name = self.kind.lower()
        obj = world.ledger.get(self.kind, space, name)
        if obj is not None:
            world.ledger.external.add(uid_of(obj))
            world.ledger.is_disturbed = True
            await world.client.delete(resource, name, space, propagation=self.propagation)


class DeletePod(NamedTuple):
    """Somebody deletes, or evicts, one of the pods."""

    number: int
    is_eviction: bool

    async def act(self, world: World) -> None:
        pods = [pod for pod in world.ledger.all("Pod", SPACE) if is_active(pod)]
        if not pods:
            return
        pod = sorted(pods, key=name_of)[self.number % len(pods)]
        world.ledger.external.add(uid_of(pod))
        world.ledger.is_disturbed = True
        if self.is_eviction:
            await world.client.evict(SPACE, name_of(pod))
        else:
            await world.client.delete(PODS, name_of(pod), SPACE)


class Quota(NamedTuple):
    """At most so many pods; None takes the limit away."""

    pods: int | None

    async def act(self, world: World) -> None:
        if self.pods is None:
            await world.client.delete(RESOURCE_QUOTAS, "quota", SPACE)
            return
        body = _object("ResourceQuota", "v1", "quota", {"hard": {"pods": str(self.pods)}})
        await world.client.apply(RESOURCE_QUOTAS, body, field_manager="user", force=True)


class LoseNode(NamedTuple):
    name: str

    async def act(self, world: World) -> None:
        await world.lose_node(self.name)


class RegainNode(NamedTuple):
    name: str

    async def act(self, world: World) -> None:
        await world.regain_node(self.name)


class RemoveNode(NamedTuple):
    """The machine is gone, and its Node with it. One node is always left to come back."""

    name: str

    async def act(self, world: World) -> None:
        await world.lose_node(self.name)
        await world.client.delete(NODES, self.name)


class Pass(NamedTuple):
    """Time passes, by ``PIECE`` at once."""

    seconds: int

    async def act(self, world: World) -> None:
        for past in range(0, self.seconds, PIECE):
            await world.advance(min(PIECE, self.seconds - past))


class Settle(NamedTuple):
    """Everybody gets all the time that is needed; nodes lost long ago have been left by then, but
    not while all are lost.
    """

    async def act(self, world: World) -> None:
        await world.settle()
        since = world.clock.time - LEFT_SECONDS
        for name, lost in world.lost.items():
            if world.alive and lost < since:
                staying = [name_of(pod) for pod in world.ledger.all("Pod") if _stays(pod, name)]
                assert not staying, f"{staying} stay on {name}, which is lost"


class Kill(NamedTuple):
    """Scheduler and controllers, or everything, end in the middle of something and start anew."""

    turns: int
    with_server: bool

    async def act(self, world: World) -> None:
        await world.turns(self.turns)
        await world.kill_plane()
        if self.with_server:
            await world.server.close()
            await world.start()
        else:
            await world.start_plane()


class Renew(NamedTuple):
    """The namespace is deleted; when it is gone, there is a new one."""

    async def act(self, world: World) -> None:
        world.ledger.is_disturbed = True
        world.ledger.external |= {uid_of(job) for job in world.ledger.all("Job")}
        await world.client.delete(NAMESPACES, SPACE)


class Spoil(NamedTuple):
    """Somebody removes, or changes, what every namespace has."""

    is_account: bool
    is_change: bool

    async def act(self, world: World) -> None:
        if self.is_account:
            await world.client.delete(SERVICE_ACCOUNTS, "default", SPACE)
        elif self.is_change:
            patch = {"data": {"ca.crt": "none"}}
            await world.client.patch(CONFIG_MAPS, "kube-root-ca.crt", patch, SPACE)
        else:
            await world.client.delete(CONFIG_MAPS, "kube-root-ca.crt", SPACE)


def _stays(pod: Object, node: str) -> bool:
    """Whether a pod that does not tolerate it for ever is still to run on a node."""
    daemon = (controller_of(pod) or {}).get("kind") == "DaemonSet"
    return spec_of(pod).get("nodeName") == node and is_active(pod) and not daemon


# Objects


def _resource(body: Object) -> GroupVersionResource:
    resource = of_kind(body["apiVersion"], body["kind"])
    assert resource is not None
    return resource


def _object(kind: str, version: str, name: str, spec: Any, space: str = SPACE) -> Object:
    metadata = {"name": name, "namespace": space} if space else {"name": name}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def pod_template(app: str, image: int = 1, outcome: str = "", **spec: Any) -> Object:
    metadata: Object = {"labels": {"app": app}}
    if outcome:
        metadata["annotations"] = {OUTCOME: outcome}
    containers = [{"name": "c", "image": f"img:{image}", "ports": [{"containerPort": 80}]}]
    return {"metadata": metadata, "spec": {"containers": containers, **spec}}


def workload(kind: str, **spec: Any) -> Object:
    """The one workload of a kind, which selects the pods with its name."""
    app = kind.lower()
    selector: Object = {"matchLabels": {"app": app}}
    if kind == "ReplicationController":
        selector = {"app": app}
    body = {"selector": selector, "template": pod_template(app), **spec}
    return _object(kind, WORKLOADS[kind], app, body)


def deployment(replicas: int, image: int, surge: int, unavailable: int) -> Apply:
    """With neither surge nor unavailable pods it is a Deployment that is recreated."""
    strategy: Object = {"type": "Recreate", "rollingUpdate": None}
    if surge or unavailable:
        rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
        strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    template = pod_template("deployment", image)
    body = workload("Deployment", replicas=replicas, template=template, strategy=strategy)
    return Apply(body)


def replica_set(kind: str, replicas: int) -> Apply:
    return Apply(workload(kind, replicas=replicas))


def stateful_set(replicas: int, image: int) -> Apply:
    template = pod_template("statefulset", image)
    return Apply(workload("StatefulSet", replicas=replicas, template=template, serviceName="s"))


def daemon_set(image: int, zone: str) -> Apply:
    spec = {"nodeSelector": {"zone": zone}} if zone else {}
    return Apply(workload("DaemonSet", template=pod_template("daemonset", image, **spec)))


def job(completions: int, parallelism: int, fails: int, ttl: int | None) -> Apply:
    outcome = f"fail-{fails}" if fails else "succeed"
    spec: Object = {
        "completions": completions,
        "parallelism": parallelism,
        "backoffLimit": 2,
        "template": pod_template("job", 1, outcome, restartPolicy="Never"),
    }
    if ttl is not None:
        spec["ttlSecondsAfterFinished"] = ttl
    return Apply(_object("Job", "batch/v1", "job", spec))


def cron_job(policy: str, outcome: str = "succeed") -> Apply:
    template = pod_template("cronjob", 1, outcome, restartPolicy="Never")
    spec = {
        "schedule": "*/5 * * * *",
        "concurrencyPolicy": policy,
        "jobTemplate": {"spec": {"template": template}},
    }
    return Apply(_object("CronJob", "batch/v1", "cronjob", spec))


def service(app: str) -> Apply:
    spec: Object = {"ports": [{"name": "http", "port": 80}]}
    if app:
        spec["selector"] = {"app": app}
    return Apply(_object("Service", "v1", "service" if app else "endpoints", spec))


def endpoints(count: int) -> Apply:
    addresses = [{"ip": f"192.0.2.{number + 1}"} for number in range(count)]
    body = _object("Endpoints", "v1", "endpoints", None)
    del body["spec"]
    return Apply(body | {"subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]})


def budget(least: int) -> Apply:
    selector = {"matchLabels": {"app": "deployment"}}
    spec = {"minAvailable": least, "selector": selector}
    return Apply(_object("PodDisruptionBudget", "policy/v1", "poddisruptionbudget", spec))


def claim() -> Apply:
    resources = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": resources, "storageClassName": ""}
    return Apply(_object("PersistentVolumeClaim", "v1", "persistentvolumeclaim", spec))


def volume(number: int) -> Apply:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": "/data"},
    }
    name = "persistentvolume" + ("" if not number else str(number))
    return Apply(_object("PersistentVolume", "v1", name, spec, ""))


def pod(source: str) -> Apply:
    """A pod with a volume: the claim above, or a claim of its own."""
    own = {"spec": claim().body["spec"]}
    volumes = {
        "claim": {"persistentVolumeClaim": {"claimName": "persistentvolumeclaim"}},
        "ephemeral": {"ephemeral": {"volumeClaimTemplate": own}},
    }
    template = pod_template("pod", volumes=[{"name": "v", **volumes[source]}])
    body = _object("Pod", "v1", "pod", template["spec"])
    body["metadata"] |= template["metadata"]
    return Apply(body)


# What is drawn

SIZES = st.integers(0, 4)
IMAGES = st.integers(1, 3)
SPARES = st.integers(0, 2)
SCALED = ("Deployment", "ReplicaSet", "StatefulSet", "ReplicationController")
POLICIES = st.sampled_from(("Background", "Foreground", "Orphan"))


def _mixed(*strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One of these, each as likely as the others, however many choices it has itself."""
    return st.sampled_from(strategies).flatmap(lambda strategy: strategy)


def _changes(*kinds: str) -> st.SearchStrategy[Any]:
    """Deletions of these kinds, and new sizes for those that have one."""
    sized = [kind for kind in kinds if kind in SCALED]
    deletions = st.builds(Delete, st.sampled_from(kinds), POLICIES)
    if not sized:
        return deletions
    return _mixed(deletions, st.builds(Scale, st.sampled_from(sized), SIZES))


MISFORTUNES = _mixed(
    st.builds(DeletePod, st.integers(0, 9), st.booleans()),
    st.builds(Quota, st.sampled_from((None, 2, 5, 20))),
    st.builds(LoseNode, st.sampled_from(NODE_NAMES)),
    st.builds(RegainNode, st.sampled_from(NODE_NAMES)),
    st.builds(RemoveNode, st.sampled_from(NODE_NAMES[1:])),
    st.builds(Pass, st.sampled_from((5, 70, 320, 900))),
    st.builds(Kill, st.integers(0, 60), st.booleans()),
    st.builds(Renew),
    st.builds(Spoil, st.booleans(), st.booleans()),
)
ROLLOUTS = _mixed(
    st.builds(deployment, SIZES, IMAGES, SPARES, SPARES),
    st.builds(deployment, st.just(4), IMAGES, st.just(1), st.integers(0, 1)),
    st.builds(deployment, st.just(3), IMAGES, st.just(0), st.integers(0, 1)),
    st.builds(budget, st.integers(1, 3)),
    st.builds(service, st.just("deployment")),
    _changes("Deployment", "PodDisruptionBudget", "Service"),
)
SETS = _mixed(
    st.builds(replica_set, st.sampled_from(("ReplicaSet", "ReplicationController")), SIZES),
    st.builds(stateful_set, SIZES, IMAGES),
    st.builds(daemon_set, IMAGES, st.sampled_from(("", "z1"))),
    _changes("ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet"),
    st.builds(DeletePod, st.integers(0, 9), st.booleans()),
)
BATCH = _mixed(
    st.builds(
        job,
        st.integers(1, 3),
        st.integers(1, 3),
        st.integers(0, 3),
        st.sampled_from((None, 60)),
    ),
    st.builds(cron_job, st.sampled_from(("Allow", "Forbid", "Replace"))),
    st.builds(Pass, st.sampled_from((70, 320))),
    _changes("Job", "CronJob"),
)
NETWORK = _mixed(
    st.builds(service, st.sampled_from(("statefulset", ""))),
    st.builds(endpoints, st.integers(1, 3)),
    st.builds(stateful_set, SIZES, IMAGES),
    _changes("StatefulSet", "Service", "Endpoints"),
)
STORAGE = _mixed(
    st.builds(claim),
    st.builds(volume, SPARES),
    st.builds(pod, st.sampled_from(("claim", "ephemeral"))),
    _changes("PersistentVolumeClaim", "PersistentVolume", "Pod"),
)
SUBJECTS = (ROLLOUTS, SETS, BATCH, NETWORK, STORAGE)
FEWEST, LENGTH = 4, 14


class Sequence(NamedTuple):
    """What happens, and after each step for how many turns of the event loop nothing else does;
    ``seed`` decides which pods get their turn.
    """

    steps: tuple[Any, ...]
    turns: tuple[int, ...]
    seed: int


def _about(subject: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Steps of which most are about one subject: only those can meet."""
    others = _mixed(*SUBJECTS)
    step = _mixed(subject, subject, subject, others, st.just(Settle()), MISFORTUNES, MISFORTUNES)
    return st.lists(step, min_size=FEWEST, max_size=LENGTH).map(tuple)


SEQUENCES = st.builds(
    Sequence,
    st.sampled_from(SUBJECTS).flatmap(_about),
    st.lists(st.sampled_from((0, 3, 20, 200)), min_size=LENGTH, max_size=LENGTH).map(tuple),
    st.integers(0, 1000),
)


async def play(world: World, sequence: Sequence) -> None:
    """Lets everything happen, then lets the cluster come to rest with the lost nodes back."""
    await ensure_space(world)
    for step, turns in zip(sequence.steps, sequence.turns, strict=False):
        try:
            await step.act(world)
        except ApiError:
            pass  # not there, not allowed now, being deleted: so users are told
        await world.turns(turns)
        await world.tend(0.5)
        check(world)
    for name in NODE_NAMES:
        if name == NODE_NAMES[0] or world.ledger.get("Node", "", name) is not None:
            await world.regain_node(name)
    for _ in range(2):
        await world.settle()
        await ensure_space(world)
        await world.advance(LONG)
    await world.settle()
    check(world)


def check(world: World) -> None:
    """Fails when a rule was broken."""
    assert not world.ledger.violations, world.ledger.violations


async def ensure_space(world: World) -> None:
    """The namespace, new where it is gone; one that is ending is waited for."""
    try:
        await world.client.create(NAMESPACES, {"metadata": {"name": SPACE}})
    except ApiError as error:
        if isinstance(error, NotFound):
            raise
    await asyncio.sleep(0)


__all__ = ["SEQUENCES", "SPACE", "Sequence", "Step", "play"]
