"""An extension server behind the API server: a real one, in a process of its own, asked by kubectl
and over the wire.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubelite.cli.server.kubeconfig import write_kubeconfig
from kubelite.control.api.aggregation.identity import headers_of
from kubelite.control.api.auth.pki import Pki
from kubelite.control.api.discovery.delegated import version_order
from kubelite.control.api.wire.request import User
from kubelite.control.store.sqlite import SQLite
from tests.control.debian import kubectl_of
from tests.control.world import Cluster, Object, cluster, on_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ADDRESS = "198.51.100.17"
SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
NAME = "v1alpha1.wardle.example.com"
GROUP = "/apis/wardle.example.com/v1alpha1"
FLUNDERS = f"{GROUP}/namespaces/default/flunders"
AUTHENTICATION = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
SECONDS = 30


def flunder(name: str) -> Object:
    return {
        "kind": "Flunder",
        "apiVersion": "wardle.example.com/v1alpha1",
        "metadata": {"name": name},
        "spec": {"color": "red"},
    }


def api_service(**spec: Any) -> Object:
    return {
        "kind": "APIService",
        "apiVersion": "apiregistration.k8s.io/v1",
        "metadata": {"name": NAME},
        "spec": {
            "group": "wardle.example.com",
            "version": "v1alpha1",
            "groupPriorityMinimum": 2000,
            "versionPriority": 15,
            "service": {"namespace": "default", "name": "wardle", "port": 443},
            **spec,
        },
    }


SERVICE: Object = {
    "kind": "Service",
    "apiVersion": "v1",
    "metadata": {"name": "wardle"},
    "spec": {"ports": [{"name": "https", "port": 443}]},
}


THINGS: Object = {
    "kind": "CustomResourceDefinition",
    "apiVersion": "apiextensions.k8s.io/v1",
    "metadata": {"name": "things.ex.com"},
    "spec": {
        "group": "ex.com",
        "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    },
}


def slice_of(address: str, port: int) -> Object:
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"name": "wardle-1", "labels": {"kubernetes.io/service-name": "wardle"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": "https", "port": port}],
    }


@contextmanager
def extension_server(directory: Path, client_authority: Path) -> Iterator[tuple[int, str]]:
    """Its port and its authority in base64."""
    pki = Pki(str(directory))
    pair = pki.server(["wardle.default.svc"])
    script = Path(__file__).with_name("extension_server.py")
    command = [sys.executable, str(script), ADDRESS, *pair, str(client_authority)]
    with on_loopback(ADDRESS), subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            yield port, base64.b64encode(Path(pki.authority.certificate).read_bytes()).decode()
        finally:
            process.kill()


async def condition(api: Cluster, reason: str) -> Object:
    """The condition ``Available``, once it gives that reason."""
    async with asyncio.timeout(SECONDS):
        while True:
            status = (await api.get(f"{API_SERVICES}/{NAME}")).ok().get("status") or {}
            for known in status.get("conditions") or ():
                if known["type"] == "Available" and known["reason"] == reason:
                    return dict(known)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def with_extension(path: Path) -> AsyncIterator[Cluster]:
    """A cluster with an extension server that is available."""
    async with cluster(path) as api:
        authority = path / "front-proxy.crt"
        authority.write_text(await trusted(api))
        with extension_server(path / "wardle", authority) as (port, bundle):
            (await api.create(SERVICES, SERVICE)).ok()
            (await api.create(SLICES, slice_of(ADDRESS, port))).ok()
            (await api.create(API_SERVICES, api_service(caBundle=bundle))).ok()
            passed = await condition(api, "Passed")
            assert (passed["status"], passed["message"]) == ("True", "all checks passed")
            yield api


async def run(config: Path, *words: str, version: str = "new") -> str:
    process = await asyncio.create_subprocess_exec(
        kubectl_of(version), "--kubeconfig", str(config), *words,
        env={**os.environ, "HOME": str(config.parent)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(SECONDS):
        out, err = await process.communicate()
    assert process.returncode == 0, (words, out, err)
    return out.decode()


async def test_kubectl_sees_the_kinds_of_an_extension_server(tmp_path: Path) -> None:
    async with with_extension(tmp_path) as api:
        config = tmp_path / "config"
        write_kubeconfig(api.server, str(config))
        (await api.create(FLUNDERS, flunder("one"))).ok()
        for version in ("new", "old"):
            listed = await run(config, "api-resources", "--api-group=wardle.example.com",
                               version=version)  # fmt: skip
            assert "flunders" in listed and "fl " in listed
            assert (await run(config, "get", "fl", "-o", "name", version=version)) == (
                "flunder.wardle.example.com/one\n"
            )
            explained = await run(config, "explain", "flunder.spec.color", version=version)
            assert "How it looks." in explained
        assert "wardle.example.com/v1alpha1" in await run(config, "api-versions")
        shown = await run(config, "get", "apiservice", NAME)
        assert "default/wardle" in shown and "True" in shown
        watch = await run(config, "get", "fl", "-w", "-o", "name", "--request-timeout=2s")
        assert watch.startswith("flunder.wardle.example.com/one\n")


async def test_who_asks_is_told_and_nothing_else_of_it(tmp_path: Path) -> None:
    async with with_extension(tmp_path) as api:
        spoofed = {
            "X-Remote-User": "root",
            "X-Remote-Group": "system:masters",
            "Impersonate-User": "ann",
            "Impersonate-Group": "painters",
            "Impersonate-Extra-Acme.com%2Fdesk": "7",
            "Sec-WebSocket-Protocol": "base64url.bearer.authorization.k8s.io.c2VjcmV0, chat",
        }
        binding = {
            "kind": "ClusterRoleBinding",
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "metadata": {"name": "ann"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                        "name": "wardle"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}],
        }  # fmt: skip
        role = {
            "kind": "ClusterRole",
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "metadata": {"name": "wardle"},
            "rules": [{"apiGroups": ["wardle.example.com"], "resources": ["flunders"],
                       "verbs": ["get"]}],
        }  # fmt: skip
        refused = await api.get(f"{FLUNDERS}/whoami", headers=spoofed)
        assert refused.code == 403
        (await api.create("/apis/rbac.authorization.k8s.io/v1/clusterroles", role)).ok()
        (await api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)).ok()
        headers = (await api.get(f"{FLUNDERS}/whoami", headers=spoofed)).ok()
        remote = {
            (key.lower(), value) for key, value in headers if key.lower().startswith("x-remote")
        }
        assert remote == {
            ("x-remote-user", "ann"),
            ("x-remote-group", "painters"),
            ("x-remote-group", "system:authenticated"),
            ("x-remote-extra-acme.com%2fdesk", "7"),
        }
        names = {key.lower() for key, _ in headers}
        assert not {name for name in names if name.startswith("impersonate-")}
        assert "authorization" not in names
        protocols = [value for key, value in headers if key.lower() == "sec-websocket-protocol"]
        assert protocols == ["chat"]


async def test_watches_and_other_protocols_go_through(tmp_path: Path) -> None:
    async with with_extension(tmp_path) as api:
        async with api.watch(FLUNDERS) as watch:
            (await api.create(FLUNDERS, flunder("late"))).ok()
            event = await watch.next()
            assert event is not None
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "late")
        async with api.session.ws_connect(f"{api.url}{FLUNDERS}/late/echo") as socket:
            async with asyncio.timeout(SECONDS):
                assert await socket.receive_str() == "kubernetes-admin"
                await socket.send_str("hello")
                assert await socket.receive_str() == "hello"
        for name in ("Ã©", "é", "文"):  # the first has the letters of the second's bytes
            impersonated = {"Impersonate-User": name, "Impersonate-Group": "system:masters"}
            async with api.session.ws_connect(
                f"{api.url}{FLUNDERS}/late/echo", headers=impersonated
            ) as socket:
                assert await socket.receive_str(timeout=SECONDS) == name
        missing = await api.get(f"{FLUNDERS}/none")
        assert (missing.code, missing.value["reason"]) == (404, "NotFound")
        redirected = await api.get(f"{FLUNDERS}/redirect")
        assert (redirected.code, redirected.body) == (
            502,
            b"the backend attempted to redirect this request, which is not permitted",
        )


async def test_discovery_and_schemas_are_merged(tmp_path: Path) -> None:
    wanted = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
    async with with_extension(tmp_path) as api:
        whole = await api.get("/apis", headers=wanted)
        names = [item["metadata"]["name"] for item in json.loads(whole.body)["items"]]
        assert names.index("wardle.example.com") == len(names) - 1
        (item,) = [each for each in json.loads(whole.body)["items"]
                   if each["metadata"]["name"] == "wardle.example.com"]  # fmt: skip
        (version,) = item["versions"]
        assert version["freshness"] == "Current"
        (row,) = version["resources"]
        assert (row["resource"], row["scope"], row["shortNames"]) == (
            "flunders", "Namespaced", ["fl"],
        )  # fmt: skip
        assert row["subresources"][0]["subresource"] == "echo"
        groups = {each["name"] for each in (await api.get("/apis")).ok()["groups"]}
        assert "wardle.example.com" in groups
        alone = (await api.get("/apis/wardle.example.com")).ok()
        assert alone["preferredVersion"]["version"] == "v1alpha1"
        assert (await api.get(GROUP)).ok()["resources"][0]["name"] == "flunders"
        index = (await api.get("/openapi/v3")).ok()["paths"]
        document = (await api.get(index[GROUP[1:]]["serverRelativeURL"])).ok()
        assert "com.example.wardle.v1alpha1.Flunder" in document["components"]["schemas"]
        swagger = (await api.get("/openapi/v2")).ok()
        assert {"com.example.wardle.v1alpha1.Flunder", "io.k8s.api.core.v1.Pod"} <= set(
            swagger["definitions"]
        )
        assert GROUP in (await api.get("/")).ok()["paths"]
        (await api.delete(f"{API_SERVICES}/{NAME}")).ok()
        assert (await api.get(FLUNDERS)).code == 404
        async with asyncio.timeout(SECONDS):
            while (await api.get("/apis/wardle.example.com")).code != 404:
                await asyncio.sleep(0.05)


async def test_why_an_extension_server_is_not_available(tmp_path: Path) -> None:
    stale = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
    async with cluster(tmp_path) as api:
        (await api.create(API_SERVICES, api_service(insecureSkipTLSVerify=True))).ok()
        known = await condition(api, "ServiceNotFound")
        assert (known["status"], known["message"]) == (
            "False", 'service/wardle in "default" is not present',
        )  # fmt: skip
        for path in (GROUP, FLUNDERS):
            reply = await api.get(path)
            assert (reply.code, reply.body) == (503, b"service unavailable\n")
        items = json.loads((await api.get("/apis", headers=stale)).body)["items"]
        assert [item["versions"][0]["freshness"] for item in items
                if item["metadata"]["name"] == "wardle.example.com"] == ["Stale"]  # fmt: skip
        wrong = {**SERVICE, "spec": {"ports": [{"name": "https", "port": 444}]}}
        (await api.create(SERVICES, wrong)).ok()
        known = await condition(api, "ServicePortError")
        assert known["message"] == 'service/wardle in "default" is not listening on port 443'
        (await api.patch(f"{SERVICES}/wardle", {"spec": SERVICE["spec"]})).ok()
        known = await condition(api, "EndpointsNotFound")
        assert known["message"] == 'cannot find endpointslices for service/wardle in "default"'
        (await api.create(SLICES, {**slice_of(ADDRESS, 1), "endpoints": []})).ok()
        known = await condition(api, "MissingEndpoints")
        assert known["message"] == (
            'endpointslices for service/wardle in "default" have no addresses '
            'with port name "https"'
        )
        with on_loopback(ADDRESS):
            there = {"endpoints": [{"addresses": [ADDRESS]}]}
            (await api.patch(f"{SLICES}/wardle-1", there)).ok()
            known = await condition(api, "FailedDiscoveryCheck")
            assert known["message"].startswith(
                "failing or missing response from https://wardle.default.svc:443"
                "/apis/wardle.example.com/v1alpha1: "
            )
        groups = (await api.get("/apis")).ok()["groups"]
        assert "wardle.example.com" in {group["name"] for group in groups}


async def test_a_name_leads_to_servers_but_not_to_this_one(tmp_path: Path) -> None:
    async with with_extension(tmp_path) as api:
        slices = (await api.get(f"{SLICES}/wardle-1")).ok()
        port = slices["ports"][0]["port"]
        backend = {"service": {"namespace": "default", "name": "wardle", "port": port}}
        (await api.patch(f"{API_SERVICES}/{NAME}", {"spec": backend})).ok()
        await condition(api, "ServicePortError")
        for address, reason in (("localhost", "FailedDiscoveryCheck"), (ADDRESS, "Passed")):
            named = {"type": "ExternalName", "externalName": address, "clusterIP": None,
                     "clusterIPs": None}  # fmt: skip
            (await api.patch(f"{SERVICES}/wardle", {"spec": named})).ok()
            known = await condition(api, reason)
            refused = "address not allowed: localhost" in known["message"]
            assert refused == (address == "localhost")
        assert (await api.get(FLUNDERS)).code == 200


async def test_versions_that_this_server_serves_have_an_apiservice_too(tmp_path: Path) -> None:
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    async with cluster(tmp_path) as api:
        (await api.create(definitions, THINGS)).ok()
        async with asyncio.timeout(SECONDS):
            while (made := await api.get(f"{API_SERVICES}/v1.ex.com")).code != 200:
                await asyncio.sleep(0.02)
        assert made.value["metadata"]["labels"] == {
            "kube-aggregator.kubernetes.io/automanaged": "true"
        }
        assert made.value["spec"] == {
            "group": "ex.com", "version": "v1", "groupPriorityMinimum": 1000,
            "versionPriority": 100,
        }  # fmt: skip
        (condition,) = made.value["status"]["conditions"]
        assert (condition["status"], condition["reason"]) == ("True", "Local")
        (await api.delete(f"{definitions}/things.ex.com")).ok()
        async with asyncio.timeout(SECONDS):
            while (await api.get(f"{API_SERVICES}/v1.ex.com")).code != 404:
                await asyncio.sleep(0.02)
        assert (await api.get(f"{API_SERVICES}/v1.apps")).code == 200


async def test_servers_of_a_store_are_trusted_together(tmp_path: Path) -> None:
    """Each has an authority of its own for what it shows to extension servers."""
    async with cluster(tmp_path / "a", SQLite(str(tmp_path / "db"))) as first:
        before = await trusted(first)
    async with cluster(tmp_path / "b", SQLite(str(tmp_path / "db"))) as second:
        own = Path(second.server.pki.front_proxy_authority.certificate).read_text()
        assert await trusted(second) == own + before
    async with cluster(tmp_path / "b", SQLite(str(tmp_path / "db"))) as again:
        assert await trusted(again) == own + before


async def trusted(api: Cluster) -> str:
    data = (await api.get(AUTHENTICATION)).ok()["data"]
    return str(data["requestheader-client-ca-file"])


def test_headers_say_who_asks() -> None:
    assert list(headers_of(User("ann\udcff"))) == [("X-Remote-User", "ann?")]
    user = User("ann\r\nX: y", "7", ("a", "b"), (("Ex.org/ä b", ("1", "2")),))
    assert list(headers_of(user)) == [
        ("X-Remote-User", "annX: y"),
        ("X-Remote-Uid", "7"),
        ("X-Remote-Group", "a"),
        ("X-Remote-Group", "b"),
        ("X-Remote-Extra-Ex.org%2F%C3%A4%20b", "1"),
        ("X-Remote-Extra-Ex.org%2F%C3%A4%20b", "2"),
    ]


def test_versions_are_ordered_as_kubernetes_prefers_them() -> None:
    names = ["foo10", "v3beta1", "v12alpha1", "v11beta2", "v10beta3", "v1", "v2", "foo1", "v10"]
    assert sorted(names, key=version_order, reverse=True) == [
        "v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "foo1", "foo10",
    ]  # fmt: skip
