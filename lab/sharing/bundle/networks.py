"""The tensors that a bundle's weights must have: those of the configured network, with safetensors' type names."""

import torch

from lab.config import RunConfig
from lab.networks import build_on_meta
from lab.sharing.bundle.tensors import Expected

_TYPES = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int32: "I32",
}


def tensors_of(config: RunConfig) -> Expected:
    """Return type and shape of every tensor. Raises `ShapeError` for a network that cannot be built."""
    state = build_on_meta(config).state_dict()  # shapes only: needs no memory, however large the network
    return {name: (_TYPES[tensor.dtype], tuple(tensor.shape)) for name, tensor in state.items()}
