"""The registry of data sets. Imports no torch, reads no files.

Published data sets are defined in `lab.data.published`. Data sets made on this machine (`lab.data.local`,
`lab.data.imports`) are not listed: their specs follow from their ids.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from lab.data import readers
from lab.data.published import PUBLISHED
from lab.data.recipes import RECIPES
from lab.data.spec import DIGITS, DatasetSpec, ExportedReader
from lab.errors import InputError, UnknownNameError, near_miss

_ID = re.compile(r"[a-z0-9][a-z0-9-]*")
_LOCAL_CODE = """\
folder = root / "Drawings" / "{id}"
train_x, test_x = (read_idx(folder / f"{{part}}-images-idx3-ubyte", dims=3, dtype="uint8") for part in ("train", "t10k"))
train_y, test_y = (read_idx(folder / f"{{part}}-labels-idx1-ubyte", dims=1, dtype="uint8") for part in ("train", "t10k"))
return train_x, train_y.astype(np.int64), test_x, test_y.astype(np.int64)"""
_LOCAL_NOTE = (
    "It reads saved drawings: give the folder that holds Drawings/{id}, such as the lab's LAB_DATA, with --data."
)


LOCAL_FOLDER = "Drawings"  # in the data folder, for all data sets made on this machine; the same in every release


@dataclass(frozen=True, slots=True)
class LocalKind:
    """A kind of data set made on this machine. An id consists of the kind's name, a recipe and a content digest."""

    name: str
    title: str
    description: str
    source: str
    restore: str

    def spec(self, id: str, *, recipe: str) -> DatasetSpec:
        """Return the data set of this kind with the given id."""
        names = [f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
        return DatasetSpec(
            id,
            self.title,
            self.description,
            DIGITS,
            self.source,
            readers.IDX,
            tuple(f"{LOCAL_FOLDER}/{id}/{name}" for name in names),
            exported=ExportedReader(
                _LOCAL_CODE.format(id=id), ("from lab.data.idx import read_idx",), _LOCAL_NOTE.format(id=id)
            ),
            recipe=RECIPES[recipe],
            image_size=RECIPES[recipe].side,
            local=self.restore,
        )


DRAWINGS = LocalKind(
    "drawings",
    "My drawings",
    "Drawings saved on the Draw page, each repeated, mixed with part of the parent run's training data.",
    "drawn in this lab",
    "fine-tune on your drawings again",
)
IMPORTED = LocalKind(
    "imported",
    "Imported digits",
    "Pictures of digits from a CSV or .npz file.",
    "imported into this lab",
    "import its file again",
)
LOCAL_KINDS = {kind.name: kind for kind in (DRAWINGS, IMPORTED)}
_LOCAL_ID = re.compile(rf"({'|'.join(LOCAL_KINDS)})-({'|'.join(RECIPES)})-[0-9a-f]{{12}}")

_SPECS: dict[str, DatasetSpec] = {}


def register_dataset(spec: DatasetSpec) -> DatasetSpec:
    """Add a data set to the registry. Raises `InputError` for a duplicate id and for an invalid spec."""
    problem = _problem(spec)
    if problem:
        raise InputError(f"The data set {spec.id!r} {problem}.")
    _SPECS[spec.id] = spec
    return spec


def _problem(spec: DatasetSpec) -> str:
    """Return what is wrong with a data set's spec and how to fix it; "" for a valid one."""
    if spec.id in _SPECS:
        return "is already registered: choose another id"
    if not _ID.fullmatch(spec.id) or _LOCAL_ID.fullmatch(spec.id):
        return "has an invalid id: use lower-case letters, digits and hyphens"
    if not spec.description or not spec.source:
        return "needs a description and a source"
    if len(spec.classes) < 2:
        return f"has {len(spec.classes)} classes, but needs at least two: name them in label order"
    if spec.image_size < 1 or spec.channels < 1:
        return f"has images of {spec.image_shape}, but every number must be at least 1"
    if spec.recipe and (spec.channels, spec.image_size) != (1, spec.recipe.side):
        return (
            f"has images of {spec.image_shape}, but its recipe makes drawings of "
            f"{(1, spec.recipe.side, spec.recipe.side)}: choose another recipe, or none"
        )
    return ""


def unregister_dataset(id: str) -> None:
    """Remove a data set from the registry. Raises `UnknownNameError` for an unknown id."""
    _SPECS.pop(_listed(id).id)


def list_datasets() -> tuple[DatasetSpec, ...]:
    """Return every registered data set, in the order the pages show them."""
    return tuple(_SPECS.values())


def get_dataset_spec(id: str) -> DatasetSpec:
    """Return one data set's spec. Raises `UnknownNameError`, which suggests the nearest id, for an unknown id."""
    local = _LOCAL_ID.fullmatch(id)
    return LOCAL_KINDS[local[1]].spec(id, recipe=local[2]) if local else _listed(id)


def dataset_title(id: str) -> str:
    """Return a data set's title, or the id itself if this release does not know it."""
    try:
        return get_dataset_spec(id).title
    except UnknownNameError:
        return id


def _listed(id: str) -> DatasetSpec:
    if id not in _SPECS:
        raise UnknownNameError(f"There is no data set {id!r}. {near_miss(id, _SPECS)}", field="dataset")
    return _SPECS[id]


def built_in_dataset() -> DatasetSpec:
    """Return the first data set that ships with the lab and needs no download."""
    return next(spec for spec in _SPECS.values() if spec.built_in)


def is_imported(id: str) -> bool:
    """Whether an id is that of a data set imported from a user's file."""
    local = _LOCAL_ID.fullmatch(id)
    return local is not None and local[1] == IMPORTED.name


def choose_dataset(present: Collection[str]) -> DatasetSpec:
    """Return the default data set: the first registered one that is present on this machine, else the built-in one."""
    return next((spec for spec in _SPECS.values() if spec.id in present), built_in_dataset())


for _spec in PUBLISHED:
    register_dataset(_spec)
