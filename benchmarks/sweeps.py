"""Savings of pausing and promoting trials, and the cost of decisions: `python -m benchmarks.sweeps [--repeats 10]`.

Runs two searches over six hyperparameters of LeNet-5, with `--trials` trials each, by the sweep's own code
(`lab.sweeps`) and the engine, without a store: random search that trains every trial to its end, and TPE with
asynchronous successive halving. The data are the digits, or with `--mnist 2000` that many images of MNIST under
LAB_DATA (and as many of its test images). A trial paused at its rung is a suspended generator; tests show that the
store's checkpoint gives bitwise identical results. Prints the test accuracy of the best trial by validation, and the
epochs trained. Both searches of a repeat use the same seed; every repeat prints its row.

`--promotions 100` trains that many trials with and without pauses and compares the results bit for bit. `--scale 1000`
fills a store with that many trials, and prints the times of the table, a decision, a suggestion and each picture.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from scipy import stats
from sqlalchemy import text

from benchmarks.generated_runs import fill
from benchmarks.markdown_tables import heading, row
from lab.charts.sweeps.curves import curve_info, curves_figure
from lab.charts.sweeps.importance import importance_figure
from lab.charts.sweeps.parallel import parallel_axes, trials_figure
from lab.charts.sweeps.progress import progress_figure, progress_info
from lab.charts.sweeps.scores import scores_at
from lab.charts.sweeps.slices import slice_figure
from lab.charts.sweeps.surface import surface_figure, surface_info
from lab.checkpoint_files import decode_checkpoint, encode
from lab.config import RunConfig
from lab.data.resident import load_resident
from lab.devices import resolve_device
from lab.metrics import IMAGES_PER_SECOND, MEMORY_MB, TEST_ACCURACY, VAL_ACCURACY, VAL_LOSS
from lab.runs.sweep_writes import write_trial
from lab.service.lab import Lab
from lab.service.networks import build_seeded
from lab.settings import Settings
from lab.sweeps.importance import importances
from lab.sweeps.plan import FoundTrial, best_trial, decide, settle
from lab.sweeps.records import Measured, TrialRecord, TrialState
from lab.sweeps.spec import SweepSpec, read_spec
from lab.sweeps.suggest import suggest
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Evaluated, Event, Snapshot, StepMetrics

EPOCHS = 20
SPACE: dict[str, Any] = {
    "lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "batch_size": {"values": [32, 64, 128]},
    "optimizer": {"values": ["sgd", "adam", "adamw", "rmsprop"]},
    "momentum": {"low": 0.0, "high": 0.95, "when": {"optimizer": ["sgd", "rmsprop"]}},
    "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    "schedule": {"values": ["constant", "cosine", "one-cycle"]},
}
BASE = {"arch": "lenet5", "dataset": "digits", "epochs": EPOCHS, "val_fraction": 0.2, "device": "cpu"}


def spec_of(method: str, *, trials: int, seed: int, halving: dict[str, int] | None, mnist: int = 0) -> SweepSpec:
    """Return one of the two searches. seed: also the seed of its trials, which determines split and initial weights."""
    base = {**BASE, "seed": seed, **({"dataset": "mnist", "train_limit": mnist} if mnist else {})}
    asked = {"base": base, "space": SPACE, "method": method, "trials": trials, "halving": halving, "seed": seed}
    return read_spec(asked)


def read_images(config: RunConfig) -> ResidentData:
    """Return the images of a search, with at most as many test images as images for training and validation."""
    data = load_resident(config, root=Path(os.environ.get("LAB_DATA", ".lab/data")), device=resolve_device("cpu"))
    limit = config.train_limit or len(data.test_y)
    return replace(data, test_x=data.test_x[:limit], test_y=data.test_y[:limit])


class Trainings:
    """The trainings of one search: each is a generator of the engine that is suspended between two rungs."""

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self.epochs = 0
        self.test: dict[tuple[int, int], float] = {}  # trial and epoch -> test accuracy
        self._running: dict[int, Iterator[Event]] = {}
        self._data: dict[str, Any] = {}

    def _begin(self, trial: TrialRecord) -> Iterator[Event]:
        config = self.spec.config(trial.params)
        device = resolve_device("cpu")
        if "all" not in self._data:  # nothing in the space changes the images
            self._data["all"] = read_images(config)
        return train(config, network=build_seeded(config, None), data=self._data["all"], device=device)

    def advance(self, trial: TrialRecord) -> TrialRecord:
        """Train a trial to its rung and return it with the measurement there."""
        events = self._running.pop(trial.number, None) or self._begin(trial)
        target = self.spec.rungs(trial.params)[trial.rung]
        values = list(trial.values)
        for event in events:
            if not isinstance(event, Evaluated) or not event.epoch_end:
                continue
            self.epochs += 1
            if event.epoch in self.spec.rungs(trial.params):
                metrics = event.metrics
                values.append(Measured(event.epoch, metrics[VAL_LOSS.id], metrics[VAL_ACCURACY.id]))
                self.test[trial.number, event.epoch] = metrics[TEST_ACCURACY.id]
            if event.epoch == target:
                break
        state = TrialState.FINISHED if target == EPOCHS else TrialState.PAUSED
        if state is TrialState.PAUSED:
            self._running[trial.number] = events
        return replace(trial, state=state, values=tuple(values))


def search(spec: SweepSpec) -> tuple[float, int, float]:
    """Run a search to its end; return the best trial's test accuracy, the epochs trained, and the time of decisions."""
    trainings, trials, deciding_s = Trainings(spec), list[TrialRecord](), 0.0
    while True:
        began = time.perf_counter()
        plan = decide(spec, [FoundTrial(trial, trial.state) for trial in trials])
        params = None if plan.new is None else suggest(spec, trials, plan.new)
        deciding_s += time.perf_counter() - began
        if params is not None and plan.new is not None:
            trials.append(trainings.advance(TrialRecord(number=plan.new, run=f"{plan.new}", params=params)))
        elif plan.resumed:
            for trial in plan.resumed:
                trials[trial.number - 1] = trainings.advance(trial)
        else:
            break
    best = best_trial(spec, settle(spec, [FoundTrial(trial, trial.state) for trial in trials]))
    if best is None or best.last is None:
        raise RuntimeError("no trial was measured")
    return trainings.test[best.number, best.last.epoch], trainings.epochs, deciding_s


def compare(*, repeats: int, trials: int, first_seed: int, halving: dict[str, int], mnist: int) -> None:
    """Print both searches of each repeat, and the mean difference with its 95 % interval."""
    torch.set_num_threads(1)
    differences, shares = [], []
    print(f"{trials} trials x {EPOCHS} epochs, halving {halving}, {f'{mnist} images of MNIST' if mnist else 'digits'}")
    random_epochs = trials * EPOCHS
    print(heading("seed", f"random search, {random_epochs:,} epochs", "TPE with halving", "epochs of TPE", "deciding"))
    for seed in range(first_seed, first_seed + repeats):
        full, full_epochs, _ = search(spec_of("random", trials=trials, seed=seed, halving=None, mnist=mnist))
        cut, cut_epochs, deciding_s = search(spec_of("tpe", trials=trials, seed=seed, halving=halving, mnist=mnist))
        differences.append(100 * (cut - full))
        shares.append(cut_epochs / full_epochs)
        epochs = f"{cut_epochs} ({100 * shares[-1]:.1f} %)"
        print(row(seed, f"{100 * full:.2f} %", f"{100 * cut:.2f} %", epochs, f"{deciding_s:.1f} s"), flush=True)
    print(_summary(differences, shares))


def _summary(differences: list[float], shares: list[float]) -> str:
    mean = statistics.fmean(differences)
    words = f"difference {mean:+.2f} points, {100 * statistics.fmean(shares):.1f} % of the epochs, n = {len(shares)}"
    if len(differences) < 3:
        return words
    error = statistics.stdev(differences) / len(differences) ** 0.5
    half = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    return f"{words}, 95 % interval [{mean - half:+.2f}, {mean + half:+.2f}]"


def promotions(count: int) -> None:
    """Print how many paused trials are bitwise identical to trainings that were never paused.

    Six epochs of 200 images, random settings; every pause writes a checkpoint and resumes from its bytes with a new
    network.
    """
    torch.set_num_threads(1)
    same = 0
    for number in range(count):
        draw = random.Random(number)
        spec = spec_of("random", trials=count, seed=number, halving={"factor": 2, "first_epochs": 1})
        params = suggest(spec, (), number) or {}
        config = spec.config(params).replace(epochs=6, train_limit=200, seed=number)
        data = read_images(config)
        whole, curve = _train_cut(config, data, [])
        cut, cut_curve = _train_cut(config, data, sorted(draw.sample(range(1, 6), 2)))
        same += whole == cut and repr(curve) == repr(cut_curve)
    print(f"promoted trials bitwise identical to uninterrupted ones: {same} of {count}")


def _train_cut(config: RunConfig, data: ResidentData, pauses: list[int]) -> tuple[bytes, list[float]]:
    """Train to the end with pauses after some epochs; return the final weights' bytes, and all losses and metrics."""
    resume, weights, curve = None, b"", list[float]()
    for pause in (*pauses, None):
        network = build_seeded(config, None)
        device = resolve_device("cpu")
        for event in train(config, network=network, data=data, device=device, resume=resume, pause_epoch=pause):
            match event:
                case StepMetrics():
                    curve += event.loss.tolist()
                case Evaluated():
                    metrics = {**event.metrics, IMAGES_PER_SECOND.id: 0.0, MEMORY_MB.id: 0.0}
                    curve += [metrics[name] for name in sorted(metrics)]
                case Snapshot(kind="checkpoint"):
                    checkpoint = encode(event.state())
                case Snapshot():
                    weights = encode(event.state())
        resume = decode_checkpoint(checkpoint)
    return weights, curve


def _timed(work: Callable[[], object], times: int = 7) -> str:
    """Return median wall-clock and processor times as text; the latter depend less on the machine's load."""
    clock, processor = [], []
    for _ in range(times):
        began, spent = time.perf_counter(), time.process_time()
        work()
        clock.append(1000 * (time.perf_counter() - began))
        processor.append(1000 * (time.process_time() - spent))
    return f"{statistics.median(clock):.0f} ms ({statistics.median(processor):.0f} ms of the processor)"


def scale(count: int) -> None:
    """Print the times of the table, a decision and a suggestion with `count` trials in an SQLite store."""
    with tempfile.TemporaryDirectory() as home:
        lab = Lab(Settings.from_env({"LAB_HOME": home}))
        spec = spec_of("tpe", trials=2 * count, seed=0, halving={"factor": 4, "first_epochs": 1})
        sweep = lab.store.sweeps.create(spec)
        fill(lab.store, runs=count, steps=100)
        with lab.store.database.write() as connection:
            ids = list(connection.execute(text("SELECT id FROM runs ORDER BY number")).scalars())
            connection.execute(text("UPDATE runs SET state = 'paused', pause_epoch = 1"))
            for number, run in enumerate(ids, start=1):
                write_trial(connection, sweep.number, _made_up(spec, number, run))
        lab.store.integrity.checksum_older_rows()
        print(f"{count} trials, SQLite, median of 7")
        print(f"table (sweep, trials, counts, best): {_timed(lambda: lab.sweeps.show(sweep.id))}")
        print(f"  of which reading: {_timed(lambda: lab.store.sweeps.find(sweep.id))}")
        _, found = lab.store.sweeps.find(sweep.id)
        print(f"  deciding alone: {_timed(lambda: decide(spec, found))}")
        trials = settle(spec, found)
        for method in ("random", "tpe", "gp") if count <= 300 else ("random", "tpe"):
            asked = spec_of(method, trials=2 * count, seed=0, halving={"factor": 4, "first_epochs": 1})
            taken = _timed(lambda asked=asked: suggest(asked, trials, count + 1), times=3)  # type: ignore[misc]
            print(f"suggestion, {method}: {taken}")
        print(f"a decision that promotes, read and written: {_timed(lab.sweeps.advance_due, times=1)}")
        print(f"  it promoted trial {_resumed(lab.sweeps.show(sweep.id).trials)}")
    _figures(count)


def _figures(count: int) -> None:
    """Print the time of each picture of `count` trials at their rungs, including its JSON for the browser."""
    spec = spec_of("tpe", trials=count, seed=0, halving={"factor": 4, "first_epochs": 1})
    draw = np.random.default_rng(0)
    trials, between = [], {}
    for number in range(1, count + 1):
        rungs = [epoch for at, epoch in enumerate(spec.rungs({})) if number % 4**at == 0]
        curve = np.exp(draw.normal(size=rungs[-1]) / 9).cumprod() * draw.uniform(0.1, 2.0)
        values = tuple(
            Measured(epoch, float(curve[epoch - 1]), 1 - float(curve[epoch - 1]) / 9, 2.0 * number) for epoch in rungs
        )
        trials.append(replace(_made_up(spec, number, str(number)), values=values, rung=len(rungs) - 1))
        between[str(number)] = [(float(at), float(value)) for at, value in enumerate(curve, 1)]
    names = {parameter.name: parameter for parameter in spec.space}
    pictures: dict[str, Callable[[], Iterable[go.Figure]]] = {
        "curves": lambda: [curves_figure(curve_info(spec, trials, between), spec)],
        "best so far": lambda: [progress_figure(progress_info(spec, trials), spec)],
        "parallel coordinates": lambda: [
            trials_figure(scores := scores_at(spec, trials, 0), parallel_axes(scores, spec))
        ],
        "importance": lambda: [importance_figure(importances(spec, trials, 0))],
        "slices, all six": lambda: [
            slice_figure(scores, each, spec) for scores in (scores_at(spec, trials, 0),) for each in spec.space
        ],
        "surface": lambda: [
            surface_figure(
                surface_info(scores_at(spec, trials, 0), (names["lr"], names["weight_decay"])),
                spec,
            )
        ],
    }
    for title, draw_them in pictures.items():
        texts = [figure.to_json() for figure in draw_them()]
        size = sum(map(len, texts)) / 1e6
        taken = _timed(lambda draw_them=draw_them: [figure.to_json() for figure in draw_them()])  # type: ignore[misc]
        print(f"picture, {title}: {taken}, {size:.2f} MB")


def _resumed(trials: tuple[TrialRecord, ...]) -> int:
    return next(trial.number for trial in trials if trial.state is TrialState.QUEUED)


def _made_up(spec: SweepSpec, number: int, run: str) -> TrialRecord:
    draw = np.random.default_rng(number)
    params = suggest(replace(spec, method=spec_of("random", trials=1, seed=0, halving=None).method), (), number)
    loss = float(draw.uniform(0.1, 2.0))
    words = f"paused after epoch 1: 1st of {number} there"
    return TrialRecord(
        number=number,
        run=run,
        params=params or {},
        values=(Measured(1, loss, 1 - loss / 3),),
        state=TrialState.PAUSED,
        decision=words,
    )


def main() -> None:
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--factor", type=int, default=4)
    parser.add_argument("--first-epochs", type=int, default=1)
    parser.add_argument("--mnist", type=int, default=0, metavar="IMAGES")
    parser.add_argument("--scale", type=int, default=0, metavar="TRIALS")
    parser.add_argument("--promotions", type=int, default=0, metavar="TRIALS")
    given = parser.parse_args()
    if given.promotions:
        promotions(given.promotions)
        return
    if given.scale:
        scale(given.scale)
        return
    halving = {"factor": given.factor, "first_epochs": given.first_epochs}
    compare(repeats=given.repeats, trials=given.trials, first_seed=given.first_seed, halving=halving, mnist=given.mnist)


if __name__ == "__main__":
    main()
