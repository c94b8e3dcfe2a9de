"""CertificateSigningRequests: whose they are, who may approve and sign them, and which subject
nobody gets.

Kubernetes' plug-ins CertificateApproval, CertificateSigning and CertificateSubjectRestriction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.auth import csr
from kubelite.control.api.auth.issuing import BadRequestFile, parse, requested_subject
from kubelite.control.api.auth.rbac import MASTERS
from kubelite.control.api.wire import causes
from kubelite.control.api.wire.attributes import AuthorizationAttributes
from kubelite.control.api.wire.request import user_info
from kubelite.control.api.wire.status import invalid, refused
from kubelite.control.api.wire.timestamp import timestamp

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt


async def requester(attempt: Attempt) -> None:
    """A new request says who asks; the one who asks does not say it. Verdicts get the time at which
    they were given.
    """
    res, obj = attempt.request.resource, attempt.obj
    if res.group != csr.GROUP or res.plural != csr.PLURAL or attempt.operation == "DELETE":
        return
    if attempt.operation == "CREATE":
        spec = {
            key: value
            for key, value in (obj.get("spec") or {}).items()
            if key not in ("username", "uid", "groups", "extra")
        }
        obj["spec"] = {**spec, **user_info(attempt.request.user)}
        return
    known = [
        condition.get("type")
        for condition in ((attempt.old or {}).get("status") or {}).get("conditions") or ()
    ]
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") not in known:
            condition.update(
                {
                    name: condition.get(name) or timestamp()
                    for name in ("lastUpdateTime", "lastTransitionTime")
                }
            )


async def check(attempt: Attempt) -> None:
    """What may be asked, by whom approved, by whom signed. Raises StatusError 403, 422."""
    res = attempt.request.resource
    if res.group != csr.GROUP or res.plural != csr.PLURAL or attempt.operation == "DELETE":
        return
    if attempt.operation == "CREATE":
        _check_new(attempt)
        return
    old, sub = attempt.old or {}, attempt.request.sub
    wrong = list(csr.check_conditions(attempt.obj, old, sub))
    if wrong:
        raise invalid(res, attempt.name, wrong)
    if sub == "approval":
        _must_be_allowed(attempt, "approve")
    elif sub == "status" and attempt.obj.get("status") != old.get("status"):
        _must_be_allowed(attempt, "sign")


def _check_new(attempt: Attempt) -> None:
    res, obj = attempt.request.resource, attempt.obj
    wrong, text = list(csr.check(obj)), obj["spec"].get("request")
    try:
        requested = requested_subject(parse(text or ""))
    except BadRequestFile as error:
        raise invalid(
            res,
            attempt.name,
            [
                causes.invalid("spec.request", text or causes.NIL, str(error)),
                *wrong,
            ],
        ) from None
    if wrong:
        raise invalid(res, attempt.name, wrong)
    if obj["spec"]["signerName"] == csr.CLIENT and MASTERS in requested.organizations:
        raise refused(
            res, attempt.name, f"use of {csr.CLIENT} signer with {MASTERS} group is not allowed"
        )


def _must_be_allowed(attempt: Attempt, verb: str) -> None:
    """Whoever may approve or sign for a signer, or for all signers of its domain, may do it. Raises
    StatusError 403.
    """
    signer = str((attempt.old or {})["spec"]["signerName"])
    user, domain = attempt.request.user, signer.partition("/")[0]
    questions = [
        AuthorizationAttributes(user, verb, csr.GROUP, "signers", "", "", name)
        for name in (signer, f"{domain}/*")
    ]
    if not any(attempt.context.authorizer.allows(question) for question in questions):
        why = f'user not permitted to {verb} requests with signerName "{signer}"'
        raise refused(attempt.request.resource, attempt.name, why)
