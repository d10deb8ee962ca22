"""Decides whether a run's steps are captured or launched, with the reason, which becomes part of the run."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from lab.architectures.shapes import meta_copy
from lab.config import RunConfig
from lab.training.batches import Batches
from lab.training.device_rows import EpochPlan
from lab.training.generators import Generators
from lab.training.losses import build_loss
from lab.training.optimizers import build_optimizer
from lab.training.recordings import CudaGraph, Recording, Repeat, first_line
from lab.training.stepping import MAX_PARTS, Stepper
from lab.training.steps import CapturedSteps, LaunchedSteps, Steps

# Builds the steps of a run from configuration, network, view, batches, generators and device.
StepsBuilder: TypeAlias = Callable[[RunConfig, nn.Module, nn.Module, Batches, Generators, torch.device], Steps]


class StepKind(StrEnum):
    """AUTO: captured steps if possible. LAUNCHED: launched steps. REPEATED: the step to capture, launched instead."""

    AUTO = "auto"
    LAUNCHED = "launched"
    REPEATED = "repeated"


def why_launched(config: RunConfig, view: nn.Module, batches: Batches, device: torch.device) -> str:
    """Return why this run's steps cannot be captured, as the end of a sentence, or "" if they can."""
    if device.type != "cuda":
        return f"{device.type} has no CUDA graphs"
    if config.precision == "float16":
        return "float16 decides on the host whether a step is skipped"
    if batches.size_of(1) < batches.batch_size:
        return "an epoch has no two whole batches"
    return _host_decision(view, batches)


def _host_decision(view: nn.Module, batches: Batches) -> str:
    """Run the network on the meta device, whose tensors have no values: it raises if the network reads a value."""
    x_BCHW = torch.empty(2, *batches.image_shape, device="meta")
    try:
        meta_copy(view).train()(x_BCHW)
    except RuntimeError as error:
        return f"the network reads a value on the host ({first_line(error)})"
    return ""


def compile_whole_batches(view: nn.Module, size: int) -> Callable[[Tensor], Any]:
    """Return the view compiled for batches of this size, and for the parts that they are split into if memory runs out.

    The smaller last batch of an epoch is computed uncompiled: each additional size would take 10 to 22 s to compile.
    """
    torch.compiler.reset()  # compilations of earlier runs count towards the limit of eight
    compiled = torch.compile(view, dynamic=False)
    sizes = {part for parts in (1, 2, MAX_PARTS) for part in (size // parts, -(-size // parts))}
    return lambda x_BCHW: (compiled if len(x_BCHW) in sizes else view)(x_BCHW)


def build_steps(
    config: RunConfig,
    network: nn.Module,
    view: nn.Module,
    batches: Batches,
    generators: Generators,
    device: torch.device,
    *,
    kind: StepKind = StepKind.AUTO,
    recording: Recording | None = None,
) -> Steps:
    """Return the steps of a run. view: computes the same as `network` with the same parameters.

    recording: the empty recording to use; by default it is chosen by `kind`.
    """
    reason = why_launched(config, view, batches, device) if kind is StepKind.AUTO else ""
    runner = compile_whole_batches(view, config.batch_size) if config.compile else view
    loss = build_loss(config)
    if reason or kind is StepKind.LAUNCHED:
        stepper = Stepper(runner, loss, build_optimizer(config, network), config, device)
        said = "this was requested" if kind is StepKind.LAUNCHED else reason if device.type == "cuda" else ""
        return LaunchedSteps(batches, stepper, generators.augment, reason=said)
    plan = EpochPlan(batches)
    stepper = Stepper(runner, loss, build_optimizer(config, network, rate=plan.rate), config, device)

    def state() -> Mapping[str, Tensor]:
        own = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        return {**own, **stepper.optimizer.state()}

    if recording is None:
        recording = Repeat() if kind is StepKind.REPEATED else CudaGraph(device, generators.augment)
    return CapturedSteps(batches, stepper, plan, generators, recording, state)
