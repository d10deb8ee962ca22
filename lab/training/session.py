"""The state of a run in training: network, data, steps, random generators and progress; saving and restoring it."""

import contextlib
import copy
import itertools
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lab.config import RunConfig
from lab.config.steps import run_steps
from lab.devices import describe_device, keep_big_blocks, numbered_device, reset_peak_memory
from lab.errors import TrainingError
from lab.seeding import derive_seed, seed_everything
from lab.training.augment import build_augment
from lab.training.batches import Batches, fitting_batch_size, normalise
from lab.training.checkpoint import Checkpoint, copy_state
from lab.training.data import ResidentData
from lab.training.evaluation import Evaluation, Forward
from lab.training.events import Notice
from lab.training.generators import Generators
from lab.training.layout import build_view
from lab.training.losses import build_loss
from lab.training.progress import Progress
from lab.training.samples import Answer, most_probable, sample_images
from lab.training.static_evaluation import RepeatedEvaluation
from lab.training.step_choice import StepKind, StepsBuilder, build_steps
from lab.training.stepping import autocast_dtype

_INITIAL_IMAGES = 2_000  # for networks that initialise weights from data
_BITS_DEPEND_ON = ("threads", "torch", "device", "name", "channels_last", "compile", "matmul", "steps")
_ASSUMED = {"matmul": "highest", "steps": "launched"}  # for checkpoints that do not record them


def initialise(network: nn.Module, data: ResidentData) -> None:
    """Initialise weights from training images, for networks that define `initialise_from_data`."""
    prepare: Callable[[Tensor], None] | None = getattr(network, "initialise_from_data", None)
    if prepare:
        prepare(normalise(data.train_x[:_INITIAL_IMAGES], mean=data.mean, std=data.std))


class Clock:
    """Measures the seconds of the engine's own work; stopped while events are handled."""

    def __init__(self) -> None:
        self._before = 0.0
        self._since = time.perf_counter()

    def read(self) -> float:
        """Return the seconds so far."""
        return self._before + time.perf_counter() - self._since

    def set(self, seconds: float) -> None:
        """Continue from this reading."""
        self._before, self._since = seconds, time.perf_counter()


class Session:
    """One run's state on its device. The network is trained in place."""

    def __init__(
        self,
        config: RunConfig,
        network: nn.Module,
        data: ResidentData,
        device: torch.device,
        *,
        steps: StepKind | StepsBuilder = StepKind.AUTO,
    ) -> None:
        if not len(data.train_y):
            raise TrainingError("There are no images to train on: raise train_limit or lower val_fraction.")
        seed_everything(derive_seed(config.seed, "training"))  # dropout
        self.config, self.network, self.data, self.device = config, network, data, device
        self.channels_last = config.channels_last and device.type in ("cpu", "cuda")
        if self.channels_last:
            network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        else:
            network.to(device)
        self.view = build_view(network)
        self.loss = build_loss(config)
        self.eval_chunk = config.eval_batch_size
        batches = Batches(
            data.train_x,
            data.train_y,
            mean=data.mean,
            std=data.std,
            batch_size=config.batch_size,
            augment=build_augment(config.augment),
            channels_last=self.channels_last,
        )
        self.steps_per_epoch = batches.steps_per_epoch
        self.total_steps = run_steps(config, self.steps_per_epoch)
        self._check_single_images()
        self.progress = Progress()
        self.clock = Clock()
        self.generators = Generators(device)
        self.generators.seed_epoch(config.seed, 0)
        self.best: dict[str, Tensor] = {}
        build = partial(build_steps, kind=steps) if isinstance(steps, StepKind) else steps
        self.steps = build(config, network, self.view, batches, self.generators, device)
        self._forward = Forward(self.view, data.mean, data.std, autocast_dtype(config), self.channels_last)
        self._evaluations = {
            name: RepeatedEvaluation(name, self._forward, x_u8, y, self.loss, self.steps.new_recording)
            for name, x_u8, y in (("val", data.val_x, data.val_y), ("test", data.test_x, data.test_y))
        }
        self.samples = list(sample_images(data.test_y.cpu().numpy()))  # indices into the test set
        self._samples_x = data.test_x[self.samples]

    @torch.no_grad()
    def _check_single_images(self) -> None:
        """Raise `TrainingError` if there is a batch of one image and the network cannot be trained on it.

        This is tested on the meta device, so that no weight, batch norm average or generator changes.
        """
        images, batch = len(self.data.train_y), self.config.batch_size
        first = 1 if batch == 1 else self.steps_per_epoch if images % batch == 1 else math.inf
        if self.total_steps < first:
            return
        tensors = itertools.chain(self.view.named_parameters(), self.view.named_buffers())
        state = {name: tensor.to("meta") for name, tensor in tensors}
        x_BCHW = torch.empty(1, *self.data.train_x.shape[1:], device="meta")
        self.view.train()
        try:
            torch.func.functional_call(self.view, state, x_BCHW)
        except ValueError as error:
            where = "Every batch" if batch == 1 else f"The last batch of an epoch ({images:,} images by {batch})"
            size = f"choose another batch size, such as {fitting_batch_size(images, max(batch, 2))}"
            raise TrainingError(
                f"{where} has one image, which this network cannot be trained on ({error}): "
                f"{size if images > 1 else 'raise train_limit or lower val_fraction'}."
            ) from error

    def prepare(self) -> None:
        """Prepare for taking steps, after a checkpoint was restored."""
        self.view.train()
        self.steps.prepare()

    def evaluate(self, name: str, *, limit: int | None = None, before_chunk: Callable[[], None]) -> Evaluation:
        """Evaluate on "val" or "test", or the first `limit` images of it."""
        result = self._evaluations[name].evaluate(self.eval_chunk, limit=limit, before_chunk=before_chunk)
        self.eval_chunk = result.chunk  # from now on, the largest chunk that fitted into memory
        return result

    def answer_samples(self) -> tuple[Answer, ...]:
        """Return the network's predictions for the sample images; waits for the device."""
        if not self.samples:
            return ()
        chunk = self._forward.resolve_chunk(self.eval_chunk, self._samples_x.shape[1:], self.device)
        parts, self.eval_chunk = self._forward.chunks(self._samples_x, chunk, before_chunk=lambda: None)
        return most_probable(torch.cat(parts).cpu().numpy())

    def notices(self) -> list[Notice]:
        """Return and clear the notices of steps and evaluations since the last call."""
        found = self.steps.notices()
        for evaluation in self._evaluations.values():
            found += evaluation.notices
            evaluation.notices = []
        return found

    def save_best(self) -> None:
        """Copy the current weights as those of the best epoch so far."""
        self.best = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}

    def restore_best(self) -> None:
        """Load the weights of the best epoch into the network."""
        copy_state(self.network, self.best)

    def environment(self) -> dict[str, Any]:
        """Return the conditions that affect results at the bit level, in addition to the configuration."""
        return {
            **describe_device(self.device),
            "matmul": torch.get_float32_matmul_precision(),
            "steps": self.steps.how,
        }

    def _conditions(self) -> dict[str, Any]:
        """Return the environment and the engine's settings, which may differ between a run and its continuation."""
        engine = {"channels_last": self.channels_last, "compile": self.config.compile}
        same = {"device": numbered_device(str(self.device)), "steps": self.steps.how.split(",")[0]}
        return {**self.environment(), **engine, **same}

    def checkpoint(self) -> Checkpoint:
        """Return the current state; its tensors are not copied."""
        self.progress.seconds = self.clock.read()
        return Checkpoint(
            progress=copy.deepcopy(self.progress),
            model=self.network.state_dict(),
            optimizer=self.steps.optimizer.state(),
            rng=self.generators.read(),
            best=self.best,
            environment={**self._conditions(), **self.steps.state()},
        )

    def restore(self, saved: Checkpoint) -> None:
        """Restore the state from a checkpoint. Raises `ArtifactError`."""
        copy_state(self.network, saved.model)
        self.steps.optimizer.load_state(saved.optimizer)
        self.steps.load_state(saved.environment)
        self.best = {name: tensor.to(self.device) for name, tensor in saved.best.items()}
        self.progress = copy.deepcopy(saved.progress)
        self.clock.set(saved.progress.seconds)
        if str(saved.environment.get("device")).partition(":")[0] == self.device.type:
            self.generators.write(saved.rng)
        else:  # generator states of one kind of device cannot be loaded on another
            torch.set_rng_state(saved.rng["cpu"])
            self.generators.seed_epoch(self.config.seed, self.progress.epoch)

    def changed_conditions(self, resumed: Checkpoint) -> list[Notice]:
        """Return a notice if conditions have changed since the checkpoint so that results may differ."""
        saved, now = {**_ASSUMED, **resumed.environment}, self._conditions()
        if "device" in saved:
            saved["device"] = numbered_device(str(saved["device"]))  # "cuda" in checkpoints of 0.2.0
        changed = [f"{k} {saved[k]} is now {now[k]}" for k in _BITS_DEPEND_ON if k in saved and saved[k] != now[k]]
        if not changed:
            return []
        text = (
            f"The run was resumed under different conditions ({'; '.join(changed)}): "
            "its results may differ in the last bits."
        )
        return [Notice("not-bit-exact", text)]

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the clock and restore the random generators around the handling of an event."""
        seconds, states = self.clock.read(), self.generators.read()
        yield
        self.generators.write(states)
        self.clock.set(seconds)


@contextlib.contextmanager
def process_settings(config: RunConfig, device: torch.device) -> Iterator[None]:
    """Apply torch's process-wide settings, and restore them afterwards."""
    if device.type == "cpu":
        keep_big_blocks()
    reset_peak_memory(device)
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = (cudnn.benchmark, cudnn.deterministic, torch.are_deterministic_algorithms_enabled())
    cudnn.benchmark, cudnn.deterministic = not config.deterministic, config.deterministic
    torch.use_deterministic_algorithms(config.deterministic)
    try:
        with matmul_as_cudnn(), _unfilled():
            yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before[:2]
        torch.use_deterministic_algorithms(before[2])


@contextlib.contextmanager
def _unfilled() -> Iterator[None]:
    """Let deterministic algorithms leave new memory as it is; filling it takes two fifths more kernels per step.

    It would make a program deterministic that reads memory before writing it, which no step does.
    """
    before = torch._C._get_deterministic_fill_uninitialized_memory()  # torch.utils.deterministic, which is untyped
    torch._C._set_deterministic_fill_uninitialized_memory(False)
    try:
        yield
    finally:
        torch._C._set_deterministic_fill_uninitialized_memory(before)


@contextlib.contextmanager
def matmul_as_cudnn() -> Iterator[None]:
    """Compute float32 matrix products in TF32, which cuDNN uses for convolutions by default."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
