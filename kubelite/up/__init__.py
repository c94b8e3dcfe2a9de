"""Whole clusters put together: API server, scheduler, controllers and the node."""

from __future__ import annotations
