"""Forks: one that changes nothing equals its parent bit for bit; what may change, and which state is continued."""

import io
import os
import random
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.checkpoint_files import decode_checkpoint
from lab.errors import ConfigError, InputError
from lab.runs import sums
from lab.runs.checksums import file_sum
from lab.runs.records import CHECKPOINT, RunRecord, RunRequest, RunState, SavedFile
from lab.runs.row_changes import change_row, sound_row
from lab.runs.rows import saved_file_values
from lab.runs.tables import saved_files
from lab.service.forks import find_fork_point, fork_config, list_fork_points
from lab.service.lab import Lab
from lab.sharing.bundle.read import import_bundle
from lab.sharing.bundle.write import write_bundle
from lab.sharing.formats import export_runs
from lab.training.checkpoint import weights_digest
from lab.worker import execution
from lab.worker.execution import execute
from tests.worker.fork_configs import random_config
from tests.worker.worker_runs import SMALL, between_steps, claim, open_lab, request_and_wait, train, train_queued

SETTINGS: Mapping[str, dict[str, Any]] = {
    "momentum": {"optimizer": "sgd", "lr": 0.05},
    "adam, clipped": {"grad_clip": 0.5},
    "muon, cosine": {"optimizer": "muon", "schedule": "cosine"},
    "dropout, one-cycle": {"arch": "lenet-bn", "arch_options": {"dropout": 0.3}, "schedule": "one-cycle"},
    "augmented, warm-up": {"augment": "sketch", "warmup_epochs": 1.5, "eval_every": 3},
    "best restored, smoothing": {"restore_best": True, "label_smoothing": 0.1, "lr": 0.03},
    "early stopping": {"patience": 1, "lr": 0.2, "optimizer": "sgd"},
}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return open_lab(tmp_path)


def _fork(lab: Lab, parent: RunRecord, epoch: int, **changes: Any) -> RunRecord:
    config = fork_config(find_fork_point(lab.store, parent, epoch), **changes)
    lab.submissions.submit(lab.validation.resolve(config))
    return train_queued(lab)


def _state(lab: Lab, run: RunRecord) -> tuple[Any, ...]:
    """Return everything that a run ends with except times: weights of its epochs, checkpoint, curves and result."""
    saved = lab.weights.newest_checkpoint(run.id)
    assert saved is not None
    checkpoint = decode_checkpoint(saved)
    tensors = [
        weights_digest(dict(sorted(part.items())))
        for part in (checkpoint.model, checkpoint.optimizer, checkpoint.rng, checkpoint.best)
    ]
    timed = ("images_per_second", "memory_mb")
    curves = {
        name: (series.step.tolist(), [value.hex() for value in series.value.tolist()])
        for name, series in lab.store.points.read(run.id).items()
        if name not in timed
    }
    weights = [(file.epoch, file.step, file.sha256) for file in lab.weights.list(run.id)]
    ended = (run.state, run.summary.outcome, run.headline, run.summary.best_epoch, run.summary.final_epoch)
    return weights, tensors, curves, ended, run.findings


# One way in which a parent can end; the others are long tests.
_FAST = ("dropout, one-cycle",)


@pytest.mark.parametrize(
    "settings",
    [pytest.param(SETTINGS[name], id=name, marks=[pytest.mark.long] * (name not in _FAST)) for name in SETTINGS],
)
def test_a_fork_that_changes_nothing_equals_its_parent_bit_for_bit(lab: Lab, settings: dict[str, Any]) -> None:
    parent = train(lab, SMALL.replace(epochs=3, seed=5, **settings))
    whole = _state(lab, parent)
    for epoch in [point.epoch for point in list_fork_points(lab.store, parent) if point.epoch < 3]:
        fork = _fork(lab, parent, epoch)
        assert _state(lab, fork) == whole, f"epoch {epoch}: {fork.notices} {fork.reason}"
        assert fork.environment.fork_state == "recomputed" or parent.summary.outcome == "early-stopped"
        assert fork.notices == ()


@pytest.mark.long
@pytest.mark.parametrize("forks", [2, pytest.param(200, marks=pytest.mark.slow)])
def test_forks_of_random_runs_at_random_epochs_equal_their_parents_bit_for_bit(lab: Lab, forks: int) -> None:
    draw = random.Random(forks)
    different = []
    for _ in range(forks):
        parent = train(lab, random_config(draw))
        epochs = [point.epoch for point in list_fork_points(lab.store, parent)]
        epoch = draw.choice([candidate for candidate in epochs if candidate < parent.config.epochs] or epochs)
        fork = _fork(lab, parent, epoch, epochs=max(parent.config.epochs, epoch + 1))
        assert fork.state is RunState.FINISHED, fork.reason
        if fork.notices or _state(lab, fork) != _state(lab, parent):
            different.append(f"{parent.config.changed()} from {epoch}")
    assert different == []


def test_a_fork_is_submitted_once_and_has_a_fingerprint_of_its_own(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(epochs=2))
    resolved = lab.validation.resolve(fork_config(find_fork_point(lab.store, parent, 1)))
    first = lab.submissions.submit(resolved)
    again = lab.submissions.submit(resolved)
    assert (first.cached, again.cached, again.run.id) == (False, True, first.run.id)
    assert len({parent.fingerprint, first.run.fingerprint}) == 2
    other = train(lab, SMALL.replace(epochs=2, seed=9))
    elsewhere = lab.validation.resolve(fork_config(find_fork_point(lab.store, other, 1), seed=9))
    assert lab.submissions.fingerprint(elsewhere)[0] != first.run.fingerprint


@pytest.mark.long
def test_a_longer_fork_continues_from_the_final_checkpoint_and_from_a_shorter_fork(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(epochs=2))
    longer = _fork(lab, parent, 2, epochs=4)
    assert longer.environment.fork_state == "checkpoint"
    assert _state(lab, longer) == _state(lab, train(lab, SMALL.replace(epochs=4, eval_batch_size=1000)))
    longest = _fork(lab, parent, 2, epochs=5)
    assert longest.parent == longer.id
    assert longest.state is RunState.FINISHED


@pytest.mark.long
def test_a_fork_of_a_fork_continues_the_state_of_both(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(epochs=3))
    child = _fork(lab, parent, 1, lr=0.01, epochs=4)
    assert _state(lab, _fork(lab, child, 2)) == _state(lab, child)
    assert _state(lab, _fork(lab, child, 1)) == _state(lab, child)
    # An epoch that the child copied from its parent, continued with the child's settings.
    early = _fork(lab, _fork(lab, parent, 2, lr=0.01), 1)
    assert _weights(lab, early)[1:] == _weights(lab, _fork(lab, parent, 1, lr=0.01))[1:]


def test_a_new_learning_rate_applies_from_the_next_step(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(epochs=3))
    fork = _fork(lab, parent, 2, lr=0.01)
    rates, ends = lab.store.points.read(fork.id)["lr"], lab.store.points.read(fork.id)["train/loss"].step.tolist()
    assert rates.step.tolist() == [*ends[:2], ends[1] + 1, ends[2]]
    assert rates.value.tolist() == [1e-3, 1e-3, 0.01, 0.01]
    assert _weights(lab, fork)[:2] == _weights(lab, parent)[:2]
    assert _weights(lab, fork)[2] != _weights(lab, parent)[2]


@pytest.mark.long
def test_with_another_batch_size_steps_are_recounted_from_the_start(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(epochs=3, train_limit=71))  # 64 to train on: 2 steps an epoch
    fork = _fork(lab, parent, 2, batch_size=16)  # 4 steps an epoch
    points, before = lab.store.points.read(fork.id), lab.store.points.read(parent.id)
    assert points["train/loss"].step.tolist() == [4, 8, 12]
    assert points["train/loss"].value[:2].tolist() == before["train/loss"].value[:2].tolist()
    assert points["batch/loss"].step.tolist() == [2, 4, 6, 8, 9, 10, 11, 12]
    assert [(file.epoch, file.step) for file in lab.weights.list(fork.id)] == [(1, 4), (2, 8), (3, 12)]
    larger = _fork(lab, parent, 2, batch_size=64)
    points = lab.store.points.read(larger.id)
    assert points["batch/loss"].step.tolist() == [1, 2, 3]
    assert points["batch/loss"].value[:2].tolist() == before["batch/loss"].value[[1, 3]].tolist()


@pytest.mark.long
def test_another_optimizer_starts_fresh_and_another_objective_resets_the_best_epoch(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(epochs=3, optimizer="sgd", lr=0.05))
    fork = _fork(lab, parent, 2, optimizer="adam", lr=1e-3)
    assert fork.state is RunState.FINISHED
    assert [notice for notice in fork.notices if "optimizer's state is new: that of sgd" in notice]
    other = _fork(lab, parent, 2, loss="mse", output="softmax")
    assert [file.epoch for file in lab.weights.list(other.id)] == [3]  # the losses of epochs 1 and 2 are not MSE
    assert (other.headline.epoch, other.summary.best_epoch) == (3, 3)
    curves = lab.store.points.read(other.id)
    assert curves["val/accuracy"].step.tolist() == [0, 2, 4, 6]
    assert [curves[name].step.tolist() for name in ("val/loss", "train/loss", "batch/loss")] == [[6], [6], [5, 6]]


@pytest.mark.long
def test_a_fork_with_another_loss_is_not_diagnosed_from_the_losses_of_its_parent(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(epochs=12, loss="mse", output="softmax", lr=0.005))
    fork = _fork(lab, parent, 8, loss="cross-entropy", output="logits")
    assert [finding.code for finding in fork.findings if finding.severity != "hint"] == []


@pytest.mark.long
def test_the_best_epoch_may_be_one_before_the_fork(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(epochs=3, lr=0.005))
    fork = _fork(lab, parent, 2, lr=10.0, restore_best=True)
    assert (fork.summary.best_epoch, fork.summary.final_epoch) == (2, 2)
    ended = decode_checkpoint(lab.weights.newest_checkpoint(fork.id) or b"")
    expected = lab.weights.load(parent.id, epoch=2).network.state_dict()
    assert weights_digest({name: ended.best[name] for name in expected}) == weights_digest(expected)


@pytest.mark.long
def test_a_fork_whose_recomputed_weights_differ_continues_from_the_saved_weights_alone(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(epochs=3))
    other = train(lab, SMALL.replace(epochs=3, seed=1))
    foreign = find_fork_point(lab.store, other, 2).weights
    _replace_weights(lab, parent, foreign.path, epoch=2)
    fork = _fork(lab, parent, 2)
    assert (fork.state, fork.environment.fork_state) == (RunState.FINISHED, "weights")
    assert "trained again, its weights after epoch 2 are not the saved ones" in fork.notices[0]
    assert _weights(lab, fork)[1] == foreign.sha256
    losses = lab.store.points.read(parent.id)["val/loss"].value[1:].tolist()
    saved = decode_checkpoint(lab.weights.newest_checkpoint(fork.id) or b"")
    assert saved.progress.best_loss <= min(losses[:2])
    assert saved.progress.trained_images == 3 * 58


def test_a_fork_interrupted_while_epochs_are_recomputed_can_be_resumed(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(epochs=3))
    run = lab.submissions.submit(lab.validation.resolve(fork_config(find_fork_point(lab.store, parent, 2)))).run
    ending = threading.Event()
    ending.set()
    execute(lab, claim(lab), ending=ending)
    assert lab.store.runs.get(run.id).state is RunState.INTERRUPTED
    lab.submissions.control(run.id, RunRequest.RUN)
    assert _state(lab, train_queued(lab)) == _state(lab, parent)


@pytest.mark.parametrize("started", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_queued_fork_needs_its_parent_and_a_started_one_does_not(lab: Lab, started: bool) -> None:
    parent = train(lab, SMALL.replace(epochs=3))
    whole = _state(lab, parent)
    run = lab.submissions.submit(lab.validation.resolve(fork_config(find_fork_point(lab.store, parent, 2)))).run
    if started:
        train_queued(lab)
    lab.store.removal.delete(parent.id)
    if started:
        lab.store.removal.purge(lab.artifacts.delete, older_than_s=0)
        assert _state(lab, lab.store.runs.get(run.id)) == whole
        assert lab.weights.load(run.id, epoch=1).epoch == 1
        return
    failed = train_queued(lab)
    assert failed.state is RunState.FAILED
    assert failed.reason == (
        f"Run {parent.id}, which this one continues, was deleted: restore it with `delete --undo {parent.id}` and "
        "resume this run, or delete this one too."
    )
    lab.store.removal.undelete(parent.id)
    lab.submissions.control(run.id, RunRequest.RUN)
    assert _state(lab, train_queued(lab)) == whole


def test_changes_that_would_leak_images_or_change_shapes_are_refused(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(epochs=2))
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"arch": "alexnet"}, "arch is 'alexnet', but it must stay 'lenet5' in a fork"),
        ({"dataset": "mnist"}, "dataset is 'mnist', but it must stay 'digits'"),
        ({"val_fraction": 0.3}, "val_fraction is 0.3, but it must stay 0.1 in a fork: the images would be split again"),
        ({"train_limit": 60}, "train_limit is 60, but it must stay 64"),
        ({"seed": 1}, "seed is 1, but it must stay 0 in a fork: validation images would be among those already"),
        ({"epochs": 1}, "epochs is 1, but a fork after epoch 1 counts from the start .*: set it to 2 or more"),
        ({"max_steps": 2}, "max_steps is 2, but epoch 1 ends at step 2: set it above that, or to 0"),
        ({"input_size": "64"}, "input_size is '64', which gives the weights other shapes"),
    )
    for changes, message in refused:
        with pytest.raises(ConfigError, match=message):
            lab.submissions.submit(
                lab.validation.resolve(fork_config(find_fork_point(lab.store, parent, 1), **changes))
            )


def test_only_complete_saved_epochs_can_be_forked(lab: Lab) -> None:
    cut = train(lab, SMALL.replace(epochs=3, max_steps=3))
    assert [point.epoch for point in list_fork_points(lab.store, cut)] == [1]
    with pytest.raises(InputError, match=r"Run lenet5 has no weights saved at the end of epoch 2: choose one of 1\."):
        find_fork_point(lab.store, cut, 2)
    with pytest.raises(ConfigError, match=r"fork_of is .* but a fork needs fork_epoch too"):
        lab.validation.resolve(SMALL.replace(fork_of=cut.id))
    with pytest.raises(ConfigError, match="fork_epoch is 1, but a fork needs fork_of too"):
        lab.validation.resolve(SMALL.replace(fork_epoch=1))


@pytest.mark.long
def test_another_dropout_keeps_the_shapes_and_is_allowed(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(arch="lenet-bn", arch_options={"dropout": 0.5}, epochs=2))
    fork = _fork(lab, parent, 1, arch_options={**parent.config.arch_options, "dropout": 0.1})
    assert fork.state is RunState.FINISHED
    assert _weights(lab, fork)[0] == _weights(lab, parent)[0]
    assert _weights(lab, fork)[1] != _weights(lab, parent)[1]


@pytest.mark.long
def test_without_validation_images_the_seed_may_change_and_the_initial_weights_do_not(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(epochs=2, val_fraction=0.0))
    fork = _fork(lab, _fork(lab, parent, 1, seed=4), 1, seed=5)
    assert (fork.state, fork.config.seed) == (RunState.FINISHED, 5)
    assert _weights(lab, fork)[0] == _weights(lab, parent)[0]
    assert _weights(lab, fork)[1] != _weights(lab, parent)[1]
    first, before = (lab.weights.load_initial(run.id).network.state_dict() for run in (fork, parent))
    assert weights_digest(first) == weights_digest(before)


@pytest.mark.long
def test_a_fork_in_a_bundle_is_complete_in_a_lab_without_its_parent(lab: Lab, tmp_path: Path) -> None:
    parent = train(lab, SMALL.replace(epochs=3))
    fork = _fork(lab, parent, 1, lr=0.01)
    other = open_lab(tmp_path / "other")
    (imported,) = import_bundle(other, io.BytesIO(write_bundle(lab, [fork])))
    assert (imported.config, imported.environment.fork_state) == (fork.config, "recomputed")
    assert [file.sha256 for file in other.weights.list(imported.id)] == _weights(lab, fork)
    assert other.lineage.parent(imported) is None
    again = _fork(other, imported, 2)
    assert (again.state, again.environment.fork_state) == (RunState.FINISHED, "weights")
    assert f"run {parent.id}, of which it is itself a fork, was deleted or is in another lab" in again.notices[0]


@pytest.mark.long
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core computes with one thread")
def test_epochs_are_recomputed_with_the_number_of_threads_they_were_trained_with(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "_USUAL_THREADS", 2)
    before = torch.get_num_threads()
    try:
        parent = train(lab, SMALL.replace(arch="conv3-bn", epochs=2))
        fork = _fork(lab, parent, 1, batch_size=2)  # steps so small that one thread computes them
    finally:
        torch.set_num_threads(before)
    assert (parent.environment.threads, fork.environment.threads) == (2, 2)
    assert (fork.environment.fork_state, fork.notices) == ("recomputed", ())


@pytest.mark.parametrize(
    ("request_", "done"),
    [
        pytest.param(RunRequest.STOP, ", 1 done", id="stop"),
        pytest.param(RunRequest.PAUSE, ", 2 done", id="pause before the last epoch", marks=pytest.mark.long),
    ],
)
def test_a_request_while_epochs_are_recomputed_saves_no_state(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, request_: RunRequest, done: str
) -> None:
    parent = train(lab, SMALL.replace(epochs=4))
    run = lab.submissions.submit(lab.validation.resolve(fork_config(find_fork_point(lab.store, parent, 3)))).run
    phase = f"recomputing epochs 1 to 3{done}"
    between_steps(monkeypatch, request_and_wait(request_), when=lambda run: run.progress.phase == phase)
    ended = train_queued(lab)
    assert (ended.state.value, ended.progress.step) == ("stopped" if request_ is RunRequest.STOP else "paused", None)
    assert (lab.weights.list(run.id), lab.weights.newest_checkpoint(run.id)) == ((), None)
    if request_ is RunRequest.PAUSE:
        lab.submissions.control(run.id, RunRequest.RUN)
        assert _state(lab, train_queued(lab)) == _state(lab, parent)


@pytest.mark.long
def test_a_fork_whose_worker_was_killed_before_its_first_checkpoint_starts_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = train(lab, SMALL.replace(epochs=6))
    run = lab.submissions.submit(lab.validation.resolve(fork_config(find_fork_point(lab.store, parent, 2)))).run
    between_steps(monkeypatch, lambda beat: beat.ending.set(), when=lambda run: (run.progress.step or 0) >= 8)
    ended = train_queued(lab)
    assert (ended.state, ended.progress.step) == (RunState.INTERRUPTED, 8)
    lab.submissions.control(run.id, RunRequest.RUN)
    again = claim(lab)
    lab.store.files.remove(run.id, again.lease, [file.path for file in lab.store.files.list(run.id, kind=CHECKPOINT)])
    execute(lab, again, ending=threading.Event())
    assert _state(lab, lab.store.runs.get(run.id)) == _state(lab, parent)


def test_exporting_a_fork_as_code_is_refused(lab: Lab) -> None:
    parent = train(lab, SMALL.replace(epochs=2))
    fork = _fork(lab, parent, 1)
    with pytest.raises(InputError, match=f"is a fork: it continues from epoch 1 of run {parent.id}"):
        export_runs(lab, [fork], format="code")


def _weights(lab: Lab, run: RunRecord) -> list[str]:
    return [file.sha256 for file in lab.weights.list(run.id)]


def _replace_weights(lab: Lab, run: RunRecord, path: str, *, epoch: int) -> None:
    """Make a run list the weights of another run as those of an epoch, as if it had been trained elsewhere."""
    data = lab.artifacts.read(next(file for file in _all_files(lab) if file.path == path))
    own = find_fork_point(lab.store, run, epoch).weights
    sha256, size = lab.artifacts.write(own.path, data)
    with lab.store.database.write() as connection:
        row = sound_row(connection, run.id)
        old = sums.files_where(connection, saved_files.c.run == run.id, saved_files.c.path == own.path)
        values = saved_file_values(replace(own, sha256=sha256, bytes=size))
        change_row(connection, row, **sums.after_files(row, gone=old, new=[file_sum({**values, "run": run.id})]))
        mine = (saved_files.c.run == run.id) & (saved_files.c.path == own.path)
        connection.execute(saved_files.update().where(mine).values(sha256=sha256, bytes=size))


def _all_files(lab: Lab) -> list[SavedFile]:
    return [file for run in lab.store.runs.list(limit=None) for file in lab.store.files.list(run.id)]
