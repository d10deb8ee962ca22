"""The files of a bundle and their limits, shared by reader and writer; `docs/formats.md` documents them.

manifest.json                       format, version, every file's size and SHA-256, and the volatile fields
runs/0/run.json                     name, configuration, results, environment, list of weights
runs/0/points.safetensors           every curve: NAME:step int64, NAME:value and NAME:time_s float64
runs/0/weights-000001500.safetensors  one file for every saved epoch, as in the artifact store
"""

import re
from typing import Any

import numpy as np

FORMAT = "convlab-bundle"
VERSION = 1  # raised when an older release could misread a bundle; a newer one is refused

MANIFEST = "manifest.json"
NAME = re.compile(
    r"manifest\.json|runs/(0|[1-9][0-9]{0,2})/(run\.json|points\.safetensors|weights-[0-9]{9}\.safetensors)"
)
DIGEST = re.compile(r"[0-9a-f]{64}")  # SHA-256

MAX_ENTRIES = 2_000
MAX_RUNS = 200
MAX_BYTES = 1 << 30  # unpacked, all files together
MAX_RATIO = 100  # unpacked to packed, of each file
MAX_JSON = 4 << 20  # bytes of one JSON file
MAX_ALL_JSON = 8 << 20  # bytes of all runs' records: they become visible in one transaction
MAX_POINTS = 256 << 20  # bytes of one run's curves
MAX_ALL_POINTS = 10_000_000  # points of all runs together: a minute or two of writing
MAX_HEADER = 1 << 20  # bytes of a safetensors header
MAX_TENSORS = 1_000
CHUNK = 1 << 20  # bytes read at once

ITEM_BYTES = 8  # of each number of a curve

# When, where and under which ids the runs were exported: the only fields that differ after importing and exporting
# again, except that the configuration of a run whose origin is in the same bundle names it by its new id.
VOLATILE = "volatile"


def run_name(index: int) -> str:
    """Return the name of a run's record."""
    return f"runs/{index}/run.json"


def points_name(index: int) -> str:
    """Return the name of a run's curves."""
    return f"runs/{index}/points.safetensors"


def weights_name(index: int, step: int) -> str:
    """Return the name of the weights saved after a step."""
    return f"runs/{index}/weights-{step:09d}.safetensors"


# The types of a curve's columns in safetensors and in NumPy.
COLUMNS: dict[str, tuple[str, Any]] = {
    "step": ("I64", np.int64),
    "value": ("F64", np.float64),
    "time_s": ("F64", np.float64),
}
