"""Reading plain data field by field. Pure.

Objects are taken as they are: what is absent or null is empty, what has the wrong type is an error
that names the place. A :class:`Field` knows where it stands, so that nobody has to carry paths
along.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kubelite.control.scheduler.facts.errors import BadObject
from kubelite.objects.facts import quantity

LARGEST = 1 << 56  # amounts times 100 must stay below 2^63, as scores are made of them


class Field:
    """A value inside an object, and how to get there: words are put together only when an error
    needs them.
    """

    __slots__ = ("_above", "_name", "value")

    def __init__(self, value: Any, name: str | int, above: Field | None = None) -> None:
        self.value = value
        self._name = name
        self._above = above

    @property
    def path(self) -> str:
        """The way to the value: ``Pod default/web.spec.containers[0]``."""
        if self._above is None:
            return str(self._name)
        return (
            f"{self._above.path}[{self._name}]"
            if isinstance(self._name, int)
            else f"{self._above.path}.{self._name}"
        )

    def __bool__(self) -> bool:
        return bool(self.value)

    def error(self, what: str) -> BadObject:
        """The error that says what is wrong with this value."""
        return BadObject(f"{self.path}: {what}")

    def at(self, *keys: str) -> Field:
        """The value below these keys; None where one is absent. Raises BadObject where a mapping is
        something else.
        """
        field = self
        for key in keys:
            value = field.value
            child = value.get(key) if type(value) is dict else field.map().get(key)
            field = Field(child, key, field)
        return field

    def map(self) -> Mapping[str, Any]:
        """The value as a mapping, empty when absent."""
        if type(self.value) is dict:
            return self.value
        if self.value is None:
            return {}
        if not isinstance(self.value, Mapping):
            raise self.error(f"must be a mapping, not {_kind(self.value)}")
        return self.value

    def items(self) -> Iterator[Field]:
        """The value's items as a list, none when absent."""
        if self.value is None:
            return
        if not isinstance(self.value, list | tuple):
            raise self.error(f"must be a list, not {_kind(self.value)}")
        for number, value in enumerate(self.value):
            yield Field(value, number, self)

    def text(self) -> str:
        """The value as text, "" when absent."""
        if self.value is None:
            return ""
        if not isinstance(self.value, str):
            raise self.error(f"must be a string, not {_kind(self.value)}")
        return self.value

    def whole(self, absent: int = 0) -> int:
        """The value as a whole number of 64 bits."""
        if self.value is None:
            return absent
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.error(f"must be a whole number, not {_kind(self.value)}")
        if abs(self.value) >= 1 << 62:
            raise self.error(f"{self.value} is too large")
        return self.value

    def flag(self) -> bool:
        """The value as true or false, false when absent."""
        if self.value is None:
            return False
        if not isinstance(self.value, bool):
            raise self.error(f"must be true or false, not {_kind(self.value)}")
        return self.value

    def texts(self) -> tuple[str, ...]:
        """The value as a list of texts."""
        return tuple(item.text() for item in self.items())

    def labels(self) -> dict[str, str]:
        """The value as a map of texts."""
        return {str(key): Field(value, str(key), self).text() for key, value in self.map().items()}

    def amount(self, milli: bool = False) -> int:
        """The value as a quantity in whole units, or thousandths, rounded up; 0 when absent."""
        if self.value is None:
            return 0
        if isinstance(self.value, bool) or not isinstance(self.value, str | int | float):
            raise self.error(f"must be a quantity, not {_kind(self.value)}")
        try:
            number = quantity.milli(str(self.value)) if milli else quantity.value(str(self.value))
        except quantity.QuantityError as wrong:
            raise self.error(str(wrong)) from None
        if number < 0:
            raise self.error(f"{self.value} is negative")
        if number > LARGEST:
            raise self.error(f"{self.value} is more than a scheduler can count")
        return number


def _kind(value: object) -> str:
    for kind, name in (
        (Mapping, "a mapping"),
        (list | tuple, "a list"),
        (str, "a string"),
        (bool, "a boolean"),
    ):
        if isinstance(value, kind):
            return name
    return f"{value!r}"


def named(obj: object, kind: str) -> Field:
    """An object as a place: ``Pod default/web``. Raises BadObject when it is no mapping."""
    return _Object(obj, kind).checked()


class _Object(Field):
    """An object, which is called by its kind and name."""

    __slots__ = ()

    def checked(self) -> Field:
        """Itself, once it is known that the name can be read."""
        self.at("metadata").map()
        return self

    @property
    def path(self) -> str:
        meta = self.map().get("metadata")
        metadata = meta if isinstance(meta, Mapping) else {}
        namespace, name = metadata.get("namespace"), metadata.get("name")
        return f"{self._name} {f'{namespace}/' if namespace else ''}{name or '(unnamed)'}"
