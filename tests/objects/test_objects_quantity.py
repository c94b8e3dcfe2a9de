"""Quantities against fractions, and against what kubectl prints."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.objects.facts import quantity
from kubelite.objects.facts.quantity import NANO, Quantity, QuantityError

POWERS = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 10**3), "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12), "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30), "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
}  # fmt: skip

numbers = st.tuples(
    st.sampled_from(["", "+", "-"]),
    st.integers(0, 10**12),
    st.none() | st.text("0123456789", max_size=12),
)
suffixes = st.sampled_from(sorted(POWERS)) | st.integers(-12, 12).map(lambda power: f"e{power}")
written = st.tuples(numbers, suffixes)


def text_of(parts: tuple[tuple[str, int, str | None], str]) -> str:
    (sign, whole, fraction), suffix = parts
    return f"{sign}{whole}{'' if fraction is None else '.' + fraction}{suffix}"


def exact(parts: tuple[tuple[str, int, str | None], str]) -> Fraction:
    (sign, whole, fraction), suffix = parts
    power = Fraction(10) ** int(suffix[1:]) if suffix[:1] == "e" else POWERS[suffix]
    amount = (whole + Fraction(int(fraction or "0"), 10 ** len(fraction or ""))) * power
    return -amount if sign == "-" else amount


def away_from_zero(amount: Fraction) -> int:
    return (
        -(-amount.numerator // amount.denominator)
        if amount >= 0
        else amount.numerator // amount.denominator
    )


@given(written)
def test_every_amount_is_exact_down_to_a_nano_and_rounded_away_from_zero_beyond(
    parts: tuple,
) -> None:
    expected = away_from_zero(exact(parts) * NANO)
    if parts[1].endswith("i"):
        ceiling = (2**63 - 1) * NANO
        expected = max(-ceiling, min(expected, ceiling))
    assert quantity.parse(text_of(parts)).nano == expected


@given(written)
def test_units_and_thousandths_are_rounded_away_from_zero(parts: tuple) -> None:
    amount = Fraction(quantity.parse(text_of(parts)).nano, NANO)
    assert quantity.value(text_of(parts)) == away_from_zero(amount)
    assert quantity.milli(text_of(parts)) == away_from_zero(amount * 1000)


@given(written)
def test_what_is_printed_means_the_same_and_prints_the_same(parts: tuple) -> None:
    printed = quantity.canonical(text_of(parts))
    assert quantity.parse(printed).nano == quantity.parse(text_of(parts)).nano
    assert quantity.canonical(printed) == printed


@given(written, written)
def test_order_and_sum_are_those_of_the_amounts(left: tuple, right: tuple) -> None:
    a, b = text_of(left), text_of(right)
    amounts = quantity.parse(a).nano, quantity.parse(b).nano
    assert quantity.compare(a, b) == (amounts[0] > amounts[1]) - (amounts[0] < amounts[1])
    assert quantity.plus(quantity.parse(a), quantity.parse(b)).nano == sum(amounts)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("1000m", "1"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("0.1", "100m"), ("100k", "100k"),
     ("1E", "1E"),
        ("5n", "5n"), ("1e3", "1e3"), ("12345e1", "123450"), ("1e4", "10e3"), ("1.5e3", "1500"),
     ("1000", "1k"),
        ("1024", "1024"), ("1023Ki", "1023Ki"), ("0.5Ki", "512"), ("512Ki", "512Ki"),
     ("0.0001Ki", "102400u"),
        ("1.1Ki", "1126400m"), ("1.0000000001", "1000000001n"), (".5", "500m"),
     ("-1.5Gi", "-1536Mi"), ("0Ki", "0"),
        ("00.10", "100m"), ("9Ei", "9223372036854775807"), ("-9Ei", "-9223372036854775807"),
        ("1e30", "1e30"), ("-0.0000000001", "-1n"), ("1e-10", "1e-9"), ("1000000n", "1m"),
     ("1.5", "1500m"),
    ],
)  # fmt: skip
def test_the_printed_form_is_what_kubectl_prints(text: str, printed: str) -> None:
    """Expected values were printed by kubectl 1.32 for these limits of a container."""
    assert quantity.canonical(text) == printed


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1ki",
        "1KI",
        "1K",
        "1e",
        "1e1.5",
        ".",
        "Mi",
        "1.5.5",
        "1,5",
        "+-1",
        "1 Gi",
        "1mm",
        "1i",
        "0x10",
        "1\n",
        "１",
        "nan",
    ],
)
def test_what_is_no_quantity_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(QuantityError) as caught:
        quantity.parse(text)
    assert f'"{text}"' in str(caught.value)


@pytest.mark.parametrize("text", ["1" * 200, "1e999999999999", "9e65"])
def test_what_is_too_large_is_refused_in_one_short_line(text: str) -> None:
    with pytest.raises(QuantityError) as caught:
        quantity.parse(text)
    assert len(str(caught.value)) < 100


def test_sums_are_written_like_the_left_one_unless_that_is_zero() -> None:
    assert quantity.add("1Gi", "1024Mi") == "2Gi"
    assert quantity.add("100m", "1.9") == "2"
    assert quantity.add("0", "1Ki") == "1Ki"
    assert quantity.add("1500M", "1Mi") == "1501048576"
    assert str(Quantity(1500 * NANO // 1000)) == "1500m"


@pytest.mark.parametrize(
    ("text", "has_fraction"),
    [
        ("1", False),
        ("1500m", True),
        ("1n", True),
        ("1Gi", False),
        ("1e30", False),
        ("9" * 20, True),
    ],
)
def test_fractions_are_seen_as_64_bits_of_thousandths_see_them(
    text: str, has_fraction: bool
) -> None:
    assert quantity.has_fraction(text) is has_fraction
