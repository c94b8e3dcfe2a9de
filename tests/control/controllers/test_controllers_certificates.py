"""CertificateSigningRequests: which are approved by themselves, and when they go."""

from __future__ import annotations

import base64
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubelite.client.resources import NODES
from kubelite.control.controllers.actions import Create, Outcome, Step, Update
from kubelite.control.controllers.certificates import approving, cleaning, serving
from kubelite.control.controllers.shared.meta import format_time
from kubelite.control.controllers.view import FixedView

NOW = 1_800_000_000.0
USAGES = ["digital signature", "client auth"]


def pem(name="system:node:n", groups=("system:nodes",), hosts=()):
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    builder = x509.CertificateSigningRequestBuilder(x509.Name(attributes))
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


def spec(request="", usages=USAGES, signer=approving.SIGNER, user="system:node:n"):
    return {
        "request": request or pem(),
        "usages": usages,
        "signerName": signer,
        "username": user,
        "groups": ["system:nodes"],
    }


def request(of=None, *conditions, created=NOW, certificate=""):
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "r", "uid": "u", "creationTimestamp": format_time(created)},
        "spec": of or spec(),
        "status": {
            "conditions": [
                {"type": type_, "status": "True", "lastUpdateTime": format_time(time)}
                for type_, time in conditions
            ],
            "certificate": certificate,
        },
    }


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (spec(), "system:node:n"),
        (spec(usages=[*USAGES, "key encipherment"]), "system:node:n"),
        (spec(usages=["client auth"]), ""),
        (spec(usages=[*USAGES, "server auth"]), ""),
        (spec(signer="kubernetes.io/kube-apiserver-client"), ""),
        (spec(pem("somebody")), ""),
        (spec(pem(groups=("system:nodes", "system:masters"))), ""),
        (spec(pem(hosts=("n.example.com",))), ""),
        (spec("bm9uZQ=="), ""),
    ],
)
def test_requests_of_nodes(asked, name) -> None:
    assert approving.node_of(asked) == name


def asked_for(obj, *allowed):
    """The sub-resources that are asked for, and the action in the end."""
    steps = approving.plan(FixedView([obj]), ("", "r"), NOW).steps
    seen = []
    while steps and isinstance(steps[0], Step):
        (review,) = steps[0].actions
        assert isinstance(review, Create)
        name = review.body["spec"]["resourceAttributes"]["subresource"]
        seen.append(name)
        steps = steps[0].then((Outcome(review, {"status": {"allowed": name in allowed}}),))
    return seen, steps


def test_whoever_may_is_approved() -> None:
    seen, (update,) = asked_for(request(), "selfnodeclient")
    assert seen == ["selfnodeclient"]
    assert isinstance(update, Update) and update.sub == "approval"
    (condition,) = update.body["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("Approved", "AutoApproved")
    seen, (update,) = asked_for(request(spec(user="bootstrap")), "nodeclient")
    assert seen == ["nodeclient"]
    assert asked_for(request()) == (["selfnodeclient", "nodeclient"], ())


def test_decided_requests_are_left_alone() -> None:
    for decided in (request(None, ("Denied", NOW)), request(None, ("Approved", NOW))):
        assert not approving.plan(FixedView([decided]), ("", "r"), NOW).steps


@pytest.mark.parametrize(
    ("obj", "seconds"),
    [
        (request(), 86400),
        (request(None, ("Denied", NOW + 10)), 3610),
        (request(None, ("Approved", NOW), ("Failed", NOW + 20)), 3620),
        (request(None, ("Approved", NOW + 5), certificate="x"), 3605),
        (request(None, ("Approved", NOW)), None),
    ],
)
def test_when_requests_go(obj, seconds) -> None:
    view = FixedView([obj])
    first = cleaning.plan(view, ("", "r"), NOW)
    assert first.steps == ()
    assert first.wake_at == (None if seconds is None else NOW + seconds)
    if seconds is not None:
        assert cleaning.plan(view, ("", "r"), NOW + seconds).steps


def serving_request(*hosts, name="system:node:n", user="system:node:n"):
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
        x509.NameAttribute(NameOID.COMMON_NAME, name),
    ]
    names = [
        x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
        for host in hosts
    ]
    builder = x509.CertificateSigningRequestBuilder(x509.Name(attributes))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    text = base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()
    usages = ["digital signature", "server auth"]
    return request(spec(text, usages, serving.SIGNER, user))


def node(name, *addresses):
    listed = [{"type": "InternalIP", "address": each} for each in addresses]
    named = {"type": "Hostname", "address": name}
    status = {"addresses": [*listed, named]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status}


SERVERS = {
    "apiVersion": "v1",
    "kind": "Endpoints",
    "metadata": {"namespace": "default", "name": "kubernetes"},
    "subsets": [{"addresses": [{"ip": "192.0.2.9"}]}],
}


@pytest.mark.parametrize(
    ("asked", "approved"),
    [
        (serving_request("n", "192.0.2.1"), True),
        (serving_request("192.0.2.1"), True),
        (serving_request("n", "192.0.2.7"), False),  # no address of its own
        (serving_request("n", "192.0.2.2"), False),  # its own, but another node's as well
        (serving_request("n", "192.0.2.9"), False),  # its own, but the API server's as well
        (serving_request("m"), False),
        (serving_request(), False),
        (serving_request("n", name="system:node:m"), False),
        (serving_request("m", "192.0.2.2", name="system:node:m"), False),
        (serving_request("n", user="admin"), False),
    ],
)
def test_a_node_gets_a_serving_certificate_for_its_own_addresses(asked, approved):
    nodes = [node("n", "192.0.2.1", "192.0.2.2", "192.0.2.9"), node("m", "192.0.2.2")]
    view = FixedView([asked, *nodes, SERVERS])
    plan = serving.plan(view, ("", "r"), NOW)
    assert bool(plan.steps) is approved
    if approved:
        (update,) = plan.steps
        assert update.sub == "approval"
        assert update.body["status"]["conditions"][0]["type"] == "Approved"


def test_a_request_that_came_before_its_node_was_seen_is_looked_at_again():
    concerned = serving.KUBELET_SERVING_APPROVING_CONTROLLER.watches[NODES]
    view = FixedView([serving_request("n")])
    late = node("n", "192.0.2.1")
    assert list(concerned(view, None, late)) == [("", "r")]
    assert list(concerned(view, node("n"), late)) == [("", "r")]
    assert list(concerned(view, late, late)) == []
    assert list(concerned(view, None, node("m", "192.0.2.1"))) == []
