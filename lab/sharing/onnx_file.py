"""A run's network for other programs: ONNX, verified against PyTorch before it is written, and torch.export programs.

The network is exported in evaluation mode and accepts any number of normalised images. The ONNX file's metadata and the
model card describe the input. onnx and onnxscript are imported only here.
"""

import io
import json
from typing import Any

import numpy as np
import torch
from torch import nn

from lab.architectures.tracing import ONE_AT_A_TIME
from lab.data.channels import normalise_images
from lab.errors import LabError
from lab.loaded_network import LoadedNetwork
from lab.onnx_runtime import load_onnxruntime
from lab.sharing.weights import facts
from lab.strict_json import with_names

OPSET = 18  # the default of torch's exporter; onnxruntime reads it since 1.14
TOLERANCE = 1e-4  # largest accepted difference of any logit from PyTorch's
_CHECKED_IMAGES = 16
_INPUT, _OUTPUT = "images", "logits"


def onnx_bytes(loaded: LoadedNetwork) -> bytes:
    """Return the network as ONNX (opset 18).

    Raises `LabError` if the packages are not installed or onnxruntime's answers differ by more than 1e-4.
    """
    try:
        onnxruntime = load_onnxruntime()
        import onnxscript  # noqa: F401  torch.onnx needs it
    except ImportError as error:
        raise LabError(
            f"ONNX export needs the package {error.name}, which is not installed: `pip install onnx onnxscript "
            "onnxruntime`, or export safetensors."
        ) from error
    with ONE_AT_A_TIME:
        program = torch.onnx.export(
            loaded.network,
            (_example(loaded),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[_INPUT],
            output_names=[_OUTPUT],
            dynamic_shapes=_any_batch(),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for name, value in facts(loaded).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, value if isinstance(value, str) else json.dumps(with_names(value))
    data: bytes = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    _compare(loaded, session)
    return data


def program_bytes(loaded: LoadedNetwork) -> bytes:
    """Return the network as an exported program (.pt2) for `torch.export.load`."""
    with ONE_AT_A_TIME:
        program = torch.export.export(loaded.network, (_example(loaded),), dynamic_shapes=_any_batch())
    target = io.BytesIO()
    torch.export.save(program, target)
    return target.getvalue()


def _any_batch() -> tuple[dict[int, Any]]:
    return ({0: torch.export.Dim("batch", min=1, max=65_536)},)


def _example(loaded: LoadedNetwork) -> torch.Tensor:
    # Two images: with one, the exporter would treat the batch size as a constant.
    return torch.zeros(2, loaded.channels, loaded.image_size, loaded.image_size)


def _compare(loaded: LoadedNetwork, session: Any) -> None:
    shape = (_CHECKED_IMAGES, loaded.channels, loaded.image_size, loaded.image_size)
    images_u8 = np.random.default_rng(0).integers(0, 256, size=shape, dtype=np.uint8)
    x_BCHW = normalise_images(images_u8, mean=loaded.mean, std=loaded.std)
    difference = float(np.abs(session.run([_OUTPUT], {_INPUT: x_BCHW})[0] - _logits(loaded.network, x_BCHW)).max())
    if not difference <= TOLERANCE:
        raise LabError(
            f"The ONNX file's logits differ from PyTorch's by {difference:.2g}, more than {TOLERANCE:g}, so it was not "
            "written: export safetensors or code instead."
        )


def _logits(network: nn.Module, x_BCHW: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        logits: np.ndarray = network(torch.from_numpy(x_BCHW)).numpy()
    return logits
