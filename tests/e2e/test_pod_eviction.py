"""A pod that occupies more disk than it may is stopped, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.world import SLEEP, World, eventually, pod

WRITE = "head -c 8M /dev/zero > {}; sync; "
VOLUME = {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]}


@pytest.mark.parametrize(
    ("script", "spec", "container", "message"),
    [
        (
            WRITE.format("/big"),
            {},
            {"resources": {"limits": {"ephemeral-storage": "1Mi"}}},
            "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ",
        ),
        (
            WRITE.format("/v/big"),
            VOLUME,
            {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
        ),
    ],
)
def test_a_pod_over_its_limit_is_evicted(
    world: World, script: str, spec: dict[str, Any], container: dict[str, Any], message: str
) -> None:
    world.up(pod(script + SLEEP, spec=spec, **container))
    status = eventually(lambda: _failed(world), "the pod is evicted", seconds=40)
    assert (status["reason"], status["message"]) == ("Evicted", message)


def _failed(world: World) -> dict[str, Any] | None:
    status = world.get("p")["status"]
    return status if status["phase"] == "Failed" else None
