"""The published data sets, one record each, in the order the pages show them. URLs and checksums are torchvision's."""

import string

from lab.data import readers, recipes
from lab.data.spec import DIGITS, DatasetSpec, ExportedReader, RemoteFile

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
# EMNIST merges upper and lower case if they look alike; these eleven lower-case letters remain separate classes.
_BALANCED = (*string.digits, *string.ascii_uppercase, *"abdefghnqrt")
_IDX_NAMES = ("images-idx3-ubyte", "labels-idx1-ubyte")
_AS_STORED = "return train.data.numpy(), train.targets.numpy(), test.data.numpy(), test.targets.numpy()"


def _idx_files(
    folder: str, *, train: str = "train", test: str = "t10k", kinds: tuple[str, str] = _IDX_NAMES
) -> tuple[str, ...]:
    """Return the four idx files in torchvision's layout, such as `MNIST/raw/train-images-idx3-ubyte`."""
    return tuple(f"{folder}/raw/{part}-{kind}" for part in (train, test) for kind in kinds)


def _remote_gz(files: tuple[str, ...], mirrors: tuple[str, ...], md5s: tuple[str, ...]) -> tuple[RemoteFile, ...]:
    """Return one gzip file to fetch for each file, with the same name at every mirror."""
    return tuple(
        RemoteFile(tuple(f"{mirror}{path.rsplit('/', 1)[-1]}.gz" for mirror in mirrors), md5, (("", path),))
        for path, md5 in zip(files, md5s, strict=True)
    )


def _torchvision(name: str, train: str, test: str, *, then: str = _AS_STORED) -> ExportedReader:
    """Return how exported code reads a data set with torchvision's class `name`. train, test: arguments per part."""
    lines = [
        f"{part} = torchvision.datasets.{name}(root, {which}, download=True)"
        for part, which in (("train", train), ("test", test))
    ]
    return ExportedReader("\n".join([*lines, then]))


_PARTS = ("train=True", "train=False")
_MNIST_FILES = _idx_files("MNIST")
_FASHION_FILES = _idx_files("FashionMNIST")
_KMNIST_FILES = _idx_files("KMNIST")
_QMNIST_FILES = _idx_files(
    "QMNIST", train="qmnist-train", test="qmnist-test", kinds=("images-idx3-ubyte", "labels-idx2-int")
)
_LETTERS_FILES = _idx_files("EMNIST", train="emnist-letters-train", test="emnist-letters-test")
_BALANCED_FILES = _idx_files("EMNIST", train="emnist-balanced-train", test="emnist-balanced-test")
_EMNIST_REMOTE = (
    RemoteFile(
        ("https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",),
        "58c8d27c78d21e728a6bc7b3cc06412e",
        tuple((f"gzip/{path.rsplit('/', 1)[-1]}.gz", path) for path in (*_LETTERS_FILES, *_BALANCED_FILES)),
    ),
)
_EMNIST_CODE = """\
# EMNIST stores its pictures transposed, and torchvision leaves them so.
train_x, test_x = (np.ascontiguousarray(part.data.numpy().transpose(0, 2, 1)) for part in (train, test))
return train_x, train.targets.numpy(){first}, test_x, test.targets.numpy(){first}"""
_LETTERS_CODE = _EMNIST_CODE.format(first=" - 1")  # its letters are counted from 1
_BALANCED_CODE = _EMNIST_CODE.format(first="")
_QMNIST_CODE = "return train.data.numpy(), train.targets[:, 0].numpy(), test.data.numpy(), test.targets[:, 0].numpy()"
_USPS_CODE = """\
(train_x, train_y), (test_x, test_y) = read_usps(root / "usps.bz2"), read_usps(root / "usps.t.bz2")
return resize_images(train_x, 28), train_y, resize_images(test_x, 28), test_y"""

PUBLISHED = (
    DatasetSpec(
        "mnist",
        "MNIST",
        "Handwritten digits, the reports' data: 60,000 for training and 10,000 for testing.",
        DIGITS,
        "LeCun, Cortes, Burges: The MNIST database of handwritten digits",
        readers.IDX,
        _MNIST_FILES,
        train_images=60_000,
        test_images=10_000,
        download_mb=12,
        remote=_remote_gz(
            _MNIST_FILES,
            ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
            (
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "9fb629c4189551a2d022fa330f9573f3",
                "ec29112dd5afa0611ce80d1b7f02629c",
            ),
        ),
        exported=_torchvision("MNIST", *_PARTS),
        recipe=recipes.MNIST,
    ),
    DatasetSpec(
        "digits",
        "Digits (built in)",
        "1,797 handwritten digits of 8×8 pixels that ship with scikit-learn, scaled to "
        "28×28: small and coarse, but available without a download.",
        DIGITS,
        "Alpaydin, Kaynak: Optical recognition of handwritten digits, UCI 1998",
        readers.SKLEARN_DIGITS,
        train_images=1_438,
        test_images=359,
        exported=ExportedReader("return read_digits()", ("from lab.data.digits import read_digits",)),
        recipe=recipes.DIGITS,
    ),
    DatasetSpec(
        "fashion-mnist",
        "Fashion-MNIST",
        "Ten kinds of clothes in MNIST's format; harder than digits.",
        _CLOTHES,
        "Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747",
        readers.IDX,
        _FASHION_FILES,
        train_images=60_000,
        test_images=10_000,
        download_mb=31,
        remote=_remote_gz(
            _FASHION_FILES,
            ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
            (
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bef4ecab320f06d8554ea6380940ec79",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
        ),
        exported=_torchvision("FashionMNIST", *_PARTS),
        recipe=recipes.MNIST,
        by_hand=False,
    ),
    DatasetSpec(
        "kmnist",
        "Kuzushiji-MNIST",
        "Ten cursive Japanese characters from old books, in MNIST's format.",
        _KUZUSHIJI,
        "Clanuwat et al. 2018, arXiv:1812.01718",
        readers.IDX,
        _KMNIST_FILES,
        train_images=60_000,
        test_images=10_000,
        download_mb=21,
        remote=_remote_gz(
            _KMNIST_FILES,
            ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
            (
                "bdb82020997e1d708af4cf47b453dcf7",
                "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "7320c461ea6c1c855c0b718fb2a4b134",
            ),
        ),
        exported=_torchvision("KMNIST", *_PARTS),
        recipe=recipes.MNIST,
    ),
    DatasetSpec(
        "emnist-letters",
        "EMNIST letters",
        "26 handwritten letters, upper and lower case in one class.",
        tuple(string.ascii_lowercase),
        "Cohen et al. 2017, arXiv:1702.05373",
        readers.EMNIST_LETTERS,
        _LETTERS_FILES,
        train_images=124_800,
        test_images=20_800,
        download_mb=562,
        remote=_EMNIST_REMOTE,
        exported=_torchvision("EMNIST", *(f'split="letters", {part}' for part in _PARTS), then=_LETTERS_CODE),
        recipe=recipes.EMNIST,
    ),
    DatasetSpec(
        "emnist-balanced",
        "EMNIST balanced",
        "47 classes of handwritten digits and letters, equally many of each.",
        _BALANCED,
        "Cohen et al. 2017, arXiv:1702.05373",
        readers.EMNIST_BALANCED,
        _BALANCED_FILES,
        train_images=112_800,
        test_images=18_800,
        download_mb=562,
        remote=_EMNIST_REMOTE,
        exported=_torchvision("EMNIST", *(f'split="balanced", {part}' for part in _PARTS), then=_BALANCED_CODE),
        recipe=recipes.EMNIST,
    ),
    DatasetSpec(
        "qmnist",
        "QMNIST",
        "MNIST rebuilt from its sources, with all 60,000 test digits.",
        DIGITS,
        "Yadav, Bottou 2019, arXiv:1905.10498",
        readers.QMNIST,
        _QMNIST_FILES,
        train_images=60_000,
        test_images=60_000,
        download_mb=20,
        remote=_remote_gz(
            _QMNIST_FILES,
            ("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
            (
                "ed72d4157d28c017586c42bc6afe6370",
                "0058f8dd561b90ffdd0f734c6a30e5e4",
                "1394631089c404de565df7b7aeaf9412",
                "5b5b05890a5e13444e108efe57b788aa",
            ),
        ),
        exported=_torchvision("QMNIST", 'what="train"', 'what="test"', then=_QMNIST_CODE),
        recipe=recipes.MNIST,
    ),
    DatasetSpec(
        "usps",
        "USPS",
        "Digits from envelopes, 16×16 pixels scaled to 28×28: another hand and another scanner.",
        DIGITS,
        "Hull 1994: A database for handwritten text recognition research",
        readers.USPS,
        ("usps.bz2", "usps.t.bz2"),
        train_images=7_291,
        test_images=2_007,
        download_mb=8,
        remote=tuple(
            RemoteFile(
                (f"https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/{name}",), md5, (("", name),)
            )
            for name, md5 in (
                ("usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197"),
                ("usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118"),
            )
        ),
        exported=ExportedReader(
            _USPS_CODE, ("from lab.data.libsvm import read_usps", "from lab.data.resize import resize_images")
        ),
        recipe=recipes.USPS,
    ),
)
