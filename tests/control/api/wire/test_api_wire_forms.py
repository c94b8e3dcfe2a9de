"""What clients may ask of the wire: forms of answers, WebSocket watches, protobuf, big heads."""

import asyncio
import json
import ssl

import pytest
import yaml

from kubelite.control.api.wire import protobuf
from kubelite.objects.facts.protobuf import reader
from tests.control.world import CONFIG, PODS, cluster, config_map, pod

PROTOBUF = "application/vnd.kubernetes.protobuf"
PARTIAL = "as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


async def test_answers_in_yaml_protobuf_and_for_people(tmp_path):
    async with cluster(tmp_path) as api:
        (await api.create(CONFIG, config_map("a", x="1"))).ok()
        reply = await api.get(f"{CONFIG}/a", headers={"Accept": "application/yaml"})
        assert reply.headers["Content-Type"] == "application/yaml"
        assert yaml.safe_load(reply.body)["data"] == {"x": "1"}
        accept = f"{PROTOBUF},application/json"
        reply = await api.get(f"{CONFIG}/a", headers={"Accept": accept})
        assert reply.headers["Content-Type"] == PROTOBUF
        assert protobuf.decode(reply.body)["data"] == {"x": "1"}
        reply = await api.get(f"{CONFIG}/none", headers={"Accept": accept})
        assert (reply.code, protobuf.decode(reply.body)["reason"]) == (404, "NotFound")
        reply = await api.get(f"{CONFIG}/a", headers={"Accept": f"{PROTOBUF};{PARTIAL}"})
        assert protobuf.decode(reply.body)["kind"] == "PartialObjectMetadata"
        assert (await api.get(f"{CONFIG}/a?pretty=true")).body.startswith(
            b'{\n  "kind": "ConfigMap"'
        )
        reply = await api.get(f"{CONFIG}/a", headers={"User-Agent": "curl/8.0"})
        assert b"\n" in reply.body.strip()


async def test_large_answers_are_packed_for_those_who_unpack(tmp_path):
    async with cluster(tmp_path) as api:
        (await api.create(CONFIG, config_map("large", x="y" * 200_000))).ok()
        for asked, encoding in (("gzip", "gzip"), ("identity", None)):
            reply = await api.get(f"{CONFIG}/large", headers={"Accept-Encoding": asked})
            assert reply.headers.get("Content-Encoding") == encoding
            assert reply.ok()["data"]["x"] == "y" * 200_000


async def test_a_form_that_cannot_be_leaves_nothing_behind(tmp_path):
    async with cluster(tmp_path) as api:
        reply = await api.create(CONFIG, config_map("a"), headers={"Accept": "text/html"})
        assert reply.code == 406
        assert (await api.get(f"{CONFIG}/a")).code == 404


async def test_an_answer_to_a_question_is_no_table(tmp_path):
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    review = {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}},
    }
    at = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    async with cluster(tmp_path) as api:
        assert (await api.create(at, review, headers={"Accept": table})).code == 406
        either = {"Accept": f"{table},application/json"}
        assert (await api.create(at, review, headers=either)).ok()["status"]["allowed"]


async def test_a_watch_over_a_websocket(tmp_path):
    async with cluster(tmp_path) as api:
        (await api.create(CONFIG, config_map("a"))).ok()
        at = f"{api.url}{CONFIG}?watch=1&fieldSelector=metadata.name!=kube-root-ca.crt"
        async with api.session.ws_connect(at) as socket:
            event = json.loads(await socket.receive_str(timeout=10))
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")
            (await api.delete(f"{CONFIG}/a")).ok()
            assert json.loads(await socket.receive_str(timeout=10))["type"] == "DELETED"


async def test_a_watch_in_protobuf(tmp_path):
    async with cluster(tmp_path) as api:
        (await api.create(PODS, pod("a"))).ok()
        accept = {"Accept": f"{PROTOBUF};stream=watch"}
        async with api.session.get(f"{api.url}{PODS}?watch=1", headers=accept) as reply:
            assert reply.headers["Content-Type"] == f"{PROTOBUF};stream=watch"
            size = int.from_bytes(await reply.content.readexactly(4), "big")
            frame = await reply.content.readexactly(size)
            event = dict(reader.fields(frame))
            assert event[1] == b"ADDED"
            obj = protobuf.decode(dict(reader.fields(event[2]))[1])
            assert (obj["kind"], obj["metadata"]["name"]) == ("Pod", "a")


async def test_bodies_that_wait_to_be_asked_for(tmp_path):
    async with cluster(tmp_path) as api:
        reader, writer = await connected(api, tmp_path)
        body = json.dumps(config_map("a")).encode()
        head = f"POST {CONFIG} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
        async with asyncio.timeout(10):
            assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
            writer.write(body)
            assert b" 201 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()


async def test_heads_as_large_as_go_takes_them(tmp_path):
    async with cluster(tmp_path) as api:
        reader, writer = await connected(api, tmp_path)
        writer.write(f"GET {CONFIG} HTTP/1.1\r\nHost: x\r\nX-Big: {'x' * 500_000}\r\n\r\n".encode())
        async with asyncio.timeout(10):
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()


async def connected(api, path):
    pki = api.server.pki
    context = ssl.create_default_context(cafile=pki.authority.certificate)
    context.load_cert_chain(*(str(path / "pki" / f"admin.{end}") for end in ("crt", "key")))
    return await asyncio.open_connection("127.0.0.1", api.server.port, ssl=context)


async def test_two_hundred_patches_of_one_object_all_succeed(tmp_path):
    async with cluster(tmp_path) as api:
        (await api.create(CONFIG, config_map("a"))).ok()
        patches = [api.patch(f"{CONFIG}/a", {"data": {f"k{number}": "v"}}) for number in range(200)]
        codes = [reply.code for reply in await asyncio.gather(*patches)]
        assert codes == [200] * 200
        assert len((await api.get(f"{CONFIG}/a")).ok()["data"]) == 200


async def test_base64_may_have_line_breaks(tmp_path):
    async with cluster(tmp_path) as api:
        secret = {
            "kind": "Secret",
            "apiVersion": "v1",
            "metadata": {"name": "s"},
            "data": {"a": "aGVs\nbG8=\r\n"},
        }
        made = (await api.create("/api/v1/namespaces/default/secrets", secret)).ok()
        assert made["data"] == {"a": "aGVsbG8="}


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, 422, "propagationPolicy"),
        ({"propagationPolicy": "Maybe"}, 422, "propagationPolicy"),
        ({"dryRun": ["Some"]}, 422, "dryRun"),
        ({"kind": "Pod"}, 400, ""),
        ({"gracePeriodSeconds": "x"}, 400, ""),
    ],
)
async def test_a_deletion_that_is_unclear_deletes_nothing(tmp_path, body, code, field):
    async with cluster(tmp_path) as api:
        (await api.create(CONFIG, config_map("a"))).ok()
        options = {"kind": "DeleteOptions", "apiVersion": "v1", **body}
        reply = await api.ask("DELETE", f"{CONFIG}/a", options)
        assert reply.code == code
        if field:
            assert reply.value["details"]["causes"][0]["field"] == field
        assert (await api.get(f"{CONFIG}/a")).code == 200


async def test_namespaces_are_not_deleted_as_a_collection(tmp_path):
    async with cluster(tmp_path) as api:
        assert (await api.delete("/api/v1/namespaces")).code == 405
        assert (await api.get("/api/v1/namespaces/kube-public")).ok()["status"]["phase"] == "Active"


async def test_a_certificate_wins_over_a_token(tmp_path):
    async with cluster(tmp_path) as api:
        headers = {"Authorization": "Bearer nobody-knows-it"}
        async with api.session.get(api.url + CONFIG, headers=headers) as reply:
            assert reply.status == 200
        assert (await api.get(CONFIG, token="nobody-knows-it")).code == 401


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("system:serviceaccount:a:b", {"system:serviceaccounts", "system:serviceaccounts:a"}),
        ("system:serviceaccount:a", set()),
        ("system:serviceaccount:a:b:c", set()),
        ("system:serviceaccount:A_:b", set()),
    ],
)
async def test_only_whole_names_of_service_accounts_give_groups(tmp_path, name, groups):
    async with cluster(tmp_path) as api:
        body = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
        at = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        reply = await api.create(at, body, headers={"Impersonate-User": name})
        assert set(reply.ok()["status"]["userInfo"]["groups"]) == {*groups, "system:authenticated"}


async def test_apply_on_scale_is_in_conflict_about_replicas(tmp_path):
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    }
    body = {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "d"}, "spec": spec}
    scale = "kind: Scale\napiVersion: autoscaling/v1\nmetadata: {name: d}\nspec: {replicas: 4}\n"
    apply = {"Content-Type": "application/apply-patch+yaml"}
    async with cluster(tmp_path) as api:
        (await api.create(f"{deployments}?fieldManager=one", body)).ok()
        at = f"{deployments}/d/scale?fieldManager=two"
        reply = await api.ask("PATCH", at, raw=scale.encode(), headers=apply)
        assert (reply.code, reply.value["details"]["causes"][0]["field"]) == (409, ".spec.replicas")
        reply = await api.ask("PATCH", f"{at}&force=true", raw=scale.encode(), headers=apply)
        assert reply.ok()["spec"] == {"replicas": 4}
        fields = (await api.get(f"{deployments}/d")).ok()["metadata"]["managedFields"]
        assert [each["subresource"] for each in fields if each["manager"] == "two"] == ["scale"]
