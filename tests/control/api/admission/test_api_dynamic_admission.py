"""Policies with CEL and webhooks over real HTTPS: what they refuse, change, warn of, and ignore."""

import asyncio
import base64
import json
import ssl
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from kubelite.control.api.admission.dynamic import expressions, matching
from kubelite.control.api.auth.pki import Pki
from kubelite.control.api.wire.resource import builtin
from tests.control.world import CONFIG, PODS, cluster, config_map, on_loopback, pod

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CONFIG_RULE = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE"],
    "resources": ["configmaps"],
}
DEPLOYMENT_RULE = {
    "apiGroups": ["apps"],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE"],
    "resources": ["deployments"],
}


def policy(name, kind="ValidatingAdmissionPolicy", rule=CONFIG_RULE, **spec):
    return {
        "kind": kind,
        "apiVersion": "admissionregistration.k8s.io/v1",
        "metadata": {"name": name},
        "spec": {"matchConstraints": {"resourceRules": [rule]}, **spec},
    }


def binding(name, kind="ValidatingAdmissionPolicyBinding", **spec):
    actions = {"validationActions": ["Deny"]} if kind.startswith("Validating") else {}
    return {
        "kind": kind,
        "apiVersion": "admissionregistration.k8s.io/v1",
        "metadata": {"name": name},
        "spec": {"policyName": name, **actions, **spec},
    }


async def add(api, *objects):
    plurals = {
        "Policy": "policies",
        "Binding": "policybindings",
        "Configuration": "webhookconfigurations",
    }
    for each in objects:
        stem = each["kind"].lower()
        for end, plural in plurals.items():
            if each["kind"].endswith(end):
                stem = (
                    stem.removesuffix(end.lower()).removesuffix("policy").removesuffix("webhook")
                    + plural
                )
        (await api.create(f"{ADMISSION}/{stem}", each)).ok()


def deployment(name, replicas):
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    return {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": name}, "spec": spec}


async def test_a_policy_refuses_in_the_words_of_the_servers(tmp_path):
    validation = {
        "expression": "object.spec.replicas <= variables.most",
        "messageExpression": "'at most ' + string(variables.most)",
    }
    rules = policy(
        "few",
        rule=DEPLOYMENT_RULE,
        variables=[{"name": "most", "expression": "5"}],
        validations=[validation],
    )
    async with cluster(tmp_path) as api:
        await add(api, rules)
        (await api.create(DEPLOYMENTS, deployment("unbound", 6))).ok()
        await add(api, binding("few"))
        (await api.create(DEPLOYMENTS, deployment("a", 5))).ok()
        refused = await api.create(DEPLOYMENTS, deployment("b", 6))
        assert (refused.code, refused.value["reason"]) == (422, "Invalid")
        assert refused.value["message"] == (
            "deployments.apps \"b\" is forbidden: ValidatingAdmissionPolicy 'few' "
            "with binding 'few' denied request: at most 5"
        )
        assert (await api.patch(f"{DEPLOYMENTS}/a", {"spec": {"replicas": 9}})).code == 422
        (await api.delete(f"{ADMISSION}/validatingadmissionpolicybindings/few")).ok()
        (await api.create(DEPLOYMENTS, deployment("b", 6))).ok()


async def test_what_a_failure_does_is_said_by_the_binding(tmp_path):
    rules = policy(
        "none", validations=[{"expression": "false", "message": "no", "reason": "Forbidden"}]
    )
    async with cluster(tmp_path) as api:
        await add(api, rules, binding("none", validationActions=["Warn", "Audit"]))
        made = await api.create(CONFIG, config_map("a"))
        assert made.code == 201
        assert made.headers["Warning"] == (
            '299 - "Validation failed for '
            "ValidatingAdmissionPolicy 'none' with binding 'none': "
            'no"'
        )
        at = f"{ADMISSION}/validatingadmissionpolicybindings/none"
        (await api.patch(at, {"spec": {"validationActions": ["Deny"]}})).ok()
        assert (await api.create(CONFIG, config_map("b"))).code == 403


async def test_parameters_conditions_and_selectors(tmp_path):
    rules = policy(
        "limit",
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        matchConditions=[
            {"name": "mine", "expression": "!object.metadata.name.startsWith('free')"}
        ],
        validations=[{"expression": "size(object.data) <= int(params.data.most)"}],
    )
    selected = {"namespaceSelector": {"matchLabels": {"strict": "yes"}}}
    bound = binding(
        "limit",
        paramRef={"name": "limits", "namespace": "default", "parameterNotFoundAction": "Deny"},
        matchResources=selected,
    )
    async with cluster(tmp_path) as api:
        (await api.create(CONFIG, config_map("limits", most="1"))).ok()
        await add(api, rules, bound)
        (await api.create(CONFIG, config_map("a", x="1", y="2"))).ok()
        (
            await api.patch(
                "/api/v1/namespaces/default", {"metadata": {"labels": {"strict": "yes"}}}
            )
        ).ok()
        refused = await api.create(CONFIG, config_map("b", x="1", y="2"))
        assert (refused.code, "failed expression" in refused.value["message"]) == (422, True)
        (await api.create(CONFIG, config_map("c", x="1"))).ok()
        (await api.create(CONFIG, config_map("free", x="1", y="2"))).ok()
        (await api.delete(f"{CONFIG}/limits")).ok()
        assert "no params found" in (await api.create(CONFIG, config_map("d"))).value["message"]


@pytest.mark.parametrize(("failure", "code"), [("Fail", 422), ("Ignore", 201)])
async def test_errors_of_expressions_follow_the_failure_policy(tmp_path, failure, code):
    rules = policy(
        "broken", failurePolicy=failure, validations=[{"expression": "object.nothing.there == 1"}]
    )
    async with cluster(tmp_path) as api:
        await add(api, rules, binding("broken"))
        assert (await api.create(CONFIG, config_map("a"))).code == code


async def test_mutating_policies_apply_and_patch(tmp_path):
    apply = {
        "patchType": "ApplyConfiguration",
        "applyConfiguration": {
            "expression": 'Object{metadata: Object.metadata{labels: {"by": "policy"}}}'
        },
    }
    patch = {
        "patchType": "JSONPatch",
        "jsonPatch": {
            "expression": (
                '[JSONPatch{op: "add", path: "/data", value: {"n": '
                "string(size(object.metadata.name))}}]"
            )
        },
    }
    rules = policy(
        "change",
        kind="MutatingAdmissionPolicy",
        mutations=[apply, patch],
        reinvocationPolicy="Never",
        failurePolicy="Fail",
    )
    async with cluster(tmp_path) as api:
        await add(api, rules, binding("change", kind="MutatingAdmissionPolicyBinding"))
        made = (await api.create(CONFIG, config_map("abc"))).ok()
        assert (made["metadata"]["labels"], made["data"]) == ({"by": "policy"}, {"n": "3"})


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ('JSONPatch{op: "add", value: object.x}', '{"op": "add", "value": object.x}'),
        (
            'Object{spec: Object.spec{a: f(b, c), d: ["x:{"]}}',
            '{"spec": {"a": f(b, c), "d": ["x:{"]}}',
        ),
        ('{"a": b, c: d}', '{"a": b, c: d}'),
        ('[JSONPatch{path: "/a"}, JSONPatch{path: "/b"}]', '[{"path": "/a"}, {"path": "/b"}]'),
        ("'Object{' + object.spec", "'Object{' + object.spec"),
        ("size(object.metadata.name) < 3", "size(object.metadata.name) < 3"),
    ],
)
def test_messages_are_read_as_maps(given, read):
    assert expressions.as_maps(given) == read


@pytest.mark.parametrize(
    ("rule", "sub", "matches"),
    [
        ({}, "", True),
        ({"resources": ["*"]}, "", True),
        ({"resources": ["*"]}, "status", False),
        ({"resources": ["*/*"]}, "status", True),
        ({"resources": ["pods/*"]}, "status", True),
        ({"resources": ["pods/status"]}, "status", True),
        ({"resources": ["pods/status"]}, "", False),
        ({"scope": "Cluster"}, "", False),
        ({"operations": ["*"]}, "", True),
        ({"operations": ["DELETE"]}, "", False),
        ({"resourceNames": ["q"]}, "", False),
        ({"apiGroups": ["apps"]}, "", False),
    ],
)
def test_rules_match_resources(rule, sub, matches):
    pods = next(res for res in builtin() if res.plural == "pods" and not res.group)
    whole = {
        "apiGroups": [""],
        "apiVersions": ["*"],
        "operations": ["CREATE"],
        "resources": ["pods"],
        **rule,
    }
    write = matching.Write("CREATE", pods, sub, "p", "default", {}, None, {})
    assert (matching.matched_resource([whole], "Exact", write, lambda: [pods]) is pods) is matches


class Hook:
    """A webhook over HTTPS with a certificate of its own authority."""

    def __init__(self, directory):
        self.pki = Pki(str(directory))
        self.reviews = []
        self.answer = {"allowed": True}
        self.delay = 0.0

    async def review(self, request):
        review = json.loads(await request.read())
        self.reviews.append(review["request"])
        await asyncio.sleep(self.delay)
        response = {"uid": review["request"]["uid"], **self.answer}
        return web.json_response(
            {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response}
        )

    def bundle(self):
        with open(self.pki.authority.certificate, "rb") as file:
            return base64.b64encode(file.read()).decode()

    @asynccontextmanager
    async def listening(self, address="127.0.0.1", name="localhost"):
        pair = self.pki.server([address, name])
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pair.certificate, pair.key)
        runner = web.ServerRunner(web.Server(self.review))
        await runner.setup()
        site = web.TCPSite(runner, address, 0, ssl_context=context)
        await site.start()
        try:
            yield f"https://{address}:{runner.addresses[0][1]}/review"
        finally:
            await runner.cleanup()


def webhooks(kind, hook, url, **rest):
    return {
        "kind": f"{kind}WebhookConfiguration",
        "apiVersion": "admissionregistration.k8s.io/v1",
        "metadata": {"name": "hooks"},
        "webhooks": [
            {
                "name": "hook.example.com",
                "clientConfig": {"url": url, "caBundle": hook.bundle()},
                "rules": [CONFIG_RULE],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                **rest,
            }
        ],
    }


async def test_a_validating_webhook_refuses_and_warns(tmp_path):
    hook = Hook(tmp_path / "hook")
    async with cluster(tmp_path) as api, hook.listening() as url:
        await add(api, webhooks("Validating", hook, url))
        hook.answer = {"allowed": True, "warnings": ["mind the gap"]}
        made = await api.create(CONFIG, config_map("a", x="1"))
        assert (made.code, made.headers["Warning"]) == (201, '299 - "mind the gap"')
        seen = hook.reviews[-1]
        assert (seen["operation"], seen["object"]["data"], seen["namespace"]) == (
            "CREATE",
            {"x": "1"},
            "default",
        )
        hook.answer = {"allowed": False, "status": {"code": 418, "message": "no tea"}}
        refused = await api.create(CONFIG, config_map("b"))
        assert (refused.code, refused.value["message"]) == (
            418,
            'admission webhook "hook.example.com" denied the request: no tea',
        )
        assert (await api.get(f"{CONFIG}/b")).code == 404


async def test_a_mutating_webhook_patches(tmp_path):
    hook = Hook(tmp_path / "hook")
    patch = [{"op": "add", "path": "/data", "value": {"by": "hook"}}]
    async with cluster(tmp_path) as api, hook.listening() as url:
        await add(api, webhooks("Mutating", hook, url))
        hook.answer = {
            "allowed": True,
            "patchType": "JSONPatch",
            "patch": base64.b64encode(json.dumps(patch).encode()).decode(),
        }
        assert (await api.create(CONFIG, config_map("a"))).ok()["data"] == {"by": "hook"}
        assert (await api.get(f"{CONFIG}/a")).ok()["data"] == {"by": "hook"}


async def test_a_webhook_behind_a_service_is_called_by_the_name_of_the_service(tmp_path):
    hook, address = Hook(tmp_path / "hook"), "198.51.100.7"
    service = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "hook"},
        "spec": {"ports": [{"port": 8443}]},
    }
    endpoints = {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
    }
    with on_loopback(address):
        async with cluster(tmp_path) as api, hook.listening(address, "hook.default.svc") as url:
            ports = [{"name": "", "port": urlsplit(url).port}]
            (await api.create("/api/v1/namespaces/default/services", service)).ok()
            (await api.create(SLICES, {**endpoints, "ports": ports})).ok()
            configuration = webhooks("Validating", hook, url)
            configuration["webhooks"][0]["clientConfig"] = {
                "service": {"namespace": "default", "name": "hook", "port": 8443},
                "caBundle": hook.bundle(),
            }
            await add(api, configuration)
            (await api.create(CONFIG, config_map("a"))).ok()
            assert [review["name"] for review in hook.reviews] == ["a"]


async def test_a_webhook_is_asked_before_somebody_connects_to_a_pod(tmp_path):
    hook = Hook(tmp_path / "hook")
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CONNECT"],
        "resources": ["pods/exec"],
    }
    async with cluster(tmp_path) as api, hook.listening() as url:
        (await api.create(PODS, pod("a", nodeName="n"))).ok()
        await add(api, webhooks("Validating", hook, url, rules=[rule]))
        hook.answer = {"allowed": False, "status": {"message": "not here"}}
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
        at = f"{PODS}/a/exec?command=id&stdout=true"
        refused = await api.get(at, headers=upgrade)
        assert (refused.code, refused.value["message"]) == (
            403,
            'admission webhook "hook.example.com" denied the request: not here',
        )
        (review,) = hook.reviews
        assert (review["operation"], review["name"]) == ("CONNECT", "a")
        assert review["object"] == {
            "kind": "PodExecOptions",
            "apiVersion": "v1",
            "stdout": True,
            "command": ["id"],
        }


@pytest.mark.parametrize(("failure", "code"), [("Fail", 500), ("Ignore", 201)])
async def test_a_webhook_that_does_not_answer(tmp_path, failure, code):
    hook = Hook(tmp_path / "hook")
    hook.delay = 5
    async with cluster(tmp_path) as api, hook.listening() as url:
        await add(api, webhooks("Validating", hook, url, failurePolicy=failure, timeoutSeconds=1))
        assert (await api.create(CONFIG, config_map("a"))).code == code


async def test_what_is_not_matched_is_not_called(tmp_path):
    hook = Hook(tmp_path / "hook")
    never = [{"name": "never", "expression": "object.metadata.name == 'other'"}]
    async with cluster(tmp_path) as api, hook.listening() as url:
        await add(api, webhooks("Validating", hook, url, matchConditions=never))
        (await api.create(CONFIG, config_map("a"))).ok()
        at = f"{ADMISSION}/validatingwebhookconfigurations/hooks"
        (await api.patch(at, {"metadata": {"labels": {"x": "y"}}})).ok()
        assert hook.reviews == []
        (await api.create(CONFIG, config_map("other"))).ok()
        assert len(hook.reviews) == 1


async def test_a_dry_run_calls_only_what_has_no_side_effects(tmp_path):
    hook = Hook(tmp_path / "hook")
    async with cluster(tmp_path) as api, hook.listening() as url:
        await add(api, webhooks("Validating", hook, url))
        (await api.create(CONFIG + "?dryRun=All", config_map("a"))).ok()
        assert hook.reviews[-1]["dryRun"] is True
