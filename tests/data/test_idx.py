"""The idx reader returns what was written and refuses every damaged file with one typed error."""

import gzip
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lab.data.idx import read_idx
from lab.errors import DataError
from tests.data.data_files import idx_bytes

IMAGES = (np.arange(5 * 28 * 28) % 251).astype(np.uint8).reshape(5, 28, 28)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_written_file_is_read_back_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    data = idx_bytes(IMAGES)
    (tmp_path / f"x{suffix}").write_bytes(gzip.compress(data) if suffix else data)
    np.testing.assert_array_equal(read_idx(tmp_path / "x", dims=3, dtype="uint8"), IMAGES)


def test_big_endian_integers_become_native_ones(tmp_path: Path) -> None:
    table = np.array([[7, -1, 1 << 20], [0, 2, 3]], dtype=np.int32)
    (tmp_path / "x").write_bytes(idx_bytes(table))
    found = read_idx(tmp_path / "x", dims=2, dtype="int32")
    assert found.tolist() == table.tolist()
    assert found.dtype == np.dtype("=i4")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty: the file is damaged"),
        (b"\x1f\x8b\x08\x03" + b"\0" * 20, "cannot be unpacked .* the file is damaged"),
        (b"\0\0\x07\x03" + b"\0" * 12, "unknown element type 7"),
        (b"\0\0\x0d\x03" + b"\0" * 12, "contains float32 elements instead of uint8"),
        (b"\0\0\x08\x01" + b"\0" * 12, "has 1 dimensions instead of 3"),
        (b"\0\0\x08\xff" + b"\0" * 12, "unknown element type 8 and 255 dimensions"),
        (b"\0\0\x08\x03" + b"\0" * 11, "ends within its header"),
        (idx_bytes(IMAGES)[:-1], r"has 3,935 bytes, but its header \[5, 28, 28\] means 3,936"),
        (idx_bytes(IMAGES) + b"\0", r"has 3,937 bytes, but its header \[5, 28, 28\] means 3,936"),
        (b"\0\0\x08\x03" + b"\xff" * 12 + b"\0" * 8, "declares .* bytes of elements, more than it can contain"),
    ],
)
def test_a_damaged_file_is_refused_with_a_description_of_the_damage(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_idx(tmp_path / "x", dims=3, dtype="uint8")


def test_a_truncated_gzip_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(idx_bytes(IMAGES))[:-20])
    with pytest.raises(DataError, match="fetch the data set again"):
        read_idx(tmp_path / "x", dims=3, dtype="uint8")


def test_a_gzip_file_cannot_declare_more_than_deflate_can_compress(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 1_000_000, 28, 28) + b"\0" * 999))
    with pytest.raises(DataError, match="declares 784,000,000 bytes"):
        read_idx(tmp_path / "x", dims=3, dtype="uint8")


def _mutate(data: bytes, random: np.random.Generator) -> bytes:
    """Flip, cut, grow, or overwrite the header with large numbers."""
    bad = bytearray(data)
    kind = random.integers(4)
    if kind == 0:
        for _ in range(random.integers(1, 9)):
            bad[random.integers(len(bad))] ^= 1 << random.integers(8)
    elif kind == 1:
        del bad[random.integers(len(bad)) :]
    elif kind == 2:
        bad += random.bytes(int(random.integers(1, 100)))
    else:
        start = int(random.integers(16))
        bad[start : start + 4] = b"\xff" * 4
    return bytes(bad)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mutated_files_give_a_typed_error_or_the_declared_shape_within_bounded_memory(
    tmp_path: Path, suffix: str
) -> None:
    random = np.random.default_rng(6)
    plain = idx_bytes(IMAGES)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    refused = 0
    for _ in range(500):
        data = _mutate(gzip.compress(plain, mtime=0) if suffix else plain, random)
        (tmp_path / f"x{suffix}").write_bytes(data)
        try:
            found = read_idx(tmp_path / "x", dims=3, dtype="uint8")
        except DataError:
            refused += 1
        else:
            assert len(found.tobytes()) + 16 == len(plain)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    assert refused > 300
    assert grown_mb < 256
    assert time.process_time() - started < 20


def test_the_checks_work_with_asserts_disabled(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\0\0\x08\x03" + b"\xff" * 12)
    code = (
        "import pathlib, resource\nfrom lab.data.idx import read_idx\nfrom lab.errors import DataError\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        f"try:\n    read_idx(pathlib.Path({str(tmp_path / 'x')!r}), dims=3, dtype='uint8')\n"
        "except DataError as error:\n    print('refused', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-O", "-c", code], capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.startswith("refused"), done.stderr


def test_a_small_gzip_may_not_unpack_to_more_than_a_gibibyte(tmp_path: Path) -> None:
    """The header declares 1 GiB and one image more; the file is large enough for the ratio that deflate can reach."""
    images = (1 << 30) // (1024 * 1024) + 1
    header = b"\0\0\x08\x03" + struct.pack(">3I", images, 1024, 1024)
    padding = np.random.default_rng(0).bytes(1_100_000)  # incompressible: the ratio alone would allow 1.1 GB
    (tmp_path / "x.gz").write_bytes(gzip.compress(header + padding))
    with pytest.raises(DataError, match=r"declares 1,074,790,400 bytes of elements, more than it can contain"):
        read_idx(tmp_path / "x", dims=3, dtype="uint8")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_bytes_after_the_last_image_are_damage(tmp_path: Path, suffix: str) -> None:
    data = idx_bytes(IMAGES) + b"x"
    (tmp_path / f"x{suffix}").write_bytes(gzip.compress(data) if suffix else data)
    with pytest.raises(DataError, match="the file is damaged"):
        read_idx(tmp_path / "x", dims=3, dtype="uint8")
