"""The one lab of this process, opened on first use from the environment, and its worker kept warm while people look."""

import os
import threading
import time
from functools import lru_cache

from lab.service.lab import Lab
from lab.settings import Settings

_WARM_EVERY_S = 60.0  # a warm worker waits for minutes, so asking once a minute is enough
_serving = threading.Event()
_warmed_at = -_WARM_EVERY_S


def get_lab() -> Lab:
    """Return the lab; a home or a store that cannot be opened raises `LabError`."""
    return _open(Settings.from_env(os.environ))


@lru_cache(maxsize=4)  # one a home: the server has one, a test process several
def _open(settings: Settings) -> Lab:
    return Lab(settings)


def serve() -> None:
    """Say that this process is the web server; only there a visit starts a worker."""
    _serving.set()


def warm_worker() -> None:
    """Have a worker ready, so that a press on Train is answered with curves at once."""
    global _warmed_at
    if _serving.is_set() and time.monotonic() - _warmed_at >= _WARM_EVERY_S:
        _warmed_at = time.monotonic()
        get_lab().workers.warm_up()
