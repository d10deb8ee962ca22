"""One run on several devices of one machine: synchronous data parallelism, one process per device (Li et al., 2020).

Rank 0 is the run's worker with the whole engine; the other ranks only take steps on its commands. Every batch has the
same images in the same order as on one device. Each rank computes its share, weighted by the number of images, and the
gradients are summed before every rank applies the same update. Batch norm computes its statistics over the whole batch,
and dropout draws the mask of the whole batch on every rank, so losses equal those of one device within rounding. gloo
transfers the commands, and the gradients between CPUs; NCCL transfers the gradients between GPUs.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from lab.config import RunConfig
from lab.devices import is_out_of_memory
from lab.errors import TrainingError
from lab.training.batches import Batches
from lab.training.data import ResidentData
from lab.training.events import Notice
from lab.training.generators import Generators
from lab.training.losses import build_loss
from lab.training.optimizers import Optimizer, build_optimizer
from lab.training.session import Session, process_settings
from lab.training.step_buffer import StepResults
from lab.training.stepping import Stepper
from lab.training.team import Team
from lab.training.whole_batch import share_dropout, synchronise_batch_norm

_BEGIN, _STEP, _END = range(3)


def follow(config: RunConfig, *, network: nn.Module, data: ResidentData, device: torch.device, team: Team) -> None:
    """Take the steps that rank 0 commands, until it ends. The network's weights come from rank 0."""
    with process_settings(config, device):
        session = Session(config, network, data, device, steps=partial(ParallelSteps, team))
        session.view.train()
        steps = session.steps
        assert isinstance(steps, ParallelSteps)
        steps.follow()


class ParallelSteps:
    """The steps of one rank (`lab.training.steps.Steps`). On the other ranks, `follow` repeats the steps of rank 0."""

    def __init__(
        self,
        team: Team,
        config: RunConfig,
        network: nn.Module,
        view: nn.Module,
        batches: Batches,
        generators: Generators,
        device: torch.device,
    ) -> None:
        _check_batches(batches, team.size)
        synchronise_batch_norm(network)
        share_dropout(view, team)
        self._team, self._network, self._batches, self._generators = team, network, batches, generators
        runner = torch.compile(view, dynamic=False) if config.compile else view
        self._stepper = _SharedStepper(team, runner, config, build_optimizer(config, network), device)
        self._results: list[tuple[Tensor, int]] = []  # of each step: loss and hits over all ranks, number of images
        self._epoch: Iterator[tuple[Tensor, Tensor]] = iter(())
        self._rates: Iterator[float] = iter(())
        self._synced = False  # whether the other ranks have the weights

    @property
    def how(self) -> str:
        """How the steps are taken, and on how many devices."""
        return f"launched, on {self._team.size} devices"

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer, which is in the same state on every rank."""
        return self._stepper.optimizer

    def prepare(self) -> None:
        """Do nothing: the other ranks receive weights and state with the first epoch, when both are final."""

    def begin(self, order: Tensor, *, first: int, rates: np.ndarray) -> None:
        """Start an epoch on every rank, at batch `first` and in this order."""
        self._order(_BEGIN)
        state: dict[str, Any] = {
            "order": order.cpu(),
            "first": first,
            "rates": rates,
            "generators": self._generators.read(),
        }
        if not self._synced:
            state["network"] = _on_cpu(self._network.state_dict())
            state["optimizer"] = _on_cpu(self.optimizer.state())
            self._synced = True
        dist.broadcast_object_list([state], src=0, group=self._team.orders)
        self._begin(state)

    def step(self, *, measure_norm: bool) -> None:
        """Update every rank on its share of the next batch."""
        self._order(_STEP, int(measure_norm))
        self._step(measure_norm)

    def end(self) -> None:
        """Make `follow` return on the other ranks."""
        self._order(_END)

    def follow(self) -> None:
        """Execute the commands of rank 0 until it ends."""
        while True:
            what, measure = self._receive()
            if what == _END:
                return
            if what == _BEGIN:
                held: list[Any] = [None]
                dist.broadcast_object_list(held, src=0, group=self._team.orders)
                self._load(held[0])
                self._begin(held[0])
            else:
                self._step(bool(measure))
                self._results.clear()

    def _load(self, state: Mapping[str, Any]) -> None:
        self._generators.write(state["generators"])
        if "network" in state:
            with torch.no_grad():
                for name, own in self._network.state_dict().items():
                    own.copy_(state["network"][name])
            self.optimizer.load_state(state["optimizer"])

    def _begin(self, state: Mapping[str, Any]) -> None:
        self._epoch = self._batches.iterate(state["order"], state["first"], self._generators.augment)
        self._rates = iter(state["rates"].tolist())

    def _step(self, measure_norm: bool) -> None:
        x_BCHW, y_B = next(self._epoch)
        self.optimizer.set_lr(next(self._rates))
        self._stepper.step(x_BCHW, y_B, measure_norm=measure_norm)
        self._results.append((self._stepper.totals, len(y_B)))

    def _order(self, what: int, measure: int = 0) -> None:
        dist.broadcast(torch.tensor([what, measure]), src=0, group=self._team.orders)

    def _receive(self) -> tuple[int, int]:
        order = torch.empty(2, dtype=torch.int64)
        dist.broadcast(order, src=0, group=self._team.orders)
        what, measure = order.tolist()
        return what, measure

    def drain(self) -> StepResults:
        """Return loss and hits of the whole batches since the last call; waits for the device."""
        totals = torch.stack([totals for totals, _ in self._results]).cpu().double().numpy()
        images = np.array([count for _, count in self._results], dtype=np.int64)
        self._results.clear()
        return StepResults(totals[:, 0], totals[:, 1].astype(np.int64), images)

    def gradient_norm(self) -> float | None:
        """Return the latest measured norm, or None; waits for the device."""
        norm = self._stepper.grad_norm
        return None if norm is None else float(norm)

    def notices(self) -> list[Notice]:
        """Return no notices: a batch that does not fit into memory ends the run instead of being halved."""
        return []

    def new_recording(self) -> None:
        """Return None: launched steps are not recorded."""

    def state(self) -> dict[str, Any]:
        """Return an empty state: the steps have none except the optimizer's."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Do nothing; see `state`."""


class _SharedStepper(Stepper):
    """Computes one rank's share of a batch. `totals`: the latest batch's loss and hits over all ranks, on device."""

    def __init__(
        self,
        team: Team,
        network: Callable[[Tensor], Any],
        config: RunConfig,
        optimizer: Optimizer,
        device: torch.device,
    ) -> None:
        super().__init__(network, build_loss(config), optimizer, config, device)
        self._team = team
        self.totals = torch.empty(2)

    def _differentiate(self, x_BCHW: Tensor, y_B: Tensor) -> tuple[Tensor, Tensor]:
        """Run forward and backward on this rank's share, then sum the results over all ranks."""
        self.optimizer.zero_grad()
        self._team.images = len(y_B)
        own = self._team.share(len(y_B))
        share = (own.stop - own.start) / len(y_B)
        try:
            loss, logits = self._backward(x_BCHW[own], y_B[own], share)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            count = own.stop - own.start
            raise TrainingError(
                f"A share of {count} {'image' if count == 1 else 'images'} does not fit into the memory of each device: "
                "choose a smaller batch or more devices."
            ) from error
        hits = (logits.argmax(1) == y_B[own]).sum()
        self.totals = self._add_up(torch.stack([loss * share, hits.to(loss.dtype)]))
        return self.totals[0], logits

    def _add_up(self, totals: Tensor) -> Tensor:
        """Sum all gradients and these numbers over the ranks in one message."""
        parameters = self.optimizer.parameters
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([totals.float(), *(gradient.reshape(-1) for gradient in gradients)])
        dist.all_reduce(flat)
        done = len(totals)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            end = done + gradient.numel()
            if parameter.grad is not None:
                parameter.grad.copy_(flat[done:end].view_as(gradient))
            done = end
        return flat[: len(totals)]


def _check_batches(batches: Batches, ranks: int) -> None:
    """Raise `TrainingError` for a batch with fewer images than there are devices."""
    least = min(batches.size_of(0), batches.size_of(batches.steps_per_epoch - 1))
    if least < ranks:
        raise TrainingError(
            f"The smallest batch has size {least}, but there are {ranks} devices: "
            "choose fewer devices or another batch size."
        )


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}
