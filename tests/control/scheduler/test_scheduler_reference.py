"""The product against the slow restatement: every verdict, score and victim, over random clusters
and pods.
"""

from hypothesis import given
from hypothesis import strategies as st

from kubelite.control.scheduler import explain
from tests.control.scheduler import reference, worlds


def check_same_decision(objects, pod, got, want):
    for name, why in want["rejections"].items():
        node = got["nodes"][name]
        assert node["feasible"] is (why is None), (name, why, node)
        if why:
            assert (sorted(node["reasons"]), node["unresolvable"]) == (sorted(why[0]), why[1]), name
    scores = {
        name: node["scores"]
        for name, node in got["nodes"].items()
        if node["scores"] or node["total"] is not None
    }
    assert scores == want["scores"]
    assert {name: got["nodes"][name]["total"] for name in scores} == want["totals"]
    assert got["acceptable"] == want["acceptable"]
    assert got["selected"] == (want["acceptable"][0] if want["acceptable"] else None)
    if want["scores"]:
        assert set(got["skipped"]) == want["skipped"]


@given(worlds.cluster(), worlds.pod("new"))
def test_every_verdict_and_score(objects, pod):
    check_same_decision(objects, pod, explain(objects, pod), reference.explain(objects, pod))


@given(
    worlds.cluster(),
    worlds.pod("new"),
    st.sampled_from(("state", "change")),
    st.sampled_from(("LeastAllocated", "MostAllocated")),
)
def test_other_formulas(objects, pod, formula, strategy):
    args = {"NodeResourcesFit": {"scoringStrategy": {"type": strategy}}}
    got = explain(objects, pod, plugin_args=args, balanced_formula=formula)
    check_same_decision(
        objects, pod, got, reference.explain(objects, pod, formula=formula, strategy=strategy)
    )


@given(
    worlds.cluster(),
    worlds.pod("new"),
    st.sets(st.integers(0, 5)),
    st.sets(st.sampled_from(sorted(reference.SCORES))),
)
def test_chosen_plugins_and_candidates(objects, pod, numbers, plugins):
    names = [n["metadata"]["name"] for n in worlds.nodes_of(objects)]
    candidates = [name for i, name in enumerate(names) if i in numbers]
    got = explain(objects, pod, candidates=candidates, plugins=sorted(plugins) or ["NodeName"])
    check_same_decision(
        objects, pod, got, reference.explain(objects, pod, candidates, plugins or {"NodeName"})
    )


@given(worlds.cluster(3, 10), worlds.pod("new", priority=10))
def test_victims_and_the_best_of_the_candidates(objects, pod):
    got, want = explain(objects, pod), reference.explain(objects, pod)["preemption"]
    if want is None:
        assert got["preemption"] is None
        return
    names = {
        node: [f"{reference.namespace(p)}/{p['metadata']['name']}" for p in victims]
        for node, (victims, _) in want.items()
    }
    tied = reference.best_nodes(want) if want else []
    found = got["preemption"]
    assert {node: sorted(victims) for node, victims in found["candidates"].items()} == {
        node: sorted(victims) for node, victims in names.items()
    }
    assert found["acceptable"] == tied
    assert found["chosen"] == (tied[0] if tied else None)
