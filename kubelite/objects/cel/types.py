"""Types of CEL values, and the functions that Kubernetes declares for them. Pure.

Declarations are those of the standard library of CEL and of ``k8s.io/apiserver/pkg/cel/library``.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Type(NamedTuple):
    """A type. ``parts`` are those of its items; ``field`` gives the type of a field of an object,
    None for one that it does not have.
    """

    name: str
    parts: tuple[Type, ...] = ()
    field: Callable[[str], Type | None] | None = None

    def __str__(self) -> str:
        """As messages have it: ``list(string)``."""
        return f"{self.name}({', '.join(map(str, self.parts))})" if self.parts else self.name


class Overload(NamedTuple):
    """One way to call a function; the first of ``takes`` is what stands before the dot where it
    ``is_member``.
    """

    takes: tuple[Type, ...]
    gives: Type
    is_member: bool


DYN, ERROR, NULL = Type("dyn"), Type("!error!"), Type("null")
BOOL, INT, UINT, DOUBLE = Type("bool"), Type("int"), Type("uint"), Type("double")
STRING, BYTES, TIMESTAMP, DURATION = map(Type, ("string", "bytes", "timestamp", "duration"))
LITERALS = {literal.name: literal for literal in (BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL)}
TYPE_NAMES = (*LITERALS, "list", "map", "null_type", "type", "timestamp", "duration")
_NULLABLE = ("optional_type", "timestamp", "duration")


def list_of(item: Type) -> Type:
    """The type of a list."""
    return Type("list", (item,))


def map_of(key: Type, value: Type) -> Type:
    """The type of a map."""
    return Type("map", (key, value))


def optional_of(value: Type) -> Type:
    """The type of a value that may not be there."""
    return Type("optional_type", (value,))


def object_of(name: str, fields: dict[str, Type]) -> Type:
    """The type of an object with known fields."""
    return Type(name, (), fields.get)


def fits(given: Type, wanted: Type, bound: dict[str, Type]) -> bool:
    """Whether a value of a type can stand where one is wanted; ``bound`` holds what the letters of
    an overload stand for, and is added to.
    """
    if len(wanted.name) == 1:
        known = bound.get(wanted.name)
        if known is None or known.name == "null" or given == DYN:
            bound[wanted.name] = given
        return known is None or fits(given, known, bound)
    if DYN.name in (given.name, wanted.name) or ERROR.name in (given.name, wanted.name):
        return True
    if given.name == "null":
        return wanted.name == "null" or _is_nullable(wanted)
    if wanted.name == "null":
        return _is_nullable(given)
    return given.name == wanted.name and all(
        fits(mine, theirs, bound) for mine, theirs in zip(given.parts, wanted.parts, strict=False)
    )


def _is_nullable(kind: Type) -> bool:
    return kind.field is not None or kind.name in _NULLABLE


def resolved(kind: Type, bound: dict[str, Type]) -> Type:
    """A type with its letters replaced."""
    if len(kind.name) == 1:
        return bound.get(kind.name, DYN)
    return kind._replace(parts=tuple(resolved(part, bound) for part in kind.parts))


@cache
def functions() -> dict[str, tuple[Overload, ...]]:
    """Every function by its name, with a namespace before it where it has one."""
    by_name: dict[str, list[Overload]] = {}
    for line in _DECLARED.splitlines():
        for declared in filter(None, map(str.strip, line.split(";"))):
            name, overload = _declaration(declared)
            by_name.setdefault(name, []).append(overload)
    for name in ("_<_", "_<=_", "_>_", "_>=_"):
        numbers = [(one, other) for one in (INT, UINT, DOUBLE) for other in (INT, UINT, DOUBLE)]
        rest = [(kind, kind) for kind in (BOOL, STRING, BYTES, TIMESTAMP, DURATION)]
        by_name[name] = [Overload(pair, BOOL, False) for pair in (*numbers, *rest)]
    return {name: tuple(overloads) for name, overloads in by_name.items()}


def _declaration(text: str) -> tuple[str, Overload]:
    """``TYPE -> NAME(TYPES) TYPE``, with what stands before the dot first, or without it."""
    receiver, arrow, rest = text.partition(" -> ")
    match = re.fullmatch(r"([^(\s]+)\((.*)\) (\S+)", rest if arrow else text)
    assert match is not None, text
    takes = [*([receiver] if arrow else []), *_split(match[2])]
    return match[1], Overload(tuple(map(_type, takes)), _type(match[3]), bool(arrow))


def _split(text: str) -> list[str]:
    """What stands between the commas that are in no brackets."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter == "<") - (letter == ">")
        if letter == "," and not depth:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()] if text.strip() else []


def _type(text: str) -> Type:
    name, _, parts = text.partition("<")
    if name.startswith("authorization."):
        name = f"kubernetes.{name}"
    return Type(name, tuple(map(_type, _split(parts[:-1]))) if parts else ())


_DECLARED = """
_&&_(bool, bool) bool; _||_(bool, bool) bool; !_(bool) bool; _?_:_(bool, A, A) A
_==_(A, A) bool; _!=_(A, A) bool; @in(A, list<A>) bool; @in(A, map<A,B>) bool
-_(int) int; -_(double) double; _%_(int, int) int; _%_(uint, uint) uint
_+_(int, int) int; _+_(uint, uint) uint; _+_(double, double) double; _+_(string, string) string
_+_(bytes, bytes) bytes; _+_(list<A>, list<A>) list<A>; _+_(duration, duration) duration
_+_(timestamp, duration) timestamp; _+_(duration, timestamp) timestamp
_-_(int, int) int; _-_(uint, uint) uint; _-_(double, double) double
_-_(duration, duration) duration
_-_(timestamp, duration) timestamp; _-_(timestamp, timestamp) duration
_*_(int, int) int; _*_(uint, uint) uint; _*_(double, double) double
_/_(int, int) int; _/_(uint, uint) uint; _/_(double, double) double
_[_](list<A>, int) A; _[_](map<A,B>, A) B; _[_](optional_type<list<A>>, int) optional_type<A>
_[_](optional_type<map<A,B>>, A) optional_type<B>; _[?_](list<A>, int) optional_type<A>
_[?_](map<A,B>, A) optional_type<B>; _[?_](optional_type<list<A>>, int) optional_type<A>
_[?_](optional_type<map<A,B>>, A) optional_type<B>
size(string) int; size(bytes) int; size(list<A>) int; size(map<A,B>) int
string -> size() int; bytes -> size() int; list<A> -> size() int; map<A,B> -> size() int
string -> contains(string) bool; string -> startsWith(string) bool; string -> endsWith(string) bool
matches(string, string) bool; string -> matches(string) bool
int(int) int; int(uint) int; int(double) int; int(string) int; int(timestamp) int; int(duration) int
uint(uint) uint; uint(int) uint; uint(double) uint; uint(string) uint
double(double) double; double(int) double; double(uint) double; double(string) double
string(A) string; bytes(bytes) bytes; bytes(string) bytes; bool(bool) bool; bool(string) bool
duration(duration) duration; duration(string) duration; duration(int) duration; dyn(A) dyn
timestamp(timestamp) timestamp; timestamp(string) timestamp; timestamp(int) timestamp; type(A) type
timestamp -> getFullYear() int; timestamp -> getFullYear(string) int
timestamp -> getMonth() int; timestamp -> getMonth(string) int
timestamp -> getDayOfYear() int; timestamp -> getDayOfYear(string) int
timestamp -> getDayOfMonth() int; timestamp -> getDayOfMonth(string) int
timestamp -> getDayOfWeek() int; timestamp -> getDayOfWeek(string) int
timestamp -> getDate() int; timestamp -> getDate(string) int
timestamp -> getHours() int; timestamp -> getHours(string) int; duration -> getHours() int
timestamp -> getMinutes() int; timestamp -> getMinutes(string) int; duration -> getMinutes() int
timestamp -> getSeconds() int; timestamp -> getSeconds(string) int; duration -> getSeconds() int
timestamp -> getMilliseconds() int; timestamp -> getMilliseconds(string) int
duration -> getMilliseconds() int
string -> charAt(int) string; string -> format(list<dyn>) string; string -> lowerAscii() string
string -> upperAscii() string; string -> trim() string; string -> reverse() string
string -> indexOf(string) int; string -> indexOf(string, int) int; string -> lastIndexOf(string) int
string -> lastIndexOf(string, int) int; string -> replace(string, string) string
string -> replace(string, string, int) string; string -> split(string) list<string>
string -> split(string, int) list<string>; string -> substring(int) string
string -> substring(int, int) string; list<string> -> join() string
list<string> -> join(string) string
strings.quote(string) string; base64.encode(bytes) string; base64.decode(string) bytes
list<A> -> sum() A; list<A> -> min() A; list<A> -> max() A; list<A> -> isSorted() bool
list<A> -> indexOf(A) int; list<A> -> lastIndexOf(A) int; list<A> -> slice(int, int) list<A>
list<A> -> flatten() list<dyn>; list<A> -> flatten(int) list<dyn>; list<A> -> distinct() list<A>
list<A> -> sort() list<A>; list<A> -> reverse() list<A>; lists.range(int) list<int>
list<A> -> first() optional_type<A>; list<A> -> last() optional_type<A>
sets.contains(list<A>, list<A>) bool; sets.equivalent(list<A>, list<A>) bool
sets.intersects(list<A>, list<A>) bool
math.greatest(A) dyn; math.greatest(A, B) dyn; math.greatest(A, B, C) dyn; math.least(A) dyn
math.least(A, B) dyn; math.least(A, B, C) dyn; math.abs(A) A; math.ceil(double) double
math.floor(double) double; math.round(double) double; math.trunc(double) double; math.sign(A) A
math.isNaN(double) bool; math.isInf(double) bool; math.isFinite(double) bool
math.bitAnd(A, A) A; math.bitOr(A, A) A; math.bitXor(A, A) A; math.bitNot(A) A; math.sqrt(A) double
math.bitShiftLeft(A, int) A; math.bitShiftRight(A, int) A
string -> find(string) string; string -> findAll(string) list<string>
string -> findAll(string, int) list<string>
optional.of(A) optional_type<A>; optional.none() optional_type<A>
optional.ofNonZeroValue(A) optional_type<A>; optional_type<A> -> hasValue() bool
optional_type<A> -> value() A; optional_type<A> -> or(optional_type<A>) optional_type<A>
optional_type<A> -> orValue(A) A
url(string) net.URL; isURL(string) bool; net.URL -> getScheme() string; net.URL -> getHost() string
net.URL -> getHostname() string; net.URL -> getPort() string; net.URL -> getEscapedPath() string
net.URL -> getQuery() map<string,list<string>>
ip(string) net.IP; isIP(string) bool; ip.isCanonical(string) bool; net.IP -> family() int
net.IP -> isUnspecified() bool; net.IP -> isLoopback() bool; net.IP -> isLinkLocalMulticast() bool
net.IP -> isLinkLocalUnicast() bool; net.IP -> isGlobalUnicast() bool
cidr(string) net.CIDR; isCIDR(string) bool; net.CIDR -> containsIP(string) bool
net.CIDR -> containsIP(net.IP) bool; net.CIDR -> containsCIDR(string) bool
net.CIDR -> containsCIDR(net.CIDR) bool; net.CIDR -> ip() net.IP; net.CIDR -> masked() net.CIDR
net.CIDR -> prefixLength() int
quantity(string) kubernetes.Quantity; isQuantity(string) bool; kubernetes.Quantity -> sign() int
kubernetes.Quantity -> isInteger() bool; kubernetes.Quantity -> asInteger() int
kubernetes.Quantity -> asApproximateFloat() double
kubernetes.Quantity -> add(kubernetes.Quantity) kubernetes.Quantity
kubernetes.Quantity -> add(int) kubernetes.Quantity
kubernetes.Quantity -> sub(kubernetes.Quantity) kubernetes.Quantity
kubernetes.Quantity -> sub(int) kubernetes.Quantity
kubernetes.Quantity -> isLessThan(kubernetes.Quantity) bool
kubernetes.Quantity -> isGreaterThan(kubernetes.Quantity) bool
kubernetes.Quantity -> compareTo(kubernetes.Quantity) int
semver(string) kubernetes.Semver; semver(string, bool) kubernetes.Semver; isSemver(string) bool
isSemver(string, bool) bool; kubernetes.Semver -> major() int; kubernetes.Semver -> minor() int
kubernetes.Semver -> patch() int; kubernetes.Semver -> isLessThan(kubernetes.Semver) bool
kubernetes.Semver -> isGreaterThan(kubernetes.Semver) bool
kubernetes.Semver -> compareTo(kubernetes.Semver) int
kubernetes.NamedFormat -> validate(string) optional_type<list<string>>
format.named(string) optional_type<kubernetes.NamedFormat>
format.dns1123Label() kubernetes.NamedFormat; format.dns1123Subdomain() kubernetes.NamedFormat
format.dns1035Label() kubernetes.NamedFormat; format.qualifiedName() kubernetes.NamedFormat
format.dns1123LabelPrefix() kubernetes.NamedFormat
format.dns1123SubdomainPrefix() kubernetes.NamedFormat
format.dns1035LabelPrefix() kubernetes.NamedFormat; format.labelValue() kubernetes.NamedFormat
format.uri() kubernetes.NamedFormat; format.uuid() kubernetes.NamedFormat
format.byte() kubernetes.NamedFormat; format.date() kubernetes.NamedFormat
format.datetime() kubernetes.NamedFormat
authorization.Authorizer -> path(string) authorization.PathCheck
authorization.Authorizer -> group(string) authorization.GroupCheck
authorization.Authorizer -> serviceAccount(string, string) authorization.Authorizer
authorization.PathCheck -> check(string) authorization.Decision
authorization.GroupCheck -> resource(string) authorization.ResourceCheck
authorization.ResourceCheck -> subresource(string) authorization.ResourceCheck
authorization.ResourceCheck -> namespace(string) authorization.ResourceCheck
authorization.ResourceCheck -> name(string) authorization.ResourceCheck
authorization.ResourceCheck -> fieldSelector(string) authorization.ResourceCheck
authorization.ResourceCheck -> labelSelector(string) authorization.ResourceCheck
authorization.ResourceCheck -> check(string) authorization.Decision
authorization.Decision -> allowed() bool; authorization.Decision -> errored() bool
authorization.Decision -> error() string; authorization.Decision -> reason() string
jsonpatch.escapeKey(string) string
"""
