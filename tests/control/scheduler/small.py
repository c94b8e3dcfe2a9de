"""Objects for tests that are read: only what a test is about is written down."""


def node(name, cpu="4", memory="8Gi", pods="110", labels=None, taints=None, **more):
    room = {"cpu": cpu, "memory": memory, "pods": pods, **more.pop("room", {})}
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": {"taints": taints or [], **more},
        "status": {"allocatable": room},
    }


def pod(name="web", cpu=None, memory=None, labels=None, on=None, namespace="default", **spec):
    wanted = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    spec.setdefault(
        "containers", [{"name": "c", "image": "app", "resources": {"requests": wanted}}]
    )
    if on:
        spec["nodeName"] = on
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "spec": spec,
    }


def zone(name):
    return {"topology.kubernetes.io/zone": name}


def reasons(found, name):
    return found["nodes"][name]["reasons"]


def fits(found):
    return [name for name, each in found["nodes"].items() if each["feasible"]]


def scores(found, plugin):
    return {
        name: each["scores"][plugin]
        for name, each in found["nodes"].items()
        if plugin in each["scores"]
    }
