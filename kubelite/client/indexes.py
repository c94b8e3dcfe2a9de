"""The objects of an informer, by namespace and name and by indexes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kubelite.lib.json import Object

Objects = list[Object]
Key = tuple[str, str]  # namespace, name
IndexFunction = Callable[[Object], Iterable[str]]


def key_of(obj: Object) -> Key:
    """What tells the objects of a kind apart: (namespace or "", name)."""
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def by_owner(obj: Object) -> list[str]:
    """The uids of all owners."""
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()]


def by_controller(obj: Object) -> list[str]:
    """The uid of the owner that controls the object."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return [owner["uid"] for owner in owners if owner.get("controller")]


def by_node(obj: Object) -> list[str]:
    """The node of a pod."""
    node = (obj.get("spec") or {}).get("nodeName")
    return [node] if node else []


def by_uid(obj: Object) -> list[str]:
    """The object's own uid."""
    return [obj["metadata"]["uid"]]


STANDARD: dict[str, IndexFunction] = {
    "owner": by_owner,
    "controller": by_controller,
    "node": by_node,
    "uid": by_uid,
}
"""Indexes that every informer has, made when first used."""


class ObjectStore:
    """Objects by namespace and name. Indexes are filled when they are first asked for."""

    def __init__(self) -> None:
        self._namespaces: dict[str, dict[str, Object]] = {}
        self._functions = dict(STANDARD)
        self._indexes: dict[str, dict[str, dict[Key, Object]]] = {}

    def __len__(self) -> int:
        return sum(len(objects) for objects in self._namespaces.values())

    def __iter__(self) -> Iterator[Object]:
        return iter([obj for objects in self._namespaces.values() for obj in objects.values()])

    def get(self, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        objects = self._namespaces.get(namespace)
        return objects.get(name) if objects else None

    def list(self, namespace: str | None = None) -> Objects:
        """The objects of a namespace, or all."""
        if namespace is None:
            return list(self)
        return list(self._namespaces.get(namespace, {}).values())

    def keys(self) -> set[Key]:
        """The keys of all objects."""
        return {
            (namespace, name) for namespace, objects in self._namespaces.items() for name in objects
        }

    def put(self, key: Key, obj: Object) -> Object | None:
        """Takes an object in. Returns the one it replaces."""
        objects = self._namespaces.setdefault(key[0], {})
        old = objects.get(key[1])
        objects[key[1]] = obj
        for name, index in self._indexes.items():
            function = self._functions[name]
            if old is not None:
                _drop(index, function(old), key)
            for value in function(obj):
                index.setdefault(value, {})[key] = obj
        return old

    def pop(self, key: Key) -> Object | None:
        """Lets an object go. Returns it, None where there was none."""
        objects = self._namespaces.get(key[0])
        old = objects.pop(key[1], None) if objects else None
        if objects is not None and not objects:
            del self._namespaces[key[0]]
        if old is not None:
            for name, index in self._indexes.items():
                _drop(index, self._functions[name](old), key)
        return old

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Names an index: ``function`` gives the values under which an object is found."""
        known = self._functions.get(name)
        if known is not None and known is not function:
            raise ValueError(f"there is an index {name} already")
        self._functions[name] = function

    def by_index(self, name: str, value: str) -> Objects:
        """The objects that the index has under a value. Raises KeyError for an unknown index."""
        index = self._indexes.get(name)
        if index is None:
            index = self._indexes[name] = self._fill(self._functions[name])
        return list(index.get(value, {}).values())

    def _fill(self, function: IndexFunction) -> dict[str, dict[Key, Object]]:
        index: dict[str, dict[Key, Object]] = {}
        for namespace, objects in self._namespaces.items():
            for name, obj in objects.items():
                for value in function(obj):
                    index.setdefault(value, {})[namespace, name] = obj
        return index


def _drop(index: dict[str, dict[Key, Object]], values: Iterable[str], key: Key) -> None:
    for value in values:
        objects = index.get(value)
        if objects is not None:
            objects.pop(key, None)
            if not objects:
                del index[value]
