"""Fills a store with synthetic finished runs, for benchmarks and for viewing full pages. Their numbers are random."""

import secrets
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.dialects import sqlite

from lab.config import RunConfig
from lab.config.repeats import setting_key
from lab.runs import tables
from lab.runs.encoding import encode_tags
from lab.runs.records import Series
from lab.runs.store import RunStore

ARCHS = ("lenet5", "lenet-bn", "basic-cnn", "conv3-bn", "vgg-small", "resnet-small")
PART = 250
WORDS = ("sweep", "report-c", "report-d", "baseline", "try")


def random_config(draw: np.random.Generator, seed: int) -> RunConfig:
    """Return a random configuration as a sweep might suggest it."""
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
    """Return plausible curves of loss and accuracy: for every step, and at the end of every epoch."""
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


def fill(store: RunStore, *, runs: int, steps: int, seed: int = 0) -> None:
    """Write finished runs directly into the tables of an SQLite store.

    This takes one transaction for `PART` runs instead of four for each run.
    """
    draw = np.random.default_rng(seed)
    with store.database.write() as connection:
        start = int(connection.execute(select(func.max(tables.runs.c.number))).scalar() or 0) + 1
        names = [{"name": name} for name in drawn_points(draw, steps=10, epochs=1, floor=0.1)]
        connection.execute(sqlite.insert(tables.series_names).on_conflict_do_nothing(), names)
        series = {row.name: row.number for row in connection.execute(select(tables.series_names))}
    for first in range(start, start + runs, PART):
        rows, points = [], []
        for number in range(first, min(first + PART, start + runs)):
            config, floor = random_config(draw, seed=number), float(draw.uniform(0.02, 0.3))
            rows.append(drawn_row(draw, config, number=number, steps=steps, floor=floor))
            for name, one in drawn_points(draw, steps=steps, epochs=config.epochs, floor=floor).items():
                columns = (one.step.tolist(), one.value.tolist(), one.time_s.tolist())
                points += [(number, series[name], *point) for point in zip(*columns, strict=True)]
        with store.database.write() as connection:
            connection.execute(tables.runs.insert(), rows)
            connection.exec_driver_sql("INSERT INTO points VALUES (?, ?, ?, ?, ?)", points)


def drawn_row(draw: np.random.Generator, config: RunConfig, *, number: int, steps: int, floor: float) -> dict[str, Any]:
    tags = tuple(sorted(str(tag) for tag in draw.choice(WORDS, size=int(draw.integers(0, 3)), replace=False)))
    results = {
        "test_accuracy": 0.996 - floor / 3,
        "val_accuracy": 1 - floor / 3,
        "best_epoch": config.epochs,
        "images_per_second": float(draw.uniform(2e3, 4e4)),
    }
    rest = {"test_loss": floor + 0.01, "val_loss": floor, "params": int(draw.choice((21_840, 61_706, 1_899_850)))}
    moment = 1.7e9 + 100.0 * number
    return {
        "number": number,
        "id": secrets.token_hex(6),
        "name": f"sweep {number}",
        "config": config.as_dict(),
        "fingerprint": f"generated-{number}",
        "family": "",
        "cache_key": None,
        "state": "finished",
        "want": "run",
        "lease": 1,
        "attempts": 1,
        "created_at": moment,
        "queued_at": moment,
        "started_at": moment,
        "finished_at": moment + 60,
        "seconds": float(draw.uniform(2, 400)),
        "device": "cpu",
        "origin": "generated",
        "tags": encode_tags(tags),
        "progress": {"step": steps, "steps_per_epoch": steps // config.epochs},
        "summary": results | rest,
        "environment": {},
        "notices": [],
        "findings": [],
        "arch": config.arch,
        "dataset": config.dataset,
        "setting": setting_key(config),
        **results,
    }
