"""Ids of runs, sweeps and drawings: random, so that stores that exchange them have no collisions."""

import secrets

_ID_BYTES = 6  # 48 random bits: the chance that two of a million runs share an id is 1 in 600


def new_id() -> str:
    """Return a random id."""
    return secrets.token_hex(_ID_BYTES)
