"""The scheduler: Kubernetes' decisions, made by a core of numbers. Sees client, core, objects and
lib.

A library first: :func:`explain` and :func:`simulate` work on plain objects, without a cluster. No
module here knows a clock, a file or a socket; those that do not call themselves pure go through the
core. Where to look:

    plugins/filters.py      where a pod may run     plugins/scores.py       why it went there
    plugins/message.py      why it is Pending       plugins/profile.py      which plug-ins run
    cluster/preemption.py   whom it evicts          loop/queue.py           which pod is next
    cluster/cluster.py      what is known           cluster/core_arrays.py  the same as numbers
    csrc/sched/             what is done with them  loop/conditions.py      what the API is told
"""

from __future__ import annotations

from kubelite.control.scheduler.explain import explain
from kubelite.control.scheduler.facts.errors import BadConfiguration, BadObject, SchedulerError
from kubelite.control.scheduler.plugins.custom_plugins import OwnPlugin
from kubelite.control.scheduler.simulate import simulate

__all__ = ["BadConfiguration", "BadObject", "OwnPlugin", "SchedulerError", "explain", "simulate"]
