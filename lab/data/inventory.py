"""The actual contents of the data folder: the state of every data set's files, and other files that could be imported.

Headers, lengths and labels are read, but images are not unpacked: checking MNIST takes milliseconds.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab.data.load import list_files
from lab.data.places import find_file, is_file, list_folder
from lab.data.recognise import IMPORTABLE, recognise
from lab.data.registry import list_datasets
from lab.data.spec import DatasetSpec
from lab.errors import DamagedDataError, DataError
from lab.text import one_sentence

MAX_FILES = 200  # files of the data folder that are examined


class DataState(StrEnum):
    """The state of a data set's files on this machine."""

    PRESENT = "present"
    ABSENT = "not downloaded"
    INCOMPLETE = "incomplete"
    DAMAGED = "damaged"
    WRONG = "wrong content"


@dataclass(frozen=True, slots=True)
class Finding:
    """A data set's state, and a sentence on what is wrong and what to do ("" if nothing is)."""

    state: DataState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OtherFile:
    """A file in the data folder that belongs to no known data set, and how to use it."""

    path: Path
    words: str


def inspect_dataset(spec: DatasetSpec, *, root: Path) -> Finding:
    """Return the state of a data set's files."""
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
    """Return the tables and archives directly in the data folder, each with a sentence on how to use it."""
    found = []
    used = {find_file(path) for spec in list_datasets() for path in list_files(spec.id, root=root)}
    for path in list_folder(root)[:MAX_FILES]:
        if not is_file(path) or path.name.startswith(".") or path in used:
            continue
        try:
            kind = recognise(path)
        except OSError:  # an unreadable file; those of the data sets are reported by `inspect_dataset`
            continue
        if kind.kind in IMPORTABLE:
            found.append(
                OtherFile(path, f"is {kind.words}: `python -m lab datasets --import {path}` imports it as a data set.")
            )
        elif kind.kind == "idx" or " idx " in kind.words:
            found.append(
                OtherFile(
                    path,
                    f"is {kind.words}: give it the name its data set uses, such as MNIST/raw/train-images-idx3-ubyte.",
                )
            )
        elif kind.kind in ("npy", "zip", "parquet", "hdf5", "table", "html", "pointer", "pickle"):
            found.append(OtherFile(path, f"is {kind.words}, which this lab does not read."))
    return found
