"""Writes a bundle. Order, times and packing are fixed: the same runs give the same bytes, apart from volatile fields."""

import hashlib
import io
import math
import time
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import safetensors.numpy

from lab import __version__
from lab.errors import InputError
from lab.runs.edits import NAME_LIMIT, NOTE_LIMIT
from lab.runs.encoding import encode_json
from lab.runs.records import RunRecord, SavedFile
from lab.sharing.bundle.layout import (
    COLUMNS,
    FORMAT,
    ITEM_BYTES,
    MANIFEST,
    MAX_ALL_JSON,
    MAX_ALL_POINTS,
    MAX_BYTES,
    MAX_ENTRIES,
    MAX_POINTS,
    MAX_RUNS,
    VERSION,
    VOLATILE,
    points_name,
    run_name,
    weights_name,
)
from lab.sharing.bundle.record import MAX_NOTICES, NOTICE_LIMIT, REASON_LIMIT, clean, clean_tags, known_end
from lab.sharing.source import Source

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can represent
_REGULAR_FILE = 0o100644 << 16
_UNIX = 3
_MARGIN = 8 << 20  # bytes reserved for everything except weights


def write_bundle(source: Source, runs: Sequence[RunRecord]) -> bytes:
    """Return the bundle of runs that have ended.

    If all saved weights do not fit into 1 GiB and 2,000 files, only the best and the newest of each run are included.
    Raises `InputError` for a run that has not ended, or if even those are too large.
    """
    if len(runs) > MAX_RUNS:
        raise InputError(f"A bundle holds at most {MAX_RUNS} runs, but {len(runs)} were given: export several bundles.")
    live = next((run for run in runs if run.state.live), None)
    if live is not None:
        raise InputError(f"Run {live.name or live.id} is {live.status}: wait until it has ended, or stop it.")
    weights, left_out = _choose_weights(source, runs)
    files: list[tuple[str, bytes]] = []
    for index, run in enumerate(runs):
        files.extend(_run_files(source, run, index, weights[run.id]))
    _check_sizes(files)
    volatile = {
        "exported_at": time.time(),
        "convlab": __version__,
        "weights_left_out": left_out,
        "runs": [{"run": run.id, "origin": run.origin, "parent": run.parent} for run in runs],
    }
    return _pack([(MANIFEST, _manifest(files, volatile)), *files])


def _check_sizes(files: Sequence[tuple[str, bytes]]) -> None:
    """Raise `InputError` for a bundle that the import would refuse."""
    records = sum(len(data) for name, data in files if name.endswith("/run.json"))
    points = sum(len(data) for name, data in files if name.endswith("/points.safetensors"))
    limit = MAX_ALL_POINTS * ITEM_BYTES * len(COLUMNS)
    if records > MAX_ALL_JSON or points > limit:
        raise InputError(
            f"These runs have {points // (ITEM_BYTES * len(COLUMNS)):,} points and records of {records:,} bytes, but a "
            f"bundle holds at most {MAX_ALL_POINTS:,} points and {MAX_ALL_JSON:,} bytes: export fewer runs at a time."
        )


def _manifest(files: Sequence[tuple[str, bytes]], volatile: dict[str, Any]) -> bytes:
    listed = [{"name": n, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for n, data in files]
    return _json({"format": FORMAT, "version": VERSION, "files": listed, VOLATILE: volatile})


def _json(value: Any) -> bytes:
    return encode_json(value).encode()


def _choose_weights(source: Source, runs: Sequence[RunRecord]) -> tuple[dict[str, list[SavedFile]], int]:
    """Return each run's weights in step order, and how many are left out."""
    every = {run.id: list(source.weights.list(run.id)) for run in runs}
    entries = 1 + 2 * len(runs) + _count(every)  # the manifest; each run's record and curves
    if _total(every) <= MAX_BYTES - _MARGIN and entries <= MAX_ENTRIES:
        return every, 0
    few: dict[str, list[SavedFile]] = {}
    for run in runs:
        ends = {source.weights.find(run.id, epoch=which).step for which in ("best", "latest")} if every[run.id] else ()
        few[run.id] = [file for file in every[run.id] if file.step in ends]
    if _total(few) > MAX_BYTES - _MARGIN:
        raise InputError(
            f"The weights of these runs need {_total(few):,} bytes, but a bundle holds at most {MAX_BYTES:,}: "
            "export fewer runs."
        )
    return few, _count(every) - _count(few)


def _count(weights: dict[str, list[SavedFile]]) -> int:
    return sum(map(len, weights.values()))


def _total(weights: dict[str, list[SavedFile]]) -> int:
    return sum(file.bytes for files in weights.values() for file in files)


def _run_files(source: Source, run: RunRecord, index: int, weights: Sequence[SavedFile]) -> Iterator[tuple[str, bytes]]:
    record = {
        "name": clean(run.name, NAME_LIMIT),
        "config": run.config.as_dict(),
        "fingerprint": run.fingerprint,
        "state": run.state.value,
        "reason": clean(run.reason, REASON_LIMIT),
        "created_at": _known(run.created_at),
        "started_at": run.started_at,
        "finished_at": known_end(run.started_at, run.finished_at),
        "seconds": _known(run.seconds),
        "device": run.device,
        "note": clean(run.note, NOTE_LIMIT),
        "tags": clean_tags(run.tags),
        "summary": run.summary.as_dict(),
        "environment": run.environment.as_dict(),
        "notices": [clean(notice, NOTICE_LIMIT) for notice in run.notices[:MAX_NOTICES]],
        "weights": [{"step": k.step, "epoch": k.epoch, "created_at": k.created_at} for k in weights],
    }
    yield run_name(index), _json(record)
    yield points_name(index), _points(source, run)
    for file in weights:
        yield weights_name(index, file.step), source.artifacts.read(file)


def _known(seconds: float) -> float:
    """Return a stored time, 0 if it is not finite."""
    return seconds if math.isfinite(seconds) else 0.0


def _points(source: Source, run: RunRecord) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    for name, series in source.store.points.read(run.id).items():
        for column, (_, dtype) in COLUMNS.items():
            arrays[f"{name}:{column}"] = np.ascontiguousarray(getattr(series, column), dtype=dtype)
    data = safetensors.numpy.save(arrays)
    if len(data) > MAX_POINTS:
        raise InputError(
            f"The curves of run {run.name or run.id} have {len(data):,} bytes, but a bundle holds at most "
            f"{MAX_POINTS:,}: export them as CSV."
        )
    return data


def _pack(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Return the zip. Files are not compressed: weights hardly shrink, and the bytes would depend on zlib's release."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name, data in files:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = _UNIX, _REGULAR_FILE
            archive.writestr(entry, data)
    return target.getvalue()
