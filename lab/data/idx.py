"""Reader of idx files (LeCun's format), plain or gzipped, that does not trust the header.

The magic number, element type, dimensions and exact length are checked with exceptions (`python -O` removes asserts).
No memory is allocated because a header says so: a plain file must have the matching length, a gzipped one is read in
pieces.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from lab.data.places import find_file
from lab.data.recognise import GZIP_MAGIC, IDX_TYPES, IMPORTABLE, recognise
from lab.errors import DamagedDataError, DataError, WrongDataError
from lab.system_errors import reason, remedy

MAX_BYTES = 1 << 30  # 1 GiB of elements; the largest file in use (EMNIST byclass) has 547 MB
MAX_DIMS = 3
_GZIP_BEST_RATIO = 1032  # the limit of deflate, so a header that declares more is wrong
_CHUNK = 1 << 20  # bytes
_REPLACE = "put the data set's own file there, or move this one away and fetch it"


def read_idx(path: Path, *, dims: int, dtype: str) -> np.ndarray:
    """Return the array of an idx file with `dims` dimensions and elements of `dtype` (such as "uint8").

    The array is in native byte order. path: the file in torchvision's layout (`lab.data.places`); its first bytes
    decide whether it is compressed. Raises `DamagedDataError` for a truncated file and `WrongDataError` for a file of
    another kind.
    """
    found = find_file(path)
    if found is None:
        raise DataError(f"{path} does not exist, neither plain nor as .gz: fetch the data set again.")
    try:
        size = found.stat().st_size
        with found.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            if not packed:
                return _read(raw, found, dims=dims, dtype=dtype, exact=size)
            with gzip.GzipFile(fileobj=raw) as stream:
                return _read(cast(BinaryIO, stream), found, dims=dims, dtype=dtype, most=size * _GZIP_BEST_RATIO)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise damaged(found, f"cannot be unpacked ({error})") from error
    except OSError as error:
        how = remedy(error, "check the file")
        raise DataError(f"{found} cannot be read ({reason(error)}): {how}.") from error


def check_idx(path: Path, *, dims: int, dtype: str) -> tuple[int, ...]:
    """Return the shape of an idx file from its header and its length alone. Raises the same errors as `read_idx`.

    The length of a gzip file is taken from its last four bytes. The file is unpacked only if that does not match, as in
    files of several members (`bgzip`, `cat a.gz b.gz`).
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(-4 if packed and size > 4 else 0, os.SEEK_END if packed and size > 4 else os.SEEK_SET)
            if packed:
                size = struct.unpack("<I", raw.read(4))[0]
                raw.seek(0)
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
            try:
                shape, _ = _promised(stream, path, dims=dims, dtype=dtype, exact=size, modulo=1 << 32 if packed else 0)
            except DamagedDataError:
                if not packed:
                    raise
                return read_idx(path, dims=dims, dtype=dtype).shape
            return shape
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise damaged(path, f"cannot be unpacked ({error})") from error
    except OSError as error:
        how = remedy(error, "check the file")
        raise DataError(f"{path} cannot be read ({reason(error)}): {how}.") from error


def _read(
    stream: BinaryIO, path: Path, *, dims: int, dtype: str, exact: int | None = None, most: int = MAX_BYTES
) -> np.ndarray:
    shape, element = _promised(stream, path, dims=dims, dtype=dtype, exact=exact, most=most)
    payload = math.prod(shape) * element.itemsize
    data = _take(stream, payload)
    if len(data) != payload or stream.read(1):
        raise damaged(path, f"does not end where its header {list(shape)} says")
    return np.frombuffer(data, dtype=element).reshape(shape).astype(np.dtype(dtype), copy=False)


def _promised(
    stream: BinaryIO,
    path: Path,
    *,
    dims: int,
    dtype: str,
    exact: int | None = None,
    most: int = MAX_BYTES,
    modulo: int = 0,
) -> tuple[tuple[int, ...], np.dtype]:
    """Return the shape and element type declared by the header, checked against the length of the file."""
    shape, element = _header(stream, path, dims=dims)
    expected_type = np.dtype(dtype)
    if element.newbyteorder("=") != expected_type:
        raise _wrong(path, f"contains {element.newbyteorder('=')} elements instead of {expected_type}")
    payload = math.prod(shape) * element.itemsize
    if payload > min(most, MAX_BYTES):
        raise damaged(path, f"declares {payload:,} bytes of elements, more than it can contain")
    total = 4 + 4 * dims + payload
    if exact is not None and exact != (total % modulo if modulo else total):
        raise damaged(path, f"has {exact:,} bytes, but its header {list(shape)} means {total:,}")
    return shape, element


def _header(stream: BinaryIO, path: Path, *, dims: int) -> tuple[tuple[int, ...], np.dtype]:
    magic = stream.read(4)
    if not magic:
        raise damaged(path, "is empty")
    if len(magic) != 4 or magic[:2] != b"\0\0":
        kind = recognise(path)
        way_out = "import it with `python -m lab datasets --import FILE`" if kind.kind in IMPORTABLE else _REPLACE
        raise _wrong(path, f"is {kind.words}, but an idx file is expected", way_out)
    code, found_dims = magic[2], magic[3]
    if code not in IDX_TYPES or not 1 <= found_dims <= MAX_DIMS:
        raise damaged(path, f"has the unknown element type {code} and {found_dims} dimensions")
    if found_dims != dims:
        raise _wrong(path, f"is {recognise(path).words}, which has {found_dims} dimensions instead of {dims}")
    sizes = stream.read(4 * dims)
    if len(sizes) != 4 * dims:
        raise damaged(path, "ends within its header")
    return struct.unpack(f">{dims}I", sizes), np.dtype(IDX_TYPES[code])


def _take(stream: BinaryIO, length: int) -> bytearray:
    """Return up to `length` bytes, read piece by piece, so that memory grows only with the actual content."""
    data = bytearray()
    while len(data) < length:
        piece = stream.read(min(_CHUNK, length - len(data)))
        if not piece:
            break
        data += piece
    return data


def damaged(path: Path, what: str) -> DamagedDataError:
    """Return the error for a damaged downloaded file. what: a predicate, such as "is empty"."""
    return DamagedDataError(f"{path} {what}: the file is damaged, so delete it and fetch the data set again.")


def _wrong(path: Path, what: str, way_out: str = _REPLACE) -> WrongDataError:
    return WrongDataError(f"{path} {what}: {way_out}.")
