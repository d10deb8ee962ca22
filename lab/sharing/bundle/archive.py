"""Opens an untrusted zip. Nothing is extracted to disk: entries are streamed, and only known names are accepted.

Before anything is unpacked, the number of entries, their names, types, sizes and compression are checked, and that the
entries follow each other without gaps from the first byte to the directory, each with a local header that agrees with
the directory. While unpacking, bytes are counted, whatever the headers state. This covers path traversal, links,
duplicate names and zip bombs.
"""

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from lab.sharing.bundle.layout import CHUNK, MANIFEST, MAX_BYTES, MAX_ENTRIES, MAX_RATIO, NAME
from lab.sharing.bundle.strict_reading import refuse

_LOCAL = struct.Struct("<4s5H3I2H")  # APPNOTE.TXT 4.3.7
_LOCAL_SIGNATURE = b"PK\x03\x04"
_CENTRAL_BYTES, _END_BYTES = 46, 22
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HARMLESS_FLAGS = 0x806  # deflate's compression level, and names in UTF-8
_DOS_FOLDER = 0x10
_OVERHEAD = 4 << 20  # bytes allowed for headers and directory
# Exceptions that zipfile raises for damaged archives.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    IndexError,
    OverflowError,
    struct.error,
)


class Archive:
    """The checked entries of one archive."""

    def __init__(self, archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> None:
        self._archive = archive
        self._entries = entries

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all entries, in the order of the file."""
        return tuple(self._entries)

    def size(self, name: str) -> int:
        """Return the unpacked size that an entry claims; `stream` enforces it."""
        return self._entries[name].file_size

    def stream(self, name: str) -> Iterator[bytes]:
        """Yield an entry's bytes in chunks. Raises `InputError` if they are damaged or not of the claimed size."""
        entry = self._entries[name]
        count = 0
        with _refuse_damaged(name), self._archive.open(entry) as stream:
            while chunk := stream.read(CHUNK):
                count += len(chunk)
                if count > min(entry.file_size, MAX_BYTES):
                    refuse(f"{name} unpacks to more bytes than its header states")
                yield chunk
        if count != entry.file_size:
            refuse(f"{name} has {count:,} bytes instead of {entry.file_size:,}")

    def read(self, name: str, *, most: int) -> bytes:
        """Return an entry's bytes. Raises `InputError` if there are more than `most`."""
        if self.size(name) > most:
            refuse(f"{name} has {self.size(name):,} bytes, more than {most:,}")
        return b"".join(self.stream(name))


@contextmanager
def open_archive(stream: BinaryIO) -> Iterator[Archive]:
    """Open a seekable stream as a bundle's archive. Raises `InputError` for anything else."""
    with _refuse_damaged("the file"):
        total = stream.seek(0, os.SEEK_END)
        if total > MAX_BYTES + _OVERHEAD:
            refuse(f"it has {total:,} bytes, more than {MAX_BYTES:,}")
        _check_count(stream, total)
        archive = zipfile.ZipFile(stream)
    with archive:
        with _refuse_damaged("the file"):
            entries = _checked_entries(archive, stream, total)
        yield Archive(archive, entries)


@contextmanager
def _refuse_damaged(what: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        refuse(f"{what} is damaged: {str(error)[:100] or type(error).__name__}")


def _check_count(stream: BinaryIO, total: int) -> None:
    """Check the number of entries, stated in the last 22 bytes, before zipfile creates an object for each."""
    if total < _END_BYTES:
        refuse("it is not a zip file")
    stream.seek(total - _END_BYTES)
    end = stream.read(_END_BYTES)
    if end[:4] != b"PK\x05\x06" or end[20:] != b"\0\0":
        refuse("it is not a zip file, or something follows its directory")
    on_disk, in_total, size, start = struct.unpack("<2H2I", end[8:20])
    if on_disk != in_total or on_disk > MAX_ENTRIES or start + size + _END_BYTES != total:
        refuse(f"its directory is invalid: at most {MAX_ENTRIES:,} entries, and nothing before, between or after them")


def _checked_entries(archive: zipfile.ZipFile, stream: BinaryIO, total: int) -> dict[str, zipfile.ZipInfo]:
    entries: dict[str, zipfile.ZipInfo] = {}
    position = directory = 0
    for entry in archive.infolist():
        _check_entry(entry)
        if entry.filename in entries:
            refuse(f"{entry.filename} occurs twice")
        entries[entry.filename] = entry
        position = _check_place(stream, entry, position)
        directory += _CENTRAL_BYTES + len(entry.orig_filename.encode()) + len(entry.extra) + len(entry.comment)
    if position != archive.start_dir or position + directory + _END_BYTES != total:
        refuse("there is data between its entries")
    if MANIFEST not in entries:
        refuse(f"it has no {MANIFEST}")
    unpacked = sum(entry.file_size for entry in entries.values())
    if unpacked > MAX_BYTES:
        refuse(f"it unpacks to {unpacked:,} bytes, more than {MAX_BYTES:,}")
    return entries


def _check_entry(entry: zipfile.ZipInfo) -> None:
    shown = entry.orig_filename[:60]
    if entry.orig_filename != entry.filename or not NAME.fullmatch(entry.filename):
        refuse(f"{shown!r} is not a valid file name in a bundle")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG) or entry.external_attr & _DOS_FOLDER:
        refuse(f"{shown} is not a regular file")
    if entry.compress_type not in _PACKINGS or entry.flag_bits & ~_HARMLESS_FLAGS:
        refuse(f"{shown} uses unsupported compression or flags")
    if entry.file_size > MAX_RATIO * max(entry.compress_size, 1) or entry.file_size > MAX_BYTES:
        refuse(f"{shown} grows from {entry.compress_size:,} to {entry.file_size:,} bytes")


def _check_place(stream: BinaryIO, entry: zipfile.ZipInfo, position: int) -> int:
    """Check that the entry begins at `position` with a header that agrees with the directory; return its end."""
    if entry.header_offset != position:
        refuse(f"{entry.filename} does not directly follow the previous entry")
    stream.seek(position)
    header = stream.read(_LOCAL.size)
    if len(header) < _LOCAL.size:
        refuse(f"{entry.filename} is truncated")
    signature, version, flags, packing, clock, day, crc, packed, unpacked, name_bytes, extra_bytes = _LOCAL.unpack(
        header
    )
    local = (signature, version, flags, packing, _moment(day, clock), crc, packed, unpacked, stream.read(name_bytes))
    central = (
        _LOCAL_SIGNATURE,
        entry.extract_version,
        entry.flag_bits,
        entry.compress_type,
        entry.date_time,
        entry.CRC,
        entry.compress_size,
        entry.file_size,
        entry.filename.encode(),
    )
    if local != central:
        refuse(f"{entry.filename} has two headers that differ")
    end: int = position + _LOCAL.size + name_bytes + extra_bytes + entry.compress_size
    return end


def _moment(day: int, clock: int) -> tuple[int, ...]:
    """Return (year, month, day, hour, minute, second) from the date and time fields of MS-DOS."""
    date = ((day >> 9) + 1980, (day >> 5) & 15, day & 31)
    return (*date, clock >> 11, (clock >> 5) & 63, (clock & 31) * 2)
