"""Seeds as pure functions of names: `derive_seed(7, "order", 3)` is the same number on every machine and release.

Nothing that affects a result draws from a generator whose state depends on what ran before. The exception is dropout,
whose generator state is part of every checkpoint.
"""

import hashlib

import torch

_BITS = 63  # torch accepts signed 64-bit seeds


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a seed in [0, 2^63), derived from a seed and names with SHA-256."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> (64 - _BITS)


def seed_everything(seed: int) -> None:
    """Seed torch's global generators on every device, which initial weights and dropout draw from."""
    torch.manual_seed(seed)


def build_generator(seed: int, *names: str | int) -> torch.Generator:
    """Return a new CPU generator seeded with `derive_seed`."""
    return torch.Generator().manual_seed(derive_seed(seed, *names))
