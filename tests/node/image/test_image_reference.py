"""Image names: what docker and containerd accept, in the form they give it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.image.errors import BadReference
from kubelite.node.image.reference import familiar, is_host, parse

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("name", "full", "short"),
    [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("nginx:1.29", "docker.io/library/nginx:1.29", "nginx:1.29"),
        ("library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("me/app", "docker.io/me/app:latest", "me/app:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("reg:5000/app", "reg:5000/app:latest", "reg:5000/app:latest"),
        ("quay.io/a/b/c:T_1.x-y", "quay.io/a/b/c:T_1.x-y", "quay.io/a/b/c:T_1.x-y"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
        ("Reg/app", "Reg/app:latest", "Reg/app:latest"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}", f"nginx@{DIGEST}"),
        (f"nginx:1@{DIGEST}", f"docker.io/library/nginx:1@{DIGEST}", f"nginx:1@{DIGEST}"),
        ("a__b/c-----d.e", "docker.io/a__b/c-----d.e:latest", "a__b/c-----d.e:latest"),
        ("host:latest", "docker.io/library/host:latest", "host:latest"),
    ],
)
def test_normal_and_short_form(name: str, full: str, short: str) -> None:
    reference = parse(name)
    assert str(reference) == full
    assert familiar(reference) == short
    assert parse(familiar(reference)) == reference


@pytest.mark.parametrize(
    "name",
    [
        "",
        "host",
        "Nginx",
        "a b",
        "nginx\n",
        "nginx:",
        ":tag",
        "nginx:-x",
        "nginx:" + "x" * 129,
        "a//b",
        "/a",
        "a/",
        "../etc",
        "a/../b",
        "a___b",
        "a..b",
        "-a",
        "a" * 256,
        "ab" * 32,
        "nginx@sha256:abc",
        "nginx@" + DIGEST.upper(),
        "nginx@" + DIGEST + "\n",
        "nginx@sha512:" + "a" * 128,
        "nginx@" + DIGEST + "/../../x",
        "docker.io/ngïnx",
        "http://reg/app",
        "reg:port/app",
        "\uff4eginx",
        "nginx:\uff11",
    ],
)
def test_refused(name: str) -> None:
    with pytest.raises(BadReference) as caught:
        parse(name)
    assert "\n" not in caught.value.message


@given(st.text(alphabet="abzAZ019./:@-_[]", max_size=40) | st.text(max_size=20))
def test_whatever_parses_is_stable(name: str) -> None:
    try:
        reference = parse(name)
    except BadReference:
        return
    assert parse(str(reference)) == reference
    assert parse(familiar(reference)) == reference
    assert not any(part in ("", ".", "..") for part in reference.path.split("/"))


def test_only_the_bare_word_is_reserved() -> None:
    assert is_host("host")
    assert not is_host("host:latest")
    assert not is_host("Host")
