"""Functions that Kubernetes adds to CEL: quantities, addresses, URLs, regular expressions, formats.
Pure.

The library knows no types of its own, so their values are texts: an address and a URL in their
usual form, a quantity as the number of its billionth parts, a format as ``format:`` and its name.
Names and meanings are those of ``k8s.io/apiserver/pkg/cel/library``.
"""

from __future__ import annotations

import base64
import ipaddress
import itertools
import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from kubelite.control.api.schema import cel_semver, patterns
from kubelite.objects.facts import names, quantity

if TYPE_CHECKING:
    from collections.abc import Callable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_WHOLE = 10**9
_VERB = re.compile(r"%(?:\.(\d+))?([%sdfebxXo])")
_UUID = re.compile(r"(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _holds(read: Callable[[str], Any]) -> Callable[[str], bool]:
    """Whether a text can be read."""

    def is_readable(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return is_readable


def _address(text: str) -> Address:
    """An address; that of a network, where one is given. Raises ValueError."""
    if "/" in text:
        return ipaddress.ip_interface(text).ip
    address = ipaddress.ip_address(text)
    if "%" in text or (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped):
        raise ValueError(f"IP address {text} is not allowed: zones and IPv4-mapped addresses")
    return address


def _network(text: str) -> Network:
    if "/" not in text:
        raise ValueError(f"network address parse error: {text}")
    return ipaddress.ip_network(text, strict=False)


def _cidr(text: str) -> str:
    _network(text)
    return str(ipaddress.ip_interface(text))


def _contains_network(outer: str, inner: str) -> bool:
    first, second = _network(outer), _network(inner)
    return (
        first.version == second.version
        and first.prefixlen <= second.prefixlen
        and second.network_address in first
    )


def _contains_address(network: str, address: str) -> bool:
    parsed = _address(address)
    return parsed.version == _network(network).version and parsed in _network(network)


def _is_canonical(_: str, text: str) -> bool:
    """``ip.isCanonical(x)`` and ``cidr.isCanonical(x)``."""
    if "/" in text:
        return str(_network(text)) == text
    return str(_address(text)) == text


def _is_global(text: str) -> bool:
    address = _address(text)
    special = address.is_unspecified or address.is_loopback or address.is_multicast
    return not (special or address.is_link_local or str(address) == "255.255.255.255")


def _url(text: str) -> str:
    parts = urlsplit(text)
    _ = parts.port
    if not parts.scheme and not text.startswith("/"):
        raise ValueError(f"URL parse error during conversion from string: {text}")
    return text


def _url_port(text: str) -> str:
    port = urlsplit(text).port
    return "" if port is None else str(port)


def _quantity(text: str) -> str:
    try:
        return str(quantity.parse(text).nano)
    except quantity.QuantityError as error:
        raise ValueError(str(error)) from None


def _as_integer(amount: str) -> int:
    whole, rest = divmod(int(amount), _WHOLE)
    if rest or not -(2**63) <= whole < 2**63:
        raise ValueError("cannot convert value to integer")
    return whole


def _amount(value: str | int) -> int:
    """The billionth parts of a quantity or of a number."""
    return value * _WHOLE if isinstance(value, int) else int(value)


def _compare(first: str, second: str) -> int:
    """The order of two quantities, or of two versions."""
    if cel_semver.is_marked(first):
        return cel_semver.compare(first, second)
    return (int(first) > int(second)) - (int(first) < int(second))


def _sign(amount: str) -> int:
    return _compare(amount, "0")


def _find(text: str, pattern: str) -> str:
    return next(iter(patterns.all_found(pattern, text, 1)), "")


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    return patterns.all_found(pattern, text, limit)


def _index_of(value: Any, part: Any, start: int = 0) -> int:
    if isinstance(value, str):
        return value.find(part, start)
    return value.index(part) if part in value else -1


def _last_index_of(value: Any, part: Any) -> int:
    if isinstance(value, str):
        return value.rfind(part)
    return len(value) - 1 - value[::-1].index(part) if part in value else -1


def _is_sorted(items: list[Any]) -> bool:
    return all(first <= second for first, second in itertools.pairwise(items))


def _formatted(template: str, values: list[Any]) -> str:
    """``"%s is %d".format([name, number])``."""
    left = list(values)

    def piece(match: re.Match[str]) -> str:
        if match[2] == "%":
            return "%"
        if not left:
            raise ValueError(f"index {len(values)} out of range")
        return _shown(match[2], left.pop(0), match[1])

    return _VERB.sub(piece, template)


def _shown(verb: str, value: Any, precision: str | None) -> str:
    if verb == "s":
        return str(value).lower() if isinstance(value, bool) else str(value)
    if verb in "fe":
        return f"{float(value):.{int(precision or 6)}{verb}}"
    return f"{int(value):{verb}}"


def _says(check: Callable[[str], Any]) -> Callable[[str], list[str]]:
    """What a reader says of a text that it cannot read."""

    def problems(text: str) -> list[str]:
        try:
            check(text)
        except ValueError as error:
            return [str(error)]
        return []

    return problems


def _as_prefix(check: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """The rule of a name for what names are generated from: it may end in a dash."""
    return lambda text: check(text.removesuffix("-") if len(text) > 1 else text)


def _uuid(text: str) -> None:
    if not _UUID.fullmatch(text):
        raise ValueError("does not match the UUID format")


_FORMATS: dict[str, Callable[[str], list[str]]] = {
    "dns1123Label": names.label,
    "dns1123Subdomain": names.subdomain,
    "dns1035Label": names.label_1035,
    "qualifiedName": names.qualified,
    "dns1123LabelPrefix": _as_prefix(names.label),
    "dns1123SubdomainPrefix": _as_prefix(names.subdomain),
    "dns1035LabelPrefix": _as_prefix(names.label_1035),
    "labelValue": names.label_value,
    "uri": _says(_url),
    "uuid": _says(_uuid),
    "byte": _says(lambda text: base64.b64decode(text, validate=True)),
    "date": _says(date.fromisoformat),
    "datetime": _says(datetime.fromisoformat),
}


def _validate(form: str, text: str) -> Any:
    """What is wrong with a text of a format: an optional list, none where nothing is."""
    import cel

    problems = _FORMATS[form.removeprefix("format:")](text)
    return cel.OptionalValue.of(problems) if problems else cel.OptionalValue.none()


def _named(_: str, name: str) -> Any:
    import cel

    known = name in _FORMATS
    return cel.OptionalValue.of(f"format:{name}") if known else cel.OptionalValue.none()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "isIP": _holds(_address),
    "ip": lambda text: str(_address(text)),
    "isCIDR": _holds(_network),
    "cidr": _cidr,
    "family": lambda text: _address(text).version,
    "isCanonical": _is_canonical,
    "isUnspecified": lambda text: _address(text).is_unspecified,
    "isLoopback": lambda text: _address(text).is_loopback,
    "isLinkLocalMulticast": lambda text: (
        _address(text) in ipaddress.ip_network("224.0.0.0/24")
        or _address(text) in ipaddress.ip_network("ff02::/16")
    ),
    "isLinkLocalUnicast": lambda text: _address(text).is_link_local,
    "isGlobalUnicast": _is_global,
    "containsIP": _contains_address,
    "containsCIDR": _contains_network,
    "masked": lambda text: str(_network(text)),
    "prefixLength": lambda text: _network(text).prefixlen,
    "isURL": _holds(_url),
    "url": _url,
    "getScheme": lambda text: urlsplit(text).scheme,
    "getHost": lambda text: urlsplit(text).netloc.rpartition("@")[2],
    "getHostname": lambda text: urlsplit(text).hostname or "",
    "getPort": _url_port,
    "getEscapedPath": lambda text: urlsplit(text).path,
    "getQuery": lambda text: parse_qs(urlsplit(text).query, keep_blank_values=True),
    "isQuantity": _holds(_quantity),
    "quantity": _quantity,
    "sign": _sign,
    "isInteger": lambda amount: int(amount) % _WHOLE == 0,
    "asInteger": _as_integer,
    "asApproximateFloat": lambda amount: int(amount) / _WHOLE,
    "add": lambda first, second: str(int(first) + _amount(second)),
    "sub": lambda first, second: str(int(first) - _amount(second)),
    "isLessThan": lambda first, second: _compare(first, second) < 0,
    "isGreaterThan": lambda first, second: _compare(first, second) > 0,
    "compareTo": _compare,
    "isSemver": cel_semver.is_version,
    "semver": cel_semver.version,
    "major": lambda value: cel_semver.number(value, 0),
    "minor": lambda value: cel_semver.number(value, 1),
    "patch": lambda value: cel_semver.number(value, 2),
    "find": _find,
    "findAll": _find_all,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "isSorted": _is_sorted,
    "format": _formatted,
    "named": _named,
    "validate": _validate,
    **{name: lambda _, name=name: f"format:{name}" for name in _FORMATS},
}
# Names that stand before a dot and are no variables of a rule.
NAMESPACES = {"format": "format", "ip": "ip", "cidr": "cidr"}
