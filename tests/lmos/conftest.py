"""Fixtures of the application's tests: those of the runner's."""

from __future__ import annotations

from tests.runner.conftest import one_torch_thread, plans, server, squeezenet

__all__ = ["one_torch_thread", "plans", "server", "squeezenet"]
