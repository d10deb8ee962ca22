"""Steps of gradient descent on a copy of a run's network, and what each of them changes. Imports torch.

A step is the engine's own (`lab.training.stepping`), on one batch that stays the same, or on the run's next one. With
the run's batch size, learning rate and optimizer, the first step before training is therefore the run's first step, bit
for bit, unless the run augments its images or warms up its learning rate; with its next batches, so are the following
ones, as long as its learning rate is constant. Losses and predictions are measured as in an evaluation, except
that batch norm uses the statistics of the measured images, as in training: its running averages lag behind. Nothing but
the copy is changed, torch's global generator included.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from lab.architectures.shapes import prepare_meta
from lab.config import RunConfig
from lab.data.load import Dataset
from lab.errors import InputError
from lab.inspection.gradients import relative_change, weight_layers
from lab.inspection.kernels import list_convolutions
from lab.inspection.metrics import score_logits, softmax
from lab.loaded_network import LoadedNetwork
from lab.seeding import build_generator
from lab.service.training_batch import TrainingOrder, drawing_from, first_training_images
from lab.service.update_rules import PLAIN, plain_sgd
from lab.training.batches import normalise
from lab.training.data import to_device
from lab.training.kernels import to_channels_last
from lab.training.layout import build_view
from lab.training.losses import build_loss
from lab.training.optimizers import Optimizer, build_optimizer
from lab.training.stepping import Stepper

SHOWN_FILTERS = 16  # of each convolution; copies of all weights would take gigabytes for a VGG
_CPU = torch.device("cpu")
BatchOf: TypeAlias = Callable[[int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, slots=True, eq=False)
class StepImages:
    """The images of a step: its batch, and others on which only the loss is measured.

    Images are uint8 (N, H, W) or (N, C, H, W), labels int64 (N,).
    """

    batch_x: np.ndarray
    batch_y: np.ndarray
    other_x: np.ndarray
    other_y: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class StepPoint:
    """What the network computes after some steps, for the batch of the last one and for other images.

    loss, other_loss: the run's loss, of the batch and of the other images; loss_before: of the batch before the step.
    correct: images of the batch; other_correct: share of the others. predicted: class of each image of the batch (B,),
    -1 if its logits are not finite. share, share_before: probability of its true class after and before the step (B,).
    Before the first step, both are the same.
    """

    loss_before: float
    loss: float
    other_loss: float
    other_correct: float
    predicted: np.ndarray
    share_before: np.ndarray
    share: np.ndarray
    correct: int

    @property
    def finite(self) -> bool:
        """Whether all losses are finite."""
        return bool(np.isfinite([self.loss_before, self.loss, self.other_loss]).all())


@dataclass(frozen=True, slots=True)
class LayerUpdate:
    """The last step's change of one layer's weights relative to their size, |Δw| / |w| in the 2-norm."""

    layer: str
    relative: float


@dataclass(frozen=True, slots=True, eq=False)
class KernelStep:
    """The last step of one convolution: float32 (F, C, H, W) of its first `SHOWN_FILTERS` filters.

    filters: number of all filters. channel: the input channel with the largest gradient in the first step. followed: in
    it, row and column of each filter's weight with the largest gradient in the first step, (F, 2). Before the first
    step, the gradient is zero.
    """

    layer: str
    before: np.ndarray
    gradient: np.ndarray
    after: np.ndarray
    filters: int
    channel: int
    followed: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class StepsTaken:
    """A sequence of steps: a point before the first and after each step, and the changes made by the last one.

    images: of the last step, before the first one those that it will take. kernels: by layer. diverged: whether a loss was not finite after the last step; no step follows then. batch_norm,
    dropout: whether the network has such layers.
    """

    images: StepImages
    points: tuple[StepPoint, ...]
    updates: tuple[LayerUpdate, ...]
    kernels: Mapping[str, KernelStep]
    diverged: bool
    batch_norm: bool
    dropout: bool

    @property
    def steps(self) -> int:
        """Number of steps taken, smaller than requested if the sequence diverged."""
        return len(self.points) - 1


def choose_images(config: RunConfig, dataset: Dataset, *, images: int, others: int, sample: bool = False) -> StepImages:
    """Return the first `images` training images of the run's first epoch and the first `others` test images.

    sample: whether the data set is only a sample (`lab.service.training_batch.first_training_images`).
    """
    batch = first_training_images(config, dataset.train_labels, images=images, sample=sample)
    return StepImages(
        dataset.train_images[batch],
        dataset.train_labels[batch],
        dataset.test_images[:others],
        dataset.test_labels[:others],
    )


def following_batches(config: RunConfig, dataset: Dataset, *, images: int, sample: bool = False) -> BatchOf:
    """Return the function from a number to that batch (images, labels) of the run; number 0 is `choose_images`'."""
    order = TrainingOrder(config, dataset.train_labels, size=images, sample=sample)

    def batch_of(number: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = order.batch(number)
        return dataset.train_images[chosen], dataset.train_labels[chosen]

    return batch_of


class _Measured(NamedTuple):
    """What the network computes for a batch, as in `StepPoint`."""

    loss: float
    predicted: np.ndarray
    share: np.ndarray
    correct: int


class StepSequence:
    """Takes steps on one network, which it owns and changes, and measures what they do."""

    def __init__(
        self, loaded: LoadedNetwork, images: StepImages, *, rule: str, lr: float, following: BatchOf | None = None
    ) -> None:
        """Measure the network before the first step. loaded: not shared with anyone.

        following: the batch of each step after the first by its number, None if all steps take the first one's.

        Raises `InputError` if the network's outputs are not finite.
        """
        config = loaded.run.config
        self._network, self._images, self._channels_last = loaded.network, images, config.channels_last
        if config.channels_last:
            loaded.network.to(memory_format=torch.channels_last)
        self._view, self._loss = build_view(loaded.network), build_loss(config)
        taken = plain_sgd(config) if rule == PLAIN else config.replace(precision="float32", compile=False)
        self._plain_lr = lr if rule == PLAIN else None
        optimizer = _no_optimizer(loaded.network) if rule == PLAIN else _fresh_optimizer(taken, loaded.network, lr)
        self._stepper = Stepper(self._view, self._loss, optimizer, taken, _CPU)
        self._following, self._mean, self._std = following, loaded.mean, loaded.std
        self._batch = self._tensors(images.batch_x, images.batch_y)
        self._others = self._tensors(images.other_x, images.other_y)
        self._generator = build_generator(config.seed, "training").get_state()
        self._updates = tuple(LayerUpdate(name, 0.0) for name, _ in self._weights())
        self._kernels = {name: _unchanged(name, weight) for name, weight in self._convolutions()}
        self._points = [self._point(self._measure(self._batch))]
        if not self._points[0].finite:
            raise InputError(
                "The loss of these images is not finite because the training diverged. Choose an earlier epoch."
            )

    @property
    def steps(self) -> int:
        """Number of steps taken."""
        return len(self._points) - 1

    @property
    def bytes(self) -> int:
        """Memory of weights, gradients and the optimizer's state."""
        weights = sum(p.numel() * p.element_size() for p in self._network.parameters())
        return 2 * weights + sum(t.numel() * t.element_size() for t in self._stepper.optimizer.state().values())

    def ahead(self, steps: int) -> int:
        """Return how many more steps `advance` would take; negative if more than `steps` are taken already."""
        return min(0, steps - self.steps) if self._diverged else steps - self.steps

    def advance(self, steps: int) -> StepsTaken:
        """Take steps until `steps` are taken or a value is not finite, and return the sequence."""
        while self.steps < steps and not self._diverged:
            before = self._take_batch()
            self._step()
            self._points.append(self._point(before))
        modules = tuple(self._network.modules())
        return StepsTaken(
            self._images,
            tuple(self._points),
            self._updates,
            dict(self._kernels),
            diverged=self._diverged,
            batch_norm=any(isinstance(module, _BatchNorm) for module in modules),
            dropout=any(isinstance(module, _DropoutNd) for module in modules),
        )

    @property
    def _diverged(self) -> bool:
        return not self._points[-1].finite

    def _tensors(self, images_u8: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
        x_BCHW = normalise(to_device(images_u8, _CPU), mean=self._mean, std=self._std)
        return to_channels_last(x_BCHW) if self._channels_last else x_BCHW, torch.from_numpy(labels)

    def _take_batch(self) -> _Measured:
        """Take the batch of the next step, and return what the network computes for it before the step."""
        last = self._points[-1]
        if self._following is None or not self.steps:
            return _Measured(last.loss, last.predicted, last.share, last.correct)
        batch_x, batch_y = self._following(self.steps)
        self._images = replace(self._images, batch_x=batch_x, batch_y=batch_y)
        self._batch = self._tensors(batch_x, batch_y)
        return self._measure(self._batch)

    def _weights(self) -> list[tuple[str, Tensor]]:
        """Return the trained weights by layer: no biases, no scales of norms."""
        return [(name, w.detach()) for name, w in weight_layers(self._network).items() if w.requires_grad]

    def _convolutions(self) -> list[tuple[str, Tensor]]:
        return [(name, _weight_of(self._network, name)) for name in list_convolutions(self._network)]

    def _step(self) -> None:
        before = {name: weight.clone() for name, weight in self._weights()}
        kernels = {name: _copied(weight) for name, weight in self._convolutions()}
        self._view.train()
        with drawing_from(self._generator), torch.enable_grad():
            self._stepper.step(*self._batch)
            self._generator = torch.get_rng_state()
        if self._plain_lr is not None:
            _descend(self._stepper.optimizer.parameters, self._plain_lr)
        self._updates = tuple(LayerUpdate(n, relative_change(weight, before[n])) for n, weight in self._weights())
        first = not self.steps
        for name, weight in self._convolutions():
            self._kernels[name] = _stepped(self._kernels[name], kernels[name], weight, first=first)

    def _point(self, before: _Measured) -> StepPoint:
        """Measure the network after a step. before: what it computed for the step's batch before it."""
        after, others = self._measure(self._batch), self._measure(self._others)
        return StepPoint(
            before.loss,
            after.loss,
            others.loss,
            others.correct / max(1, len(others.predicted)),
            after.predicted,
            before.share,
            after.share,
            after.correct,
        )

    def _measure(self, images: tuple[Tensor, Tensor]) -> _Measured:
        x_BCHW, y_B = images
        loss, logits = self._evaluate(x_BCHW, y_B)
        answers = score_logits(logits, y_B.numpy())
        shares = softmax(np.where(answers.answered[:, None], logits, np.nan))[np.arange(len(logits)), y_B.numpy()]
        return _Measured(loss, answers.predicted, shares, int(answers.right.sum()))

    @torch.no_grad()
    def _evaluate(self, x_BCHW: Tensor, y_B: Tensor) -> tuple[float, np.ndarray]:
        """Return the loss and the logits float64 (N, K), without a change to batch norm's running averages."""
        self._view.eval()
        for module in self._view.modules():
            if isinstance(module, _BatchNorm):
                module.train()
        buffers = {name: buffer.clone() for name, buffer in self._view.named_buffers()}
        logits_BK: Tensor = torch.func.functional_call(self._view, buffers, (x_BCHW,))
        return float(self._loss(logits_BK, y_B)), logits_BK.double().numpy()


def _no_optimizer(network: nn.Module) -> Optimizer:
    """Return an optimizer that only clears gradients: the update of plain SGD is `_descend`."""
    optimizer = Optimizer([], {})
    optimizer.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return optimizer


def _fresh_optimizer(config: RunConfig, network: nn.Module, lr: float) -> Optimizer:
    prepare_meta()  # imports TorchDynamo in one thread
    optimizer = build_optimizer(config, network)
    optimizer.set_lr(lr)
    return optimizer


@torch.no_grad()
def _descend(parameters: list[nn.Parameter], lr: float) -> None:
    """Subtract the learning rate times the gradient from every parameter, rounded in this order (fused SGD is not)."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.sub_(lr * parameter.grad)


def _weight_of(network: nn.Module, layer: str) -> Tensor:
    weight = network.get_submodule(layer).weight
    assert isinstance(weight, nn.Parameter)
    return weight


def _copied(weight: Tensor | None) -> np.ndarray:
    return np.zeros(0) if weight is None else weight.detach()[:SHOWN_FILTERS].numpy().copy()


def _unchanged(layer: str, weight: Tensor) -> KernelStep:
    now = _copied(weight)
    return KernelStep(layer, now, np.zeros_like(now), now, len(weight), 0, np.zeros((len(now), 2), np.int64))


def _stepped(last: KernelStep, before: np.ndarray, weight: Tensor, *, first: bool) -> KernelStep:
    """Return a convolution's step. first: whether it is the sequence's first, which chooses the followed weights."""
    gradient = np.zeros_like(before) if weight.grad is None else _copied(weight.grad)  # a frozen layer has none
    channel, followed = last.channel, last.followed
    if first:
        strength = np.nan_to_num(np.abs(gradient)).astype(np.float64)
        channel = int(strength.sum((0, 2, 3)).argmax())
        places = strength[:, channel].reshape(len(before), -1).argmax(1)
        followed = np.stack(np.unravel_index(places, before.shape[2:]), axis=1)
    return KernelStep(last.layer, before, gradient, _copied(weight), last.filters, channel, followed)
