"""Recognise the kind of a file by its first bytes, never by its name.

Only the start of a file is read; of a gzip file, the start of its content too. The words complete the sentence
"FILE is …".
"""

import codecs
import gzip
import io
import math
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
GZIP_MAGIC = b"\x1f\x8b"
START = 64 << 10  # bytes; a line of 785 numbers has at most 4 KB, or 8 KB in UTF-16
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"\x93NUMPY", "npy", "a NumPy array (.npy)"),
    (b"BZh", "bzip2", "a bzip2 file"),
    (b"\xfd7zXZ\0", "xz", "an xz file"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "a 7-Zip archive"),
    (b"PAR1", "parquet", "a Parquet table"),
    (b"\x89HDF\r\n", "hdf5", "an HDF5 file"),
    (b"\x89PNG", "picture", "a picture"),
    (b"\xff\xd8\xff", "picture", "a picture"),
    (b"GIF8", "picture", "a picture"),
    (b"version https://git-lfs", "pointer", "a Git LFS pointer without the data"),
    (b"\x80\x02", "pickle", "a Python pickle"),
    (b"\x80\x03", "pickle", "a Python pickle"),
    (b"\x80\x04", "pickle", "a Python pickle"),
    (b"\x80\x05", "pickle", "a Python pickle"),
)
_EIGHT_BIT = "latin-1"  # stands for every 8-bit encoding: it decodes any bytes, and ASCII ones to themselves
_EIGHT_BIT_KINDS = ("csv", "table", "html")  # kinds of which only words, not numbers, may be decoded wrongly
_CONTROL_CHARACTERS = re.compile(rb"[\0-\x08\x0b\x0c\x0e-\x1f]")  # all but tab and line ends: the file is not text
INDEX_NAMES = ("", "id", "index", "unnamed: 0")  # names of a column that counts the rows
_LABELLED = (785, 65, 257)  # numbers of columns for a label and a square of pixels
PACKED = frozenset({"zip", "gzip", "bzip2", "xz", "7z"})
IMPORTABLE = frozenset({"csv", "npz"})


@dataclass(frozen=True, slots=True)
class FileKind:
    """kind: one word, such as "idx", "gzip", "csv", "npz", "html", "empty", "unknown". words: its description."""

    kind: str
    words: str


def recognise(path: Path) -> FileKind:
    """Return the kind of a file. Raises `OSError` if it cannot be read."""
    with path.open("rb") as stream:
        start = stream.read(START)
        if start.startswith(b"PK\x03\x04"):
            return _zip(path)
        if start.startswith(GZIP_MAGIC):
            return FileKind("gzip", f"a gzip file that contains {_inside(start)}")
    return recognise_bytes(start)


def recognise_bytes(start: bytes) -> FileKind:
    """Return the kind of a file that starts with these bytes."""
    if not start:
        return FileKind("empty", "empty")
    for magic, kind, words in _MAGIC:
        if start.startswith(magic):
            return FileKind(kind, words)
    if start[:2] == b"\0\0" and len(start) >= 4 and start[2] in IDX_TYPES and 1 <= start[3] <= 3:
        return _idx(start)
    return _text(start) or FileKind("unknown", f"of an unknown format (it starts with {start[:4].hex()})")


def _idx(start: bytes) -> FileKind:
    dims = start[3]
    if len(start) < 4 + 4 * dims:
        return FileKind("idx", "an idx file that ends within its header")
    shape = struct.unpack(f">{dims}I", start[4 : 4 + 4 * dims])
    if dims == 3:
        return FileKind("idx", f"an idx file of {shape[0]:,} images of {shape[1]}×{shape[2]}")
    if dims == 1:
        return FileKind("idx", f"an idx file of {shape[0]:,} labels")
    return FileKind("idx", f"an idx table of {shape[0]:,} rows and {shape[1]:,} columns")


def _inside(start: bytes) -> str:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(start)) as stream:
            return recognise_bytes(stream.read(START)).words
    except EOFError:  # only the start of the file was read
        return _inside_part(start)
    except (OSError, zlib.error):
        return "damaged data"


def _inside_part(start: bytes) -> str:
    try:
        return recognise_bytes(zlib.decompressobj(wbits=31).decompress(start, START)).words
    except zlib.error:
        return "damaged data"


def _zip(path: Path) -> FileKind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error):
        return FileKind("zip", "a truncated or damaged ZIP archive")
    if names and all(name.endswith(".npy") for name in names):
        shown = ", ".join(sorted(name.removesuffix(".npy") for name in names)[:6])
        return FileKind("npz", f"a NumPy archive (.npz) of {shown}")
    return FileKind("zip", f"a ZIP archive of {len(names):,} files")


def text_encoding(start: bytes) -> str:
    """Return the encoding of a text that starts with these bytes, as Python and pandas name it.

    UTF-8 with or without a byte order mark, UTF-16 with one (Excel's "Unicode Text"), else an 8-bit encoding.
    """
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        _decode(start, "utf-8-sig")
    except UnicodeDecodeError:
        return _EIGHT_BIT
    return "utf-8-sig"


def _decode(start: bytes, encoding: str) -> str:
    """Return the text without a character that is cut off at the end. Raises `UnicodeDecodeError`."""
    return codecs.getincrementaldecoder(encoding)().decode(start)


def _text(start: bytes) -> FileKind | None:
    encoding = text_encoding(start)
    if encoding == _EIGHT_BIT and _CONTROL_CHARACTERS.search(start):
        return None
    try:
        text = _decode(start, encoding)
    except UnicodeDecodeError:
        return None
    found = None if "\0" in text else _kind_of_text(text)
    return None if found and encoding == _EIGHT_BIT and found.kind not in _EIGHT_BIT_KINDS else found


def _kind_of_text(text: str) -> FileKind:
    line = re.split("[\r\n]", text.strip(), maxsplit=1)[0]
    if line[:1] == "<":
        return FileKind("html", "a web page, not data: the server answered the download with a page")
    columns = line.split(separator_of(line))
    if len(columns) > 1:
        return _table(columns)
    if ":" in line and len(line.split()) > 2:
        return FileKind("libsvm", "a text file in libsvm format")
    return FileKind("text", "a text file")


def _table(columns: list[str]) -> FileKind:
    names = [column.strip().strip('"').lower() for column in columns]
    headed = not all(map(is_number, names))
    if headed and names[0] in INDEX_NAMES and len(names) - 1 in _LABELLED:
        names = names[1:]
    labelled = len(names) in _LABELLED or names[0] == "label"
    pixels = len(names) - labelled
    side = math.isqrt(pixels)
    if side * side != pixels or side < 8:
        return FileKind("table", f"a table of {len(names)} columns")
    labels = "a label and" if labelled else "no label and"
    header = "" if headed else ", without a header"
    return FileKind("csv", f"a table of {labels} {pixels} pixels per row ({side}×{side}){header}")


def separator_of(line: str) -> str:
    """Return the column separator of a line of a table; on a tie the semicolon, as commas may be decimal commas."""
    return max(",;\t", key=lambda mark: (line.count(mark), mark == ";" in line))


def is_number(cell: str) -> bool:
    """Whether the text of a cell is a number, such as "5", "0.25", "0,25" or NumPy's "5.000000000000000000e+00"."""
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True
