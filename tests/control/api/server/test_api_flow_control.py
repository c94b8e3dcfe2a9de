"""Priority and fairness: classification, seats, queues that take turns, and 429."""

import asyncio
from types import SimpleNamespace

import pytest

from kubelite.control.api.server import flow_policy
from kubelite.control.api.server.flow_control import FlowControl, TooManyRequests, matches
from kubelite.control.api.wire.attributes import AuthorizationAttributes
from kubelite.control.api.wire.request import User
from tests.control.world import CONFIG, cluster

NODE = User("system:node:n", groups=("system:nodes", "system:authenticated"))
JANE = User("jane", groups=("system:authenticated",))
ROBOT = User(
    "system:serviceaccount:team:robot", groups=("system:serviceaccounts", "system:authenticated")
)
LEADER = User("system:kube-scheduler", groups=("system:authenticated",))


def schema_of(attributes):
    found = [each for each in flow_policy.SCHEMAS if matches(each, attributes)]
    return min(found, key=lambda each: each["spec"]["matchingPrecedence"])["metadata"]["name"]


@pytest.mark.parametrize(
    ("attributes", "schema"),
    [
        (
            AuthorizationAttributes(User("a", groups=("system:masters",)), "get", "", "pods"),
            "exempt",
        ),
        (AuthorizationAttributes(JANE, "get", path="/healthz"), "probes"),
        (AuthorizationAttributes(JANE, "get", path="/version"), "global-default"),
        (
            AuthorizationAttributes(
                LEADER, "update", "coordination.k8s.io", "leases", namespace="kube-system"
            ),
            "system-leader-election",
        ),
        (AuthorizationAttributes(LEADER, "list", "", "pods"), "kube-scheduler"),
        (AuthorizationAttributes(NODE, "patch", "", "nodes", "status"), "system-node-high"),
        (AuthorizationAttributes(NODE, "get", "", "pods", namespace="x"), "system-nodes"),
        (AuthorizationAttributes(ROBOT, "get", "", "pods", namespace="x"), "service-accounts"),
        (AuthorizationAttributes(JANE, "list", "", "pods"), "global-default"),
    ],
)
def test_requests_belong_to_the_schema_of_lowest_precedence(attributes, schema):
    assert schema_of(attributes) == schema


class Follow:
    """A store of which nothing is followed: the objects are handed in."""

    def follow(self, prefix, listener):
        pass


def flow(seats, queue):
    control = FlowControl(Follow())
    limited = {
        "nominalConcurrencyShares": 1,
        "limitResponse": {"type": "Queue", "queuing": {"queues": queue, "queueLengthLimit": 1}},
    }
    control._levels["l"] = {"metadata": {"uid": "u"}, "spec": {"limited": limited}}
    control._divide()
    control._queues["l"].seats = seats
    return control


def classified(flow):
    return SimpleNamespace(level="l", flow=flow)


async def test_flows_take_turns():
    control = flow(1, 10)
    seat = await control.acquire(classified("a"))
    order = []

    async def ask(name):
        got = await control.acquire(classified(name))
        order.append(name)
        got.release()

    tasks = [asyncio.create_task(ask(name)) for name in ("a", "a", "a", "b", "b")]
    await asyncio.sleep(0)
    seat.release()
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "a", "b", "a"]
    assert control._queues["l"].taken == 0


async def test_a_full_queue_refuses_and_nobody_who_left_keeps_a_seat():
    control = flow(1, 1)
    seat = await control.acquire(classified("a"))
    waiting = asyncio.create_task(control.acquire(classified("b")))
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests):
        await control.acquire(classified("c"))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    seat.release()
    assert control._queues["l"].taken == 0
    assert await control.acquire(classified("c"))


async def test_the_server_answers_429_and_says_how_it_classified(tmp_path):
    async with cluster(tmp_path, tokens={"t": JANE}) as api:
        seen = (await api.get("/version", token="t")).code
        assert seen == 200
        level = (
            await api.get(
                "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/global-default"
            )
        ).ok()
        answer = await api.get(CONFIG, token="t")
        assert answer.code == 403
        answer = await api.get("/api/v1/namespaces/default/configmaps")
        schema = (await api.get("/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/exempt")).ok()
        assert answer.headers["X-Kubernetes-PF-FlowSchema-UID"] == schema["metadata"]["uid"]
        level["spec"]["limited"] |= {
            "nominalConcurrencyShares": 0,
            "limitResponse": {"type": "Reject"},
        }
        (
            await api.ask(
                "PUT",
                "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/global-default",
                level,
            )
        ).ok()
        answer = await api.get("/version", token="t")
        assert (answer.code, answer.headers["Retry-After"]) == (429, "1")
        assert (await api.get("/version")).code == 200
        metrics = (await api.get("/metrics")).body.decode()
        assert (
            'apiserver_flowcontrol_rejected_requests_total{priority_level="global-default"} 1.0'
            in metrics
        )
        assert (
            'apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="configmaps"'
            in metrics
        )


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_health_in_words(tmp_path, path):
    async with cluster(tmp_path) as api:
        assert (await api.get(path)).body == b"ok"
        text = (await api.get(f"{path}?verbose")).body.decode()
        assert "[+]etcd ok" in text and text.endswith(f"{path[1:]} check passed\n")
        assert "[+]etcd" not in (await api.get(f"{path}?verbose&exclude=etcd")).body.decode()
        assert (await api.get(f"{path}/etcd")).body == b"ok"
        assert (await api.get(f"{path}/nothing")).code == 404


async def test_tokens_can_be_checked_by_others(tmp_path):
    """The published key verifies what the server signs."""
    import base64
    import json

    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    def unpack(text):
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    async with cluster(tmp_path) as api:
        provider = (await api.get("/.well-known/openid-configuration")).ok()
        assert provider["issuer"] == "https://kubernetes.default.svc.cluster.local"
        (key,) = json.loads((await api.get("/openid/v1/jwks")).body)["keys"]
        body = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
        token = (
            await api.create("/api/v1/namespaces/default/serviceaccounts/default/token", body)
        ).ok()["status"]["token"]
    head, claims, signature = token.split(".")
    assert json.loads(unpack(head))["kid"] == key["kid"]
    x, y = (int.from_bytes(unpack(key[axis]), "big") for axis in "xy")
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    r, s = (int.from_bytes(unpack(signature)[part : part + 32], "big") for part in (0, 32))
    public.verify(utils.encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
