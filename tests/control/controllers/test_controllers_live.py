"""What controllers and API server do together."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelite.client.client import Client
from kubelite.client.errors import ApiError, Unauthorized
from kubelite.client.http import HttpTransport
from kubelite.client.kubeconfig import load
from kubelite.client.resources import PODS
from kubelite.testing.cluster import Cluster, run_cluster
from kubelite.testing.kube import Kube

pytest_plugins = ["kubelite.testing.fixtures"]


@pytest.fixture(scope="module")
def cluster(cluster_keys: Path) -> Iterator[Cluster]:
    with run_cluster(cluster_keys) as running:
        yield running


def token_secret(name: str, account: str, **annotations: str) -> dict[str, Any]:
    annotations = {"kubernetes.io/service-account.name": account} | {
        f"kubernetes.io/service-account.{key}": value for key, value in annotations.items()
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": name, "annotations": annotations},
    }


async def reason_of_list(kube: Kube, token: str) -> str:
    """Why the holder of a token may not list pods."""
    access = load(str(kube.kubeconfig))._replace(certificate=b"", key=b"", token=token)
    client = Client(HttpTransport(access))
    try:
        await client.list(PODS, kube.namespace)
    except ApiError as error:
        return type(error).__name__
    finally:
        await client.close()
    return ""


def test_a_secret_gets_the_token_of_its_account_and_goes_with_it(kube: Kube) -> None:
    kube.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot}}")
    kube.apply(token_secret("robot", "robot"))
    secret = kube.wait("secret", "robot", lambda secret: secret["data"]["token"])
    assert sorted(secret["data"]) == ["ca.crt", "namespace", "token"]
    assert base64.b64decode(secret["data"]["namespace"]).decode() == kube.namespace
    uid = secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"]
    assert uid == kube.get("sa", "robot")["metadata"]["uid"]
    token = base64.b64decode(secret["data"]["token"]).decode()
    run = kube.cluster.run
    assert run(reason_of_list(kube, token)) == "Forbidden", "it is known, and has no rights"
    kube.patch("secret", "robot", {"data": {"ca.crt": None}})
    kube.wait("secret", "robot", lambda secret: secret["data"]["ca.crt"])
    kube.delete("sa", "robot")
    kube.wait_gone("secret", "robot")
    assert run(reason_of_list(kube, token)) == Unauthorized.__name__


def test_a_secret_for_nobody_or_for_an_earlier_account_goes(kube: Kube) -> None:
    kube.apply(token_secret("nobody", "nobody"))
    kube.apply(token_secret("earlier", "default", uid="another"))
    kube.wait_gone("secret", "nobody")
    kube.wait_gone("secret", "earlier")


def test_endpoints_go_with_their_service(kube: Kube) -> None:
    for name, selector in (("with", {"app": "x"}), ("without", None)):
        spec = {"selector": selector, "ports": [{"port": 80}]}
        metadata = {"name": name}
        kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    by_hand = '{apiVersion: v1, kind: Endpoints, metadata: {name: "%s"}}'
    kube.apply(by_hand % "without")
    kube.apply(by_hand % "alone")
    kube.wait("endpoints", "with", lambda endpoints: endpoints["metadata"]["labels"])
    kube.delete("service", "with")
    kube.delete("service", "without")
    kube.wait_gone("endpoints", "with")
    kube.wait_gone("endpoints", "without")
    kube.cluster.settle()
    assert [endpoints["metadata"]["name"] for endpoints in kube.list("endpoints")] == ["alone"]
