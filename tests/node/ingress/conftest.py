"""Tests of what listens are coroutines."""

from __future__ import annotations

from tests.up.conftest import pytest_pyfunc_call as pytest_pyfunc_call
