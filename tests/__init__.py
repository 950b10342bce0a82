"""The tests of SoFW; they mirror sofw/. On CI, hypothesis tries the same examples every time."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")
