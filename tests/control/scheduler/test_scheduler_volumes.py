"""Where volumes can be: bound, waiting, zoned, limited, and used by one pod at a time."""

from kubelite.control.scheduler import explain, simulate
from tests.control.scheduler.small import fits, node, pod, reasons, zone

ZONE = "topology.kubernetes.io/zone"


def claim(name, volume=None, kind="slow", size="1Gi", modes=("ReadWriteOnce",)):
    spec = {
        "storageClassName": kind,
        "accessModes": list(modes),
        "resources": {"requests": {"storage": size}},
    }
    if volume:
        spec["volumeName"] = volume
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def volume(name, on=None, kind="slow", size="1Gi", labels=None, driver=None, owner=None):
    spec = {
        "storageClassName": kind,
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": size},
    }
    if on:
        expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [on]}
        spec["nodeAffinity"] = {
            "required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
        }
    if driver:
        spec["csi"] = {"driver": driver, "volumeHandle": name}
    if owner:
        spec["claimRef"] = {"namespace": "default", "name": owner}
    return {
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": spec,
    }


def storage_class(
    name="slow", mode="WaitForFirstConsumer", provisioner="kubernetes.io/no-provisioner", **more
):
    return {
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": provisioner,
        "volumeBindingMode": mode,
        **more,
    }


def using(*claims, name="web", on=None):
    volumes = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims]
    return pod(name, on=on, volumes=volumes)


NODES = [node("a", labels=zone("z1")), node("b", labels=zone("z2"))]


def test_a_bound_claim_ties_the_pod_to_the_nodes_of_its_volume():
    found = explain([*NODES, volume("v", on="b"), claim("c", "v")], using("c"))
    assert fits(found) == ["b"]
    assert reasons(found, "a") == ["node(s) didn't match PersistentVolume's node affinity"]


def test_zone_labels_of_a_volume():
    found = explain(
        [*NODES, node("nowhere"), volume("v", labels={ZONE: "z1__z3"}), claim("c", "v")], using("c")
    )
    assert fits(found) == ["a", "nowhere"]
    assert reasons(found, "b") == ["node(s) had no available volume zone"]


def test_what_keeps_a_pod_from_every_node():
    said = (
        "0/2 nodes are available: {}. preemption: 0/2 nodes are available: "
        "2 Preemption is not helpful for scheduling."
    )
    assert explain(NODES, using("gone"))["message"] == said.format(
        'persistentvolumeclaim "gone" not found'
    )
    unbound = [*NODES, storage_class(mode="Immediate"), claim("c")]
    assert explain(unbound, using("c"))["message"] == said.format(
        "pod has unbound immediate PersistentVolumeClaims"
    )
    found = explain([*NODES, claim("c", "lost")], using("c"))
    assert reasons(found, "a") == [
        "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
    ]


def test_a_claim_that_waits_takes_the_smallest_volume_that_will_do():
    objects = [
        *NODES,
        storage_class(),
        claim("c", size="2Gi"),
        volume("small", on="a"),
        volume("large", on="b", size="5Gi"),
    ]
    found = explain(objects, using("c"))
    assert fits(found) == ["b"]
    assert reasons(found, "a") == ["node(s) didn't find available persistent volumes to bind"]


def test_a_volume_serves_one_claim():
    """The second pod finds the volume taken by the first."""
    objects = [*NODES, storage_class(), claim("c1"), claim("c2"), volume("v", on="b")]
    told = simulate(objects, [using("c1", name="p1"), using("c2", name="p2")])["pods"]
    assert [each["node"] for each in told] == ["b", None]
    assert "2 node(s) didn't find available persistent volumes to bind" in told[1]["message"]


def test_a_volume_of_an_earlier_claim_of_that_name_serves_nobody():
    """It is Released, or not yet, as its claim has just been deleted."""
    old, new = volume("v", owner="c"), claim("c")
    old["spec"]["claimRef"]["uid"] = "1"
    for uid, nodes in (("1", ["a", "b"]), ("2", [])):
        new["metadata"]["uid"] = uid
        assert fits(explain([*NODES, storage_class(), old, new], using("c"))) == nodes


def test_provisioning_where_the_class_allows_it():
    allowed = [{"matchLabelExpressions": [{"key": ZONE, "values": ["z2"]}]}]
    objects = [
        *NODES,
        storage_class(provisioner="csi.example.com", allowedTopologies=allowed),
        claim("c"),
    ]
    assert fits(explain(objects, using("c"))) == ["b"]


def test_provisioning_where_there_is_space():
    driver = {
        "kind": "CSIDriver",
        "metadata": {"name": "csi.example.com"},
        "spec": {"storageCapacity": True},
    }
    space = {"kind": "CSIStorageCapacity", "metadata": {"name": "s", "namespace": "x"},
             "storageClassName": "slow",
             "nodeTopology": {"matchLabels": {ZONE: "z1"}}, "capacity": "10Gi"}  # fmt: skip
    objects = [
        *NODES,
        driver,
        space,
        storage_class(provisioner="csi.example.com"),
        claim("c", size="5Gi"),
    ]
    found = explain(objects, using("c"))
    assert (fits(found), reasons(found, "b")) == (
        ["a"],
        ["node(s) did not have enough free storage"],
    )


def test_one_pod_at_a_time():
    objects = [
        *NODES,
        volume("v"),
        claim("c", "v", modes=("ReadWriteOncePod",)),
        using("c", name="first", on="a"),
    ]
    found = explain(objects, using("c"))
    assert fits(found) == []
    assert reasons(found, "b") == [
        (
            "node has pod using PersistentVolumeClaim with the same "
            "name and ReadWriteOncePod access mode"
        )
    ]


def test_how_many_volumes_a_node_attaches():
    """Two at most; one that is there already costs nothing."""
    limits = {
        "kind": "CSINode",
        "metadata": {"name": "a"},
        "spec": {"drivers": [{"name": "csi.example.com", "allocatable": {"count": 2}}]},
    }
    stored = [
        each
        for n in range(4)
        for each in (volume(f"v{n}", driver="csi.example.com"), claim(f"c{n}", f"v{n}"))
    ]
    running = [using("c0", name="p0", on="a"), using("c1", name="p1", on="a")]
    found = explain([NODES[0], limits, *stored, *running], using("c2"))
    assert reasons(found, "a") == ["node(s) exceed max volume count"]
    assert fits(explain([NODES[0], limits, *stored, *running], using("c0", "c1"))) == ["a"]
    told = simulate(
        [NODES[0], limits, *stored], [using(f"c{n}", name=f"p{n}") for n in (0, 0, 1, 2)]
    )
    assert (told["scheduled"], told["pending"]) == (2, 1)


def test_old_disks_are_written_by_one():
    def disk(name, read_only, on=None):
        return pod(
            name,
            on=on,
            volumes=[{"name": "d", "gcePersistentDisk": {"pdName": "x", "readOnly": read_only}}],
        )

    assert reasons(explain([node("a"), disk("p", False, "a")], disk("q", True)), "a") == [
        "node(s) had no available disk"
    ]
    assert fits(explain([node("a"), disk("p", True, "a")], disk("q", True))) == ["a"]


def test_a_volume_of_its_own_waits_for_its_claim():
    fresh = pod(volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}])
    said = (
        'waiting for ephemeral volume controller to create the persistentvolumeclaim "web-scratch"'
    )
    assert said in explain(NODES, fresh)["message"]
    assert fits(explain([*NODES, volume("v"), claim("web-scratch", "v")], fresh)) == ["a", "b"]
