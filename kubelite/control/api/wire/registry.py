"""Which resources are served right now: the built-in ones, and those that CustomResourceDefinitions
add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubelite.control.api.wire.resource import Resource


class Registry:
    """Looked up by path and by kind. ``generation`` changes whenever what is served changes."""

    def __init__(self, builtin: Iterable[Resource]) -> None:
        self._builtin = tuple(builtin)
        self._custom: dict[str, tuple[Resource, ...]] = {}
        self.generation = 0
        self._index()

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource at a path, or None."""
        return self._by_path.get((group, version, plural))

    def any_version(self, group: str, plural: str) -> Resource | None:
        """The resource in whichever version is served first."""
        return self._first.get((group, plural))

    def builtin(self, group: str, plural: str) -> Resource:
        """A resource that is always there, in its first version. Raises KeyError."""
        resource = self.any_version(group, plural)
        if resource is None:
            raise KeyError(f"{plural}.{group}")
        return resource

    def all(self) -> tuple[Resource, ...]:
        """Every resource, built-in ones first."""
        return self._all

    def namespaced(self) -> list[Resource]:
        """One resource for each place where namespaced objects are stored."""
        by_name = {
            res.prefix: res for res in reversed(self._all) if res.namespaced and "list" in res.verbs
        }
        return list(by_name.values())

    def define(self, name: str, resources: tuple[Resource, ...]) -> None:
        """Serves what a CustomResourceDefinition describes, in place of what it described
        before.
        """
        if resources:
            self._custom[name] = resources
        else:
            self._custom.pop(name, None)
        self.generation += 1
        self._index()

    def forget_custom(self) -> None:
        """Serves the built-in resources only."""
        self._custom.clear()
        self.generation += 1
        self._index()

    def _index(self) -> None:
        self._all = self._builtin + tuple(
            res for name in sorted(self._custom) for res in self._custom[name]
        )
        first = self._all[
            ::-1
        ]  # whatever a definition says, it does not take the place of a built-in resource
        self._by_path = {(res.group, res.version, res.plural): res for res in first}
        self._first = {(res.group, res.plural): res for res in reversed(self._all)}
