"""Files are recognised by their content: whatever their names, the right ones are read and wrong ones described."""

import gzip
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lab.data.inventory import DataState, inspect_dataset, list_other_files
from lab.data.load import dataset_checksum, is_present, load_dataset
from lab.data.recognise import recognise
from lab.data.registry import get_dataset_spec, list_datasets
from lab.errors import DamagedDataError, DataError, WrongDataError
from tests.data.data_files import idx_bytes

Write = Callable[..., Path]
IMAGES = np.random.default_rng(3).integers(0, 256, (30, 28, 28), dtype=np.uint8)
LABELS = (np.arange(30) % 10).astype(np.uint8)
KAGGLE = "label," + ",".join(f"pixel{n}" for n in range(784)) + "\n"


def _npz(**arrays: np.ndarray) -> bytes:
    target = io.BytesIO()
    np.savez(target, **arrays)
    return target.getvalue()


def _zip(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return target.getvalue()


CONTENTS: dict[str, tuple[bytes, str, str]] = {
    "idx images": (idx_bytes(IMAGES), "idx", "an idx file of 30 images of 28×28"),
    "idx labels": (idx_bytes(LABELS), "idx", "an idx file of 30 labels"),
    "gzip of images": (gzip.compress(idx_bytes(IMAGES)), "gzip", "a gzip file that contains an idx file of 30 images"),
    "gzip of a table": (gzip.compress(KAGGLE.encode()), "gzip", "a gzip file that contains a table of a label and 784"),
    "gzip of nothing": (b"\x1f\x8b\x08\0" + b"\xff" * 40, "gzip", "a gzip file that contains damaged data"),
    "kaggle": (KAGGLE.encode(), "csv", r"a table of a label and 784 pixels per row \(28×28\)"),
    "kaggle test": (KAGGLE[6:].encode(), "csv", "a table of no label and 784 pixels per row"),
    "no header": (",".join(["7"] * 785).encode(), "csv", "a label and 784 pixels .* without a header"),
    "1x1 names": (
        ("label," + ",".join(f"{y}x{x}" for y in range(1, 29) for x in range(1, 29))).encode(),
        "csv",
        "28×28",
    ),
    "byte order mark": (b"\xef\xbb\xbf" + KAGGLE.encode(), "csv", "a table of a label and 784"),
    "excel's unicode text": (KAGGLE.replace(",", "\t").encode("utf-16"), "csv", "a table of a label and 784"),
    "big-endian": (b"\xfe\xff" + KAGGLE.encode("utf-16-be"), "csv", "a table of a label and 784"),
    "utf-16 cut": (b"\xff\xfe" + KAGGLE.encode("utf-16-le") + b"1", "csv", "a table of a label and 784"),
    "excel's own csv": (KAGGLE.replace("pixel0", "Größe").encode("latin-1"), "csv", "a table of a label and 784"),
    "another table in latin-1": ("größe,label\n3,1\n".encode("latin-1"), "table", "a table of 2 columns"),
    "a page in latin-1": ("<title>Größe</title>".encode("latin-1"), "html", "a web page, not data"),
    "words in latin-1": ("Größe\n".encode("latin-1"), "unknown", r"an unknown format \(it starts with 4772f6df\)"),
    "noise with commas": (bytes([200, 1, *b",1" * 64]), "unknown", r"an unknown format \(it starts with c8012c31\)"),
    "utf-32": (KAGGLE.encode("utf-32"), "unknown", r"an unknown format \(it starts with fffe0000\)"),
    "half a pair": (b"\xff\xfe\x00\xdc\x31\x00", "unknown", r"an unknown format \(it starts with fffe00dc\)"),
    "semicolons": (KAGGLE.replace(",", ";").encode(), "csv", "784 pixels"),
    "table of another kind": (b"file_name,label\na.png,1\n", "table", "a table of 2 columns"),
    "keras": (_npz(x_train=IMAGES, y_train=LABELS), "npz", "a NumPy archive .* of x_train, y_train"),
    "medmnist": (_npz(train_images=IMAGES, train_labels=LABELS[:, None]), "npz", "train_images, train_labels"),
    "folders": (_zip("train/0/a.png", "train/1/b.png"), "zip", "a ZIP archive of 2 files"),
    "truncated zip": (_npz(x_train=IMAGES)[:200], "zip", "a truncated or damaged ZIP archive"),
    "npy": (b"\x93NUMPY\x01\0", "npy", "a NumPy array"),
    "parquet": (b"PAR1\x15\0", "parquet", "a Parquet table"),
    "web page": (b"\n<!DOCTYPE html><title>404</title>", "html", "a web page, not data"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer", "a Git LFS pointer"),
    "pickle": (b"\x80\x04\x95\0", "pickle", "a Python pickle"),
    "picture": (b"\x89PNG\r\n\x1a\n", "picture", "a picture"),
    "libsvm": (b"5 1:0.1 2:0.5 3:-1\n", "libsvm", "libsvm"),
    "a note": (b"Notes: none\n", "text", "a text file"),
    "words": (b"nothing of numbers here\n", "text", "a text file"),
    "nothing": (b"", "empty", "empty"),
    "noise": (bytes(range(128, 160)), "unknown", r"an unknown format \(it starts with 80818283\)"),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_is_recognised_by_its_first_bytes(tmp_path: Path, content: str) -> None:
    data, kind, words = CONTENTS[content]
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(data)
    found = recognise(path)
    assert found.kind == kind
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found.words)


@pytest.mark.parametrize(
    "content", [name for name, (_, kind, _) in CONTENTS.items() if kind not in ("idx", "gzip", "empty")]
)
def test_a_file_of_another_kind_is_reported_as_wrong_and_not_as_damaged(
    tmp_path: Path, write_mnist: Write, content: str
) -> None:
    raw = write_mnist(tmp_path)
    (raw / "train-images-idx3-ubyte").write_bytes(CONTENTS[content][0])
    with pytest.raises(WrongDataError, match=f"is .*{CONTENTS[content][2]}.*, but an idx file is expected") as refused:
        load_dataset("mnist", root=tmp_path)
    assert "damaged, so" not in str(refused.value)
    found = inspect_dataset(get_dataset_spec("mnist"), root=tmp_path)
    assert (found.state, found.detail) == (DataState.WRONG, str(refused.value))


def test_labels_in_place_of_images_are_reported(tmp_path: Path, write_mnist: Write) -> None:
    raw = write_mnist(tmp_path)
    shutil.copy(raw / "train-labels-idx1-ubyte", raw / "train-images-idx3-ubyte")
    with pytest.raises(WrongDataError, match="is an idx file of 40 labels, which has 1 dimensions instead of 3: put"):
        load_dataset("mnist", root=tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_file_is_damaged_and_to_be_deleted(tmp_path: Path, write_mnist: Write, packed: bool) -> None:
    raw = write_mnist(tmp_path)
    path = raw / "train-images-idx3-ubyte"
    data = gzip.compress(path.read_bytes()) if packed else path.read_bytes()
    path.write_bytes(data[:-7])
    with pytest.raises(DamagedDataError, match="the file is damaged, so delete it and fetch the data set again"):
        load_dataset("mnist", root=tmp_path)
    assert inspect_dataset(get_dataset_spec("mnist"), root=tmp_path).state is DataState.DAMAGED


LAYOUTS: dict[str, Callable[[str], str]] = {
    "torchvision's": lambda name: f"MNIST/raw/{name}",
    "dots": lambda name: f"MNIST/raw/{name.replace('-idx', '.idx')}",
    "compressed": lambda name: f"MNIST/raw/{name}.gz",
    "dots, compressed": lambda name: f"MNIST/raw/{name.replace('-idx', '.idx')}.gz",
    "no raw folder": lambda name: f"MNIST/{name}",
    "flat": lambda name: name,
    "flat, dots, compressed": lambda name: f"{name.replace('-idx', '.idx')}.gz",
    "upper case": lambda name: f"MNIST/raw/{name.upper()}",
    "a prefix": lambda name: f"MNIST/raw/my.{name.replace('-idx', '.idx')}",
    "underscores": lambda name: f"MNIST/{name.replace('-', '_')}",
}


def _lay_out(
    raw: Path, root: Path, layout: str, *, gz: Callable[[str], bool] = lambda name: name.endswith(".gz")
) -> None:
    for path in raw.iterdir():
        target = root / LAYOUTS[layout](path.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress(path.read_bytes()) if gz(target.name) else path.read_bytes())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_files_are_found_under_every_common_name_and_folder(
    tmp_path: Path, write_mnist: Write, layout: str
) -> None:
    raw = write_mnist(tmp_path / "source")
    root = tmp_path / "data"
    assert not is_present("mnist", root=root)
    _lay_out(raw, root, layout)
    assert is_present("mnist", root=root)
    assert inspect_dataset(get_dataset_spec("mnist"), root=root).state is DataState.PRESENT
    data, expected = load_dataset("mnist", root=root), load_dataset("mnist", root=tmp_path / "source")
    np.testing.assert_array_equal(data.train_images, expected.train_images)
    np.testing.assert_array_equal(data.test_labels, expected.test_labels)
    assert len(dataset_checksum("mnist", root=root)) == 64
    assert [spec.id for spec in list_datasets() if is_present(spec.id, root=root)] == ["mnist", "digits"]


@pytest.mark.parametrize("layout", ["torchvision's", "dots", "flat"])
@pytest.mark.parametrize("swapped", [False, True], ids=["gzip under plain names", "plain under .gz names"])
def test_compression_is_recognised_by_content(tmp_path: Path, write_mnist: Write, layout: str, swapped: bool) -> None:
    raw = write_mnist(tmp_path / "source")
    root = tmp_path / "data"
    _lay_out(raw, root, layout, gz=lambda name: not swapped)
    if swapped:
        for path in [p for p in root.rglob("*") if p.is_file()]:
            path.rename(path.with_name(path.name + ".gz"))
    assert load_dataset("mnist", root=root).train_labels.tolist() == [*range(10)] * 4
    assert inspect_dataset(get_dataset_spec("mnist"), root=root).state is DataState.PRESENT


def test_flat_files_of_fashion_mnist_are_not_taken_for_mnist(tmp_path: Path, write_mnist: Write) -> None:
    raw = write_mnist(tmp_path / "source")
    labels = np.concatenate([[9, 0, 0, 3, 0, 2, 7, 2, 5, 5], np.arange(30) % 10]).astype(np.uint8)
    (raw / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    for layout in ("flat", "flat, dots, compressed"):
        root = tmp_path / layout
        _lay_out(raw, root, layout)
        assert is_present("fashion-mnist", root=root)
        assert not is_present("mnist", root=root)


def test_an_incomplete_data_set_names_the_missing_file(tmp_path: Path, write_mnist: Write) -> None:
    raw = write_mnist(tmp_path)
    (raw / "t10k-labels-idx1-ubyte").unlink()
    found = inspect_dataset(get_dataset_spec("mnist"), root=tmp_path)
    assert (found.state, found.detail) == (DataState.INCOMPLETE, "t10k-labels-idx1-ubyte is missing.")


def test_mixed_files_of_two_data_sets_are_reported_as_wrong(tmp_path: Path, write_mnist: Write) -> None:
    raw = write_mnist(tmp_path)
    (raw / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS))
    found = inspect_dataset(get_dataset_spec("mnist"), root=tmp_path)
    assert found.state is DataState.WRONG
    assert "has 20 images, but t10k-labels-idx1-ubyte has 30 labels" in found.detail


def test_a_usps_file_of_another_kind_is_reported(tmp_path: Path) -> None:
    for name in ("usps.bz2", "usps.t.bz2"):
        (tmp_path / name).write_bytes(b"<html>moved</html>")
    with pytest.raises(WrongDataError, match="is a web page, not data"):
        load_dataset("usps", root=tmp_path)
    assert inspect_dataset(get_dataset_spec("usps"), root=tmp_path).state is DataState.WRONG


def test_other_files_in_the_data_folder_are_listed_with_their_use(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(KAGGLE, encoding="utf-8")
    (tmp_path / "mnist.data").write_bytes(CONTENTS["keras"][0])
    (tmp_path / "pictures").write_bytes(CONTENTS["folders"][0])
    (tmp_path / "my.train-images.idx3-ubyte").write_bytes(CONTENTS["gzip of images"][0])
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    (tmp_path / ".hidden.csv").write_text(KAGGLE, encoding="utf-8")
    (tmp_path / "folder.csv").mkdir()
    words = {other.path.name: other.words for other in list_other_files(tmp_path)}
    assert list(words) == ["mnist.data", "my.train-images.idx3-ubyte", "pictures", "train.csv"]
    assert "30 images of 28×28: give it the name" in words["my.train-images.idx3-ubyte"]
    assert "datasets --import" in words["train.csv"]
    assert "datasets --import" in words["mnist.data"]
    assert "does not read" in words["pictures"]
    assert json.dumps(words)
    assert list_other_files(tmp_path / "none") == []


def test_an_unreadable_file_counts_as_missing(tmp_path: Path, write_mnist: Write) -> None:
    raw = write_mnist(tmp_path)
    (raw / "train-labels-idx1-ubyte").unlink()
    (raw / "train-labels-idx1-ubyte").symlink_to(raw / "train-labels-idx1-ubyte")
    with pytest.raises(DataError, match="missing"):
        load_dataset("mnist", root=tmp_path)


def _put_mnist(root: Path, images: np.ndarray, labels: np.ndarray, *, pack: Callable[[bytes], bytes] = bytes) -> None:
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(pack(idx_bytes(images)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))


def test_a_gzip_file_of_several_members_is_read_completely(tmp_path: Path) -> None:
    def in_parts(data: bytes) -> bytes:
        return gzip.compress(data[:1000]) + gzip.compress(data[1000:])

    images, labels = np.arange(20 * 784, dtype=np.int64).reshape(20, 28, 28) % 256, np.arange(20) % 10
    _put_mnist(tmp_path, images.astype(np.uint8), labels.astype(np.uint8), pack=in_parts)
    assert inspect_dataset(get_dataset_spec("mnist"), root=tmp_path).state is DataState.PRESENT
    assert load_dataset("mnist", root=tmp_path).train_images.tolist() == images.tolist()


@pytest.mark.parametrize(
    ("side", "count", "first", "words"),
    [
        (32, 20, 0, "train-images-idx3-ubyte has images of 32×32 instead of 28×28"),
        (28, 20, 1, "train-labels-idx1-ubyte has labels from 1 to 10, but they must be from 0 to 9"),
        (28, 0, 0, "train-images-idx3-ubyte and train-labels-idx1-ubyte are empty"),
    ],
)
def test_files_that_cannot_belong_to_the_data_set_are_reported_as_wrong(
    tmp_path: Path, side: int, count: int, first: int, words: str
) -> None:
    _put_mnist(tmp_path, np.zeros((count, side, side), np.uint8), (first + np.arange(count) % 10).astype(np.uint8))
    found = inspect_dataset(get_dataset_spec("mnist"), root=tmp_path)
    assert found.state is DataState.WRONG
    assert found.detail.startswith(words)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.arange(40) % 10, ""),
        (np.arange(40) % 2 + 8, ""),
        (np.arange(39) % 10, "train-images-idx3-ubyte has 40 images, but train-labels-idx1-ubyte has 39 labels"),
        (np.full(40, 7), "train-labels-idx1-ubyte has 40 labels of one class: nothing can be learned from it."),
        (np.arange(40) % 11, "train-labels-idx1-ubyte has labels from 0 to 10, but they must be from 0 to 9"),
    ],
)
def test_labels_must_match_the_images_and_classes_and_have_more_than_one_class(
    tmp_path: Path, write_mnist: Write, labels: np.ndarray, words: str
) -> None:
    write_mnist(tmp_path)
    (raw,) = (path.parent for path in tmp_path.rglob("train-labels*"))
    for path in raw.glob("train-labels*"):
        path.unlink()
    (raw / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels.astype(np.uint8)))
    found = inspect_dataset(get_dataset_spec("mnist"), root=tmp_path)
    assert found.detail.startswith(words) if words else found.state is DataState.PRESENT
    assert (found.state is DataState.PRESENT) is not bool(words)
