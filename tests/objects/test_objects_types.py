"""The types of the pod are those of the published schema, field by field, and read and write the
same JSON.
"""

from __future__ import annotations

import inspect
import types
import typing
from typing import Any

import msgspec
import pytest

from kubelite.objects.facts import schema
from kubelite.objects.pod import pod
from kubelite.objects.pod.pod import (
    Container,
    EmptyDirVolumeSource,
    ObjectMeta,
    Pod,
    PodSpec,
    Volume,
)

TYPES = {
    name: kind
    for name, kind in vars(pod).items()
    if name in pod.__all__ and inspect.isclass(kind) and issubclass(kind, msgspec.Struct)
}
META = {
    "ObjectMeta",
    "OwnerReference",
    "ManagedFieldsEntry",
    "LabelSelector",
    "LabelSelectorRequirement",
}


def definition(name: str) -> schema.Definition:
    return schema.definition(f"meta.v1.{name}" if name in META else f"core.v1.{name}")


def shown(annotation: Any) -> str:
    """A type in the words of the schema's table."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        rest = [each for each in arguments if each is not types.NoneType]
        return "intstr.IntOrString" if len(rest) == 2 else shown(rest[0])
    if origin is tuple:
        return f"[{shown(arguments[0])}"
    if origin is dict:
        return "o" if arguments[1] is Any else f"{{{shown(arguments[1])}"
    if origin is typing.Annotated:
        meta = arguments[1]
        if meta.description:
            return {"quantity": "resource.Quantity", "time": "meta.v1.Time"}[meta.description]
        return "i" if meta.le == 2**31 - 1 else "l"
    return {str: "s", bool: "b"}.get(
        annotation
    ) or f"{'meta' if annotation.__name__ in META else 'core'}.v1.{annotation.__name__}"


# Volumes that are kept as they are, and free-form values.
OPAQUE = {"fieldsV1"} | {
    "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "fc", "flexVolume",
    "flocker", "gcePersistentDisk",
    "gitRepo", "glusterfs", "iscsi", "photonPersistentDisk", "portworxVolume", "quobyte", "rbd",
    "scaleIO", "storageos",
    "vsphereVolume",
}  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_a_type_has_exactly_the_fields_of_the_schema(name: str) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(TYPES[name])}
    published = {field.name: field for field in definition(name).fields.values()}
    assert set(fields) == set(published)
    for key, field in fields.items():
        if key not in OPAQUE:
            assert shown(field.type) == published[key].type, key
        if (name, key) != ("Pod", "spec"):
            assert field.required == published[key].required, key


def test_everything_that_a_pod_reaches_is_typed() -> None:
    reached: set[str] = set()
    todo = ["Pod"]
    while todo:
        name = todo.pop()
        for field in definition(name).fields.values():
            inner = field.item.rpartition(".")[2]
            if (
                field.name not in OPAQUE
                and "." in field.item
                and inner not in reached | {"Quantity", "IntOrString", "Time"}
            ):
                reached.add(inner)
                todo.append(inner)
    assert reached | {"Pod"} == set(TYPES)


def test_json_names_required_fields_and_what_is_left_out() -> None:
    volume = Volume(name="v", empty_dir=EmptyDirVolumeSource())
    made = Pod(
        metadata=ObjectMeta(name="p"),
        spec=PodSpec(
            containers=(Container(name="c", tty=False),),
            volumes=(volume,),
            host_pid=True,
            host_ipc=False,
        ),
    )
    assert msgspec.json.decode(msgspec.json.encode(made)) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {
            "containers": [{"name": "c", "resources": {}, "tty": False}],
            "volumes": [{"name": "v", "emptyDir": {}}],
            "hostPID": True,
            "hostIPC": False,
        },
    }
    assert msgspec.json.decode(msgspec.json.encode(made), type=Pod) == made


def test_objects_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Container(name="c").name = "d"  # type: ignore[misc]
