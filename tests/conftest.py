"""Settings of every test: property tests draw the same cases each time and never look at the clock."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("lathe", deadline=None, derandomize=True)
settings.load_profile("lathe")
