"""Which test images are sampled, and that the reported predictions are those of the network."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lab.config import RunConfig
from lab.training import engine
from lab.training.batches import normalise
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Ended, Evaluated, Event, StepMetrics
from lab.training.samples import MAX_SAMPLES, START_IMAGES, Answer, most_probable, sample_images
from lab.training.step_choice import StepKind
from tests.training.training_nets import LinearNet, SmallNet, build_data

CPU = torch.device("cpu")


def test_the_first_image_of_each_class_is_sampled_in_the_order_of_the_classes() -> None:
    assert sample_images(np.array([2, 0, 2, 1, 0])) == (1, 3, 0)
    assert sample_images(np.arange(26)) == tuple(range(MAX_SAMPLES))
    assert MAX_SAMPLES == 10
    assert sample_images(np.array([], dtype=np.int64)) == ()


def test_only_images_that_are_evaluated_before_training_are_sampled() -> None:
    labels = np.zeros(START_IMAGES + 1, dtype=np.int64)
    labels[-1] = 1
    assert sample_images(labels) == (0,)
    labels[START_IMAGES - 1] = 1
    assert sample_images(labels) == (0, START_IMAGES - 1)


def test_an_answer_is_the_most_probable_class_and_its_probability() -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3]]))
    assert most_probable(logits) == ((0, pytest.approx(0.7)), (1, pytest.approx(0.5)))
    huge = np.array([[1000.0, 1000.0 + np.log(2)]])  # its exponential overflows, and four digits suffice
    assert most_probable(huge) == ((1, 0.6667),)
    assert most_probable(np.array([[0.0, 800.0], [0.0, 12.0]])) == ((1, 1.0), (1, 0.9999))
    assert most_probable(np.zeros((0, 0))) == ()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_not_finite_give_no_answers(value: float) -> None:
    assert most_probable(np.array([[value, 0.0]])) == ()


def _predict(network: nn.Module, data: ResidentData) -> tuple[Answer, ...]:
    """Return the predictions of the current weights for the sample images, computed separately."""
    chosen = list(sample_images(data.test_y.numpy()))
    training = network.training
    network.eval()
    with torch.no_grad():
        shares = F.softmax(network(normalise(data.test_x[chosen], mean=data.mean, std=data.std)), dim=1)
    network.train(training)
    return tuple((int(index), pytest.approx(float(share), abs=1e-4)) for share, index in zip(*shares.max(1)))


def test_a_run_without_test_images_reports_no_answers() -> None:
    config = RunConfig(epochs=1, batch_size=16)
    *_, ended = train(config, network=LinearNet(), data=build_data(test=0), device=CPU)
    assert isinstance(ended, Ended)
    assert ended.outcome == "finished"
    assert np.isnan(ended.summary["test_loss"])
    assert ended.summary["val_loss"] > 0


def test_each_evaluation_of_the_test_set_reports_the_current_predictions() -> None:
    data, network = build_data(train=64, test=40), LinearNet()
    seen = []
    config = RunConfig(epochs=2, batch_size=16, optimizer="sgd", lr=0.01)
    for event in train(config, network=network, data=data, device=CPU):
        if isinstance(event, Evaluated):
            assert event.answers == _predict(network, data)
            seen.append(event.step)
    assert seen == [0, 4, 8]


def test_predictions_within_an_epoch_are_those_of_the_step_that_they_are_reported_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "FLUSH_S", 0.0)
    monkeypatch.setattr(engine, "ANSWERS_S", 0.0)
    monkeypatch.setattr(engine, "ANSWERS_SHARE", 0.0)
    data, network = build_data(train=64, test=40), SmallNet()
    config = RunConfig(epochs=2, batch_size=16, lr=0.01)
    seen = []
    for event in train(config, network=network, data=data, device=CPU):
        if isinstance(event, StepMetrics):
            assert event.answers == _predict(network, data)
            seen += event.step.tolist()
    assert seen == list(range(1, 9))


@pytest.mark.parametrize("steps", [StepKind.LAUNCHED, StepKind.REPEATED])
def test_predictions_within_an_epoch_do_not_change_the_training(
    monkeypatch: pytest.MonkeyPatch, steps: StepKind
) -> None:
    """The network has dropout and batch norm, which a pass in training mode would affect."""
    monkeypatch.setattr(engine, "FLUSH_S", 0.0)
    monkeypatch.setattr(engine, "ANSWERS_SHARE", 0.0)

    def weights(interval_s: float) -> tuple[dict[str, torch.Tensor], int]:
        monkeypatch.setattr(engine, "ANSWERS_S", interval_s)
        torch.manual_seed(0)
        network = SmallNet()
        config = RunConfig(epochs=3, batch_size=16, lr=0.01, augment="light")
        events: list[Event] = list(train(config, network=network, data=build_data(), device=CPU, steps=steps))
        answered = sum(isinstance(event, StepMetrics) and event.answers is not None for event in events)
        return network.state_dict(), answered

    often, answered = weights(0.0)
    only_evaluated, never = weights(1e9)
    assert (answered, never) == (18, 0)
    assert {name: often[name].equal(only_evaluated[name]) for name in often} == dict.fromkeys(often, True)
