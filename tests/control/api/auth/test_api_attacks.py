"""Ways to more power than one was given, each tried from outside: as an editor, a node, an author
of definitions.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kubelite.control.api.wire.request import User
from tests.control.api.auth.test_api_who import READ_PODS, role
from tests.control.world import CONFIG, PODS, Cluster, cluster, pod, stranger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{GROUP}/v1"
EVERYBODY = "system:authenticated"
MIRROR = {"kubernetes.io/config.mirror": "x"}
USERS = {
    "eve-token": User("eve", groups=(EVERYBODY,)),
    "n1-token": User("system:node:n1", groups=("system:nodes", EVERYBODY)),
    "n2-token": User("system:node:n2", groups=("system:nodes", EVERYBODY)),
}
EVE, NODE, FAR = ({"token": name} for name in USERS)
TOKEN = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}


@asynccontextmanager
async def attacked(path: Path) -> AsyncIterator[tuple[Cluster, Cluster]]:
    """A cluster as its admin sees it, and as an attacker does."""
    async with cluster(path, tokens=USERS) as api, stranger(api) as other:
        yield api, other


async def grant(api: Cluster, target: str, *rules: dict[str, Any], namespace: str = "") -> None:
    """Gives Eve a ClusterRole, with these rules where it is new, everywhere or in a namespace."""
    if rules:
        (await api.create(f"{RBAC}/clusterroles", role(target, *rules, kind="ClusterRole"))).ok()
    body = bound(f"eve-{target}", "ClusterRole", target, cluster_wide=not namespace)
    where = (
        f"{RBAC}/namespaces/{namespace}/rolebindings"
        if namespace
        else f"{RBAC}/clusterrolebindings"
    )
    (await api.create(where, body)).ok()


def bound(name: str, kind: str, target: str, *, cluster_wide: bool = False) -> dict[str, Any]:
    return {
        "kind": "ClusterRoleBinding" if cluster_wide else "RoleBinding",
        "apiVersion": f"{GROUP}/v1",
        "metadata": {"name": name},
        "subjects": [{"kind": "User", "apiGroup": GROUP, "name": "eve"}],
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": target},
    }


def rule(verbs: str, group: str, resources: str, *names: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "verbs": verbs.split(),
        "apiGroups": [group],
        "resources": resources.split(),
    }
    return {**found, "resourceNames": list(names)} if names else found


async def test_a_label_does_not_pour_a_role_into_another(tmp_path: Path) -> None:
    """Eve may change ClusterRoles and edit a namespace: a label would make a powerful role part of
    ``edit``.
    """
    async with attacked(tmp_path) as (api, other):
        await grant(api, "changer", rule("get update patch", GROUP, "clusterroles"))
        await grant(api, "edit", namespace="default")
        label = {"metadata": {"labels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}}}
        strong = f"{RBAC}/clusterroles/system:kube-controller-manager"
        for body in (label, {**label, "rules": []}):
            refused = await other.patch(strong, label, **EVE)
            assert (refused.code, "not currently held" in refused.value["message"]) == (
                403,
                True,
            ), body
        sums = {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {}}]}}
        assert (await other.patch(f"{RBAC}/clusterroles/edit", sums, **EVE)).code == 403
        assert (
            await other.patch(f"{RBAC}/clusterroles/view", {"aggregationRule": None}, **EVE)
        ).code == 403
        owners = {"metadata": {"finalizers": ["example.com/hold"]}}
        assert (
            await other.patch(strong, owners, **EVE)
        ).code == 200  # what a garbage collector does


async def test_what_is_not_there_yet_is_not_bound(tmp_path: Path) -> None:
    """Whoever binds a role before it exists has it once an admin makes one of that name."""
    async with attacked(tmp_path) as (api, other):
        await grant(api, "admin", namespace="default")
        bindings = f"{RBAC}/namespaces/default/rolebindings"
        for kind in ("Role", "ClusterRole"):
            refused = await other.create(bindings, bound("early", kind, "later"), **EVE)
            assert (refused.code, refused.value["message"]) == (
                404,
                f'rolebindings.{GROUP} "later" not found',
            )
        assert (
            await other.create(bindings, bound("early", "ClusterRole", "view"), **EVE)
        ).code == 201
        assert (await api.create(bindings, bound("early2", "ClusterRole", "later"))).code == 201


async def test_an_editor_stays_in_the_namespace(tmp_path: Path) -> None:
    kube = "/api/v1/namespaces/kube-system"
    async with attacked(tmp_path) as (api, other):
        await grant(api, "edit", namespace="default")
        assert (await other.create(PODS, pod("mine"), **EVE)).code == 201
        assert (
            await other.create(
                f"{kube}/serviceaccounts/default/token", {**TOKEN, "spec": {}}, **EVE
            )
        ).code == 403
        own = (
            await other.create(
                "/api/v1/namespaces/default/serviceaccounts/default/token",
                {**TOKEN, "spec": {}},
                **EVE,
            )
        ).ok()
        assert (await other.get(f"{kube}/secrets", token=own["status"]["token"])).code == 403
        for name in (
            "system:serviceaccount:kube-system:default",
            "kubernetes-admin",
            "system:serviceaccount:default:default:x",
        ):
            assert (
                await other.get(CONFIG, headers={"Impersonate-User": name}, **EVE)
            ).code == 403, name
        groups = {
            "Impersonate-User": "system:serviceaccount:default:default",
            "Impersonate-Group": "system:masters",
        }
        assert (await other.get(CONFIG, headers=groups, **EVE)).code == 403
        extra = {
            "Impersonate-User": "system:serviceaccount:default:default",
            "Impersonate-Extra-Scopes": "all",
        }
        assert (await other.get(CONFIG, headers=extra, **EVE)).code == 403
        for path in (
            f"{RBAC}/namespaces/default/roles",
            f"{RBAC}/clusterroles",
            "/api/v1/nodes",
            "/api/v1/secrets",
        ):
            assert (await other.create(path, {}, **EVE)).code == 403, path
        moved = {
            "kind": "Binding",
            "apiVersion": "v1",
            "metadata": {"name": "mine"},
            "target": {"name": "n1"},
        }
        assert (await other.create(f"{PODS}/mine/binding", moved, **EVE)).code == 403
        assert (
            await other.patch(f"{PODS}/mine/status", {"status": {"phase": "Running"}}, **EVE)
        ).code == 403
        there = await other.create(
            PODS, {**pod("p"), "metadata": {"name": "p", "namespace": "kube-system"}}, **EVE
        )
        assert there.code == 400
        space = "/api/v1/namespaces/default"
        assert [(await other.get(path, **EVE)).code for path in (space,
                                                                 "/api/v1/namespaces/kube-system",
                                                                 "/api/v1/namespaces")] == [
            200, 403, 403
        ]  # fmt: skip
        assert (await other.patch(space, {"metadata": {"labels": {"a": "b"}}}, **EVE)).code == 403
        assert (await other.delete(space, **EVE)).code == 403


async def test_names_in_rules_hold_for_lists(tmp_path: Path) -> None:
    """A list confined to a name is about that name; a watch of a name shows that one object."""
    async with attacked(tmp_path) as (api, other):
        await grant(
            api, "one", rule("get list watch", "", "configmaps", "mine"), namespace="default"
        )
        for name in ("mine", "other"):
            await api.create(
                CONFIG, {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}}
            )
        listed = await other.get(f"{CONFIG}?fieldSelector=metadata.name%3Dmine", **EVE)
        assert [item["metadata"]["name"] for item in listed.ok()["items"]] == ["mine"]
        for selector in (
            "metadata.name!=x\\,metadata.name=mine",
            "metadata.name=other",
            "metadata.name!=mine",
            "",
        ):
            assert (
                await other.get(f"{CONFIG}?fieldSelector={quote(selector)}", **EVE)
            ).code == 403, selector
        twice = "?fieldSelector=metadata.name%3Dmine&fieldSelector=metadata.name%3Dother"
        assert [
            item["metadata"]["name"]
            for item in (await other.get(CONFIG + twice, **EVE)).ok()["items"]
        ] == ["mine"]
        async with other.watch(f"{CONFIG}/mine", **EVE) as watch:
            assert (await watch.next() or {})["object"]["metadata"]["name"] == "mine"
            await api.patch(f"{CONFIG}/other", {"data": {"a": "1"}})
            await api.patch(f"{CONFIG}/mine", {"data": {"a": "1"}})
            assert (await watch.next() or {})["object"]["metadata"]["name"] == "mine"


async def test_a_node_cannot_word_its_way_to_other_pods(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (api, other):
        await api.create(PODS, pod("far", nodeName="n2"))
        for selector in (
            "metadata.name!=x\\,spec.nodeName=n1",
            "spec.nodeName!=n1",
            "metadata.namespace=default",
            "spec.nodeName=n1\\,x",
            "spec.nodeName=n2,metadata.name!=spec.nodeName=n1",
        ):
            assert (
                await other.get(f"/api/v1/pods?fieldSelector={quote(selector)}", **NODE)
            ).code == 403, selector
            assert (
                await other.get(f"/api/v1/pods?watch=1&fieldSelector={quote(selector)}", **NODE)
            ).code == 403, selector
        assert (await other.get("/api/v1/pods?fieldSelector=spec.nodeName%3D%3Dn1", **NODE)).ok()[
            "items"
        ] == []


async def node(api: Cluster, name: str) -> dict[str, Any]:
    body = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name}}
    made: dict[str, Any] = (await api.create("/api/v1/nodes", body)).ok()
    return made


def mirror(name: str, uid: str, **spec: Any) -> dict[str, Any]:
    """A pod that n1 says it has started from a file."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": True}
    made = pod(name, nodeName="n1", **spec)
    made["metadata"] |= {"annotations": MIRROR, "ownerReferences": [owner]}
    return made


async def test_a_mirror_pod_opens_nothing_to_its_node(tmp_path: Path) -> None:
    """Nodes make mirror pods in any namespace: what those refer to is not therefore the node's to
    read.
    """
    space = "/api/v1/namespaces/kube-system"
    async with attacked(tmp_path) as (api, other):
        uid = (await node(api, "n1"))["metadata"]["uid"]
        made = (await other.create(f"{space}/pods", mirror("m", uid), **NODE)).ok()
        reference = {"kind": "Pod", "apiVersion": "v1", "name": "m", "uid": made["metadata"]["uid"]}
        request = {**TOKEN, "spec": {"boundObjectRef": reference}}
        assert (
            await other.create(f"{space}/serviceaccounts/default/token", request, **NODE)
        ).code == 403
        projected = {"sources": [{"serviceAccountToken": {"path": "t"}}]}
        env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
        for number, spec in enumerate(
            (
                {"serviceAccountName": "default"},
                {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
                {"volumes": [{"name": "v", "configMap": {"name": "s"}}]},
                {"volumes": [{"name": "v", "projected": projected}]},
                {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "s"}}]},
                {"containers": [{"name": "c", "image": "i", "env": env}]},
                {"imagePullSecrets": [{"name": "s"}]},
            )
        ):
            refused = await other.create(
                f"{space}/pods", mirror(f"bad{number}", uid, **spec), **NODE
            )
            assert (refused.code, refused.value["reason"]) == (403, "Forbidden"), (
                spec,
                refused.body,
            )
        for change in (
            {"uid": "x"},
            {"controller": False},
            {"blockOwnerDeletion": True},
            {"name": "n2"},
            {"kind": "Pod"},
        ):
            wrong = mirror("wrong", uid)
            wrong["metadata"]["ownerReferences"][0] |= change
            assert (await other.create(f"{space}/pods", wrong, **NODE)).code == 403, change
        assert (
            await other.create(f"{space}/pods", {**pod("plain", nodeName="n1")}, **NODE)
        ).code == 403
        assert (await other.create(f"{space}/pods", mirror("other", uid), **FAR)).code == 403


async def test_a_node_does_not_lure_pods_to_itself(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (api, other):
        await node(api, "n2")
        labels = {"node-role.kubernetes.io/control-plane": "", "example.com/mine": "y"}
        bad = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n1", "labels": labels}}
        refused = await other.create("/api/v1/nodes", bad, **NODE)
        assert (
            refused.code,
            "node-role.kubernetes.io/control-plane" in refused.value["message"],
        ) == (403, True)
        good = {
            "kubernetes.io/hostname": "n1",
            "topology.kubernetes.io/zone": "z",
            "example.com/mine": "y",
            "node.kubernetes.io/x": "",
        }
        assert (
            await other.create(
                "/api/v1/nodes", {**bad, "metadata": {"name": "n1", "labels": good}}, **NODE
            )
        ).code == 201
        for change in (
            {"metadata": {"labels": {"node-restriction.kubernetes.io/secure": "y"}}},
            {"metadata": {"labels": {"a.node-restriction.kubernetes.io/secure": "y"}}},
            {"metadata": {"labels": {"kubernetes.io/elsewhere": "y"}}},
            {"metadata": {"labels": {"x.k8s.io/elsewhere": "y"}}},
            {
                "metadata": {
                    "ownerReferences": [
                        {"apiVersion": "v1", "kind": "Node", "name": "n2", "uid": "u"}
                    ]
                }
            },
            {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}},
        ):
            for path in ("/api/v1/nodes/n1", "/api/v1/nodes/n1/status"):
                reply = await other.patch(path, change, **NODE)
                kept = (await api.get("/api/v1/nodes/n1")).ok()
                assert reply.code == 403 or path.endswith("status"), (change, reply.body)
                assert "ownerReferences" not in kept["metadata"], path
                assert not any(
                    "restriction" in key or "elsewhere" in key for key in kept["metadata"]["labels"]
                ), path
                assert [each["key"] for each in kept["spec"]["taints"]] == [
                    "node.kubernetes.io/not-ready"
                ], path
        assert (
            await other.patch("/api/v1/nodes/n2", {"metadata": {"labels": {"a": "b"}}}, **NODE)
        ).code == 403
        assert (await other.delete("/api/v1/nodes/n1", **NODE)).code == 403


async def test_a_node_does_not_choose_where_packets_to_pods_go(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (api, other):
        bare = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n1"}}
        specs = ({"podCIDR": "8.8.8.0/24"}, {"podCIDRs": ["8.8.8.0/24"]})
        for spec in specs:
            refused = await other.create("/api/v1/nodes", {**bare, "spec": spec}, **NODE)
            assert (refused.code, "pod CIDRs" in refused.value["message"]) == (403, True)
        (await other.create("/api/v1/nodes", bare, **NODE)).ok()
        for spec in specs:
            for path in ("/api/v1/nodes/n1", "/api/v1/nodes/n1/status"):
                await other.patch(path, {"spec": spec}, **NODE)
                assert "podCIDRs" not in (await api.get("/api/v1/nodes/n1")).ok()["spec"]
        (await api.patch("/api/v1/nodes/n1", {"spec": {"podCIDR": "10.208.1.0/24"}})).ok()
        own = {"metadata": {"labels": {"example.com/mine": "y"}}}
        assert (await other.patch("/api/v1/nodes/n1", own, **NODE)).code == 200


async def test_tokens_are_for_the_pod_and_the_audience_they_are_meant_for(tmp_path: Path) -> None:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    volume = {
        "name": "v",
        "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "vault"}}]},
    }
    async with attacked(tmp_path) as (api, other):
        where = await node(api, "n1")
        await api.create(
            accounts, {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "strong"}}
        )
        made = (await api.create(PODS, pod("p", nodeName="n1", volumes=[volume]))).ok()
        (await api.create(PODS, pod("s", nodeName="n1", serviceAccountName="strong"))).ok()
        reference = {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": made["metadata"]["uid"]}
        for account, spec, who, code in (
            ("strong", {"boundObjectRef": reference}, {}, 400),
            ("default", {"boundObjectRef": {**reference, "uid": ""}}, NODE, 403),
            ("default", {"boundObjectRef": {**reference, "uid": "x"}}, NODE, 409),
            ("default", {}, NODE, 403),
            (
                "default",
                {
                    "boundObjectRef": {
                        **reference,
                        "kind": "Node",
                        "name": "n1",
                        "uid": where["metadata"]["uid"],
                    }
                },
                NODE,
                403,
            ),
            ("default", {"boundObjectRef": reference, "audiences": ["elsewhere"]}, NODE, 403),
            ("default", {"boundObjectRef": reference, "audiences": ["vault"]}, NODE, 201),
            ("default", {"boundObjectRef": reference}, FAR, 403),
            ("default", {"boundObjectRef": reference}, NODE, 201),
        ):
            reply = await (other if who else api).create(
                f"{accounts}/{account}/token", {**TOKEN, "spec": spec}, **who
            )
            assert reply.code == code, (account, spec, who, reply.body)
        review = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
        token = reply.value["status"]["token"]
        seen = (
            await other.create(
                "/apis/authentication.k8s.io/v1/selfsubjectreviews", review, token=token
            )
        ).ok()
        extra = seen["status"]["userInfo"]["extra"]
        assert extra["authentication.kubernetes.io/pod-name"] == ["p"]
        assert extra["authentication.kubernetes.io/node-uid"] == [where["metadata"]["uid"]]


async def test_a_dead_token_stays_dead(tmp_path: Path) -> None:
    """An account of the same name, or one that only mentions the old identity, does not take over
    its tokens.
    """
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    body: dict[str, Any] = {
        "kind": "ServiceAccount",
        "apiVersion": "v1",
        "metadata": {"name": "robot"},
    }
    async with attacked(tmp_path) as (api, other):
        uid = (await api.create(accounts, body)).ok()["metadata"]["uid"]
        token = (await api.create(f"{accounts}/robot/token", {**TOKEN, "spec": {}})).ok()["status"][
            "token"
        ]
        assert (await other.get("/api", token=token)).code == 200
        await api.delete(f"{accounts}/robot")
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": uid}
        body["metadata"]["ownerReferences"] = [owner]
        assert (await api.create(accounts, body)).code == 201
        assert (await other.get("/api", token=token)).code == 401
        held = {"metadata": {"finalizers": ["example.com/hold"], "ownerReferences": None}}
        await api.patch(f"{accounts}/robot", held)
        fresh = (await api.create(f"{accounts}/robot/token", {**TOKEN, "spec": {}})).ok()["status"][
            "token"
        ]
        await api.delete(f"{accounts}/robot")
        assert (
            await other.get("/api", token=fresh)
        ).code == 200  # for another minute, as clocks differ


async def test_credentials_that_are_no_text(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (_, other):
        for value in (
            "Bearer \udcff\udcfe",
            "Bearer",
            "Bearer   ",
            "Basic YTpi",
            "Bearer a.b.c",
            "Bearer ..",
            "Bearer " + "x" * 9000,
        ):
            reply = await other.get(CONFIG, headers={"Authorization": value})
            assert (reply.code, reply.value["reason"]) == (401, "Unauthorized"), value


async def test_a_definition_does_not_take_the_place_of_a_built_in_kind(tmp_path: Path) -> None:
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

    def definition(group: str, plural: str, kind: str, approved: bool = True) -> dict[str, Any]:
        schema = {
            "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        }
        names = {
            "plural": plural,
            "singular": kind.lower(),
            "kind": kind,
            "listKind": f"{kind}List",
        }
        version = {"name": "v1", "served": True, "storage": True, "schema": schema}
        notes = (
            {"annotations": {"api-approved.kubernetes.io": "unapproved, a test"}}
            if approved
            else {}
        )
        return {
            "kind": "CustomResourceDefinition",
            "apiVersion": "apiextensions.k8s.io/v1",
            "metadata": {"name": f"{plural}.{group}", **notes},
            "spec": {"group": group, "scope": "Cluster", "names": names, "versions": [version]},
        }

    async with attacked(tmp_path) as (api, other):
        await grant(
            api,
            "author",
            rule("*", "apiextensions.k8s.io", "customresourcedefinitions"),
            rule("*", "example.com", "*"),
        )
        await other.create(definitions, definition("example.com", "widgets", "Widget"), **EVE)
        widget = {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": "w"}}
        assert (await other.create("/apis/example.com/v1/widgets", widget, **EVE)).code == 201
        for group, plural, kind in (
            (GROUP, "clusterroles", "ClusterRole"),
            ("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition"),
            (GROUP, "others", "ClusterRole"),
            ("services", "specs", "Spec"),
        ):
            refused = await other.create(
                definitions, definition(group, plural, kind, approved=False), **EVE
            )
            assert refused.code == 422, (group, refused.body)
            await other.create(definitions, definition(group, plural, kind), **EVE)
            assert (await api.get(f"{RBAC}/clusterroles/cluster-admin")).ok()["rules"]
            assert (await other.delete(f"{definitions}/{plural}.{group}", **EVE)).code in (200, 404)
        assert (await other.get("/apis/example.com/v1/widgets/w", **EVE)).code == 200
        assert [
            item["metadata"]["name"] for item in (await api.get(definitions)).ok()["items"]
        ] == ["widgets.example.com"]
        assert (await other.get("/api/v1/secrets", **EVE)).code == 403


async def test_no_slash_hides_in_a_name(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (api, _):
        for path in (
            "/api/v1/namespaces/default%2fx/pods/proxy",
            "/api/v1/namespaces/default/pods/a%2fb/proxy",
            "/api/v1/namespaces/default/secrets%2fx/y/proxy",
            "/api/v1/nodes/a%00b/proxy/x",
            "/apis/a%2fb/v1/things/x/proxy",
        ):
            async with api.session.get(_raw(api, path)) as response:
                assert response.status == 400, path


def _raw(api: Cluster, path: str) -> Any:
    from yarl import URL

    return URL(api.url + path, encoded=True)


async def test_reading_is_not_more_than_asked(tmp_path: Path) -> None:
    """A continue token of one namespace, forged for another, shows nothing of it."""
    import base64
    import json

    async with attacked(tmp_path) as (api, other):
        await grant(api, "reader", READ_PODS, namespace="default")
        for space in ("default", "kube-system"):
            for number in range(3):
                await api.create(f"/api/v1/namespaces/{space}/pods", pod(f"{space}-{number}"))
        first = (await other.get(f"{PODS}?limit=1", **EVE)).ok()
        token = first["metadata"]["continue"]
        value = json.loads(base64.urlsafe_b64decode(token + "=="))
        for start in (
            "",
            "../kube-system/",
            "\x00",
            "kube-system/kube-system-0",
            "/registry/pods/kube-system/",
            "\uffff",
            "default-0",
        ):
            forged = base64.urlsafe_b64encode(
                json.dumps({**value, "start": start}).encode()
            ).decode()
            reply = await other.get(f"{PODS}?continue={quote(forged)}", **EVE)
            assert reply.code in (200, 400)
            assert all(
                item["metadata"]["namespace"] == "default"
                for item in (reply.value.get("items") or ())
            ), start
        for revision in (-1, 0, True, 1.5, "5", None, 1 << 70):
            forged = base64.urlsafe_b64encode(
                json.dumps({**value, "rv": revision}).encode()
            ).decode()
            assert (await other.get(f"{PODS}?continue={quote(forged)}", **EVE)).code in (
                400,
                410,
                504,
            ), revision
        assert (
            await other.get(f"/api/v1/namespaces/kube-system/pods?continue={token}", **EVE)
        ).code == 403
        async with other.watch(f"{PODS}", **EVE) as watch:
            names = {(event["object"]["metadata"]["namespace"]) for event in await watch.take(3)}
            await api.create("/api/v1/namespaces/kube-system/pods", pod("later"))
            await api.create(PODS, pod("later"))
            event = await watch.next() or {}
            assert names | {event["object"]["metadata"]["namespace"]} == {"default"}


async def test_reading_through_a_nodes_proxy_executes_nothing(tmp_path: Path) -> None:
    """As monitoring may: a WebSocket that begins with GET leads into any container otherwise."""
    async with attacked(tmp_path) as (api, other):
        await grant(api, "monitor", rule("get", "", "nodes/proxy"))
        at = "/api/v1/nodes/n/proxy"
        for command in ("exec", "attach", "run", "portForward"):
            for rest in (f"/{command}/default/p/c", f"//{command}/default/p/c", f"/{command}"):
                for path in (rest, rest.replace(command, f"%{ord(command[0]):x}{command[1:]}")):
                    assert (await other.get(f"{at}{path}?cmd=id", **EVE)).code == 403, path
        for rest in ("/metrics", "/pods", "/execute", "/containerLogs/exec/p/c"):
            assert (await other.get(at + rest, **EVE)).code == 404, rest
        await grant(api, "operator", rule("get create", "", "nodes/proxy"))
        assert (await other.get(f"{at}/exec/default/p/c", **EVE)).code == 404
