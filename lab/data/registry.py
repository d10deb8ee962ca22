"""The only list of data sets: ids, titles, classes and how their pictures were made. No torch, no files.

Every data set is served as 28×28 grey pictures with light ink on black, whatever its files hold (`lab.data.load`).
"""

import re
import string
from dataclasses import dataclass

from lab.errors import UnknownNameError, near_miss

DIGITS = tuple(string.digits)
_KUZUSHIJI = ("o お", "ki き", "su す", "tsu つ", "na な", "ha は", "ma ま", "ya や", "re れ", "wo を")
_CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# EMNIST merges upper and lower case where they look alike; these eleven lower-case letters stay on their own.
_BALANCED = (*string.digits, *string.ascii_uppercase, *"abdefghnqrt")
RECIPES = ("mnist", "emnist", "digits", "usps")
# Data sets that the lab writes from saved drawings (`lab.data.own`) or from a file of the user's (`lab.data.imports`):
# known by their id, listed nowhere.
DRAWINGS, IMPORTED = "drawings", "imported"
_OWN = re.compile(rf"({DRAWINGS}|{IMPORTED})-({'|'.join(RECIPES)})-[0-9a-f]{{12}}")
_OWN_TEXTS = {
    DRAWINGS: (
        "My drawings",
        "Drawings saved on the Draw page, each repeated, with part of the data the parent run was trained on.",
        "drawn in this lab",
    ),
    IMPORTED: ("Imported digits", "Pictures of digits from a CSV or .npz file.", "imported into this lab"),
}


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """What is known of a data set before any file is read.

    classes: name of each label, in label order. recipe: how its pictures were cut out and centred, so that a drawing
    can be treated the same way (one of `RECIPES`). drawable: whether drawing a member of a class by hand makes sense.
    train_images, test_images: expected counts of the published files. download_mb: size of what is fetched, 0 if none.
    """

    id: str
    title: str
    description: str
    classes: tuple[str, ...]
    source: str
    train_images: int
    test_images: int
    download_mb: int
    recipe: str = "mnist"
    drawable: bool = True
    image_size: int = 28

    @property
    def has_digits(self) -> bool:
        """Whether the classes are digits, so that a photo of several is cut into single ones."""
        return set(self.classes) <= set(DIGITS)

    @property
    def built_in(self) -> bool:
        """Whether it needs no download."""
        return self.download_mb == 0


_SPECS: dict[str, DatasetSpec] = {}


def register(spec: DatasetSpec) -> DatasetSpec:
    """Add a data set; a second one with the same id, or one without a description, raises ValueError."""
    if spec.id in _SPECS:
        raise ValueError(f"Data set {spec.id!r} is registered twice.")
    if not spec.description or spec.recipe not in RECIPES or not spec.classes:
        raise ValueError(f"Data set {spec.id!r} needs a description, classes and one of the recipes {RECIPES}.")
    _SPECS[spec.id] = spec
    return spec


def list_datasets() -> tuple[DatasetSpec, ...]:
    """Return every data set, in the order the pages show them."""
    return tuple(_SPECS.values())


def is_own(id: str) -> bool:
    """Whether a data set was written by this lab and can be fetched from nowhere."""
    return _OWN.fullmatch(id) is not None


def get_dataset_spec(id: str) -> DatasetSpec:
    """Return one data set's description; an unknown id raises `UnknownNameError` with the nearest one."""
    own = _OWN.fullmatch(id)
    if own:
        title, words, source = _OWN_TEXTS[own[1]]
        return DatasetSpec(id, title, words, DIGITS, source, 0, 0, 0, recipe=own[2])
    if id not in _SPECS:
        raise UnknownNameError(f"There is no data set {id!r}. {near_miss(id, _SPECS)}", field="dataset")
    return _SPECS[id]


register(
    DatasetSpec(
        "mnist",
        "MNIST",
        "Handwritten digits, the reports' data: 60,000 for training and 10,000 for testing.",
        DIGITS,
        "LeCun, Cortes, Burges: The MNIST database of handwritten digits",
        60_000,
        10_000,
        12,
    )
)
register(
    DatasetSpec(
        "digits",
        "Digits (built in)",
        "1,797 handwritten digits of 8×8 pixels that ship with scikit-learn, scaled to "
        "28×28: small and coarse, but at hand without a network.",
        DIGITS,
        "Alpaydin, Kaynak: Optical recognition of handwritten digits, UCI 1998",
        1_438,
        359,
        0,
        recipe="digits",
    )
)
register(
    DatasetSpec(
        "fashion-mnist",
        "Fashion-MNIST",
        "Ten kinds of clothes in MNIST's format; harder than digits.",
        _CLOTHES,
        "Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747",
        60_000,
        10_000,
        31,
        drawable=False,
    )
)
register(
    DatasetSpec(
        "kmnist",
        "Kuzushiji-MNIST",
        "Ten cursive Japanese characters from old books, in MNIST's format.",
        _KUZUSHIJI,
        "Clanuwat et al. 2018, arXiv:1812.01718",
        60_000,
        10_000,
        21,
    )
)
register(
    DatasetSpec(
        "emnist-letters",
        "EMNIST letters",
        "26 handwritten letters, upper and lower case in one class.",
        tuple(string.ascii_lowercase),
        "Cohen et al. 2017, arXiv:1702.05373",
        124_800,
        20_800,
        562,
        recipe="emnist",
    )
)
register(
    DatasetSpec(
        "emnist-balanced",
        "EMNIST balanced",
        "47 classes of handwritten digits and letters, equally many of each.",
        _BALANCED,
        "Cohen et al. 2017, arXiv:1702.05373",
        112_800,
        18_800,
        562,
        recipe="emnist",
    )
)
register(
    DatasetSpec(
        "qmnist",
        "QMNIST",
        "MNIST rebuilt from its sources, with all 60,000 test digits.",
        DIGITS,
        "Yadav, Bottou 2019, arXiv:1905.10498",
        60_000,
        60_000,
        20,
    )
)
register(
    DatasetSpec(
        "usps",
        "USPS",
        "Digits from envelopes, 16×16 pixels scaled to 28×28: another hand and another scanner.",
        DIGITS,
        "Hull 1994: A database for handwritten text recognition research",
        7_291,
        2_007,
        8,
        recipe="usps",
    )
)
