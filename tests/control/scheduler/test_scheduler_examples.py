"""The worked examples of the Kubernetes documentation, as decisions."""

from kubelite.control.scheduler import explain, simulate
from tests.control.scheduler.small import fits, node, pod, reasons, scores, zone

ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

# Assigning Pods to Nodes


def test_node_selector_of_disktype_ssd():
    nodes = [node("fast", labels={"disktype": "ssd"}), node("slow")]
    found = explain(nodes, pod(nodeSelector={"disktype": "ssd"}))
    assert found["selected"] == "fast"
    assert reasons(found, "slow") == ["node(s) didn't match Pod's node affinity/selector"]


def test_required_zone_and_preferred_label():
    """Zone antarctica east or west is a must, another-node-label-key is welcome."""
    nodes = [
        node("east", labels=zone("antarctica-east1")),
        node(
            "west",
            labels={
                **zone("antarctica-west1"),
                "another-node-label-key": "another-node-label-value",
            },
        ),
        node(
            "north", labels={**zone("arctic"), "another-node-label-key": "another-node-label-value"}
        ),
    ]
    expression = {"key": ZONE, "operator": "In", "values": ["antarctica-east1", "antarctica-west1"]}
    welcome = {
        "key": "another-node-label-key",
        "operator": "In",
        "values": ["another-node-label-value"],
    }
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [expression]}]
            },
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": {"matchExpressions": [welcome]}}
            ],
        }
    }
    found = explain(nodes, pod(affinity=affinity))
    assert fits(found) == ["east", "west"]
    assert scores(found, "NodeAffinity") == {"east": 0, "west": 100}
    assert found["selected"] == "west"


def test_preferred_weights_1_and_50():
    """Both nodes match one preference; the one with weight 50 wins."""
    nodes = [node("one", labels={"label-1": "key-1"}), node("two", labels={"label-2": "key-2"})]
    preferred = [
        {
            "weight": weight,
            "preference": {
                "matchExpressions": [
                    {"key": f"label-{n}", "operator": "In", "values": [f"key-{n}"]}
                ]
            },
        }
        for n, weight in ((1, 1), (2, 50))
    ]
    found = explain(
        nodes,
        pod(
            affinity={
                "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
            }
        ),
    )
    assert scores(found, "NodeAffinity") == {"one": 2, "two": 100}
    assert found["selected"] == "two"


def test_terms_are_alternatives_and_expressions_in_a_term_are_not():
    def wanted(*terms):
        terms = [
            {"matchExpressions": [{"key": key, "operator": "Exists"} for key in term]}
            for term in terms
        ]
        return {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}
            }
        }

    nodes = [
        node("a", labels={"x": ""}),
        node("b", labels={"y": ""}),
        node("both", labels={"x": "", "y": ""}),
    ]
    assert fits(explain(nodes, pod(affinity=wanted("x", "y")))) == ["a", "b", "both"]
    assert fits(explain(nodes, pod(affinity=wanted("xy")))) == ["both"]


def test_gt_and_lt_compare_numbers():
    nodes = [
        node("small", labels={"cores": "8"}),
        node("large", labels={"cores": "16"}),
        node("odd", labels={"cores": "many"}),
    ]
    more = {"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["8"]}]}
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [more]}
        }
    }
    assert fits(explain(nodes, pod(affinity=affinity))) == ["large"]


def test_node_affinity_of_a_profile():
    """A scheduler whose profile adds a node affinity to every pod."""
    added = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "scheduler-profile", "operator": "In",
                               "values": ["foo"]}]}]}}  # fmt: skip
    configuration = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "profiles": [
            {"schedulerName": "default-scheduler"},
            {
                "schedulerName": "foo-scheduler",
                "pluginConfig": [{"name": "NodeAffinity", "args": {"addedAffinity": added}}],
            },
        ],
    }
    nodes = [node("plain"), node("foo", labels={"scheduler-profile": "foo"})]
    found = explain(nodes, pod(schedulerName="foo-scheduler"), configuration=configuration)
    assert (fits(found), reasons(found, "plain")) == (
        ["foo"],
        ["node(s) didn't match scheduler-enforced node affinity"],
    )
    assert fits(explain(nodes, pod(), configuration=configuration)) == ["plain", "foo"]


def test_redis_cache_beside_each_web_server():
    """Three caches keep apart, three servers keep apart and each goes where a cache is."""
    nodes = [node(f"node-{i}") for i in (1, 2, 3, 4)]
    apart = {"labelSelector": {"matchLabels": {"app": "store"}}, "topologyKey": HOST}
    beside = {"labelSelector": {"matchLabels": {"app": "store"}}, "topologyKey": HOST}
    selfish = {"labelSelector": {"matchLabels": {"app": "web-store"}}, "topologyKey": HOST}
    caches = [
        pod(f"cache-{i}", labels={"app": "store"},
            affinity={"podAntiAffinity": {REQUIRED: [apart]}})
        for i in (1, 2, 3)
    ]  # fmt: skip
    servers = [
        pod(f"web-{i}", labels={"app": "web-store"},
            affinity={"podAntiAffinity": {REQUIRED: [selfish]},
                      "podAffinity": {REQUIRED: [beside]}})
        for i in (1, 2, 3)
    ]  # fmt: skip
    placed = {each["pod"]: each["node"] for each in simulate(nodes, caches + servers)["pods"]}
    homes = {placed[f"default/cache-{i}"] for i in (1, 2, 3)}
    assert len(homes) == 3
    assert {placed[f"default/web-{i}"] for i in (1, 2, 3)} == homes


def test_pod_affinity_in_the_zone_of_another_pod():
    nodes = [
        node("v1", labels=zone("V")),
        node("v2", labels=zone("V")),
        node("r1", labels=zone("R")),
        node("nowhere"),
    ]
    term = {
        "labelSelector": {
            "matchExpressions": [{"key": "security", "operator": "In", "values": ["S1"]}]
        },
        "topologyKey": ZONE,
    }
    wants = pod(
        "new", affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    )
    found = explain([*nodes, pod("s1", labels={"security": "S1"}, on="v1")], wants)
    assert fits(found) == ["v1", "v2"]
    assert reasons(found, "r1") == ["node(s) didn't match pod affinity rules"]
    avoids = pod(
        "new",
        affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
    )
    found = explain([*nodes, pod("s1", labels={"security": "S1"}, on="v1")], avoids)
    assert fits(found) == ["r1", "nowhere"]


def test_match_label_keys_keep_a_rollout_to_itself():
    """Pods of the old revision do not attract those of the new one."""
    nodes = [node("old", labels=zone("a")), node("new", labels=zone("b"))]
    labels = {"app": "database", "pod-template-hash": "2"}
    term = {
        "labelSelector": {"matchLabels": {"app": "database"}},
        "topologyKey": ZONE,
        "matchLabelKeys": ["pod-template-hash"],
    }
    wants = pod(
        "n",
        labels=labels,
        affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
    )
    running = [
        pod("o1", labels={"app": "database", "pod-template-hash": "1"}, on="old"),
        pod("n1", labels=labels, on="new"),
    ]
    assert fits(explain([*nodes, *running], wants)) == ["new"]


# Taints and Tolerations


def test_a_pod_that_tolerates_two_of_three_taints():
    """key1 NoSchedule and NoExecute are tolerated, key2 NoSchedule is not."""
    taints = [
        {"key": "key1", "value": "value1", "effect": "NoSchedule"},
        {"key": "key1", "value": "value1", "effect": "NoExecute"},
        {"key": "key2", "value": "value2", "effect": "NoSchedule"},
    ]
    tolerations = [
        {"key": "key1", "operator": "Equal", "value": "value1", "effect": effect}
        for effect in ("NoSchedule", "NoExecute")
    ]
    found = explain([node("node1", taints=taints)], pod(tolerations=tolerations))
    assert found["selected"] is None
    assert found["message"].startswith(
        "0/1 nodes are available: 1 node(s) had untolerated taint(s)."
    )
    assert (
        explain([node("node1", taints=taints[:2])], pod(tolerations=tolerations))["selected"]
        == "node1"
    )


def test_exists_tolerates_any_value_and_an_empty_key_everything():
    taint = {"key": "example-key", "value": "anything", "effect": "NoSchedule"}
    nodes = [node("n", taints=[taint])]
    assert fits(
        explain(
            nodes,
            pod(tolerations=[{"key": "example-key", "operator": "Exists", "effect": "NoSchedule"}]),
        )
    )
    assert fits(explain(nodes, pod(tolerations=[{"operator": "Exists"}])))
    assert not fits(explain(nodes, pod(tolerations=[{"key": "other", "operator": "Exists"}])))


def test_prefer_no_schedule_is_a_wish():
    nodes = [
        node("avoided", taints=[{"key": "k", "value": "v", "effect": "PreferNoSchedule"}]),
        node("plain"),
    ]
    found = explain(nodes, pod())
    assert scores(found, "TaintToleration") == {"avoided": 0, "plain": 100}
    assert found["selected"] == "plain"


def test_a_cordoned_node_takes_who_tolerates_it():
    """As DaemonSet pods do."""
    nodes = [node("cordoned", unschedulable=True)]
    assert reasons(explain(nodes, pod()), "cordoned") == ["node(s) were unschedulable"]
    tolerant = pod(
        tolerations=[
            {
                "key": "node.kubernetes.io/unschedulable",
                "operator": "Exists",
                "effect": "NoSchedule",
            }
        ]
    )
    assert explain(nodes, tolerant)["selected"] == "cordoned"


# Pod Topology Spread Constraints


def spread(key, skew=1, when="DoNotSchedule", **more):
    return {
        "topologyKey": key,
        "maxSkew": skew,
        "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": {"foo": "bar"}},
        **more,
    }


FOUR = [node("node1", labels=zone("zoneA")), node("node2", labels=zone("zoneA")),
        node("node3", labels=zone("zoneB")), node("node4", labels=zone("zoneB"))]  # fmt: skip


def bars(*where):
    return [
        pod(f"bar{i}", labels={"foo": "bar"}, on=node_name) for i, node_name in enumerate(where)
    ]


def test_one_constraint():
    """Two pods in zone A and one in B: the fourth goes to B."""
    found = explain(
        [*FOUR, *bars("node1", "node2", "node3")],
        pod("new", labels={"foo": "bar"}, topologySpreadConstraints=[spread(ZONE)]),
    )
    assert fits(found) == ["node3", "node4"]
    assert reasons(found, "node1") == ["node(s) didn't match pod topology spread constraints"]


def test_two_constraints_leave_one_node():
    new = pod("new", labels={"foo": "bar"}, topologySpreadConstraints=[spread(ZONE), spread(HOST)])
    assert fits(explain([*FOUR, *bars("node1", "node2", "node3")], new)) == ["node4"]


def test_two_constraints_that_conflict():
    """Zone B is the only choice of one, node 2 the only choice of the other."""
    three = FOUR[:3]
    new = pod("new", labels={"foo": "bar"}, topologySpreadConstraints=[spread(ZONE), spread(HOST)])
    found = explain([*three, *bars("node1", "node1", "node2", "node3", "node3")], new)
    assert found["selected"] is None


def test_zone_c_is_excluded_by_node_affinity():
    """A node that the pod may not use does not count as an empty zone."""
    nodes = [*FOUR, node("node5", labels=zone("zoneC"))]
    away = {"matchExpressions": [{"key": ZONE, "operator": "NotIn", "values": ["zoneC"]}]}
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [away]}
        }
    }
    new = pod(
        "new", labels={"foo": "bar"}, affinity=affinity, topologySpreadConstraints=[spread(ZONE)]
    )
    assert fits(explain([*nodes, *bars("node1", "node2", "node3")], new)) == ["node3", "node4"]
    ignoring = pod(
        "new",
        labels={"foo": "bar"},
        affinity=affinity,
        topologySpreadConstraints=[spread(ZONE, nodeAffinityPolicy="Ignore")],
    )
    assert fits(explain([*nodes, *bars("node1", "node2", "node3")], ignoring)) == []


def test_min_domains_asks_for_zones_that_are_not_there():
    """Three zones are wanted and two are there: the minimum counts as 0."""
    new = pod("new", labels={"foo": "bar"}, topologySpreadConstraints=[spread(ZONE, minDomains=3)])
    assert fits(explain([*FOUR, *bars("node1", "node3")], new)) == []
    assert fits(explain(FOUR, new)) == ["node1", "node2", "node3", "node4"]


def test_soft_spread_over_four_hosts():
    """2, 1, 0 and 3 pods: weight ln 6, raw 4, 2, 0, 5."""
    nodes = [node(f"n{i}") for i in range(4)]
    new = pod(
        "new",
        labels={"foo": "bar"},
        topologySpreadConstraints=[spread(HOST, when="ScheduleAnyway")],
    )
    found = explain([*nodes, *bars("n0", "n0", "n1", "n3", "n3", "n3")], new)
    assert scores(found, "PodTopologySpread") == {"n0": 20, "n1": 60, "n2": 100, "n3": 0}


def test_default_constraints_follow_the_service():
    """ln 6 + 2 and 2 ln 4 + 4 where pods are, 2 and 4 where none is: raw 11 and 6."""
    service = {
        "kind": "Service",
        "metadata": {"name": "s", "namespace": "default"},
        "spec": {"selector": {"foo": "bar"}},
    }
    found = explain([*FOUR, service, *bars("node1", "node2")], pod("new", labels={"foo": "bar"}))
    assert scores(found, "PodTopologySpread") == {
        "node1": 54,
        "node2": 54,
        "node3": 100,
        "node4": 100,
    }
    assert (
        "PodTopologySpread"
        in explain([*FOUR, *bars("node1")], pod("new", labels={"foo": "bar"}))["skipped"]
    )


# Pod Priority and Preemption


def test_a_pod_of_higher_priority_takes_the_place_of_a_lower_one():
    objects = [node("n", cpu="2"), pod("low", cpu="1500m", on="n", priority=0)]
    found = explain(objects, pod("high", cpu="1", priority=1000))
    assert found["message"] == "0/1 nodes are available: 1 Insufficient cpu."
    assert found["preemption"] == {
        "candidates": {"n": ["default/low"]},
        "acceptable": ["n"],
        "chosen": "n",
    }
    told = simulate(objects, [pod("high", cpu="1", priority=1000)])
    assert [(each["pod"], each["node"], each["evicted"]) for each in told["pods"]] == [
        ("default/high", "n", ["default/low"]),
        ("default/low", None, []),
    ]


def test_preemption_policy_never():
    objects = [node("n", cpu="2"), pod("low", cpu="1500m", on="n")]
    found = explain(objects, pod("high", cpu="1", priority=1000, preemptionPolicy="Never"))
    assert found["preemption"] is None
    assert found["message"].endswith(" preemption: not eligible due to preemptionPolicy=Never.")


def test_a_disruption_budget_is_respected_where_possible():
    budget = {"kind": "PodDisruptionBudget", "metadata": {"name": "b", "namespace": "default"},
              "spec": {"selector": {"matchLabels": {"app": "kept"}}},
              "status": {"disruptionsAllowed": 0}}  # fmt: skip
    objects = [
        node("a", cpu="2"), node("b", cpu="2"), budget,
        pod("kept", cpu="2", on="a", labels={"app": "kept"}),
        pod("free", cpu="2", on="b", priority=5),
    ]  # fmt: skip
    found = explain(objects, pod("high", cpu="2", priority=1000))
    assert found["preemption"]["chosen"] == "b"


def test_nobody_is_evicted_for_affinity_to_the_victim():
    """Were the lower pod evicted, the affinity would not hold any more."""
    term = {"labelSelector": {"matchLabels": {"app": "low"}}, "topologyKey": HOST}
    objects = [node("n", cpu="2"), pod("low", cpu="2", on="n", labels={"app": "low"})]
    high = pod(
        "high",
        cpu="1",
        priority=9,
        affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
    )
    found = explain(objects, high)
    assert found["preemption"] == {"candidates": {}, "acceptable": [], "chosen": None}
    assert found["message"].endswith(
        "preemption: 0/1 nodes are available: 1 node(s) didn't match pod affinity rules."
    )


def test_gated_pods_wait():
    found = explain([node("n")], pod(schedulingGates=[{"name": "example.com/foo"}]))
    assert (found["selected"], found["message"]) == (
        None,
        "Scheduling is blocked due to non-empty scheduling gates",
    )


# Managing resources, sidecars, overhead


def test_init_containers_and_sidecars_count_at_their_worst_moment():
    def asks(cpu, **more):
        return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}

    inits = [
        asks("100m", restartPolicy="Always"),
        asks("1900m"),
        asks("200m", restartPolicy="Always"),
    ]
    wanted = pod(containers=[asks("500m")], initContainers=inits)
    assert fits(explain([node("n", cpu="2")], wanted)) == ["n"]
    assert fits(explain([node("n", cpu="1999m")], wanted)) == []
    pod_level = pod(
        containers=[asks("500m")],
        initContainers=inits,
        resources={"requests": {"cpu": "700m"}},
        overhead={"cpu": "50m"},
    )
    assert fits(explain([node("n", cpu="750m")], pod_level)) == ["n"]
    assert fits(explain([node("n", cpu="749m")], pod_level)) == []


def test_a_resize_that_is_under_way_counts_at_its_larger_size():
    growing = pod("grows", cpu="1", on="n")
    growing["status"] = {
        "containerStatuses": [{"name": "c", "resources": {"requests": {"cpu": "3"}}}]
    }
    assert fits(explain([node("n", cpu="4"), growing], pod("new", cpu="1500m"))) == []
    assert fits(explain([node("n", cpu="4"), growing], pod("new", cpu="1"))) == ["n"]


def test_all_that_is_short_is_said_and_counted():
    nodes = [node("a", cpu="1", memory="1Gi"), node("b", cpu="1"), node("c", pods="0")]
    found = explain(nodes, pod(cpu="2", memory="2Gi"))
    assert found["message"] == (
        "0/3 nodes are available: 1 Insufficient memory, 1 Too many pods, 2 Insufficient cpu. "
        "preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, "
        "2 Preemption is not helpful for scheduling."
    )


def test_scoring_strategies_by_hand():
    """A node of 4000m and 10000 bytes, 3000m and 5000 bytes wanted."""
    nodes, wanted = [node("n", cpu="4", memory="10000")], pod(cpu="3", memory="5000")
    assert scores(explain(nodes, wanted), "NodeResourcesFit") == {"n": 37}
    assert scores(
        explain(nodes, wanted, balanced_formula="state"), "NodeResourcesBalancedAllocation"
    ) == {"n": 87}
    assert scores(explain(nodes, wanted), "NodeResourcesBalancedAllocation") == {"n": 68}
    most = {"NodeResourcesFit": {"scoringStrategy": {"type": "MostAllocated"}}}
    assert scores(explain(nodes, wanted, plugin_args=most), "NodeResourcesFit") == {"n": 62}
    shape = [{"utilization": 0, "score": 0}, {"utilization": 100, "score": 10}]
    ratio = {"NodeResourcesFit": {"scoringStrategy": {
        "type": "RequestedToCapacityRatio", "requestedToCapacityRatio": {"shape": shape},
        "resources": [{"name": "cpu", "weight": 3}, {"name": "memory", "weight": 1}]}}}  # fmt: skip
    assert scores(explain(nodes, wanted, plugin_args=ratio), "NodeResourcesFit") == {"n": 69}


def test_image_locality_by_hand():
    """40 and 300 MiB of two images on one of two nodes."""
    holder = node("has")
    holder["status"]["images"] = [
        {"names": ["a:latest"], "sizeBytes": 40 << 20},
        {"names": ["b:1"], "sizeBytes": 300 << 20},
    ]
    wanted = pod(containers=[{"name": "x", "image": "a"}, {"name": "y", "image": "b:1"}])
    assert scores(explain([holder, node("not")], wanted), "ImageLocality") == {"has": 7, "not": 0}


def test_a_term_that_a_running_pod_has_twice_counts_twice():
    term = {
        "labelSelector": {"matchLabels": {"app": "db"}},
        "topologyKey": "kubernetes.io/hostname",
    }
    weighted = {"weight": 7, "podAffinityTerm": term}
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    affinity = {
        "podAffinity": {preferred: [weighted, weighted]},
        "podAntiAffinity": {preferred: [weighted]},
    }
    running = pod("running", on="n0", affinity=affinity)
    found = explain([node("n0"), node("n1"), running], pod("new", labels={"app": "db"}))
    assert scores(found, "InterPodAffinity") == {"n0": 100, "n1": 0}
