"""The roles of Kubernetes' own controllers, ``system:controller:NAME``, each bound to the account
NAME in kube-system. Pure.

What they allow is the bootstrap policy's (``bootstrappolicy/controller_policy.go``), for
controllers that are on by default. A line is verbs, groups, resources and perhaps names; ``read``
stands for get, list and watch, ``core`` for the group without a name. Every controller writes
Events as well, unless its name has a minus behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE = """
attachdetach-controller
    list watch | core | persistentvolumeclaims persistentvolumes pods
    read | core | nodes
    patch update | core | nodes/status
    create delete read | storage.k8s.io | volumeattachments
    read | storage.k8s.io | csidrivers csinodes
certificate-controller
    delete read | certificates.k8s.io | certificatesigningrequests
    update | certificates.k8s.io | certificatesigningrequests/approval \
certificatesigningrequests/status
    approve | certificates.k8s.io | signers | kubernetes.io/kube-apiserver-client-kubelet
    sign | certificates.k8s.io | signers | kubernetes.io/kube-apiserver-client \
kubernetes.io/kube-apiserver-client-kubelet \
kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown
    create | authorization.k8s.io | subjectaccessreviews
clusterrole-aggregation-controller -
    escalate patch update read | rbac.authorization.k8s.io | clusterroles
cronjob-controller
    update read | batch | cronjobs
    create delete patch update read | batch | jobs
    update | batch | cronjobs/finalizers cronjobs/status
    delete list watch | core | pods
daemon-set-controller
    read | apps extensions | daemonsets
    update | apps extensions | daemonsets/finalizers daemonsets/status
    list watch | core | nodes
    create delete list patch watch | core | pods
    create | core | pods/binding
    create delete patch update read | apps | controllerrevisions
deployment-controller
    update read | apps extensions | deployments
    update | apps extensions | deployments/finalizers
    update | apps extensions | deployments/status
    create delete patch update read | apps extensions | replicasets
    update read | core | pods
device-taint-eviction-controller
    delete read | core | pods
    patch update | core | pods/status
    read | resource.k8s.io | deviceclasses resourceclaims resourceslices
disruption-controller
    read | apps extensions | deployments replicasets
    read | core | replicationcontrollers
    read | policy | poddisruptionbudgets
    read | apps | statefulsets
    update | policy | poddisruptionbudgets/status
    patch update | core | pods/status
    get | * | */scale
endpoint-controller
    read | core | pods services
    create delete update read | core | endpoints
    create | core | endpoints/restricted
endpointslice-controller
    read | core | nodes pods services
    update | core | services/finalizers
    create delete update read | discovery.k8s.io | endpointslices
    create | discovery.k8s.io | endpointslices/restricted
endpointslicemirroring-controller
    read | core | endpoints services
    update | core | endpoints/finalizers services/finalizers
    create delete update read | discovery.k8s.io | endpointslices
    create | discovery.k8s.io | endpointslices/restricted
ephemeral-volume-controller
    read | core | pods
    update | core | pods/finalizers
    create read | core | persistentvolumeclaims
expand-controller
    patch update read | core | persistentvolumes
    patch update | core | persistentvolumeclaims/status
    read | core | persistentvolumeclaims
generic-garbage-collector
    delete patch update read | * | *
horizontal-pod-autoscaler
    read | autoscaling | horizontalpodautoscalers
    update | autoscaling | horizontalpodautoscalers/status
    get update | * | */scale
    list watch | core | pods
    list watch | metrics.k8s.io | pods
    read | custom.metrics.k8s.io external.metrics.k8s.io | *
job-controller
    patch update read | batch | jobs
    update | batch | jobs/finalizers jobs/status
    create delete list patch watch | core | pods
legacy-service-account-token-cleaner -
    get | core | configmaps | kube-apiserver-legacy-service-account-token-tracking
    delete patch | core | secrets
namespace-controller -
    delete read | core | namespaces
    update | core | namespaces/finalize namespaces/status
    delete deletecollection read | * | *
node-controller
    delete patch update read | core | nodes
    patch update | core | nodes/status pods/status
    delete read | core | pods
persistent-volume-binder
    create delete update read | core | persistentvolumes
    update | core | persistentvolumes/status persistentvolumeclaims/status
    update read | core | persistentvolumeclaims
    create delete read | core | pods
    read | storage.k8s.io | storageclasses
    list watch | core | nodes
    watch | core | events
pod-garbage-collector -
    delete list watch | core | pods
    read | core | nodes
    patch | core | pods/status
pv-protection-controller
    update read | core | persistentvolumes
pvc-protection-controller
    update read | core | persistentvolumeclaims
    update | core | persistentvolumeclaims/status
    read | core | pods
replicaset-controller
    update read | apps extensions | replicasets
    update | apps extensions | replicasets/finalizers replicasets/status
    create delete list patch watch | core | pods
replication-controller
    update read | core | replicationcontrollers
    update | core | replicationcontrollers/finalizers replicationcontrollers/status
    create delete list patch watch | core | pods
resource-claim-controller
    patch update | resource.k8s.io | resourceclaims/binding
    read | core | pods
    update | core | pods/finalizers
    create delete read | resource.k8s.io | resourceclaims
    patch update | resource.k8s.io | resourceclaims resourceclaims/status
    patch update | core | pods/status
resourcequota-controller
    list watch | * | *
    update | core | resourcequotas/status
root-ca-cert-publisher
    create update | core | configmaps
route-controller
    list watch | core | nodes
    patch | core | nodes/status
selinux-warning-controller
    read | core | persistentvolumeclaims persistentvolumes pods
    read | storage.k8s.io | csidrivers
service-account-controller
    create | core | serviceaccounts
service-cidrs-controller
    patch update read | networking.k8s.io | servicecidrs
    patch update | networking.k8s.io | servicecidrs/finalizers servicecidrs/status
    read | networking.k8s.io | ipaddresses
service-controller
    read | core | services
    patch update | core | services/status
    list watch | core | nodes
statefulset-controller
    list watch create delete get patch update | core | pods
    read | apps | statefulsets
    update | apps | statefulsets/finalizers statefulsets/status
    create delete patch update read | apps | controllerrevisions
    create delete update read | core | persistentvolumeclaims
    update | core | pods/finalizers
ttl-after-finished-controller
    delete read | batch | jobs
ttl-controller
    list patch update watch | core | nodes
validatingadmissionpolicy-status-controller
    read | admissionregistration.k8s.io | validatingadmissionpolicies
    get patch update | admissionregistration.k8s.io | validatingadmissionpolicies/status
volumeattributesclass-protection-controller
    read | core | persistentvolumeclaims persistentvolumes
    update read | storage.k8s.io | volumeattributesclasses
"""


def controllers() -> Iterator[tuple[str, bool, list[list[str]]]]:
    """Each controller: its name, whether it writes Events, and its rules as (verbs, groups,
    resources[, names]).
    """
    name, events, rules = "", False, list[list[str]]()
    for line in _TABLE.strip().splitlines():
        if line.startswith(" "):
            verbs, *rest = (part.strip() for part in line.split("|"))
            rules.append([verbs.replace("read", "get list watch"), *rest])
            continue
        if name:
            yield name, events, rules
        name, _, mark = line.partition(" ")
        events, rules = not mark, []
    yield name, events, rules
