"""The random generators that a step draws from: torch's default generators, for dropout, and one for augmentation.

The generator objects are never replaced: a captured step draws from those it was captured with, so the generator for
augmentation is seeded in place at every epoch.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from lab.seeding import derive_seed


class Generators:
    """Reads and writes the generator states of one device, without synchronising."""

    def __init__(self, device: torch.device) -> None:
        self.augment = torch.Generator(device=device)
        self._device = device

    def seed_epoch(self, seed: int, epoch: int) -> None:
        """Seed the augmentation of an epoch, independently of other epochs."""
        self.augment.manual_seed(derive_seed(seed, "augment", epoch))

    def read(self) -> dict[str, Tensor]:
        """Return the states by name."""
        states = {"cpu": torch.get_rng_state(), "augment": self.augment.get_state()}
        if self._device.type == "cuda":
            states["device"] = torch.cuda.get_rng_state(self._device)
        elif self._device.type == "mps":
            states["device"] = torch.mps.get_rng_state()
        return states

    def write(self, states: Mapping[str, Tensor]) -> None:
        """Restore the states from `read()` on the same kind of device."""
        torch.set_rng_state(states["cpu"])
        self.augment.set_state(states["augment"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(states["device"], self._device)
        elif self._device.type == "mps":
            torch.mps.set_rng_state(states["device"])
