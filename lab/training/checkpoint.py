"""What a training can be resumed from, as tensors and plain values; turning it into bytes is not done here.

`weights_digest` tells whether two sets of weights are equal to the last bit.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lab.errors import ArtifactError
from lab.training.progress import Progress


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything a run needs to go on as if it had never stopped. Tensors are the run's own, not copies.

    rng: generator states by name. best: weights of the best epoch, only where the run will restore them.
    environment: what decides the bits beside the configuration (threads, torch, device, scaler).
    """

    progress: Progress
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    rng: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    environment: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Weights:
    """A network's state dict (not copied) and JSON-safe facts about it, such as step and epoch."""

    model: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def copy_state(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a network's own; their layout and device stay. Raises `ArtifactError` where they do not fit."""
    own = network.state_dict()
    odd = sorted(own.keys() ^ tensors.keys()) or sorted(n for n in own if own[n].shape != tensors[n].shape)
    if odd:
        raise ArtifactError(
            f"The saved weights are another network's: {odd[0]!r} does not match ({len(odd)} of {len(own)} tensors). "
            "Build the network with the configuration of the run they came from."
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over every tensor's name, shape and bytes, in the order of the state dict."""
    digest = hashlib.sha256()
    for name, tensor in state.items():
        digest.update(f"{name} {list(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
