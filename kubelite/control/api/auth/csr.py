"""CertificateSigningRequests: what may be asked, who signs what, and for how long. Pure.

Signers and their rules are those of ``certificates.k8s.io/v1`` (kubernetes,
``pkg/apis/certificates`` and ``pkg/controller/certificates/signer``). A request that somebody
approved and that breaks its signer's rules fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kubelite.control.api.wire.status import Cause

GROUP, PLURAL = "certificates.k8s.io", "certificatesigningrequests"
CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
SHORTEST, LONGEST = 600, 365 * 86400
KEY_USAGES = {
    "digital signature": "digital_signature", "signing": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment", "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign", "crl sign": "crl_sign", "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}  # fmt: skip
EXTENDED_USAGES = {
    "any": "2.5.29.37.0", "server auth": "1.3.6.1.5.5.7.3.1", "client auth": "1.3.6.1.5.5.7.3.2",
    "code signing": "1.3.6.1.5.5.7.3.3", "email protection": "1.3.6.1.5.5.7.3.4",
    "s/mime": "1.3.6.1.5.5.7.3.4",
    "ipsec end system": "1.3.6.1.5.5.7.3.5", "ipsec tunnel": "1.3.6.1.5.5.7.3.6",
    "ipsec user": "1.3.6.1.5.5.7.3.7",
    "timestamping": "1.3.6.1.5.5.7.3.8", "ocsp signing": "1.3.6.1.5.5.7.3.9",
    "microsoft sgc": "1.3.6.1.4.1.311.10.3.3", "netscape sgc": "2.16.840.1.113730.4.1",
}  # fmt: skip
_ONCE = ("Approved", "Denied", "Failed")
_LONGEST_SIGNER = 571


class RequestedSubject(NamedTuple):
    """What a PKCS#10 request says, as far as signers have rules about it."""

    names: tuple[str, ...]  # the common names of the subject
    organizations: tuple[str, ...]
    hosts: tuple[str, ...] = ()  # DNS names and addresses among the alternative names
    others: tuple[str, ...] = ()  # e-mail addresses and URIs


def check(obj: Object) -> Iterator[Cause]:
    """What is wrong with a new request, apart from the bytes of ``spec.request``."""
    spec = obj.get("spec") or {}
    usages = spec.get("usages") or []
    if not usages:
        yield causes.required("spec.usages")
    for index, usage in enumerate(usages):
        if usage not in KEY_USAGES and usage not in EXTENDED_USAGES:
            yield causes.unsupported(
                f"spec.usages[{index}]", usage, sorted([*KEY_USAGES, *EXTENDED_USAGES])
            )
        elif usage in usages[:index]:
            yield causes.duplicate(f"spec.usages[{index}]", usage)
    yield from _signer(spec.get("signerName", ""))
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < SHORTEST:
        yield causes.invalid(
            "spec.expirationSeconds",
            seconds,
            "may not specify a duration less than 600 seconds (10 minutes)",
        )


def _signer(name: str) -> Iterator[Cause]:
    field = "spec.signerName"
    if not name:
        yield causes.required(field)
        return
    if name == LEGACY:
        yield causes.invalid(
            field, name, "the legacy signerName is not allowed via this API version"
        )
    parts = name.split("/")
    if len(parts) != 2:
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        yield causes.invalid(field, name, why)
        return
    domain, path = parts
    if len(domain) > 253:
        yield causes.too_long(field, 253)
    yield from _labels(domain, names.label)
    if "." not in domain:
        why = "should be a domain with at least two segments separated by dots"
        yield causes.invalid(field, domain, why)
    yield from _labels(path, names.subdomain)
    if len(name) > _LONGEST_SIGNER:
        yield causes.too_long(field, _LONGEST_SIGNER)


def _labels(text: str, rule: Callable[[str], list[str]]) -> Iterator[Cause]:
    """What is wrong with the first label of a part of a signer's name that breaks the rule."""
    for label in text.split("."):
        if problems := rule(label):
            for problem in problems:
                why = f'validating label "{label}": {problem}'
                yield causes.invalid("spec.signerName", text, why)
            return


def check_conditions(new: Object, old: Object, sub: str) -> Iterator[Cause]:
    """What is wrong with changed conditions: a verdict is final, and is given by ``/approval``
    only.
    """
    before, after = verdicts(old), verdicts(new)
    for kind in _ONCE:
        if kind in before and after.get(kind) != before[kind]:
            yield causes.forbidden(
                "status.conditions",
                f'updates may not remove or change a condition of type "{kind}"',
            )
        elif kind in after and kind not in before and kind != "Failed" and sub != "approval":
            yield causes.forbidden(
                "status.conditions", f'updates may not add a condition of type "{kind}"'
            )
        if after.get(kind, "True") != "True":
            yield causes.unsupported("status.conditions.status", after[kind], ("True",))
    if "Approved" in after and "Denied" in after:
        shown = {"type": "Denied"}
        yield causes.invalid(
            "status.conditions", shown, "Approved and Denied conditions are mutually exclusive"
        )
    yield from _check_types((new.get("status") or {}).get("conditions") or ())
    issued = (old.get("status") or {}).get("certificate")
    if issued and (new.get("status") or {}).get("certificate") != issued:
        yield causes.forbidden("status.certificate", "updates may not modify certificate content")


def _check_types(conditions: Iterable[Object]) -> Iterator[Cause]:
    """Each condition has a type, and no two the same."""
    known: set[str] = set()
    for index, condition in enumerate(conditions):
        path, kind = f"status.conditions[{index}].type", condition.get("type", "")
        if not kind:
            yield causes.required(path)
        elif kind in known:
            yield causes.duplicate(path, kind)
        known.add(kind)


def verdicts(obj: Object) -> dict[str, str]:
    """The conditions of a request that say what becomes of it: type to status."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return {
        condition.get("type", ""): condition.get("status", "")
        for condition in conditions
        if condition.get("type") in _ONCE
    }


def is_due(obj: Object) -> bool:
    """Whether a request waits for one of the signers here."""
    decisions = verdicts(obj)
    signer = (obj.get("spec") or {}).get("signerName")
    due = (
        "Approved" in decisions
        and "Failed" not in decisions
        and not (obj.get("status") or {}).get("certificate")
    )
    return due and signer in (CLIENT, KUBELET_CLIENT, KUBELET_SERVING)


def problem(signer: str, requested: RequestedSubject, usages: list[str]) -> str:
    """Why a signer does not sign; "" where it does."""
    if len(requested.names) > 1:
        return "the subject has more than one common name"
    if signer == CLIENT:
        return _client_usages(usages)
    name = requested.names[0] if requested.names else ""
    if requested.organizations != ("system:nodes",):
        return "subject organization is not system:nodes"
    if not name.removeprefix("system:node:") or not name.startswith("system:node:"):
        return "subject common name does not begin with system:node:"
    kind = "server auth" if signer == KUBELET_SERVING else "client auth"
    if set(usages) not in (
        {"digital signature", kind},
        {"key encipherment", "digital signature", kind},
    ):
        return f"usages must be digital signature, {kind}, and key encipherment if wanted"
    if requested.others or (signer == KUBELET_CLIENT and requested.hosts):
        return "subjectAltNames of this kind are not allowed"
    if signer == KUBELET_SERVING and not requested.hosts:
        return "DNS or IP subjectAltName is required"
    return ""


def _client_usages(usages: list[str]) -> str:
    wrong = [
        usage
        for usage in usages
        if usage not in ("digital signature", "key encipherment", "client auth")
    ]
    if wrong:
        return f"invalid usage for client certificate: {wrong[0]}"
    return (
        ""
        if "client auth" in usages
        else "missing required usage for client certificate: client auth"
    )


def lifetime(wanted: int | None) -> int:
    """For how many seconds a certificate is good."""
    return LONGEST if wanted is None else min(max(wanted, SHORTEST), LONGEST)


def with_condition(obj: Object, kind: str, reason: str, message: str, now: str) -> Object:
    """A request with one more condition."""
    fresh = {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
    }
    status = obj.get("status") or {}
    return {**obj, "status": {**status, "conditions": [*(status.get("conditions") or ()), fresh]}}
