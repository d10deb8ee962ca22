"""False and stale findings on sound runs, and detection of known faults: `python -m benchmarks.findings [--runs 20]`.

Sound runs: small networks with 30 epochs and more on the built-in digits, and on 2,000 images of MNIST if LAB_DATA has
it, with several seeds, optimizers, schedules and dropouts. The worker's own `execute` trains them into a temporary
store. Every finding is verified independently of the rules: at the end of the run with the stored points, and after
every epoch with the points recorded until then. A finding is false if its statement does not hold, and stale if a
number it quotes is not that of the epoch it names.

Faults: runs with one known mistake each. A fault is found if one of the expected findings is reported and its remedy
changes the wrong setting.
"""

import argparse
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from lab.config import RunConfig
from lab.data.load import is_present
from lab.data.registry import get_dataset_spec
from lab.diagnosis.curves import DataFacts
from lab.diagnosis.rules import diagnose_run
from lab.findings import Finding
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, Series
from lab.service.lab import Lab
from lab.settings import Settings
from lab.stored_findings import diagnose_stored_run
from lab.worker.execution import execute

DIGITS = {"arch": "lenet5", "dataset": "digits", "epochs": 30, "train_limit": 1_000, "batch_size": 64, "device": "cpu"}
MNIST = {**DIGITS, "dataset": "mnist", "train_limit": 2_000}
SOUND: tuple[dict[str, Any], ...] = (
    {"seed": 0},
    {"seed": 1},
    {"seed": 2, "epochs": 40},
    {"optimizer": "sgd", "lr": 0.02, "seed": 5},
    {"optimizer": "sgd", "lr": 0.01, "epochs": 40, "seed": 3},
    {"optimizer": "adamw", "weight_decay": 0.01},
    {"optimizer": "rmsprop", "lr": 5e-4},
    {"optimizer": "muon", "lr": 0.02},
    {"schedule": "cosine"},
    {"schedule": "one-cycle", "lr": 3e-3},
    {"label_smoothing": 0.1},
    {"loss": "nll", "output": "log-softmax"},
    {"loss": "mse", "output": "softmax"},
    {"arch": "lenet-bn"},
    {"arch": "lenet-bn", "arch_options": {"dropout": 0.2}},
    {"arch": "basic-cnn", "seed": 4},
    {"arch": "basic-cnn", "augment": "light"},
)
SOUND_MNIST: tuple[dict[str, Any], ...] = (
    {"seed": 0},
    {"arch": "lenet-bn", "seed": 1},
    {"optimizer": "sgd", "lr": 0.02},
)
SHORT = {**DIGITS, "epochs": 15}
OVERFITTED = {"dataset": "mnist", "train_limit": 800, "val_fraction": 0.5, "epochs": 40, "lr": 2e-3, "seed": 1}
FEW_IMAGES = {"dataset": "mnist", "train_limit": 800, "val_fraction": 0.5, "epochs": 20, "seed": 1}
# Changed settings, codes of which one must be found, the setting that its remedy must change.
FAULTS: tuple[tuple[dict[str, Any], tuple[str, ...], str], ...] = (
    ({"optimizer": "sgd", "lr": 1e-5}, ("at-chance",), "lr"),
    ({"optimizer": "rmsprop", "lr": 0.03}, ("at-chance",), "lr"),
    ({"lr": 1.0}, ("at-chance", "diverged"), "lr"),
    ({"optimizer": "sgd", "lr": 50.0}, ("diverged",), "lr"),
    ({"lr": 0.5, "label_smoothing": 0.1}, ("at-chance", "diverged"), "lr"),
    ({"lr": 0.5, "loss": "mse", "output": "softmax"}, ("at-chance",), "lr"),
    ({"lr": 1.0, "loss": "mse"}, ("diverged",), "lr"),
    ({"lr": 0.3, "output": "softmax"}, ("at-chance",), "lr"),
    ({"loss": "nll"}, ("diverged", "nll-on-logits"), "output"),
    ({"lr": 1e-6}, ("at-chance",), "lr"),
    ({"lr": 2e-5}, ("lr-low", "at-chance"), "lr"),
    ({"optimizer": "sgd", "lr": 0.05, "weight_decay": 1.0}, ("at-chance",), "weight_decay"),
    (OVERFITTED, ("overfitting",), "patience"),
    (FEW_IMAGES, ("generalisation-gap",), "train_limit"),
)


def train(lab: Lab, config: RunConfig) -> tuple[RunRecord, tuple[Finding, ...]]:
    """Train one run as the worker does and return it with its findings; a cached run is only diagnosed again."""
    submission = lab.submissions.submit(lab.validation.resolve(config))
    if submission.cached:
        return submission.run, diagnose_stored_run(lab.store, submission.run)
    run = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert run is not None
    execute(lab, run, ending=threading.Event())
    ended = lab.store.runs.get(run.id)
    return ended, ended.findings


def until(points: Mapping[str, Series], step: int) -> dict[str, Series]:
    """Return the part of the curves up to a step."""
    cut = {}
    for name, series in points.items():
        count = int(np.searchsorted(series.step, step, side="right"))
        cut[name] = Series(name, series.step[:count], series.value[:count], series.time_s[:count])
    return cut


def is_true(finding: Finding, points: Mapping[str, Series]) -> bool:
    """Whether a finding on a sound run holds for its curves, checked independently of the rule."""

    def epochs(name: str) -> np.ndarray:
        return points[name].value[points[name].step > 0]

    if finding.code == "overfitting":
        quoted = re.search(r"was ([\d.]+) around epoch (\d+) and is ([\d.]+) in epochs (\d+) to (\d+)", finding.message)
        if quoted is None:
            return False
        low, end = float(quoted[1]), float(quoted[3])
        loss, first, last = epochs("val/loss"), int(quoted[4]), int(quoted[5])
        newest = last == len(loss) and abs(loss[first - 1 : last].mean() - end) < 1e-3
        lasting = (loss[first - 1 : last] > low).all() and end > 1.1 * np.median(np.sort(loss)[: last - first + 1])
        return bool(newest and lasting and epochs("train/loss")[-1] < epochs("train/loss")[int(quoted[2]) - 1])
    if finding.code == "generalisation-gap":
        quoted = re.search(r"epochs (\d+) to (\d+), ([\d.]+) % of the training images and ([\d.]+) %", finding.message)
        if quoted is None:
            return False
        first, last = int(quoted[1]), int(quoted[2])
        known = [100 * epochs(f"{split}/accuracy")[first - 1 : last].mean() for split in ("train", "val")]
        shown = [float(quoted[3]), float(quoted[4])]
        return bool(
            last == len(epochs("val/accuracy"))
            and np.abs(np.subtract(known, shown)).max() < 0.006
            and known[0] > known[1] + 5
        )
    if finding.code == "unstable":
        shares = re.findall(r"([\d.]+) %", finding.message)
        accuracy = 100 * epochs("val/accuracy")
        return shares == [f"{accuracy.max():.2f}", f"{accuracy[-1]:.2f}"] and bool(accuracy.max() > accuracy[-1] + 10)
    if finding.code == "training-below-validation":
        epoch = re.search(r"epoch (\d+)", finding.message)
        accurate = epochs("val/accuracy")[-1] > epochs("train/accuracy")[-1]
        return bool(accurate) and epoch is not None and int(epoch[1]) == len(epochs("train/accuracy"))
    return False  # a sound run neither diverges nor guesses, and its learning rate is suitable


def sound_runs(lab: Lab, count: int) -> Iterator[RunConfig]:
    """Yield the configurations of sound runs."""
    has_mnist = is_present("mnist", root=lab.settings.data)
    every = [{**DIGITS, **changes} for changes in SOUND]
    every += [{**(MNIST if has_mnist else {**DIGITS, "seed": 10 + n}), **c} for n, c in enumerate(SOUND_MNIST)]
    for values in every[:count]:
        yield RunConfig.from_dict(values)


def measure_sound(lab: Lab, count: int) -> None:
    """Train the sound runs and print the findings of each."""
    wrong_ends = wrong_lives = lives = 0
    for config in sound_runs(lab, count):
        run, findings = train(lab, config)
        points = lab.store.points.read(run.id)
        wrong = [finding.message for finding in findings if not is_true(finding, points)]
        wrong += [f"stale notice: {notice}" for notice in run.notices]
        facts = DataFacts.from_environment(
            run.environment.as_dict(), classes=len(get_dataset_spec(config.dataset).classes)
        )
        live_wrong = 0
        for step in points["train/loss"].step.tolist():
            then = until(points, step)
            found = diagnose_run(config, then, facts, ended=False)
            lives += 1
            live_wrong += any(not is_true(finding, then) for finding in found)
        wrong_ends, wrong_lives = wrong_ends + bool(wrong), wrong_lives + live_wrong
        words = ", ".join(f"{name} {value}" for name, value in config.changed().items() if name not in ("device",))
        accuracy = run.summary.other.get("test_accuracy", float("nan"))
        codes = ", ".join(f.code for f in findings) or "none"
        print(
            f"{100 * accuracy:6.2f} %  {run.status:9} found: {codes}; false or stale: {wrong or 0}; in "
            f"{live_wrong} epochs  ({words})",
            flush=True,
        )
    print(
        f"sound runs: {count}, with a false or stale finding at the end: {wrong_ends}; "
        f"epochs judged: {lives}, false: {wrong_lives}"
    )


def measure_faults(lab: Lab) -> None:
    """Train the faulty runs and print the findings of each."""
    has_mnist = is_present("mnist", root=lab.settings.data)  # the digits are too easy to overfit
    faults = [fault for fault in FAULTS if has_mnist or fault[0].get("dataset") != "mnist"]
    found = 0
    for changes, codes, setting in faults:
        run, findings = train(lab, RunConfig.from_dict({**SHORT, **changes}))
        hit = any(f.code in codes and setting in f.remedy for f in findings)
        found += hit
        print(
            f"{'found ' if hit else 'MISSED'}  {run.status:24}{changes}: {[f.message for f in findings]}",
            flush=True,
        )
    print(f"faults: {len(faults)}, found with a remedy that fits: {found}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=len(SOUND) + len(SOUND_MNIST))
    parser.add_argument("--only", choices=("sound", "faults"))
    parser.add_argument(
        "--home", default="", help="Keep the runs in this home; existing runs are diagnosed again, not trained."
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        settings = {"LAB_HOME": options.home or temporary} | {k: v for k, v in os.environ.items() if k == "LAB_DATA"}
        lab = Lab(Settings.from_env(settings))
        if options.only != "faults":
            measure_sound(lab, options.runs)
        if options.only != "sound":
            measure_faults(lab)
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
