"""Every commit to a store as it happens, and what must hold at each of them.

A rule looks at one change with everything else as it stood at that moment. What is broken is kept
as a sentence: the server that makes the commit is not disturbed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from kubelite.control.controllers.shared.meta import (
    controller_of,
    is_deleting,
    name_of,
    namespace_of,
    parse_time,
    spec_of,
    status_of,
    uid_of,
)
from kubelite.control.controllers.shared.pod_state import is_active, is_ready, phase_of
from kubelite.control.store.memory import Memory
from kubelite.control.store.types import Entry

Object = dict[str, Any]
PASSING = ("/registry/events/", "/registry/leases/")
"""What is written while nothing happens: heartbeats, and Events of earlier happenings."""
TRACKING = "batch.kubernetes.io/job-tracking"


class Commits(Memory):
    """A backend that tells a ledger of each commit, before anybody can watch it."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def apply(self, revision: int, written: Mapping[str, Entry | None]) -> int:
        result = super().apply(revision, written)
        self._ledger.take(written)
        return result

    async def close(self) -> None:
        """Ends watches; the next server goes on where this one ended."""
        await super().close()
        self._closed = False


class Ledger:
    """All objects as they are, what is broken, and what has to be known of the past.

    ``largest`` and ``smallest`` are bounds of ``spec.replicas`` (or parallelism) of each workload
    since the last rest: a controller may not have heard of the latest yet. ``external`` holds the
    uids of pods that somebody other than a controller has ended since then; ``now`` is the
    controllers' clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.violations: list[str] = []
        self.writes = 0
        self.external: set[str] = set()
        self.is_disturbed = False
        self.failed_pods: dict[str, set[str]] = defaultdict(set)
        self.cron_starts: dict[tuple[str, str], str] = {}
        self._kind_of: dict[str, str] = {}
        self._kinds: dict[str, dict[str, Object]] = defaultdict(dict)
        self._bounds: dict[str, tuple[int, int]] = {}

    def take(self, written: Mapping[str, Entry | None]) -> None:
        """One commit. Rules see all of it."""
        changes = []
        for key, entry in written.items():
            self.writes += not key.startswith(PASSING)
            changes.append(self._put(key, entry))
        for old, new in changes:
            for rule in RULES:
                problem = rule(self, old, new)
                if problem:
                    self.violations.append(f"{rule.__name__}: {problem}")

    def _put(self, key: str, entry: Entry | None) -> tuple[Object | None, Object | None]:
        new = msgspec.json.decode(entry.value) if entry is not None else None
        kind = self._kind_of.setdefault(key, new["kind"] if new is not None else "")
        old = self._kinds[kind].pop(key, None)
        if new is not None:
            self._kinds[kind][key] = new
            size = size_of(new)
            if size is not None:
                low, high = self._bounds.get(uid_of(new), (size, size))
                self._bounds[uid_of(new)] = min(low, size), max(high, size)
        return old, new

    def rest(self) -> None:
        """Everything is as it should be: bounds start anew."""
        self.external.clear()
        self.is_disturbed = False
        self._bounds.clear()
        for kind in ("Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "Job"):
            for obj in self.all(kind):
                size = size_of(obj) or 0
                self._bounds[uid_of(obj)] = size, size

    # Looking

    def all(self, kind: str, namespace: str = "") -> list[Object]:
        objects = self._kinds[kind].values()
        return [obj for obj in objects if not namespace or namespace_of(obj) == namespace]

    def everything(self) -> Iterator[Object]:
        for objects in self._kinds.values():
            yield from objects.values()

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        return next((obj for obj in self.all(kind, namespace) if name_of(obj) == name), None)

    def by_uid(self, uid: str) -> Object | None:
        return next((obj for obj in self.everything() if uid_of(obj) == uid), None)

    def pods_of(self, owner: Object) -> list[Object]:
        """The pods that an owner controls."""
        return [pod for pod in self.all("Pod") if is_of(pod, owner)]

    def pods_below(self, deployment: Object) -> list[Object]:
        """The pods of all ReplicaSets of a Deployment."""
        sets = [rs for rs in self.all("ReplicaSet") if is_of(rs, deployment)]
        return [pod for rs in sets for pod in self.pods_of(rs)]

    def bounds(self, obj: Object) -> tuple[int, int]:
        """The smallest and the largest size of a workload since the last rest."""
        size = size_of(obj) or 0
        return self._bounds.get(uid_of(obj), (size, size))


def size_of(obj: Object) -> int | None:
    """How many pods a workload asks for at once."""
    field = "parallelism" if obj["kind"] == "Job" else "replicas"
    if obj["kind"] in ("Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "Job"):
        return int(spec_of(obj).get(field, 1))
    return None


def is_of(obj: Object, owner: Object) -> bool:
    reference = controller_of(obj)
    return reference is not None and reference["uid"] == uid_of(owner)


def is_serving(pod: Object) -> bool:
    return is_active(pod) and is_ready(pod)


# Rules: each returns a sentence where a change breaks it, else ""

Rule = Callable[[Ledger, Object | None, Object | None], str]


def _created(kind: str, old: Object | None, new: Object | None) -> bool:
    return old is None and new is not None and new["kind"] == kind


def _ended_by_a_controller(ledger: Ledger, old: Object | None, new: Object | None) -> bool:
    """Whether a pod that served is deleted by this change, and no test or kubelet did it."""
    if old is None or old["kind"] != "Pod" or not is_serving(old):
        return False
    is_gone = new is None or is_deleting(new)
    return is_gone and not ledger.is_disturbed and uid_of(old) not in ledger.external


def no_pod_too_many(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """An owner never has more pods than it has asked for since the last rest."""
    if not _created("Pod", old, new) or controller_of(new) is None:
        return ""
    owner = ledger.by_uid(controller_of(new)["uid"])
    if owner is None or size_of(owner) is None:
        return ""
    active = sum(map(is_active, ledger.pods_of(owner)))
    most = ledger.bounds(owner)[1]
    return f"{owner['kind']} has {active} pods of {most}" if active > most else ""


def one_daemon_a_node(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    if not _created("Pod", old, new) or (controller_of(new) or {}).get("kind") != "DaemonSet":
        return ""
    owner = ledger.by_uid(controller_of(new)["uid"])
    nodes = [_daemon_node(pod) for pod in ledger.pods_of(owner) if is_active(pod)] if owner else []
    return "" if len(set(nodes)) == len(nodes) else f"two daemons on a node: {nodes}"


def _daemon_node(pod: Object) -> str:
    terms = spec_of(pod)["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["nodeSelectorTerms"]
    return str(terms[0]["matchFields"][0]["values"][0])


def surge_is_bounded(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """The pods of a Deployment never exceed replicas + maxSurge; Recreate never mixes revisions."""
    if not _created("Pod", old, new) or (controller_of(new) or {}).get("kind") != "ReplicaSet":
        return ""
    set_ = ledger.by_uid(controller_of(new)["uid"])
    deployment = ledger.by_uid((controller_of(set_ or new) or {}).get("uid", ""))
    if set_ is None or deployment is None or deployment["kind"] != "Deployment":
        return ""
    pods = [pod for pod in ledger.pods_below(deployment) if is_active(pod)]
    rolling = spec_of(deployment)["strategy"].get("rollingUpdate")
    if rolling is None:
        others = [pod for pod in pods if not is_of(pod, set_)]
        return f"{len(others)} pods of another revision" if others else ""
    most = ledger.bounds(deployment)[1] + rolling["maxSurge"]
    return f"{len(pods)} pods, at most {most}" if len(pods) > most else ""


def enough_stay_available(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """No controller takes a Deployment's pod that is needed for replicas - maxUnavailable."""
    if not _ended_by_a_controller(ledger, old, new):
        return ""
    set_ = ledger.by_uid((controller_of(old) or {}).get("uid", ""))
    if set_ is None or set_["kind"] != "ReplicaSet":
        return ""
    deployment = ledger.by_uid((controller_of(set_) or {}).get("uid", ""))
    if deployment is None or is_deleting(deployment):
        return ""
    rolling = spec_of(deployment)["strategy"].get("rollingUpdate")
    if rolling is None:
        return ""
    serving = sum(map(is_serving, ledger.pods_below(deployment)))
    least = ledger.bounds(deployment)[0] - rolling["maxUnavailable"]
    return f"{serving} pods serve, at least {least} must" if serving < least else ""


def ordinals_come_in_order(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """A pod of an ordered set is created when all before it are ready."""
    owner = _ordered_owner(ledger, new) if _created("Pod", old, new) else None
    if owner is None or ledger.is_disturbed:
        return ""
    ready = {name_of(pod) for pod in ledger.pods_of(owner) if is_serving(pod)}
    ordinal = int(name_of(new).rpartition("-")[2])
    missing = [n for n in range(ordinal) if f"{name_of(owner)}-{n}" not in ready]
    return f"pod {ordinal} is created before {missing} are ready" if missing else ""


def ordinals_go_one_by_one(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """While an ordered set is scaled down or updated, one pod at a time is away."""
    if not _ended_by_a_controller(ledger, old, new):
        return ""
    owner = _ordered_owner(ledger, old)
    if owner is None or is_deleting(owner):
        return ""
    others = [pod for pod in ledger.pods_of(owner) if uid_of(pod) != uid_of(old)]
    away = [name_of(pod) for pod in others if not is_serving(pod)]
    return f"{name_of(old)} goes while {away} are away" if away else ""


def _ordered_owner(ledger: Ledger, pod: Object | None) -> Object | None:
    reference = controller_of(pod) if pod is not None else None
    if reference is None or reference["kind"] != "StatefulSet":
        return None
    owner = ledger.by_uid(reference["uid"])
    is_ordered = owner is not None and spec_of(owner)["podManagementPolicy"] == "OrderedReady"
    return owner if is_ordered else None


def jobs_count_each_pod_once(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """``status.failed`` is never more than the pods that have failed, or were deleted before they
    had succeeded.
    """
    if new is None:
        return ""
    is_lost = phase_of(new) == "Failed" or (is_deleting(new) and phase_of(new) != "Succeeded")
    if new["kind"] == "Pod" and is_lost and controller_of(new):
        ledger.failed_pods[controller_of(new)["uid"]].add(uid_of(new))
    if new["kind"] != "Job":
        return ""
    failed = len(ledger.failed_pods[uid_of(new)])
    counted = status_of(new).get("failed", 0)
    return f"{counted} counted, {failed} failed" if counted > failed else ""


def counted_before_let_go(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """A finished pod keeps its finalizer until its Job has it in its status."""
    if old is None or new is None or old["kind"] != "Pod" or phase_of(new) != "Succeeded":
        return ""
    if TRACKING not in old["metadata"].get("finalizers", ()):
        return ""
    if TRACKING in new["metadata"].get("finalizers", ()):
        return ""
    job = ledger.by_uid((controller_of(new) or {}).get("uid", ""))
    if job is None or status_of(job).get("completionTime"):
        return ""
    waiting = status_of(job).get("uncountedTerminatedPods", {}).get("succeeded", ())
    is_counted = uid_of(new) in waiting or status_of(job).get("succeeded", 0)
    return "" if is_counted else f"{name_of(new)} was let go and is counted nowhere"


def one_job_for_each_time(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """A CronJob never starts two Jobs for one time."""
    if not _created("Job", old, new) or controller_of(new) is None:
        return ""
    annotations = new["metadata"].get("annotations") or {}
    time = annotations.get("batch.kubernetes.io/cronjob-scheduled-timestamp", "")
    key = (controller_of(new)["uid"], time)
    before = ledger.cron_starts.setdefault(key, name_of(new))
    return "" if before == name_of(new) and old is None else f"{before} and {name_of(new)}: {time}"


def forbidden_jobs_wait(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """A CronJob that forbids concurrency has one Job at a time that has not ended."""
    if not _created("Job", old, new) or (controller_of(new) or {}).get("kind") != "CronJob":
        return ""
    cron = ledger.by_uid(controller_of(new)["uid"])
    if cron is None or spec_of(cron)["concurrencyPolicy"] != "Forbid" or ledger.is_disturbed:
        return ""
    running = [
        name_of(job) for job in ledger.all("Job") if is_of(job, cron) and not _has_ended(job)
    ]
    return f"{running} run at once" if len(running) > 1 else ""


def _has_ended(job: Object) -> bool:
    conditions = status_of(job).get("conditions") or ()
    return any(condition["type"] in ("Complete", "Failed") for condition in conditions)


def jobs_stay_for_their_time(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """A finished Job is deleted by a controller ttlSecondsAfterFinished later, not before."""
    if old is None or old["kind"] != "Job" or is_deleting(old) or uid_of(old) in ledger.external:
        return ""
    seconds = spec_of(old).get("ttlSecondsAfterFinished")
    if seconds is None or (new is not None and not is_deleting(new)):
        return ""
    ends = [
        parse_time(condition["lastTransitionTime"])
        for condition in status_of(old).get("conditions") or ()
        if condition["type"] in ("Complete", "Failed")
    ]
    early = [end + seconds - ledger.now() for end in ends if end + seconds > ledger.now()]
    return f"{name_of(old)} goes {early[0]} s early" if early else ""


def nothing_outlives_its_namespace(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    if old is None or new is not None or old["kind"] != "Namespace":
        return ""
    left = [
        f"{obj['kind']} {name_of(obj)}"
        for obj in ledger.everything()
        if namespace_of(obj) == name_of(old) and obj["kind"] != "Event"
    ]
    return f"{name_of(old)} is gone before {left[:3]}" if left else ""


def foreground_waits(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """An owner that is deleted in the foreground goes after the dependents that block it."""
    if old is None or new is not None:
        return ""
    if "foregroundDeletion" not in (old["metadata"].get("finalizers") or ()):
        return ""
    left = [name_of(obj) for obj in ledger.everything() if _blocks(obj, uid_of(old))]
    return f"{name_of(old)} is gone before {left[:3]}" if left else ""


def orphans_are_let_go(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """An owner that orphans its dependents goes when none of them names it any more."""
    if old is None or new is not None or "orphan" not in (old["metadata"].get("finalizers") or ()):
        return ""
    left = [name_of(obj) for obj in ledger.everything() if _names(obj, uid_of(old))]
    return f"{name_of(old)} is gone, {left[:3]} still name it" if left else ""


def _names(obj: Object, uid: str) -> bool:
    return any(ref["uid"] == uid for ref in obj["metadata"].get("ownerReferences") or ())


def _blocks(obj: Object, uid: str) -> bool:
    references = obj["metadata"].get("ownerReferences") or ()
    return any(ref["uid"] == uid and ref.get("blockOwnerDeletion") for ref in references)


def claims_and_volumes_pair(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """A claim has one volume and a volume one claim."""
    if new is None or new["kind"] not in ("PersistentVolume", "PersistentVolumeClaim"):
        return ""
    held = [(spec_of(pv).get("claimRef") or {}).get("uid") for pv in ledger.all("PersistentVolume")]
    taken = [spec_of(claim).get("volumeName") for claim in ledger.all("PersistentVolumeClaim")]
    twice = [key for names in (held, taken) for key in names if key and names.count(key) > 1]
    return f"bound twice: {twice[0]}" if twice else ""


def claims_in_use_stay(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    if old is None or new is not None or old["kind"] != "PersistentVolumeClaim":
        return ""
    users = [
        name_of(pod)
        for pod in ledger.all("Pod", namespace_of(old))
        if spec_of(pod).get("nodeName")
        and any(
            (volume.get("persistentVolumeClaim") or {}).get("claimName") == name_of(old)
            for volume in spec_of(pod).get("volumes") or ()
        )
    ]
    return f"{name_of(old)} is gone, {users} use it" if users else ""


def bound_volumes_stay(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    if old is None or new is not None or old["kind"] != "PersistentVolume":
        return ""
    uid = (spec_of(old).get("claimRef") or {}).get("uid")
    claim = ledger.by_uid(uid) if uid else None
    is_held = claim is not None and spec_of(claim).get("volumeName") == name_of(old)
    return f"{name_of(old)} is gone, a claim has it" if is_held else ""


def evictions_wait(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """A pod that tolerates a lost node for some seconds is not evicted before they are over."""
    if old is None or new is None or old["kind"] != "Pod" or is_deleting(old):
        return ""
    conditions = status_of(new).get("conditions") or ()
    if not is_deleting(new) or not any(c["reason"] == EVICTED for c in conditions if "reason" in c):
        return ""
    node = ledger.get("Node", "", spec_of(old).get("nodeName", ""))
    added = [
        parse_time(taint["timeAdded"])
        for taint in spec_of(node or {}).get("taints") or ()
        if taint["effect"] == "NoExecute" and taint.get("timeAdded")
    ]
    waits = [
        t["tolerationSeconds"] for t in spec_of(old)["tolerations"] if "tolerationSeconds" in t
    ]
    early = bool(added) and bool(waits) and ledger.now() < max(added) + min(waits)
    return f"{name_of(old)} goes at {ledger.now()}, {min(waits)} s after {added}" if early else ""


EVICTED = "DeletionByTaintManager"


def quotas_hold(ledger: Ledger, old: Object | None, new: Object | None) -> str:
    """No pod is admitted beyond a quota, as it stands at that moment."""
    if not _created("Pod", old, new):
        return ""
    namespace = namespace_of(new)
    pods = [p for p in ledger.all("Pod", namespace) if phase_of(p) not in ("Failed", "Succeeded")]
    limits = [int(spec_of(q)["hard"]["pods"]) for q in ledger.all("ResourceQuota", namespace)]
    counted = [q for q in ledger.all("ResourceQuota", namespace) if status_of(q).get("used")]
    return f"{len(pods)} pods of {limits}" if counted and len(pods) > min(limits) else ""


RULES: tuple[Rule, ...] = (
    no_pod_too_many,
    one_daemon_a_node,
    surge_is_bounded,
    enough_stay_available,
    ordinals_come_in_order,
    ordinals_go_one_by_one,
    jobs_count_each_pod_once,
    counted_before_let_go,
    one_job_for_each_time,
    forbidden_jobs_wait,
    jobs_stay_for_their_time,
    nothing_outlives_its_namespace,
    foreground_waits,
    orphans_are_let_go,
    claims_and_volumes_pair,
    claims_in_use_stay,
    bound_volumes_stay,
    evictions_wait,
    quotas_hold,
)
__all__ = ["RULES", "Commits", "Ledger", "Object", "is_of", "is_serving", "size_of"]
