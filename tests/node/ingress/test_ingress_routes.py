"""Which backend a request gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.ingress.routes import (
    CONTROLLER,
    Backend,
    certificates,
    find,
    is_ours,
    routes,
)


def ingress(name, *rules, default="", made="2026-01-01T00:00:00Z", **spec):
    """A rule is a host and its paths; a path is path, type and Service."""
    found = [
        {"host": host, "http": {"paths": [path_of(*path) for path in paths]}}
        for host, *paths in rules
    ]
    if default:
        spec["defaultBackend"] = {"service": {"name": default, "port": {"number": 80}}}
    metadata = {"name": name, "namespace": "shop", "creationTimestamp": made}
    return {"metadata": metadata, "spec": {"rules": found, **spec}}


def path_of(path, kind, service):
    backend = {"service": {"name": service, "port": {"number": 80}}}
    return {"path": path, "pathType": kind, "backend": backend}


def service(table, host, path):
    backend = find(table, host, path)
    return backend.service if backend else None


@pytest.mark.parametrize(
    ("kind", "path", "request_path", "is_match"),
    [
        # From the table in the documentation of Ingress.
        ("Prefix", "/", "/any", True),
        ("Exact", "/foo", "/foo", True),
        ("Exact", "/foo", "/bar", False),
        ("Exact", "/foo", "/foo/", False),
        ("Exact", "/foo/", "/foo", False),
        ("Prefix", "/foo", "/foo", True),
        ("Prefix", "/foo", "/foo/", True),
        ("Prefix", "/foo/", "/foo", True),
        ("Prefix", "/foo/", "/foo/", True),
        ("Prefix", "/aaa/bb", "/aaa/bbb", False),
        ("Prefix", "/aaa/bbb", "/aaa/bbb", True),
        ("Prefix", "/aaa/bbb/", "/aaa/bbb", True),
        ("Prefix", "/aaa/bbb", "/aaa/bbb/", True),
        ("Prefix", "/aaa/bbb", "/aaa/bbb/ccc", True),
        ("Prefix", "/aaa/bbb", "/aaa/bbbxyz", False),
        ("ImplementationSpecific", "/aaa", "/aaa/b", True),
    ],
)
def test_paths_match_by_segments(kind, path, request_path, is_match):
    table = routes([ingress("a", ("x.example", (path, kind, "web")))])
    assert (service(table, "x.example", request_path) == "web") is is_match


def test_the_most_specific_host_and_the_longest_path_decide():
    table = routes(
        [
            ingress(
                "a",
                ("x.example", ("/", "Prefix", "root"), ("/a", "Prefix", "a")),
                ("x.example", ("/a/b", "Prefix", "ab"), ("/a", "Exact", "exact")),
                ("*.example", ("/", "Prefix", "wild")),
                ("", ("/", "Prefix", "any")),
            )
        ]
    )
    asked = ["/", "/a", "/a/", "/a/b/c", "/ab"]
    assert [service(table, "x.example", p) for p in asked] == ["root", "exact", "a", "ab", "root"]
    assert service(table, "X.EXAMPLE", "/") == "root"
    assert service(table, "y.example", "/") == "wild"
    assert service(table, "z.y.example", "/") == service(table, "example", "/") == "any"


def test_what_no_rule_matches_goes_to_the_default_backend():
    with_rule = ingress("a", ("x.example", ("/a", "Prefix", "a")))
    assert service(routes([with_rule]), "x.example", "/b") is None
    older = ingress("b", default="first")
    newer = ingress("c", default="second", made="2026-01-02T00:00:00Z")
    table = routes([newer, with_rule, older])
    assert service(table, "x.example", "/b") == service(table, "other", "/") == "first"
    assert service(table, "x.example", "/a") == "a"


def test_of_two_ingresses_the_older_counts():
    rule = ("x.example", ("/", "Prefix", "new")), ("x.example", ("/", "Prefix", "old"))
    both = [ingress("a", rule[0], made="2026-01-02T00:00:00Z"), ingress("b", rule[1])]
    assert service(routes(both), "x.example", "/") == service(routes(both[::-1]), "x.example", "/")
    assert service(routes(both), "x.example", "/") == "old"


def test_ports_have_numbers_or_names_and_other_backends_are_left_out():
    entry = path_of("/", "Prefix", "web")
    entry["backend"]["service"]["port"] = {"name": "http"}
    other = {"path": "/files", "pathType": "Prefix", "backend": {"resource": {"kind": "Bucket"}}}
    one = ingress("a")
    one["spec"]["rules"] = [{"http": {"paths": [entry, other]}}, {"host": "empty"}]
    assert find(routes([one]), "any", "/files/x") == Backend("shop", "web", "http")
    assert find(routes([one]), "empty", "/") == Backend("shop", "web", "http")


SEGMENTS = st.lists(st.sampled_from(["a", "b"]), max_size=3).map(lambda s: "/" + "/".join(s))
HOSTS = st.sampled_from(["x.example", "y.example", "*.example", ""])


@given(
    st.lists(st.tuples(HOSTS, SEGMENTS, st.sampled_from(["Exact", "Prefix"])), max_size=6),
    st.sampled_from(["x.example", "z.example", "other"]),
    SEGMENTS,
)
def test_it_decides_as_trying_all_rules_would(rules, host, path):
    """The model has no table: it tries every rule and takes the best."""
    made = [(h, (p, kind, f"s{number}")) for number, (h, p, kind) in enumerate(rules)]
    table = routes([ingress("a", *made)])

    def fits(name):
        return (
            name == host or name == "" or (name[:1] == "*" and host.split(".", 1)[1:] == [name[2:]])
        )

    best_host = max((h for h, _, _ in rules if fits(h)), key=lambda h: (h == host, h), default=None)
    candidates = []
    for number, (rule_host, rule_path, kind) in enumerate(rules):
        if rule_host != best_host:
            continue
        wanted, given_ = rule_path.strip("/").split("/"), path.strip("/").split("/")
        is_prefix = rule_path == "/" or given_[: len(wanted)] == wanted
        if path == rule_path if kind == "Exact" else is_prefix:
            length = len(rule_path.rstrip("/"))
            candidates.append((length, kind == "Exact", -number))
    expected = f"s{-max(candidates)[2]}" if candidates else None
    assert service(table, host, path) == expected


def test_the_class_decides_whose_an_ingress_is():
    classes = [
        {"metadata": {"name": "kubelite"}, "spec": {"controller": CONTROLLER}},
        {"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}},
    ]
    assert is_ours(ingress("a", ingressClassName="kubelite"), classes)
    assert not is_ours(ingress("a", ingressClassName="nginx"), classes)
    assert not is_ours(ingress("a", ingressClassName="kubelite"), [])
    assert not is_ours(ingress("a"), classes)
    annotated = ingress("a")
    annotated["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "kubelite"}
    assert is_ours(annotated, classes)


def test_certificates_belong_to_hosts():
    tls = [{"hosts": ["X.example", "*.y.example"], "secretName": "one"}, {"secretName": "rest"}]
    assert certificates([ingress("a", tls=[*tls, {"hosts": ["none.example"]}])]) == {
        "x.example": ("shop", "one"),
        "*.y.example": ("shop", "one"),
        "": ("shop", "rest"),
    }
