"""Reader of USPS's file format: bzip2-compressed libsvm lines with a label from 1 to 10 and 256 values in [-1, 1]."""

import bz2
from pathlib import Path

import numpy as np

from lab.data.idx import damaged
from lab.data.recognise import recognise
from lab.errors import WrongDataError

MAX_BYTES = 256 << 20  # unpacked; the training file has 27 MB
SIDE = 16


def read_usps(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (N, 16, 16), light on black, and labels int64 (N,). Raises `DataError` for any other file."""
    lines = _unpack(path).splitlines()
    if not lines:
        raise damaged(path, "is empty")
    images = np.empty((len(lines), SIDE * SIDE), dtype=np.uint8)
    labels = np.empty(len(lines), dtype=np.int64)
    for number, line in enumerate(lines):
        try:
            labels[number], images[number] = _parse(line)
        except ValueError as error:
            raise damaged(path, f"has an unreadable line {number + 1} ({error})") from error
    return images.reshape(-1, SIDE, SIDE), labels


def _unpack(path: Path) -> bytes:
    data = bytearray()
    try:
        with bz2.open(path, "rb") as stream:
            while piece := stream.read(1 << 20):
                data += piece
                if len(data) > MAX_BYTES:
                    raise damaged(path, f"unpacks to more than {MAX_BYTES:,} bytes")
    except (OSError, EOFError, ValueError) as error:
        kind = recognise(path)
        if kind.kind not in ("bzip2", "empty"):
            raise WrongDataError(
                f"{path} is {kind.words}, but USPS's bzip2 file is expected: move it away and fetch the data set again."
            ) from error
        raise damaged(path, f"cannot be unpacked ({error})") from error
    return bytes(data)


def _parse(line: bytes) -> tuple[int, np.ndarray]:
    label, *pairs = line.split()
    if len(pairs) != SIDE * SIDE:
        raise ValueError(f"{len(pairs)} values instead of {SIDE * SIDE}")
    indices, values = zip(*(pair.split(b":") for pair in pairs), strict=True)
    if [int(index) for index in indices] != list(range(1, SIDE * SIDE + 1)):
        raise ValueError("the indices do not run from 1 to 256")
    pixels = np.array(values, dtype=np.float64)
    if not (np.abs(pixels) <= 1.0).all():  # "not inside", so that NaN fails too
        raise ValueError("a value outside [-1, 1]")
    digit = float(label) - 1
    if digit not in range(10):  # false for NaN and infinities
        raise ValueError(f"label {label.decode('ascii', 'replace')[:20]!r} instead of 1 to 10")
    return int(digit), np.rint((pixels + 1) * 127.5).astype(np.uint8)
