"""Importing onnxruntime without its telemetry.

Since release 1.30 at the latest, the import alone writes a device id to the user's cache folder and starts a thread
that uploads usage events to its maker; the environment variable must be set before.
"""

import os
from importlib import import_module
from typing import Any

NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"


def load_onnxruntime() -> Any:
    """Import onnxruntime, which takes a third of a second, and return it. Raises `ImportError` if it is missing."""
    os.environ.setdefault(NO_TELEMETRY, "1")  # a user's own value counts
    return import_module("onnxruntime")
