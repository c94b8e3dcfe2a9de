"""The scheduler once more, slowly: every rule written out over plain objects, nothing cached,
nothing clever.

This is what the product is compared with. It shares no code with it, takes the shortest way to each
rule, and looks at all pods on all nodes whenever it wants to know something. Objects are complete
enough for kubectl: nodes with allocatable, pods with namespaces.
"""

import math
from fractions import Fraction

WEIGHTS = {
    "TaintToleration": 3, "NodeAffinity": 2, "NodeResourcesFit": 1,
    "NodeResourcesBalancedAllocation": 1,
    "PodTopologySpread": 2, "InterPodAffinity": 2, "ImageLocality": 1,
}  # fmt: skip
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
UNITS = {
    "": 1,
    "m": Fraction(1, 1000),
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
}


class Cluster:
    """Nodes in order, pods that run (with spec.nodeName), services, namespaces' labels, budgets."""

    def __init__(self, objects):
        self.nodes = [o for o in objects if o["kind"] == "Node"]
        self.pods = [o for o in objects if o["kind"] == "Pod" and o["spec"].get("nodeName")]
        self.services = [o for o in objects if o["kind"] == "Service"]
        self.namespaces = {
            o["metadata"]["name"]: labels(o) for o in objects if o["kind"] == "Namespace"
        }
        self.budgets = [o for o in objects if o["kind"] == "PodDisruptionBudget"]

    def on(self, node):
        return [pod for pod in self.pods if pod["spec"]["nodeName"] == node["metadata"]["name"]]

    def node_of(self, pod):
        return next(
            (n for n in self.nodes if n["metadata"]["name"] == pod["spec"]["nodeName"]), None
        )


# Small words


def labels(obj):
    return obj["metadata"].get("labels") or {}


def namespace(obj):
    return obj["metadata"].get("namespace", "default")


def priority(pod):
    return pod["spec"].get("priority", 0)


def amount(text, milli=False):
    digits = str(text).rstrip("mkMGi K")
    return math.ceil(Fraction(digits) * UNITS[str(text)[len(digits) :]] * (1000 if milli else 1))


def matches(selector, values):
    """A LabelSelector; None selects nothing."""
    if selector is None:
        return False
    if any(values.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    return all(requirement(r, values) for r in selector.get("matchExpressions") or [])


def requirement(r, values):
    key, op, wanted = r["key"], r["operator"], r.get("values") or []
    if op == "In":
        return values.get(key) in wanted
    if op == "NotIn":
        return values.get(key) not in wanted
    if op == "Exists":
        return key in values
    if op == "DoesNotExist":
        return key not in values
    if key not in values or not values[key].lstrip("-").isdigit():
        return False
    return int(values[key]) > int(wanted[0]) if op == "Gt" else int(values[key]) < int(wanted[0])


# What a pod asks for


def requests(pod, missing=None):
    """Containers and sidecars together, or the worst moment of the init containers, and the
    overhead.
    """
    total, sidecars, worst = {}, {}, {}
    for container in pod["spec"].get("containers") or []:
        total = plus(total, asked(container, missing))
    for container in pod["spec"].get("initContainers") or []:
        own = asked(container, missing)
        if container.get("restartPolicy") == "Always":
            total, sidecars = plus(total, own), plus(sidecars, own)
            moment = sidecars
        else:
            moment = plus(own, sidecars)
        worst = {k: max(worst.get(k, 0), moment.get(k, 0)) for k in {*worst, *moment}}
    total = {k: max(total.get(k, 0), worst.get(k, 0)) for k in {*total, *worst}}
    for name, text in ((pod["spec"].get("resources") or {}).get("requests") or {}).items():
        total[name] = amount(text, name == "cpu")
    overhead = {k: amount(v, k == "cpu") for k, v in (pod["spec"].get("overhead") or {}).items()}
    return plus(total, overhead)


def plus(a, b):
    return {k: a.get(k, 0) + b.get(k, 0) for k in {*a, *b}}


def asked(container, missing):
    given = (container.get("resources") or {}).get("requests") or {}
    return {**(missing or {}), **{k: amount(v, k == "cpu") for k, v in given.items()}}


def nonzero(pod):
    return requests(pod, {"cpu": 100, "memory": 200 * 2**20})


def allocatable(node):
    return {k: amount(v, k == "cpu") for k, v in node["status"]["allocatable"].items()}


# Filters: each returns (reasons, unresolvable) or None


def unschedulable(cluster, pod, node):
    cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    if node["spec"].get("unschedulable") and not tolerates(pod, cordon):
        return ["node(s) were unschedulable"], True
    return None


def node_name(cluster, pod, node):
    wanted = pod["spec"].get("nodeName")
    if wanted and wanted != node["metadata"]["name"]:
        return ["node(s) didn't match the requested node name"], True
    return None


def tolerates(pod, taint, only=None):
    for t in pod["spec"].get("tolerations") or []:
        if only and t.get("effect", "") not in ("", only):
            continue
        if t.get("effect") and t["effect"] != taint["effect"]:
            continue
        if t.get("key") and t["key"] != taint["key"]:
            continue
        if t.get("operator", "Equal") == "Exists" or t.get("value", "") == taint.get("value", ""):
            return True
    return False


def untolerated(pod, node):
    hard = [
        t for t in node["spec"].get("taints") or [] if t["effect"] in ("NoSchedule", "NoExecute")
    ]
    return [t for t in hard if not tolerates(pod, t)]


def taints(cluster, pod, node):
    return (["node(s) had untolerated taint(s)"], True) if untolerated(pod, node) else None


def term_matches(term, node):
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    name = {"metadata.name": node["metadata"]["name"]}
    return all(requirement(r, labels(node)) for r in expressions) and all(
        requirement(r, name) for r in fields
    )


def wants_node(pod, node):
    selector = pod["spec"].get("nodeSelector") or {}
    if any(labels(node).get(k) != v for k, v in selector.items()):
        return False
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or any(term_matches(t, node) for t in required["nodeSelectorTerms"])


def node_affinity(cluster, pod, node):
    return (
        None
        if wants_node(pod, node)
        else (["node(s) didn't match Pod's node affinity/selector"], True)
    )


def ports(pod):
    sidecars = [
        c for c in pod["spec"].get("initContainers") or [] if c.get("restartPolicy") == "Always"
    ]
    for container in sidecars + (pod["spec"].get("containers") or []):
        for p in container.get("ports") or []:
            if p.get("hostPort"):
                yield p.get("protocol", "TCP"), p["hostPort"], p.get("hostIP") or "0.0.0.0"


def free_ports(cluster, pod, node):
    for protocol, number, address in ports(pod):
        for other in cluster.on(node):
            for q in ports(other):
                if q[:2] == (protocol, number) and (
                    q[2] == address or "0.0.0.0" in (q[2], address)
                ):
                    return ["node(s) didn't have free ports for the requested pod ports"], False
    return None


def used(cluster, node, how=requests):
    total = {}
    for pod in cluster.on(node):
        total = plus(total, how(pod))
    return total


def resources(cluster, pod, node):
    room, taken, reasons, hopeless = allocatable(node), used(cluster, node), [], False
    if len(cluster.on(node)) + 1 > room.get("pods", 0):
        reasons.append("Too many pods")
    for name, wanted in requests(pod).items():
        if wanted > 0 and wanted > room.get(name, 0) - taken.get(name, 0):
            reasons.append(f"Insufficient {name}")
            hopeless |= wanted > room.get(name, 0)
    return (reasons, hopeless) if reasons else None


def constraints(cluster, pod, hard):
    """The pod's own, or the defaults for pods that a service selects."""
    own = pod["spec"].get("topologySpreadConstraints") or []
    if own:
        when = "DoNotSchedule" if hard else "ScheduleAnyway"
        return [with_own_labels(c, pod) for c in own if c["whenUnsatisfiable"] == when]
    selectors = [
        s["spec"].get("selector") or {} for s in cluster.services if namespace(s) == namespace(pod)
    ]
    union = {}
    for selector in selectors:
        if matches({"matchLabels": selector}, labels(pod)):
            union.update(selector)
    if not union or hard:
        return []
    return [{"topologyKey": HOSTNAME, "maxSkew": 3, "labelSelector": {"matchLabels": union}},
            {"topologyKey": ZONE, "maxSkew": 5,
             "labelSelector": {"matchLabels": union}}]  # fmt: skip


def with_own_labels(constraint, pod):
    selector = constraint.get("labelSelector")
    if selector is None:
        return constraint
    own = [{"key": k, "operator": "In", "values": [labels(pod)[k]]}
           for k in constraint.get("matchLabelKeys") or [] if k in labels(pod)]  # fmt: skip
    return {
        **constraint,
        "labelSelector": {
            **selector,
            "matchExpressions": [*selector.get("matchExpressions", []), *own],
        },
    }


def included(constraint, pod, node):
    if constraint.get("nodeAffinityPolicy", "Honor") == "Honor" and not wants_node(pod, node):
        return False
    return constraint.get("nodeTaintsPolicy", "Ignore") == "Ignore" or not untolerated(pod, node)


def selected(cluster, constraint, pod, node):
    """How many pods on the node a spread constraint counts."""
    return sum(
        namespace(p) == namespace(pod)
        and not p["metadata"].get("deletionTimestamp")
        and matches(constraint.get("labelSelector"), labels(p))
        for p in cluster.on(node)
    )


def has_keys(node, wanted):
    return all(c["topologyKey"] in labels(node) for c in wanted)


def spread(cluster, pod, node):
    wanted = constraints(cluster, pod, hard=True)
    counted = [n for n in cluster.nodes if has_keys(n, wanted)]
    for c in wanted:
        key = c["topologyKey"]
        if key not in labels(node):
            return [
                "node(s) didn't match pod topology spread constraints (missing required label)"
            ], True
        domains = {}
        for n in counted:
            if included(c, pod, n):
                domains[labels(n)[key]] = domains.get(labels(n)[key], 0) + selected(
                    cluster, c, pod, n
                )
        least = 0 if len(domains) < (c.get("minDomains") or 1) else min(domains.values())
        itself = matches(c.get("labelSelector"), labels(pod))
        if domains.get(labels(node)[key], 0) + itself - least > c["maxSkew"]:
            return ["node(s) didn't match pod topology spread constraints"], False
    return None


def admits(cluster, owner, term, pod):
    """Whether a pod affinity term of the owner selects a pod."""
    selector = term.get("labelSelector")
    if selector is None:
        return False
    extra = [{"key": k, "operator": op, "values": [labels(owner)[k]]}
             for keys, op in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
             for k in term.get(keys) or [] if k in labels(owner)]  # fmt: skip
    if not matches(selector, labels(pod)) or not matches({"matchExpressions": extra}, labels(pod)):
        return False
    spaces, by_label = term.get("namespaces") or [], term.get("namespaceSelector")
    if not spaces and by_label is None:
        return namespace(pod) == namespace(owner)
    return namespace(pod) in spaces or matches(by_label, cluster.namespaces.get(namespace(pod), {}))


def terms(pod, kind, how="required"):
    affinity = (pod["spec"].get("affinity") or {}).get(kind) or {}
    return affinity.get(f"{how}DuringSchedulingIgnoredDuringExecution") or []


def together(node, other, key):
    return other is not None and key in labels(node) and labels(other).get(key) == labels(node)[key]


def pod_affinity(cluster, pod, node):
    required = terms(pod, "podAffinity")
    group = (
        [p for p in cluster.pods if all(admits(cluster, pod, t, p) for t in required)]
        if required
        else []
    )
    keyed = [
        p
        for p in group
        if any(t["topologyKey"] in labels(cluster.node_of(p) or {"metadata": {}}) for t in required)
    ]
    alone = not keyed and all(admits(cluster, pod, t, pod) for t in required)
    for t in required:
        near = any(together(node, cluster.node_of(p), t["topologyKey"]) for p in group)
        if t["topologyKey"] not in labels(node) or not (near or alone):
            return ["node(s) didn't match pod affinity rules"], True
    for t in terms(pod, "podAntiAffinity"):
        if any(
            admits(cluster, pod, t, p) and together(node, cluster.node_of(p), t["topologyKey"])
            for p in cluster.pods
        ):
            return ["node(s) didn't match pod anti-affinity rules"], False
    for p in cluster.pods:
        for t in terms(p, "podAntiAffinity"):
            if admits(cluster, p, t, pod) and together(node, cluster.node_of(p), t["topologyKey"]):
                return ["node(s) didn't satisfy existing pods anti-affinity rules"], False
    return None


FILTERS = {
    "NodeUnschedulable": unschedulable, "NodeName": node_name, "TaintToleration": taints,
    "NodeAffinity": node_affinity, "NodePorts": free_ports, "NodeResourcesFit": resources,
    "PodTopologySpread": spread, "InterPodAffinity": pod_affinity,
}  # fmt: skip


def rejection(cluster, pod, node, plugins=None):
    """What the first filter that rejects the node says."""
    for name, check in FILTERS.items():
        if plugins is None or name in plugins:
            found = check(cluster, pod, node)
            if found:
                return found
    return None


# Scores: each returns the normalised scores of the feasible nodes in order, or None when it does
# not apply


def score_taints(cluster, pod, nodes, options):
    raw = [sum(t["effect"] == "PreferNoSchedule" and not tolerates(pod, t, "PreferNoSchedule")
               for t in n["spec"].get("taints") or []) for n in nodes]  # fmt: skip
    return [100 - 100 * r // max(raw) if max(raw) else 100 for r in raw]


def score_node_affinity(cluster, pod, nodes, options):
    preferred = terms(pod, "nodeAffinity", "preferred")
    if not preferred:
        return None
    raw = [sum(p["weight"] for p in preferred if term_matches(p["preference"], n)) for n in nodes]
    return [100 * r // max(raw) if max(raw) else 0 for r in raw]


def score_fit(cluster, pod, nodes, options):
    return [fit_of(cluster, pod, n, options.get("strategy", "LeastAllocated")) for n in nodes]


def fit_of(cluster, pod, node, strategy):
    room, taken = allocatable(node), plus(used(cluster, node, nonzero), nonzero(pod))
    found = []
    for name in ("cpu", "memory"):
        if not room.get(name):
            continue
        wanted = taken.get(name, 0)
        if strategy == "LeastAllocated":
            found.append(0 if wanted > room[name] else (room[name] - wanted) * 100 // room[name])
        else:
            found.append(min(wanted, room[name]) * 100 // room[name])
    return sum(found) // len(found) if found else 0


def score_balanced(cluster, pod, nodes, options):
    wanted = requests(pod)
    if not wanted.get("cpu") and not wanted.get("memory"):
        return None
    return [balanced_of(cluster, pod, n, options.get("formula", "change")) for n in nodes]


def balanced_of(cluster, pod, node, formula):
    room, before = allocatable(node), used(cluster, node)
    after = plus(before, requests(pod))

    def balance(taken):
        shares = [min(1.0, taken.get(k, 0) / room[k]) for k in ("cpu", "memory") if room.get(k)]
        deviation = abs((shares[0] - shares[1]) / 2) if len(shares) == 2 else 0.0
        return int((1 - deviation) * 100)

    return (
        balance(after) if formula == "state" else 50 + (50 + balance(after) - balance(before)) // 2
    )


def score_spread(cluster, pod, nodes, options):
    wanted = constraints(cluster, pod, hard=False)
    if not wanted:
        return None
    strict = bool(pod["spec"].get("topologySpreadConstraints"))
    kept = [n for n in nodes if not strict or has_keys(n, wanted)]
    raw = {n["metadata"]["name"]: spread_of(cluster, pod, n, kept, wanted, strict) for n in kept}
    high, low = max(raw.values(), default=0), min(raw.values(), default=0)
    found = []
    for n in nodes:
        if n["metadata"]["name"] not in raw:
            found.append(0)
        else:
            found.append(100 * (high + low - raw[n["metadata"]["name"]]) // high if high else 100)
    return found


def spread_of(cluster, pod, node, kept, wanted, strict):
    total = 0.0
    for c in wanted:
        key = c["topologyKey"]
        if key not in labels(node):
            continue
        if key == HOSTNAME:
            domains, count = len(kept), selected(cluster, c, pod, node)
        else:
            domains = len({labels(n).get(key, "") for n in kept})
            counted = [
                n
                for n in cluster.nodes
                if (not strict or has_keys(n, wanted)) and included(c, pod, n)
            ]
            count = sum(selected(cluster, c, pod, n) for n in counted if together(node, n, key))
        total += count * math.log(domains + 2) + (c["maxSkew"] - 1)
    return int(total) + (total - int(total) >= 0.5)


def score_pod_affinity(cluster, pod, nodes, options):
    found, any_match = {n["metadata"]["name"]: 0 for n in nodes}, False
    for other in cluster.pods:
        node_name = cluster.node_of(other)
        if node_name is None:
            continue
        for weight, key in pulls(cluster, pod, other):
            any_match |= key in labels(node_name)
            for n in nodes:
                if together(n, node_name, key):
                    found[n["metadata"]["name"]] += weight
    if not any_match:
        return None
    high, low = max(found.values()), min(found.values())
    return [
        int(100.0 * ((found[n["metadata"]["name"]] - low) / (high - low))) if high > low else 0
        for n in nodes
    ]


def pulls(cluster, pod, other):
    """(weight, key) of every term between the newcomer and a pod that runs."""
    for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
        for p in terms(pod, kind, "preferred"):
            if admits(cluster, pod, p["podAffinityTerm"], other):
                yield sign * p["weight"], p["podAffinityTerm"]["topologyKey"]
        for p in terms(other, kind, "preferred"):
            if admits(cluster, other, p["podAffinityTerm"], pod):
                yield sign * p["weight"], p["podAffinityTerm"]["topologyKey"]
    for t in terms(other, "podAffinity"):
        if admits(cluster, other, t, pod):
            yield 1, t["topologyKey"]


def score_images(cluster, pod, nodes, options):
    containers = [
        *(pod["spec"].get("initContainers") or []),
        *(pod["spec"].get("containers") or []),
    ]
    return [images_of(cluster, containers, n) for n in nodes]


def images_of(cluster, containers, node):
    total, least, most = 0, 23 * 2**20, 1000 * 2**20 * len(containers)
    for container in containers:
        name = container.get("image", "")
        name = name if ":" in name.rsplit("/", 1)[-1] else name + ":latest"
        holders = [n for n in cluster.nodes if name in image_sizes(n)]
        if name in image_sizes(node):
            total += int(image_sizes(holders[0])[name] * (len(holders) / len(cluster.nodes)))
    total = max(least, min(total, most))
    return 100 * (total - least) // (most - least)


def image_sizes(node):
    return {name: i["sizeBytes"] for i in node["status"].get("images") or [] for name in i["names"]}


SCORES = {
    "TaintToleration": score_taints, "NodeAffinity": score_node_affinity,
    "NodeResourcesFit": score_fit,
    "NodeResourcesBalancedAllocation": score_balanced, "PodTopologySpread": score_spread,
    "InterPodAffinity": score_pod_affinity, "ImageLocality": score_images,
}  # fmt: skip


# Decisions


def explain(objects, pod, candidates=None, plugins=None, **options):
    """The same as kubelite.control.scheduler.explain, without what is only told and decides
    nothing.
    """
    cluster = Cluster(objects)
    rejections = {n["metadata"]["name"]: rejection(cluster, pod, n, plugins) for n in cluster.nodes}
    feasible = [n for n in cluster.nodes if not rejections[n["metadata"]["name"]]
                and (candidates is None or n["metadata"]["name"] in candidates)]  # fmt: skip
    rows = {}
    for name, score in SCORES.items():
        if feasible and (plugins is None or name in plugins):
            rows[name] = score(cluster, pod, feasible, options)
    kept = {name: row for name, row in rows.items() if row is not None}
    scores = {
        n["metadata"]["name"]: {name: row[i] for name, row in kept.items()}
        for i, n in enumerate(feasible)
    }
    totals = {
        node: sum(WEIGHTS[name] * value for name, value in row.items())
        for node, row in scores.items()
    }
    best = [node for node, total in totals.items() if total == max(totals.values())]
    return {
        "rejections": rejections,
        "scores": scores,
        "totals": totals,
        "acceptable": best,
        "skipped": {name for name, row in rows.items() if row is None},
        "preemption": None if feasible else preempt(cluster, pod, rejections),
    }


def importance(pod):
    return -priority(pod), pod["status"].get("startTime") or "9"


def preempt(cluster, pod, rejections):
    """Victims by node, in order of importance, with how many budgets each set violates."""
    found = {}
    for node in cluster.nodes:
        why = rejections[node["metadata"]["name"]]
        if why and not why[1]:
            victims = victims_on(cluster, pod, node)
            if victims is not None:
                found[node["metadata"]["name"]] = victims
    return found


def victims_on(cluster, pod, node):
    lower = sorted((p for p in cluster.on(node) if priority(p) < priority(pod)), key=importance)
    everyone = cluster.pods
    try:
        cluster.pods = [p for p in everyone if p not in lower]
        if not lower or rejection(cluster, pod, node):
            return None
        violating = over_budget(cluster, lower)
        victims = []
        for p in [*(p for p in lower if p in violating), *(p for p in lower if p not in violating)]:
            cluster.pods.append(p)
            if rejection(cluster, pod, node):
                cluster.pods.remove(p)
                victims.append(p)
        return sorted(victims, key=importance), sum(p in violating for p in victims)
    finally:
        cluster.pods = everyone


def over_budget(cluster, lower):
    """The pods whose eviction goes beyond what is left of a budget, if all are evicted in this
    order.
    """
    left = [b["status"].get("disruptionsAllowed", 0) for b in cluster.budgets]
    violating = []
    for p in lower:
        for i, b in enumerate(cluster.budgets):
            selector = b["spec"].get("selector") or {}
            empty = not selector.get("matchLabels") and not selector.get(
                "matchExpressions"
            )  # selects nothing here
            if (
                namespace(b) == namespace(p)
                and labels(p)
                and not empty
                and matches(selector, labels(p))
            ):
                left[i] -= 1
                if left[i] < 0 and p not in violating:
                    violating.append(p)
    return violating


def best_nodes(candidates):
    """The candidates that tie after all criteria."""

    def measure(node):
        victims, violations = candidates[node]
        top = max(priority(p) for p in victims)
        earliest = min(p["status"].get("startTime") or "9" for p in victims if priority(p) == top)
        return (
            violations,
            top,
            sum(priority(p) + 2**31 for p in victims),
            len(victims),
            [-ord(c) for c in earliest],
        )

    return sorted(node for node in candidates if measure(node) == min(map(measure, candidates)))
