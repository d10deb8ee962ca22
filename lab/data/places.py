"""Find the files of a data set: in torchvision's layout first, then under other common names and folders.

`train-images.idx3-ubyte` (the name in many archives) is accepted for `train-images-idx3-ubyte`. Every file may be
compressed, and may be in `MNIST/raw`, in `MNIST`, or directly in the data folder. The files of MNIST, Fashion-MNIST and
KMNIST have the same names, so those directly in the data folder are distinguished by their first labels.
"""

import gzip
import os
import re
import zlib
from pathlib import Path

from lab.data.recognise import GZIP_MAGIC

_FLAT = "MNIST"  # the owner of files directly in the data folder with other first labels
# The first ten training labels as published: files that start with them belong to that data set.
_FIRST_LABELS = {
    bytes([9, 0, 0, 3, 0, 2, 7, 2, 5, 5]): "FashionMNIST",
    bytes([8, 7, 0, 1, 4, 2, 4, 8, 1, 1]): "KMNIST",
}
_SHARED = re.compile(r"(train|t10k)-")


def find_file(path: Path) -> Path | None:
    """Return the file to use for `root/FOLDER/raw/NAME`, or None; a plain file is preferred to a compressed one.

    A path outside such a layout is looked up only under its own name and with `.gz`.
    """
    zipped = path.with_name(path.name + ".gz")
    for candidate in (path, zipped):
        if is_file(candidate):
            return candidate
    if path.parent.name != "raw":
        return None
    folder = path.parent.parent
    for place in (path.parent, folder, folder.parent):
        if place == folder.parent and not _is_owner(folder.name, path.name, place):
            continue
        found = _by_name(place, path.name) or (None if place == folder.parent else _by_ending(place, path.name))
        if found is not None:
            return found
    return None


def is_file(path: Path) -> bool:
    """Return whether there is a file that this user may look up; `Path.is_file` raises in another user's folder."""
    return os.path.isfile(path)  # noqa: PTH113


def list_folder(folder: Path) -> list[Path]:
    """Return the entries of a folder, sorted by name; none if it is missing or another user's (see `doctor`)."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _by_name(place: Path, name: str) -> Path | None:
    """Return the file in a folder whose name equals `name` up to dots, underscores, case and `.gz`, or None."""
    fitting = [entry for entry in list_folder(place) if _plain(entry.name) == _plain(name) and is_file(entry)]
    return min(fitting, key=lambda entry: (entry.name.lower().endswith(".gz"), entry.name), default=None)


def _by_ending(place: Path, name: str) -> Path | None:
    """Return the only file in a data set's folder whose name ends with `name`, such as `my.train-images.idx3-ubyte`."""
    fitting = [
        entry for entry in list_folder(place) if _plain(entry.name).endswith("-" + _plain(name)) and is_file(entry)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _plain(name: str) -> str:
    return re.sub(r"[._]", "-", name.lower().removesuffix(".gz"))


def _is_owner(folder: str, name: str, root: Path) -> bool:
    """Whether a file of this name directly in the data folder belongs to the data set with this folder."""
    if not _SHARED.match(name):
        return True
    labels = _by_name(root, "train-labels-idx1-ubyte")
    return folder == _FIRST_LABELS.get(_first_labels(labels) if labels else b"", _FLAT)


def _first_labels(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(4096)
        if data.startswith(GZIP_MAGIC):
            with gzip.open(path) as unpacked:
                data = unpacked.read(18)
    except (OSError, EOFError, zlib.error):  # reported when the data set is loaded
        return b""
    return data[8:18]
