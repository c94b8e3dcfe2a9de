"""Random small clusters: few labels, few sizes, so that rules meet each other often."""

from hypothesis import strategies as st

HOST, ZONE, RACK = "kubernetes.io/hostname", "topology.kubernetes.io/zone", "rack"
KEYS = (HOST, ZONE, RACK)
SPACES = ("default", "blue")
APPS = ("web", "db", "log")


def some(strategy, most=2):
    return st.lists(strategy, max_size=most)


def maybe(strategy):
    return st.one_of(st.none(), strategy)


def rarely(times):
    """True once in so many."""
    return st.sampled_from((*(False,) * (times - 1), True))


def without_none(**fields):
    return {name: value for name, value in fields.items() if value is not None}


taint = st.builds(
    lambda key, value, effect: {"key": key, "value": value, "effect": effect},
    st.sampled_from("ab"),
    st.sampled_from("xy"),
    st.sampled_from(("NoSchedule", "PreferNoSchedule", "NoExecute")),
)
toleration = st.builds(
    lambda key, operator, value, effect: without_none(
        key=key,
        operator=operator if key else "Exists",
        value=value if key and operator == "Equal" else None,
        effect=effect,
    ),
    maybe(st.sampled_from("ab")),
    st.sampled_from(("Equal", "Exists")),
    st.sampled_from("xy"),
    maybe(st.sampled_from(("NoSchedule", "PreferNoSchedule", "NoExecute"))),
)


@st.composite
def node(draw, number):
    labels = {} if draw(rarely(8)) else {HOST: f"n{number}"}
    for key, values in ((ZONE, ("z1", "z2", "z3")), (RACK, ("r1", "r2")), ("size", ("3", "12"))):
        if not draw(rarely(5)):
            labels[key] = draw(st.sampled_from(values))
    images = draw(
        some(st.sampled_from((("app:latest", 40 << 20), ("db:1", 300 << 20), ("big:1", 900 << 20))))
    )
    return {
        "kind": "Node",
        "metadata": {"name": f"n{number}", "labels": labels},
        "spec": without_none(
            taints=draw(some(taint)) if draw(rarely(3)) else None,
            unschedulable=True if draw(rarely(12)) else None,
        ),
        "status": {
            "allocatable": {
                "cpu": draw(st.sampled_from(("1", "2", "4000m"))),
                "memory": draw(st.sampled_from(("2Gi", "3Gi", "8Gi"))),
                "pods": draw(st.sampled_from(("110", "110", "4", "2"))),
                **({} if draw(rarely(3)) else {"example.com/gpu": "2"}),
            },
            "images": [{"names": [name], "sizeBytes": size} for name, size in dict(images).items()],
        },
    }


requirement = st.one_of(
    st.builds(
        lambda key, op, values: {"key": key, "operator": op, "values": values},
        st.sampled_from(("app", "tier")),
        st.sampled_from(("In", "NotIn")),
        st.lists(st.sampled_from(APPS), min_size=1, max_size=2),
    ),
    st.builds(
        lambda key, op: {"key": key, "operator": op},
        st.sampled_from(("app", "tier")),
        st.sampled_from(("Exists", "DoesNotExist")),
    ),
)
selector = st.one_of(
    st.builds(lambda app: {"matchLabels": {"app": app}}, st.sampled_from(APPS)),
    st.builds(lambda many: {"matchExpressions": many}, some(requirement)),
)
node_requirement = st.one_of(
    st.builds(
        lambda op, values: {"key": ZONE, "operator": op, "values": values},
        st.sampled_from(("In", "NotIn")),
        st.lists(st.sampled_from(("z1", "z2", "z3")), min_size=1, max_size=2),
    ),
    st.builds(lambda op, limit: {"key": "size", "operator": op, "values": [limit]},
              st.sampled_from(("Gt", "Lt")),
              st.sampled_from(("3", "5"))),
    st.builds(lambda op: {"key": RACK, "operator": op},
              st.sampled_from(("Exists", "DoesNotExist"))),
)  # fmt: skip
node_term = st.one_of(
    st.builds(lambda many: {"matchExpressions": many}, some(node_requirement)),
    st.builds(lambda number: {"matchFields": [{"key": "metadata.name", "operator": "In",
                                               "values": [f"n{number}"]}]},
              st.integers(0, 4)),
)  # fmt: skip
term = st.builds(
    lambda chosen, key, spaces, by_label, own: without_none(
        labelSelector=chosen, topologyKey=key, namespaces=spaces, namespaceSelector=by_label,
        matchLabelKeys=["tier"] if own == 1 and chosen else None,
        mismatchLabelKeys=["tier"] if own == 2 and chosen else None,
    ),
    st.one_of(selector, selector, st.none()),
    st.sampled_from(KEYS),
    maybe(st.just(["blue"])),
    st.one_of(st.none(), st.none(), st.just({}), st.just({"matchLabels": {"team": "b"}})),
    st.integers(0, 4),
)  # fmt: skip
weighted = st.builds(
    lambda weight, t: {"weight": weight, "podAffinityTerm": t}, st.sampled_from((1, 7, 50)), term
)
constraint = st.builds(
    lambda key, skew, hard, chosen, least, affinity, taints, own: without_none(
        topologyKey=key, maxSkew=skew,
        whenUnsatisfiable="DoNotSchedule" if hard else "ScheduleAnyway",
        labelSelector=chosen, minDomains=least if hard else None,
        nodeAffinityPolicy=affinity, nodeTaintsPolicy=taints,
        matchLabelKeys=["tier"] if own and chosen else None,
    ),
    st.sampled_from(KEYS),
    st.integers(1, 2),
    st.booleans(),
    st.one_of(selector, selector, st.none()),
    maybe(st.integers(1, 4)),
    maybe(st.sampled_from(("Honor", "Ignore"))),
    maybe(st.sampled_from(("Honor", "Ignore"))),
    st.booleans(),
)  # fmt: skip


@st.composite
def container(draw, image="app"):
    wanted = {}
    for name, amounts in (("cpu", ("0", "100m", "250m", "900m")),
                          ("memory", ("64Mi", "300Mi", "1Gi")),
                          ("example.com/gpu", ("1",))):  # fmt: skip
        if draw(rarely(6)) if "/" in name else not draw(rarely(4)):
            wanted[name] = draw(st.sampled_from(amounts))
    made = {
        "name": "c",
        "image": draw(st.sampled_from(("app", "db:1", "big:1", "none"))),
        "resources": {"requests": wanted},
    }
    if draw(rarely(8)):
        made["ports"] = [
            without_none(
                hostPort=draw(st.sampled_from((80, 443))), hostIP=draw(maybe(st.just("10.0.0.1")))
            )
        ]
    return made


@st.composite
def affinity(draw):
    return without_none(
        nodeAffinity=draw(maybe(st.builds(
            lambda required, ask, preferred: without_none(
                requiredDuringSchedulingIgnoredDuringExecution=(
                    {"nodeSelectorTerms": required} if ask else None
                ),
                preferredDuringSchedulingIgnoredDuringExecution=preferred or None,
            ),
            some(node_term),
            rarely(4),
            some(st.builds(lambda w, t: {"weight": w, "preference": t}, st.sampled_from((1, 9)),
                           node_term)),
        ))),
        podAffinity=draw(maybe(pod_terms())),
        podAntiAffinity=draw(maybe(pod_terms())),
    )  # fmt: skip


def pod_terms():
    return st.builds(
        lambda required, preferred: without_none(
            requiredDuringSchedulingIgnoredDuringExecution=required or None,
            preferredDuringSchedulingIgnoredDuringExecution=preferred or None,
        ),
        some(term, 1),
        some(weighted, 3),
    )


pod_labels = st.dictionaries(st.sampled_from(("app", "tier")), st.sampled_from(APPS), max_size=2)


@st.composite
def pod(draw, name, nodes=0, **fixed):
    labels = draw(pod_labels)
    inits = draw(some(container(), 1)) if draw(rarely(4)) else []
    for each in inits:
        if draw(st.booleans()):
            each["restartPolicy"] = "Always"
    rich = draw(st.integers(0, 2))
    spec = without_none(
        containers=draw(st.lists(container(), min_size=1, max_size=2)),
        initContainers=inits or None,
        priority=draw(st.sampled_from((0, 0, 5, 10))),
        tolerations=draw(maybe(some(toleration))),
        nodeSelector={RACK: "r1"} if draw(rarely(8)) else None,
        affinity=draw(affinity()) if rich else None,
        topologySpreadConstraints=draw(some(constraint)) or None if draw(st.booleans()) else None,
        overhead={"cpu": "10m"} if draw(rarely(5)) else None,
        nodeName=f"n{draw(st.integers(0, nodes - 1))}" if nodes else None,
    )
    meta = without_none(
        name=name, namespace=draw(st.sampled_from(SPACES)), labels=labels or None,
        deletionTimestamp="2024-01-01T00:00:00Z" if nodes and draw(rarely(8)) else None,
    )  # fmt: skip
    started = f"2024-01-01T00:0{draw(st.integers(0, 3))}:00Z"
    return {
        "kind": "Pod",
        "metadata": meta,
        "spec": {**spec, **fixed},
        "status": {"startTime": started} if nodes else {},
    }


@st.composite
def cluster(draw, most_nodes=6, most_pods=8):
    """Namespaces, services, budgets, nodes and pods that run."""
    count = draw(st.sampled_from((*range(3, most_nodes + 1), 1, 2)))
    objects = [
        {"kind": "Namespace", "metadata": {"name": "default", "labels": {"team": "a"}}},
        {"kind": "Namespace", "metadata": {"name": "blue", "labels": {"team": "b"}}},
    ]
    if draw(st.booleans()):
        objects.append(
            {
                "kind": "Service",
                "metadata": {"name": "s", "namespace": "default"},
                "spec": {"selector": {"app": "web"}},
            }
        )
    if draw(st.booleans()):
        objects.append({"kind": "PodDisruptionBudget",
                        "metadata": {"name": "b", "namespace": draw(st.sampled_from(SPACES))},
                        "spec": {"selector": draw(selector)},
                        "status": {"disruptionsAllowed": draw(st.integers(0, 2))}})  # fmt: skip
    objects += [draw(node(number)) for number in range(count)]
    return objects + [
        draw(pod(f"p{number}", count))
        for number in range(draw(st.sampled_from((*range(most_pods, -1, -1),))))
    ]


def nodes_of(objects):
    return [each for each in objects if each["kind"] == "Node"]
