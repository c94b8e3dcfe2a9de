"""Requests and limits of pods, QoS classes, OOM scores."""

from __future__ import annotations

import pytest

from kubelite.objects.pod import qos
from kubelite.objects.pod.pod import Container, Pod, PodSpec, ResourceRequirements

GIB = 1 << 30


def container(
    name: str = "c", *, restart: str | None = None, limits: str = "", requests: str = ""
) -> Container:
    return Container(
        name=name,
        image="i",
        restart_policy=restart,
        resources=ResourceRequirements(limits=pairs(limits), requests=pairs(requests)),
    )


def pairs(text: str) -> dict[str, str]:
    return dict(part.split("=") for part in text.split(",")) if text else {}


def pod(*containers: Container, init: tuple[Container, ...] = (), **spec: object) -> Pod:
    return Pod(spec=PodSpec(containers=containers, init_containers=init, **spec))


FULL = "cpu=1,memory=1Gi"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (pod(container()), "BestEffort"),
        (pod(container(limits="example.com/gpu=1")), "BestEffort"),
        (pod(container(limits=FULL)), "Guaranteed"),
        (pod(container(limits=FULL, requests="cpu=1000m,memory=1024Mi")), "Guaranteed"),
        (pod(container(limits=FULL, requests="cpu=500m")), "Burstable"),
        (pod(container(limits="cpu=1")), "Burstable"),
        (pod(container(requests=FULL)), "Burstable"),
        (pod(container(limits=FULL), container("d")), "Burstable"),
        (pod(container(limits=FULL), init=(container("i"),)), "Burstable"),
        (pod(container(limits=FULL), init=(container("i", limits=FULL),)), "Guaranteed"),
        (pod(container(requests="cpu=0")), "BestEffort"),
        (pod(container(), resources=ResourceRequirements(limits=pairs(FULL))), "Guaranteed"),
        (
            pod(container(limits=FULL), resources=ResourceRequirements(requests={"cpu": "1"})),
            "Burstable",
        ),
    ],
)
def test_the_class_follows_from_requests_and_limits(made: Pod, expected: str) -> None:
    assert qos.qos_class(made) == expected


def test_containers_add_up_and_the_most_demanding_init_container_counts() -> None:
    made = pod(
        container("a", requests="cpu=100m,memory=10Mi"),
        container("b", limits="cpu=200m"),
        init=(container("i", requests="cpu=250m"), container("j", requests="cpu=50m,memory=64Mi")),
    )
    assert qos.pod_requests(made) == {"cpu": 300, "memory": 64 << 20}


def test_sidecars_count_beside_everything_after_them() -> None:
    made = pod(
        container("a", requests="cpu=100m"),
        init=(
            container("first", requests="cpu=100m"),
            container("side", restart="Always", requests="cpu=300m"),
            container("second", requests="cpu=200m"),
        ),
    )
    assert qos.pod_requests(made) == {"cpu": 500}


def test_overhead_and_the_pods_own_requests() -> None:
    plain = pod(container(requests="cpu=100m,memory=1Gi"), overhead={"cpu": "50m"})
    assert qos.pod_requests(plain) == {"cpu": 150, "memory": GIB}
    own = ResourceRequirements(requests={"cpu": "2"}, limits={"memory": "3Gi"})
    assert qos.pod_requests(pod(container(requests="cpu=100m"), resources=own)) == {
        "cpu": 2000,
        "memory": 3 * GIB,
    }


def test_a_pod_is_limited_only_where_every_container_is() -> None:
    made = pod(container("a", limits="cpu=1,memory=1Gi"), container("b", limits="memory=1Gi"))
    assert qos.pod_limits(made) == {"memory": 2 * GIB}
    assert qos.pod_resources(made) == qos.Resources(
        cpu_request=1000, memory_request=2 * GIB, memory_limit=2 * GIB
    )
    assert qos.pod_limits(pod(container(limits="cpu=1"), init=(container("i"),))) == {}


def test_one_containers_resources() -> None:
    found = qos.resources(container(limits="cpu=1,memory=1Gi", requests="cpu=1m"))
    assert found == qos.Resources(1, 1000, GIB, GIB)


@pytest.mark.parametrize(
    ("limits", "requests", "expected"),
    [
        (FULL, "", -997),
        ("", "", 1000),
        ("", "cpu=1", 999),
        ("", "memory=1Gi", 750),
        ("", "memory=4Gi", 3),
        ("", "memory=8Gi", 3),
        ("memory=2Gi", "", 500),
    ],
)
def test_oom_scores_on_a_machine_of_four_gib(limits: str, requests: str, expected: int) -> None:
    made = container(limits=limits, requests=requests)
    assert qos.oom_score_adj(pod(made), made, 4 * GIB) == expected


def test_a_sidecar_is_as_precious_as_what_it_serves() -> None:
    side = container("side", restart="Always", requests="memory=1Mi")
    made = pod(container(requests="memory=2Gi"), init=(side,))
    assert qos.oom_score_adj(made, side, 4 * GIB) == 500
