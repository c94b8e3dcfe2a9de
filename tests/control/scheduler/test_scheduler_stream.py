"""Streams of changes: what is kept up to date equals what is made from scratch, and placing never
breaks a rule.
"""

import copy
import datetime

from hypothesis import given
from hypothesis import strategies as st

from kubelite.control.scheduler.cluster import batch
from kubelite.control.scheduler.cluster.cluster import Cluster
from kubelite.control.scheduler.cluster.preemption import fast_preempt, preempt
from kubelite.control.scheduler.cluster.rating import decide
from kubelite.control.scheduler.explain import as_data
from tests.control.scheduler import reference, small, worlds


class Both:
    """A cluster under change, and the objects that it should be equal to."""

    def __init__(self, objects, seed=None):
        self.cluster = Cluster(seed=seed)
        self.objects = {}
        for each in objects:
            self.put(each)

    def put(self, obj):
        self.objects[self.name(obj)] = obj
        self.cluster.put(obj["kind"], obj)

    def drop(self, obj):
        del self.objects[self.name(obj)]
        self.cluster.drop(obj["kind"], obj)

    def run(self, pod, node):
        running = copy.deepcopy(pod)
        running["spec"]["nodeName"] = node
        self.objects[self.name(running)] = running

    def start(self, pod, node, seconds):
        """The kubelet reports that a pod which was placed here has started."""
        running = copy.deepcopy(started(pod, seconds))
        running["spec"]["nodeName"] = node
        self.put(running)

    @staticmethod
    def name(obj):
        return obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"]

    def of(self, kind):
        return [each for each in self.objects.values() if each["kind"] == kind]


def said(cluster, pod):
    decision = decide(cluster, pod)
    return as_data(decision, preempt(cluster, pod, decision), "")


def fresh(objects):
    made = Cluster()
    for each in objects:
        made.put(each["kind"], each)
    return made


def started(obj, seconds):
    """A pod that has started at a time of its own; other objects as they are."""
    if obj["kind"] != "Pod":
        return obj
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=seconds)
    return {**obj, "status": {**obj["status"], "startTime": start.strftime("%Y-%m-%dT%H:%M:%SZ")}}


step = st.sampled_from(
    (
        "place",
        "place",
        "place",
        "delete",
        "node",
        "amounts",
        "add node",
        "drop node",
        "assume",
        "forget",
        "label",
    )
)


@given(worlds.cluster(5, 4), st.lists(st.tuples(step, st.integers(0, 9)), max_size=12), st.data())
def test_incremental_equals_rebuilt(objects, steps, data):
    # Which of two equal victims goes is decided by their slots, which are not the same afterwards.
    both = Both([started(obj, number) for number, obj in enumerate(objects)])
    probes = [data.draw(worlds.pod(f"probe{i}"), label="probe") for i in range(2)]
    for number, (what, pick) in enumerate(steps):
        nodes, pods = both.of("Node"), both.of("Pod")
        if what == "place":
            pod = data.draw(worlds.pod(f"s{number}"), label="pod")
            (node,) = batch.place(both.cluster, [pod])
            if node:
                both.start(pod, node, 100 + number)
        elif what == "assume" and nodes:
            pod = data.draw(worlds.pod(f"a{number}"), label="assumed")
            node = nodes[pick % len(nodes)]["metadata"]["name"]
            both.cluster.assume(pod, node)
            both.start(pod, node, 200 + number)
        elif what == "label" and pods:
            old = pods[pick % len(pods)]
            more = (
                {"zone-of-node": "z1"} if pick % 2 else data.draw(worlds.pod_labels, label="labels")
            )
            labels = {**(old["metadata"].get("labels") or {}), **more}
            both.put({**old, "metadata": {**old["metadata"], "labels": labels}})
        elif what in ("delete", "forget") and pods:
            gone = pods[pick % len(pods)]
            both.objects.pop(both.name(gone))
            both.cluster.forget(gone) if what == "forget" else both.cluster.drop("Pod", gone)
        elif what in ("node", "amounts") and nodes:
            old = nodes[pick % len(nodes)]
            new = data.draw(worlds.node(int(old["metadata"]["name"][1:])), label="node")
            both.put(
                new
                if what == "node"
                else {
                    **old,
                    "status": {**old["status"], "allocatable": new["status"]["allocatable"]},
                }
            )
        elif what == "add node":
            both.put(data.draw(worlds.node(50 + number), label="node"))
        elif what == "drop node" and nodes:
            both.drop(nodes[pick % len(nodes)])
        for probe in probes[: 1 + number % 2]:
            assert said(both.cluster, probe) == said(fresh(both.objects.values()), probe)


def test_labels_that_nobody_asks_for_change_nothing():
    """Every binding adds those of its node: they must not cost what a new pod does."""
    waiting = small.pod("web", cpu="1", labels={"app": "web"})
    cluster = fresh([small.node("n1")])
    assert batch.place(cluster, [waiting]) == ["n1"]
    labels = {"app": "web", "topology.kubernetes.io/zone": "z1"}
    before = cluster.changes
    cluster.put("Pod", small.pod("web", cpu="1", labels=labels, on="n1"))
    assert cluster.changes == before
    cluster.put("Pod", small.pod("web", cpu="2", labels=labels, on="n1"))
    assert cluster.changes > before


def named(pod, name):
    return {**pod, "metadata": {**pod["metadata"], "name": name}}


templates = st.lists(worlds.pod("x"), min_size=1, max_size=3)
picks = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=2, max_size=10)


@given(worlds.cluster(6, 3), templates, picks, st.sampled_from((None, 7)))
def test_placing_a_stream(objects, kinds, order, seed):
    """The fast way chooses among what the reference calls best, pod after pod, while others
    leave.
    """
    both = Both(objects, seed)
    for number, (kind, leaving) in enumerate(order):
        pod = named(kinds[kind % len(kinds)], f"s{number}")
        want = reference.explain(list(both.objects.values()), pod)
        (node,) = batch.place(both.cluster, [pod])
        assert node in want["acceptable"] if want["acceptable"] else node is None
        if node:
            both.run(pod, node)
        running = both.of("Pod")
        if leaving == 3 and running:
            both.drop(running[number % len(running)])


@given(st.randoms(use_true_random=False), templates, st.integers(60, 150))
def test_the_fast_way_is_the_full_way(random, kinds, count):
    """On clusters of several blocks of nodes, where order, groups and cells matter: the very same
    node.
    """
    cluster = Cluster()
    for number in range(count):
        cluster.put("Node", big_node(number, random))
    running = []
    for number in range(40):
        pod = named(random.choice(kinds), f"s{number}")
        want = decide(cluster, pod).node
        (node,) = batch.place(cluster, [pod])
        assert node == want
        if node:
            running.append(pod)
        if running and random.random() < 0.2:
            cluster.forget(running.pop(random.randrange(len(running))))


def big_node(number, random):
    labels = {
        worlds.HOST: f"n{number}",
        worlds.ZONE: f"z{number % 4}",
        worlds.RACK: f"r{number % 17}",
    }
    taints = (
        [{"key": "a", "value": "x", "effect": "PreferNoSchedule"}] if random.random() < 0.3 else []
    )
    room = {"cpu": random.choice(("2", "4")), "memory": "8Gi", "pods": "9", "example.com/gpu": "2"}
    return {
        "kind": "Node",
        "metadata": {"name": f"n{number}", "labels": labels},
        "spec": {"taints": taints},
        "status": {"allocatable": room},
    }


@given(worlds.cluster(6, 4), st.lists(worlds.pod("x"), min_size=3, max_size=10))
def test_nothing_is_promised_twice(objects, pods):
    """After any stream no node that was in order before has too many pods, too little of anything,
    or a port twice.
    """
    both = Both([each for each in objects if each["kind"] != "Pod"])
    for number, pod in enumerate(pods):
        pod["metadata"]["name"] = f"s{number}"
    todo = list(pods)
    while todo:
        chosen = batch.place(both.cluster, todo)
        for pod, node in zip(todo, chosen, strict=False):
            if node:
                both.run(pod, node)
        todo = todo[len(chosen) :]
    state = reference.Cluster(list(both.objects.values()))
    for node in state.nodes:
        room, taken = reference.allocatable(node), reference.used(state, node)
        assert len(state.on(node)) <= room["pods"]
        assert all(amount <= room.get(name, 0) for name, amount in taken.items() if amount)
        for pod in state.on(node):
            assert not reference.untolerated(pod, node)
            assert reference.wants_node(pod, node)
        ports = [port for pod in state.on(node) for port in set(reference.ports(pod))]
        assert (
            len({port[:2] for port in ports}) == len(ports) or len({port[2] for port in ports}) > 1
        )


@given(worlds.cluster(5, 6), worlds.pod("new"), st.data())
def test_order_of_nodes_only_breaks_ties(objects, pod, data):
    nodes = worlds.nodes_of(objects)
    others = [each for each in objects if each["kind"] != "Node"]
    turned = data.draw(st.permutations(nodes))
    one, two = said(fresh(nodes + others), pod), said(fresh(turned + others), pod)
    for key in ("nodes", "message", "skipped"):
        assert one[key] == two[key] or images_differ(nodes)
    if not images_differ(nodes):
        assert sorted(one["acceptable"]) == sorted(two["acceptable"])
        if one["preemption"]:
            assert sorted(one["preemption"]["acceptable"]) == sorted(
                two["preemption"]["acceptable"]
            )
            assert one["preemption"]["candidates"] == two["preemption"]["candidates"]


def images_differ(nodes):
    """Nodes that tell different sizes of one image: whose word counts is a matter of order."""
    told = {
        (name, image["sizeBytes"])
        for node in nodes
        for image in node["status"]["images"]
        for name in image["names"]
    }
    return len({name for name, _ in told}) != len(told)


@given(worlds.cluster(5, 6), worlds.pod("new"), worlds.node(77))
def test_a_node_more_never_hurts(objects, pod, node):
    hard = any(
        c["whenUnsatisfiable"] == "DoNotSchedule"
        for c in pod["spec"].get("topologySpreadConstraints") or []
    )
    before = said(fresh(objects), pod)
    after = said(fresh([*objects, node]), pod)
    assert hard or not before["acceptable"] or after["acceptable"]


@given(worlds.cluster(4, 10), worlds.pod("new", priority=10))
def test_preemption_evicts_the_least(objects, pod):
    """Nobody of the same or a higher priority, and nobody who could have stayed."""
    found = said(fresh(objects), pod)["preemption"]
    state = reference.Cluster(objects)
    for node, victims in (found["candidates"] if found else {}).items():
        names = {f"{reference.namespace(p)}/{p['metadata']['name']}": p for p in state.pods}
        gone = [names[victim] for victim in victims]
        assert gone and all(reference.priority(each) < 10 for each in gone)
        rest = [each for each in objects if each not in gone]
        node_name = next(each for each in state.nodes if each["metadata"]["name"] == node)
        assert reference.rejection(reference.Cluster(rest), pod, node_name) is None
        for back in gone:
            assert reference.rejection(reference.Cluster([*rest, back]), pod, node_name) is not None


def test_pods_that_name_their_node():
    """As DaemonSets make them: each goes where it says, or nowhere, and all are one class."""
    cluster = Cluster()
    for number in range(5):
        cluster.put("Node", small.node(f"n{number}", pods="1"))
    pods = [small.pod(f"d{number}", affinity=only_on(f"n{number % 5}")) for number in range(6)]
    assert batch.place(cluster, pods) == ["n0", "n1", "n2", "n3", "n4", None]
    assert len({cluster.classify_for(pod)[0] for pod in pods}) == 1
    assert batch.place(cluster, [small.pod("lost", affinity=only_on("n9"))]) == [None]


def only_on(name):
    field = {"key": "metadata.name", "operator": "In", "values": [name]}
    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchFields": [field]}]
            }
        }
    }


@given(worlds.cluster(5, 10), st.lists(worlds.pod("x", priority=10), min_size=1, max_size=2), picks)
def test_the_quick_way_to_preempt_is_the_long_way(objects, kinds, order):
    """Over a stream in which pods come, evict and leave: the same node and the same victims."""
    cluster = fresh(objects)
    for number, (kind, leaving) in enumerate(order):
        pod = named(kinds[kind % len(kinds)], f"s{number}")
        if batch.place(cluster, [pod]) != [None]:
            continue
        decision = decide(cluster, pod)
        want = preempt(cluster, pod, decision)
        got = fast_preempt(cluster, pod, cluster.classify(pod))
        assert (got and got[0]) == (want.chosen if want else None)
        if got:
            assert [v.name for v in got[1]] == [v.name for v in want.candidates[got[0]]]
            for victim in got[1][: 1 + leaving]:
                cluster.evict(victim)
