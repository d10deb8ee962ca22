"""At which epochs a fork can begin, which settings may change in it, and how settings are resolved and checked."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.config import RunConfig
from lab.errors import ConfigError, DeviceError, InputError, RunNotFoundError
from lab.runs.owner import Owner
from lab.runs.records import WEIGHTS, RunRecord, SavedFile
from lab.runs.run_facts import RunEnvironment, RunProgress
from lab.service.forks import (
    ForkPoint,
    check_fork,
    check_names_a_point,
    find_fork_point,
    fork_config,
    list_fork_points,
)
from lab.service.lab import Lab
from tests.charts.charts_data import run
from tests.worker.worker_runs import open_lab

FILE = SavedFile("r", WEIGHTS, 30, 3, "r/30", "ab" * 32, 1, 0.0)
STEPS = 10


def _point(*, images: int | None = 100, **config: Any) -> ForkPoint:
    """Return the third epoch of a run with ten steps per epoch."""
    record = run(1, **{"batch_size": 10, "epochs": 5, **config})
    environment = RunEnvironment(train_images=images)
    return ForkPoint(replace(record, environment=environment), 3, FILE, STEPS)


@pytest.mark.parametrize(
    ("before", "changes", "words"),
    [
        ({}, {}, ""),
        ({}, {"lr": 0.5, "optimizer": "sgd", "batch_size": 7, "schedule": "cosine", "loss": "mse"}, ""),
        ({}, {"normalization": "half", "augment": "light", "shuffle": False, "device": "cpu"}, ""),
        (
            {},
            {"arch": "wide-cnn"},
            "arch is 'wide-cnn', but it must stay 'lenet5' in a fork: a fork has the network of",
        ),
        (
            {},
            {"dataset": "mnist"},
            "dataset is 'mnist', but it must stay 'digits' in a fork: another data set would be",
        ),
        ({}, {"train_limit": 50}, "train_limit is 50, but it must stay 0 in a fork: other images would be split again"),
        (
            {},
            {"val_fraction": 0.2},
            "val_fraction is 0.2, but it must stay 0.1 in a fork: the images would be split again",
        ),
        ({}, {"folds": 4}, "folds is 4, but it must stay 0 in a fork: the images would be split again"),
        ({"folds": 4}, {"fold": 2}, "fold is 2, but it must stay 1 in a fork: another fold's validation images would"),
        ({}, {"init_from": "r9"}, "init_from is 'r9', but it must stay '' in a fork: a fork's weights are those"),
        ({}, {"seed": 1}, "seed is 1, but it must stay 0 in a fork: validation images would be among those already"),
        ({"folds": 4}, {"seed": 1}, "seed is 1, but it must stay 0 in a fork"),
        ({"val_fraction": 0.0}, {"seed": 1}, ""),
        (
            {},
            {"epochs": 3},
            "epochs is 3, but a fork after epoch 3 counts from the start of the run that it continues: ",
        ),
        ({}, {"epochs": 4}, ""),
        ({}, {"max_steps": 30}, "max_steps is 30, but epoch 3 ends at step 30: set it above that, or to 0."),
        ({}, {"max_steps": 31}, ""),
        ({}, {"max_steps": 60, "batch_size": 5}, "max_steps is 60, but epoch 3 ends at step 60: set it above that"),
        ({}, {"max_steps": 61, "batch_size": 5}, ""),
        ({}, {"max_steps": 37, "batch_size": 8}, "max_steps is 37, but epoch 3 ends at step 39"),  # 12.5 batches: 13
        ({}, {"input_size": "native"}, "input_size is 'native', which gives the weights other shapes ("),
        ({"input_size": "32"}, {"input_size": "64"}, "input_size is '64', which gives the weights other shapes ("),
    ],
)
def test_a_fork_may_change_only_settings_that_fit_its_parent(
    before: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    point = _point(**before)
    config = fork_config(point, **changes)
    assert (config.fork_of, config.fork_epoch) == (point.run.id, 3)
    if words:
        with pytest.raises(ConfigError) as refused:
            check_fork(config, point)
        assert str(refused.value).startswith(words)
        assert refused.value.field == words.partition(" ")[0]
    else:
        check_fork(config, point)


def test_without_the_number_of_images_the_steps_before_a_fork_are_those_of_its_parent() -> None:
    point = _point(images=None)
    with pytest.raises(ConfigError, match="epoch 3 ends at step 30"):
        check_fork(fork_config(point, max_steps=30, batch_size=5), point)
    check_fork(fork_config(point, max_steps=31, batch_size=5), point)


def test_an_option_that_changes_the_shapes_of_weights_is_refused_and_others_are_not() -> None:
    point = _point(arch="lenet-bn", arch_options={"dropout": 0.5})
    check_fork(fork_config(point, arch_options={"dropout": 0.1}), point)
    point = _point(arch="wide-cnn", arch_options={"widths": [8, 16]})
    with pytest.raises(ConfigError, match=r"arch_options is .*, which gives the weights other shapes"):
        check_fork(fork_config(point, arch_options={"widths": [8, 32]}), point)


@pytest.mark.parametrize(
    ("of", "epoch", "words"),
    [
        ("", 0, ""),
        ("r1", 3, ""),
        ("r1", 0, "fork_of is 'r1', but a fork needs fork_epoch too: the id of a run and one of its saved epochs."),
        ("", 3, "fork_epoch is 3, but a fork needs fork_of too: the id of a run and one of its saved epochs."),
    ],
)
def test_a_fork_needs_both_a_run_and_an_epoch(of: str, epoch: int, words: str) -> None:
    config = RunConfig(fork_of=of, fork_epoch=epoch)
    if not words:
        check_names_a_point(config)
        return
    with pytest.raises(ConfigError) as refused:
        check_names_a_point(config)
    assert (str(refused.value), refused.value.field) == (words, "fork_epoch" if of else "fork_of")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return open_lab(tmp_path)


def _saved(lab: Lab, *steps: tuple[int, int]) -> RunRecord:
    """Store a run whose weights were saved at these steps, each with its epoch."""
    queued = lab.submissions.submit(lab.validation.resolve(RunConfig(dataset="digits", batch_size=10)), name="mine").run
    taken = lab.store.leases.claim(slot=queued.id, owner=Owner.of_this_process(), run=queued.id)
    assert taken is not None
    for epoch, step in steps:
        file = replace(FILE, run=taken.id, step=step, epoch=epoch, path=f"{taken.id}/{step}")
        lab.store.files.add(taken.id, taken.lease, file)
    return replace(taken, progress=RunProgress(steps_per_epoch=STEPS))


def test_a_fork_can_begin_at_complete_epochs_with_saved_weights(lab: Lab) -> None:
    record = _saved(lab, (1, 10), (2, 20), (3, 25), (4, 40))
    points = list_fork_points(lab.store, record)
    assert [(point.epoch, point.weights.step, point.steps_per_epoch) for point in points] == [
        (1, 10, STEPS),
        (2, 20, STEPS),
        (4, 40, STEPS),
    ]
    assert find_fork_point(lab.store, record, 2) == points[1]
    assert find_fork_point(lab.store, record, 2).run == record
    with pytest.raises(InputError) as refused:
        find_fork_point(lab.store, record, 3)
    assert str(refused.value) == "Run mine has no weights saved at the end of epoch 3: choose one of 1, 2, 4."
    assert list_fork_points(lab.store, replace(record, progress=RunProgress())) == ()


@pytest.mark.parametrize(("epochs", "listed"), [(12, "12."), (13, "12, ….")])
def test_an_error_names_at_most_the_first_twelve_saved_epochs(lab: Lab, epochs: int, listed: str) -> None:
    record = _saved(lab, *((epoch, epoch * STEPS) for epoch in range(1, epochs + 1)))
    with pytest.raises(InputError) as refused:
        find_fork_point(lab.store, record, 99)
    assert str(refused.value).endswith(f"choose one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, {listed}")


def test_forking_a_run_without_saved_epochs_is_refused(lab: Lab) -> None:
    with pytest.raises(
        InputError, match="Run mine has no weights saved at the end of epoch 1: wait for its first epoch, or"
    ):
        find_fork_point(lab.store, _saved(lab), 1)


# -- resolving and checking --------------------------------------------------------------------------------------------


def test_names_of_runs_are_resolved_to_ids_and_a_fork_has_no_parent(lab: Lab) -> None:
    record = _saved(lab, (3, 30))
    requested = RunConfig(dataset="digits", batch_size=10)
    tuned = lab.validation.resolve(requested.replace(init_from="mine"))
    assert (tuned.config.init_from, tuned.fork_of) == (record.id, None)
    assert tuned.parent is not None
    assert tuned.parent.id == record.id
    fork = lab.validation.resolve(requested.replace(fork_of=record.id[:6], fork_epoch=3))
    assert (fork.config.fork_of, fork.config.fork_epoch, fork.parent) == (record.id, 3, None)
    assert fork.fork_of is not None
    assert fork.fork_of.id == record.id
    both = lab.validation.resolve(requested.replace(fork_of="mine", fork_epoch=3, init_from="mine"))
    assert (both.parent, both.config.init_from) == (None, "mine")
    for name in ("init_from", "fork_of"):
        with pytest.raises(RunNotFoundError):
            lab.validation.resolve(requested.replace(**{name: "nobody", "fork_epoch": int(name == "fork_of")}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"lr": 0.5}, ""),
        ({"arch": "lenet-bn"}, "init_from is RUN, a lenet5 with other options than this lenet-bn: choose the same"),
        ({"input_size": "64"}, "init_from is RUN, a lenet5 with other options than this lenet5: choose the same"),
    ],
)
def test_a_run_can_be_fine_tuned_only_from_one_with_the_same_network(
    lab: Lab, changes: dict[str, Any], words: str
) -> None:
    record = _saved(lab, (3, 30))
    requested = RunConfig(dataset="digits", init_from=record.id, **changes)
    if not words:
        lab.validation.check_fits(lab.validation.resolve(requested))
        return
    with pytest.raises(ConfigError) as refused:
        lab.validation.check_fits(lab.validation.resolve(requested))
    assert str(refused.value).startswith(words.replace("RUN", record.id))


@pytest.mark.parametrize(
    ("requested", "lab_device", "words"),
    [
        ("auto", "auto", ""),
        ("cpu", "auto", ""),
        ("auto", "cpu", ""),
        ("cpu", "cpu", ""),
        ("cuda:99", "cpu", "The device"),
        ("cpu", "cuda:99", "LAB_DEVICE cannot be used, so no run would start. The device"),
        ("cuda:98", "cuda:99", "The device"),
    ],
)
def test_the_devices_of_a_run_and_of_the_lab_must_be_available(
    tmp_path: Path, requested: str, lab_device: str, words: str
) -> None:
    lab = open_lab(tmp_path, LAB_DEVICE=lab_device)
    if not words:
        lab.validation._check_devices(requested)
        return
    with pytest.raises(DeviceError) as refused:
        lab.validation._check_devices(requested)
    assert str(refused.value).startswith(words)
