"""Checkpoints and weights as safetensors bytes: tensors by name, everything else as JSON in the header. No pickle.

safetensors is safe to open but has no checksum, so the store records the SHA-256 of the bytes. Format, names and shapes
are checked here.
"""

import json
from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from lab.errors import ArtifactError
from lab.training.checkpoint import Checkpoint, Weights, copy_state
from lab.training.progress import Progress

FORMAT = 1  # incremented when the layout of a checkpoint changes; newer formats are refused
_HEADER = "convlab"
_MODEL, _OPTIMIZER, _RNG, _BEST = "model/", "optimizer/", "rng/", "best/"


def encode(state: Checkpoint | Weights) -> bytes:
    """Return a checkpoint or weights as safetensors bytes."""
    return encode_checkpoint(state) if isinstance(state, Checkpoint) else encode_weights(state)


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


def encode_weights(weights: Weights) -> bytes:
    """Return the weights as safetensors bytes, under the network's parameter names; the facts go into the header."""
    return _encode(weights.model, {"format": FORMAT, "kind": "weights", **weights.facts})


def decode_checkpoint(data: bytes) -> Checkpoint:
    """Return the checkpoint that `encode_checkpoint` encoded. Raises `ArtifactError` for any other data."""
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


def load_weights(network: nn.Module, data: bytes) -> None:
    """Load saved weights, or those of a checkpoint, into a network of the same architecture. Raises `ArtifactError`."""
    tensors, header = _decode(data, kind=None)
    if header.get("kind") == "checkpoint":
        tensors = {name.removeprefix(_MODEL): t for name, t in tensors.items() if name.startswith(_MODEL)}
    copy_state(network, tensors)


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
            f"The saved file has format {found!r}, but this release reads 1 to {FORMAT}: update ConvLab."
        )
    if kind and header.get("kind") != kind:
        raise ArtifactError(f"The saved file is {header.get('kind')!r}, but a {kind} is needed: choose another file.")
    return tensors, header


def _damaged(detail: str) -> ArtifactError:
    return ArtifactError(f"The saved file is damaged or not a ConvLab file ({detail}): use an earlier one.")
