"""registries.conf, challenges and logins as plain values."""

from __future__ import annotations

import base64
import json
import tomllib

import pytest

from kubelite.node.image.errors import PullError
from kubelite.node.image.reference import parse
from kubelite.node.image.registry import auth, config
from kubelite.node.image.registry.auth import Credentials
from kubelite.node.image.registry.config import Endpoint

CONF = """
[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "mirror.example:5000/hub"
insecure = true
[[registry.mirror]]
location = "digests.example"
pull-from-mirror = "digest-only"
[[registry]]
prefix = "docker.io/library/secret"
location = "vault.example/secret"
[[registry]]
prefix = "*.internal.example"
insecure = true
[[registry]]
location = "bad.example"
blocked = true
"""
DIGEST = "sha256:" + "0" * 64


def endpoints(name, text=CONF):
    return config.endpoints(parse(name), config.parse([tomllib.loads(text)]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("quay.io/a/b", [Endpoint("quay.io", "a/b")]),
        ("localhost:5000/a", [Endpoint("localhost:5000", "a", True)]),
        (
            "nginx",
            [
                Endpoint("mirror.example:5000", "hub/library/nginx", True),
                Endpoint("registry-1.docker.io", "library/nginx"),
            ],
        ),
        (
            f"nginx@{DIGEST}",
            [
                Endpoint("mirror.example:5000", "hub/library/nginx", True),
                Endpoint("digests.example", "library/nginx"),
                Endpoint("registry-1.docker.io", "library/nginx"),
            ],
        ),
        ("docker.io/library/secret", [Endpoint("vault.example", "secret")]),
        ("docker.io/library/secrets", endpoints("docker.io/library/secrets")),
        ("a.internal.example/x", [Endpoint("a.internal.example", "x", True)]),
    ],
)
def test_where_an_image_is_fetched(name, expected):
    assert endpoints(name) == expected


def test_a_blocked_registry_and_one_without_a_name_are_refused():
    with pytest.raises(PullError, match=r"bad\.example is blocked"):
        endpoints("bad.example/x")
    with pytest.raises(PullError, match="no prefix and no location"):
        endpoints("x", "[[registry]]\ninsecure = true\n")


@pytest.mark.parametrize(
    ("header", "scheme", "parameters"),
    [
        (
            'Bearer realm="https://auth.example/token",service="r",scope="repository:a/b:pull,push"',
            "bearer",
            {
                "realm": "https://auth.example/token",
                "service": "r",
                "scope": "repository:a/b:pull,push",
            },
        ),
        ('Basic realm="a \\"b\\""', "basic", {"realm": 'a "b"'}),
        ("Basic realm=plain", "basic", {"realm": "plain"}),
        ("Negotiate", "negotiate", {}),
    ],
)
def test_challenges(header, scheme, parameters):
    assert auth.challenges([header]) == [auth.Challenge(scheme, parameters)]


def login(user):
    return {"auth": base64.b64encode(f"{user}:p".encode()).decode()}


@pytest.mark.parametrize(
    ("key", "image", "matches"),
    [
        ("quay.io", "quay.io/a/b", True),
        ("https://quay.io", "quay.io/a/b", True),
        ("quay.io/a", "quay.io/a/b", True),
        ("quay.io/a", "quay.io/ab/c", False),
        ("*.quay.io", "eu.quay.io/a", True),
        ("*.quay.io", "quay.io/a", False),
        ("*.io", "eu.quay.io/a", False),
        ("https://index.docker.io/v1/", "nginx", True),
        ("docker.io", "nginx", True),
        ("quay.io", "evil-quay.io/a", False),
        ("quay.io:443", "quay.io/a", False),
    ],
)
def test_logins_match_by_host_and_path(key, image, matches):
    found = auth.from_docker_config({"auths": {key: login("ann")}}, parse(image))
    assert found == ([Credentials("ann", "p")] if matches else [])


def test_the_most_specific_login_comes_first_and_older_forms_are_read():
    entries = {"quay.io": login("all"), "quay.io/a": login("team")}
    image = parse("quay.io/a/b")
    found = auth.from_docker_config({"auths": entries}, image)
    assert [c.username for c in found] == ["team", "all"]
    assert auth.from_docker_config(entries, image) == found, ".dockercfg has no auths"
    token = {"auths": {"quay.io": {"identitytoken": "t"}}}
    assert auth.from_docker_config(token, image) == [Credentials(identity_token="t")]
    plain = {"auths": {"quay.io": {"username": "u", "password": "p"}}}
    assert auth.from_docker_config(plain, image) == [Credentials("u", "p")]


@pytest.mark.parametrize(
    "data",
    [{}, {".dockerconfigjson": "!"}, {".dockerconfigjson": base64.b64encode(b"[]").decode()}],
)
def test_secrets_that_hold_no_login(data):
    assert auth.from_secret({"data": data}, parse("nginx")) == []


def test_a_pull_secret():
    text = json.dumps({"auths": {"docker.io": login("ann")}}).encode()
    secret = {"data": {".dockerconfigjson": base64.b64encode(text).decode()}}
    assert auth.from_secret(secret, parse("nginx")) == [Credentials("ann", "p")]
