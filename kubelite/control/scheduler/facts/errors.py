"""What the scheduler refuses to work with. Pure.

SchedulerError
  BadObject          an object has a field that no reading of it makes sense of
  BadConfiguration   a profile, plug-in or argument that there is none of
"""

from __future__ import annotations


class SchedulerError(ValueError):
    """The message is one sentence that names the object and the field."""


class BadObject(SchedulerError):
    """A field of an object has a wrong type or value."""


class BadConfiguration(SchedulerError):
    """A configuration names something that there is not, or a value out of range."""
