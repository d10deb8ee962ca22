"""Mutants of a valid bundle's record and curves, and of a stored row, with values and keys that could break a page."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import safetensors.numpy

from lab.runs import facts
from lab.sharing.bundle.layout import COLUMNS

NAN, INF = {"$float": "nan"}, {"$float": "inf"}
# What a page may find instead of a number ...
NUMBERS: tuple[Any, ...] = (
    0,
    1,
    -1,
    0.0,
    -0.0,
    1.0,
    0.5,
    0.9999999,
    1.0000001,
    5e-324,
    1e-300,
    1e10,
    1e12,
    1e15,
    1e100,
    1e300,
    -1e300,
    1.7976931348623157e308,
    2**31,
    2**53 - 1,
    2**53,
    2**60,
    2**62,
    2**63,
    -(2**60),
    10**30,
    NAN,
    INF,
    {"$float": "-inf"},
    None,
    True,
    False,
    "",
    "0.5",
    "NaN",
    [],
    {},
    [0.5],
    facts.LAST_MOMENT,
    facts.LAST_MOMENT + 1,
    facts.LONGEST_S,
    253_402_300_799,
    253_402_300_800,
    32_536_850_400,
    -2_208_988_800,
    1e-9,
)
# ... and instead of a text.
TEXTS: tuple[Any, ...] = (
    "",
    " ",
    "x",
    "x" * 59,
    "x" * 200,
    "x" * 201,
    "x" * 500,
    "x" * 2_000,
    "é語🙂" * 40,
    "🏳️‍🌈" * 20,
    "<script>alert(1)</script>",
    "**bold** [link](javascript:alert(1)) $x^2$ :red[x] :material/check:",
    "a\nb",
    "a\tb",
    "a\0b",
    "\x1b[31mred",
    "\x9b31m",
    "\u202egnirts",
    "\u2066x\u2069",
    "\ufeff",
    "=1+1",
    "'; DROP TABLE runs; --",
    "{{ 7*7 }}",
    "%s %d {0}",
    "\\N{BULLET}",
    "cpu",
    "cuda",
    "cuda:0",
    "cuda:99999",
    "mps",
    "meta",
    "evil",
    "cpu:0",
    "../../etc/passwd",
    "NaN",
    "None",
    "null",
    "1e300",
    "2.14.1+cu130",
    "0",
    "-",
    ".",
    "finished",
    "diverged",
    "running",
    "#",
    "|",
    "```",
    "&amp;",
    "\u2028",
    "ﷺ" * 30,
    "a" * 60 + "\u0301" * 100,
    None,
    5,
    1e300,
    True,
    [],
    {},
    ["x"],
    "\ud800",
)
NAMES = (
    "test_accuracy",
    "val_accuracy",
    "train_accuracy",
    "test_loss",
    "val_loss",
    "params",
    "best_epoch",
    "final_epoch",
    "images_per_second",
    "seconds",
    "steps",
    "epochs",
    "outcome",
    "unheard_of",
    "x" * 60,
    "normalization",
    "torch",
    "threads",
    "device",
    "name",
    "python",
    "memory_mb",
    "train_images",
    "phase",
    "total_steps",
)
FACTS = ("summary", "environment")
CURVES = (
    "batch/loss",
    "batch/accuracy",
    "train/loss",
    "val/loss",
    "val/accuracy",
    "test/loss",
    "test/accuracy",
    "lr",
    "grad_norm",
    "images_per_second",
    "memory_mb",
    "unheard/of",
)


def mutate_record(valid: dict[str, Any], rng: random.Random) -> bytes:
    """Return the JSON of a record with one to three changes."""
    record = copy.deepcopy(valid)
    for _ in range(rng.randrange(1, 4)):
        _change_one(record, rng)
    return json.dumps(record).encode()


def _change_one(record: dict[str, Any], rng: random.Random) -> None:
    where = rng.random()
    if where < 0.5:
        _change_fact(record[rng.choice(FACTS)], rng)
    elif where < 0.6:
        record["notices"] = [rng.choice(TEXTS) for _ in range(rng.randrange(4))]
    elif where < 0.7:
        _change_setting(record["config"], rng)
    else:
        key = rng.choice(
            [
                "name",
                "reason",
                "created_at",
                "started_at",
                "finished_at",
                "seconds",
                "device",
                "note",
                "tags",
                "state",
                "fingerprint",
                "weights",
            ]
        )
        record[key] = _another(record.get(key), rng)


def _change_fact(found: Any, rng: random.Random) -> None:
    if not isinstance(found, dict):
        return
    name = rng.choice([*found, *NAMES])
    if rng.random() < 0.2:
        found.pop(name, None)
    else:
        found[name] = _another(found.get(name, 0.5), rng)


def _change_setting(config: Any, rng: random.Random) -> None:
    if isinstance(config, dict):
        name = rng.choice(list(config))
        config[name] = _another(config[name], rng)


def _another(value: Any, rng: random.Random) -> Any:
    """Return a replacement for a value, mostly of the same type, so that many mutants are accepted."""
    if rng.random() < 0.1:
        return rng.choice([*NUMBERS, *TEXTS])
    if isinstance(value, str):
        return rng.choice(TEXTS)
    if isinstance(value, list):
        return [rng.choice([*TEXTS, *NUMBERS]) for _ in range(rng.randrange(4))]
    if isinstance(value, int) and rng.random() < 0.5:
        return rng.choice([0, 1, 2, 7, 10**6, 2**31, 2**53 - 1, value + 1, max(0, value - 1)])
    return rng.choice(NUMBERS)


def mutate_curves(rng: random.Random) -> bytes:
    """Return a file of curves with unusual lengths, steps, values and times, most of them allowed."""
    arrays: dict[str, np.ndarray] = {}
    for name in rng.sample(CURVES, rng.randrange(len(CURVES))):
        count = rng.choice([1, 1, 2, 3, 10, 50])
        gaps = [rng.choice([1, 1, 1, 2, 1_000, 10**9]) for _ in range(count)]
        odd = (0.0, 1.0, 0.5, -0.0, 5e-324, float("nan"))
        wild = (1e308, -1e308, float("inf"), float("-inf"), 1e-300, 2.0**60, -5.0)
        allowed = odd if name.endswith("accuracy") and rng.random() < 0.95 else odd + wild
        values = {
            "step": np.cumsum(gaps) - gaps[0] * rng.randrange(2),
            "value": np.array([rng.choice(allowed) for _ in range(count)]),
            "time_s": np.array([rng.choice([0.0, 0.1, 5.0, 1e5, facts.LONGEST_S]) for _ in range(count)]),
        }
        for column, (_, dtype) in COLUMNS.items():
            arrays[f"{name}:{column}"] = np.ascontiguousarray(values[column], dtype=dtype)
    return safetensors.numpy.save(arrays)


def stored_values(rng: random.Random) -> Iterator[tuple[str, Any]]:
    """Yield columns of a stored row with values that an import of an earlier release or another program may leave."""
    numbers = [value for value in NUMBERS if isinstance(value, (int, float)) and not isinstance(value, bool)]
    for column in rng.sample(["created_at", "started_at", "finished_at", "seconds"], 2):
        yield column, float(min(max(rng.choice(numbers), -1e300), 1e300))
    if rng.random() < 0.4:
        yield (
            rng.choice(["device", "name", "reason", "note"]),
            rng.choice([text for text in TEXTS if isinstance(text, str) and "\0" not in text and "\ud800" not in text]),
        )
    for column in rng.sample(["test_accuracy", "val_accuracy", "images_per_second"], 1):
        yield column, float(min(rng.choice(numbers), 1e300))
    names = [
        "step",
        "total_steps",
        "epoch",
        "epochs",
        "steps_per_epoch",
        "seconds",
        "eta_seconds",
        "phase",
        "device",
        *NAMES,
    ]
    for column in ("summary", "environment", "progress"):
        if rng.random() < 0.7:
            made = {rng.choice(names): _plain(_another(0.5, rng)) for _ in range(rng.randrange(1, 8))}
            yield column, rng.choice([made, made, made, made, made, [], None, "x", 5])
    if rng.random() < 0.3:
        yield "notices", [_plain(rng.choice([*TEXTS, *NUMBERS])) for _ in range(3)]


def _plain(value: Any) -> Any:
    """Return the value as the store's JSON column can hold it."""
    marked = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
    if isinstance(value, dict) and "$float" in value:
        return marked[value["$float"]]
    return value.replace("\0", "").replace("\ud800", "") if isinstance(value, str) else value
