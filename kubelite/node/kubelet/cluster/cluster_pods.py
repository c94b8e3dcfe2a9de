"""Pods that an API server has bound to this node: taken over into local records, reported, and
removed from the API when nothing of them is left.

Local pods are shown by their mirrors (:class:`MirrorPods`). Local records are what survives:
whatever is killed, a start compares them with the API's pods and goes on. Methods of
:class:`ClusterPods` that workers call come from other threads and return at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from kubelite.client.client import Client, Selection
from kubelite.client.errors import ClientError, Conflict, NotFound
from kubelite.client.events import EventRecorder
from kubelite.client.informers import Informers
from kubelite.client.resources import GroupVersionResource
from kubelite.node.kubelet.act import pod_names
from kubelite.node.kubelet.act.cluster_view import ClusterNode
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.kubelet.agent.removal_request import request_removal
from kubelite.node.kubelet.cluster import machine, pod_status, pod_updates
from kubelite.node.kubelet.cluster.deferred_resizes import DeferredResizes
from kubelite.node.kubelet.cluster.mirror_pods import Key as MirrorKey
from kubelite.node.kubelet.cluster.mirror_pods import MirrorPods
from kubelite.node.kubelet.cluster.pod_objects import ObjectWatches, PodObjects
from kubelite.node.kubelet.cluster.service_env import variables
from kubelite.node.kubelet.decide import admitting, local_storage_limits, status
from kubelite.node.kubelet.decide.admitting import Refusal
from kubelite.node.kubelet.decide.mirror import is_mirror
from kubelite.node.runtime.clock import SECOND, boottime
from kubelite.node.runtime.home import Home, boot_id
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.pod_lock import hold_pod
from kubelite.node.runtime.records import API, REMOVING, ObservedPod, PodRecord, PodStop
from kubelite.objects.pod import codec
from kubelite.objects.pod.pod import Pod

PODS = GroupVersionResource("", "v1", "pods")
SERVICES = GroupVersionResource("", "v1", "services")
RETRY_SECONDS = 1.0
"""What the kubelet leaves a pod of a node that runs out of something."""

_log = logging.getLogger("kubelite.node")


class ClusterPods:
    """The pods of ``node``: :class:`kubelite.node.kubelet.act.cluster_view.ClusterView`."""

    def __init__(
        self, home: Home, node: ClusterNode, client: Client, node_uid: Callable[[], str]
    ) -> None:
        self.node = node
        self._home, self._client = home, client
        self._loop = asyncio.get_running_loop()
        self._informers = Informers(client)
        self._pods = self._informers.of(
            PODS, Selection(field_selector=f"spec.nodeName={node.name}")
        )
        self._mirrors = MirrorPods(home, client, self._pods, node.name, node_uid)
        self._services = self._informers.of(SERVICES)
        self._watches = ObjectWatches(client, self._loop, self._notify)
        self._recorder = EventRecorder(client, "kubelet", node.name)
        self.pressures: frozenset[str] = frozenset()
        """The conditions of the node that keep new pods out."""
        self._by_uid: dict[str, tuple[str, str]] = {}
        self._accepted: dict[str, Mapping[str, Any]] = {}
        self._objects: dict[str, PodObjects] = {}
        self._observed: dict[str, dict[str, Any]] = {}
        self._allocated: dict[str, list[Any]] = {}
        self._allocating = threading.Lock()
        self._deferred = DeferredResizes(self._accept_again)
        self._gone: set[str] = set()
        self._busy: dict[str | MirrorKey, asyncio.Task[None]] = {}
        self._again: set[str | MirrorKey] = set()

    async def start(self) -> None:
        """Returns when the pods of this node are known and all that is left of others goes."""
        await self._informers.wait_synced()
        known = {pod["metadata"]["uid"] for pod in self._pods.list()}
        for record in Ledger(self._home).pods():
            if record.origin == API and record.uid not in known:
                await asyncio.to_thread(self._remove_locally, record.uid, 0)
        self._pods.add_handler(self._pod_event)

    async def close(self) -> None:
        """Stops reporting; pods run on."""
        await self._deferred.close()
        for task in self._busy.values():
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)
        await self._informers.close()
        await self._watches.close()
        await self._recorder.close()

    # -- the node under pressure ----------------------------------------------------------------

    def evict(self, uid: str, message: str, grace: int) -> bool:
        """Ends a pod for good within ``grace`` seconds; False where it is gone already. Blocks."""
        ledger = Ledger(self._home)
        with hold_pod(self._home, uid) as lock:
            record = ledger.pod(uid) if lock is not None else None
            if record is None:
                return False
            if record.stage == REMOVING or record.reason:
                return False
            record.reason, record.message, record.disrupted = (
                local_storage_limits.REASON,
                message,
                True,
            )
            record.stop = PodStop(since=boottime(), boot=boot_id(), grace=grace * SECOND)
            ledger.save_pod(record)
        self.event(record, local_storage_limits.REASON, message, "", warning=True)
        agent_control.notify(self._home, uid)
        return True

    def node_event(self, reason: str, message: str, *, warning: bool) -> None:
        """Something has happened to the node. The kubelet refers to it by name in place of a
        uid.
        """
        name = self.node.name
        reference = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": name}}
        self._recorder.event(reference, "Warning" if warning else "Normal", reason, message)

    async def _refuse(self, pod: Mapping[str, Any], refused: Refusal) -> None:
        """A pod that may not start here has failed."""
        meta = pod["metadata"]
        self._recorder.event(
            {"apiVersion": "v1", "kind": "Pod", **pod}, "Warning", refused.reason, refused.message
        )
        status = {
            "phase": "Failed",
            "reason": refused.reason,
            "message": f"Pod was rejected: {refused.message}",
        }
        patch = {"metadata": {"uid": meta["uid"]}, "status": status}
        await self._client.patch_status(
            PODS, meta["name"], patch, meta["namespace"], kind="strategic"
        )

    # -- from workers ---------------------------------------------------------------------------

    def objects(self, record: PodRecord) -> PodObjects:
        """See ClusterView."""
        if record.uid not in self._objects:
            pod = msgspec.json.decode(record.pod, type=Pod)
            account = pod.spec.service_account_name or "default"
            self._objects[record.uid] = PodObjects(self._watches, record, account, self.node.name)
        return self._objects[record.uid]

    def service_variables(self, namespace: str, *, links: bool) -> Mapping[str, str]:
        """See ClusterView."""
        master = self._services.get("default", "kubernetes")
        services = [master] if master is not None else []
        if links:
            own = self._services.list(namespace)
            services += [service for service in own if service is not master]
        return variables(services)

    def event(
        self, record: PodRecord, reason: str, message: str, field_path: str, *, warning: bool
    ) -> None:
        """See ClusterView."""
        reference = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": record.name,
                "namespace": record.namespace,
                "uid": record.uid,
            },
        }
        kind = "Warning" if warning else "Normal"
        self._loop.call_soon_threadsafe(
            lambda: self._recorder.event(reference, kind, reason, message, field_path=field_path)
        )

    def pod_changed(self, pod: Pod, observed: ObservedPod) -> None:
        """See ClusterView."""
        shown = status.with_status(pod, observed, self.node.name, self.node.address)
        document = pod_status.status_document(shown, self.node.address)
        self._loop.call_soon_threadsafe(self._put_observed, observed.pod, document)

    def is_going(self, record: PodRecord) -> bool:
        """See ClusterView."""
        if record.uid not in self._by_uid:
            return False
        pod = self._live(record.uid)
        return pod is None or bool(pod["metadata"].get("deletionTimestamp"))

    def pod_removed(self, record: PodRecord) -> None:
        """See ClusterView."""
        self._loop.call_soon_threadsafe(self._put_gone, record)

    # -- the event loop's side ------------------------------------------------------------------

    def _put_observed(self, record: PodRecord, document: dict[str, Any]) -> None:
        before = self._allocated.get(record.uid)
        allocated = self._allocated[record.uid] = pod_status.allocated(document)
        if before is not None and allocated != before:
            self._deferred.room_may_have_come()
        if record.origin == API:
            self._observed[record.uid] = document
            self._work_on(record.uid)
        else:
            self._mirrors.put(record, document)
            self._work_on(self._mirrors.key(record))

    def _put_gone(self, record: PodRecord) -> None:
        self._allocated.pop(record.uid, None)
        self._deferred.put(record.uid, None)
        self._deferred.room_may_have_come()
        if record.origin == API:
            self._gone.add(record.uid)
            self._objects.pop(record.uid, None)
            self._work_on(record.uid)
        else:
            self._mirrors.drop(record)
            self._work_on(self._mirrors.key(record))

    def _pod_event(self, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        pod = new if new is not None else old
        assert pod is not None
        meta = pod["metadata"]
        name = meta["namespace"], meta["name"]
        if is_mirror(pod):
            self._work_on(name)
        else:
            self._by_uid[meta["uid"]] = name
            self._work_on(meta["uid"])

    def _notify(self, uid: str) -> None:
        agent_control.notify(self._home, uid)

    def _work_on(self, key: str | MirrorKey) -> None:
        """One task per pod, or mirror, at a time; what happens meanwhile makes it go round once
        more.
        """
        if key in self._busy:
            self._again.add(key)
            return
        task = self._loop.create_task(self._work(key))
        self._busy[key] = task
        task.add_done_callback(lambda _: self._done(key))

    def _done(self, key: str | MirrorKey) -> None:
        del self._busy[key]
        if key in self._again:
            self._again.discard(key)
            self._work_on(key)

    async def _work(self, key: str | MirrorKey) -> None:
        while True:
            try:
                await (self._sync(key) if isinstance(key, str) else self._mirrors.sync(key))
            except NotFound:
                return
            except (ClientError, OSError, TimeoutError) as error:
                _log.warning("pod %s: %s", self._shown(key), error)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:  # noqa: BLE001  # one broken pod must not stop the others; it is retried
                _log.exception("pod %s", self._shown(key))
                await asyncio.sleep(RETRY_SECONDS * 10)
            else:
                return

    def _shown(self, key: str | MirrorKey) -> str:
        name = self._by_uid.get(key) if isinstance(key, str) else key
        return "/".join(name) if name is not None else str(key)

    async def _sync(self, uid: str) -> None:
        """Brings this node, the API's object and what was observed of a pod together."""
        pod = self._live(uid)
        if pod is None:
            await asyncio.to_thread(self._remove_locally, uid, 0)
            await self._forget(uid)
            return
        if uid in self._gone or self._is_over_unseen(pod):
            await self._finish(pod)
            return
        if pod["metadata"].get("deletionTimestamp"):
            grace = int(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
            if not await asyncio.to_thread(self._remove_locally, uid, grace):
                await self._finish(pod)
                return
        elif pod_updates.is_changed(self._accepted.get(uid), pod) and not _is_terminal(pod):
            if refused := await asyncio.to_thread(self._accept, pod):
                await self._refuse(pod, refused)
                return
            self._accepted[uid] = pod
        await self._report(pod)

    async def _accept_again(self, uid: str) -> None:
        """Looks once more whether there is room for a pod."""
        self._accepted.pop(uid, None)
        self._work_on(uid)
        await asyncio.wait((self._busy[uid],))

    def _live(self, uid: str) -> Mapping[str, Any] | None:
        namespace, name = self._by_uid.get(uid, ("", ""))
        pod = self._pods.get(namespace, name) if name else None
        return pod if pod is not None and pod["metadata"]["uid"] == uid else None

    def _is_over_unseen(self, pod: Mapping[str, Any]) -> bool:
        """A deleted pod that had ended before and of which this node has no record."""
        return (
            bool(pod["metadata"].get("deletionTimestamp"))
            and _is_terminal(pod)
            and Ledger(self._home).pod(pod["metadata"]["uid"]) is None
        )

    async def _report(self, pod: Mapping[str, Any]) -> None:
        document = self._observed.get(pod["metadata"]["uid"])
        if document is None or (
            _is_terminal(pod) and document.get("phase") not in (pod_status.TERMINAL)
        ):
            return
        patch = pod_status.patch(pod_status.merged(document, pod), pod)
        if patch is None:
            return
        meta = pod["metadata"]
        try:
            written = await self._client.patch_status(
                PODS, meta["name"], patch, meta["namespace"], kind="strategic"
            )
        except Conflict:
            return  # the uid is another pod's by now; the watch tells
        await self._pods.at_least(written)

    async def _finish(self, pod: Mapping[str, Any]) -> None:
        """Nothing of the pod is left here: the API's object goes, after its last status."""
        meta = pod["metadata"]
        if not meta.get("deletionTimestamp"):
            return
        await self._report(pod)
        try:
            await self._client.delete(
                PODS, meta["name"], meta["namespace"], grace_seconds=0, uid=meta["uid"]
            )
        except (NotFound, Conflict):
            pass  # somebody else was faster
        await self._forget(meta["uid"])

    async def _forget(self, uid: str) -> None:
        self._observed.pop(uid, None)
        self._accepted.pop(uid, None)
        self._gone.discard(uid)
        self._by_uid.pop(uid, None)
        await self._watches.forget(uid)

    # -- in threads -----------------------------------------------------------------------------

    def _accept(self, document: Mapping[str, Any]) -> Refusal | None:
        """Records a new pod, or how one has changed, and leaves it to the agent; or says why it may
        not start here.
        """
        meta = document["metadata"]
        ledger = Ledger(self._home)
        plain = {key: value for key, value in document.items() if key != "status"}
        pod = codec.decode(Pod, plain)
        if (recorded := ledger.pod(meta["uid"])) is not None:
            self._update(recorded, pod)
            return None
        others, room = list(self._others(ledger)), machine.allocatable(self._home)
        if refused := admitting.refusal(pod, others, self.pressures, room):
            return refused
        claim = pod_names.claim(
            self._home, ledger, pod, uid=meta["uid"], origin=API, cni=self.node.cni
        )
        if claim.lock is None:
            other = claim.record
            if other.uid != meta["uid"]:
                raise TimeoutError(
                    f"the name {other.namespace}/{other.name} is still taken by pod {other.uid}"
                )
        else:
            claim.lock.release()
        agent_control.notify(self._home, meta["uid"])
        return None

    def _update(self, recorded: PodRecord, pod: Pod) -> None:
        """One pod at a time, so that no two get the same room."""
        uid = recorded.uid
        with self._allocating:
            others = self._others(Ledger(self._home), uid)
            neighbours = pod_updates.Neighbours(others, machine.allocatable(self._home))
            position = pod_updates.record(self._home, uid, pod, self, neighbours)
        self._loop.call_soon_threadsafe(self._deferred.put, uid, position)
        agent_control.notify(self._home, uid)

    def _others(self, ledger: Ledger, uid: str = "") -> Iterator[Pod]:
        """The pods of this node that have not ended, but for the one with ``uid``. Those that were
        deleted by force are not waited for.
        """
        for record in ledger.pods():
            if record.uid == uid or (record.origin == API and self._live(record.uid) is None):
                continue
            phase = self._observed.get(record.uid, {}).get("phase")
            if phase not in pod_status.TERMINAL:
                yield msgspec.json.decode(record.pod, type=Pod)

    def _remove_locally(self, uid: str, grace: int) -> bool:
        """Starts the removal of a pod with ``grace`` seconds; False when there is none."""
        if not request_removal(self._home, uid, grace):
            return False
        agent_control.notify(self._home, uid)
        return True


def _is_terminal(pod: Mapping[str, Any]) -> bool:
    return (pod.get("status") or {}).get("phase") in pod_status.TERMINAL
