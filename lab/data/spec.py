"""What a data set is: names, classes, files and their addresses, how they are read, and how a drawing is made to fit.

A data set that carries all of this is complete: listing, fetching, reading, inspecting and exporting need no other table.
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
    """How a data set's files become arrays.

    read: returns images uint8 (N, H, W), or (N, C, H, W) where there are several channels, and labels int64 (N,) counted
    from 0, of both parts. inspect: looks into the files without unpacking images, for the side of an image and the number
    of classes that belong there, and raises `DataError` for what is wrong.
    Both take the paths of `DatasetSpec.files` below the data folder, in that order.
    """

    read: Callable[[Files], Arrays]
    inspect: Callable[[Files, int, int], None] = lambda _files, _side, _classes: None


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file to fetch: addresses in order of preference, the MD5 its publisher states, and what it holds.

    targets: (member of the archive, path below the data folder); the member is "" for the file itself.
    """

    urls: tuple[str, ...]
    md5: str
    targets: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The file's own name, for messages."""
        return self.urls[0].rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class ExportedReader:
    """How exported code reads the data set.

    body: statements of `load_images(root)` that return what `Reader.read` returns. imports: the import lines they need;
    modules of `lab` travel with the code. note: a sentence for the head of the script, "" where nothing is to be said.
    """

    body: str
    imports: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """All that is known of a data set before any file is read.

    classes: name of each label, in label order. source: who published it, and where. files: paths below the data folder,
    in the order the reader takes them; () for one that needs none. train_images, test_images: expected counts, 0 where
    only the files tell. download_mb: size of what is fetched. remote: where to fetch the files. exported: how exported
    code reads them, None where it cannot. recipe: how drawings and photos are normalised for it, None where they cannot
    be. by_hand: whether drawing a member of a class by hand makes sense. image_size: side of the square images in
    pixels. channels: 1 for grey, light ink on black; 3 for RGB. local: how files that were made on this machine and
    can be fetched from nowhere come back ("" for a published data set), such as "import its file again".
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
        """Channels, height and width of one image, as a network is given it."""
        return self.channels, self.image_size, self.image_size

    @property
    def drawable(self) -> bool:
        """Whether the Draw page can test a network with a drawing."""
        return self.by_hand and self.recipe is not None

    def require_recipe(self) -> Recipe:
        """Return how drawings are normalised; raises `InputError` for a data set that nothing can be drawn for."""
        if self.recipe is None:
            what = "colour images" if self.channels > 1 else "no recipe for drawings"
            raise InputError(
                f"{self.title} has {what}, so drawings and photos cannot be made to look like it: choose an image of the "
                f"data set, or a picture file of {self.image_size}×{self.image_size} pixels."
            )
        return self.recipe

    @property
    def has_digits(self) -> bool:
        """Whether the classes are digits, so that a photo of several is cut into single ones."""
        return set(self.classes) <= set(DIGITS)

    @property
    def built_in(self) -> bool:
        """Whether it comes with the lab and needs no file."""
        return not self.files
