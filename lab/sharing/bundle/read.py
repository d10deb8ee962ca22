"""Takes a bundle in: everything is checked before anything is written, and what cannot be finished is taken back.

The archive is read twice, once to check and once to keep, and the second reading is held to the same SHA-256.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from lab.errors import ReadOnlyError, ShapeError
from lab.judging import judge_older
from lab.runs.imports import EndedRun, new_run_id
from lab.runs.records import WEIGHTS, KeptFile, RunRecord, Series
from lab.sharing.bundle.archive import Archive, open_archive
from lab.sharing.bundle.layout import (
    DIGEST,
    FORMAT,
    MANIFEST,
    MAX_JSON,
    MAX_POINTS,
    MAX_RUNS,
    VERSION,
    VOLATILE,
    points_name,
    run_name,
    weights_name,
)
from lab.sharing.bundle.record import Record, read_record
from lab.sharing.bundle.strict_reading import Fields, items, read_json, refuse, whole
from lab.sharing.bundle.tensors import Expected, check_weights, header_bytes, read_points
from lab.sharing.source import Source

_SERIES = re.compile(r"[a-z0-9_]{1,30}(/[a-z0-9_]{1,30})?")
_MOST_SERIES = 64
JUDGING_S = 10.0  # runs of a large bundle that are not judged by then are judged by an idle worker


@dataclass(frozen=True, slots=True)
class _Checked:
    """One run of the bundle, checked, not yet kept."""

    index: int
    record: Record
    points: Mapping[str, Series]


def import_bundle(source: Source, stream: BinaryIO) -> tuple[RunRecord, ...]:
    """Take in the runs of a bundle under new ids and return them, marked as imported.

    stream: seekable, such as an open file or an upload. Raises `InputError` with one sentence for anything that is not
    a whole, unchanged bundle; then nothing was written. Raises `ReadOnlyError` in a read-only lab. Findings are not read
    from a bundle but judged from its curves.
    """
    if source.store.read_only:
        raise ReadOnlyError("This lab is read-only, so no run was taken in: start it without LAB_READ_ONLY.")
    with open_archive(stream) as archive:
        digests = _read_manifest(archive)
        runs = _check_runs(source, archive, digests)
        kept = _keep(source, archive, digests, runs)
    judge_older(source.store, budget_s=JUDGING_S, ids=[run.id for run in kept])
    return tuple(source.store.get(run.id) for run in kept)


def _read_manifest(archive: Archive) -> dict[str, str]:
    """Return the SHA-256 of every other file, all of them listed with the size they have."""
    fields = Fields(read_json(archive.read(MANIFEST, most=MAX_JSON), MANIFEST), MANIFEST)
    if fields.take("format", _text) != FORMAT:
        refuse("its manifest is another program's")
    version = fields.take("version", whole(1, 10**6))
    if version > VERSION:
        refuse(f"it has version {version}, and this release reads up to {VERSION}", way_out="update ConvLab")
    Fields(fields.take(VOLATILE, lambda value: value), VOLATILE)  # read by nobody
    listed = fields.take("files", items(_listed, most=2_000))
    fields.done()
    if [name for name, _, _ in listed] != [name for name in archive.names if name != MANIFEST]:
        refuse("its manifest lists other files than it holds")
    for name, size, _ in listed:
        if archive.size(name) != size:
            refuse(f"{name} has not the size that the manifest says")
    return {name: digest for name, _, digest in listed}


def _listed(value: Any) -> tuple[str, int, str]:
    fields = Fields(value, "the list of files")
    name = fields.take("name", _text)
    size = fields.take("bytes", whole(0, 2**40))
    digest = fields.take("sha256", _text)
    fields.done()
    if not DIGEST.fullmatch(digest):
        raise ValueError("has a digest that is none")
    return name, size, digest


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is not text")
    return value


def _check_runs(source: Source, archive: Archive, digests: Mapping[str, str]) -> list[_Checked]:
    count = sum(name.endswith("/run.json") for name in digests)
    if not 1 <= count <= MAX_RUNS:
        refuse(f"it holds {count} runs, not 1 to {MAX_RUNS}")
    runs = []
    expected_names = []
    for index in range(count):
        if run_name(index) not in digests or points_name(index) not in digests:
            refuse(f"run {index} is not whole")
        record = read_record(_verified(archive, run_name(index), digests, most=MAX_JSON), run_name(index))
        points = _check_points(_verified(archive, points_name(index), digests, most=MAX_POINTS), points_name(index))
        names = [weights_name(index, entry.step) for entry in record.weights]
        expected_names += [run_name(index), points_name(index), *names]
        if not set(names) <= digests.keys():
            refuse(f"run {index} lacks some of its weights")
        _check_all_weights(source, archive, digests, _Checked(index, record, points))
        runs.append(_Checked(index, record, points))
    if expected_names != list(digests):
        refuse("it holds a file that no run lists")
    return runs


def _verified(archive: Archive, name: str, digests: Mapping[str, str], *, most: int) -> bytes:
    data = archive.read(name, most=most)
    if hashlib.sha256(data).hexdigest() != digests[name]:
        refuse(f"{name} is not the file that was exported: its SHA-256 differs")
    return data


def _check_points(data: bytes, name: str) -> dict[str, Series]:
    points: dict[str, Series] = {}
    for series, columns in read_points(data, name):
        step, time_s = columns["step"], columns["time_s"]
        if not _SERIES.fullmatch(series) or len(points) >= _MOST_SERIES:
            refuse(f"{series[:60]!r} in {name} is no name of a curve")
        if not len(step) or step[0] < 0 or step[-1] >= 10**12 or (np.diff(step) <= 0).any():
            refuse(f"the steps of {series} in {name} do not rise")
        if not np.isfinite(time_s).all() or (time_s < 0).any():
            refuse(f"the times of {series} in {name} are none")
        points[series] = Series(series, step, columns["value"], time_s)
    return points


def _check_all_weights(source: Source, archive: Archive, digests: Mapping[str, str], run: _Checked) -> None:
    """Stream every file of weights once: SHA-256 of all of it, and its header against the network's own tensors."""
    if not run.record.weights:
        return
    expected = _expected_tensors(source, run.record)
    for entry in run.record.weights:
        name = weights_name(run.index, entry.step)
        digest = hashlib.sha256()
        start = bytearray()
        for chunk in archive.stream(name):
            digest.update(chunk)
            if len(start) < 8 or len(start) < 8 + header_bytes(bytes(start[:8]), name, size=archive.size(name)):
                start += chunk
        length = header_bytes(bytes(start[:8]), name, size=archive.size(name))
        if digest.hexdigest() != digests[name]:
            refuse(f"{name} is not the file that was exported: its SHA-256 differs")
        check_weights(
            bytes(start[8 : 8 + length]), name, body=archive.size(name) - 8 - length, expected=expected,
            arch=run.record.config.arch, step=entry.step, epoch=entry.epoch,
        )  # fmt: skip


def _expected_tensors(source: Source, record: Record) -> Expected:
    import torch

    words = {
        torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.float16: "F16", torch.bfloat16: "BF16",
        torch.bool: "BOOL", torch.uint8: "U8", torch.int32: "I32",
    }  # fmt: skip
    try:
        with torch.device("meta"):  # shapes only: no memory, whatever the options ask for
            state = source.build_network(record.config).state_dict()
    except ShapeError as error:
        refuse(f"its network cannot be built: {error}")
    return {name: (words[tensor.dtype], tuple(tensor.shape)) for name, tensor in state.items()}


def _keep(source: Source, archive: Archive, digests: Mapping[str, str], runs: list[_Checked]) -> tuple[RunRecord, ...]:
    """Write the weights, then everything else in one transaction; take the files back if that fails."""
    written: list[str] = []
    try:
        ended = [_keep_weights(source, archive, digests, run, written) for run in runs]
        return source.store.insert_ended(ended)
    except BaseException:
        source.artifacts.delete(written)
        raise


def _keep_weights(
    source: Source, archive: Archive, digests: Mapping[str, str], run: _Checked, written: list[str]
) -> EndedRun:
    id, record = new_run_id(), run.record
    kept = []
    for entry in record.weights:
        name = weights_name(run.index, entry.step)
        path = f"{id}/{WEIGHTS}-{entry.step:09d}-0.safetensors"
        sha256, size = source.artifacts.write(path, b"".join(archive.stream(name)))
        written.append(path)
        if sha256 != digests[name]:
            refuse(f"{name} changed while it was read")
        kept.append(KeptFile(id, WEIGHTS, entry.step, entry.epoch, path, sha256, size, entry.created_at))
    return EndedRun(
        id=id, name=record.name, config=record.config, fingerprint=record.fingerprint, state=record.state,
        reason=record.reason, created_at=record.created_at, started_at=record.started_at,
        finished_at=record.finished_at, seconds=record.seconds, device=record.device, note=record.note,
        tags=record.tags, summary=record.summary, environment=record.environment, notices=record.notices,
        points=run.points, kept=tuple(kept),
    )  # fmt: skip
