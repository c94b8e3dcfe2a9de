"""The scheduler: Kubernetes' decisions, made by a core of numbers. Sees client, core, objects and
lib.

A library first: :func:`explain` and :func:`simulate` work on plain objects, without a cluster. No
module here knows a clock, a file or a socket; those that do not call themselves pure go through the
core. Where to look:

    filters.py      why a pod is pending            scores.py       why it went there
    preemption.py   whom it evicts                  profile.py      which plug-ins run
    cluster.py      what the scheduler knows        queue.py        which pod is next
    columns.py      how all that becomes numbers    csrc/sched/     what is done with them
"""

from __future__ import annotations

from kubelite.control.scheduler.explain import explain
from kubelite.control.scheduler.facts.errors import BadConfiguration, BadObject, SchedulerError
from kubelite.control.scheduler.plugins.custom_plugins import OwnPlugin
from kubelite.control.scheduler.simulate import simulate

__all__ = ["BadConfiguration", "BadObject", "OwnPlugin", "SchedulerError", "explain", "simulate"]
