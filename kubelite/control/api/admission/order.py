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
from kubelite.control.api.admission.chain import Admission, Only
from kubelite.control.api.admission.dynamic.rules import DynamicAdmission

if TYPE_CHECKING:
    from collections.abc import Container

    from kubelite.control.api.admission.chain import Rule

_NAMESPACES = ("", "namespaces")
_PODS = ("", "pods")
_CLAIMS = ("", "persistentvolumeclaims")
_SERVICES = ("", "services")
_REQUESTS = ("certificates.k8s.io", "certificatesigningrequests")


def _only(rule: Rule, *kinds: tuple[str, str]) -> Only:
    return Only(rule, kinds)


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
            _only(namespaces.label, _NAMESPACES),
            _only(limit_ranges.defaults, _PODS),
            _only(accounts.service_account, _PODS),
            _only(nodes.not_ready, ("", "nodes")),
            _only(pods.priority, _PODS, ("scheduling.k8s.io", "priorityclasses")),
            _only(pods.tolerations, _PODS),
            _only(pods.runtime_class, _PODS),
            _only(pods.topology_labels, _PODS),
            _only(storage.default_class, _CLAIMS),
            _only(default_classes.ingress_class, ("networking.k8s.io", "ingresses")),
            _only(services.keep, _SERVICES),
            _only(certificates.requester, _REQUESTS),
            dynamic.mutate,
        ),
        validating=(
            namespaces.exists,
            _only(namespaces.protect, _NAMESPACES),
            nodes.restriction,
            roles.escalation,
            _only(certificates.check, _REQUESTS),
            security.levels,
            _only(storage.resize, _CLAIMS),
            _only(limit_ranges.bounds, _PODS, _CLAIMS),
            _only(services.allocate, _SERVICES),
            dynamic.validate,
            quota.account(counts_quotas),
        ),
        after=(
            _only(namespaces.seed_namespace(authority, beside), _NAMESPACES),
            _only(roles.collect, ("rbac.authorization.k8s.io", "clusterroles")),
            _only(services.drop_endpoints, _SERVICES),
            *((_only(quota.take_stock, ("", "resourcequotas")),) if counts_quotas else ()),
        ),
        connecting=(dynamic.mutate, dynamic.validate),
    )
