"""The gradients of runs: those of their own first step, on their own images, whatever loss they minimise."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.architectures.shapes import ActivationBytes
from lab.config import RunConfig
from lab.data.load import load_dataset
from lab.examples.sample import load_sample
from lab.inspection.gradient_flow import EpochFlow, read_flow
from lab.inspection.gradients import weight_changes
from lab.inspection.observe import compute_logits
from lab.inspection.summary import NetworkCounts
from lab.network_counts import count_from_config
from lab.runs.owner import Owner
from lab.runs.records import RunRecord
from lab.service.gradients import compute_flow, count_images, first_batch
from lab.service.lab import Lab
from lab.settings import Settings
from lab.training.data import split_images
from lab.worker.execution import execute

ONE_STEP = RunConfig(
    dataset="digits",
    epochs=1,
    max_steps=1,
    batch_size=32,
    train_limit=200,
    optimizer="sgd",
    momentum=0.0,
    weight_decay=0.0,
    lr=1.0,
    device="cpu",
    seed=3,
)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))


def _train(lab: Lab, config: RunConfig) -> RunRecord:
    lab.submissions.submit(lab.validation.resolve(config))
    run = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert run is not None
    threads = torch.get_num_threads()
    try:
        execute(lab, run, ending=threading.Event())
    finally:
        torch.set_num_threads(threads)
    return lab.store.runs.get(run.id)


def _flow(lab: Lab, run: RunRecord, config: RunConfig) -> EpochFlow:
    batch = first_batch(config, lab.datasets.load("digits"), images=config.batch_size)
    return compute_flow(lab.weights.load_initial(run.id), batch)


@pytest.mark.parametrize(
    "changed",
    [
        {"arch": "lenet5"},
        {"arch": "lenet5", "shuffle": False, "folds": 4, "fold": 2},
        {"arch": "lenet5", "loss": "mse", "output": "softmax"},
        {"arch": "lenet5", "loss": "nll", "output": "log-softmax"},
        {"arch": "lenet5", "label_smoothing": 0.2, "normalization": "none"},
        {"arch": "lenet-bn", "arch_options": {"dropout": 0.0}},
        {"arch": "conv2-bn"},
        {"arch": "resnet-small"},
        {"arch": "speedrun-cnn"},
        {"arch": "resnet18-tv"},
    ],
    ids=lambda changed: "-".join(str(value) for value in changed.values()),
)
def test_before_training_the_gradients_are_those_of_the_runs_first_step(lab: Lab, changed: dict[str, Any]) -> None:
    """A step of plain SGD with a learning rate of 1 changes the weights by the gradient."""
    config = ONE_STEP.replace(**changed)
    run = _train(lab, config)
    initial, trained = lab.weights.load_initial(run.id), lab.weights.load(run.id, epoch="latest")
    flow = _flow(lab, run, run.config).with_changes(weight_changes(trained.network, initial.network))
    assert flow.epoch == 0
    moved = {layer.name: (layer.change or 0.0) * layer.weights.norm for layer in flow.layers}
    expected = {layer.name: layer.gradient.norm if layer.gradient else 0.0 for layer in flow.layers}
    assert moved == pytest.approx(expected, rel=2e-3)
    assert sum(value > 0 for value in moved.values()) >= 3


def test_gradients_are_the_same_at_every_call_and_leave_torchs_generator_alone(lab: Lab) -> None:
    run = _train(lab, ONE_STEP.replace(arch="lenet-bn", arch_options={"dropout": 0.5}))
    state = torch.get_rng_state()
    first = _flow(lab, run, run.config)
    torch.manual_seed(9)
    assert _flow(lab, run, run.config) == first
    torch.set_rng_state(state)
    _flow(lab, run, run.config)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_that_others_use_is_not_changed(lab: Lab) -> None:
    run = _train(lab, ONE_STEP.replace(arch="lenet-bn"))
    shared, data = lab.weights.load(run.id), lab.datasets.load("digits")
    before = compute_logits(shared.network, data.test_images, mean=shared.mean, std=shared.std)
    averages = {name: value.clone() for name, value in shared.network.named_buffers()}
    compute_flow(shared, first_batch(run.config, data, images=32))
    assert not shared.network.training
    assert all(torch.equal(value, averages[name]) for name, value in shared.network.named_buffers())
    after = compute_logits(shared.network, data.test_images, mean=shared.mean, std=shared.std)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(("activation", "vanishes"), [("sigmoid", True), ("relu", False), ("tanh", False)])
def test_the_gradient_of_an_untrained_network_vanishes_with_sigmoid_only(
    lab: Lab, activation: str, vanishes: bool
) -> None:
    run = _train(lab, ONE_STEP.replace(arch="lenet5", arch_options={"activation": activation}))
    sentence = read_flow(_flow(lab, run, run.config))[0]
    assert ("it vanishes on the way back" in sentence) == vanishes


# -- the batch ---------------------------------------------------------------------------------------------------------


def test_the_images_are_the_runs_own_training_images_in_the_order_of_its_first_epoch() -> None:
    config = ONE_STEP.replace(train_limit=200, val_fraction=0.5, shuffle=False)
    data = load_dataset("digits", root=Path())
    training, held_out = split_images(data.train_labels[:200], config)
    batch = first_batch(config, data, images=5)
    np.testing.assert_array_equal(batch.images[:, 0].numpy(), data.train_images[training[:5]])
    np.testing.assert_array_equal(batch.labels.numpy(), data.train_labels[training[:5]])
    everything = first_batch(config.replace(shuffle=True), data, images=10_000)
    assert len(everything.labels) == len(training)
    held = {data.train_images[at].tobytes() for at in held_out}
    assert not held & {image.numpy().tobytes() for image in everything.images[:, 0]}


def test_of_a_sample_all_training_images_are_used() -> None:
    """The run's own split refers to the images of the whole data set."""
    sample = load_sample()
    batch = first_batch(RunConfig(dataset="mnist", shuffle=False), sample, images=20, sample=True)
    np.testing.assert_array_equal(batch.images[:, 0].numpy(), sample.train_images[:20])


def _counts(*, mult_adds: int = 1, stored: int = 1) -> NetworkCounts:
    return NetworkCounts(1, mult_adds, 1, 1, ActivationBytes(1, (), stored))


@pytest.mark.parametrize(
    ("batch_size", "counts", "images"),
    [
        (64, _counts(), 64),
        (1024, _counts(), 128),
        (1, _counts(), 2),
        (128, _counts(mult_adds=62_400_000), 106),
        (128, _counts(mult_adds=20 * 10**9), 16),
        (128, _counts(stored=10_000_000), 40),
        (128, _counts(mult_adds=20 * 10**9, stored=10**9), 4),
        (3, _counts(mult_adds=20 * 10**9, stored=10**9), 3),
    ],
)
def test_the_batch_is_smaller_for_large_networks(batch_size: int, counts: NetworkCounts, images: int) -> None:
    assert count_images(RunConfig(batch_size=batch_size), counts) == images


def test_a_lenet_has_the_batch_of_its_run() -> None:
    config = RunConfig(dataset="digits", batch_size=100)
    assert count_images(config, count_from_config(config)) == 100
