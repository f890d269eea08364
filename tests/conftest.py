"""What all tests share: hypothesis without deadlines (two busy cores) and with the same examples every time, and an end to
what they start."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.processes import none_left

settings.register_profile("lmos", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("lmos")


def pytest_configure(config: pytest.Config) -> None:
    """Whatever a run starts ends with it, also where it is killed; with xdist so does each worker, which is a run itself."""
    ends = none_left()
    ends.__enter__()
    config.add_cleanup(lambda: ends.__exit__(None, None, None))
