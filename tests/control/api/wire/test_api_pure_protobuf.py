"""Bodies that kubectl 1.32.3 sent, and bytes that nobody should send."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.control.api.wire import protobuf, protobuf_encoding
from kubelite.control.api.wire.status import StatusError

VECTORS = {
    "create deployment web --image=nginx --replicas=0 --port=80": (
        "azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50ErgBCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEoYBCAASDAoKCgNh"
        "cHASA3dlYhpsChwKABIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEkwSLgoFbmdpbngSBW5naW54KgAyCgoAEAAYUCIAKgBCAGoA"
        "cgCAAQCIAQCQAQCiAQAaADIAQgBKAFIAWABgAGgAggEAigEAmgEAwgEAIgIKACgAOAAaDAgAEAAYACAAKAA4ABoAIgA="
    ),
    "create cronjob c --image=b --schedule=*/5 * * * * --restart=OnFailure -- sh -c x": (
        "azhzAAoTCghiYXRjaC92MRIHQ3JvbkpvYhKgAQoRCgFjEgAaACIAKgAyADgAQgASiAEKCyovNSAqICogKiAqGgAqdwoRCgFjEgAa"
        "ACIAKgAyADgAQgASYjJgChAKABIAGgAiACoAMgA4AEIAEkwSJQoBYxIBYhoCc2gaAi1jGgF4KgBCAGoAcgCAAQCIAQCQAQCiAQAa"
        "CU9uRmFpbHVyZTIAQgBKAFIAWABgAGgAggEAigEAmgEAwgEAGgAaACIA"
    ),
    "create pdb p --selector=a=b --min-available=50%": (
        "azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSNgoRCgFwEgAaACIAKgAyADgAQgASFQoJCAEQABoDNTAlEggK"
        "BgoBYRIBYhoKCAAYACAAKAAwABoAIgA="
    ),
    "create token default --duration=10m": (
        "azhzAAooChhhdXRoZW50aWNhdGlvbi5rOHMuaW8vdjESDFRva2VuUmVxdWVzdBIdChAKABIAGgAiACoAMgA4AEIAEgMg2AQaBAoAEgAaACIA"
    ),
    "create secret generic s --from-literal=a=b": (
        "azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAWESAWIaABoAIgA="
    ),
    "create service nodeport n --tcp=80:web --node-port=30080": (
        "azhzAAoNCgJ2MRIHU2VydmljZRJlChsKAW4SABoAIgAqADIAOABCAFoICgNhcHASAW4SQgoeCgY4MC13ZWISA1RDUBhQIgkIARAA"
        "GgN3ZWIogOsBEggKA2FwcBIBbhoAIghOb2RlUG9ydDoAQgBSAFoAYABoABoCCgAaACIA"
    ),
    "create priorityclass pc --value=-5 --global-default=false": (
        "azhzAAolChRzY2hlZHVsaW5nLms4cy5pby92MRINUHJpb3JpdHlDbGFzcxI5ChIKAnBjEgAaACIAKgAyADgAQgAQ+///////////"
        "ARgAIgAqFFByZWVtcHRMb3dlclByaW9yaXR5GgAiAA=="
    ),
}


def decoded(command):
    (data,) = [data for said, data in VECTORS.items() if said.startswith(command)]
    return protobuf.decode(base64.b64decode(data))


def test_a_deployment():
    found = decoded("create deployment")
    assert (found["apiVersion"], found["kind"]) == ("apps/v1", "Deployment")
    assert found["metadata"] == {"name": "web", "labels": {"app": "web"}}
    spec = found["spec"]
    assert spec["replicas"] == 0
    assert spec["selector"] == {"matchLabels": {"app": "web"}}
    (container,) = spec["template"]["spec"]["containers"]
    assert container == {
        "name": "nginx",
        "image": "nginx",
        "ports": [{"containerPort": 80}],
        "resources": {},
    }


def test_a_cron_job_with_a_job_and_a_pod_inside():
    spec = decoded("create cronjob")["spec"]
    assert spec["schedule"] == "*/5 * * * *"
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "OnFailure"
    assert pod["containers"][0]["command"] == ["sh", "-c", "x"]


def test_a_negative_number():
    assert decoded("create priorityclass")["value"] == -5


def test_int_or_string_of_both_sorts():
    assert decoded("create pdb")["spec"]["minAvailable"] == "50%"
    (port,) = decoded("create service")["spec"]["ports"]
    assert port == {
        "name": "80-web",
        "protocol": "TCP",
        "port": 80,
        "targetPort": "web",
        "nodePort": 30080,
    }


def test_bytes_are_base64():
    assert decoded("create secret")["data"] == {"a": "Yg=="}


def test_a_review_of_another_group():
    found = decoded("create token")
    assert (found["apiVersion"], found["spec"]["expirationSeconds"]) == (
        "authentication.k8s.io/v1",
        600,
    )


def envelope(api_version, kind, raw=b""):
    def put(number, data):
        return bytes([number << 3 | 2, len(data)]) + data

    about = put(1, api_version.encode()) + put(2, kind.encode())
    return protobuf.MAGIC + put(1, about) + put(2, raw)


def test_options_without_a_group_are_known():
    found = protobuf.decode(envelope("v1", "DeleteOptions", bytes([1 << 3, 0])))
    assert found == {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        protobuf.MAGIC,
        envelope("v9", "Pod"),
        envelope("v1", "Nothing"),
        envelope("v1", "Pod", b"\x0a\x7f"),
        envelope("v1", "Pod", b"\xff" * 20),
        envelope("v1", "Pod", b"\x0a\x03\x0a\x01\xff"),
        envelope("v1", "Pod", b"\x08\x01"),
    ],
)
def test_what_cannot_be_read_is_a_bad_request(data):
    with pytest.raises(StatusError) as caught:
        protobuf.decode(data)
    assert caught.value.status["reason"] == "BadRequest"


@given(st.binary(max_size=100))
def test_any_bytes_end_in_a_document_or_a_bad_request(raw):
    try:
        found = protobuf.decode(envelope("v1", "Pod", raw))
    except StatusError as error:
        assert error.code == 400
    else:
        assert found["kind"] == "Pod"


DOCUMENTS = [
    {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": "p",
            "labels": {"a": "b"},
            "creationTimestamp": "2026-01-31T11:59:00Z",
            "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {"f:nodeName": {}}}}],
        },
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "resources": {"limits": {"cpu": "500m"}},
                    "livenessProbe": {"httpGet": {"port": "web"}, "periodSeconds": 3},
                    "ports": [{"containerPort": 80}],
                }
            ],
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "v", "configMap": {"name": "m", "defaultMode": 420}}],
        },
    },
    {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "spec": {
            "versions": [
                {
                    "name": "v1",
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "l": {
                                    "type": "array",
                                    "items": {"type": "number", "minimum": -0.5},
                                },
                                "m": {"additionalProperties": False, "default": {"x": [1]}},
                                "n": {"additionalProperties": {"type": "string"}},
                            },
                        }
                    },
                }
            ]
        },
    },
    {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "spec": {"renewTime": "2026-01-31T11:59:00.123456Z", "leaseTransitions": 2},
    },
    {"kind": "PriorityClass", "apiVersion": "scheduling.k8s.io/v1", "value": -5},
    {"kind": "Status", "apiVersion": "v1", "status": "Failure", "details": {"kind": "pods"}},
]


def without_empty(value):
    if isinstance(value, dict):
        kept = {key: without_empty(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each not in ({}, [], None)}
    return [without_empty(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each["kind"])
def test_what_is_encoded_can_be_decoded(document):
    found = protobuf.decode(protobuf_encoding.encode(document))
    kept = {"f:spec": {"f:nodeName": {}}}
    assert without_empty(found) == without_empty(document)
    if document["kind"] == "Pod":
        assert found["metadata"]["managedFields"][0]["fieldsV1"] == kept


def body_of(api_version, kind, message):
    about = b"\x0a" + bytes([len(api_version)]) + api_version + b"\x12" + bytes([len(kind)]) + kind
    envelope = b"\x0a" + bytes([len(about)]) + about + b"\x12" + bytes([len(message)]) + message
    return protobuf_encoding.MAGIC + envelope


def test_an_unknown_field_is_refused():
    with pytest.raises(StatusError, match=r"core.v1.Secret has no field 997"):
        protobuf.decode(body_of(b"v1", b"Secret", b"\xa8\x3e\x01"))


def test_a_field_that_was_withdrawn_is_ignored():
    """metadata.clusterName was number 15 until 1.23; typed clients send it even when it is
    empty.
    """
    named = b"\x0a\x03web" + b"\x7a\x00" + b"\x7a\x01x"
    document = protobuf.decode(body_of(b"v1", b"Secret", b"\x0a" + bytes([len(named)]) + named))
    assert document["metadata"] == {"name": "web"}


def test_a_custom_kind_has_no_protobuf_form():
    with pytest.raises(protobuf_encoding.Unencodable):
        protobuf_encoding.encode({"kind": "Widget", "apiVersion": "example.com/v1"})
