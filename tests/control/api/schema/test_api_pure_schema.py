import importlib.util
import os
import tempfile
from pathlib import Path

import pytest

from kubelite.objects.facts import kinds, schema

ROOT = Path(__file__).parents[4]


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_schema_table_is_what_the_script_makes():
    pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    assert (
        script("make_schema").made()
        == (ROOT / "kubelite/objects/facts/schema_table.py").read_text()
    )


def test_fields_stand_in_the_servers_order_with_what_is_known_of_them():
    container = schema.definition("core.v1.Container").fields
    assert list(container)[:4] == ["name", "image", "command", "args"]
    ports = container["ports"]
    assert (ports.type, ports.item) == ("[core.v1.ContainerPort", "core.v1.ContainerPort")
    assert (ports.list_type, ports.list_keys, ports.merge_key) == (
        "map",
        ("containerPort", "protocol"),
        "containerPort",
    )
    assert container["name"].required
    assert not container["image"].required
    assert container["resources"].written


def test_kind_and_api_version_come_first():
    for name in ("core.v1.Pod", "apps.v1.Deployment", "rbac.v1.Role"):
        assert list(schema.definition(name).fields)[:3] == ["kind", "apiVersion", "metadata"]


def test_structs_that_go_embeds_lie_in_their_parent():
    assert list(schema.order("core.v1.Volume"))[:3] == ["name", "hostPath", "emptyDir"]
    assert list(schema.order("core.v1.Probe"))[:2] == ["exec", "httpGet"]


def test_a_pointer_keeps_its_zero():
    fields = schema.definition("apps.v1.DeploymentSpec").fields
    assert fields["replicas"].pointer
    assert not fields["paused"].pointer


def test_every_kind_that_is_served_has_a_definition():
    missing = [
        row for row in kinds.KINDS if schema.name_of(row.group, row.version, row.kind) is None
    ]
    assert missing == []


def test_every_reference_leads_somewhere():
    names = set(schema.names())
    refs = {
        field.item
        for name in names
        for field in schema.definition(name).fields.values()
        if "." in field.item
    }
    assert refs - names == set()


def test_public_names_are_those_of_the_published_document():
    assert schema.public_name("core.v1.Pod") == "io.k8s.api.core.v1.Pod"
    assert (
        schema.public_name("meta.v1.ObjectMeta")
        == "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    )
    assert (
        schema.public_name("resource.Quantity") == "io.k8s.apimachinery.pkg.api.resource.Quantity"
    )
    found = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition"
    assert schema.public_name("apiextensions.v1.CustomResourceDefinition") == found


def test_an_unknown_definition_is_empty():
    assert schema.definition("core.v1.Nothing").fields == {}
    assert schema.message("core.v1.Nothing") == {}


def test_the_committed_tables_of_go_are_what_the_script_makes():
    """Fetch them by ``scripts/debian sid FOLDER PACKAGES``, where FOLDER is below and PACKAGES
    are ``golang-k8s-{api,apimachinery,metrics,apiextensions-apiserver}-dev``.
    """
    folder = (
        Path(tempfile.gettempdir())
        / f"kubelite-debian-{os.getuid()}"
        / "kubernetes-sources-sid/usr/share/gocode/src"
    )
    if not folder.exists():
        pytest.skip("the published sources of Kubernetes' types are not here")
    made, facts = script("make_protobuf"), ROOT / "kubelite/objects/facts"
    assert made.made(str(folder)) == (facts / "protobuf_table.py").read_text()
    assert made.made_go(str(folder)) == (facts / "go_table.py").read_text()
