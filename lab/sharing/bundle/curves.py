"""The curves of a bundle, read as streams: a file of 256 MiB is checked and stored with a few MB of memory.

Checking reads the file once from start to end, column by column. Storing needs rows, so it reads the three columns in
parallel; this is why the columns must list the curves in the same order.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.runs.facts import curve_fault
from lab.runs.records import Series
from lab.sharing.bundle.archive import Archive
from lab.sharing.bundle.layout import COLUMNS, ITEM_BYTES, MAX_POINTS
from lab.sharing.bundle.strict_reading import refuse
from lab.sharing.bundle.tensors import header_bytes, read_header

_SERIES = re.compile(r"[a-z0-9_]{1,30}(/[a-z0-9_]{1,30})?")
MAX_SERIES = 64
_ROWS = 8_192  # numbers of one column per read
_MAX_STEP = 10**12


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve of a file: its number of points, and the byte offset in the file at which each column begins."""

    name: str
    count: int
    starts: Mapping[str, int]


class _Reader:
    """Reads one file of an archive from start to end and verifies its SHA-256 at the end."""

    def __init__(self, archive: Archive, name: str, digest: str) -> None:
        self._name, self._expected = name, digest
        self._chunks = archive.stream(name)
        self._digest = hashlib.sha256()
        self._left = memoryview(b"")
        self._position = 0

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes, or fewer at the end of the file."""
        found = bytearray()
        while len(found) < count and self._fill():
            part = self._left[: count - len(found)]
            found += part
            self._left = self._left[len(part) :]
        self._position += len(found)
        return bytes(found)

    def rows(self, start: int, count: int, column: str) -> Iterator[np.ndarray]:
        """Yield `count` numbers that begin at byte `start`, some thousand at a time. It cannot move backwards."""
        dtype = np.dtype(COLUMNS[column][1]).newbyteorder("<")
        self._skip(start - self._position)
        for done in range(0, count, _ROWS):
            yield np.frombuffer(self.read(min(_ROWS, count - done) * ITEM_BYTES), dtype=dtype)

    def finish(self) -> None:
        """Read the rest and verify the SHA-256 of the whole file. Raises `InputError` if it differs."""
        while self._fill():
            self._left = self._left[:0]
        if self._digest.hexdigest() != self._expected:
            refuse(f"{self._name} is not the file that was exported: its SHA-256 differs")

    def _skip(self, count: int) -> None:
        self._position += count
        while count and self._fill():
            skipped = min(count, len(self._left))
            self._left = self._left[skipped:]
            count -= skipped

    def _fill(self) -> bool:
        """Read the next chunk if none is buffered; return False at the end of the file."""
        if not self._left:
            chunk = next(self._chunks, b"")
            self._digest.update(chunk)
            self._left = memoryview(chunk)
        return bool(self._left)


def check_curves(archive: Archive, name: str, digest: str, *, most: int) -> tuple[Curve, ...]:
    """Check every byte of a file of curves and return the curves in it. Raises `InputError`.

    most: the maximum number of points.
    """
    size = archive.size(name)
    if size > MAX_POINTS:
        refuse(f"{name} has {size:,} bytes, more than {MAX_POINTS:,}")
    reader = _Reader(archive, name, digest)
    start = reader.read(8)
    length = header_bytes(start, name, size=size)
    header, _ = read_header(reader.read(length), name, body=size - 8 - length)
    curves = _curves(header, name, first=8 + length)
    count = sum(curve.count for curve in curves)
    if count > most:
        refuse(
            f"{name} has more than the remaining {most:,} points of the limit", way_out="export fewer runs at a time"
        )
    for start_byte, column, curve in _columns_in_order(curves):
        _check_column(reader.rows(start_byte, curve.count, column), curve.name, column, name)
    reader.finish()
    return curves


def _curves(header: Mapping[str, Any], name: str, *, first: int) -> tuple[Curve, ...]:
    left = dict(header)
    curves: list[Curve] = []
    for series in sorted({tensor.rpartition(":")[0] for tensor in header}):
        starts, lengths = {}, set()
        for column, (dtype, _) in COLUMNS.items():
            found = left.pop(f"{series}:{column}", None)
            if found is None or found[0] != dtype or len(found[1]) != 1:
                refuse(f"{series[:60]!r} in {name} does not have its three columns")
            starts[column] = first + found[2]
            lengths.add(found[1][0])
        if not _SERIES.fullmatch(series) or len(curves) >= MAX_SERIES:
            refuse(f"{series[:60]!r} in {name} is not a valid curve name")
        if len(lengths) != 1 or 0 in lengths:
            refuse(f"{series[:60]!r} in {name} has columns of different lengths, or none")
        curves.append(Curve(series, lengths.pop(), starts))
    if left:
        refuse(f"{next(iter(left))[:60]!r} in {name} is not a column of a curve")
    _check_order(curves, name)
    return tuple(curves)


def _check_order(curves: list[Curve], name: str) -> None:
    for column in COLUMNS:
        starts = [curve.starts[column] for curve in curves]
        if starts != sorted(starts):
            refuse(f"the columns in {name} are not in the order of their names")


def _columns_in_order(curves: tuple[Curve, ...]) -> list[tuple[int, str, Curve]]:
    found = [(curve.starts[column], column, curve) for curve in curves for column in COLUMNS]
    return sorted(found, key=lambda one: one[0])


def _check_column(parts: Iterator[np.ndarray], series: str, column: str, name: str) -> None:
    last = -1
    for values in parts:
        if column == "step":
            if (np.diff(values, prepend=last) <= 0).any() or values[-1] >= _MAX_STEP:
                refuse(f"the steps of {series} in {name} do not increase from 0 to less than 10^12")
            last = int(values[-1])
        elif fault := curve_fault(series, column, values):
            refuse(f"{series} in {name} {fault}")


def curve_parts(archive: Archive, name: str, digest: str, curves: tuple[Curve, ...]) -> Iterator[Series]:
    """Yield the checked curves in parts of some thousand points. Raises `InputError` if the file has changed since."""
    readers = {column: _Reader(archive, name, digest) for column in COLUMNS}
    for curve in curves:
        parts = [
            readers[column].rows(curve.starts[column], curve.count, column) for column in ("step", "value", "time_s")
        ]
        for step, value, time_s in zip(*parts, strict=True):
            yield Series(curve.name, step, value, time_s)
    for reader in readers.values():
        reader.finish()
