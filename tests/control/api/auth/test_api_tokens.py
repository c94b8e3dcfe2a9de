"""Tokens by unusual ways: hidden in a WebSocket's protocols, from a file; reviews that ask about
them; impersonation in full.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from kubelite.control.api.auth.authentication import read_token_file
from kubelite.control.api.server.lifecycle import Options
from kubelite.control.api.wire.request import User
from tests.control.api.auth.test_api_attacks import GROUP, RBAC, rule
from tests.control.api.auth.test_api_who import READ_PODS, role
from tests.control.api.verbs.test_api_streams import with_a_pod
from tests.control.world import CONFIG, PODS, Cluster, cluster, config_map, stranger

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN = "base64url.bearer.authorization.k8s.io."
ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
REVIEWS, ACCESS = "/apis/authentication.k8s.io/v1", "/apis/authorization.k8s.io/v1"
SELF = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}


async def token_of(api: Cluster, **spec: Any) -> str:
    body = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": spec}
    return str((await api.create(f"{ACCOUNT}/token", body)).ok()["status"]["token"])


async def bind(api: Cluster, target: str, subject: dict[str, str]) -> None:
    body = {
        "kind": "ClusterRoleBinding",
        "apiVersion": f"{GROUP}/v1",
        "metadata": {"name": f"{target}-{subject['name']}"},
        "subjects": [subject],
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": target},
    }
    (await api.create(f"{RBAC}/clusterrolebindings", body)).ok()


def hidden(token: str) -> str:
    return HIDDEN + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


async def test_a_browser_hides_its_token(tmp_path: Path) -> None:
    async with with_a_pod(tmp_path) as (api, _), stranger(api) as other:
        await bind(
            api, "edit", {"kind": "ServiceAccount", "name": "default", "namespace": "default"}
        )
        token = await token_of(api)
        url = f"{api.url}{PODS}/one/exec?command=echo&command=hello&stdout=1"
        async with other.session.ws_connect(
            url, protocols=("v5.channel.k8s.io", hidden(token))
        ) as socket:
            assert socket.protocol == "v5.channel.k8s.io"
            assert (await socket.receive_bytes(timeout=10)).startswith(b"\x01hello")
        wrong = [
            (),
            ("v5.channel.k8s.io",),
            (hidden(token),),
            ("v5.channel.k8s.io", hidden("wrong")),
        ]
        wrong += [
            ("v5.channel.k8s.io", HIDDEN + "!!!"),
            ("v5.channel.k8s.io", hidden(token), hidden(token)),
        ]
        for protocols in wrong:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await other.session.ws_connect(url, protocols=protocols)
            assert refused.value.status == (
                403 if not any(HIDDEN in each for each in protocols) else 401
            ), protocols


async def test_token_reviews_know_audiences(tmp_path: Path) -> None:
    async with cluster(
        tmp_path, tokens={"static-token": User("sam", "7", ("ops", "system:authenticated"))}
    ) as api:
        plain, vault = await token_of(api), await token_of(api, audiences=["vault", "other"])

        async def review(token: str, *audiences: str) -> dict[str, Any]:
            body: dict[str, Any] = {
                "kind": "TokenReview",
                "apiVersion": "authentication.k8s.io/v1",
                "spec": {"token": token},
            }
            if audiences:
                body["spec"]["audiences"] = list(audiences)
            found: dict[str, Any] = (await api.create(f"{REVIEWS}/tokenreviews", body)).ok()[
                "status"
            ]
            return found

        assert (await review(vault, "vault"))["audiences"] == ["vault"]
        assert (await review(vault, "vault", "third", "other"))["audiences"] == ["vault", "other"]
        assert not (await review(vault)).get("authenticated")
        assert not (await review(vault, "third")).get("authenticated")
        assert not (await review(plain, "vault")).get("authenticated")
        user = (await review(plain))["user"]
        assert user["groups"] == [
            "system:serviceaccounts",
            "system:serviceaccounts:default",
            "system:authenticated",
        ]
        assert (await review("static-token"))["user"] == {
            "username": "sam",
            "uid": "7",
            "groups": ["ops", "system:authenticated"],
        }
        for token in (
            "wrong",
            "a.b.c",
            plain[:-2],
            "abcdef.0123456789abcdef",
            "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        ):
            assert (await review(token)).get("error"), token


async def test_a_token_dies_with_its_secret(tmp_path: Path) -> None:
    secrets = "/api/v1/namespaces/default/secrets"
    async with cluster(tmp_path) as api, stranger(api) as other:
        made = (
            await api.create(
                secrets, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}}
            )
        ).ok()
        reference = {
            "kind": "Secret",
            "apiVersion": "v1",
            "name": "s",
            "uid": made["metadata"]["uid"],
        }
        token = await token_of(api, boundObjectRef=reference)
        assert (await other.get("/api", token=token)).code == 200
        await api.delete(f"{secrets}/s")
        await api.create(secrets, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}})
        assert (await other.get("/api", token=token)).code == 401


def test_a_file_of_tokens(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text('# people\nt1,ann,1,"ops,dev"\nt2,bob,2\n\n')
    ann, bob = read_token_file(str(path)).values()
    assert ann == User("ann", "1", ("ops", "dev", "system:authenticated"))
    assert bob.groups == ("system:authenticated",)
    path.write_text("t1,ann\n")
    with pytest.raises(ValueError, match="line 1"):
        read_token_file(str(path))


async def test_impersonation_in_every_part(tmp_path: Path) -> None:
    """Each part of the wanted identity is a right of its own; the audit log tells of both."""
    log = tmp_path / "audit.log"
    tokens = {"jane-token": User("jane", groups=("system:authenticated",))}
    options = Options(
        "", audit_log=str(log), audit_rules=({"level": "Metadata", "users": ["jane"]},)
    )
    parts = (
        ({"Impersonate-User": "ann"}, rule("impersonate", "", "users", "ann")),
        ({"Impersonate-Group": "ops"}, rule("impersonate", "", "groups", "ops")),
        ({"Impersonate-Uid": "42"}, rule("impersonate", "authentication.k8s.io", "uids", "42")),
        (
            {"Impersonate-Extra-Team%2fa": "red"},
            rule("impersonate", "authentication.k8s.io", "userextras/team/a", "red"),
        ),
    )
    headers: dict[str, str] = {}
    async with cluster(tmp_path, tokens=tokens, options=options) as api, stranger(api) as other:
        for number, (header, right) in enumerate(parts):
            headers |= header
            refused = await other.create(
                f"{REVIEWS}/selfsubjectreviews", SELF, token="jane-token", headers=headers
            )
            assert (refused.code, "cannot impersonate resource" in refused.value["message"]) == (
                403,
                True,
            ), header
            (
                await api.create(
                    f"{RBAC}/clusterroles", role(f"part{number}", right, kind="ClusterRole")
                )
            ).ok()
            await bind(api, f"part{number}", {"kind": "User", "apiGroup": GROUP, "name": "jane"})
            done = await other.create(
                f"{REVIEWS}/selfsubjectreviews", SELF, token="jane-token", headers=headers
            )
        seen = {
            "username": "ann",
            "uid": "42",
            "groups": ["ops", "system:authenticated"],
            "extra": {"team/a": ["red"]},
        }
        assert done.ok()["status"]["userInfo"] == seen
        nobody = {"Impersonate-User": "system:anonymous"}
        assert (await api.create(f"{REVIEWS}/selfsubjectreviews", SELF, headers=nobody)).code == 403
    last = json.loads(log.read_text().splitlines()[-1])
    assert (last["user"]["username"], last["impersonatedUser"]) == ("jane", seen)
    assert last["annotations"]["authorization.k8s.io/decision"] == "allow"
    assert (
        'ClusterRoleBinding "system:basic-user"'
        in last["annotations"]["authorization.k8s.io/reason"]
    )
    assert last["sourceIPs"] == ["127.0.0.1"]


async def test_who_may_is_answered_in_every_form(tmp_path: Path) -> None:
    tokens = {
        "jane-token": User("jane", groups=("system:authenticated",)),
        "node-token": User("system:node:n1", groups=("system:nodes", "system:authenticated")),
    }
    async with cluster(tmp_path, tokens=tokens) as api, stranger(api) as other:
        (
            await api.create(f"{RBAC}/clusterroles", role("reader", READ_PODS, kind="ClusterRole"))
        ).ok()
        await bind(api, "reader", {"kind": "User", "apiGroup": GROUP, "name": "jane"})

        async def ask(kind: str, spec: dict[str, Any], path: str = "", **rest: Any) -> Any:
            body = {"kind": kind, "apiVersion": "authorization.k8s.io/v1", "spec": spec}
            return await (other if rest else api).create(
                path or f"{ACCESS}/{kind.lower()}s", body, **rest
            )

        pods, jane = (
            {"verb": "list", "resource": "pods", "namespace": "default"},
            {"token": "jane-token"},
        )
        assert (await ask("SelfSubjectAccessReview", {"resourceAttributes": pods}, **jane)).ok()[
            "status"
        ]["allowed"] is True
        page = {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}
        assert (await ask("SelfSubjectAccessReview", page, **jane)).ok()["status"] == {
            "allowed": False
        }
        rules = (await ask("SelfSubjectRulesReview", {"namespace": "default"}, **jane)).ok()[
            "status"
        ]
        assert READ_PODS in rules["resourceRules"] and rules["incomplete"] is False
        assert any("/healthz" in each["nonResourceURLs"] for each in rules["nonResourceRules"])
        assert "evaluationError" not in rules
        await bind(api, "gone", {"kind": "User", "apiGroup": GROUP, "name": "jane"})
        rules = (await ask("SelfSubjectRulesReview", {"namespace": "default"}, **jane)).ok()
        missing = 'clusterrole.rbac.authorization.k8s.io "gone" not found'
        assert rules["status"]["evaluationError"] == missing
        nodes = await ask("SelfSubjectRulesReview", {"namespace": "default"}, token="node-token")
        assert nodes.ok()["status"]["incomplete"] is True
        local = f"{ACCESS}/namespaces/default/localsubjectaccessreviews"
        about = {"user": "jane", "resourceAttributes": pods}
        assert (await ask("LocalSubjectAccessReview", about, local)).ok()["status"][
            "allowed"
        ] is True
        elsewhere = {**about, "resourceAttributes": {**pods, "namespace": "kube-system"}}
        assert (await ask("LocalSubjectAccessReview", elsewhere, local)).code == 422
        assert (await ask("LocalSubjectAccessReview", {"user": "jane", **page}, local)).code in (
            400,
            422,
        )
        assert (await ask("SubjectAccessReview", about, **jane)).code == 403
        node = {"user": "system:node:n1", "groups": ["system:nodes"]}
        for selector, allowed in (
            ({"rawSelector": "spec.nodeName=n1"}, True),
            (
                {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n1"]}]},
                True,
            ),
            (
                {
                    "requirements": [
                        {"key": "metadata.name", "operator": "In", "values": ["x,spec.nodeName=n1"]}
                    ]
                },
                False,
            ),
            (
                {"requirements": [{"key": "spec.nodeName", "operator": "NotIn", "values": ["n1"]}]},
                False,
            ),
            ({"rawSelector": "metadata.name!=x\\,spec.nodeName=n1"}, False),
        ):
            attributes = {"verb": "list", "resource": "pods", "fieldSelector": selector}
            reply = await ask("SubjectAccessReview", {**node, "resourceAttributes": attributes})
            assert reply.ok()["status"]["allowed"] is allowed, selector


async def test_the_audit_log_reads_every_body(tmp_path: Path) -> None:
    """Protobuf, YAML and patches are written as objects; managed fields and stages are left out
    where the policy says so.
    """
    from kubelite.control.api.auth.audit_policy import read

    log = tmp_path / "audit.log"
    policy = {
        "kind": "Policy",
        "apiVersion": "audit.k8s.io/v1",
        "omitManagedFields": True,
        "omitStages": ["ResponseStarted"],
    }
    rules = read(
        {
            **policy,
            "rules": [
                {
                    "level": "RequestResponse",
                    "resources": [{"group": "", "resources": ["configmaps"]}],
                }
            ],
        }
    )
    protobuf = b"k8s\x00\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x05\x0a\x03\x0a\x01p"
    async with cluster(
        tmp_path, options=Options("", audit_log=str(log), audit_rules=tuple(rules))
    ) as api:
        sent = await api.ask(
            "POST",
            CONFIG,
            raw=protobuf,
            headers={"Content-Type": "application/vnd.kubernetes.protobuf"},
        )
        assert sent.code == 201, sent.body
        await api.patch(f"{CONFIG}/a?fieldManager=m", config_map("a", x="1"), "apply")
        await api.patch(f"{CONFIG}/a", [{"op": "add", "path": "/data/y", "value": "2"}], "json")
        async with api.watch(CONFIG) as watch:
            await watch.next()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["verb"] for line in lines] == ["create", "patch", "patch"]
    assert lines[0]["requestObject"]["metadata"]["name"] == "p"
    assert lines[1]["requestObject"]["data"] == {"x": "1"}
    assert lines[2]["requestObject"][0]["value"] == "2"
    assert not any("managedFields" in line["responseObject"]["metadata"] for line in lines)
    assert all(line["annotations"]["authorization.k8s.io/decision"] == "allow" for line in lines)
