"""What a cluster must look like when everybody is done, by the rules of Kubernetes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kubelite.control.controllers.shared.meta import (
    controller_of,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from kubelite.control.controllers.shared.pod_state import is_active, is_ready, phase_of
from tests.control.convergence.ledger import TRACKING, Ledger, Object, is_of, is_serving
from tests.control.convergence.steps import SPACE
from tests.control.convergence.world import OUTCOME


def problems(ledger: Ledger) -> list[str]:
    """Everything that is not as it should be at rest, as sentences."""
    return [f"{check.__name__}: {text}" for check in CHECKS for text in check(ledger)]


def _is_full(ledger: Ledger, namespace: str) -> bool:
    """Whether a quota lets no more pods in."""
    return any(
        int(status_of(quota).get("used", {}).get("pods", 0)) >= int(spec_of(quota)["hard"]["pods"])
        for quota in ledger.all("ResourceQuota", namespace)
    )


def pods_run(ledger: Ledger) -> Iterator[str]:
    """Every pod has a node and is ready, or has ended; none is on its way out."""
    for pod in ledger.all("Pod"):
        claims = [v for v in spec_of(pod).get("volumes") or () if _needs_claim(v)]
        if is_deleting(pod) or (phase_of(pod) == "Pending" and not claims):
            yield f"{name_of(pod)} is {phase_of(pod)}, {pod['metadata'].get('deletionTimestamp')}"
        elif phase_of(pod) == "Running" and not is_ready(pod):
            yield f"{name_of(pod)} is not ready"


def _needs_claim(volume: Object) -> bool:
    return "persistentVolumeClaim" in volume or "ephemeral" in volume


def replicas_are_there(ledger: Ledger) -> Iterator[str]:
    for kind in ("ReplicaSet", "ReplicationController", "StatefulSet"):
        for owner in ledger.all(kind):
            active = [pod for pod in ledger.pods_of(owner) if is_active(pod)]
            wanted = spec_of(owner)["replicas"]
            is_short = len(active) < wanted and not _is_full(ledger, namespace_of(owner))
            if is_short or len(active) > wanted:
                yield f"{kind} {name_of(owner)} has {len(active)} pods of {wanted}"
            if status_of(owner).get("replicas", 0) != len(active):
                yield f"{kind} {name_of(owner)} reports {status_of(owner)} of {len(active)}"
            ready = sum(map(is_serving, active))
            if status_of(owner).get("readyReplicas", 0) != ready:
                yield f"{kind} {name_of(owner)} reports {status_of(owner)}, {ready} ready"


def rollouts_are_over(ledger: Ledger) -> Iterator[str]:
    for deployment in ledger.all("Deployment"):
        sets = [rs for rs in ledger.all("ReplicaSet") if is_of(rs, deployment)]
        images = [_image(rs) for rs in sets if spec_of(rs)["replicas"]]
        wanted = spec_of(deployment)["replicas"]
        is_full = _is_full(ledger, namespace_of(deployment))
        if wanted and not is_full and images != [_image(deployment)]:
            yield f"{images} of {_image(deployment)}"
        size = sum(spec_of(rs)["replicas"] for rs in sets)
        if size != wanted and not is_full:
            yield f"{name_of(deployment)}: {size} of {wanted}"


def _image(owner: Object) -> str:
    return str(spec_of(owner)["template"]["spec"]["containers"][0]["image"])


def sets_are_updated(ledger: Ledger) -> Iterator[str]:
    for kind in ("StatefulSet", "DaemonSet"):
        for owner in ledger.all(kind):
            old = [
                name_of(pod)
                for pod in ledger.pods_of(owner)
                if spec_of(pod)["containers"][0]["image"] != _image(owner)
            ]
            if old and not _is_full(ledger, namespace_of(owner)):
                yield f"{kind}: {old} are not {_image(owner)}"


def ordinals_are_complete(ledger: Ledger) -> Iterator[str]:
    for owner in ledger.all("StatefulSet"):
        names = {name_of(pod) for pod in ledger.pods_of(owner)}
        wanted = {f"{name_of(owner)}-{n}" for n in range(spec_of(owner)["replicas"])}
        if names != wanted and not _is_full(ledger, namespace_of(owner)):
            yield f"{sorted(names)}, not {sorted(wanted)}"


def daemons_are_everywhere(ledger: Ledger) -> Iterator[str]:
    for owner in ledger.all("DaemonSet"):
        selector = spec_of(owner)["template"]["spec"].get("nodeSelector") or {}
        wanted = Counter(
            name_of(node)
            for node in ledger.all("Node")
            if selector.items() <= labels_of(node).items()
        )
        nodes = Counter(spec_of(pod).get("nodeName") for pod in ledger.pods_of(owner))
        if nodes != wanted and not _is_full(ledger, namespace_of(owner)):
            yield f"daemons on {nodes}, not {wanted}"


def jobs_are_over(ledger: Ledger) -> Iterator[str]:
    for job in ledger.all("Job"):
        status = status_of(job)
        ends = {c["type"] for c in status.get("conditions") or ()} & {"Complete", "Failed"}
        if not ends and _is_to_end(job) and not _is_full(ledger, namespace_of(job)):
            yield f"{name_of(job)} has not ended: {status}"
        wanted = spec_of(job).get("completions", 1)
        if "Complete" in ends and status.get("succeeded") != wanted:
            yield f"{name_of(job)} is complete: {status}"
        failed = len(ledger.failed_pods[uid_of(job)])
        is_over = failed > spec_of(job).get("backoffLimit", 6)
        if "Failed" in ends and not is_over:
            yield f"{name_of(job)} failed after {failed} pods"
        if spec_of(job).get("ttlSecondsAfterFinished") is not None and ends:
            yield f"{name_of(job)} should have gone"
    for pod in ledger.all("Pod"):
        if TRACKING in pod["metadata"].get("finalizers", ()) and not is_active(pod):
            yield f"{name_of(pod)} is still counted"


def _is_to_end(job: Object) -> bool:
    """Whether its pods are told to end."""
    return OUTCOME in spec_of(job)["template"]["metadata"].get("annotations", ())


def cron_jobs_have_run(ledger: Ledger) -> Iterator[str]:
    for cron in ledger.all("CronJob"):
        if not status_of(cron).get("lastScheduleTime") and not _is_full(ledger, namespace_of(cron)):
            yield f"{name_of(cron)} has never run"
        jobs = [job for job in ledger.all("Job") if is_of(job, cron)]
        if len(jobs) > 3 and not _is_full(ledger, namespace_of(cron)):
            yield f"{name_of(cron)} keeps {len(jobs)} Jobs"


def owners_exist(ledger: Ledger) -> Iterator[str]:
    """No object names only owners that are gone; none waits for its collection."""
    uids = {uid_of(obj) for obj in ledger.everything()}
    for obj in ledger.everything():
        references = obj["metadata"].get("ownerReferences") or ()
        if references and not any(ref["uid"] in uids for ref in references):
            yield f"{obj['kind']} {name_of(obj)} is an orphan"
        if is_deleting(obj) and obj["kind"] not in ("PersistentVolumeClaim", "PersistentVolume"):
            yield f"{obj['kind']} {name_of(obj)} is still there"


def budgets_are_counted(ledger: Ledger) -> Iterator[str]:
    for budget in ledger.all("PodDisruptionBudget"):
        labels = spec_of(budget)["selector"]["matchLabels"].items()
        pods = ledger.all("Pod", namespace_of(budget))
        pods = [pod for pod in pods if labels <= labels_of(pod).items()]
        healthy = sum(map(is_serving, pods))
        least = spec_of(budget)["minAvailable"]
        allowed = max(0, healthy - least) if pods else 0
        status = status_of(budget)
        if (status["currentHealthy"], status["disruptionsAllowed"]) != (healthy, allowed):
            yield f"{status}, not {healthy} healthy and {allowed} allowed"


def quotas_are_counted(ledger: Ledger) -> Iterator[str]:
    for quota in ledger.all("ResourceQuota"):
        pods = ledger.all("Pod", namespace_of(quota))
        used = sum(phase_of(pod) not in ("Failed", "Succeeded") for pod in pods)
        if status_of(quota)["used"]["pods"] != str(used):
            yield f"{status_of(quota)}, not {used}"


def endpoints_are_the_pods(ledger: Ledger) -> Iterator[str]:
    for service in ledger.all("Service", SPACE):
        selector = spec_of(service).get("selector")
        if not selector:
            continue
        pods = ledger.all("Pod", SPACE)
        pods = [pod for pod in pods if selector.items() <= labels_of(pod).items()]
        wanted = sorted(status_of(pod)["podIP"] for pod in pods if is_serving(pod))
        sliced = sorted(_sliced(ledger, service))
        if sliced != wanted:
            yield f"slices {sliced}, not {wanted}"
        listed = sorted(_listed(ledger, name_of(service)))
        if listed != wanted:
            yield f"Endpoints {listed}, not {wanted}"


def endpoints_are_mirrored(ledger: Ledger) -> Iterator[str]:
    service = ledger.get("Service", SPACE, "endpoints")
    if service is None or ledger.get("Endpoints", SPACE, "endpoints") is None:
        return
    sliced, listed = sorted(_sliced(ledger, service)), sorted(_listed(ledger, "endpoints"))
    if sliced != listed:
        yield f"slices {sliced}, not {listed}"


def _sliced(ledger: Ledger, service: Object) -> Iterator[str]:
    for slice_ in ledger.all("EndpointSlice", SPACE):
        if labels_of(slice_).get("kubernetes.io/service-name") == name_of(service):
            for endpoint in slice_.get("endpoints") or ():
                if endpoint["conditions"].get("ready"):
                    yield endpoint["addresses"][0]
                if endpoint["conditions"].get("terminating"):
                    yield f"{endpoint['addresses'][0]}, terminating"


def _listed(ledger: Ledger, name: str) -> Iterator[str]:
    obj = ledger.get("Endpoints", SPACE, name)
    for subset in (obj or {}).get("subsets") or ():
        for address in subset.get("addresses") or ():
            yield address["ip"]


def volumes_are_bound(ledger: Ledger) -> Iterator[str]:
    """A claim is bound as long as a volume is free; both sides say so."""
    free = [
        volume
        for volume in ledger.all("PersistentVolume")
        if status_of(volume).get("phase") == "Available"
    ]
    for claim in ledger.all("PersistentVolumeClaim"):
        phase = status_of(claim).get("phase")
        volume = ledger.get("PersistentVolume", "", spec_of(claim).get("volumeName", ""))
        if phase == "Pending" and free:
            yield f"{name_of(claim)} is not bound, {name_of(free[0])} is free"
        if phase == "Bound" and (
            volume is None
            or status_of(volume).get("phase") != "Bound"
            or spec_of(volume)["claimRef"]["uid"] != uid_of(claim)
        ):
            yield f"{name_of(claim)} is bound to {volume and status_of(volume)}"


def ephemeral_claims_exist(ledger: Ledger) -> Iterator[str]:
    for pod in ledger.all("Pod"):
        for volume in spec_of(pod).get("volumes") or ():
            name = f"{name_of(pod)}-{volume['name']}"
            claim = ledger.get("PersistentVolumeClaim", namespace_of(pod), name)
            is_own = claim is not None and is_of(claim, pod)
            if "ephemeral" in volume and is_active(pod) and not is_own:
                yield f"{name_of(pod)} has no claim {name}"


def namespaces_are_furnished(ledger: Ledger) -> Iterator[str]:
    bundle = ledger.get("ConfigMap", "kube-system", "kube-root-ca.crt")
    for namespace in ledger.all("Namespace"):
        name = name_of(namespace)
        if ledger.get("ServiceAccount", name, "default") is None:
            yield f"{name} has no ServiceAccount"
        present = ledger.get("ConfigMap", name, "kube-root-ca.crt")
        if present is None or bundle is None or present["data"] != bundle["data"]:
            yield f"{name} has no certificate authority"


def nodes_are_as_they_say(ledger: Ledger) -> Iterator[str]:
    """Nodes that are ready have no taints of ours."""
    for node in ledger.all("Node"):
        if taints := spec_of(node).get("taints"):
            yield f"{name_of(node)}: {taints}"


def nobody_is_adopted_twice(ledger: Ledger) -> Iterator[str]:
    for obj in ledger.everything():
        references = obj["metadata"].get("ownerReferences") or ()
        if sum(bool(ref.get("controller")) for ref in references) > 1:
            yield f"{name_of(obj)}: {references}"
        if obj["kind"] == "Pod" and phase_of(obj) == "Running" and controller_of(obj) is None:
            app = labels_of(obj).get("app", "")
            for kind in ("ReplicaSet", "ReplicationController", "StatefulSet"):
                if ledger.get(kind, namespace_of(obj), app) is not None and kind.lower() == app:
                    yield f"{name_of(obj)} belongs to nobody, {kind} {app} selects it"


CHECKS = (
    pods_run,
    replicas_are_there,
    rollouts_are_over,
    sets_are_updated,
    ordinals_are_complete,
    daemons_are_everywhere,
    jobs_are_over,
    cron_jobs_have_run,
    owners_exist,
    budgets_are_counted,
    quotas_are_counted,
    endpoints_are_the_pods,
    endpoints_are_mirrored,
    volumes_are_bound,
    ephemeral_claims_exist,
    namespaces_are_furnished,
    nodes_are_as_they_say,
    nobody_is_adopted_twice,
)
