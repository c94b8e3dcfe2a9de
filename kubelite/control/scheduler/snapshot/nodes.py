"""The nodes of a snapshot, turned on their side: who has which label, taint, image. Pure.

A set of nodes is a Python integer with a bit for each node, so that filters are ands and ors over
the whole cluster at once. Indices are made when first asked for; a change of a node makes a new
object.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import NamedTuple

from kubelite.control.scheduler.facts.fields import Field
from kubelite.control.scheduler.facts.resources import Amounts, allocatable
from kubelite.control.scheduler.facts.selectors import NodeTerm
from kubelite.control.scheduler.facts.taints import Taint
from kubelite.objects.facts.labels import Operator, Requirement

_ZERO, _ONE = b"\x00", b"\x01"
_DIGITS = bytes.maketrans(b"01", _ZERO + _ONE)


class Node(NamedTuple):
    """What the scheduler reads of a node. ``images`` maps every name to the image's size."""

    name: str
    labels: dict[str, str]
    taints: tuple[Taint, ...]
    unschedulable: bool
    allocatable: Amounts
    images: dict[str, int]

    def shape(self) -> tuple[object, ...]:
        """What caches are made of: all but what can be given away."""
        return self.labels, self.taints, self.unschedulable, self.images


def read(node: Field) -> Node:
    """A Node object's fields. Raises BadObject."""
    spec = node.at("spec")
    taints = (
        tuple(item.at(name).text() for name in ("key", "value", "effect"))
        for item in spec.at("taints").items()
    )
    return Node(
        name=node.at("metadata", "name").text(),
        labels=node.at("metadata", "labels").labels(),
        taints=tuple(Taint(*taint) for taint in taints),
        unschedulable=spec.at("unschedulable").flag(),
        allocatable=allocatable(node),
        images={
            name: item.at("sizeBytes").whole()
            for item in node.at("status", "images").items()
            for name in item.at("names").texts()
        },
    )


class Nodes:
    """The nodes in snapshot order."""

    def __init__(self, rows: list[Node]) -> None:
        self.rows = rows
        self.count = len(rows)
        self.all = (1 << self.count) - 1
        self.index = {node.name: number for number, node in enumerate(rows)}
        self._values: dict[str, dict[str, list[int]]] = {}
        self._found: dict[Requirement, int] = {}
        self._taints: dict[tuple[Taint, ...], int] | None = None
        self._images: dict[str, tuple[int, int]] | None = None

    def mask(self, numbers: Iterable[int]) -> int:
        """The set of these nodes."""
        bits = bytearray(self.count // 8 + 1)
        for number in numbers:
            bits[number >> 3] |= 1 << (number & 7)
        return int.from_bytes(bits, "little")

    def bits(self, mask: int) -> bytes:
        """A set with eight nodes to the byte."""
        return mask.to_bytes(self.count // 8 + 1, "little")

    def flags(self, mask: int) -> bytes:
        """A set with a byte, 0 or 1, for each node."""
        return (
            format(mask, f"0{self.count}b").encode()[::-1].translate(_DIGITS) if self.count else b""
        )

    def values(self, key: str) -> dict[str, list[int]]:
        """The nodes with each value of a label, in snapshot order."""
        if key not in self._values:
            by_value: dict[str, list[int]] = {}
            for number, node in enumerate(self.rows):
                if key in node.labels:
                    by_value.setdefault(node.labels[key], []).append(number)
            self._values[key] = by_value
        return self._values[key]

    def having(self, key: str) -> int:
        """The nodes that have a label."""
        return self.matching(Requirement(key, "Exists"))

    def domains(self, key: str) -> tuple[array[int], int]:
        """The number of each node's value of a label, -1 for none, and how many values there
        are.
        """
        numbers = array("i", [-1]) * self.count
        values = self.values(key)
        for domain, members in enumerate(values.values()):
            for number in members:
                numbers[number] = domain
        return numbers, len(values)

    def matching(self, requirement: Requirement) -> int:
        """The nodes whose labels fulfil a requirement."""
        if requirement not in self._found:
            self._found[requirement] = self._match(requirement)
        return self._found[requirement]

    def _match(self, requirement: Requirement) -> int:
        values = self.values(requirement.key)
        if requirement.operator in ("NotIn", "DoesNotExist"):
            opposite: Operator = "In" if requirement.operator == "NotIn" else "Exists"
            return self.all & ~self.matching(
                Requirement(requirement.key, opposite, requirement.values)
            )
        if requirement.operator == "In":
            members = [values[value] for value in requirement.values if value in values]
        else:
            members = [
                numbers
                for value, numbers in values.items()
                if requirement.matches({requirement.key: value})
            ]
        return self.mask(number for numbers in members for number in numbers)

    def term(self, term: NodeTerm) -> int:
        """The nodes that a node selector term selects."""
        chosen = self.all if term.valid else 0
        for requirement in term.labels:
            chosen &= self.matching(requirement)
        for requirement in term.fields:
            named = self.mask(self.index[name] for name in requirement.values if name in self.index)
            chosen &= named if requirement.operator == "In" else ~named
        return chosen

    def any_term(self, terms: Iterable[NodeTerm]) -> int:
        """The nodes that one of the terms selects."""
        chosen = 0
        for term in terms:
            chosen |= self.term(term)
        return chosen

    def taints(self) -> dict[tuple[Taint, ...], int]:
        """The nodes with each set of taints; those without any are left out."""
        if self._taints is None:
            by_taints: dict[tuple[Taint, ...], list[int]] = {}
            for number, node in enumerate(self.rows):
                if node.taints:
                    by_taints.setdefault(node.taints, []).append(number)
            self._taints = {taints: self.mask(members) for taints, members in by_taints.items()}
        return self._taints

    def unschedulable(self) -> int:
        """The nodes that are cordoned."""
        return self.mask(number for number, node in enumerate(self.rows) if node.unschedulable)

    def images(self) -> dict[str, tuple[int, int]]:
        """Of each image name, its size as the first node tells it, and the nodes that have it."""
        if self._images is None:
            sizes: dict[str, int] = {}
            by_image: dict[str, list[int]] = {}
            for number, node in enumerate(self.rows):
                for name, size in node.images.items():
                    sizes.setdefault(name, size)
                    by_image.setdefault(name, []).append(number)
            self._images = {
                name: (sizes[name], self.mask(members)) for name, members in by_image.items()
            }
        return self._images
