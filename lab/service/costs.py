"""The cost of a training before it starts: counted where possible, otherwise measured or estimated.

Parameters, mult-adds and activations are counted on the meta device. The time of an epoch comes from this lab's own
finished runs of the same network, if there are any. Otherwise it follows from the mult-adds and from the processor time
that a convolution and the augmentation take here, which other processes hardly affect. A GPU is not measured, because
that would allocate memory on it. The result is a range: other processes use the processor too, and a worker may have to
be started. Import torch before calling: it takes seconds.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch.nn import functional as F

from lab.config import RunConfig
from lab.config.steps import epoch_images, epoch_steps, run_steps, used_images
from lab.data.load import is_present
from lab.data.registry import get_dataset_spec
from lab.data.spec import DatasetSpec
from lab.devices import resolve_device, retained_below
from lab.errors import ShapeError, UnknownNameError
from lab.network_counts import FORWARD_BACKWARD, count_from_config
from lab.runs.imports import IMPORTED
from lab.runs.owner import this_host
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.service.resolved import ResolvedConfig
from lab.threads import threads_for
from lab.training.augment import build_augment
from lab.training.evaluation import resolve_chunk

_OVERHEAD_S = {"cpu": 60e-6, "cuda": 1e-6, "mps": 10e-6}  # per image: pooling, resizing, memory
_STEP_S = {"cpu": 2.5e-3}  # per step, independent of the batch size
_REACHED = 0.7  # fraction of the convolution's speed that whole networks reach
_GPU_MACS_PER_S = {"cuda": 8e12, "mps": 1e12}  # derived from report D's times on an A100; a guess for other devices
_MOMENTS = {"sgd": 1, "rmsprop": 2, "adam": 2, "adamw": 2, "muon": 2}  # state tensors of the optimizer per weight
_LOOK_BACK = 200  # newest runs that are searched for a measured rate
_LONG_S = 10.0  # in a run of this length, the start does not dominate
_WORK = (
    *("arch", "arch_options", "input_size", "batch_size", "precision", "compile", "deterministic", "augment"),
    "devices",
)
_START_S = (1.0, 6.0)  # with a waiting worker, and with one that has to import torch first
_STEADY = 4.0  # how much faster than the current load suggests: other processes may end
_MEASURED, _COUNTED = 1.5, 2.0  # how much longer it may take than measured, and than counted
_MAX_BUSY = 8.0  # beyond this load no useful estimate is possible
_AUGMENT_BATCH = 64
_SMALLER = ("native", "32", "64")


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of one configuration on one device.

    mult_adds: of one image, forward. memory_bytes: of each device: weights, gradients, optimizer and activations, either
    of its share of a batch or of an evaluation, whichever need more. devices: they share every batch; a counted time
    assumes one, and several may need less. threads: of a run on the CPU, likewise. waits: whether a worker here waits
    for work. measured: whether the time comes from a finished run, not from counting. limit_s: how long the steps up to
    the step limit take, infinity without one. evaluation_s: of the validation and test images after an epoch. slowdown:
    how much longer everything may take; for a counted time it includes the current load of the processor, which a
    measured time contains already. steps: optimizer steps of the whole run.
    """

    params: int
    mult_adds: int
    memory_bytes: int
    seconds_per_epoch: float
    limit_s: float
    measured: bool
    device: str
    side: int
    epochs: int
    evaluation_s: float = 0.0
    slowdown: float = 1.0
    devices: int = 1
    threads: int = 1
    waits: bool = False
    steps: int = 0

    @property
    def seconds(self) -> float:
        """Time of all epochs, or of the steps up to the limit, without the evaluations."""
        return min(self.seconds_per_epoch * self.epochs, self.limit_s)

    @property
    def range_s(self) -> tuple[float, float]:
        """Shortest and longest expected time from a click on Train to the result, including start and evaluations."""
        begun = self.epochs
        if self.limited:
            begun = math.ceil(self.limit_s / self.seconds_per_epoch)
        work = self.seconds + self.evaluation_s * begun
        shortest = work if self.measured else self.seconds / (self.devices * self.threads) + self.evaluation_s * begun
        begins = _START_S[0 if self.waits else 1]
        return _START_S[0] + shortest * max(1.0, self.slowdown / _STEADY), (begins + work) * self.slowdown

    @property
    def source_text(self) -> str:
        """Where the time comes from."""
        return "as measured in an earlier run" if self.measured else "estimated from the mult-adds"

    @property
    def limited(self) -> bool:
        """Whether the step limit ends the training before its last epoch."""
        return self.limit_s < self.seconds_per_epoch * self.epochs


def estimate(lab: Lab, resolved: ResolvedConfig) -> Estimate:
    """Return what a configuration will cost. Raises `ShapeError` or `DeviceError` if it cannot run."""
    checked, spec = resolved.config, resolved.dataset
    device = resolve_device(checked.device if checked.device != "auto" else lab.settings.device)
    counts = count_from_config(checked)
    there, tested = _images(lab, spec)
    images = epoch_images(checked, there)
    rate = _measured_rate(lab, checked, device.type)
    counted = _seconds_per_image(counts.total_mult_adds, device.type)
    step = _STEP_S.get(device.type, 0.0) / checked.batch_size + _augment_seconds(
        checked.augment, device.type, spec.image_shape
    )
    seconds_per_image = 1 / rate if rate else counted + step
    limit = checked.max_steps * checked.batch_size if checked.max_steps else math.inf  # images
    chunk = resolve_chunk(checked.eval_batch_size, device, lambda: counts.activations.map)
    return Estimate(
        params=counts.total_params,
        mult_adds=counts.total_mult_adds,
        memory_bytes=counts.params_bytes * (2 + _MOMENTS[checked.optimizer])
        + max(
            counts.forward_backward_bytes * -(-checked.batch_size // checked.devices),
            counts.activations.resident(min(tested, chunk), retained_below=retained_below(device)),
        ),
        seconds_per_epoch=images * seconds_per_image,
        limit_s=limit * seconds_per_image,
        measured=rate is not None,
        device=str(device),
        side=resolved.input_side,
        epochs=checked.epochs,
        evaluation_s=(used_images(checked, there) - images + tested)
        * (1 / rate if rate else counted)
        / FORWARD_BACKWARD,
        slowdown=_MEASURED if rate else min(max(_COUNTED, _busy()), _MAX_BUSY),
        devices=checked.devices,
        threads=threads_for(checked, usual=os.cpu_count() or 1) if device.type == "cpu" else 1,
        waits=any(one.alive and not one.run and one.owner.host == this_host() for one in lab.store.workers.list()),
        steps=run_steps(checked, epoch_steps(images, checked.batch_size)),
    )


def _images(lab: Lab, spec: DatasetSpec) -> tuple[int, int]:
    """Return the numbers of training and test images of a data set; drawings are counted, 0 if they were deleted."""
    if (spec.train_images and spec.test_images) or not is_present(spec.id, root=lab.settings.data):
        return spec.train_images, spec.test_images
    data = lab.datasets.load(spec.id)
    return spec.train_images or len(data.train_labels), spec.test_images or len(data.test_labels)


def _busy() -> float:
    """Return the number of runnable processes per core, counting one more for a training: its slowdown."""
    waiting = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # not on Windows
    return (waiting + 1) / (os.cpu_count() or 1)


def smaller_input(lab: Lab, resolved: ResolvedConfig) -> tuple[str, Estimate] | None:
    """Return the smallest input size that this network accepts, and its cost, if it is smaller than the chosen one."""
    for size in _SMALLER:
        try:
            smaller = estimate(lab, resolved.with_input_size(size))
        except ShapeError:
            continue
        return (size, smaller) if smaller.side < resolved.input_side else None
    return None


def _measured_rate(lab: Lab, config: RunConfig, device: str) -> float | None:
    """Return the training images per second of the newest run that did the same work on this kind of device here.

    The rate of a short run is dominated by its start, so it is used only if there is no longer run.
    """
    runs = [run for run in lab.store.runs.list(limit=_LOOK_BACK) if _same_work(run, config, device)]
    long = [run for run in runs if run.seconds >= _LONG_S] or runs
    return long[0].summary.images_per_second if long else None


def _same_work(run: RunRecord, config: RunConfig, device: str) -> bool:
    rate = run.summary.images_per_second
    if rate is None or not 0 < rate < math.inf:
        return False
    if run.origin == IMPORTED or not run.device.startswith(device):  # measured on another machine or kind of device
        return False
    if run.config.fork_of:  # its rate includes the epochs of the run it continues, which may have had other settings
        return False
    same = all(getattr(config, name) == getattr(run.config, name) for name in _WORK)
    return same and _image_shape(config) == _image_shape(run.config)


def _image_shape(config: RunConfig) -> tuple[int, int, int] | None:
    """Return the shape of a data set's images, on which the work of a step depends; None if it is not known here."""
    try:
        return get_dataset_spec(config.dataset).image_shape
    except UnknownNameError:
        return None


def _seconds_per_image(mult_adds: int, device: str) -> float:
    speed = _GPU_MACS_PER_S.get(device) or _REACHED * _cpu_macs_per_second()
    return mult_adds * FORWARD_BACKWARD / speed + _OVERHEAD_S.get(device, _OVERHEAD_S["cpu"])


@cache
def _augment_seconds(name: str, device: str, image_shape: tuple[int, int, int]) -> float:
    """Measure an augmentation on this processor, seconds per image: the best of five batches. 0 on a GPU."""
    augment = build_augment(name)
    if augment is None or device != "cpu":
        return 0.0
    x_BCHW, generator = torch.zeros(_AUGMENT_BATCH, *image_shape), torch.Generator()
    return min(_timed(lambda: augment(x_BCHW, generator)) for _ in range(5)) / _AUGMENT_BATCH


def _timed(work: Callable[[], object]) -> float:
    """Return the processor time of all threads: the load by other processes is part of `slowdown`."""
    began = time.process_time()
    work()
    return max(time.process_time() - began, time.get_clock_info("process_time").resolution)


@cache
def _cpu_macs_per_second() -> float:
    """Measure the mult-adds per second of a 3×3 convolution of 64 channels: the best of five, some 60 ms in all."""
    x_BCHW = torch.ones(16, 64, 28, 28).to(memory_format=torch.channels_last)
    kernel = torch.ones(64, 64, 3, 3)
    work = 16 * 64 * 64 * 9 * 28 * 28
    with torch.inference_mode():
        return work / min(_timed(lambda: F.conv2d(x_BCHW, kernel, padding=1)) for _ in range(5))
