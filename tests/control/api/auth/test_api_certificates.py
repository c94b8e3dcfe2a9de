"""CertificateSigningRequests: asked, approved, signed, and what nobody can get that way."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubelite.control.api.wire.request import User
from kubelite.control.store.sqlite import SQLite
from tests.control.api.auth.test_api_attacks import RBAC, bound, rule
from tests.control.api.auth.test_api_who import role
from tests.control.world import Cluster, cluster, stranger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
CLIENT, SERVING = "kubernetes.io/kube-apiserver-client", "kubernetes.io/kubelet-serving"
KUBELET = "kubernetes.io/kube-apiserver-client-kubelet"
REVIEW = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
EVE = User("eve", uid="7", groups=("ops", "system:authenticated"), extra=(("team", ("a",)),))


def new_key() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def pkcs10(
    key: Any,
    *names: str,
    orgs: tuple[str, ...] = (),
    hosts: tuple[Any, ...] = (),
    extensions: tuple[Any, ...] = (),
) -> str:
    """A ``spec.request`` for a key."""
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in orgs]
    subject += [x509.NameAttribute(NameOID.COMMON_NAME, each) for each in names]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(hosts)), critical=False)
    for each in extensions:
        builder = builder.add_extension(each, critical=True)
    return base64.b64encode(
        builder.sign(key, SHA256()).public_bytes(serialization.Encoding.PEM)
    ).decode()


def asking(
    name: str,
    request: str,
    signer: str = CLIENT,
    usages: tuple[str, ...] = ("client auth",),
    **spec: Any,
) -> Any:
    spec = {"request": request, "signerName": signer, "usages": list(usages), **spec}
    return {
        "kind": "CertificateSigningRequest",
        "apiVersion": "certificates.k8s.io/v1",
        "metadata": {"name": name},
        "spec": spec,
    }


def verdict(kind: str, status: str = "True") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": "Test"}


async def approve(api: Cluster, name: str, **rest: Any) -> Any:
    obj = (await api.get(f"{REQUESTS}/{name}")).ok()
    obj["status"] = {
        "conditions": [*(obj.get("status") or {}).get("conditions", ()), verdict("Approved")]
    }
    return await api.update(f"{REQUESTS}/{name}/approval", obj, **rest)


async def outcome(api: Cluster, name: str) -> Any:
    """The status of a request that has been signed or has failed."""
    async with asyncio.timeout(10):
        while True:
            status = (await api.get(f"{REQUESTS}/{name}")).ok()["status"]
            if "certificate" in status or any(
                each["type"] == "Failed" for each in status["conditions"]
            ):
                return status
            await asyncio.sleep(0.01)


def certificate(status: Any) -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(status["certificate"]))


@asynccontextmanager
async def holding(api: Cluster, path: Path, key: Any, status: Any) -> AsyncIterator[Cluster]:
    """The server as the holder of a certificate sees it."""
    (path / "own.crt").write_bytes(base64.b64decode(status["certificate"]))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (path / "own.key").write_bytes(private)
    context = ssl.create_default_context(cafile=api.server.pki.authority.certificate)
    context.load_cert_chain(path / "own.crt", path / "own.key")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        yield Cluster(api.server, session, api.url)


@asynccontextmanager
async def both(path: Path) -> AsyncIterator[tuple[Cluster, Cluster]]:
    async with cluster(path, tokens={"eve-token": EVE}) as api, stranger(api) as other:
        yield api, other


async def test_from_a_key_to_a_user(tmp_path: Path) -> None:
    key = new_key()
    async with cluster(tmp_path) as api:
        made = (
            await api.create(
                REQUESTS,
                asking("jane", pkcs10(key, "jane", orgs=("ops", "dev")), expirationSeconds=3600),
            )
        ).ok()
        assert made["spec"]["username"] == "kubernetes-admin"
        assert made["spec"]["groups"] == ["system:masters", "system:authenticated"]
        done = (await approve(api, "jane")).ok()["status"]["conditions"][0]
        assert done["lastUpdateTime"] and done["lastTransitionTime"]
        status = await outcome(api, "jane")
        async with holding(api, tmp_path, key, status) as jane:
            who = (await jane.create(WHO, REVIEW)).ok()["status"]["userInfo"]
        assert (who["username"], who["groups"]) == ("jane", ["ops", "dev", "system:authenticated"])
        found = certificate(status)
        lasts = found.not_valid_after_utc - datetime.now(UTC)
        assert timedelta(seconds=3500) < lasts <= timedelta(seconds=3600)
        assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        rows = (
            await api.get(
                REQUESTS, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
            )
        ).ok()["rows"]
        assert rows[0]["cells"][-1] == "Approved,Issued"


async def test_denied_and_pending_requests_get_nothing(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        for name in ("denied", "pending", "approved"):
            (await api.create(REQUESTS, asking(name, pkcs10(new_key(), name)))).ok()
        denied = {
            "metadata": {"annotations": {"why": "unknown"}},
            "status": {"conditions": [verdict("Denied")]},
        }
        given = (await api.patch(f"{REQUESTS}/denied/approval", denied)).ok()
        assert given["metadata"]["annotations"] == {"why": "unknown"}
        (await approve(api, "approved")).ok()
        await outcome(api, "approved")
        for name in ("denied", "pending"):
            assert "certificate" not in (await api.get(f"{REQUESTS}/{name}")).ok()["status"]
        assert (await approve(api, "denied")).code == 422
        assert (
            await api.patch(f"{REQUESTS}/denied/approval", {"status": {"conditions": []}})
        ).code == 422
        unsure = {"status": {"conditions": [verdict("Approved", "False")]}}
        assert (await api.patch(f"{REQUESTS}/pending/approval", unsure)).code == 422
        around = {"status": {"conditions": [verdict("Approved")]}}
        assert (await api.patch(f"{REQUESTS}/pending/status", around)).code == 422
        smuggled = {"status": {"conditions": [verdict("Approved")], "certificate": "eA=="}}
        assert "certificate" not in (
            await api.patch(f"{REQUESTS}/denied/approval", smuggled)
        ).value.get("status", {})
        other = {"status": {"certificate": base64.b64encode(b"x").decode()}}
        assert (await api.patch(f"{REQUESTS}/approved/status", other)).code == 422
        kept = (await api.patch(f"{REQUESTS}/pending", {"spec": {"signerName": SERVING}})).ok()
        assert kept["spec"]["signerName"] != SERVING


async def test_signers_have_rules(tmp_path: Path) -> None:
    """An approved request that breaks them fails, and says why."""
    host, both = x509.DNSName("n1"), ("digital signature", "client auth")
    server = ("digital signature", "key encipherment", "server auth")
    address = x509.IPAddress(ipaddress.ip_address("192.0.2.1"))
    nodes = {"orgs": ("system:nodes",)}
    cases: list[tuple[str, tuple[str, ...], dict[str, Any], tuple[str, ...], str]] = [
        (CLIENT, ("jane",), {}, ("client auth", "server auth"), "invalid usage"),
        (CLIENT, ("jane",), {}, ("digital signature",), "missing required usage"),
        (CLIENT, ("jane", "kubernetes-admin"), {}, ("client auth",), "more than one common name"),
        (KUBELET, ("system:node:n1",), nodes, both, ""),
        (
            KUBELET,
            ("system:node:n1",),
            {"orgs": ("system:nodes", "system:masters")},
            both,
            "organization",
        ),
        (KUBELET, ("system:node:n1",), {}, both, "organization"),
        (KUBELET, ("jane",), nodes, both, "common name"),
        (KUBELET, ("system:node:",), nodes, both, "common name"),
        (KUBELET, ("system:node:n1",), {**nodes, "hosts": (host,)}, both, "subjectAltNames"),
        (KUBELET, ("system:node:n1",), nodes, (*both, "server auth"), "usages"),
        (SERVING, ("system:node:n1",), {**nodes, "hosts": (host, address)}, server, ""),
        (SERVING, ("system:node:n1",), nodes, server, "subjectAltName is required"),
        (
            SERVING,
            ("system:node:n1",),
            {**nodes, "hosts": (host, x509.RFC822Name("a@b.c"))},
            server,
            "subjectAltNames",
        ),
        (SERVING, ("system:node:n1",), {**nodes, "hosts": (host,)}, both, "usages"),
    ]
    key = new_key()
    async with cluster(tmp_path) as api:
        for number, (signer, names, rest, usages, _) in enumerate(cases):
            (
                await api.create(
                    REQUESTS, asking(f"r{number}", pkcs10(key, *names, **rest), signer, usages)
                )
            ).ok()
            (await approve(api, f"r{number}")).ok()
        for number, (*case, why) in enumerate(cases):
            status = await outcome(api, f"r{number}")
            failed = [each for each in status["conditions"] if each["type"] == "Failed"]
            assert bool(failed) == bool(why) == ("certificate" not in status), case
            assert not why or (failed[0]["reason"], why in failed[0]["message"]) == (
                "SignerValidationFailure",
                True,
            ), failed
        (await api.create(REQUESTS, asking("elsewhere", pkcs10(key, "x"), "example.com/own"))).ok()
        (await approve(api, "elsewhere")).ok()
        (await api.create(REQUESTS, asking("last", pkcs10(key, "x")))).ok()
        (await approve(api, "last")).ok()
        await outcome(api, "last")
        assert "certificate" not in (await api.get(f"{REQUESTS}/elsewhere")).ok()["status"]


async def test_a_serving_certificate_is_no_way_in(tmp_path: Path) -> None:
    """It carries the name of a node, and the server does not take it for one."""
    key = new_key()
    request = pkcs10(key, "system:node:n1", orgs=("system:nodes",), hosts=(x509.DNSName("n1"),))
    async with cluster(tmp_path) as api:
        (
            await api.create(
                REQUESTS, asking("s", request, SERVING, ("digital signature", "server auth"))
            )
        ).ok()
        (await approve(api, "s")).ok()
        status = await outcome(api, "s")
        async with holding(api, tmp_path, key, status) as node:
            with pytest.raises(aiohttp.ClientError):
                await node.create(WHO, REVIEW)


@pytest.mark.parametrize(
    ("request_", "rest", "field"),
    [
        ("", {}, "spec.request"),
        ("AAAA", {}, "spec.request"),
        (
            base64.b64encode(
                b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----"
            ).decode(),
            {},
            "spec.request",
        ),
        (
            base64.b64encode(
                b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
            ).decode(),
            {},
            "spec.request",
        ),
        (None, {"usages": []}, "spec.usages"),
        (None, {"usages": ["client auth", "flying"]}, "spec.usages[1]"),
        (None, {"usages": ["client auth", "client auth"]}, "spec.usages[1]"),
        (None, {"signerName": "kubernetes.io/legacy-unknown"}, "spec.signerName"),
        (None, {"signerName": "nodots/x"}, "spec.signerName"),
        (None, {"signerName": "example.com"}, "spec.signerName"),
        (None, {"signerName": "example.com/../x"}, "spec.signerName"),
        (None, {"expirationSeconds": 599}, "spec.expirationSeconds"),
        (None, {"expirationSeconds": -1}, "spec.expirationSeconds"),
    ],
)
async def test_what_is_no_request(
    tmp_path: Path, request_: str | None, rest: dict[str, Any], field: str
) -> None:
    async with cluster(tmp_path) as api:
        body = asking("x", pkcs10(new_key(), "x") if request_ is None else request_)
        body["spec"] |= rest
        reply = await api.create(REQUESTS, body)
        assert reply.code == 422, reply.body
        assert field in [each["field"] for each in reply.value["details"]["causes"]]


async def test_a_request_that_lies(tmp_path: Path) -> None:
    """A broken signature, an authority's wishes, a stranger's name, the masters' group, a life
    without end.
    """
    key = new_key()
    good = base64.b64decode(pkcs10(key, "x"))
    der = x509.load_pem_x509_csr(good).public_bytes(serialization.Encoding.DER)
    broken = base64.b64encode(der[:-4] + bytes([der[-4] ^ 1]) + der[-3:])
    pem = (
        b"-----BEGIN CERTIFICATE REQUEST-----\n" + broken + b"\n-----END CERTIFICATE REQUEST-----\n"
    )
    async with both(tmp_path) as (api, other):
        assert (await api.create(REQUESTS, asking("b", base64.b64encode(pem).decode()))).code == 422
        masters = await api.create(
            REQUESTS, asking("m", pkcs10(key, "x", orgs=("system:masters",)))
        )
        assert (
            masters.code,
            "system:masters group is not allowed" in masters.value["message"],
        ) == (403, True)
        await api.create(
            f"{RBAC}/clusterroles",
            role(
                "asker",
                rule("create", "certificates.k8s.io", "certificatesigningrequests"),
                kind="ClusterRole",
            ),
        )
        await api.create(
            f"{RBAC}/clusterrolebindings", bound("asker", "ClusterRole", "asker", cluster_wide=True)
        )
        spec = {
            "username": "kubernetes-admin",
            "groups": ["system:masters"],
            "uid": "0",
            "extra": {"a": ["b"]},
        }
        made = (
            await other.create(
                REQUESTS, asking("lie", pkcs10(key, "eve"), **spec), token="eve-token"
            )
        ).ok()["spec"]
        wanted = {
            "username": "eve",
            "uid": "7",
            "groups": ["ops", "system:authenticated"],
            "extra": {"team": ["a"]},
        }
        assert {name: made.get(name) for name in wanted} == wanted
        wishes = (x509.BasicConstraints(ca=True, path_length=None),)
        big = rsa.generate_private_key(65537, 2048)
        (
            await api.create(
                REQUESTS,
                asking("ca", pkcs10(big, "x", extensions=wishes), expirationSeconds=2**31 - 1),
            )
        ).ok()
        (await approve(api, "ca")).ok()
        found = certificate(await outcome(api, "ca"))
        assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert found.not_valid_after_utc - datetime.now(UTC) <= timedelta(days=365)


async def test_approving_and_signing_are_rights_of_their_own(tmp_path: Path) -> None:
    group, all_parts = (
        "certificates.k8s.io",
        (
            "certificatesigningrequests "
            "certificatesigningrequests/approval "
            "certificatesigningrequests/status"
        ),
    )
    async with both(tmp_path) as (api, other):
        roles = f"{RBAC}/clusterroles"
        await api.create(
            roles, role("parts", rule("get update patch", group, all_parts), kind="ClusterRole")
        )
        await api.create(
            f"{RBAC}/clusterrolebindings", bound("parts", "ClusterRole", "parts", cluster_wide=True)
        )
        for name, signer in (("a", CLIENT), ("b", "example.com/one"), ("c", "example.com/two")):
            (await api.create(REQUESTS, asking(name, pkcs10(new_key(), "x"), signer))).ok()
            refused = await approve_as(api, other, name)
            assert (
                refused.code,
                f'not permitted to approve requests with signerName "{signer}"'
                in refused.value["message"],
            ) == (403, True)
            signed = await other.patch(
                f"{REQUESTS}/{name}/status", {"status": {"certificate": "eA=="}}, token="eve-token"
            )
            assert (signed.code, "not permitted to sign" in signed.value["message"]) == (403, True)
        await api.create(
            roles,
            role(
                "some", rule("approve sign", group, "signers", "example.com/*"), kind="ClusterRole"
            ),
        )
        await api.create(
            f"{RBAC}/clusterrolebindings", bound("some", "ClusterRole", "some", cluster_wide=True)
        )
        assert [(await approve_as(api, other, name)).code for name in "abc"] == [403, 200, 200]
        assert (
            await other.patch(
                f"{REQUESTS}/b/status", {"status": {"certificate": "eA=="}}, token="eve-token"
            )
        ).code == 200


async def approve_as(api: Cluster, other: Cluster, name: str) -> Any:
    obj = (await api.get(f"{REQUESTS}/{name}")).ok()
    obj["status"] = {"conditions": [verdict("Approved")]}
    return await other.update(f"{REQUESTS}/{name}/approval", obj, token="eve-token")


async def test_what_was_approved_is_signed_after_a_restart(tmp_path: Path) -> None:
    """The verdict is on disk; the server that took it need not be the one that signs."""
    store = str(tmp_path / "s.db")
    async with cluster(tmp_path, SQLite(store)) as api:
        await api.server._signer.close()  # as if it had been killed between the two
        (await api.create(REQUESTS, asking("late", pkcs10(new_key(), "late")))).ok()
        (await approve(api, "late")).ok()
        assert "certificate" not in (await api.get(f"{REQUESTS}/late")).ok()["status"]
    async with cluster(tmp_path, SQLite(store)) as api:
        assert certificate(await outcome(api, "late")).subject.rfc4514_string() == "CN=late"
