"""The audit log: which requests, how much of them; and Events that do not stay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kubelite.control.api.auth.audit_policy import PolicyError, read, rule_for
from kubelite.control.api.server.event_expiry import Expiry
from kubelite.control.api.server.lifecycle import Options
from kubelite.control.api.wire.attributes import AuditAttributes
from kubelite.control.api.wire.request import User
from tests.control.world import CONFIG, cluster, config_map, stranger

if TYPE_CHECKING:
    from pathlib import Path

RULES: list[dict[str, Any]] = [
    {"level": "None", "verbs": ["watch"]},
    {
        "level": "RequestResponse",
        "resources": [{"group": "", "resources": ["configmaps"]}],
        "namespaces": ["default"],
    },
    {"level": "Request", "resources": [{"group": "apps"}]},
    {"level": "None", "nonResourceURLs": ["/healthz*"]},
    {"level": "Metadata"},
]
JANE = User("jane", groups=("ops",))


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        (AuditAttributes(JANE, "watch", "/x", "", "pods"), "None"),
        (AuditAttributes(JANE, "get", "/x", "", "configmaps", "", "default"), "RequestResponse"),
        (AuditAttributes(JANE, "get", "/x", "", "configmaps", "", "other"), "Metadata"),
        (AuditAttributes(JANE, "get", "/x", "apps", "deployments"), "Request"),
        (AuditAttributes(JANE, "get", "/healthz/ping"), "None"),
        (AuditAttributes(JANE, "get", "/version"), "Metadata"),
    ],
)
def test_the_first_rule_that_fits_decides(seen: AuditAttributes, wanted: str) -> None:
    assert rule_for(RULES, seen)["level"] == wanted


@pytest.mark.parametrize("policy", [None, {}, {"kind": "Policy", "apiVersion": "audit.k8s.io/v1"}])
def test_what_is_no_policy_is_refused(policy: Any) -> None:
    with pytest.raises(PolicyError):
        read(policy)
    with pytest.raises(PolicyError):
        read({"kind": "Policy", "apiVersion": "audit.k8s.io/v1", "rules": [{"level": "All"}]})


async def test_requests_become_lines(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    options = Options("", audit_log=str(log), audit_rules=tuple(RULES))
    async with cluster(tmp_path, options=options) as api, stranger(api) as other:
        await api.create(CONFIG, config_map("a", x="1"), headers={"User-Agent": "tests/1"})
        await api.get("/healthz")
        assert (await other.get("/api/v1/secrets?limit=1")).code == 403
        lines = [json.loads(line) for line in log.read_text().splitlines()]
    created, refused = lines
    assert created["level"] == "RequestResponse"
    assert (created["user"]["username"], created["verb"], created["userAgent"]) == (
        "kubernetes-admin",
        "create",
        "tests/1",
    )
    assert created["objectRef"] == {"resource": "configmaps", "namespace": "default"}
    assert created["requestObject"]["data"] == created["responseObject"]["data"] == {"x": "1"}
    assert created["responseStatus"]["code"] == 201
    assert (refused["requestURI"], refused["responseStatus"]["code"]) == (
        "/api/v1/secrets?limit=1",
        403,
    )
    assert "requestObject" not in refused


async def test_events_go_when_their_time_is_over(tmp_path: Path) -> None:
    path = "/api/v1/namespaces/default/events"

    def event(name: str) -> dict[str, Any]:
        involved = {"kind": "Pod", "namespace": "default", "name": "p"}
        return {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": name},
            "involvedObject": involved,
            "reason": "R",
        }

    async with cluster(tmp_path) as api:
        for number in range(6):
            (await api.create(path, event(f"e{number}"))).ok()
        few = Expiry(api.server.context.store, most=4)
        await few.sweep()
        assert [item["metadata"]["name"] for item in (await api.get(path)).ok()["items"]] == [
            "e2",
            "e3",
            "e4",
            "e5",
        ]
        await Expiry(api.server.context.store, seconds=0).sweep()
        assert (await api.get(path)).ok()["items"] == []
