"""Collects what validation finds, in the words that Kubernetes uses for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from kubelite.objects.facts import names, quantity
from kubelite.objects.rules.problem import (
    BAD_NAME,
    BAD_QUANTITY,
    DUPLICATE,
    INVALID,
    NOT_FOUND,
    REQUIRED,
    Path,
    Problem,
    leaf,
)


class Findings:
    """Problems in the order in which they were found."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def required(self, path: Path, hint: str = "") -> None:
        """A value that must be there is not."""
        self._say(path, "Required value", REQUIRED, hint)

    def invalid(self, path: Path, value: object, why: str, hint: str = "") -> None:
        """A value that is not allowed; ``why`` says what would be."""
        self._say(path, f"Invalid value: {_shown(value)}: {why}", INVALID, hint)

    def unsupported(self, path: Path, value: str, allowed: Iterable[str]) -> None:
        """A value that is none of those allowed."""
        words = list(allowed)
        close = next((word for word in words if word.lower() == value.lower()), "")
        shown = ", ".join(f'"{word}"' for word in words)
        hint = f'did you mean "{close}"?' if close else ""
        self._say(
            path, f"Unsupported value: {_shown(value)}: supported values: {shown}", INVALID, hint
        )

    def duplicate(self, path: Path, value: str, hint: str = "") -> None:
        """A value that stands elsewhere already and must not."""
        self._say(path, f"Duplicate value: {_shown(value)}", DUPLICATE, hint)

    def not_found(self, path: Path, value: str, hint: str = "") -> None:
        """A name of something that is not there."""
        self._say(path, f"Not found: {_shown(value)}", NOT_FOUND, hint)

    def forbidden(self, path: Path, why: str, hint: str = "") -> None:
        """A value that must not be set here."""
        self._say(path, f"Forbidden: {why}", INVALID, hint)

    def name(self, path: Path, value: str | None, wrong: list[str], *, needed: bool = True) -> None:
        """A name, checked by one of the functions of :mod:`names`, whose clauses are ``wrong``."""
        if not value:
            if needed:
                self.required(path)
            return
        for clause in wrong:
            suggested = names.suggested(value)
            hint = f'for example "{suggested}"' if suggested and suggested != value else ""
            self._say(path, f"Invalid value: {_shown(value)}: {clause}", BAD_NAME, hint)

    def one_of(
        self, path: Path, value: str | None, allowed: Iterable[str], *, needed: bool = False
    ) -> None:
        """A word out of a list."""
        if not value:
            if needed:
                self.required(path)
        elif value not in allowed:
            self.unsupported(path, value, allowed)

    def unique(self, path: Path, value: str, seen: dict[str, Path]) -> None:
        """A value that must not have been seen before; it is remembered in ``seen``."""
        if value and value in seen:
            self.duplicate(path, value)
        seen.setdefault(value, path)

    def between(self, path: Path, value: int | None, lowest: int, highest: int) -> None:
        """A number within bounds, both included."""
        if value is not None and not lowest <= value <= highest:
            self.invalid(path, value, f"must be between {lowest} and {highest}")

    def at_least(self, path: Path, value: int | None, lowest: int) -> None:
        """A number that is not too small; its type bounds it above."""
        if value is not None and value < lowest:
            self.invalid(path, value, f"must be greater than or equal to {lowest}")

    def amount(self, path: Path, text: str) -> int | None:
        """A quantity that is not negative, in nanos; None where it is none."""
        try:
            nano = quantity.parse(text).nano
        except quantity.QuantityError as error:
            self._say(path, f"{error}", BAD_QUANTITY, quantity.suggestion(text))
            return None
        if nano < 0:
            self.invalid(path, text, "must be greater than or equal to 0")
        return nano

    def address(self, path: Path, text: str) -> None:
        """An IPv4 or IPv6 address."""
        from ipaddress import ip_address

        try:
            ip_address(text)
        except ValueError:
            self.invalid(path, text, "must be an IP address (as in 192.0.2.7 or 2001:db8::7)")

    def labels(self, path: Path, found: dict[str, str]) -> None:
        """Labels, keys and values."""
        for key, value in found.items():
            for clause in names.qualified(key):
                self.invalid((*path, key), key, clause)
            for clause in names.label_value(value):
                self.invalid((*path, key), value, clause)

    def _say(self, path: Path, said: str, code: str, hint: str) -> None:
        self.problems.append(Problem(path, f"{leaf(path)}: {said}", code, hint))


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
