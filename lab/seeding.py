"""Seeds as pure functions of names: `derive_seed(7, "order", 3)` is the same number on every machine and release.

Nothing that decides a result draws from a generator whose position depends on what ran before, except dropout, whose
generator state is part of every checkpoint.
"""

import hashlib

import torch

_BITS = 63  # torch takes signed 64-bit seeds


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a number in [0, 2^63) that belongs to this seed and these names, by SHA-256."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> (64 - _BITS)


def seed_everything(seed: int) -> None:
    """Seed torch's global generators on every device: initial weights draw from them, and dropout while training."""
    torch.manual_seed(seed)


def build_generator(seed: int, *names: str | int) -> torch.Generator:
    """Return a fresh generator of the CPU, seeded by `derive_seed`."""
    return torch.Generator().manual_seed(derive_seed(seed, *names))
