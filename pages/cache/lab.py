"""The lab of this process, opened from the environment on first use; its worker is kept warm while pages are open."""

import os
import threading
import time
from functools import lru_cache

from lab.service.lab import Lab
from lab.settings import Settings

_WARM_EVERY_S = 60.0  # a warm worker waits for minutes, so one request a minute is enough
_serving = threading.Event()
_warmed_at = -_WARM_EVERY_S


def get_lab() -> Lab:
    """Return the lab. Raises `LabError` if its home or its store cannot be opened."""
    return _open(Settings.from_env(os.environ))


@lru_cache(maxsize=4)  # one lab per home: the server has one, a test process several
def _open(settings: Settings) -> Lab:
    return Lab(settings)


def serve() -> None:
    """Mark this process as the web server; only there does a visit start a worker."""
    _serving.set()


def warm_worker() -> None:
    """Have a worker ready, so that curves appear soon after a click on Train."""
    global _warmed_at
    if _serving.is_set() and time.monotonic() - _warmed_at >= _WARM_EVERY_S:
        _warmed_at = time.monotonic()
        get_lab().workers.warm_up()
