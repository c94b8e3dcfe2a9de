"""Who may: certificates, tokens, impersonation, RBAC, nodes, and what a stranger sees."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from kubelite.control.api.wire.request import User
from tests.control.world import CONFIG, PODS, Cluster, cluster, config_map, pod, stranger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RBAC = "/apis/rbac.authorization.k8s.io/v1"
USERS = {
    "jane-token": User("jane", groups=("system:authenticated",)),
    "node-token": User("system:node:n1", groups=("system:nodes", "system:authenticated")),
}


@asynccontextmanager
async def both(path: Path) -> AsyncIterator[tuple[Cluster, Cluster]]:
    """The admin's view and a stranger's."""
    async with cluster(path, tokens=USERS) as api, stranger(api) as other:
        yield api, other


def role(name: str, *rules: dict[str, Any], kind: str = "Role") -> dict[str, Any]:
    return {
        "kind": kind,
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "metadata": {"name": name},
        "rules": list(rules),
    }


def binding(name: str, kind: str, target: str, *users: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "kind": "RoleBinding",
        "apiVersion": f"{group}/v1",
        "metadata": {"name": name},
        "subjects": [{"kind": "User", "apiGroup": group, "name": user} for user in users],
        "roleRef": {"apiGroup": group, "kind": kind, "name": target},
    }


READ_PODS = {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods"]}


async def test_a_stranger_sees_health_and_nothing_else(tmp_path: Path) -> None:
    async with both(tmp_path) as (_, other):
        for path in ("/healthz", "/readyz", "/version"):
            assert (await other.get(path)).code == 200
        for path in ("/api", "/apis", "/openapi/v2", CONFIG, "/api/v1/namespaces/default/nothings"):
            refused = await other.get(path)
            assert (refused.code, refused.value["reason"]) == (403, "Forbidden"), path
        assert 'User "system:anonymous"' in (await other.get(CONFIG)).value["message"]
        wrong = await other.get(CONFIG, token="wrong")
        assert (wrong.code, wrong.value["message"]) == (401, "Unauthorized")


async def test_roles_allow_what_they_say(tmp_path: Path) -> None:
    async with both(tmp_path) as (api, other):
        assert (await other.get(PODS, token="jane-token")).code == 403
        await api.create(f"{RBAC}/namespaces/default/roles", role("reader", READ_PODS))
        await api.create(
            f"{RBAC}/namespaces/default/rolebindings", binding("jane", "Role", "reader", "jane")
        )
        assert (await other.get(PODS, token="jane-token")).code == 200
        assert (
            await other.get("/api/v1/namespaces/kube-system/pods", token="jane-token")
        ).code == 403
        assert (await other.get("/api/v1/pods", token="jane-token")).code == 403
        denied = await other.create(PODS, pod("p"), token="jane-token")
        wanted = (
            'pods is forbidden: User "jane" cannot create resource "pods" '
            'in API group "" in the namespace "default"'
        )
        assert (denied.code, denied.value["message"]) == (403, wanted)
        await api.delete(f"{RBAC}/namespaces/default/rolebindings/jane")
        assert (await other.get(PODS, token="jane-token")).code == 403


async def test_nobody_gives_away_what_they_do_not_have(tmp_path: Path) -> None:
    secrets = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}
    roles = {
        "verbs": ["*"],
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["roles", "rolebindings"],
    }
    async with both(tmp_path) as (api, other):
        await api.create(
            f"{RBAC}/namespaces/default/roles",
            role("writer", READ_PODS, {**roles, "verbs": ["create", "update", "get"]}),
        )
        await api.create(
            f"{RBAC}/namespaces/default/rolebindings", binding("jane", "Role", "writer", "jane")
        )
        path = f"{RBAC}/namespaces/default/roles"
        assert (await other.create(path, role("same", READ_PODS), token="jane-token")).code == 201
        more = await other.create(path, role("more", READ_PODS, secrets), token="jane-token")
        assert more.code == 403
        assert "is attempting to grant RBAC permissions not currently held" in more.value["message"]
        bindings = f"{RBAC}/namespaces/default/rolebindings"
        assert (
            await other.create(
                bindings, binding("b", "ClusterRole", "cluster-admin", "jane"), token="jane-token"
            )
        ).code == 403
        assert (
            await other.create(bindings, binding("b", "Role", "same", "jane"), token="jane-token")
        ).code == 201
        await api.create(path, role("may-bind", {**roles, "verbs": ["bind", "escalate"]}))
        await api.create(bindings, binding("jane-may-bind", "Role", "may-bind", "jane"))
        assert (await other.create(path, role("more", secrets), token="jane-token")).code == 201


async def test_updating_is_not_creating(tmp_path: Path) -> None:
    write = {
        "verbs": ["get", "update", "patch"],
        "apiGroups": ["", "rbac.authorization.k8s.io"],
        "resources": ["configmaps", "roles"],
    }
    async with both(tmp_path) as (api, other):
        await api.create(f"{RBAC}/namespaces/default/roles", role("changer", write))
        await api.create(
            f"{RBAC}/namespaces/default/rolebindings", binding("jane", "Role", "changer", "jane")
        )
        await api.create(CONFIG, config_map("there"))
        assert (
            await other.update(f"{CONFIG}/there", config_map("there", x="1"), token="jane-token")
        ).code == 200
        applied = {"kind": "ConfigMap", "apiVersion": "v1"}
        new = await other.patch(
            f"{CONFIG}/new?fieldManager=m", applied, "apply", token="jane-token"
        )
        assert (new.code, 'cannot create resource "configmaps"' in new.value["message"]) == (
            403,
            True,
        )
        path = f"{RBAC}/namespaces/default/roles/new"
        assert (await other.update(path, role("new"), token="jane-token")).code == 403
        assert (await api.update(path, role("new"))).code == 201


async def test_collecting_roles_follow_their_parts(tmp_path: Path) -> None:
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    part = role(
        "more-view",
        {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["things"]},
        kind="ClusterRole",
    )
    part["metadata"]["labels"] = labels
    async with cluster(tmp_path) as api:
        await api.create(f"{RBAC}/clusterroles", part)
        for name in ("view", "edit", "admin"):
            assert part["rules"][0] in (await api.get(f"{RBAC}/clusterroles/{name}")).ok()["rules"]
        await api.delete(f"{RBAC}/clusterroles/more-view")
        for name in ("view", "edit", "admin"):
            assert (
                part["rules"][0] not in (await api.get(f"{RBAC}/clusterroles/{name}")).ok()["rules"]
            )


async def test_service_account_tokens(tmp_path: Path) -> None:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    async with both(tmp_path) as (api, other):
        await api.create(f"{RBAC}/namespaces/default/roles", role("reader", READ_PODS))
        body = binding("robot", "Role", "reader")
        body["subjects"] = [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]
        await api.create(f"{RBAC}/namespaces/default/rolebindings", body)
        await api.create(
            accounts, {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "robot"}}
        )
        request = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "spec": {"expirationSeconds": 600},
        }
        token = (await api.create(f"{accounts}/robot/token", request)).ok()["status"]["token"]
        assert (await other.get(PODS, token=token)).code == 200
        assert (await other.get(CONFIG, token=token)).code == 403
        tampered = token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")
        assert (await other.get(PODS, token=tampered)).code == 401
        review = {
            "kind": "TokenReview",
            "apiVersion": "authentication.k8s.io/v1",
            "spec": {"token": token},
        }
        seen = (await api.create("/apis/authentication.k8s.io/v1/tokenreviews", review)).ok()[
            "status"
        ]
        assert seen["user"]["username"] == "system:serviceaccount:default:robot"
        short = {**request, "spec": {"expirationSeconds": 60}}
        assert (await api.create(f"{accounts}/robot/token", short)).code == 422
        elsewhere = {**request, "spec": {"audiences": ["vault"]}}
        foreign = (await api.create(f"{accounts}/robot/token", elsewhere)).ok()["status"]["token"]
        assert (await other.get(PODS, token=foreign)).code == 401
        await api.delete(f"{accounts}/robot")
        assert (await other.get(PODS, token=token)).code == 401


async def test_a_token_dies_with_the_pod_it_is_bound_to(tmp_path: Path) -> None:
    async with both(tmp_path) as (api, other):
        made = (await api.create(PODS, pod("p"))).ok()
        reference = {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": made["metadata"]["uid"]}
        request = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "spec": {"boundObjectRef": reference},
        }
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        token = (await api.create(path, request)).ok()["status"]["token"]
        assert (await other.get("/api", token=token)).code == 200
        await api.delete(f"{PODS}/p")
        assert (await other.get("/api", token=token)).code == 401
        assert (await api.create(path, request)).code == 404


async def test_bootstrap_tokens(tmp_path: Path) -> None:
    data = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
    }
    secret = {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": data,
    }
    path = "/api/v1/namespaces/kube-system/secrets"
    async with both(tmp_path) as (api, other):
        await api.create(path, secret)
        review = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
        who = await other.create(
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            review,
            token="abcdef.0123456789abcdef",
        )
        assert who.ok()["status"]["userInfo"]["username"] == "system:bootstrap:abcdef"
        assert (await other.get("/api", token="abcdef.0123456789abcdee")).code == 401
        past = {"stringData": {"expiration": "2020-01-01T00:00:00Z"}}
        await api.patch(f"{path}/bootstrap-token-abcdef", past, "strategic")
        assert (await other.get("/api", token="abcdef.0123456789abcdef")).code == 401


async def test_impersonation_needs_permission(tmp_path: Path) -> None:
    as_ann = {"Impersonate-User": "ann", "Impersonate-Group": "ops"}
    path, review = (
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"},
    )
    async with both(tmp_path) as (api, other):
        seen = (await api.create(path, review, headers=as_ann)).ok()["status"]["userInfo"]
        assert seen == {"username": "ann", "groups": ["ops", "system:authenticated"]}
        assert (await api.get(CONFIG, headers=as_ann)).code == 403
        refused = await other.create(path, review, token="jane-token", headers=as_ann)
        assert (refused.code, "cannot impersonate" in refused.value["message"]) == (403, True)
        assert (await api.get(CONFIG, headers={"Impersonate-Group": "ops"})).code == 400


async def test_a_node_sees_what_its_pods_need(tmp_path: Path) -> None:
    secrets = "/api/v1/namespaces/default/secrets"
    volume = {"name": "v", "secret": {"secretName": "mine"}}
    async with both(tmp_path) as (api, other):
        for name in ("mine", "other"):
            await api.create(
                secrets, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name}}
            )
        await api.create(PODS, pod("here", nodeName="n1", volumes=[volume]))
        await api.create(PODS, pod("there", nodeName="n2"))
        node = {"token": "node-token"}
        assert (await other.get(f"{secrets}/mine", **node)).code == 200
        assert (await other.get(f"{secrets}/other", **node)).code == 403
        assert (await other.get(secrets, **node)).code == 403
        assert (
            await other.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", **node)
        ).code == 200
        assert (await other.get("/api/v1/pods", **node)).code == 403
        status = {"status": {"phase": "Running"}}
        assert (await other.patch(f"{PODS}/here/status", status, **node)).code == 200
        assert (await other.patch(f"{PODS}/there/status", status, **node)).code == 403
        await api.create(PODS, pod("nowhere"))
        assert (await other.patch(f"{PODS}/nowhere/status", status, **node)).code == 403
        assert (await other.delete(f"{PODS}/nowhere", **node)).code == 403
        gone = await other.patch(f"{PODS}/gone/status", status, **node)
        assert (gone.code, gone.value["message"]) == (404, 'pods "gone" not found')
        assert (await other.delete(f"{PODS}/gone", **node)).code == 404
        assert (await other.get(f"{PODS}/gone", **node)).code == 403
        assert (
            await other.create(
                "/api/v1/nodes",
                {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n1"}},
                **node,
            )
        ).code == 201
        assert (
            await other.create(
                "/api/v1/nodes",
                {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n2"}},
                **node,
            )
        ).code == 403
        taints = {"spec": {"taints": []}}
        assert (await other.patch("/api/v1/nodes/n1", taints, **node)).code == 403
        assert (await other.create(PODS, pod("p"), **node)).code == 403
        lease = {
            "kind": "Lease",
            "apiVersion": "coordination.k8s.io/v1",
            "metadata": {"name": "n1"},
            "spec": {"holderIdentity": "n1"},
        }
        leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        assert (await other.create(leases, lease, **node)).code == 201
        assert (
            await other.create(leases, {**lease, "metadata": {"name": "n2"}}, **node)
        ).code == 403
        account = "/api/v1/namespaces/default/serviceaccounts/default/token"
        request = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
        assert (await other.create(account, request, **node)).code == 403
        uid = (await api.get(f"{PODS}/here")).ok()["metadata"]["uid"]
        bound = {"kind": "Pod", "apiVersion": "v1", "name": "here", "uid": uid}
        assert (
            await other.create(account, {**request, "spec": {"boundObjectRef": bound}}, **node)
        ).code == 201


async def test_access_reviews(tmp_path: Path) -> None:
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

    def review(user: str, verb: str, resource: str) -> dict[str, Any]:
        attributes = {"verb": verb, "resource": resource, "namespace": "default"}
        return {
            "kind": "SubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "spec": {"user": user, "resourceAttributes": attributes},
        }

    async with cluster(tmp_path) as api:
        await api.create(
            f"{RBAC}/namespaces/default/rolebindings", binding("ann", "ClusterRole", "view", "ann")
        )
        for user, verb, resource, allowed in (
            ("ann", "list", "pods", True),
            ("ann", "delete", "pods", False),
            ("ann", "list", "secrets", False),
            ("bob", "list", "pods", False),
        ):
            assert (await api.create(path, review(user, verb, resource))).ok()["status"][
                "allowed"
            ] is allowed
        await api.create(CONFIG, config_map("unrelated"))


async def test_the_roles_that_a_cluster_begins_with(tmp_path: Path) -> None:
    """Names and bindings are what Kubernetes' own components and many charts refer to."""
    async with cluster(tmp_path) as api:
        roles = {
            item["metadata"]["name"]: item
            for item in (await api.get(f"{RBAC}/clusterroles")).ok()["items"]
        }
        bindings = {
            item["metadata"]["name"]: item
            for item in (await api.get(f"{RBAC}/clusterrolebindings")).ok()["items"]
        }
        for name in (
            "cluster-admin", "admin", "edit", "view", "system:discovery", "system:basic-user",
            "system:public-info-viewer",
            "system:kube-scheduler", "system:kube-controller-manager", "system:node",
            "system:node-proxier", "system:kube-dns",
            "system:node-problem-detector", "system:auth-delegator", "system:kube-aggregator",
            "system:volume-scheduler",
            "system:monitoring", "system:certificates.k8s.io:kube-apiserver-client-approver",
            "system:kubelet-api-admin",
            "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
            "system:persistent-volume-provisioner",
        ):  # fmt: skip
            assert (
                roles[name]["metadata"]["labels"]["kubernetes.io/bootstrapping"] == "rbac-defaults"
            ), name
        controllers = [name for name in roles if name.startswith("system:controller:")]
        assert len(controllers) > 35
        for name in controllers:
            account = {
                "kind": "ServiceAccount",
                "name": name.removeprefix("system:controller:"),
                "namespace": "kube-system",
            }
            assert bindings[name]["subjects"] == [account], name
            assert bindings[name]["roleRef"]["name"] == name
        for kind in ("roles", "rolebindings"):
            held = (await api.get(f"{RBAC}/namespaces/kube-system/{kind}")).ok()["items"]
            assert len(held) == 6, [item["metadata"]["name"] for item in held]
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        for account, verb, group, resource, sub, allowed in (
            ("deployment-controller", "create", "apps", "replicasets", "", True),
            ("deployment-controller", "delete", "", "pods", "", False),
            ("disruption-controller", "get", "example.com", "widgets", "scale", True),
            ("certificate-controller", "approve", "certificates.k8s.io", "signers", "", False),
            ("generic-garbage-collector", "delete", "example.com", "widgets", "", True),
            ("namespace-controller", "create", "", "events", "", False),
            ("job-controller", "create", "events.k8s.io", "events", "", True),
            (
                "clusterrole-aggregation-controller",
                "escalate",
                "rbac.authorization.k8s.io",
                "clusterroles",
                "",
                True,
            ),
        ):
            attributes = {
                "verb": verb,
                "group": group,
                "resource": resource,
                "subresource": sub,
                "namespace": "default",
            }
            user = f"system:serviceaccount:kube-system:{account}"
            body = {"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
            reply = await api.create(
                path, {**body, "spec": {"user": user, "resourceAttributes": attributes}}
            )
            assert reply.ok()["status"]["allowed"] is allowed, (account, verb, resource)
            if allowed:
                name = f"system:controller:{account}"
                binding = (
                    f'ClusterRoleBinding "{name}" of ClusterRole "{name}" to '
                    f'ServiceAccount "{account}/kube-system"'
                )
                assert reply.value["status"]["reason"] == f"RBAC: allowed by {binding}"
