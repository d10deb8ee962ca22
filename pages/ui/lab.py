"""The one lab of this process, opened on first use from the environment."""

import os
from functools import lru_cache

from lab.experiment import Lab
from lab.settings import Settings


def get_lab() -> Lab:
    """Return the lab; a home or a store that cannot be opened raises `LabError`."""
    return _open(Settings.from_env(os.environ))


@lru_cache(maxsize=4)  # one a home: the server has one, a test process several
def _open(settings: Settings) -> Lab:
    return Lab(settings)
