"""The training loop on small networks with known results."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from lab.config import RunConfig
from lab.errors import TrainingError
from lab.metrics import Cadence, Measurement, MetricSpec, Quantity, Split, Unit, register_metric, unregister_metric
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Command, Ended, Evaluated, Event, Snapshot, Started, StepMetrics
from lab.training.schedules import compute_lr
from lab.training.session import Session
from tests.training.training_nets import LinearNet, StuckNet, build_data

CPU = torch.device("cpu")
Build = Callable[[], nn.Module]


def config(**settings: object) -> RunConfig:
    return RunConfig(**{"batch_size": 16, "epochs": 2, "val_fraction": 0.2, **settings})


def run(network: nn.Module, data: ResidentData, settings: RunConfig, **rest: object) -> list[Event]:
    return list(train(settings, network=network, data=data, device=CPU, **rest))


def steps_of(events: list[Event]) -> tuple[np.ndarray, np.ndarray]:
    reported = [e for e in events if isinstance(e, StepMetrics)]
    return np.concatenate([e.step for e in reported]), np.concatenate([e.loss for e in reported])


def epochs_of(events: list[Event]) -> list[Evaluated]:
    return [e for e in events if isinstance(e, Evaluated) and e.epoch_end]


def after(steps: int, command: Command) -> Callable[[], Command]:
    """Return a function that gives this command once `steps` + 1 steps are taken, if no epoch has ended."""
    commands = iter([Command.RUN] * (steps + 3))  # the first two polls precede the evaluations of two sets

    return lambda: next(commands, command)


def test_events_are_in_order_and_every_step_is_reported_once(data: ResidentData, small_net: Build) -> None:
    events = run(small_net(), data, config())
    assert isinstance(events[0], Started)
    assert (events[0].total_steps, events[0].steps_per_epoch) == (12, 6)
    assert steps_of(events)[0].tolist() == list(range(1, 13))
    names = [e.kind if isinstance(e, Snapshot) else type(e).__name__ for e in events if not isinstance(e, StepMetrics)]
    assert names == ["Started", "Evaluated", *["Evaluated", "weights", "checkpoint"] * 2, "Ended"]
    assert [e.step for e in events if isinstance(e, Evaluated)] == [0, 6, 12]
    assert [e.epoch for e in events if isinstance(e, Evaluated)] == [0, 1, 2]


def test_the_first_loss_of_zero_weights_is_log_k(data: ResidentData, linear_net: Build) -> None:
    events = run(linear_net(), data, config(epochs=1))
    assert steps_of(events)[1][0] == pytest.approx(math.log(3), rel=1e-6)
    first = next(e for e in events if isinstance(e, Evaluated))
    assert first.metrics["val/loss"] == pytest.approx(math.log(3), rel=1e-6)
    assert first.metrics["test/loss"] == pytest.approx(math.log(3), rel=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_two_sgd_steps_on_a_linear_model_equal_the_closed_form(data: ResidentData, momentum: float) -> None:
    """Softmax regression: the gradient is X^T (softmax - onehot) / B. One batch has all images, in file order."""
    network = LinearNet()
    settings = config(optimizer="sgd", lr=0.05, momentum=momentum, batch_size=90, shuffle=False)
    run(network, data, settings)
    x = ((data.train_x.double() / 255 - data.mean) / data.std).flatten(1)
    one_hot = nn.functional.one_hot(data.train_y, 3).double()
    weight, bias = torch.zeros(3, 64, dtype=torch.double), torch.zeros(3, dtype=torch.double)
    speed_w, speed_b = torch.zeros_like(weight), torch.zeros_like(bias)
    for _ in range(2):
        error = ((x @ weight.T + bias).softmax(1) - one_hot) / 90
        speed_w, speed_b = momentum * speed_w + error.T @ x, momentum * speed_b + error.sum(0)
        weight, bias = weight - 0.05 * speed_w, bias - 0.05 * speed_b
    assert torch.allclose(network[1].weight.double(), weight, atol=1e-6)
    assert torch.allclose(network[1].bias.double(), bias, atol=1e-6)


def test_the_metrics_of_an_epoch_are_the_means_of_its_steps(data: ResidentData, small_net: Build) -> None:
    events = run(small_net(), data, config(epochs=1))
    _, loss = steps_of(events)
    images = np.array([16, 16, 16, 16, 16, 10])
    assert epochs_of(events)[0].metrics["train/loss"] == pytest.approx((loss * images).sum() / 90, rel=1e-9)
    reported = {
        "train/loss",
        "train/accuracy",
        "val/loss",
        "val/accuracy",
        "test/loss",
        "test/accuracy",
        "lr",
        "grad_norm",
    }
    assert epochs_of(events)[0].metrics.keys() == reported | {"images_per_second", "memory_mb"}


def test_the_gradient_norm_is_that_of_the_last_step(data: ResidentData) -> None:
    settings = config(optimizer="sgd", momentum=0.0, lr=0.01, batch_size=90, epochs=1, shuffle=False)
    network = LinearNet()
    norm = epochs_of(run(network, data, settings))[0].metrics["grad_norm"]
    moved = torch.cat([p.detach().flatten() for p in network.parameters()]).norm()  # from zero, by lr times gradient
    assert norm == pytest.approx(moved.item() / 0.01, rel=1e-5)


def test_clipping_shortens_the_step_to_its_limit(data: ResidentData) -> None:
    settings = config(optimizer="sgd", momentum=0.0, lr=1.0, batch_size=90, epochs=1, grad_clip=0.01)
    network = LinearNet()
    assert epochs_of(run(network, data, settings))[0].metrics["grad_norm"] > 0.01  # measured before clipping
    moved = torch.cat([p.detach().flatten() for p in network.parameters()]).norm()
    assert moved.item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize(("patience", "epochs"), [(1, 2), (3, 4)])
def test_a_loss_that_never_falls_ends_training_after_patience_epochs(
    data: ResidentData, patience: int, epochs: int
) -> None:
    events = run(StuckNet(), data, config(epochs=9, patience=patience))
    assert len(epochs_of(events)) == epochs
    assert isinstance(events[-1], Ended)
    assert events[-1].outcome == "early-stopped"
    assert events[-1].summary["best_epoch"] == 1


def test_a_decrease_smaller_than_min_delta_does_not_count(data: ResidentData) -> None:
    slow = config(epochs=9, patience=2, optimizer="sgd", momentum=0.0, lr=1e-4)
    assert len(epochs_of(run(LinearNet(), data, slow))) == 9
    assert len(epochs_of(run(LinearNet(), data, slow.replace(min_delta=0.1)))) == 3


def test_restoring_the_best_ends_with_the_lowest_validation_loss(data: ResidentData, small_net: Build) -> None:
    network = small_net()
    saved: dict[int, torch.Tensor] = {}
    events = []
    for event in train(config(epochs=6, lr=1.0, restore_best=True, seed=3), network=network, data=data, device=CPU):
        events.append(event)
        if isinstance(event, Snapshot) and event.kind == "weights":
            saved[event.epoch] = network[0].weight.detach().clone()
    losses = [e.metrics["val/loss"] for e in epochs_of(events)]
    best = int(np.argmin(losses)) + 1
    assert best != 6, "the case proves nothing if the last epoch is the best"
    summary = events[-1].summary
    assert (summary["best_epoch"], summary["final_epoch"]) == (best, best)
    assert summary["val_loss"] == min(losses)
    assert torch.equal(network[0].weight, saved[best])


def test_validation_within_epochs_happens_every_n_steps(data: ResidentData, small_net: Build) -> None:
    events = run(small_net(), data, config(eval_every=4))
    reported = [(e.step, e.epoch_end) for e in events if isinstance(e, Evaluated)]
    assert reported == [(0, False), (4, False), (6, True), (8, False), (12, True)]
    between = next(e for e in events if isinstance(e, Evaluated) and e.step == 4)
    assert between.metrics.keys() == {"val/loss", "val/accuracy"}


def test_validating_more_often_does_not_change_the_weights(data: ResidentData, small_net: Build) -> None:
    often, rarely = small_net(), small_net()
    run(often, data, config(eval_every=1))
    run(rarely, data, config())
    assert all(torch.equal(a, b) for a, b in zip(often.state_dict().values(), rarely.state_dict().values()))


def test_an_epoch_that_a_step_limit_ends_is_reported_like_a_complete_one(data: ResidentData, small_net: Build) -> None:
    events = run(small_net(), data, config(max_steps=8))
    assert [(e.step, e.epoch) for e in epochs_of(events)] == [(6, 1), (8, 2)]
    assert (events[-1].outcome, events[-1].step) == ("finished", 8)
    assert (events[-1].summary["final_epoch"], events[-1].summary["epochs"]) == (2, 2)
    assert events[-1].summary["test_loss"] == epochs_of(events)[-1].metrics["test/loss"]


def test_without_a_validation_set_the_last_epoch_is_the_best(small_net: Build) -> None:
    events = run(small_net(), build_data(val=0), config(val_fraction=0.0))
    assert "val/loss" not in epochs_of(events)[0].metrics
    assert events[-1].summary["best_epoch"] == events[-1].summary["final_epoch"] == 2


@pytest.mark.parametrize(("command", "outcome"), [(Command.PAUSE, "paused"), (Command.STOP, "stopped")])
def test_a_command_is_obeyed_before_the_next_step(
    data: ResidentData, small_net: Build, command: Command, outcome: str
) -> None:
    events = run(small_net(), data, config(), command=after(3, command))
    assert isinstance(events[-1], Ended)
    assert events[-1].outcome == outcome
    assert steps_of(events)[0][-1] == events[-1].step
    assert events[-1].step < 6
    assert [e.kind for e in events if isinstance(e, Snapshot)][-1] == "checkpoint"
    assert any(isinstance(e, Snapshot) and e.kind == "weights" for e in events) == (command is Command.STOP)


@pytest.mark.parametrize("polls", range(18))
def test_the_summary_of_a_stopped_run_has_the_epoch_of_its_metrics(
    data: ResidentData, small_net: Build, polls: int
) -> None:
    """Stopped before any step, between any two steps, between two sets of an evaluation."""
    events = run(small_net(), data, config(), command=after(polls - 3, Command.STOP))
    summary, whole = events[-1].summary, epochs_of(events)
    assert summary.get("final_epoch", 0) == summary.get("best_epoch", 0) == len(whole)
    assert summary.get("test_loss") == (whole[-1].metrics["test/loss"] if whole else None)


def test_event_handlers_cannot_disturb_the_random_numbers(data: ResidentData, small_net: Build) -> None:
    quiet, disturbed = small_net(), small_net()
    run(quiet, data, config(seed=2))
    for _ in train(config(seed=2), network=disturbed, data=data, device=CPU):
        torch.manual_seed(0)
        torch.rand(100)
    assert all(torch.equal(a, b) for a, b in zip(quiet.state_dict().values(), disturbed.state_dict().values()))


def test_softmax_before_nll_learns_worse_than_log_softmax(data: ResidentData) -> None:
    """A common mistake: gradients are multiplied by probabilities, so the loss stays high."""
    accuracy = {}
    for output in ("softmax", "log-softmax"):
        network = LinearNet()
        torch.manual_seed(0)
        nn.init.normal_(network[1].weight, std=1.0)  # confident and wrong, as after a bad step
        settings = config(loss="nll", output=output, optimizer="sgd", lr=0.02, momentum=0.0, epochs=5)
        metrics = epochs_of(run(network, data, settings))[-1].metrics
        accuracy[output] = metrics["train/accuracy"]
    assert accuracy["log-softmax"] > accuracy["softmax"] + 0.1


def test_nan_stays_nan_and_is_never_restored_as_the_best(data: ResidentData) -> None:
    network = LinearNet()
    nn.init.constant_(network[1].bias, math.nan)
    events = run(network, data, config(epochs=2, restore_best=True))
    for epoch in epochs_of(events):
        assert all(math.isnan(epoch.metrics[name]) for name in ("train/loss", "val/loss", "test/loss", "grad_norm"))
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert ended.outcome == "finished"
    assert math.isnan(ended.summary["test_loss"])
    assert ended.summary["final_epoch"] == 2


def test_a_run_that_diverges_ends_with_metrics_that_are_not_finite(data: ResidentData, small_net: Build) -> None:
    events = run(small_net(), data, config(optimizer="sgd", lr=100.0, loss="nll", output="logits", epochs=8))
    assert not math.isfinite(epochs_of(events)[-1].metrics["train/loss"])
    assert isinstance(events[-1], Ended)
    assert events[-1].outcome == "finished"


def test_other_errors_of_torch_keep_their_traceback(data: ResidentData) -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run(LinearNet(size=9), data, config())


def test_missing_training_images_are_reported_before_training() -> None:
    with pytest.raises(TrainingError, match="no images to train on"):
        run(LinearNet(), build_data(train=0), config())


class PreparedNet(LinearNet):
    """Sets its bias from the data."""

    calls = 0

    def initialise_from_data(self, x_BCHW: torch.Tensor) -> None:
        self.calls += 1
        nn.init.constant_(self[1].bias, float(x_BCHW.amax()))


def test_initialisation_from_data_gets_normalised_images_once_before_the_first_step(data: ResidentData) -> None:
    network = PreparedNet()
    settings = config(epochs=1, optimizer="sgd", lr=1e-9)
    events = train(settings, network=network, data=data, device=CPU)
    next(event for event in events if isinstance(event, Evaluated))
    assert network[1].bias[0].item() == pytest.approx((1.0 - data.mean) / data.std)
    list(events)
    assert network.calls == 1


def test_initialisation_from_data_uses_only_the_first_two_thousand_training_images() -> None:
    seen = []

    class Watching(LinearNet):
        def initialise_from_data(self, x_BCHW: torch.Tensor) -> None:
            seen.append(x_BCHW)

    data = build_data(train=2_010)
    events = train(config(epochs=1), network=Watching(), data=data, device=CPU)
    next(event for event in events if isinstance(event, Evaluated))
    (x_BCHW,) = seen
    torch.testing.assert_close(x_BCHW, (data.train_x[:2_000].float() / 255 - data.mean) / data.std)


@pytest.mark.parametrize("command", [None, Command.PAUSE, Command.STOP])
def test_a_trained_network_is_in_eval_mode(data: ResidentData, small_net: Build, command: Command | None) -> None:
    """Every layer is in eval mode, however the run ended: dropout would disturb what is shown of the network."""
    network = small_net()
    run(network, data, config(), command=after(3, command or Command.RUN))
    assert not any(module.training for module in network.modules())


def test_auxiliary_classifiers_are_trained_and_not_evaluated(data: ResidentData) -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.side = LinearNet(), LinearNet()

        def forward(self, x: torch.Tensor) -> object:
            return (self.main(x), (self.side(x),)) if self.training else self.main(x)

    network = TwoHeads()
    events = run(network, data, config(epochs=1, optimizer="sgd", momentum=0.0, lr=0.1, batch_size=90))
    assert steps_of(events)[1][0] == pytest.approx(1.3 * math.log(3), rel=1e-6)
    assert torch.allclose(network.side[1].weight, 0.3 * network.main[1].weight, atol=1e-6)


def test_bfloat16_trains_float32_weights(data: ResidentData, small_net: Build) -> None:
    network = small_net()
    events = run(network, data, config(precision="bfloat16", epochs=4))
    assert network[0].weight.dtype is torch.float32
    losses = [e.metrics["train/loss"] for e in epochs_of(events)]
    assert losses[-1] < losses[0]


def test_a_scheduled_learning_rate_is_recorded_where_it_changes_and_a_constant_one_per_epoch(
    data: ResidentData, small_net: Build
) -> None:
    settings = config(epochs=2, schedule="one-cycle", lr=0.5)
    events = run(small_net(), data, settings)
    reported = {s: v for e in events if isinstance(e, StepMetrics) for s, v in zip(e.lr_step.tolist(), e.lr.tolist())}
    reported |= {e.step: e.metrics["lr"] for e in epochs_of(events)}
    assert reported == {s: compute_lr(settings, s - 1, steps_per_epoch=6, total_steps=12) for s in range(1, 13)}
    constant = run(small_net(), data, config(epochs=2))
    assert sum(e.lr_step.size for e in constant if isinstance(e, StepMetrics)) == 0
    assert [e.metrics["lr"] for e in epochs_of(constant)] == [config().lr] * 2


def _until_step(data: ResidentData, network: nn.Module, step: int, command: Command, **settings: object) -> list[Event]:
    events: list[Event] = []
    commands = [Command.RUN]
    for event in train(config(**settings), network=network, data=data, device=CPU, command=lambda: commands[-1]):
        events.append(event)
        if isinstance(event, Evaluated) and event.step >= step:
            commands.append(command)
    return events


def test_a_run_stopped_after_its_best_epoch_has_the_metrics_of_its_last_epoch(
    data: ResidentData, small_net: Build
) -> None:
    """Only a finished run is restored to its best epoch; a stopped one ends with its last complete epoch."""
    # With wrong labels, learning makes the validation loss rise from epoch to epoch.
    wrong = replace(data, val_y=(data.val_y + 1) % 3)
    events = _until_step(wrong, small_net(), 24, Command.STOP, epochs=9, restore_best=True)
    losses = [event.metrics["val/loss"] for event in epochs_of(events)]
    assert losses == sorted(losses)
    summary = events[-1].summary
    assert (summary["best_epoch"], summary["final_epoch"]) == (1, len(losses)) == (1, 4)
    assert summary["val_loss"] == losses[-1]


def test_only_a_stop_saves_weights_of_an_unfinished_epoch(data: ResidentData, small_net: Build) -> None:
    for command, weights in ((Command.PAUSE, []), (Command.STOP, [4])):
        events = _until_step(data, small_net(), 4, command, eval_every=4)
        assert [e.step for e in events if isinstance(e, Snapshot) and e.kind == "weights"] == weights
        assert [e.step for e in events if isinstance(e, Snapshot) and e.kind == "checkpoint"] == [4]


def test_a_step_limit_beyond_the_epochs_changes_nothing(data: ResidentData) -> None:
    for limit, steps in ((0, 12), (5, 5), (12, 12), (1_000, 12)):
        events = run(LinearNet(), data, config(max_steps=limit))
        assert (events[0].total_steps, events[-1].step) == (steps, steps)


def _first_losses(data: ResidentData, small_net: Build, **settings: object) -> list[float]:
    events = run(small_net(), data, config(epochs=1, shuffle=False, **settings))
    return [float(value) for event in events if isinstance(event, StepMetrics) for value in event.loss]


def test_dropout_depends_on_the_seed(data: ResidentData, small_net: Build) -> None:
    """Order and weights are the same, so only dropout can differ."""
    assert _first_losses(data, small_net, seed=1) == _first_losses(data, small_net, seed=1)
    assert _first_losses(data, small_net, seed=1) != _first_losses(data, small_net, seed=2)


def test_every_epoch_augments_the_images_differently(data: ResidentData) -> None:
    """With a negligible learning rate and no shuffling, only augmentation makes epochs differ."""
    unchanging = {"optimizer": "sgd", "lr": 1e-12, "momentum": 0.0, "shuffle": False, "epochs": 2}
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    for augment, same in (("none", True), ("light", False)):
        first, second = epochs_of(run(network, data, config(**unchanging, augment=augment)))
        assert (first.metrics["train/loss"] == pytest.approx(second.metrics["train/loss"], rel=1e-9)) == same


def test_evaluation_has_the_precision_of_the_run(data: ResidentData) -> None:
    """0.1 is 0.09998 in float16 and 0.1001 in bfloat16, so the logits show to which the weights were rounded."""
    network = LinearNet()
    nn.init.constant_(network[1].bias, 0.1)
    session = Session(config(precision="float16"), network, data, CPU)
    logits = session.evaluate("test", before_chunk=lambda: None).logits
    assert logits[0, 0].item() == torch.tensor(0.1).half().item()


def _accuracy_again(measured: Measurement) -> float:
    """Compute the accuracy again, from logits and labels."""
    assert measured.logits is not None
    assert measured.labels is not None
    assert len(measured.logits) == len(measured.labels) == measured.images
    return float((measured.logits.argmax(1) == measured.labels).mean())


def test_a_metric_of_a_split_is_computed_from_the_images_of_that_split(small_net: Build) -> None:
    """Also if only the first thousand are evaluated: the accuracy computed again equals that of the engine."""
    quantity = Quantity("again", "accuracy once more", Unit.SHARE)
    specs = [
        register_metric(
            MetricSpec(f"{split}/again", quantity, "Once more.", split, Cadence.EVALUATION, compute=_accuracy_again)
        )
        for split in (Split.VAL, Split.TEST)
    ]
    try:
        events = run(small_net(), build_data(train=32, val=1_010, test=1_005), config(epochs=1))
    finally:
        for spec in specs:
            unregister_metric(spec.id)
    evaluated = [event for event in events if isinstance(event, Evaluated)]
    assert [event.step for event in evaluated] == [0, 2]
    for event in evaluated:
        for split in ("val", "test"):
            assert event.metrics[f"{split}/again"] == pytest.approx(event.metrics[f"{split}/accuracy"])


def test_dropout_acts_in_training_whatever_the_initial_mode_of_the_network(
    data: ResidentData, small_net: Build
) -> None:
    losses = []
    for mode in (True, False):
        network = small_net()
        network.train(mode)
        losses.append(steps_of(run(network, data, config(epochs=1)))[1].tolist())
    assert losses[0] == losses[1]


def test_the_first_event_has_the_number_of_images_of_each_set(small_net: Build) -> None:
    started = run(small_net(), build_data(train=33, val=7, test=5), config(epochs=1))[0]
    assert isinstance(started, Started)
    assert (started.train_images, started.val_images, started.test_images) == (33, 7, 5)
    assert (started.step, started.steps_per_epoch, started.total_steps) == (0, 3, 3)
    assert (started.device, started.params) == ("cpu", 4 * 10 + 8 + 36 * 3 + 3)


def test_a_run_that_is_stopped_before_its_first_step_saves_no_weights(data: ResidentData, small_net: Build) -> None:
    events = list(train(config(), network=small_net(), data=data, device=CPU, command=lambda: Command.STOP))
    assert [event.kind for event in events if isinstance(event, Snapshot)] == ["checkpoint"]
    assert (events[-1].outcome, events[-1].step) == ("stopped", 0)
