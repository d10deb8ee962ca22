"""Fills a store with made-up finished runs, for measuring and for looking at full pages. Numbers are drawn, not trained."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.runs.records import RunState, Series
from lab.runs.store import RunStore

ARCHS = ("lenet5", "lenet-bn", "basic-cnn", "conv3-bn", "vgg-small", "resnet-small")
WORDS = ("sweep", "report-c", "report-d", "baseline", "try")


def random_config(draw: np.random.Generator, seed: int) -> RunConfig:
    """Return a configuration as a sweep would ask for it."""
    return RunConfig(
        arch=str(draw.choice(ARCHS)),
        dataset=str(draw.choice(("mnist", "digits", "fashion-mnist"))),
        lr=float(draw.choice((1e-4, 3e-4, 1e-3, 3e-3, 1e-2))),
        batch_size=int(draw.choice((16, 32, 64, 128))),
        epochs=int(draw.choice((3, 5, 10))),
        optimizer=str(draw.choice(("adam", "sgd"))),
        seed=seed,
    )


def drawn_points(draw: np.random.Generator, *, steps: int, epochs: int, floor: float) -> dict[str, Series]:
    """Return loss and accuracy as a training would have them: every step, and at the end of every epoch."""
    step = np.arange(1, steps + 1)
    time_s = step * 0.004
    loss = floor + 2.2 * np.exp(-step / (steps / 6)) * np.exp(0.25 * draw.standard_normal(steps))
    accuracy = np.clip(1 - loss / 2.5 + 0.02 * draw.standard_normal(steps), 0, 1)
    ends = np.linspace(0, steps, epochs + 1).astype(int)[1:]
    made = {"batch/loss": loss, "batch/accuracy": accuracy}
    dense = {name: Series(name, step, value, time_s) for name, value in made.items()}
    sparse = {
        f"{split}/{metric}": Series(
            f"{split}/{metric}", ends, made[f"batch/{metric}"][ends - 1] + shift, time_s[ends - 1]
        )
        for split, shift in (("val", 0.01), ("test", 0.02))
        for metric in ("loss", "accuracy")
    }
    return dense | sparse


def fill(store: RunStore, *, runs: int, steps: int, seed: int = 0, tags: Sequence[str] = WORDS) -> None:
    """Submit, claim, write and finish so many runs through the store's own doors."""
    draw = np.random.default_rng(seed)
    owner = dataclasses.replace(Owner.of_this_process(), host="generated")
    for number in range(runs):
        config = random_config(draw, seed=number)
        some = [str(tag) for tag in draw.choice(tags, size=int(draw.integers(0, 3)), replace=False)]
        store.submit(config, fingerprint=f"generated-{seed}-{number}", family="", tags=some, name=f"sweep {number}")
        run = store.claim(slot="generated", owner=owner)
        if run is None:
            raise RuntimeError("the run just queued was taken by a worker: fill a store of its own")
        floor = float(draw.uniform(0.02, 0.3))
        points = drawn_points(draw, steps=steps, epochs=config.epochs, floor=floor)
        store.append_points(
            run.id, run.lease, points, progress={"step": steps, "steps_per_epoch": steps // config.epochs}
        )
        accuracy = 1 - floor / 3
        summary = {
            "test_accuracy": accuracy - 0.004, "val_accuracy": accuracy, "test_loss": floor + 0.01, "val_loss": floor,
            "best_epoch": config.epochs, "params": int(draw.choice((21_840, 61_706, 125_642, 1_899_850))),
            "images_per_second": float(draw.uniform(2e3, 4e4)),
        }  # fmt: skip
        store.finish(run.id, run.lease, state=RunState.FINISHED, summary=summary, seconds=float(draw.uniform(2, 400)))
