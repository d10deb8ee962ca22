"""Attribution: how much each pixel contributes to the logit of a class. Weights and modes are left unchanged.

All values refer to the class's logit; they are signed and have the data's resolution (H, W). Methods that need a
baseline use a black image (not zero: after normalisation, black is below zero). The implementations are Captum's except
for Grad-CAM: Captum's hook records forward passes of every thread, and a network may be shared.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from lab.architectures.inference_batches import gradient_batch_size, inference_batch_size
from lab.errors import InputError, near_miss
from lab.inspection.observe import LayerView, evaluating, in_this_thread, list_layers
from lab.lazy import load

METHODS = {
    "saliency": ("Saliency", "The gradient: how the logit would change if a pixel did."),
    "smoothgrad": ("SmoothGrad", "The gradient averaged over 25 copies with a little noise."),
    "integrated-gradients": (
        "Integrated gradients",
        "Gradients summed along the path from black to the image; they add up to its logit minus black's.",
    ),
    "grad-cam": ("Grad-CAM", "Where the last convolution found evidence for the class."),
    "occlusion": ("Occlusion", "How much the logit falls when a small square is painted black."),
}
# Approximate cost in forward passes; a backward pass counts as two. Integrated gradients mostly need 96 steps.
PASSES = {"saliency": 3, "smoothgrad": 75, "integrated-gradients": 288, "grad-cam": 3, "occlusion": 170}
_NOISE_COPIES = 25
_NOISE_SHARE = 0.15  # of the image's range (Smilkov et al. 2017, section 3.2: 10 to 20 %)
_AT_ONCE = 64  # maximum copies of the image in one batch
_STEPS = (32, 64, 128, 256, 512)
_COMPLETE = 0.005  # integrated gradients stop when their sum is within this share of the difference of logits
_ENOUGH = 1e-3  # or when the gap, in logits, is negligible
_PATCH_SHARE = 7  # the occluding square is a seventh of the image wide


@dataclass(frozen=True, slots=True)
class Attribution:
    """One attribution map.

    values: float32 (H, W), signed. gap: |sum - difference of logits| for integrated gradients, else None.
    """

    method: str
    target: int
    values: np.ndarray
    gap: float | None = None


def attribute(network: nn.Module, x_1CHW: Tensor, *, target: int, method: str, black: float) -> Attribution:
    """Return the attribution of class `target`'s logit for one normalised image. black: the value of a black pixel.

    Raises `InputError` for an unknown method or class, for logits that are not finite, and for Grad-CAM on a network
    without a convolution.
    """
    if method not in METHODS:
        raise InputError(f"There is no method {method!r}. {near_miss(method, METHODS)}")
    with evaluating(network), _not_in_place(network):
        with torch.no_grad():
            logits = network(x_1CHW)
        if not 0 <= target < logits.shape[1]:
            raise InputError(f"The class is {target}, but it must be 0 to {logits.shape[1] - 1}.")
        if not logits.isfinite().all():
            raise InputError("The network's logits are not finite, so there is nothing to explain: use other weights.")
        x = x_1CHW.detach().clone().requires_grad_()
        baseline = torch.full_like(x_1CHW, black)
        values, gap = _run(network, x, target, method, baseline)
    return Attribution(method, target, values.detach()[0].sum(0).float().cpu().numpy(), gap)


def _captum(name: str, network: nn.Module) -> Any:
    """Return a method of Captum, which imports matplotlib: half a second that pages spend only for attributions."""
    return load(f"captum.attr:{name}")(network)


def _run(network: nn.Module, x: Tensor, target: int, method: str, baseline: Tensor) -> tuple[Tensor, float | None]:
    if method == "saliency":
        return _captum("Saliency", network).attribute(x, target=target, abs=False), None
    if method == "smoothgrad":
        return _smoothgrad(network, x, target), None
    if method == "integrated-gradients":
        return _integrated(network, x, target, baseline)
    if method == "grad-cam":
        return _grad_cam(network, x, target), None
    return _occlusion(network, x, target, baseline), None


def _smoothgrad(network: nn.Module, x: Tensor, target: int) -> Tensor:
    """Return the mean gradient over noisy copies. The noise is fixed and does not use the global generator."""
    spread = _NOISE_SHARE * float(x.detach().max() - x.detach().min())
    noise = torch.randn((_NOISE_COPIES, *x.shape[1:]), generator=torch.Generator().manual_seed(0)).to(x)
    copies = x.detach() + spread * noise
    size = gradient_batch_size(network, images=_NOISE_COPIES, image_shape=tuple(x.shape[1:]))
    method = _captum("Saliency", network)
    gradients = [
        method.attribute(part.requires_grad_(), target=target, abs=False) for part in torch.split(copies, size)
    ]
    return torch.cat(gradients).mean(0, keepdim=True)


def _integrated(network: nn.Module, x: Tensor, target: int, baseline: Tensor) -> tuple[Tensor, float]:
    """Return values and gap, increasing the steps until the values add up (Sundararajan et al. 2017, section 5)."""
    with torch.no_grad():
        expected = float(network(x)[0, target] - network(baseline)[0, target])
    method = _captum("IntegratedGradients", network)
    size = gradient_batch_size(network, images=_AT_ONCE, image_shape=tuple(x.shape[1:]))
    values, gap = torch.zeros_like(x), abs(expected)
    for steps in _STEPS:
        values = method.attribute(x, baselines=baseline, target=target, n_steps=steps, internal_batch_size=size)
        gap = abs(float(values.detach().double().sum()) - expected)
        if gap <= max(_COMPLETE * abs(expected), _ENOUGH):
            break
    return values, gap


def _last_maps(network: nn.Module, x: Tensor) -> str:
    layers = list_layers(network, image_size=x.shape[-1], channels=x.shape[1])
    places = [index for index, view in enumerate(layers) if view.kind.makes_maps]
    if not places:
        raise InputError("Grad-CAM needs a convolution, and this network has none: choose another method.")
    last = places[-1]
    while last + 1 < len(layers) and _follows(layers[last + 1], layers[last]):
        last += 1
    return layers[last].name


def _follows(layer: LayerView, before: LayerView) -> bool:
    return layer.kind.follows_maps and layer.shape == before.shape


_cam_layers: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()  # finding the layer costs more than Grad-CAM


def _grad_cam(network: nn.Module, x: Tensor, target: int) -> Tensor:
    """Return the last convolution's activated maps weighted by their gradients (Selvaraju et al. 2017, section 3)."""
    if network not in _cam_layers:
        _cam_layers[network] = _last_maps(network, x)
    outputs: list[Tensor] = []

    def record(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        outputs.append(output)

    handle = network.get_submodule(_cam_layers[network]).register_forward_hook(in_this_thread(record))
    try:
        logit = network(x)[0, target]
    finally:
        handle.remove()
    maps = outputs[-1]  # (1, C, h, w)
    (gradients,) = torch.autograd.grad(logit, maps)
    small = (gradients.mean((2, 3), keepdim=True) * maps.detach()).sum(1, keepdim=True).relu()
    return nn.functional.interpolate(small, size=x.shape[-2:], mode="bilinear", align_corners=False)


def _occlusion(network: nn.Module, x: Tensor, target: int, baseline: Tensor) -> Tensor:
    patch = max(2, x.shape[-1] // _PATCH_SHARE)
    size = inference_batch_size(network, images=_AT_ONCE, image_shape=tuple(x.shape[1:]))
    with torch.no_grad():
        values: Tensor = _captum("Occlusion", network).attribute(
            x.detach(),
            sliding_window_shapes=(x.shape[1], patch, patch),
            strides=(x.shape[1], patch // 2, patch // 2),
            baselines=baseline,
            target=target,
            perturbations_per_eval=size,
        )
    return values.mean(1, keepdim=True)  # a square covers all channels, and each is given the full drop of the logit


@contextmanager
def _not_in_place(network: nn.Module) -> Iterator[None]:
    """Turn off in-place activations within the context: they would overwrite the output that a hook has recorded."""
    changed = [module for module in network.modules() if getattr(module, "inplace", False)]
    for module in changed:
        module.inplace = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in changed:
            module.inplace = True  # type: ignore[assignment]
