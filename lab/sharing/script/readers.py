"""How exported code reads each data set: the body of its `load_images`, with the imports that it needs."""

from dataclasses import dataclass

from lab.data.registry import get_dataset_spec, is_own
from lab.errors import InputError

_TORCHVISION = {
    "mnist": ("MNIST", "train=True", "train=False"),
    "fashion-mnist": ("FashionMNIST", "train=True", "train=False"),
    "kmnist": ("KMNIST", "train=True", "train=False"),
    "qmnist": ("QMNIST", 'what="train"', 'what="test"'),
    "emnist-letters": ("EMNIST", 'split="letters", train=True', 'split="letters", train=False'),
    "emnist-balanced": ("EMNIST", 'split="balanced", train=True', 'split="balanced", train=False'),
}
_PLAIN = "return train.data.numpy(), train.targets.numpy(), test.data.numpy(), test.targets.numpy()"
_ANSWERS = {
    "qmnist": "return train.data.numpy(), train.targets[:, 0].numpy(), test.data.numpy(), test.targets[:, 0].numpy()",
    "emnist-letters": """\
# EMNIST stores its pictures transposed, and counts letters from 1.
train_x, test_x = (np.ascontiguousarray(part.data.numpy()) for part in (train, test))
return train_x, train.targets.numpy() - 1, test_x, test.targets.numpy() - 1""",
}
_USPS = """\
(train_x, train_y), (test_x, test_y) = read_usps(root / "usps.bz2"), read_usps(root / "usps.t.bz2")
return resize_images(train_x, 28), train_y, resize_images(test_x, 28), test_y"""
_OWN = """\
folder = root / "Drawings" / "{id}"
train_x, test_x = (read_idx(folder / f"{{part}}-images-idx3-ubyte", dims=3, dtype="uint8") for part in ("train", "t10k"))
train_y, test_y = (read_idx(folder / f"{{part}}-labels-idx1-ubyte", dims=1, dtype="uint8") for part in ("train", "t10k"))
return train_x, train_y.astype(np.int64), test_x, test_y.astype(np.int64)"""


@dataclass(frozen=True, slots=True)
class ScriptReader:
    """body: statements of `load_images(root)` that return training images and labels, then the test set's."""

    body: str
    imports: tuple[str, ...] = ()


def reader_of(dataset: str) -> ScriptReader:
    """Return how exported code reads a data set; raises `InputError` where it cannot be written."""
    if dataset == "digits":
        return ScriptReader("return read_digits()", ("from lab.data.digits import read_digits",))
    if dataset == "usps":
        return ScriptReader(
            _USPS, ("from lab.data.libsvm import read_usps", "from lab.data.resize import resize_images")
        )
    if is_own(dataset):
        return ScriptReader(_OWN.format(id=dataset), ("from lab.data.idx import read_idx",))
    if dataset not in _TORCHVISION:
        title = get_dataset_spec(dataset).title
        raise InputError(f"How exported code reads {title} is not written down: export another format.")
    name, train, test = _TORCHVISION[dataset]
    lines = [
        f"{part} = torchvision.datasets.{name}(root, {which}, download=True)"
        for part, which in (("train", train), ("test", test))
    ]
    return ScriptReader("\n".join([*lines, _ANSWERS.get(dataset, _PLAIN)]))
