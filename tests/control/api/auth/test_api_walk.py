"""Every route, every verb, as nobody, as an ordinary user and as a node: what each may do is stated
here, all else is 403.

The routes are the server's own table, so that a new kind, subresource or page is walked without a
word here.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from yarl import URL

from kubelite.control.api.server import app as router
from kubelite.control.api.server.lifecycle import Options
from kubelite.control.api.wire.request import User
from tests.control.world import PODS, Cluster, Reply, cluster, pod, stranger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

EVERYBODY = "system:authenticated"
USERS = {
    "jane-token": User("jane", groups=(EVERYBODY,)),
    "node-token": User("system:node:far", groups=("system:nodes", EVERYBODY)),
}
WHO = {"nobody": "", "jane": "jane-token", "node": "node-token"}
READ, AUTHORIZATION, AUTHENTICATION = (
    "get list watch",
    "authorization.k8s.io",
    "authentication.k8s.io",
)
SELF = {
    (AUTHORIZATION, "selfsubjectaccessreviews"): "create",
    (AUTHORIZATION, "selfsubjectrulesreviews"): "create",
    (AUTHENTICATION, "selfsubjectreviews"): "create",
}
ALLOWED: dict[str, dict[tuple[str, str], str]] = {
    "nobody": {},
    "jane": SELF,
    "node": {
        **SELF,
        (AUTHENTICATION, "tokenreviews"): "create",
        (AUTHORIZATION, "subjectaccessreviews"): "create",
        (AUTHORIZATION, "localsubjectaccessreviews"): "create",
        ("", "services"): READ,
        ("", "nodes"): "create",
        ("", "pods"): "create",
        ("", "events"): "create patch update",
        ("events.k8s.io", "events"): "create patch update",
        ("certificates.k8s.io", "certificatesigningrequests"): f"create {READ}",
        ("node.k8s.io", "runtimeclasses"): READ,
        ("storage.k8s.io", "csidrivers"): READ,
        ("storage.k8s.io", "csinodes"): "create",
    },
}
"""What each may ask for at all, as verbs of whole resources; every subresource is closed to all
three.
"""
PAGES = {
    "nobody": ("/healthz", "/livez", "/readyz", "/version"),
    "jane": ("/api", "/apis", "/openapi"),
}
ELSEWHERE = (
    "/", "/metrics", "/metrics/slis", "/debug/pprof", "/debug/pprof/heap", "/debug/flags/v",
    "/logs", "/logs/x", "/configz",
    "/swagger.json", "/swaggerapi", "/ui", "/.well-known/openid-configuration", "/openid/v1/jwks",
    "/healthz/etcd", "/readyz/x",
    "/api/v1/watch/secrets", "/api/v1/watch/namespaces/default/secrets/x", "/api/v1/proxy/nodes/x",
    "/api/v1/redirect/pods/x",
    "/apis/example.com/v1/namespaces/default/nothings/x", "/api/v2/secrets", "/apis/v1/secrets",
    "/nothing", "/api/v1x",
)  # fmt: skip
CRD = {
    "kind": "CustomResourceDefinition",
    "apiVersion": "apiextensions.k8s.io/v1",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget",
                  "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {"spec": {
                        "type": "object", "properties": {"replicas": {"type": "integer"}},
                    }},
                }},
                "subresources": {"status": {},
                                 "scale": {"specReplicasPath": ".spec.replicas",
                                           "statusReplicasPath": ".status.replicas"}},
            }
        ],
    },
}  # fmt: skip


class Step(NamedTuple):
    """One request of the walk. ``sub`` is a subresource, ``verb`` what it asks for."""

    method: str
    path: str
    group: str
    plural: str
    sub: str
    verb: str


VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


def steps(api: Cluster) -> Iterator[Step]:
    """Every resource of the server's table, with and without a name, each of its subresources, by
    every method.
    """
    for res in api.server.context.registry.all():
        base = f"/apis/{res.gv}" if res.group else f"/api/{res.version}"
        where = (
            f"{base}/namespaces/default/{res.plural}" if res.namespaced else f"{base}/{res.plural}"
        )
        everywhere = [f"{base}/{res.plural}"] if res.namespaced else []
        named = [
            (f"{where}/x", ""),
            *((f"{where}/x/{sub}", sub) for sub in (*res.subresources, "nothing")),
        ]
        for path, sub, name in [
            *((path, "", False) for path in (where, *everywhere)),
            *((path, sub, True) for path, sub in named),
        ]:
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
                read = "get" if name else "list"
                gone = "delete" if name else "deletecollection"
                verb = {"GET": read, "HEAD": read, "DELETE": gone, **VERBS}.get(method, "")
                yield Step(method, path, res.group, res.plural, sub, verb)
            yield Step("GET", path + "?watch=true", res.group, res.plural, sub, "watch")


def may(who: str, step: Step) -> bool:
    verbs = ALLOWED[who].get((step.group, step.plural), "").split()
    return not step.sub and step.verb in verbs


@asynccontextmanager
async def walked(path: Path) -> AsyncIterator[tuple[Cluster, Cluster]]:
    async with (
        cluster(path, tokens=USERS, options=Options("", metrics=True)) as api,
        stranger(api) as other,
    ):
        (await api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CRD)).ok()
        (await api.create(PODS, pod("x", nodeName="n1"))).ok()
        yield api, other


async def everything(api: Cluster) -> dict[str, int]:
    """What is stored: key to revision, but for the Lease that the server renews itself."""
    page = await api.server.context.store.backend.page("/registry/")
    own = "/registry/leases/kube-system/apiserver-"
    return {entry.key: entry.revision for entry in page.entries if not entry.key.startswith(own)}


async def each(requests: Iterable[Any], at_once: int = 40) -> list[Any]:
    """The results of coroutines, some at a time."""
    todo, done = list(requests), []
    while todo:
        now, todo = todo[:at_once], todo[at_once:]
        done += await asyncio.gather(*now)
    return done


async def test_every_route_by_every_verb(tmp_path: Path) -> None:
    async with walked(tmp_path) as (api, other):
        before = await everything(api)
        wrong: list[Any] = []

        async def ask(who: str, step: Step) -> None:
            headers = (
                {"Content-Type": "application/merge-patch+json"} if step.method == "PATCH" else {}
            )
            body = {} if step.method in ("POST", "PUT", "PATCH", "DELETE") else None
            # A watch that is allowed would go on for ever.
            path = f"{step.path}&timeoutSeconds=1" if "watch=" in step.path else step.path
            reply = await other.ask(step.method, path, body, token=WHO[who], headers=headers)
            allowed = may(who, step)
            # What a node may ask for in general is refused in particular by admission.
            particular = who == "node" and allowed and step.verb == "create" and reply.code == 403
            if reply.code >= 500 or (
                (reply.code in (401, 403)) != (not allowed) and not particular
            ):
                wrong.append((who, step, reply.code, reply.body[:200]))

        todo = list(steps(api))
        watching = [
            (who, step) for who in WHO for step in todo if step.verb == "watch" and may(who, step)
        ]
        await each(ask(who, step) for who in WHO for step in todo if (who, step) not in watching)
        await each(ask(who, step) for who, step in watching)
        assert not wrong, wrong[:10]
        assert len(todo) > 2000
        written = {"/registry/events/default/x"}  # a node may write events
        assert {
            key: revision for key, revision in (await everything(api)).items() if key not in written
        } == before


async def test_the_table_holds_every_route(tmp_path: Path) -> None:
    """What discovery shows, and what has a handler, is in the table that is walked."""
    async with walked(tmp_path) as (api, _):
        table = {(res.gv, name) for res in api.server.context.registry.all()
                 for name in (res.plural,
                              *(f"{res.plural}/{sub}" for sub in res.subresources))}  # fmt: skip
        versions = ["/api/v1"]
        for group in (await api.get("/apis")).ok()["groups"]:
            versions += [f"/apis/{version['groupVersion']}" for version in group["versions"]]
        lists = [(await api.get(path)).ok() for path in versions]
        shown = {(one["groupVersion"], res["name"]) for one in lists for res in one["resources"]}
        assert shown == table
        subs = {name.partition("/")[2] for _, name in table}
        assert {sub for sub, _ in router._SUBRESOURCES} | set(router._PARTS) <= subs


async def test_every_page(tmp_path: Path) -> None:
    async with walked(tmp_path) as (api, other):
        paths = set((await api.get("/")).ok()["paths"]) | set(ELSEWHERE)
        paths |= {
            "/" + path
            for path in (
                "openapi/v3/" + each for each in (await api.get("/openapi/v3")).ok()["paths"]
            )
        }
        wrong: list[Any] = []

        async def ask(who: str, method: str, path: str) -> None:
            reply = await other.ask(method, path, token=WHO[who])
            pages = PAGES["nobody"] if who == "nobody" else (*PAGES["nobody"], *PAGES["jane"])
            open_to = path in pages or (
                who != "nobody"
                and path.startswith(("/api/", "/apis/", "/openapi/"))
                and not is_resource(path)
            )
            if reply.code >= 500 or (reply.code != 403) != (open_to and method == "GET"):
                wrong.append((who, method, path, reply.code))

        await each(
            ask(who, method, path)
            for who in WHO
            for path in sorted(paths)
            for method in ("GET", "POST", "DELETE")
        )
        assert not wrong, wrong[:20]
        assert len(paths) > 60


def is_resource(path: str) -> bool:
    """Whether a path names objects, so that roles about pages do not speak of it."""
    parts = path.strip("/").split("/")
    return (parts[0] == "api" and len(parts) > 2) or (parts[0] == "apis" and len(parts) > 3)


async def test_no_header_opens_a_route(tmp_path: Path) -> None:
    """Names in headers that other servers may trust, and impersonation without the right to it."""
    tricks: list[tuple[str, dict[str, str], set[int]]] = [
        ("nobody", {"X-Remote-User": "kubernetes-admin", "X-Remote-Group": "system:masters"},
         {403}),
        ("nobody",
         {"X-Forwarded-User": "kubernetes-admin", "X-Client-Verify": "SUCCESS",
          "X-SSL-Client-CN": "admin"}, {403}),
        ("nobody", {"Authorization": ""}, {403}),
        ("nobody",
         {"X-HTTP-Method-Override": "GET", "X-Original-URL": "/healthz",
          "X-Rewrite-URL": "/healthz"}, {403}),
        ("nobody", {"Impersonate-User": "kubernetes-admin", "Impersonate-Group": "system:masters"},
         {403}),
        ("jane", {"Impersonate-User": "kubernetes-admin", "Impersonate-Group": "system:masters"},
         {403}),
        ("jane", {"Impersonate-User": "system:node:n1", "Impersonate-Group": "system:nodes"},
         {403}),
        ("jane", {"Impersonate-Group": "system:masters"}, {400}),
        ("jane", {"Impersonate-Uid": "0"}, {400}),
        ("jane", {"Impersonate-Extra-a": "b"}, {400}),
        ("jane", {"Impersonate-User": ""}, {403}),
        ("node", {"Impersonate-User": "system:node:n1", "Impersonate-Group": "system:nodes"},
         {403}),
        ("nobody",
         {"Upgrade": "websocket", "Connection": "Upgrade",
          "Sec-WebSocket-Protocol": "base64url.bearer.authorization.k8s.io.d3Jvbmc, x"},
         {401, 403}),
    ]  # fmt: skip
    async with walked(tmp_path) as (api, other):
        paths = sorted({step.path for step in steps(api) if step.method == "PUT"})
        wrong: list[Any] = []

        async def ask(path: str, who: str, headers: dict[str, str], codes: set[int]) -> None:
            reply = await other.get(path, token=WHO[who], headers=headers)
            group = path.split("/")[2] if path.startswith("/apis") else ""
            if reply.code not in codes and not (
                who == "jane" and (group, path.split("/")[-1]) in SELF
            ):
                wrong.append((path, headers, reply.code))

        for who, headers, codes in tricks:
            await each(
                ask(path, who, headers, codes) for path in paths[:: 1 if who == "nobody" else 5]
            )
        assert not wrong, wrong[:10]


async def test_no_spelling_opens_a_route(tmp_path: Path) -> None:
    """The path that is judged is the path that is served."""
    async with walked(tmp_path) as (api, other):
        await api.create(
            "/api/v1/namespaces/default/secrets",
            {"metadata": {"name": "x"}, "stringData": {"a": "hidden"}},
        )

        async def ask(method: str, path: str, token: str) -> Reply:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with other.session.request(
                method, URL(other.url + path, encoded=True), headers=headers
            ) as response:
                return Reply(response.status, None, await response.read(), response.headers)

        plain = "/api/v1/namespaces/default/secrets/x"
        for path in (
            plain + "/", "/" + plain, plain.replace("/secrets", "//secrets"),
            plain.replace("secrets", "%73ecrets"), plain.replace("secrets", "SECRETS"),
            plain.replace("api", "%61pi", 1), plain + ";x=1", plain + "%20", plain + "%00",
            plain.replace("default", "default%20"), plain + "?watch=1",
            "/healthz/.." + plain, "/healthz/%2e%2e" + plain, "/healthz/..%2f" + plain[1:],
            "/healthz%2f.." + plain,
            plain.replace("/v1/", "/v1/watch/"),
            "/api/v1/namespaces/default/pods/x/proxy/../../secrets/x", plain + "/status",
            plain + "%2fstatus",
            "/api/v1/namespaces/default/pods/%2e%2e/secrets/x",
            "/api/v1/secrets?fieldSelector=metadata.name%3Dx", plain + "/proxy",
            "/openapi/../" + plain,
        ):  # fmt: skip
            for token in WHO.values():
                for method in ("GET", "HEAD", "PUT", "DELETE"):
                    reply = await ask(method, path, token)
                    assert reply.code in (400, 403, 404, 405), (path, token, method, reply.code)
                    assert b"aGlkZGVu" not in reply.body
        assert (await api.get(plain)).code == 200
