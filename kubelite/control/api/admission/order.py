"""Which admission rules a server has, in the order in which they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.admission import (
    accounts,
    certificates,
    default_classes,
    limit_ranges,
    namespaces,
    nodes,
    pods,
    quota,
    roles,
    security,
    services,
    storage,
)
from kubelite.control.api.admission.chain import Admission
from kubelite.control.api.admission.dynamic.rules import DynamicAdmission

if TYPE_CHECKING:
    from collections.abc import Container


def standard(authority: str, beside: Container[str]) -> Admission:
    """The rules of every server; ``authority`` is the cluster's certificate in PEM, ``beside``
    the controllers that run, and whose first step the server takes itself.

    Quota comes last: what it counts is exactly what is stored. Where no controller runs, a new
    quota is counted by nobody, as in Kubernetes, and limits nothing before that.
    """
    counts_quotas = bool(beside)
    dynamic = DynamicAdmission()
    return Admission(
        mutating=(
            namespaces.exists,
            namespaces.label,
            limit_ranges.defaults,
            accounts.service_account,
            nodes.not_ready,
            pods.priority,
            pods.tolerations,
            pods.runtime_class,
            pods.topology_labels,
            storage.default_class,
            default_classes.ingress_class,
            services.keep,
            certificates.requester,
            dynamic.mutate,
        ),
        validating=(
            namespaces.exists,
            namespaces.protect,
            nodes.restriction,
            roles.escalation,
            certificates.check,
            security.levels,
            storage.resize,
            limit_ranges.bounds,
            services.allocate,
            dynamic.validate,
            quota.account(counts_quotas),
        ),
        after=(
            namespaces.seed_namespace(authority, beside),
            roles.collect,
            services.drop_endpoints,
            *((quota.take_stock,) if counts_quotas else ()),
        ),
        connecting=(dynamic.mutate, dynamic.validate),
    )
