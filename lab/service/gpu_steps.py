"""Measured durations of captured steps on a GPU, and the effect of bfloat16 and `torch.compile`, as text.

Forward, loss, backward and Adam on one fixed batch of 64 images, replayed as one CUDA graph: one NVIDIA H100 80GB,
torch 2.11, 2026-11-26, one measurement each. Other cards, batch sizes and network options have other times; what
carries over is which choice is faster.
"""

import math
from dataclasses import dataclass

from lab.config import RunConfig

BATCH = 64
COMPILING_S = (10.0, 22.0)  # the shortest and the longest measured
_PLAIN = 0.02  # smaller relative differences between two single measurements are noise


@dataclass(frozen=True, slots=True)
class GpuStep:
    """Milliseconds of a step with 64 images. compiled_…: of the compiled network, NaN if not measured."""

    float32: float
    bfloat16: float
    compiled_float32: float = math.nan
    compiled_bfloat16: float = math.nan


GPU_STEPS = {
    "lenet-bn": GpuStep(0.338, 0.338, 0.325, 0.231),
    "basic-cnn": GpuStep(0.238, 0.248),
    "conv3-bn": GpuStep(0.552, 0.480, 0.460, 0.334),
    "resnet-small": GpuStep(0.354, 0.357),
    "wide-cnn": GpuStep(1.29, 0.995),
    "vgg-small": GpuStep(0.875, 0.752),
    "resnet18-tv": GpuStep(1.50, 1.48),
    "alexnet": GpuStep(4.15, 3.01),
    "resnet18": GpuStep(9.82, 7.11),
    "mobilenet": GpuStep(10.4, 8.04),
}


def compile_pays_from(measured: GpuStep, precision: str) -> tuple[float, float] | None:
    """Return the steps beyond which the shortest and the longest compilation pay off; None if unknown or never."""
    plain, compiled = getattr(measured, precision), getattr(measured, f"compiled_{precision}")
    saved_s = (plain - compiled) / 1e3
    if not saved_s > 0:
        return None
    return COMPILING_S[0] / saved_s, COMPILING_S[1] / saved_s


def gpu_words(config: RunConfig, *, steps: int) -> str:
    """Return what is known about a run with this many steps on a CUDA device; "" if nothing was measured."""
    measured = GPU_STEPS.get(config.arch)
    if measured is None or config.arch_options or config.precision == "float16":
        return ""
    gain = measured.bfloat16 < measured.float32 * (1 - _PLAIN)
    words = [
        f"On one H100 at batch {BATCH} a step took {_ms(measured.float32)} in float32 and {_ms(measured.bfloat16)} in "
        "bfloat16" + ("." if gain else ", which gains nothing for this network.")
    ]
    if config.compile:
        words.append(_compile_words(measured, config.precision, steps))
    return " ".join(words)


def _compile_words(measured: GpuStep, precision: str, steps: int) -> str:
    pays = compile_pays_from(measured, precision)
    low, high = (f"{seconds:g}" for seconds in COMPILING_S)
    if pays is None:
        return (
            f"torch.compile takes {low} to {high} s before the first step; "
            "what it saves was not measured for this network."
        )
    first, last = (float(f"{number:.2g}") for number in pays)
    compiled = getattr(measured, f"compiled_{precision}")
    return (
        f"Compiled, it took {_ms(compiled)} in {precision}, after {low} to {high} s of compiling: that pays off in "
        f"runs of more than {first:,.0f} to {last:,.0f} steps. This one has {steps:,}."
    )


def _ms(number: float) -> str:
    return f"{number:.3g} ms"
