"""Which names Kubernetes allows where. Pure.

Each function returns what is wrong with a text, one clause per problem that can follow "Invalid
value: ..."; an empty list means the text is fine. Rules: RFC 1123 and RFC 1035 labels, RFC 6335
service names, and apimachinery's qualified names.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from kubelite.lib.text_cache import remember_short

MAX_LABEL = 63
MAX_SUBDOMAIN = 253
MAX_PORT_NAME = 15
MAX_REPOSITORY = 255
MAX_PORT = 65535
MAX_ID = 2**31 - 1

# Sets and not patterns: compiling seven patterns would take longer than all the names of a
# manifest.
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
_SMALL = _LETTERS | frozenset("0123456789")
_ANY = _SMALL | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_HEX = frozenset("0123456789abcdefABCDEF")
_LABEL = _SMALL | frozenset("-")
_CONFIG_KEY = _ANY | frozenset("-._")

_LABEL_EXPRESSION = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED_EXPRESSION = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_ALPHANUMERIC_ENDS = "must start and end with an alphanumeric character"


def _rule(what: str, example: str, expression: str) -> str:
    """A rule as Kubernetes words it: what the text consists of, examples, the expression."""
    return f"{what} (e.g. {example}, regex used for validation is '{expression}')"


_NOT_LABEL = _rule(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    + _ALPHANUMERIC_ENDS,
    "'my-name',  or '123-abc'",
    _LABEL_EXPRESSION,
)
_NO_DOTS = "must not contain dots"
_NOT_LABEL_1035 = _rule(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character",
    "'my-name',  or 'abc-123'",
    "[a-z]([-a-z0-9]*[a-z0-9])?",
)
_NOT_SUBDOMAIN = _rule(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    f"'.', and {_ALPHANUMERIC_ENDS}",
    "'example.com'",
    rf"{_LABEL_EXPRESSION}(\.{_LABEL_EXPRESSION})*",
)
_NOT_SUBDOMAIN_WITH_UNDERSCORE = _rule(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', '_' "
    f"or '.', and {_ALPHANUMERIC_ENDS}",
    "'example.com'",
    r"[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*",
)
_NOT_QUALIFIED = _rule(
    f"must consist of alphanumeric characters, '-', '_' or '.', and {_ALPHANUMERIC_ENDS}",
    "'MyName',  or 'my.name',  or '123-abc'",
    _QUALIFIED_EXPRESSION,
)
_PARTS = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
_TOO_MANY_PARTS = f"a valid label key {_NOT_QUALIFIED} {_PARTS}"
_NOT_LABEL_VALUE = _rule(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    f"'.', and {_ALPHANUMERIC_ENDS}",
    "'MyValue',  or 'my_value',  or '12345'",
    f"({_QUALIFIED_EXPRESSION})?",
)
_NOT_ENV = (
    "a valid environment variable name must consist only of printable ASCII characters other "
    "than '='"
)
_NOT_CONFIG_KEY = _rule(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "'key.name',  or 'KEY_NAME',  or 'key-name'",
    "[-._a-zA-Z0-9]+",
)
_NOT_HEADER = _rule(
    "a valid HTTP header must consist of alphanumeric characters or '-'",
    "'X-Header-Name'",
    "[-A-Za-z0-9]+",
)


def _remembered(rule: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """A rule about texts that come again and again."""
    known = remember_short(4096)(lambda text: tuple(rule(text)))

    @wraps(rule)
    def clauses(text: str) -> list[str]:
        return list(known(text))

    return clauses


def _made_of(text: str, signs: frozenset[str], ends: frozenset[str]) -> bool:
    """Whether a text has only ``signs``, and begins and ends with one of ``ends``."""
    return text[:1] in ends and text[-1] in ends and signs.issuperset(text)


def _is_label(text: str) -> bool:
    return _made_of(text, _LABEL, _SMALL)


def _is_label_1035(text: str) -> bool:
    return _is_label(text) and text[0] in _LETTERS


def _is_subdomain(text: str) -> bool:
    return all(map(_is_label, text.split(".")))


def _is_qualified(text: str) -> bool:
    return _made_of(text, _CONFIG_KEY, _ANY)


def too_long(limit: int) -> str:
    """The clause for a text of more than ``limit`` characters."""
    return f"must be no more than {limit} characters"


def _checked(text: str, good: Callable[[str], bool], limit: int, clause: str) -> list[str]:
    messages = [too_long(limit)] if len(text) > limit else []
    if not good(text):
        messages.append(clause)
    return messages


def _short(text: str, clause: str) -> list[str]:
    """The clauses for a part of a label; here Kubernetes speaks of bytes."""
    messages = [f"must be no more than {MAX_LABEL} bytes"] if len(text) > MAX_LABEL else []
    return messages if _is_qualified(text) else [*messages, clause]


@_remembered
def label(text: str) -> list[str]:
    """A DNS label (RFC 1123): names of containers, volumes, namespaces."""
    messages = _checked(text, _is_label, MAX_LABEL, _NOT_LABEL)
    return [
        _NO_DOTS if message is _NOT_LABEL and _is_subdomain(text) else message
        for message in messages
    ]


def label_1035(text: str) -> list[str]:
    """A DNS label that begins with a letter (RFC 1035): names of services."""
    return _checked(text, _is_label_1035, MAX_LABEL, _NOT_LABEL_1035)


@_remembered
def subdomain(text: str) -> list[str]:
    """A DNS subdomain (RFC 1123): names of pods and of most other objects."""
    return _checked(text, _is_subdomain, MAX_SUBDOMAIN, _NOT_SUBDOMAIN)


@_remembered
def qualified(text: str) -> list[str]:
    """A name with an optional DNS subdomain before a slash: keys of labels, names of resources,
    taints.
    """
    prefix, slash, name = text.rpartition("/")
    messages = []
    if slash and not prefix:
        messages.append("prefix part must be non-empty")
    elif "/" in prefix:
        return [_TOO_MANY_PARTS]
    elif slash:
        messages += [f"prefix part {clause}" for clause in subdomain(prefix)]
    # As Kubernetes has it an empty name breaks both rules.
    clauses = ["must be non-empty"] if not name else []
    clauses += _short(name, _NOT_QUALIFIED)
    return [*messages, *(f"name part {clause}" for clause in clauses)]


def subdomain_with_underscore(text: str) -> list[str]:
    """A DNS subdomain that may have underscores: search domains of a resolver."""
    plain = text.replace("_", "a")
    return _checked(plain, _is_subdomain, MAX_SUBDOMAIN, _NOT_SUBDOMAIN_WITH_UNDERSCORE)


def annotation(text: str) -> list[str]:
    """A key of an annotation: a qualified name that may be written in capitals."""
    return qualified(text.lower())


@_remembered
def label_value(text: str) -> list[str]:
    """The value of a label; it may be empty."""
    return _short(text, _NOT_LABEL_VALUE) if text else []


@_remembered
def env_name(text: str) -> list[str]:
    """The name of an environment variable, as Kubernetes 1.34 and later have it: anything a program
    can be given.
    """
    if not text:
        return ["environment variable name must be non-empty"]
    good = text.isascii() and text.isprintable() and "=" not in text
    return [] if good else [_NOT_ENV]


def port_name(text: str) -> list[str]:
    """The name of a container's port (RFC 6335): short, with a letter in it."""
    clauses = [too_long(MAX_PORT_NAME)] if len(text) > MAX_PORT_NAME else []
    if not (text and _SMALL.issuperset(text.replace("-", ""))):
        clauses.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _LETTERS.intersection(text):
        clauses.append("must contain at least one letter (a-z)")
    if "--" in text:
        clauses.append("must not contain consecutive hyphens")
    if text[:1] == "-" or text[-1:] == "-":
        clauses.append("must not begin or end with a hyphen")
    return clauses


def port_number(number: int) -> list[str]:
    """The number of a port of TCP, UDP or SCTP."""
    return [] if 1 <= number <= MAX_PORT else [between(1, MAX_PORT)]


def user_or_group_id(number: int) -> list[str]:
    """The number of a user or a group of Linux, as Kubernetes takes them."""
    return [] if 0 <= number <= MAX_ID else [between(0, MAX_ID)]


def between(lowest: int, highest: int) -> str:
    """The clause for a number that is outside of a range."""
    return f"must be between {lowest} and {highest}, inclusive"


@_remembered
def config_key(text: str) -> list[str]:
    """A key of a ConfigMap or a Secret."""
    clauses = [too_long(MAX_SUBDOMAIN)] if len(text) > MAX_SUBDOMAIN else []
    if not (text and _CONFIG_KEY.issuperset(text)):
        clauses.append(_NOT_CONFIG_KEY)
    if text in (".", ".."):
        clauses.append(f"must not be '{text}'")
    elif text.startswith(".."):
        clauses.append("must not start with '..'")
    return clauses


def http_header(text: str) -> list[str]:
    """The name of a header of HTTP."""
    return [] if text and (_ANY | {"-"}).issuperset(text) else [_NOT_HEADER]


def ip_address(text: str) -> list[str]:
    """An address of IPv4 or IPv6, in one of its usual spellings."""
    from ipaddress import IPv6Address
    from ipaddress import ip_address as parse

    plain = text
    if text.count(".") == 3 and ":" not in text:
        plain = ".".join(part.lstrip("0") or "0" if part else "" for part in text.split("."))
    try:
        address = parse(plain if "%" not in text else "")
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    if plain != text:
        return ["must not have leading 0s"]
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return ["must not be an IPv4-mapped IPv6 address"]
    return []


def suggested(text: str) -> str:
    """A DNS subdomain that looks like the text, "" where nothing of it is left: for hints."""
    kept = "".join(c if c in _SMALL or c in "-." else "-" for c in text.lower())
    parts = (part.strip("-") for part in kept[:MAX_SUBDOMAIN].split("."))
    return ".".join(part for part in parts if part)


def path_segment(text: str) -> list[str]:
    """A name that is only one part of a path: RBAC's names may hold colons and more."""
    problems = [f"may not be '{text}'"] if text in (".", "..") else []
    return problems + [f"may not contain '{character}'" for character in "/%" if character in text]


@remember_short(4096)
def is_latest_image(image: str) -> bool:
    """Whether the image is the latest of its name: by its tag, or without tag and digest. False
    for what is no reference at all.
    """
    name, at_sign, digest = image.partition("@")
    repository, tag = _split_tag(name)
    # With its registry a short name is longer than it looks.
    if (
        len(repository) > MAX_REPOSITORY
        or not _is_repository(repository)
        or (at_sign and not _is_digest(digest))
    ):
        return False
    if tag is None:
        return not at_sign
    return tag == "latest"


def _split_tag(name: str) -> tuple[str, str | None]:
    """The repository and the tag; a colon before a slash belongs to a port."""
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, None
    return repository, tag


def _is_repository(text: str) -> bool:
    domain, slash, path = text.partition("/")
    full = text
    if not slash or not _names_registry(domain):
        path = text
        full = f"docker.io/{text}" if slash else f"docker.io/library/{text}"
    elif not _is_domain(domain):
        return False
    is_identifier = len(path) == 64 and _HEX.issuperset(path) and path == path.lower()
    if is_identifier or len(full) > MAX_REPOSITORY:
        return False
    return all(map(_is_component, path.split("/")))


def _names_registry(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost" or first != first.lower()


def _is_domain(text: str) -> bool:
    host, colon, port = text.partition(":") if not text.startswith("[") else (text, "", "")
    if colon and not port.isdecimal():
        return False
    return bool(host) and all(
        part and part[0] in _ANY and part[-1] in _ANY
        for part in host.strip("[]").replace(":", "0").split(".")
    )


def _is_component(text: str) -> bool:
    """Small letters and digits, with ``.``, ``_``, ``__`` or dashes between them."""
    if not text or text[0] not in _SMALL or text[-1] not in _SMALL:
        return False
    separators = "".join(" " if sign in _SMALL else sign for sign in text).split()
    return all(part in (".", "_", "__") or not part.strip("-") for part in separators)


def _is_digest(text: str) -> bool:
    algorithm, colon, value = text.partition(":")
    return bool(algorithm and colon) and len(value) >= 32 and _HEX.issuperset(value)


_PATH = _ANY | frozenset("/-._~%!$&'()*+,;=:")


def domain_path(text: str) -> list[str]:
    """A path with a DNS subdomain in front: ``example.com/my/path``."""
    host, _, path = text.partition("/")
    if not host or not path:
        return ['must be a domain-prefixed path (such as "acme.io/foo")']
    problems = subdomain(host)
    if not _PATH.issuperset(path):
        problems.append("must consist of letters, digits and the characters /-._~%!$&'()*+,;=:")
    return problems
