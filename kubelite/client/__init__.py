"""The client of a Kubernetes API: requests, informers, events and leader election.

Knows nothing of kubelite's own server: the same calls go over HTTPS by a kubeconfig, or straight
into an API server of this process. Where to look::

    client.py      Client: get, list, watch, create, update, patch, apply, delete, sub-resources
    informers.py   Informers: one watch and one decoded copy per kind, with indexes and handlers
    errors.py      what a request may raise
    resources.py   GroupVersionResource and the constants for built-in kinds: PODS, NODES ...
    events.py      EventRecorder, with client-go's aggregation and spam limits
    leader.py      LeaderElector, over a Lease
    http.py        HttpTransport          kubeconfig.py   how to reach a cluster, from a file
    local.py       LocalTransport: calls the application object of an API server in this process

Objects are plain dicts as decoded from JSON. Those that an informer hands out are shared by all
readers of the process and must never be changed in place: copy what is to be written.
"""

from __future__ import annotations

from kubelite.client.client import Client
from kubelite.client.resources import GroupVersionResource

__all__ = ["Client", "GroupVersionResource"]
