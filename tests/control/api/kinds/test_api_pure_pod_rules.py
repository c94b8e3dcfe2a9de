"""``pod check`` and the API server say the same of every pod: one set of rules, reached both
ways.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.cli.review import judge
from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire.status import StatusError
from kubelite.objects.rules import reading
from kubelite.objects.rules.cause import path_text
from tests.control.api.pure import res_of
from tests.objects.test_objects_pod_rules import BAD, GOOD

Object = dict[str, Any]
UNREADABLE = (reading.UNKNOWN_FIELD, reading.WRONG_TYPE, reading.NOT_A_QUANTITY)
Causes = list[tuple[str, str, str]]


def by_check(document: Object) -> Causes:
    """What ``pod check`` finds, without line, code and hint."""
    return [
        (path_text(cause.path), cause.reason, cause.message)
        for cause in judge(deepcopy(document)).causes
    ]


def by_server(document: Object) -> Causes | None:
    """What the API server finds; None where it cannot read the document."""
    res = res_of(document)
    try:
        read, _ = strategy.conform(res, deepcopy(document))
    except StatusError:
        return None
    read["metadata"].setdefault("namespace", "default")
    causes = strategy.validate_create(res, strategy.prepare_create(res, read))
    return [(cause.field, cause.reason, cause.message) for cause in causes]


@pytest.mark.parametrize("document", [row[1] for row in BAD], ids=[row[0] for row in BAD])
def test_both_refuse_a_broken_pod_with_the_same_causes(document: Object) -> None:
    found = by_check(document)
    assert found and found == by_server(document)


@pytest.mark.parametrize("name", [name for name in GOOD if name != "generated name"])
def test_both_take_a_good_pod(name: str) -> None:
    assert by_check(GOOD[name]) == by_server(GOOD[name]) == []


# Pieces of pods, right and wrong; mixed they break several rules at once.
_texts = st.sampled_from(["a", "A", "a.b", "", "x" * 70, "../x", "/a", "a/b", "Always", "Never"])
_numbers = st.sampled_from([-1, 0, 1, 80, 65536, 2**31 - 1])
_probes = st.fixed_dictionaries(
    {},
    optional={
        "exec": st.fixed_dictionaries({}, optional={"command": st.lists(_texts, max_size=1)}),
        "tcpSocket": st.fixed_dictionaries({"port": _numbers | _texts}),
        "periodSeconds": _numbers,
        "successThreshold": _numbers,
    },
)
_containers = st.fixed_dictionaries(
    {"name": _texts, "image": _texts},
    optional={
        "ports": st.lists(
            st.fixed_dictionaries({"containerPort": _numbers}, optional={"hostPort": _numbers}),
            max_size=2,
        ),
        "env": st.lists(st.fixed_dictionaries({"name": _texts, "value": _texts}), max_size=2),
        "volumeMounts": st.lists(
            st.fixed_dictionaries({"name": _texts, "mountPath": _texts, "subPath": _texts}),
            max_size=2,
        ),
        "resources": st.fixed_dictionaries(
            {},
            optional={
                side: st.dictionaries(
                    st.sampled_from(["cpu", "memory", "a.b/c", "hugepages-2Mi", "odd"]),
                    st.sampled_from(["1", "-1", "500m", "2Mi"]),
                    max_size=2,
                )
                for side in ("limits", "requests")
            },
        ),
        "livenessProbe": _probes,
        "restartPolicy": _texts,
        "securityContext": st.fixed_dictionaries({}, optional={"runAsUser": _numbers}),
    },
)
_volumes = st.fixed_dictionaries(
    {"name": _texts},
    optional={
        "emptyDir": st.just({}),
        "hostPath": st.fixed_dictionaries({"path": _texts, "type": _texts}),
        "secret": st.fixed_dictionaries({}, optional={"secretName": _texts}),
        "nfs": st.fixed_dictionaries({"server": _texts, "path": _texts}),
    },
)
_pods = st.fixed_dictionaries(
    {"containers": st.lists(_containers, max_size=2)},
    optional={
        "initContainers": st.lists(_containers, max_size=1),
        "volumes": st.lists(_volumes, max_size=2),
        "hostNetwork": st.booleans(),
        "hostUsers": st.booleans(),
        "restartPolicy": _texts,
        "dnsPolicy": st.sampled_from(["None", "Default", "x"]),
        "nodeSelector": st.dictionaries(_texts, _texts, max_size=1),
        "activeDeadlineSeconds": _numbers,
        "tolerations": st.lists(
            st.fixed_dictionaries({}, optional={"key": _texts, "operator": _texts}), max_size=2
        ),
        "hostname": _texts,
    },
)


@settings(deadline=None)
@given(_pods)
def test_both_say_the_same_of_any_pod(spec: Object) -> None:
    metadata = {"name": "p", "namespace": "default"}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    assert by_check(document) == by_server(document)


@pytest.mark.parametrize(
    "spec",
    [{"containers": "x"}, {"hostPID": "yes"}, {"priority": 2**31}, {"overhead": {"cpu": "1x"}}],
)
def test_both_refuse_what_cannot_be_read(spec: Object) -> None:
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    assert by_server(document) is None
    assert judge(document).causes
