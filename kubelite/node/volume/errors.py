"""What can go wrong with volumes. Pure.

VolumeError         one sentence; ``hint`` where there is something to try
├── HostPathError   a hostPath has another type than its manifest says, or cannot be made
├── SubPathError    a subPath leads through a link, a file, or out of its volume
└── SourceNotReady  an API object that a volume is made of is missing; it may come later
    └── MountFailed  a driver could not provide a volume; it is asked again, soon at first
"""

from __future__ import annotations


class VolumeError(Exception):
    """Root of this room's errors; raised itself for failures of the system."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class HostPathError(VolumeError):
    """A hostPath volume cannot be used."""


class SubPathError(VolumeError):
    """A part of a volume cannot be used."""


class SourceNotReady(VolumeError):
    """An API object that a volume needs is missing or lacks a key; it may come later."""


class MountFailed(SourceNotReady):
    """A driver's volume is not there yet."""
