"""Whole clusters in one process: API server, scheduler and controllers put together."""

from __future__ import annotations
