"""Volumes that are provisioned: on which node, how large, for whom; and whatever is killed when, no
volume has two claims, no claim two volumes, and no data goes that somebody wants.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.client.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from kubelite.control.controllers.actions import Confirm, Emit
from kubelite.control.controllers.storage import binder, protection, provisioner
from kubelite.node.kubelet.cluster.local_volumes import next_step
from kubelite.objects.facts.local_volumes import (
    CLAIMED_PROVISIONER,
    DIRECTORY,
    FINALIZER,
    HOSTNAME,
    PROVISIONER,
    SELECTED_NODE,
    node_affinity,
)
from tests.control.controllers.plain import NOW, World
from tests.control.controllers.test_controllers_volumes import claim, storage_class, volume

HERE = "/root/volumes"


def node(name: str = "n1", *, directory: str = HERE, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {HOSTNAME: name, "zone": name[-1]},
            "annotations": {DIRECTORY: directory} if directory else {},
        },
        "spec": spec,
    }


def local_class(name: str = "fast", mode: str = "Immediate", policy: str = "Delete", **more: Any):
    return storage_class(name, PROVISIONER, mode) | {"reclaimPolicy": policy, **more}


def asking(name: str = "c", annotations: Any = (), **spec: Any) -> dict[str, Any]:
    """A claim for which the binder has asked the provisioner."""
    asked = {CLAIMED_PROVISIONER: PROVISIONER, **dict(annotations)}
    return claim(name, annotations=asked, **{"storageClassName": "fast", **spec})


def provision(*objects: Any) -> World:
    world = World(*objects)
    world.run(provisioner.plan(world.view, ("default", "c"), NOW))
    return world


def test_the_volume_is_a_directory_of_the_chosen_node() -> None:
    chosen = asking(annotations={SELECTED_NODE: "n2"}, size="5Gi", modes=["ReadWriteOncePod"])
    where = local_class(mode="WaitForFirstConsumer", policy="Retain")
    world = provision(chosen, where, node("n1"), node("n2"))
    made = world.get("PersistentVolume", "pvc-uid-c")
    assert made["spec"]["local"] == {"path": "/root/volumes/pvc-uid-c"}
    assert made["spec"]["nodeAffinity"] == node_affinity("n2")
    assert made["spec"]["claimRef"]["uid"] == "uid-c"
    assert made["spec"]["capacity"] == {"storage": "5Gi"}
    assert made["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert made["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert made["metadata"]["finalizers"] == [FINALIZER]
    assert [event.reason for event in world.events] == ["ProvisioningSucceeded"]


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([node("n2"), node("n1")], "n1"),
        ([node("n1", unschedulable=True), node("n2")], "n2"),
        ([node("n1", directory=""), node("n2")], "n2"),
        ([node("n1"), node("n2"),
          local_class(allowedTopologies=[{"matchLabelExpressions": [{"key": "zone",
                                                                     "values": ["2"]}]}])], "n2"),
    ],
)  # fmt: skip
def test_an_immediate_volume_goes_to_a_node_that_may_have_it(others, chosen) -> None:
    world = provision(asking(), local_class(), *others)
    assert world.get("PersistentVolume", "pvc-uid-c")["spec"]["nodeAffinity"] == node_affinity(
        chosen
    )


def test_volumes_are_spread() -> None:
    world = provision(asking(), local_class(), node("n2"), node("n1"))
    world.put(asking("d"))
    world.run(provisioner.plan(world.view, ("default", "d"), NOW))
    places = [pv["spec"]["nodeAffinity"] for pv in world.all("PersistentVolume")]
    assert places == [node_affinity("n1"), node_affinity("n2")]


@pytest.mark.parametrize(
    ("change", "found", "text"),
    [
        ({"selector": {"matchLabels": {"a": "b"}}}, local_class(),
         "claim Selector is not supported"),
        ({"volumeMode": "Block"}, local_class(), "volumeMode Block is not supported"),
        ({"dataSource": {"kind": "VolumeSnapshot", "name": "s"}}, local_class(),
         "makes empty volumes"),
        ({}, local_class(parameters={"type": "ssd"}), "takes no parameters"),
        ({}, local_class(allowedTopologies=[{"matchLabelExpressions": [{"key": "zone",
                                                                        "values": ["9"]}]}]),
         "no node keeps volumes"),
    ],
)  # fmt: skip
def test_what_cannot_be_provisioned_is_said(change, found, text) -> None:
    world = provision(asking(**change), found, node())
    assert world.all("PersistentVolume") == []
    assert [event.reason for event in world.events] == ["ProvisioningFailed"]
    assert text in world.events[0].message


def test_a_node_that_keeps_no_volumes_is_given_back_to_the_scheduler() -> None:
    chosen = asking(annotations={SELECTED_NODE: "n1"})
    world = provision(chosen, local_class(mode="WaitForFirstConsumer"), node(directory=""))
    assert SELECTED_NODE not in world.get("PersistentVolumeClaim", "c")["metadata"]["annotations"]
    assert world.all("PersistentVolume") == []


def test_a_claim_grows_with_its_volume() -> None:
    world = World(claim(storageClassName="fast"), local_class(), node())
    keys = [binder.claim_key("default", "c"), binder.volume_key("pvc-uid-c")]
    for _ in range(9):
        world.run(binder.plan(world.view, keys[0], NOW))
        world.run(provisioner.plan(world.view, ("default", "c"), NOW))
    assert world.get("PersistentVolumeClaim", "c")["status"]["phase"] == "Bound"
    assert not provisioner.plan(world.view, ("default", "c"), NOW).steps
    larger = deepcopy(world.get("PersistentVolumeClaim", "c"))
    larger["spec"]["resources"]["requests"]["storage"] = "2Gi"
    world.put(larger)
    assert world.converge(provisioner.plan, ("default", "c")) == 2
    assert world.get("PersistentVolume", "pvc-uid-c")["spec"]["capacity"] == {"storage": "2Gi"}
    assert world.get("PersistentVolumeClaim", "c")["status"]["capacity"] == {"storage": "2Gi"}


# -- a model ---------------------------------------------------------------------------------------

CLASSES = (
    local_class("now"),
    local_class("later", "WaitForFirstConsumer"),
    local_class("kept", policy="Retain"),
)


def is_kept(pv: Any) -> bool:
    return bool(pv["spec"]["persistentVolumeReclaimPolicy"] == "Retain")


class Killed(BaseException):
    """The process that carried out a plan has died."""


class Storage:
    """Controllers, scheduler and node over plain objects, each of which may die before any write;
    after every write it is checked what must always hold.
    """

    def __init__(self) -> None:
        self.lives = self.left = -1
        self.world = World(*CLASSES, node("n1"), node("n2"), refuse=self._before_write)
        self.data: dict[str, str] = {}
        """The uid of the claim whose data a directory holds, by the name of the volume."""
        self.holders: dict[str, str] = {}
        self.unwanted: set[str] = set()
        """The volumes that a user has deleted."""
        self.claims = 0

    def _before_write(self, action: Any) -> None:
        if not isinstance(action, Emit | Confirm):
            self.write()

    def write(self) -> None:
        """One more write is about to happen, unless this is the moment to die."""
        self.check()
        if self.lives == 0:
            raise Killed
        self.lives -= 1

    def check(self) -> None:
        """What holds at any moment."""
        bound: dict[str, str] = {}
        live = {pvc["metadata"]["uid"]: pvc for pvc in self.world.all("PersistentVolumeClaim")}
        for uid, pvc in live.items():
            name = pvc["spec"].get("volumeName")
            if name:
                assert name not in bound, "one volume, two claims"
                bound[name] = uid
        for pv in self.world.all("PersistentVolume"):
            name, holder = pv["metadata"]["name"], (pv["spec"].get("claimRef") or {}).get("uid")
            before = self.holders.get(name)
            assert before in (None, holder) or before not in live, "a volume changed hands"
            self.holders[name] = holder
            if pv["metadata"].get("deletionTimestamp") and name not in self.unwanted:
                assert holder not in live, "a volume was deleted under its claim"
        for name, uid in self.data.items():
            assert bound.get(name, uid) == uid, "a claim found another's data"

    # What users do

    def create(self, kind: str, size: int) -> None:
        self.claims += 1
        name = f"c{self.claims}"
        self.world.put(claim(name, f"{size}Gi", storageClassName=kind))

    def create_volume(self, size: int) -> None:
        self.claims += 1
        self.world.put(volume(f"v{self.claims}", f"{size}Gi", storageClassName="manual"))

    def delete(self, at: int) -> None:
        found = self.world.all("PersistentVolumeClaim")
        if found:
            pvc = found[at % len(found)]
            self.world._delete(PERSISTENT_VOLUME_CLAIMS, deepcopy(pvc))

    def delete_volume(self, at: int) -> None:
        """A volume that is just being bound is left alone: as in Kubernetes its claim would wait
        for it.
        """
        named = {pvc["spec"].get("volumeName") for pvc in self.world.all("PersistentVolumeClaim")}
        found = [
            pv
            for pv in self.world.all("PersistentVolume")
            if pv["metadata"]["name"] in named or not pv["spec"].get("claimRef")
        ]
        if found:
            pv = found[at % len(found)]
            self.unwanted.add(pv["metadata"]["name"])
            self.world._delete(PERSISTENT_VOLUMES, deepcopy(pv))

    # What the parts of a cluster do

    def work(self, lives: int) -> int:
        """Everybody works once, up to the first that dies; returns how many writes are left."""
        for part, key in self.parts():
            if isinstance(key, dict) and key not in self.world._objects.values():
                continue
            if not self.step(part, key, lives):
                return 0
            lives = self.left
        return lives

    def parts(self) -> list[Any]:
        claims = self.world.all("PersistentVolumeClaim")
        volumes = self.world.all("PersistentVolume")
        own = [(obj["metadata"].get("namespace") or "", obj["metadata"]["name"]) for obj in claims]
        return [
            *((binder.plan, binder.claim_key(*key)) for key in own),
            *((binder.plan, binder.volume_key(obj["metadata"]["name"])) for obj in volumes),
            *((provisioner.plan, key) for key in own),
            *((protection.plan_claim, key) for key in own),
            *((protection.plan_volume, ("", obj["metadata"]["name"])) for obj in volumes),
            *((self._schedule, obj) for obj in claims),
            *((self._mount, obj) for obj in claims),
            *((self._reclaim, obj) for obj in volumes),
        ]

    def step(self, part: Any, key: Any, lives: int) -> bool:
        """One plan, of which ``lives`` writes are carried out, -1 for all; False if it died."""
        self.lives = lives
        is_alive = True
        try:
            if part in (self._schedule, self._mount, self._reclaim):
                part(key)
            else:
                self.world.run(part(self.world.view, key, NOW))
        except Killed:
            is_alive = False
        self.left, self.lives = self.lives, -1
        self.check()
        return is_alive

    def _schedule(self, pvc: Any) -> None:
        """A pod comes for a claim that waits for one."""
        annotations = pvc["metadata"]["annotations"]
        if pvc["spec"]["storageClassName"] == "later" and SELECTED_NODE not in annotations:
            self.write()
            changed = deepcopy(pvc)
            changed["metadata"]["annotations"][SELECTED_NODE] = "n2"
            self.world._store(PERSISTENT_VOLUME_CLAIMS, changed)

    def _mount(self, pvc: Any) -> None:
        """The pod of a bound claim writes; without the directory there would be nothing to find."""
        name = pvc["spec"].get("volumeName") or ""
        if pvc["status"]["phase"] == "Bound" and name.startswith("pvc-"):
            self.write()
            self.data.setdefault(name, pvc["metadata"]["uid"])

    def _reclaim(self, pv: Any) -> None:
        """The node, as its decision says, one write after the other."""
        on = "n1" if pv["spec"].get("nodeAffinity") == node_affinity("n1") else "n2"
        step = next_step(pv, on, HERE)
        name = pv["metadata"]["name"]
        if step == "delete":
            self.write()
            self.world._delete(PERSISTENT_VOLUMES, deepcopy(pv))
        if step == "remove":
            self.write()
            uid = self.data.pop(name, None)
            assert uid not in [
                c["metadata"]["uid"] for c in self.world.all("PersistentVolumeClaim")
            ]
            assert not is_kept(pv), "kept data was removed"
        if step in ("remove", "release"):
            self.write()
            released = deepcopy(pv)
            released["metadata"]["finalizers"].remove(FINALIZER)
            self.world._store(PERSISTENT_VOLUMES, released)

    def rest(self) -> None:
        """Everything works undisturbed until nobody has anything to do."""
        for _ in range(200):
            before = len(self.world.actions), deepcopy(self.data)
            versions = self._versions()
            self.work(-1)
            if self._versions() == versions and before[1] == self.data:
                return
        raise AssertionError(f"no rest: {self.world.actions[-5:]}")

    def check_rest(self) -> None:
        """What holds when nobody has anything to do."""
        claims = self.world.all("PersistentVolumeClaim")
        volumes = {pv["metadata"]["name"]: pv for pv in self.world.all("PersistentVolume")}
        live = {pvc["metadata"]["uid"] for pvc in claims}
        for pvc in claims:
            own, name = f"pvc-{pvc['metadata']['uid']}", pvc["spec"].get("volumeName")
            if pvc["spec"]["storageClassName"] != "manual":
                assert name == own
            if name:
                assert pvc["status"]["phase"] == volumes[name]["status"]["phase"] == "Bound"
                assert volumes[name]["spec"]["claimRef"]["uid"] == pvc["metadata"]["uid"]
        for name, uid in self.data.items():
            assert uid in live or name not in volumes or is_kept(volumes[name]), "data is left"
        for name, pv in volumes.items():
            if name.startswith("pvc-") and pv["spec"]["claimRef"]["uid"] not in live:
                assert is_kept(pv)
                assert pv["status"]["phase"] == "Released"

    def _versions(self) -> list[str]:
        return [obj["metadata"].get("resourceVersion", "") for obj in self.world._objects.values()]


PARTS = st.one_of(
    st.tuples(st.integers(0, 1000), st.integers(-1, 3)),
    st.tuples(st.just("work"), st.integers(-1, 20)),
)
USERS = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(["now", "later", "kept", "manual"]),
              st.integers(1, 3)),
    st.tuples(st.just("create_volume"), st.integers(1, 3)),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("delete_volume"), st.integers(0, 9)),
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.one_of(USERS, PARTS, PARTS, PARTS, PARTS), max_size=80))
def test_whoever_is_killed_when_volumes_and_claims_stay_true(events) -> None:
    storage = Storage()
    for event in events:
        if isinstance(event[0], str):
            getattr(storage, event[0])(*event[1:])
        elif parts := storage.parts():
            storage.step(*parts[event[0] % len(parts)], event[1])
    storage.rest()
    storage.check_rest()


def test_every_step_may_be_the_last() -> None:
    """The life of three claims, killed before each of its writes in turn."""
    for moment in range(200):
        storage = Storage()
        left = moment
        for users in (
            (("create", "now", 1), ("create", "later", 1), ("create", "kept", 2)),
            (("delete", 0), ("delete", 1), ("delete", 2)),
        ):
            for name, *words in users:
                getattr(storage, name)(*words)
            for _ in range(12):
                if left:
                    left = storage.work(left)
        died = left == 0
        storage.rest()
        storage.check_rest()
        if not died:
            assert moment > 30, "the life of three claims takes more writes than that"
            return
    raise AssertionError("it never ended")
