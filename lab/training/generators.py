"""The random generators that a step draws from: torch's own, for dropout, and one for augmentation.

They are objects that stay: a captured step draws from the ones it was captured with, so an epoch seeds the augmentation's
generator in place.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from lab.seeding import derive_seed


class Generators:
    """Reads and writes the states of the generators of one device; neither waits for the device."""

    def __init__(self, device: torch.device) -> None:
        self.augment = torch.Generator(device=device)
        self._device = device

    def seed_epoch(self, seed: int, epoch: int) -> None:
        """Start the augmentation of an epoch, which depends on no other epoch's."""
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
        """Go on from `read()` of the same kind of device."""
        torch.set_rng_state(states["cpu"])
        self.augment.set_state(states["augment"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(states["device"], self._device)
        elif self._device.type == "mps":
            torch.mps.set_rng_state(states["device"])
