"""Reader of idx files (LeCun's format), plain or gzipped, that trusts nothing the file says about itself.

Magic, element type, dimensions and exact length are checked with real errors (asserts vanish under `python -O`), and
nothing is allocated on the word of a header: a plain file's length must match first, a gzipped one is read in pieces.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from lab.errors import DataError

MAX_BYTES = 1 << 30  # 1 GiB of elements; the largest file in use (EMNIST byclass) has 547 MB
MAX_DIMS = 3
_GZIP_BEST_RATIO = 1032  # deflate cannot do better, so a header that promises more is lying
_CHUNK = 1 << 20  # bytes
_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(path: Path, *, dims: int, dtype: str) -> np.ndarray:
    """Read one idx file of `dims` dimensions and element type `dtype` (such as "uint8") in native byte order.

    `path` may lack its `.gz`; the plain file is preferred. Anything unexpected raises `DataError`.
    """
    found = find_idx(path)
    if found is None:
        raise DataError(f"{path} is not there, neither plain nor as .gz: fetch the data set again.")
    try:
        size = found.stat().st_size
        with found.open("rb") as raw:
            if found.suffix != ".gz":
                return _read(raw, found, dims=dims, dtype=dtype, exact=size)
            with gzip.GzipFile(fileobj=raw) as stream:
                return _read(cast(BinaryIO, stream), found, dims=dims, dtype=dtype, most=size * _GZIP_BEST_RATIO)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{found} cannot be read ({error}): delete it and fetch the data set again.") from error


def find_idx(path: Path) -> Path | None:
    """Return the plain file if it is there, else its `.gz`, else None."""
    zipped = path.with_name(path.name + ".gz")
    return path if path.is_file() else zipped if zipped.is_file() else None


def _read(
    stream: BinaryIO, path: Path, *, dims: int, dtype: str, exact: int | None = None, most: int = MAX_BYTES
) -> np.ndarray:
    shape, element = _header(stream, path, dims=dims)
    expected_type = np.dtype(dtype)
    if element.newbyteorder("=") != expected_type:
        raise _damaged(path, f"holds {element.newbyteorder('=')} elements where {expected_type} belong")
    payload = math.prod(shape) * element.itemsize
    if payload > min(most, MAX_BYTES):
        raise _damaged(path, f"promises {payload:,} bytes of elements, more than it can hold")
    header = 4 + 4 * dims
    if exact is not None and exact != header + payload:
        raise _damaged(path, f"has {exact:,} bytes, but its header {list(shape)} means {header + payload:,}")
    data = _take(stream, payload)
    if len(data) != payload or stream.read(1):
        raise _damaged(path, f"does not end where its header {list(shape)} says")
    return np.frombuffer(data, dtype=element).reshape(shape).astype(expected_type, copy=False)


def _header(stream: BinaryIO, path: Path, *, dims: int) -> tuple[tuple[int, ...], np.dtype]:
    magic = stream.read(4)
    if len(magic) != 4 or magic[:2] != b"\0\0":
        raise _damaged(path, f"does not start like an idx file (found {magic.hex() or 'nothing'})")
    code, found_dims = magic[2], magic[3]
    if code not in _TYPES:
        raise _damaged(path, f"has the unknown element type {code}")
    if found_dims != dims or not 1 <= found_dims <= MAX_DIMS:
        raise _damaged(path, f"has {found_dims} dimensions where {dims} belong")
    sizes = stream.read(4 * dims)
    if len(sizes) != 4 * dims:
        raise _damaged(path, "ends inside its header")
    return struct.unpack(f">{dims}I", sizes), np.dtype(_TYPES[code])


def _take(stream: BinaryIO, length: int) -> bytearray:
    """Read up to `length` bytes piece by piece, so that memory grows only with what is really there."""
    data = bytearray()
    while len(data) < length:
        piece = stream.read(min(_CHUNK, length - len(data)))
        if not piece:
            break
        data += piece
    return data


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path} {what}: the file is damaged, so delete it and fetch the data set again.")
