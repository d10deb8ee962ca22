"""Checkpoints and weights as tensors and plain values; `lab.checkpoint_files` encodes them.

`weights_digest` tests whether two sets of weights are bit-identical.
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
    """Everything a run needs to resume as if it had never stopped. Tensors are the run's own, not copies.

    rng: generator states by name. best: weights of the best epoch, only if the run will restore them. environment:
    everything else that results depend on at the bit level (threads, torch, device, scaler).
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
    """Copy tensors into a network's state, keeping layout and device. Raises `ArtifactError` if they do not match."""
    own = network.state_dict()
    odd = sorted(own.keys() ^ tensors.keys()) or sorted(n for n in own if own[n].shape != tensors[n].shape)
    if odd:
        raise ArtifactError(
            f"The saved weights belong to another network: {odd[0]!r} does not match "
            f"({len(odd)} of {len(own)} tensors). Build the network with the configuration of the run they came from."
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over every tensor's name, shape, dtype and bytes, in the order of the state dict."""
    digest = hashlib.sha256()
    for name, tensor in state.items():
        digest.update(f"{name} {list(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
