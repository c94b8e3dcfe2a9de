"""All ways to write an object agree about what is accepted: a dry run, a create, an apply, a PUT
of what a create has accepted, and ``pod check`` where it knows the kind.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubelite.cli import review, workload_review
from kubelite.client.transport import Call, Identity
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.store.memory import Memory
from tests.control.api.generated import OTHERS, POD, RUN_BY_PODS, Object, changed
from tests.control.api.pure import res_of

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = int(os.environ.get("KUBELITE_EXAMPLES", "60"))
SETTINGS = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
ADMIN = Identity("kubernetes-admin", ("system:masters",))
KINDS_OF_PODS = {obj["kind"] for obj in RUN_BY_PODS}
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
JUDGED = (400, 422)
"""Refusals for what the object says; others depend on what else there is."""


class World:
    """A server that is called without a connection, and the loop that it runs in."""

    def __init__(self, runner: asyncio.Runner, server: ApiServer) -> None:
        self._runner = runner
        self._server = server

    def ask(self, method: str, path: str, body: Any = None, kind: str = "json") -> Reply:
        path, _, query = path.partition("?")
        headers = {"Content-Type": f"application/{kind}"}
        sent = json.dumps(body).encode() if body is not None else b""
        call = Call(method, quote(path), query, headers, sent)
        reply = self._runner.run(self._server.application.call(call, ADMIN))
        return Reply(reply.code, json.loads(reply.body))

    def remove(self, path: str) -> None:
        """Whatever holds it."""
        self.ask("DELETE", f"{path}?gracePeriodSeconds=0&propagationPolicy=Background")
        if self.ask("GET", path).code == 200:
            held = {"metadata": {"finalizers": None}}
            self.ask("PATCH", path, held, "merge-patch+json")


class Reply(NamedTuple):
    """An answer, and what it says."""

    code: int
    value: Any


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    keys = tmp_path_factory.mktemp("agreement")
    with asyncio.Runner() as runner:
        server = ApiServer(Memory(), Options(str(keys), port=0))
        runner.run(server.start())
        try:
            yield World(runner, server)
        finally:
            runner.run(server.close())


def place_of(obj: Object) -> str:
    """Where objects of the kind are created."""
    res = res_of(obj)
    root = f"/apis/{res.gv}" if res.group else f"/api/{res.version}"
    return f"{root}/namespaces/default/{res.plural}" if res.namespaced else f"{root}/{res.plural}"


def judged_locally(obj: Object) -> bool:
    """Whether ``pod check`` finds that Kubernetes would accept it."""
    if obj["kind"] == POD["kind"]:
        return not review.judge(obj, None).causes
    return not workload_review.judge(obj, None)[1]


def said(reply: Reply) -> tuple[int, str]:
    return reply.code, "" if reply.code < 300 else reply.value["message"]


def agree(world: World, obj: Object) -> None:
    place, metadata = place_of(obj), obj.get("metadata") or {}
    own = f"{place}/{metadata.get('name')}"
    if metadata.get("name") == "web":
        apply_agrees(world, obj, own)
    tried, made = world.ask("POST", f"{place}?dryRun=All", obj), world.ask("POST", place, obj)
    accepted = made.code == 201
    assert tried.code == made.code, (said(tried), said(made))
    if not accepted and metadata.get("name"):
        assert _UID.sub("", said(tried)[1]) == _UID.sub("", said(made)[1])
    if accepted:
        assert made.value["metadata"]["name"]
        own = f"{place}/{made.value['metadata']['name']}"
        try:
            put_again(world, own)
        finally:
            world.remove(own)
    elif metadata.get("name") == "web":
        assert world.ask("GET", own).code == 404, "refused and there all the same"
    if obj["kind"] in KINDS_OF_PODS and (accepted or made.code in JUDGED):
        assert judged_locally(obj) == accepted, said(made)


def put_again(world: World, own: str) -> None:
    """What was accepted and comes back again changes nothing."""
    stored = world.ask("GET", own)
    again = world.ask("PUT", own, stored.value)
    assert again.code == 200, said(again)
    assert again.value == stored.value


def apply_agrees(world: World, obj: Object, own: str) -> None:
    """A server-side apply to nothing is accepted when a create is. It has rules of its own for
    lists with keys.
    """
    applied = world.ask("PATCH", f"{own}?fieldManager=me&dryRun=All", obj, "apply-patch+yaml")
    made = world.ask("POST", f"{place_of(obj)}?dryRun=All", obj)
    if made.code in JUDGED:
        assert applied.code >= 400, (said(made), said(applied))
    elif made.code == 201 and "failed to create typed patch" not in said(applied)[1]:
        assert applied.code == 201, said(applied)


@SETTINGS
@given(st.sampled_from(RUN_BY_PODS).flatmap(changed))
def test_pods_and_their_owners(world: World, obj: Object) -> None:
    agree(world, obj)


@SETTINGS
@given(st.sampled_from(OTHERS).flatmap(changed))
def test_other_kinds(world: World, obj: Object) -> None:
    agree(world, obj)


@pytest.mark.parametrize("obj", [*RUN_BY_PODS, *OTHERS], ids=lambda obj: obj["kind"])
def test_what_is_changed_is_accepted_before(world: World, obj: Object) -> None:
    tried = world.ask("POST", f"{place_of(obj)}?dryRun=All", obj)
    assert tried.code == 201, said(tried)
    agree(world, obj)
