"""What all tests share: hypothesis without deadlines (two busy cores) and with the same examples every time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("lmos", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("lmos")
