"""Imports a bundle: everything is checked before anything is written, and a failed import is undone.

The archive is read twice, first to check it and then to store it; the second pass verifies the same SHA-256. Curves and
weights are streamed both times, so memory use does not depend on their size.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from lab.errors import ReadOnlyError, ShapeError
from lab.lazy import load
from lab.runs.ids import new_id
from lab.runs.imports import IMPORTED, EndedRun
from lab.runs.records import WEIGHTS, RunRecord, SavedFile
from lab.sharing.bundle.archive import Archive, open_archive
from lab.sharing.bundle.curves import Curve, check_curves, curve_parts
from lab.sharing.bundle.layout import (
    DIGEST,
    FORMAT,
    MANIFEST,
    MAX_ALL_JSON,
    MAX_ALL_POINTS,
    MAX_JSON,
    MAX_RUNS,
    VERSION,
    VOLATILE,
    points_name,
    run_name,
    weights_name,
)
from lab.sharing.bundle.origins import ExportedRun, copies_of, read_exported
from lab.sharing.bundle.record import Record, WeightsEntry, read_record
from lab.sharing.bundle.strict_reading import Fields, items, read_json, refuse, whole
from lab.sharing.bundle.tensors import Expected, check_weights, header_bytes
from lab.sharing.source import Target
from lab.stored_findings import fill_missing_findings

DIAGNOSIS_S = 10.0  # runs of a large bundle that are not diagnosed within this time are left to an idle worker
_MAX_NAMES = 100  # names of curves in all runs together: the store never deletes a name


@dataclass(frozen=True, slots=True)
class _Checked:
    """One run of the bundle, checked but not yet stored."""

    index: int
    record: Record
    curves: tuple[Curve, ...]
    parent: str | None = None  # new id of the run that it continues, if that is in the bundle too


def import_bundle(target: Target, stream: BinaryIO) -> tuple[RunRecord, ...]:
    """Import the runs of a bundle under new ids and return them, marked as imported.

    stream: seekable, such as an open file or an upload. Raises `InputError` with a one-sentence message for anything
    but a complete, unchanged bundle; then nothing has been written. Raises `ReadOnlyError` in a read-only lab. Findings
    are not read from the bundle but derived from its curves.
    """
    if target.store.read_only:
        raise ReadOnlyError("This lab is read-only, so no run was imported: start it without LAB_READ_ONLY.")
    with open_archive(stream) as archive:
        digests, exported = _read_manifest(archive)
        runs = _check_runs(archive, digests)
        for run in runs:
            _check_all_weights(archive, digests, run)
        ids = [new_id() for _ in runs]
        imported = _store(target, archive, digests, _with_copies(exported, runs, ids), ids=ids, origin=IMPORTED)
    return _diagnosed(target, imported)


def import_shipped(target: Target, stream: BinaryIO, *, ids: Sequence[str], origin: str) -> tuple[RunRecord, ...]:
    """Import a bundle that ships with this release under the given ids and return its runs.

    It is checked like any other, except that its weights are not compared with the tensors of their networks, only with
    the manifest's SHA-256: the comparison would import torch, and a test does it for every shipped file.
    """
    with open_archive(stream) as archive:
        digests, _ = _read_manifest(archive)
        imported = _store(target, archive, digests, _check_runs(archive, digests), ids=ids, origin=origin)
    return _diagnosed(target, imported)


def _diagnosed(target: Target, imported: Sequence[RunRecord]) -> tuple[RunRecord, ...]:
    fill_missing_findings(target.store, budget_s=DIAGNOSIS_S, ids=[run.id for run in imported])
    return tuple(target.store.runs.get(run.id) for run in imported)


def _with_copies(exported: Sequence[ExportedRun], runs: Sequence[_Checked], ids: Sequence[str]) -> list[_Checked]:
    """Return the runs with origins in the same bundle named by their new ids."""
    copies = copies_of(exported, [run.record.config for run in runs], ids)
    return [
        replace(run, record=replace(run.record, config=config), parent=parent)
        for run, (config, parent) in zip(runs, copies, strict=True)
    ]


def _read_manifest(archive: Archive) -> tuple[dict[str, str], tuple[ExportedRun, ...]]:
    """Return the SHA-256 of every other file, after checking that the manifest lists them all with their sizes.

    Also returns the ids under which the runs were exported, if the manifest states them.
    """
    fields = Fields(read_json(archive.read(MANIFEST, most=MAX_JSON), MANIFEST), MANIFEST)
    if fields.take("format", _text) != FORMAT:
        refuse("its manifest belongs to another program")
    version = fields.take("version", whole(1, 10**6))
    if version > VERSION:
        refuse(f"it has version {version}, and this release reads up to {VERSION}", way_out="update ConvLab")
    volatile = fields.take(VOLATILE, lambda value: value)
    Fields(volatile, VOLATILE)  # must be an object; only the ids of the runs are used
    listed = fields.take("files", items(_listed, most=2_000))
    fields.done()
    if [name for name, _, _ in listed] != [name for name in archive.names if name != MANIFEST]:
        refuse("its manifest does not list exactly the files in it")
    for name, size, _ in listed:
        if archive.size(name) != size:
            refuse(f"{name} does not have the size stated in the manifest")
    return {name: digest for name, _, digest in listed}, read_exported(volatile.get("runs"))


def _listed(value: Any) -> tuple[str, int, str]:
    fields = Fields(value, "the list of files")
    name = fields.take("name", _text)
    size = fields.take("bytes", whole(0, 2**40))
    digest = fields.take("sha256", _text)
    fields.done()
    if not DIGEST.fullmatch(digest):
        raise ValueError("has an invalid digest")
    return name, size, digest


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is not text")
    return value


def _check_runs(archive: Archive, digests: Mapping[str, str]) -> list[_Checked]:
    count = sum(name.endswith("/run.json") for name in digests)
    if not 1 <= count <= MAX_RUNS:
        refuse(f"it contains {count} runs, but must contain 1 to {MAX_RUNS}")
    _check_size_of_records(archive, count)
    runs: list[_Checked] = []
    expected_names = []
    points_left = MAX_ALL_POINTS
    for index in range(count):
        if run_name(index) not in digests or points_name(index) not in digests:
            refuse(f"run {index} is incomplete")
        record = read_record(_verified(archive, run_name(index), digests), run_name(index))
        name = points_name(index)
        curves = check_curves(archive, name, digests[name], most=points_left)
        points_left -= sum(curve.count for curve in curves)
        names = [weights_name(index, entry.step) for entry in record.weights]
        expected_names += [run_name(index), points_name(index), *names]
        if not set(names) <= digests.keys():
            refuse(f"run {index} lacks some of its weights")
        runs.append(_Checked(index, record, curves))
    names_of_curves = {curve.name for run in runs for curve in run.curves}
    if len(names_of_curves) > _MAX_NAMES:
        refuse(f"its runs have {len(names_of_curves):,} different curves, more than {_MAX_NAMES}")
    if expected_names != list(digests):
        refuse("it contains a file that no run lists")
    return runs


def _check_size_of_records(archive: Archive, count: int) -> None:
    size = sum(archive.size(run_name(index)) for index in range(count) if run_name(index) in archive.names)
    if size > MAX_ALL_JSON:
        refuse(f"its records have {size:,} bytes, more than {MAX_ALL_JSON:,}", way_out="export fewer runs at a time")


def _verified(archive: Archive, name: str, digests: Mapping[str, str]) -> bytes:
    data = archive.read(name, most=MAX_JSON)
    if hashlib.sha256(data).hexdigest() != digests[name]:
        refuse(f"{name} is not the file that was exported: its SHA-256 differs")
    return data


def _check_all_weights(archive: Archive, digests: Mapping[str, str], run: _Checked) -> None:
    """Stream every file of weights once, and check its SHA-256 and its header against the network's tensors."""
    if not run.record.weights:
        return
    expected = _expected_tensors(run.record)
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
            bytes(start[8 : 8 + length]),
            name,
            body=archive.size(name) - 8 - length,
            expected=expected,
            arch=run.record.config.arch,
            step=entry.step,
            epoch=entry.epoch,
        )


def _expected_tensors(record: Record) -> Expected:
    """Return types and shapes of the tensors of the record's network; only this imports torch."""
    try:
        expected: Expected = load("lab.sharing.bundle.networks:tensors_of")(record.config)
    except ShapeError as error:
        refuse(f"its network cannot be built: {error}")
    return expected


def _store(
    target: Target,
    archive: Archive,
    digests: Mapping[str, str],
    runs: Sequence[_Checked],
    *,
    ids: Sequence[str],
    origin: str,
) -> tuple[RunRecord, ...]:
    """Store the runs under the given ids and return them; if that fails, everything written is removed."""
    ended = []
    names: dict[str, str] = {}  # path in the artifact store -> name in the archive, of each file of weights
    for run, id in zip(runs, ids, strict=True):
        files = tuple(_weights_file(archive, digests, run.index, id, entry) for entry in run.record.weights)
        names |= {file.path: weights_name(run.index, file.step) for file in files}
        ended.append(_ended_run(archive, digests, run, id, files))

    def write_file(file: SavedFile) -> None:
        sha256, _ = target.artifacts.write_parts(file.path, archive.stream(names[file.path]))
        if sha256 != file.sha256:
            refuse(f"{names[file.path]} changed while it was read")

    return target.store.imports.insert(ended, origin=origin, write_file=write_file, remove=target.artifacts.delete)


def _weights_file(archive: Archive, digests: Mapping[str, str], index: int, id: str, entry: WeightsEntry) -> SavedFile:
    name = weights_name(index, entry.step)
    path = f"{id}/{WEIGHTS}-{entry.step:09d}-0.safetensors"
    return SavedFile(id, WEIGHTS, entry.step, entry.epoch, path, digests[name], archive.size(name), entry.created_at)


def _ended_run(
    archive: Archive, digests: Mapping[str, str], run: _Checked, id: str, files: tuple[SavedFile, ...]
) -> EndedRun:
    record, name = run.record, points_name(run.index)
    points = curve_parts(archive, name, digests[name], run.curves)
    return EndedRun.of(record, id=id, parent=run.parent, points=points, files=files)
