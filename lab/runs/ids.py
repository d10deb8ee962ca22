"""Ids of runs, sweeps and drawings: random, so that stores that exchange them never meet the same id twice."""

import secrets

_ID_BYTES = 6  # 48 random bits: among a million runs two share an id with a chance of 1 in 600


def new_id() -> str:
    """Return a random id."""
    return secrets.token_hex(_ID_BYTES)
