"""What the scheduler refuses, in a sentence that names the place; and what it takes as it is."""

import pytest

from kubelite.control.scheduler import BadConfiguration, BadObject, OwnPlugin, explain, simulate
from kubelite.control.scheduler.facts.documents import objects
from tests.control.scheduler.small import fits, node, pod, reasons


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"plugins": ["NodeResorcesFit"]}, "there is no plug-in NodeResorcesFit"),
        ({"plugin_args": {"NodeResourcesFit": {"scoringStrateg": {}}}},
         "has no argument scoringStrateg"),
        ({"plugin_args": {"NodeResourcesFit": {"scoringStrategy": {"type": "Least"}}}},
         "there is no Least"),
        ({"plugin_args": {"InterPodAffinity": {"hardPodAffinityWeight": 101}}},
         "101 is not between 0 and 100"),
        ({"plugin_args": {"NodeName": {"x": 1}}}, "NodeName takes no arguments"),
        ({"plugin_args": {"PodTopologySpread": {"defaultConstraints": [{"topologyKey": "z",
                                                                        "maxSkew": 1}]}}},
         "needs defaultingType List"),
        ({"balanced_formula": "newest"}, "there is no formula newest"),
        ({"candidates": ["elsewhere"]}, "there is no node elsewhere"),
        ({"configuration": {"kind": "Config"}}, "has kind KubeSchedulerConfiguration"),
    ],
)  # fmt: skip
def test_wrong_configuration(options, said):
    with pytest.raises(BadConfiguration, match=said):
        explain([node("n")], pod(), **options)


def profile(**plugins):
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "profiles": [{"plugins": plugins}],
    }


def test_wrong_profiles():
    with pytest.raises(
        BadConfiguration, match=r"plugins\.filters: there is no such extension point"
    ):
        explain([node("n")], pod(), configuration=profile(filters={}))
    with pytest.raises(BadConfiguration, match="plug-in ImageLocality does not filter nodes"):
        explain(
            [node("n")],
            pod(),
            configuration=profile(filter={"enabled": [{"name": "ImageLocality"}]}),
        )
    with pytest.raises(BadConfiguration, match="weight: -1 is not between"):
        explain(
            [node("n")],
            pod(),
            configuration=profile(score={"enabled": [{"name": "ImageLocality", "weight": -1}]}),
        )


TERM = {
    "topologyKey": "zone",
    "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Is", "values": ["b"]}]},
}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"containers": "none"}, "Pod default/web.spec.containers: must be a list, not a string"),
        ({"containers": [{"resources": {"requests": {"cpu": "-1"}}}]},
         r"requests.cpu: -1 is negative"),
        ({"containers": [{"resources": {"requests": {"cpu": "1 core"}}}]},
         r'requests.cpu: "1 core" is not a quantity'),
        ({"containers": [{"resources": {"requests": {"memory": "1e40"}}}]},
         "more than a scheduler can count"),
        ({"priority": "high"}, "spec.priority: must be a whole number, not a string"),
        ({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]}}},
         '"Is" is no operator'),
        ({"topologySpreadConstraints": [{"topologyKey": "z", "whenUnsatisfiable": "Never"}]},
         "neither DoNotSchedule nor"),
        ({"nodeSelector": {"a": 1}}, "nodeSelector.a: must be a string, not 1"),
    ],
)  # fmt: skip
def test_wrong_pods(spec, said):
    with pytest.raises(BadObject, match=said.replace("[", r"\[")):
        explain([node("n")], pod(**spec))


def test_wrong_nodes():
    with pytest.raises(BadObject, match=r"Node n\.status\.allocatable\.cpu: -4 is negative"):
        explain([node("n", cpu="-4")], pod())
    with pytest.raises(BadObject, match="object: must be a mapping, not a string"):
        simulate([node("n")], ["web"])
    with pytest.raises(BadObject, match="object: must be a mapping, not a list"):
        explain([[]], pod())


def test_partial_objects_are_taken_as_they_are():
    """Nothing is defaulted: a node that gives nothing has no room for a pod, but its labels can be
    asked about.
    """
    bare = {"kind": "Node", "metadata": {"name": "bare", "labels": {"a": "b"}}}
    nothing = {"kind": "Pod", "metadata": {"name": "nothing"}}
    found = explain([bare], nothing)
    assert reasons(found, "bare") == ["Too many pods"]
    assert fits(
        explain([bare], {**nothing, "spec": {"nodeSelector": {"a": "b"}}}, plugins=["NodeAffinity"])
    ) == ["bare"]
    assert explain([], nothing)["message"] == "no nodes available to schedule pods"
    assert explain([node("n")], {})["selected"] == "n"


def test_a_node_term_that_cannot_be_read_matches_nothing():
    bad = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["not a label value!"]}]}
    good = {"matchExpressions": [{"key": "a", "operator": "Exists"}]}
    for terms, expected in (([bad], []), ([bad, good], ["n"]), ([], []), ([{}], [])):
        affinity = {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}
            }
        }
        assert fits(explain([node("n", labels={"a": "b"})], pod(affinity=affinity))) == expected


def test_own_plugins_are_asked_and_checked():
    def filter(pod, node, pods):
        return "node(s) are on fire" if node["metadata"]["name"] == "hot" else None

    def score(pod, node, pods):
        return 100 - 40 * len(pods)

    own = OwnPlugin("Cooling", filter, score, weight=5)
    found = explain(
        [node("hot"), node("a"), node("b"), pod("p", on="a")], pod("new"), own_plugins=[own]
    )
    assert reasons(found, "hot") == ["node(s) are on fire"]
    assert {
        name: each["scores"]["Cooling"] for name, each in found["nodes"].items() if each["feasible"]
    } == {
        "a": 60,
        "b": 100,
    }
    assert found["selected"] == "b"
    plain = explain([node("hot"), node("a"), node("b"), pod("p", on="a")], pod("new"))["nodes"][
        "b"
    ]["total"]
    assert found["nodes"]["b"]["total"] == plain + 500
    assert "1 node(s) are on fire" in explain([node("hot")], pod(), own_plugins=[own])["message"]
    with pytest.raises(ValueError, match="plug-in Wild scored node a with 101"):
        explain([node("a")], pod(), own_plugins=[OwnPlugin("Wild", score=lambda *_: 101)])


def test_a_profile_chooses_plugins_and_weights():
    nodes = [node("a", taints=[{"key": "k", "effect": "NoSchedule"}]), node("b", cpu="1")]
    off = profile(multiPoint={"disabled": [{"name": "TaintToleration"}]})
    assert fits(explain(nodes, pod(), configuration=off)) == ["a", "b"]
    heavy = profile(
        score={"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesFit", "weight": 7}]}
    )
    found = explain([node("b")], pod(cpu="1"), configuration=heavy)["nodes"]["b"]
    assert (list(found["scores"]), found["total"]) == (
        ["NodeResourcesFit"],
        7 * found["scores"]["NodeResourcesFit"],
    )


def test_sampling_scores_some_of_the_feasible_nodes():
    nodes = [node(f"n{i}") for i in range(200)]
    some = {**profile(), "percentageOfNodesToScore": 60}
    adaptive = {**profile(), "percentageOfNodesToScore": 0}
    for configuration, scored in ((None, 200), (some, 120), (adaptive, 100)):
        found = explain(nodes, pod(), configuration=configuration)["nodes"].values()
        assert sum(each["total"] is not None for each in found) == scored


def test_a_seed_breaks_ties_the_same_way_every_time():
    nodes = [node(f"n{i}") for i in range(50)]
    chosen = [explain(nodes, pod(), seed=seed)["selected"] for seed in (1, 1, 2, 3, 4)]
    assert chosen[0] == chosen[1] and len(set(chosen)) > 1
    assert explain(nodes, pod())["selected"] == "n0"


def test_files_of_any_mix():
    text = b"""kind: Node
metadata: {name: a}
---
{"kind": "NodeList", "items": [{"metadata": {"name": "b"}}]} {"kind": "Node",
"metadata": {"name": "c"}}
---
[{"kind": "List", "items": [{"kind": "Node", "metadata": {"name": "d"}}]}]
---
# nothing
---
- kind: Node
  metadata: {name: e}
"""
    assert [each["metadata"]["name"] for each in objects(text, "f")] == ["a", "b", "c", "d", "e"]
    with pytest.raises(BadObject, match=r"f:4:\d+: "):
        objects(b"kind: Node\n---\nkind: Node\nmetadata: [}\n", "f")
    with pytest.raises(BadObject, match="f: object 1 has no kind"):
        objects(b"metadata: {}", "f")
    with pytest.raises(BadObject, match="f is not UTF-8 text"):
        objects(b"\xff\xfe\x00", "f")


def test_a_hundred_thousand_pods():
    """More than fit: those that do are placed, the others say why."""
    nodes = [node(f"n{i}", cpu="64", memory="64Gi", pods="250") for i in range(100)]
    told = simulate(nodes, (pod(f"p{i}", cpu="100m", memory="64Mi") for i in range(100_000)))
    assert (told["scheduled"], told["pending"]) == (25_000, 75_000)
    assert told["pods"][-1]["message"].startswith("0/100 nodes are available: 100 Too many pods.")
