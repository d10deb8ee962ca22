"""Which test images are sampled, and that the reported predictions are those of the network."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lab.config import RunConfig
from lab.training.batches import normalise
from lab.training.engine import train
from lab.training.events import Ended, Evaluated
from lab.training.samples import MAX_SAMPLES, START_IMAGES, sample_answers, sample_images
from tests.training.training_nets import LinearNet, build_data


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
    assert sample_answers(logits, np.array([1, 0])) == ((1, pytest.approx(0.5)), (0, pytest.approx(0.7)))
    huge = np.array([[1000.0, 1000.0 + np.log(2)]])  # its exponential overflows, and four digits suffice
    assert sample_answers(huge, np.array([0])) == ((1, 0.6667),)
    assert sample_answers(np.array([[0.0, 12.0], [0.0, 800.0]]), np.array([1, 0])) == ((1, 1.0), (1, 0.9999))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_not_finite_give_no_answers(value: float) -> None:
    assert sample_answers(np.array([[value, 0.0]]), np.array([0])) == ()


def test_a_run_without_test_images_reports_no_answers() -> None:
    config = RunConfig(epochs=1, batch_size=16)
    *_, ended = train(config, network=LinearNet(), data=build_data(test=0), device=torch.device("cpu"))
    assert isinstance(ended, Ended)
    assert ended.outcome == "finished"
    assert np.isnan(ended.summary["test_loss"])
    assert ended.summary["val_loss"] > 0


def test_each_evaluation_of_the_test_set_reports_the_current_predictions() -> None:
    data, network = build_data(train=64, test=40), LinearNet()
    seen = []
    config = RunConfig(epochs=2, batch_size=16, optimizer="sgd", lr=0.01)
    for event in train(config, network=network, data=data, device=torch.device("cpu")):
        if isinstance(event, Evaluated):
            chosen = list(sample_images(data.test_y.numpy()))
            with torch.no_grad():
                shares = F.softmax(network(normalise(data.test_x[chosen], mean=data.mean, std=data.std)), dim=1)
            assert event.answers is not None
            assert [index for index, _ in event.answers] == shares.argmax(1).tolist()
            assert [share for _, share in event.answers] == pytest.approx(shares.amax(1).tolist(), abs=1e-4)
            seen.append(event.step)
    assert len(seen) == 3
