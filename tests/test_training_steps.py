"""Single training steps on a copy of a network: closed forms, torch's own optimizers, the run's first step, and limits."""

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from lab.architectures.registry import get_architecture
from lab.config import OPTIMIZERS, RunConfig
from lab.data.load import Dataset
from lab.data.resident import load_resident
from lab.errors import InputError
from lab.inspection.observe import compute_logits
from lab.loaded_network import LoadedNetwork
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.service.networks import build_untrained
from lab.service.training_batch import TrainingOrder
from lab.service.training_steps import SHOWN_FILTERS, StepImages, StepSequence, choose_images, following_batches
from lab.service.update_rules import OWN, PLAIN, PLAIN_LR, are_all_steps, default_lr, is_first_step
from lab.settings import Settings
from lab.training.engine import train
from lab.training.events import StepMetrics
from tests.every_network import EVERY_NETWORK
from tests.torch_threads import single_thread
from tests.training.training_nets import LinearNet, SmallNet

CPU = torch.device("cpu")
MEAN, STD = 0.25, 0.3
NUMBERS = np.random.default_rng(7)
IMAGES = StepImages(
    NUMBERS.integers(0, 256, (12, 8, 8), dtype=np.uint8),
    NUMBERS.integers(0, 3, 12),
    NUMBERS.integers(0, 256, (20, 8, 8), dtype=np.uint8),
    NUMBERS.integers(0, 3, 20),
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with single_thread():
        yield


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(tmp_path_factory.mktemp("steps"))}))


def loaded(network: nn.Module, config: RunConfig, *, mean: float = MEAN, std: float = STD) -> LoadedNetwork:
    run = cast(RunRecord, SimpleNamespace(config=config))  # only its configuration is read
    shape = {"class_names": (), "image_size": 8, "channels": 1}
    return LoadedNetwork(run=run, network=network.eval(), epoch=0, step=0, mean=mean, std=std, **cast(Any, shape))


def sequence(network: nn.Module, config: RunConfig, *, rule: str = PLAIN, lr: float = 0.1) -> StepSequence:
    return StepSequence(loaded(network, config), IMAGES, rule=rule, lr=lr)


def small_net() -> SmallNet:
    torch.manual_seed(1)
    return SmallNet()


def tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def inputs() -> torch.Tensor:
    return (torch.from_numpy(IMAGES.batch_x).double() / 255 - MEAN) / STD


# -- closed forms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "output"), [("cross-entropy", "logits"), ("mse", "softmax"), ("mse", "logits"), ("nll", "log-softmax")]
)
def test_a_plain_step_of_a_linear_network_equals_the_closed_form(loss: str, output: str) -> None:
    """Cross-entropy: X^T (softmax − onehot) / B. Mean squared error over B·K entries, through softmax's Jacobian."""
    network = LinearNet()
    with torch.no_grad():
        network[1].weight.copy_(torch.from_numpy(NUMBERS.normal(0, 0.1, (3, 64))))
    weight = network[1].weight.detach().double().clone()
    steps = sequence(network, RunConfig(loss=loss, output=output, optimizer="adam", weight_decay=1.0, grad_clip=1e-3))
    x, one_hot = inputs().flatten(1), nn.functional.one_hot(torch.from_numpy(IMAGES.batch_y), 3).double()
    logits = x @ weight.T
    share = logits.softmax(1)
    if loss == "mse":
        error = 2 * ((share if output == "softmax" else logits) - one_hot) / one_hot.numel()
        if output == "softmax":
            error = share * (error - (error * share).sum(1, keepdim=True))
    else:
        error = (share - one_hot) / len(x)
    taken = steps.advance(1)
    assert torch.allclose(network[1].weight.double(), weight - 0.1 * error.T @ x, atol=1e-6)
    moved = float((0.1 * error.T @ x).norm() / weight.norm())
    assert [(each.layer, each.relative) for each in taken.updates] == [("1", pytest.approx(moved, rel=1e-4))]
    if loss != "mse":
        assert taken.points[0].loss == pytest.approx(float(-share.log()[one_hot.bool()].mean()), rel=1e-5)
    assert taken.points[0].share == pytest.approx(share[one_hot.bool()].numpy(), rel=1e-5)
    assert taken.points[0].predicted.tolist() == logits.argmax(1).tolist()
    assert taken.points[0].correct == int((logits.argmax(1).numpy() == IMAGES.batch_y).sum())


def test_the_loss_includes_label_smoothing_and_is_log_k_for_equal_logits() -> None:
    first = sequence(LinearNet(), RunConfig(label_smoothing=0.2)).advance(0).points[0]
    assert (first.loss, first.other_loss) == (pytest.approx(math.log(3)), pytest.approx(math.log(3)))
    assert first.share == pytest.approx(np.full(12, 1 / 3))


def test_kernels_before_minus_lr_times_gradient_are_the_kernels_after() -> None:
    network = small_net()
    start = network[0].weight.detach().numpy().copy()
    steps = sequence(network, RunConfig(), lr=0.5)
    untouched = steps.advance(0).kernels["0"]
    assert (untouched.before == start).all()
    assert (untouched.after == start).all()
    assert not untouched.gradient.any()
    first, second = steps.advance(1).kernels["0"], steps.advance(2).kernels["0"]
    assert (first.before == start).all()
    assert (second.before == first.after).all()
    assert (second.after == network[0].weight.detach().numpy()).all()
    for step in (first, second):
        assert step.gradient.any()
        np.testing.assert_allclose(step.after, step.before - 0.5 * step.gradient, atol=1e-7)
    strongest = np.abs(first.gradient[:, 0]).reshape(4, -1).argmax(1)
    assert [row * 3 + column for row, column in first.followed.tolist()] == strongest.tolist()
    assert (second.followed == first.followed).all()  # a weight is followed over all steps
    assert (first.layer, first.filters, first.channel) == ("0", 4, 0)


def test_only_the_first_filters_of_a_wide_layer_are_copied_and_the_channel_with_the_largest_gradient_is_named() -> None:
    torch.manual_seed(2)
    wide = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Conv2d(3, 40, 3), nn.Flatten(), nn.Linear(640, 3))
    step = sequence(wide, RunConfig()).advance(1).kernels["1"]
    assert (step.after.shape, step.filters) == ((SHOWN_FILTERS, 3, 3, 3), 40)
    assert step.channel == np.abs(step.gradient).sum((0, 2, 3)).argmax()


# -- the run's optimizer -----------------------------------------------------------------------------------------------


def _torch_optimizer(name: str, network: nn.Module) -> torch.optim.Optimizer:
    builders: dict[str, Any] = {
        "sgd": lambda p: torch.optim.SGD(p, 0.02, momentum=0.8, nesterov=True, weight_decay=0.1),
        "rmsprop": lambda p: torch.optim.RMSprop(p, 0.02, momentum=0.8, weight_decay=0.1),
        "adam": lambda p: torch.optim.Adam(p, 0.02, betas=(0.8, 0.95), weight_decay=0.1),
        "adamw": lambda p: torch.optim.AdamW(p, 0.02, betas=(0.8, 0.95), weight_decay=0.1),
    }
    optimizer: torch.optim.Optimizer = builders[name](network.parameters())
    return optimizer


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "muon"])
def test_steps_of_the_runs_optimizer_are_those_of_torch_from_a_fresh_state(name: str) -> None:
    config = RunConfig(
        optimizer=name, momentum=0.8, nesterov=True, beta1=0.8, beta2=0.95, weight_decay=0.1, channels_last=False
    )
    network, other = LinearNet(), LinearNet()
    sequence(network, config, rule=OWN, lr=0.02).advance(3)
    optimizer = _torch_optimizer(name, other)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(other(inputs().float()), torch.from_numpy(IMAGES.batch_y)).backward()
        optimizer.step()
    assert torch.allclose(network[1].weight, other[1].weight, atol=1e-6)
    assert float(network[1].weight.detach().norm()) > 0.01


def test_clipping_of_the_run_limits_its_own_rule_and_not_plain_sgd() -> None:
    moved = {}
    for rule in (OWN, PLAIN):
        network = LinearNet()
        config = RunConfig(optimizer="sgd", momentum=0.0, grad_clip=0.001)
        sequence(network, config, rule=rule, lr=1.0).advance(1)
        moved[rule] = float(torch.cat([p.detach().flatten() for p in network.parameters()]).norm())
    assert moved[OWN] == pytest.approx(0.001, rel=1e-3)
    assert moved[PLAIN] > 0.01


def test_the_default_rate_is_the_runs_own_except_for_plain_sgd_in_place_of_another_optimizer() -> None:
    adam, sgd = RunConfig(optimizer="adam", lr=0.004), RunConfig(optimizer="sgd", lr=0.03)
    assert [default_lr(config, rule) for config in (adam, sgd) for rule in (PLAIN, OWN)] == [
        PLAIN_LR,
        0.004,
        0.03,
        0.03,
    ]


# -- the same steps however they are taken -----------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [PLAIN, OWN])
def test_steps_by_ones_equal_steps_at_once_bit_for_bit(rule: str) -> None:
    """The network has dropout and batch norm; what else draws random numbers in between does not matter."""
    networks = small_net(), small_net()
    at_once, by_ones = (sequence(network, RunConfig(), rule=rule, lr=0.01) for network in networks)
    taken = at_once.advance(5)
    for steps in range(6):
        torch.rand(3)
        last = by_ones.advance(steps)
    for name, tensor in networks[0].state_dict().items():
        assert torch.equal(tensor, networks[1].state_dict()[name]), name
    assert [point.loss for point in taken.points] == [point.loss for point in last.points]
    assert [each.relative for each in taken.updates] == [each.relative for each in last.updates]
    assert (taken.steps, at_once.ahead(7), at_once.ahead(3)) == (5, 2, -2)


def test_the_global_generator_and_batch_norms_averages_in_a_measurement_are_untouched() -> None:
    network = small_net()
    before = tensors(network)
    torch.manual_seed(11)
    state = torch.get_rng_state()
    steps = sequence(network, RunConfig())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    steps.advance(2)
    assert torch.equal(torch.get_rng_state(), state)
    assert int(network[1].num_batches_tracked) == 2  # by the steps only


def test_batch_norm_measures_with_the_statistics_of_the_images_and_dropout_is_off() -> None:
    network = small_net()
    steps = sequence(network, RunConfig())
    first = steps.advance(0).points[0]
    reference = small_net().train()
    reference[5].eval()  # dropout
    with torch.no_grad():
        logits = reference(inputs().float()[:, None])
    expected = nn.functional.cross_entropy(logits, torch.from_numpy(IMAGES.batch_y))
    assert first.loss == pytest.approx(float(expected), rel=1e-5)
    assert (steps.advance(0).batch_norm, steps.advance(0).dropout) == (True, True)
    plain = sequence(LinearNet(), RunConfig()).advance(0)
    assert (plain.batch_norm, plain.dropout) == (False, False)


def test_without_batch_norm_the_numbers_are_those_of_an_evaluation() -> None:
    torch.manual_seed(4)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
    last = sequence(network, RunConfig()).advance(3).points[-1]
    logits = torch.from_numpy(compute_logits(network, IMAGES.batch_x, mean=MEAN, std=STD)).double()
    labels = torch.from_numpy(IMAGES.batch_y)
    assert last.loss == pytest.approx(float(nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    assert last.share == pytest.approx(logits.softmax(1)[torch.arange(12), labels].numpy(), rel=1e-4)


# -- the run's own first step ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", ["lenet5", "lenet-bn", "conv2-fc2", "pytorch-example"])
def test_the_first_step_is_that_of_the_run_bit_for_bit(lab: Lab, arch: str) -> None:
    """Also with dropout, since its random numbers are the run's (`pytorch-example`)."""
    _check_run(lab, steps=1, arch=arch, max_steps=1, epochs=1)


def test_later_steps_are_those_of_a_run_with_a_single_batch(lab: Lab) -> None:
    """Each epoch is one step on the same images, with other dropout masks."""
    _check_run(
        lab, steps=3, arch="pytorch-example", train_limit=16, val_fraction=0.0, shuffle=False, epochs=3, grad_clip=0.5
    )


@pytest.mark.parametrize("arch", ["lenet-bn", "pytorch-example"])
def test_with_the_next_batches_all_steps_are_those_of_the_run_also_in_its_second_epoch(lab: Lab, arch: str) -> None:
    _check_run(lab, steps=5, following=True, arch=arch, train_limit=56, val_fraction=0.0, epochs=2, max_steps=5)


def _check_run(lab: Lab, *, steps: int, following: bool = False, **settings: Any) -> None:
    """Train a run for some steps, and check that the sequence of its initial network reproduces its weights."""
    config = lab.validation.resolve(
        RunConfig(dataset="digits", batch_size=16, seed=3, device="cpu", lr=0.004, **settings)
    ).config
    data, root = lab.datasets.load("digits"), lab.datasets.root
    trained = build_untrained(config, None, data=root)
    resident = load_resident(config, root=root, device=CPU)
    events = list(train(config, network=trained, data=resident, device=CPU))
    losses = np.concatenate([event.loss for event in events if isinstance(event, StepMetrics)])
    network = build_untrained(config, None, data=root)
    images = choose_images(config, data, images=16, others=20)
    own = loaded(network, config, mean=resident.mean, std=resident.std)
    batches = following_batches(config, data, images=16) if following else None
    taken = StepSequence(own, images, rule=OWN, lr=config.lr, following=batches).advance(steps)
    assert is_first_step(config, rule=OWN, lr=0.004, images=16)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name
    if not taken.dropout:
        assert [point.loss_before for point in taken.points[1:]] == losses.tolist()


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"rule": PLAIN}, False),
        ({"lr": 0.2}, False),
        ({"images": 8}, False),
        ({"augment": "light"}, False),
        ({"schedule": "one-cycle"}, False),
        ({"warmup_epochs": 0.5}, False),
        ({"schedule": "cosine"}, True),
        ({"precision": "bfloat16"}, False),
        ({"optimizer": "sgd", "momentum": 0.0, "rule": PLAIN}, True),
        ({"optimizer": "sgd", "momentum": 0.9, "rule": PLAIN}, False),
    ],
)
def test_whether_the_first_step_is_the_runs_own_depends_on_every_setting_of_it(
    changes: dict[str, Any], same: bool
) -> None:
    chosen: dict[str, Any] = {"rule": OWN, "lr": 0.1, "images": 64, **changes}
    asked = {name: chosen.pop(name) for name in ("rule", "lr", "images")}
    assert is_first_step(RunConfig(lr=0.1, **chosen), **asked) is same


def test_all_steps_are_the_runs_own_if_its_first_one_is_and_its_rate_is_constant() -> None:
    asked: dict[str, Any] = {"rule": OWN, "lr": 0.1, "images": 64}
    assert are_all_steps(RunConfig(lr=0.1), **asked)
    assert not are_all_steps(RunConfig(lr=0.1, schedule="cosine"), **asked)
    assert not are_all_steps(RunConfig(lr=0.1), **{**asked, "images": 8})


def test_a_step_on_the_next_batch_knows_the_loss_of_that_batch_before_and_after_it() -> None:
    batches = [(IMAGES.batch_x[at : at + 4], IMAGES.batch_y[at : at + 4]) for at in (0, 4, 8)]
    images = StepImages(*batches[0], IMAGES.other_x, IMAGES.other_y)

    def taken(steps: int) -> StepSequence:
        steps_of = StepSequence(
            loaded(small_net(), RunConfig()), images, rule=PLAIN, lr=0.1, following=batches.__getitem__
        )
        steps_of.advance(steps)
        return steps_of

    def loss_of(network: nn.Module, batch: int) -> float:
        measured = StepImages(*batches[batch], IMAGES.other_x, IMAGES.other_y)
        return StepSequence(loaded(network, RunConfig()), measured, rule=PLAIN, lr=0.1).advance(0).points[0].loss

    last = taken(3).advance(3)
    assert len({point.loss_before for point in last.points}) == 3  # before the first step, it is that of its batch
    for step in (1, 2, 3):
        assert last.points[step].loss_before == loss_of(taken(step - 1)._network, step - 1)
        assert last.points[step].loss == loss_of(taken(step)._network, step - 1)
    assert (last.images.batch_x == batches[2][0]).all()
    assert last.points[3].share.shape == (4,)
    assert last.points[3].share_before.tolist() != last.points[2].share.tolist()


# -- images ------------------------------------------------------------------------------------------------------------


def _numbered(train: int, test: int) -> Dataset:
    """Return a data set whose images contain their own number, test images from 100 on."""

    def images(first: int, count: int) -> np.ndarray:
        return np.broadcast_to(np.arange(first, first + count, dtype=np.uint8)[:, None, None], (count, 2, 2))

    return Dataset(
        cast(Any, None), images(0, train), np.arange(train) % 2, images(100, test), np.arange(test) % 2, 0, 1
    )


def test_the_batch_begins_the_order_of_the_training_images_without_those_of_the_validation() -> None:
    config = RunConfig(train_limit=40, val_fraction=0.5, shuffle=False)
    taken = choose_images(config, _numbered(60, 30), images=8, others=5)
    held = choose_images(config.replace(val_fraction=0.0), _numbered(60, 30), images=8, others=5)
    assert held.batch_x[:, 0, 0].tolist() == list(range(8))
    numbers = taken.batch_x[:, 0, 0].tolist()
    assert numbers == sorted(numbers) != list(range(8))
    assert (taken.batch_y == np.array(numbers) % 2).all()
    assert taken.other_x[:, 0, 0].tolist() == [100, 101, 102, 103, 104]
    shuffled = config.replace(shuffle=True)
    both = [choose_images(shuffled, _numbered(60, 30), images=n, others=5) for n in (4, 16)]
    assert both[0].batch_x[:, 0, 0].tolist() == both[1].batch_x[:4, 0, 0].tolist()  # a larger batch begins alike
    assert max(both[1].batch_x[:, 0, 0]) < 40


def test_of_a_sample_all_training_images_are_used() -> None:
    taken = choose_images(RunConfig(shuffle=False), _numbered(60, 30), images=100, others=50, sample=True)
    assert taken.batch_x[:, 0, 0].tolist() == list(range(60))
    assert taken.other_x[:, 0, 0].tolist() == list(range(100, 130))


def _order(images: int, size: int, **settings: Any) -> TrainingOrder:
    config = RunConfig(val_fraction=0.0, **settings)
    return TrainingOrder(config, np.arange(images) % 2, size=size)


def test_the_batches_of_an_epoch_are_all_training_images_once_in_another_order_each_epoch() -> None:
    order = _order(20, 8)
    first, second = (np.concatenate([order.batch(3 * epoch + part) for part in range(3)]) for epoch in (0, 1))
    assert [len(order.batch(part)) for part in range(3)] == [8, 8, 4]
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(20))
    assert first.tolist() != second.tolist()
    assert order.batch(1).tolist() == first[8:16].tolist()  # also after a batch of another epoch
    assert _order(20, 8, shuffle=False).batch(4).tolist() == list(range(8, 16))


def test_a_rest_of_one_image_is_left_out_unless_the_run_trained_on_it() -> None:
    assert _order(17, 8).per_epoch == 2
    assert _order(17, 8, batch_size=8).per_epoch == 3
    assert (_order(18, 8).per_epoch, _order(16, 8).per_epoch) == (3, 2)
    assert (_order(1, 8).per_epoch, _order(5, 8).per_epoch) == (1, 1)


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_rate_that_is_too_large_ends_the_sequence_at_the_first_loss_that_is_not_finite() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 3))
    steps = sequence(network, RunConfig(), lr=1e6)
    taken = steps.advance(50)
    assert taken.diverged
    assert 0 < taken.steps < 50
    assert [point.finite for point in taken.points] == [True] * taken.steps + [False]
    assert steps.ahead(50) == 0
    assert steps.advance(60).steps == taken.steps
    last = taken.points[-1]
    assert set(last.predicted.tolist()) == {-1}
    assert np.isnan(last.share).all()


def test_a_network_that_has_diverged_already_is_refused() -> None:
    network = LinearNet()
    nn.init.constant_(network[1].weight, math.nan)
    with pytest.raises(InputError, match=r"not finite because the training diverged\. Choose an earlier epoch"):
        sequence(network, RunConfig())


@pytest.mark.parametrize("arch", EVERY_NETWORK)
def test_every_network_takes_a_step_that_moves_its_layers(lab: Lab, arch: str) -> None:
    """Frozen layers stay as they are."""
    config = lab.validation.resolve(RunConfig(arch=arch, dataset="digits", train_limit=200)).config
    network = build_untrained(config, None, data=lab.datasets.root)
    before = tensors(network)
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    data = lab.datasets.load("digits")
    images = choose_images(config, data, images=4, others=4)
    taken = StepSequence(loaded(network, config), images, rule=PLAIN, lr=0.02).advance(1)
    assert (taken.steps, taken.diverged) == (1, False)
    assert taken.updates
    moved = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    assert not moved & frozen
    unmoved = {each.layer for each in taken.updates if each.relative == 0}
    if get_architecture(arch).family != "VGG":  # whose first layers get gradients below rounding before training
        assert not unmoved
    assert all(step.after.shape == step.before.shape for step in taken.kernels.values())


def test_the_bytes_of_a_sequence_count_weights_gradients_and_moments(tmp_path: Path) -> None:
    network = LinearNet()
    steps = sequence(network, RunConfig(optimizer="adam"), rule=OWN)
    weights = 4 * (3 * 64 + 3)
    assert steps.bytes == 2 * weights
    steps.advance(1)
    assert steps.bytes == 4 * weights + 2 * 4  # two moments, and a step count for each tensor
