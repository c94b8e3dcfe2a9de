"""Amounts of resources as Kubernetes writes them: ``500m``, ``1.5Gi``, ``1e3``. Pure.

An amount is a whole number of nanos: Kubernetes rounds finer ones away from zero when it reads
them, so nothing is lost here either. How it was written (decimal, binary, exponent) is kept, since
that decides how it is printed. The texts that a cluster uses are few and asked for often; every
function of a text is cached.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from kubelite.lib.text_cache import remember_short

Form = Literal["decimal", "binary", "exponent"]

NANO = 10**9
MAX_BINARY = (2**63 - 1) * NANO
MAX_LENGTH = 100
MAX_EXPONENT = 64
_OVERFLOW, _INT64_DIGITS = 2**63, 18
_CACHED = 16384
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_SUFFIX = {power: suffix for suffix, power in _DECIMAL.items()}
_DIGITS = "0123456789"


class QuantityError(ValueError):
    """The text is no quantity; the message is one sentence and names it."""


class Quantity(NamedTuple):
    """An amount in nanos, and how it was written. As text it has Kubernetes' canonical form."""

    nano: int
    form: Form = "decimal"

    def __str__(self) -> str:
        return _printed(self)


def parse(text: str) -> Quantity:
    """The quantity that a text means. Raises QuantityError."""
    quantity = _parsed(text)
    if isinstance(quantity, str):
        raise QuantityError(quantity)
    return quantity


@remember_short(_CACHED)
def value(text: str) -> int:
    """The amount in whole units, rounded away from zero: bytes, pods, cores. Raises
    QuantityError.
    """
    return units(parse(text))


@remember_short(_CACHED)
def milli(text: str) -> int:
    """The amount in thousandths, rounded away from zero: milli-CPUs. Raises QuantityError."""
    return thousandths(parse(text))


def has_fraction(text: str) -> bool:
    """Whether an amount is no whole number, as Kubernetes reckons: in thousandths of 64 bits, where
    what overflows is 0, or wraps around if it was written with too many digits for an int64. Raises
    QuantityError.
    """
    thousandths = milli(text)
    if -_OVERFLOW <= thousandths < _OVERFLOW:
        return thousandths % 1000 != 0
    wrapped = (thousandths + _OVERFLOW) % (2 * _OVERFLOW) - _OVERFLOW
    return sum(map(str.isdigit, text)) > _INT64_DIGITS and wrapped % 1000 != 0


@remember_short(_CACHED)
def canonical(text: str) -> str:
    """The text as Kubernetes prints it: ``1000m`` is ``1``, ``1024Mi`` is ``1Gi``. Raises
    QuantityError.
    """
    return str(parse(text))


def compare(left: str, right: str) -> int:
    """-1, 0 or 1 as ``left`` is less than, equal to or more than ``right``. Raises
    QuantityError.
    """
    a, b = parse(left).nano, parse(right).nano
    return (a > b) - (a < b)


def add(left: str, right: str) -> str:
    """The sum in canonical form, written like ``left`` unless that is zero. Raises
    QuantityError.
    """
    return str(plus(parse(left), parse(right)))


def plus(left: Quantity, right: Quantity) -> Quantity:
    """The sum, written like ``left`` unless that is zero."""
    return Quantity(left.nano + right.nano, left.form if left.nano else right.form)


def units(quantity: Quantity) -> int:
    """The amount in whole units, rounded away from zero."""
    return _divided(quantity.nano, NANO)


def thousandths(quantity: Quantity) -> int:
    """The amount in thousandths, rounded away from zero."""
    return _divided(quantity.nano, NANO // 1000)


def suggestion(text: str) -> str:
    """What somebody who wrote this probably meant, as a hint; "" where nobody knows."""
    match = re.fullmatch(r"([0-9.]+) ?([kKmMgGtT])i?[bB]?", text)
    if match is None:
        return ""
    number, letter = match[1], match[2].upper()
    return (
        f"did you mean {number}{letter}i (powers of 1024) or "
        f"{number}{'k' if letter == 'K' else letter} (of 1000)?"
    )


@remember_short(_CACHED)
def _parsed(text: str) -> Quantity | str:
    """The quantity, or the sentence that says why it is none: errors are as frequent as their
    texts, and cached too.
    """
    if len(text) > MAX_LENGTH:
        return f'"{text[:20]}…" is too long for a quantity'
    sign = text[:1] if text[:1] in ("+", "-") else ""
    unsigned = text[len(sign) :]
    suffix = unsigned.lstrip(_DIGITS + ".")
    whole, _, fraction = unsigned[: len(unsigned) - len(suffix)].partition(".")
    if "." in fraction or not whole + fraction:
        return _not_one(text)
    digits = int(whole + fraction)
    if suffix in _DECIMAL:
        return _read(sign, digits, _DECIMAL[suffix] - len(fraction), "decimal")
    if suffix in _BINARY:
        return _read(sign, digits << _BINARY[suffix], -len(fraction), "binary")
    exponent = suffix[2:] if suffix[1:2] in ("+", "-") else suffix[1:]
    if suffix[0] not in "eE" or not exponent or exponent.strip(_DIGITS):
        return _not_one(text)
    if len(exponent) > 9 or int(suffix[1:]) > MAX_EXPONENT:
        return f'"{text}" is too large for a quantity'
    return _read(sign, digits, int(suffix[1:]) - len(fraction), "exponent")


def _not_one(text: str) -> str:
    return (
        f'"{text}" is not a quantity: write a number and at most one suffix, as in 500m, 2, '
        "1.5Gi or 1e3"
    )


def _read(sign: str, digits: int, power: int, form: Form) -> Quantity:
    """``digits`` times ten to the ``power``, rounded up to nanos."""
    power += 9
    nano = digits * 10**power if power >= 0 else -(-digits // 10 ** min(-power, 2 * MAX_LENGTH))
    if form == "binary":
        nano = min(nano, MAX_BINARY)
        form = "decimal" if nano < NANO else form
    return Quantity(-nano if sign == "-" else nano, form)


def _divided(amount: int, unit: int) -> int:
    return -(-amount // unit) if amount >= 0 else amount // unit


def _printed(quantity: Quantity) -> str:
    whole, rest = divmod(abs(quantity.nano), NANO)
    sign = "-" if quantity.nano < 0 else ""
    if quantity.form == "binary" and not rest and whole >= 1024:
        return sign + _binary(whole)
    return sign + _decimal(
        abs(quantity.nano), "decimal" if quantity.form == "binary" else quantity.form
    )


def _binary(whole: int) -> str:
    steps = 0
    while steps < len(_BINARY) and whole % 1024 == 0:
        whole //= 1024
        steps += 1
    return f"{whole}{['', *_BINARY][steps]}"


def _decimal(nano: int, form: Form) -> str:
    """The smallest whole number with a power that is a multiple of three: all but binary amounts
    are printed so.
    """
    if nano == 0:
        return "0"
    power = -9
    while nano % 1000 == 0 and (form == "exponent" or power < 18):
        nano //= 1000
        power += 3
    if form == "exponent":
        return f"{nano}e{power}" if power else f"{nano}"
    return f"{nano}{_SUFFIX[power]}"
