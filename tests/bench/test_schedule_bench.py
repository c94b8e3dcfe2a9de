"""bench/schedule, small: every workload can be scheduled, and what is written can be read."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from scheduling.measure import core_cost, run
from scheduling.plot import svg
from scheduling.report import as_data, as_table
from scheduling.workloads import workloads

SMALL = [
    each._replace(nodes=60, existing=min(each.existing, 40), measured=80) for each in workloads()
]


@pytest.mark.parametrize("workload", SMALL, ids=lambda each: each.name)
def test_every_pod_that_can_run_does(workload):
    figures = run(workload)
    misfits = {
        "Unschedulable": 1,
        "SchedulingPodAntiAffinity": 60,
        "RequiredAntiAffinity, namespace selector": 60,
    }
    full = {
        "SchedulingDaemonset": 20,
        "SchedulingWithExtendedResource": 20,
        "Preemption by every pod": 80,
    }
    missing = misfits.get(workload.name, 0) + full.get(workload.name, 0)
    assert 80 - missing <= figures.placed <= 80
    assert 0 < figures.core < figures.whole
    assert (
        json.loads(json.dumps(as_data({}, [figures], {}, {})))["workloads"][0]["placed"]
        == figures.placed
    )
    assert as_table([figures]).count("\n") == 2


def test_the_plot_is_svg():
    lines = {"a < b": [(1, core_cost(50, 1, 200)), (100, core_cost(50, 4, 200))]}
    root = ElementTree.fromstring(svg("Cost", "nodes", "us", lines))
    assert root.tag.endswith("svg")
    assert [each.text for each in root.iter() if each.text and "a <" in each.text] == ["a < b"]
