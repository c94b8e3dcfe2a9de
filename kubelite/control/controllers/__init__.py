"""The controllers: what keeps a cluster as its objects ask for. Sees client, objects and lib.

Each controller is a pure ``plan(view, key, now) -> Plan``; one generic loop carries plans out. To
add a controller, write one file in a sub-room and add its row to ``registry.py``::

    actions.py      what a plan may ask for: Create, Update, Patch, Delete, Emit, Step
    controller.py   what a controller consists of, and which objects concern which of its keys
    view.py         what a plan may look at; FixedView for plain values
    loop.py         queues, order per key, back-off, workers, clocks
    executor.py     carries out actions through a client, as the controller's service account
    clearing.py     deletes what is in a namespace, whatever its kind
    registry.py     which controllers exist, and what ``--controllers`` selects
    shared/         pure helpers: ownership, state of pods, revisions, conditions, numbers
    workloads/      ReplicaSet, ReplicationController, Deployment, StatefulSet, DaemonSet
    batch/          Job, CronJob, removal after a time to live
    network/        Endpoints, EndpointSlices, mirroring of Endpoints
    nodes/          node life cycle, evictions by taint, pods that nobody else removes
    lifecycle/      garbage collection, namespaces and what each has
    autoscaling/    HorizontalPodAutoscaler
    certificates/   approval and removal of CertificateSigningRequests
    policy/         disruption budgets
    storage/        binding and protection of volumes, claims of ephemeral volumes
"""

from __future__ import annotations
