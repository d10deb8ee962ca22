"""What really lies in the data folder: every data set's files looked into, and the other files that could be imported.

Headers, lengths and labels are read, pictures are not unpacked: the whole of MNIST takes milliseconds.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab.data.load import list_files
from lab.data.places import find_file
from lab.data.recognise import IMPORTABLE, recognise
from lab.data.registry import list_datasets
from lab.data.spec import DatasetSpec
from lab.errors import DamagedDataError, DataError
from lab.text import one_sentence

MOST_FILES = 200  # of the data folder that are looked at


class DataState(StrEnum):
    """What can be said of a data set on this machine."""

    PRESENT = "present"
    ABSENT = "not downloaded"
    INCOMPLETE = "incomplete"
    DAMAGED = "damaged"
    WRONG = "wrong content"


@dataclass(frozen=True, slots=True)
class Finding:
    """A data set's state, and the sentence that says what is wrong and what to do ("" where nothing is)."""

    state: DataState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OtherFile:
    """A file in the data folder that belongs to no data set the lab knows, and how to use it."""

    path: Path
    words: str


def inspect_dataset(spec: DatasetSpec, *, root: Path) -> Finding:
    """Look into a data set's files."""
    expected = list_files(spec.id, root=root)
    missing = [path for path in expected if find_file(path) is None]
    if expected and len(missing) == len(expected):
        return Finding(DataState.ABSENT)
    if missing:
        names = ", ".join(path.name for path in missing)
        return Finding(DataState.INCOMPLETE, one_sentence(f"{names} {'is' if len(missing) == 1 else 'are'} missing."))
    try:
        spec.reader.inspect(expected, spec.image_size, len(spec.classes))
    except DamagedDataError as error:
        return Finding(DataState.DAMAGED, str(error))
    except DataError as error:
        return Finding(DataState.WRONG, str(error))
    return Finding(DataState.PRESENT)


def list_other_files(root: Path) -> list[OtherFile]:
    """Return the tables and archives in the data folder itself, each with one sentence on how to use it."""
    found = []
    used = {find_file(path) for spec in list_datasets() for path in list_files(spec.id, root=root)}
    entries = sorted(root.iterdir())[:MOST_FILES] if root.is_dir() else []
    for path in entries:
        if not path.is_file() or path.name.startswith(".") or path in used:
            continue
        try:
            kind = recognise(path)
        except OSError:  # somebody else's file: the data sets' own are judged above
            continue
        if kind.kind in IMPORTABLE:
            found.append(
                OtherFile(path, f"is {kind.words}: `python -m lab datasets --import {path}` makes a data set of it.")
            )
        elif kind.kind == "idx" or " idx " in kind.words:
            found.append(
                OtherFile(
                    path, f"is {kind.words}: name it as its data set does, such as MNIST/raw/train-images-idx3-ubyte."
                )
            )
        elif kind.kind in ("npy", "zip", "parquet", "hdf5", "table", "html", "pointer", "pickle"):
            found.append(OtherFile(path, f"is {kind.words}, which this lab does not read."))
    return found
