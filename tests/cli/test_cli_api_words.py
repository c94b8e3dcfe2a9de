"""What people type for the objects of a cluster: types, names, paths, goals, ports."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from kubelite.cli.api.common import discovery
from kubelite.cli.api.common.discovery import UnknownType
from kubelite.cli.api.common.operands import OperandError, changes, parse
from kubelite.cli.api.pods.port_forward import Ports
from kubelite.cli.api.pods.port_forward import parse as parse_ports
from kubelite.cli.api.pods.streams import exit_code
from kubelite.cli.api.printing import formats, table, template
from kubelite.cli.api.printing.description import title_of
from kubelite.cli.api.read import wait
from kubelite.cli.common import output
from kubelite.cli.common.command import Document
from kubelite.cli.common.diagnostic import CliError


def group(name: str, *rows: tuple[str, str, str, list[str]]) -> dict[str, Any]:
    resources = [
        {
            "resource": plural,
            "singularResource": kind.lower(),
            "responseKind": {"kind": kind},
            "scope": "Namespaced",
            "verbs": ["list"],
            "shortNames": [short],
            "categories": categories,
        }
        for plural, kind, short, categories in rows
    ]
    return {"metadata": {"name": name}, "versions": [{"version": "v1", "resources": resources}]}


RESOURCES = discovery.read(
    {
        "items": [
            group("", ("pods", "Pod", "po", ["all"]), ("events", "Event", "ev", [])),
            group("apps", ("deployments", "Deployment", "deploy", ["all"])),
            group("events.k8s.io", ("events", "Event", "ev", [])),
        ]
    }
)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("pods", "pods/"),
        ("po a b", "pods/a pods/b"),
        ("Pod/a deploy/b", "pods/a deployments.apps/b"),
        ("po,deploy a", "pods/a deployments.apps/a"),
        ("all", "pods/ deployments.apps/"),
        ("ev", "events/"),
        ("events.events.k8s.io", "events.events.k8s.io/"),
        ("deployments.v1.apps x", "deployments.apps/x"),
        ("", ""),
    ],
)
def test_types_and_names(words: str, meant: str) -> None:
    operands = parse(words.split(), RESOURCES)
    assert " ".join(f"{row.qualified}/{name}" for row, name in operands) == meant


@pytest.mark.parametrize("words", ["pod/a b", "pod/", "/a", "pod/a/b", ","])
def test_words_that_name_nothing(words: str) -> None:
    with pytest.raises(OperandError):
        parse(words.split(), RESOURCES)


def test_a_type_that_is_not_served() -> None:
    with pytest.raises(UnknownType, match='the server doesn\'t have a resource type "fish"'):
        parse(["fish"], RESOURCES)


def test_changes_are_told_from_operands() -> None:
    assert changes(["pod", "a", "x=1", "y=", "z-"]) == (
        ["pod", "a"],
        {"x": "1", "y": "", "z": None},
    )


POD = {
    "kind": "Pod",
    "metadata": {"name": "a", "labels": {"x.io/y": "1"}, "managedFields": []},
    "spec": {"containers": [{"name": "c", "ports": [1, 2]}, {"name": "d"}], "flag": True},
}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("{.metadata.name}", "a"),
        ("n={.metadata.name}{'\\n'}", "n=a\n"),
        ("{.spec.containers[*].name}", "c d"),
        ('{range .spec.containers[*]}{.name}{":"}{.ports[0]}{"\\t"}{end}!', "c:1\td:\t!"),
        ("{.metadata.labels.x\\.io/y}", "1"),
        ("{.spec.flag} {.spec.nothing}", "true "),
        ("{.metadata.labels}", '{"x.io/y":"1"}'),
        ('{.spec.containers[?(@.name=="d")].name}', "d"),
    ],
)
def test_templates(text: str, expanded: str) -> None:
    assert template.expand(template.parse(text), POD) == expanded


@pytest.mark.parametrize("text", ["{.a", "{range .a}", "{.a[1:2]}", "{end}"])
def test_templates_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        template.parse(text)


@pytest.mark.parametrize("text", ["xml", "jsonpath", "json=x", "custom-columns=A", "go-template=x"])
def test_forms_of_output_that_do_not_exist(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        formats.parse(text)


def test_columns_of_ones_own() -> None:
    form = formats.parse("custom-columns=N:.metadata.name,P:spec.containers[*].name,X:{.x}")
    assert formats.text(POD, form) == "N     P     X\na     c,d   <none>\n"


def test_who_manages_fields_is_shown_when_asked_for() -> None:
    form = formats.parse("json")
    assert "managedFields" not in formats.text({"kind": "List", "items": [POD]}, form)
    assert "managedFields" in formats.text(POD, form, managed_fields=True)


def test_columns_never_become_narrower() -> None:
    columns = table.Columns()
    assert columns.text([["a", "b"]]) == "a     b\n"
    assert columns.text([["longer-name", "b"]]) == "longer-name   b\n"
    assert columns.text([["a", "b"]]) == "a             b\n"


TEXTS = ["", "y", "1", "1e3", "0x1", "1:20", "2026-01-01", "2026-01-01T00:00:00Z", "~", "a: b", "*"]
TEXTS += ["two\nlines\n", "two\nlines", "plain text", "- x", "\x1b[0m", "é", "null", "1.5", "+1"]


@pytest.mark.parametrize("text", TEXTS)
def test_yaml_gives_texts_back(text: str) -> None:
    assert yaml.safe_load(output.document({"a": text}, Document.yaml)) == {"a": text}


def test_yaml_has_kubectls_quotes() -> None:
    shown = output.document({"a": "1", "b": "*", "c": "x\ny\n", "d": "y"}, Document.yaml)
    assert shown == 'a: "1"\nb: \'*\'\nc: |\n  x\n  y\nd: "y"\n'


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("delete", wait.Goal("delete")),
        ("condition=Ready", wait.Goal("condition", "Ready")),
        ("condition=Ready=false", wait.Goal("condition", "Ready", "false")),
        ("jsonpath={.a}=b", wait.Goal("jsonpath", "{.a}", "b")),
        ('jsonpath={.a[?(@.b=="c")]}', wait.Goal("jsonpath", '{.a[?(@.b=="c")]}')),
    ],
)
def test_goals(text: str, goal: wait.Goal) -> None:
    assert wait.parse(text) == goal


@pytest.mark.parametrize("text", ["", "ready", "condition=", "jsonpath=.a", "jsonpath={.a}b"])
def test_what_cannot_be_waited_for(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        wait.parse(text)


def test_a_condition_of_an_older_generation_does_not_count() -> None:
    goal = wait.parse("condition=ready")
    condition = {"type": "Ready", "status": "True", "observedGeneration": 1}
    obj = {"metadata": {"generation": 1}, "status": {"conditions": [condition]}}
    assert goal.holds(obj) and not goal.holds(None)
    assert not goal.holds({**obj, "metadata": {"generation": 2}})


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", Ports(80, "80")),
        ("8080:80", Ports(8080, "80")),
        (":80", Ports(0, "80")),
        ("8080:http", Ports(8080, "http")),
        ("http", Ports(0, "http")),
    ],
)
def test_ports(text: str, ports: Ports) -> None:
    assert parse_ports(text) == ports


@pytest.mark.parametrize("text", ["", ":", "80:", "x:80", "70000:80"])
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(ValueError, match="is no port"):
        parse_ports(text)


def test_exit_codes_of_programs() -> None:
    assert exit_code({"status": "Success"}) == 0
    cause = {"reason": "ExitCode", "message": "7"}
    assert exit_code({"status": "Failure", "details": {"causes": [cause]}}) == 7
    with pytest.raises(CliError, match="no such program"):
        exit_code({"status": "Failure", "message": "no such program"})


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("clusterIP", "Cluster IP"),
        ("podCIDRs", "Pod CIDRs"),
        ("replicas", "Replicas"),
        ("apiVersion", "API Version"),
        ("a.b/c", "a.b/c"),
        ("hostIPC", "Host IPC"),
    ],
)
def test_titles_of_fields(key: str, title: str) -> None:
    assert title_of(key) == title
