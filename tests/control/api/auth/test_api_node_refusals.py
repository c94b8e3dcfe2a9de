"""Why a node is refused: what the authorizer says of it, and where it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubelite.control.api.auth import node_refusals
from kubelite.control.api.wire.attributes import AuthorizationAttributes
from kubelite.control.api.wire.request import User
from tests.control.world import cluster, stranger

NODE = User("system:node:n1", groups=("system:nodes", "system:authenticated"))
UNRELATED = "no relationship found between node 'n1' and this object"


@pytest.mark.parametrize(
    ("verb", "group", "resource", "rest", "said"),
    [
        ("get", "", "secrets", {"namespace": "x", "name": "s"}, UNRELATED),
        ("list", "", "secrets", {"namespace": "x"}, "No Object name found"),
        ("list", "", "configmaps", {}, "can only read namespaced object of this type"),
        ("delete", "", "configmaps", {"name": "c"}, "can only read resources of this type"),
        ("list", "", "persistentvolumes", {}, "can only get individual resources of this type"),
        ("get", "", "persistentvolumeclaims", {"sub": "status"},
         "can only get/update/patch this type"),
        ("create", "", "serviceaccounts", {"name": "a"},
         "can only create token subresource of serviceaccount"),
        ("get", "coordination.k8s.io", "leases", {"namespace": "x", "name": "n1"},
         'can only access leases in the "kube-node-lease" system namespace'),
        ("get", "storage.k8s.io", "csinodes", {"name": "n2"},
         "can only access CSINode with the same name as the requesting node"),
        ("list", "resource.k8s.io", "resourceslices", {},
         "can only list/watch/deletecollection resourceslices with nodeName field selector"),
        ("get", "", "nodes", {"name": "n2"},
         "node 'n1' cannot read 'n2', only its own Node object"),
        ("list", "", "pods", {}, "can only list/watch pods with spec.nodeName field selector"),
        ("list", "apps", "deployments", {}, ""),
    ],
)  # fmt: skip
def test_the_words(verb: str, group: str, resource: str, rest: dict[str, str], said: str) -> None:
    attributes = AuthorizationAttributes(NODE, verb, group, resource, **rest)
    assert node_refusals.why("n1", attributes) == said


async def test_a_refusal_and_an_access_review_say_why(tmp_path: Path) -> None:
    async with cluster(tmp_path, tokens={"node": NODE}) as api, stranger(api) as other:
        refused = await other.get("/api/v1/namespaces/default/secrets/s", token="node")
        assert (refused.code, refused.value["message"].rpartition(": ")[2]) == (403, UNRELATED)
        spec = {"resourceAttributes": {"verb": "get", "resource": "nodes", "name": "n2"}}
        review = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
        made = await other.create(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {**review, "spec": spec},
            token="node",
        )
        assert made.ok()["status"] == {
            "allowed": False,
            "reason": "node 'n1' cannot read 'n2', only its own Node object",
        }
