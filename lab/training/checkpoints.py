"""Checkpoints and weights as safetensors bytes: tensors by name, the rest as JSON in the header. No pickle anywhere.

safetensors is safe to open but does not check itself: whoever keeps the bytes keeps their SHA-256 too. What can be
checked here is: format, names and shapes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from lab.errors import ArtifactError
from lab.training.progress import Progress

FORMAT = 1  # raised when the layout of a checkpoint changes; a newer one is refused
_HEADER = "convlab"
_MODEL, _OPTIMIZER, _RNG, _BEST = "model/", "optimizer/", "rng/", "best/"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything a run needs to go on as if it had never stopped.

    rng: generator states by name. best: weights of the best epoch, only where the run will restore them.
    environment: what decides the bits beside the configuration (threads, torch, device, scaler).
    """

    progress: Progress
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    rng: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    environment: Mapping[str, Any]


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Return the checkpoint as safetensors bytes."""
    header = {
        "format": FORMAT,
        "kind": "checkpoint",
        "progress": checkpoint.progress.as_dict(),
        "environment": dict(checkpoint.environment),
    }
    groups = {_MODEL: checkpoint.model, _OPTIMIZER: checkpoint.optimizer, _RNG: checkpoint.rng, _BEST: checkpoint.best}
    tensors = {prefix + name: tensor for prefix, group in groups.items() for name, tensor in group.items()}
    return _encode(tensors, header)


def decode_checkpoint(data: bytes) -> Checkpoint:
    """Return what `encode_checkpoint` was given; raises `ArtifactError` for anything else."""
    tensors, header = _decode(data, kind="checkpoint")
    groups: dict[str, dict[str, Tensor]] = {_MODEL: {}, _OPTIMIZER: {}, _RNG: {}, _BEST: {}}
    for full_name, tensor in tensors.items():
        prefix, _, name = full_name.partition("/")
        if f"{prefix}/" in groups:
            groups[f"{prefix}/"][name] = tensor
    try:
        progress = Progress.from_dict(header["progress"])
        environment = dict(header["environment"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(f"its header lacks {error}") from error
    return Checkpoint(
        progress=progress,
        model=groups[_MODEL],
        optimizer=groups[_OPTIMIZER],
        rng=groups[_RNG],
        best=groups[_BEST],
        environment=environment,
    )


def encode_weights(network: nn.Module, **facts: Any) -> bytes:
    """Return the state dict under the network's own names; `facts` are JSON-safe and go into the header."""
    return _encode(dict(network.state_dict()), {"format": FORMAT, "kind": "weights", **facts})


def load_weights(network: nn.Module, data: bytes) -> None:
    """Load kept weights, or a checkpoint's, into a network of the same architecture; raises `ArtifactError`."""
    tensors, header = _decode(data, kind=None)
    if header.get("kind") == "checkpoint":
        tensors = {name.removeprefix(_MODEL): t for name, t in tensors.items() if name.startswith(_MODEL)}
    copy_state(network, tensors)


def copy_state(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a network's own, layout and device kept; raises `ArtifactError` where they do not fit."""
    own = network.state_dict()
    odd = sorted(own.keys() ^ tensors.keys()) or sorted(n for n in own if own[n].shape != tensors[n].shape)
    if odd:
        raise ArtifactError(
            f"The kept weights are another network's: {odd[0]!r} does not match ({len(odd)} of {len(own)} tensors). "
            "Build the network with the configuration of the run they came from."
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def _encode(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> bytes:
    plain = {name: t.detach().to("cpu", memory_format=torch.contiguous_format) for name, t in tensors.items()}
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    return safetensors.torch.save({name: t.contiguous() for name, t in plain.items()}, metadata={_HEADER: text})


def _decode(data: bytes, *, kind: str | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        tensors = safetensors.torch.load(data)
        size = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][_HEADER])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _damaged(str(error)) from error
    found = header.get("format") if isinstance(header, dict) else None
    if not isinstance(found, int) or not 1 <= found <= FORMAT:
        raise ArtifactError(
            f"The kept file has format {found!r}, but this release reads 1 to {FORMAT}: update ConvLab."
        )
    if kind and header.get("kind") != kind:
        raise ArtifactError(f"The kept file is {header.get('kind')!r}, but a {kind} is needed: choose another file.")
    return tensors, header


def _damaged(detail: str) -> ArtifactError:
    return ArtifactError(f"The kept file is damaged or not one of ConvLab's ({detail}): use an earlier one.")
