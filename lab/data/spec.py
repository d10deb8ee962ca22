"""The record of a data set: names, classes, files and their URLs, how to read them, and how to normalise drawings.

The record is complete: listing, fetching, reading, inspecting and exporting a data set need no other table.
"""

import string
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lab.data.recipes import Recipe
from lab.errors import InputError

DIGITS = tuple(string.digits)
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # training images and labels, test images and labels
Files = tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """How to read and check a data set's files.

    read: returns images uint8 (N, H, W), or (N, C, H, W) with several channels, and labels int64 (N,) counted from 0,
    for both parts. inspect: checks the files without decoding images, given the expected image side and number of
    classes, and raises `DataError` for the first problem. Both take the paths of `DatasetSpec.files` below the data
    folder, in that order.
    """

    read: Callable[[Files], Arrays]
    inspect: Callable[[Files, int, int], None] = lambda _files, _side, _classes: None


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file to fetch: URLs in order of preference, the MD5 its publisher states, and its contents.

    targets: (member of the archive, path below the data folder) pairs; the member is "" for the file itself.
    """

    urls: tuple[str, ...]
    md5: str
    targets: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.urls[0].rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class ExportedReader:
    """How exported code reads the data set.

    body: statements of `load_images(root)` that return the same as `Reader.read`. imports: the import lines they need;
    modules of `lab` are exported with the code. note: a sentence for the head of the script, or "".
    """

    body: str
    imports: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """Everything known about a data set before any file is read.

    classes: name of each label, in label order. source: who published it, and where. files: paths below the data
    folder, in the order the reader takes them; () if it needs none. train_images, test_images: expected counts, 0 if
    unknown before reading. download_mb: size of the download. remote: where to fetch the files. exported: how exported
    code reads them, None if it cannot. recipe: how drawings and photos are normalised for it, None if they cannot be.
    by_hand: whether drawing a member of a class by hand makes sense. image_size: side of the square images in pixels.
    channels: 1 for grey, light ink on black; 3 for RGB. local: how to restore files that were made on this machine and
    cannot be fetched, such as "import its file again"; "" for a published data set.
    """

    id: str
    title: str
    description: str
    classes: tuple[str, ...]
    source: str
    reader: Reader
    files: tuple[str, ...] = ()
    train_images: int = 0
    test_images: int = 0
    download_mb: int = 0
    remote: tuple[RemoteFile, ...] = field(default=(), repr=False)
    exported: ExportedReader | None = field(default=None, repr=False)
    recipe: Recipe | None = None
    by_hand: bool = True
    image_size: int = 28
    channels: int = 1
    local: str = ""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one input image of a network."""
        return self.channels, self.image_size, self.image_size

    @property
    def drawable(self) -> bool:
        """Whether the Draw page can test a network with a drawing."""
        return self.by_hand and self.recipe is not None

    def require_recipe(self) -> Recipe:
        """Return how drawings are normalised. Raises `InputError` if they cannot be normalised for this data set."""
        if self.recipe is None:
            what = "colour images" if self.channels > 1 else "no recipe for drawings"
            raise InputError(
                f"{self.title} has {what}, so drawings and photos cannot be converted to match it: choose an image of "
                f"the data set, or a picture file of {self.image_size}×{self.image_size} pixels."
            )
        return self.recipe

    @property
    def has_digits(self) -> bool:
        """Whether the classes are digits, in which case a photo of several digits is split into single ones."""
        return set(self.classes) <= set(DIGITS)

    @property
    def built_in(self) -> bool:
        """Whether it ships with the lab and needs no files."""
        return not self.files
