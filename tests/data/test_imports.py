"""Users' files become data sets or are refused in one sentence, and untrainable data sets are not trained on."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.config import RunConfig
from lab.data.imports import import_file
from lab.data.load import dataset_checksum, load_dataset
from lab.data.local import list_imported, write_drawings_dataset
from lab.data.registry import LOCAL_FOLDER
from lab.data.resize import resize_images
from lab.data.trainable import require_trainable
from lab.errors import DataError, InputError
from lab.service.lab import Lab
from lab.settings import Settings
from tests.data.data_files import idx_bytes

Write = Callable[..., Path]
_random = np.random.default_rng(5)
IMAGES = _random.integers(1, 256, (70, 28, 28), dtype=np.uint8)
IMAGES[:, [0, -1], :] = 0
IMAGES[:, :, [0, -1]] = 0
LABELS = (np.arange(70) % 10).astype(np.uint8)
TEST = (IMAGES[:20], LABELS[:20])


def _csv(images: np.ndarray, labels: np.ndarray, *, header: bool = True, bom: str = "") -> str:
    lines = ["label," + ",".join(f"pixel{n}" for n in range(images[0].size))] if header else []
    lines += [",".join(map(str, [label, *image.reshape(-1)])) for image, label in zip(images, labels, strict=True)]
    return bom + "\n".join(lines) + "\n"


@pytest.mark.parametrize(("header", "bom"), [(True, ""), (False, ""), (True, "\ufeff")])
def test_a_kaggle_table_becomes_a_data_set_with_a_held_out_test_set(tmp_path: Path, header: bool, bom: str) -> None:
    path = tmp_path / "any.name"
    path.write_text(_csv(IMAGES, LABELS, header=header, bom=bom), encoding="utf-8")
    made = import_file(path, root=tmp_path / "data")
    assert (made.train_images, made.test_images) == (60, 10)
    assert made.remarks == ("It has no test set, so 10 of its images are held out as one.",)
    data = load_dataset(made.id, root=tmp_path / "data")
    assert sorted(data.test_labels.tolist()) == list(range(10))
    np.testing.assert_array_equal(
        data.train_images[0], IMAGES[np.flatnonzero((data.train_images[0] == IMAGES).all((1, 2)))[0]]
    )
    assert import_file(path, root=tmp_path / "data").id == made.id
    assert len(dataset_checksum(made.id, root=tmp_path / "data")) == 64


ARCHIVES: dict[str, dict[str, Any]] = {
    "keras": {"x_train": IMAGES, "y_train": LABELS, "x_test": TEST[0], "y_test": TEST[1]},
    "a channel": {"x_train": IMAGES[..., None], "y_train": LABELS, "x_test": TEST[0][..., None], "y_test": TEST[1]},
    "colour": {
        "x_train": np.repeat(IMAGES[..., None], 3, -1),
        "y_train": LABELS,
        "x_test": np.repeat(TEST[0][..., None], 3, -1),
        "y_test": TEST[1],
    },
    "from 0 to 1": {"x_train": IMAGES / 255, "y_train": LABELS, "x_test": TEST[0] / 255, "y_test": TEST[1]},
    "rows": {
        "x_train": IMAGES.reshape(70, -1),
        "y_train": LABELS,
        "x_test": TEST[0].reshape(20, -1),
        "y_test": TEST[1],
    },
    "medmnist": {
        "train_images": IMAGES[:60],
        "train_labels": LABELS[:60, None],
        "val_images": IMAGES[60:],
        "val_labels": LABELS[60:, None],
        "test_images": TEST[0],
        "test_labels": TEST[1][:, None],
    },
    "dark on light": {"x_train": 255 - IMAGES, "y_train": LABELS, "x_test": 255 - TEST[0], "y_test": TEST[1]},
    "pytorch": {
        "x_train": IMAGES[:, None],
        "y_train": LABELS,
        "x_test": np.repeat(TEST[0][:, None], 3, 1),
        "y_test": TEST[1],
    },
    "no names": {"arr_0": IMAGES, "arr_1": LABELS, "arr_2": TEST[0], "arr_3": TEST[1]},
    "images before labels": {"arr_0": IMAGES, "arr_1": TEST[0], "arr_2": LABELS, "arr_3": TEST[1]},
    "other names": {"X": IMAGES, "target": LABELS, "testX": TEST[0], "testY": TEST[1], "names": np.arange(10)},
    "one-hot": {"trainX": IMAGES, "trainY": np.eye(10)[LABELS], "testX": TEST[0], "testY": np.eye(10)[TEST[1]]},
    "texts": {"x_train": IMAGES, "y_train": LABELS.astype(str), "x_test": TEST[0], "y_test": TEST[1].astype("S1")},
    "floats": {"x_train": IMAGES, "y_train": LABELS * 1.0, "x_test": TEST[0], "y_test": TEST[1] * 1.0},
    "from 1": {
        "x_train": IMAGES,
        "y_train": np.where(LABELS == 0, 10, LABELS),
        "x_test": TEST[0],
        "y_test": np.where(TEST[1] == 0, 10, TEST[1]),
    },
    "from -1": {"x_train": IMAGES / 127.5 - 1, "y_train": LABELS, "x_test": TEST[0] / 127.5 - 1, "y_test": TEST[1]},
}
REPEATED = "20 of its 20 test images are among the training images, so its test accuracy will be too high."
REMARKS = {
    "dark on light": ("Its ink is dark on light, so it was inverted.",),
    "from 1": ("Its labels are from 1 to 10, so 10 was read as the digit 0.",),
    "from -1": ("Its pixels are from -1 to 1, so they were scaled to 0 to 255.",),
}


@pytest.mark.parametrize("archive", ARCHIVES)
def test_numpy_archives_of_every_style_give_the_same_pictures(tmp_path: Path, archive: str) -> None:
    np.savez(tmp_path / "a.npz", **ARCHIVES[archive])
    made = import_file(tmp_path / "a.npz", root=tmp_path / "data")
    data = load_dataset(made.id, root=tmp_path / "data")
    np.testing.assert_array_equal(data.train_images, IMAGES)
    np.testing.assert_array_equal(data.train_labels, LABELS)
    np.testing.assert_array_equal(data.test_images, TEST[0])
    assert made.remarks == (*REMARKS.get(archive, ()), REPEATED)


def test_scikit_learns_digits_from_0_to_16_are_scaled_to_0_to_255(tmp_path: Path) -> None:
    levels = np.zeros((70, 8, 8))
    levels[:, 2:6, 2:6] = np.arange(1, 17).reshape(4, 4)
    levels[:, 1, 1] = np.arange(70) % 17
    np.savez(tmp_path / "a.npz", images=levels, target=LABELS)
    made = import_file(tmp_path / "a.npz", root=tmp_path / "data")
    assert "Its pixels are from 0 to 16, so they were scaled to 0 to 255." in made.remarks
    images = load_dataset(made.id, root=tmp_path / "data").train_images
    expected = resize_images(np.rint(levels * 255 / 16).astype(np.uint8), 28)
    assert {image.tobytes() for image in images} <= {image.tobytes() for image in expected}


def test_averaged_colours_are_reported_in_a_remark(tmp_path: Path) -> None:
    red = np.zeros((70, 28, 28, 3), np.uint8)
    red[..., 0] = IMAGES
    np.savez(tmp_path / "a.npz", x_train=red, y_train=LABELS)
    made = import_file(tmp_path / "a.npz", root=tmp_path / "data")
    assert made.remarks[0] == "Its colours were averaged to grey."
    assert load_dataset(made.id, root=tmp_path / "data").train_images.max() == 85


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "letters": ({"x_train": IMAGES, "y_train": LABELS + 5}, "has the label 10, but only the digits 0 to 9"),
    "words": ({"x_train": IMAGES, "y_train": np.array(["two"] * 70)}, "has the label 'two'"),
    "many labels": ({"x_train": IMAGES, "y_train": np.zeros((70, 14))}, r"labels of the shape \[70, 14\]"),
    "fewer labels": ({"x_train": IMAGES, "y_train": LABELS[:-1]}, r"labels of the shape \[69\] for 70 images"),
    "too large": ({"x_train": np.zeros((4, 64, 64)), "y_train": LABELS[:4]}, r"shape \[4, 64, 64\], but square images"),
    "oblong": ({"x_train": np.zeros((4, 28, 20)), "y_train": LABELS[:4]}, r"shape \[4, 28, 20\]"),
    "no images": ({"x_train": IMAGES[:0], "y_train": LABELS[:0]}, r"a part without images \(shape \[0, 28, 28\]\)"),
    "no test images": (
        {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:0], "y_test": LABELS[:0]},
        "remove that part",
    ),
    "complex": ({"x_train": IMAGES * 1j, "y_train": LABELS}, r"8×8 to 28×28 numbers are expected"),
    "transparency": (
        {"x_train": np.repeat(IMAGES[..., None], 4, -1), "y_train": LABELS},
        r"transparency \(shape \[70, 28, 28, 4\]\)",
    ),
    "one class": ({"x_train": IMAGES, "y_train": LABELS * 0 + 7}, r"images of a.npz are of one class \(7\)"),
    "equal pictures": ({"x_train": IMAGES * 0, "y_train": LABELS}, "have the value 0 in every pixel"),
    "NaN": ({"x_train": IMAGES * np.nan, "y_train": LABELS}, r"54,880 pixels that are not numbers \(NaN\)"),
    "standardised": ({"x_train": IMAGES / 64.0 - 2, "y_train": LABELS}, "pixels from -2 to"),
    "no labels": ({"pictures": IMAGES, "size": np.array(28)}, "contains pictures, size, but x_train and y_train"),
    "two sets of labels": (
        {"pictures": IMAGES, "label_a": LABELS, "label_b": LABELS},
        "contains pictures, label_a, label_b, but x_train",
    ),
    "counted from 1 to 11": ({"x_train": IMAGES, "y_train": LABELS + 2}, "has the label 10"),
    "objects": ({"x_train": IMAGES, "y_train": np.array([{}] * 70, dtype=object)}, "cannot be read as a NumPy archive"),
    "complex labels": ({"x_train": IMAGES, "y_train": LABELS + 0j}, "labels of the type complex128"),
}


def _flip(data: bytearray, at: int, *, mask: int = 0xFF, count: int = 1) -> bytearray:
    data[at : at + count] = bytes(byte ^ mask for byte in data[at : at + count])
    return data


def _headers(data: bytearray) -> tuple[int, int]:
    """Return the offsets of the first file's local header and of its entry in the central directory."""
    return data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")


def _encrypted(data: bytearray) -> bytearray:
    local, central = _headers(data)
    return _flip(_flip(data, local + 6, mask=1), central + 8, mask=1)


def _unknown_compression(data: bytearray) -> bytearray:
    local, central = _headers(data)
    data[local + 8] = data[central + 10] = 9  # Deflate64, which zipfile does not know
    return data


def _newer_zip_version(data: bytearray) -> bytearray:
    data[_headers(data)[1] + 6] = 255
    return data


DAMAGED: dict[str, tuple[Callable[[bytearray], bytearray], str]] = {
    "deflated data": (lambda data: _flip(data, 2_000, mask=0x5A, count=200), "while decompressing data"),
    "encrypted": (_encrypted, "is encrypted"),
    "unknown compression": (_unknown_compression, "compression method is not supported"),
    "newer ZIP version": (_newer_zip_version, "a truncated or damaged ZIP archive"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_or_encrypted_archive_is_refused_in_one_sentence(tmp_path: Path, damage: str) -> None:
    change, words = DAMAGED[damage]
    noise = np.random.RandomState(0).randint(0, 9, IMAGES.shape).astype(np.uint8)
    np.savez_compressed(tmp_path / "a.npz", x_train=noise, y_train=LABELS)
    (tmp_path / "a.npz").write_bytes(change(bytearray((tmp_path / "a.npz").read_bytes())))
    with pytest.raises(InputError, match=words):
        import_file(tmp_path / "a.npz", root=tmp_path / "data")


@pytest.mark.parametrize("shape", ["(1, 2, ((", "(9" + "9" * 30 + ", 28, 28)", "(True, 28, 28)"])
def test_an_array_with_an_invalid_header_is_refused_in_one_sentence(tmp_path: Path, shape: str) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x_train.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(99))
        archive.writestr("y_train.npy", b"")
    with pytest.raises(InputError, match="cannot be read as a NumPy archive"):
        import_file(tmp_path / "a.npz", root=tmp_path / "data")


@pytest.mark.parametrize("count", [60_000 * 100, 2**40])
def test_an_array_that_claims_more_than_its_file_holds_is_refused_in_one_sentence(tmp_path: Path, count: int) -> None:
    start = io.BytesIO()
    np.lib.format.write_array_header_1_0(start, {"descr": "<f8", "fortran_order": False, "shape": (count, 28, 28)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x_train.npy", start.getvalue() + bytes(100))
        archive.writestr("y_train.npy", start.getvalue() + bytes(100))
    with pytest.raises(InputError, match="cannot be read as a NumPy archive"):
        import_file(tmp_path / "a.npz", root=tmp_path / "data")


def test_digits_without_training_images_are_reported_in_a_remark(tmp_path: Path) -> None:
    few = LABELS < 8
    np.savez(tmp_path / "a.npz", x_train=IMAGES[few], y_train=LABELS[few], x_test=TEST[0], y_test=TEST[1])
    remarks = import_file(tmp_path / "a.npz", root=tmp_path / "data").remarks
    assert remarks[0] == "No training image shows 8, 9, so the 4 test images of them will be misclassified."
    np.savez(tmp_path / "a.npz", x_train=IMAGES[few], y_train=LABELS[few])
    assert "No training image shows 8, 9." in import_file(tmp_path / "a.npz", root=tmp_path / "data").remarks


@pytest.mark.parametrize("archive", REFUSED)
def test_archives_that_cannot_be_a_data_set_are_refused_in_one_sentence(tmp_path: Path, archive: str) -> None:
    arrays, words = REFUSED[archive]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=words):
        import_file(tmp_path / "a.npz", root=tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "is a table of 2 columns"),
        (_csv(IMAGES[:2], LABELS[:2]).replace("label,", "").replace("\n0,", "\n").replace("\n1,", "\n"), "no labels"),
        (_csv(IMAGES[:2], LABELS[:2]) + "3,oops\n", "cannot be read as a table of numbers"),
        (_csv(IMAGES[:2], [1, 12]), "has the label 12"),  # type: ignore[arg-type]
        (_csv(IMAGES[:1], LABELS[:1]).splitlines()[0] + "\n", "has no rows"),
    ],
)
def test_files_that_are_not_valid_tables_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "train.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        import_file(tmp_path / "train.csv", root=tmp_path / "data")


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.data.imports.MAX_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x_train", "y_train"):
            archive.writestr(f"{name}.npy", bytes(600_000))
    with pytest.raises(InputError, match=r"unpacks to more than 1,048,576 bytes"):
        import_file(tmp_path / "bomb.npz", root=tmp_path / "data")


UNTRAINABLE: dict[str, tuple[np.ndarray, np.ndarray, str]] = {
    "one class": (IMAGES[:40], np.full(40, 3), r"All 40 training images of MNIST are of one class \(3\)"),
    "black": (np.zeros((40, 28, 28)), LABELS[:40], "All 40 training images of MNIST have the value 0 in every pixel"),
    "white": (np.full((40, 28, 28), 255), LABELS[:40], "have the value 255 in every pixel"),
    "one picture": (np.repeat(IMAGES[:1], 40, 0), LABELS[:40], "All 40 training images of MNIST are identical"),
    "nothing": (IMAGES[:0], LABELS[:0], "training images of MNIST in .* are empty"),
}


def _write(raw: Path, images: np.ndarray, labels: np.ndarray) -> None:
    (raw / "train-images-idx3-ubyte").write_bytes(idx_bytes(images.astype(np.uint8)))
    (raw / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels.astype(np.uint8)))


@pytest.mark.parametrize("content", UNTRAINABLE)
def test_an_untrainable_data_set_is_refused_before_a_run_is_queued(
    tmp_path: Path, write_mnist: Write, content: str
) -> None:
    images, labels, words = UNTRAINABLE[content]
    _write(write_mnist(tmp_path / "data"), images, labels)
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path / "home"), "LAB_DATA": str(tmp_path / "data")}))
    with pytest.raises(DataError, match=words):
        lab.submissions.submit(lab.validation.resolve(RunConfig(dataset="mnist")))
    assert lab.store.runs.count() == 0


def test_a_limit_to_one_class_is_named_as_the_cause(tmp_path: Path, write_mnist: Write) -> None:
    _write(write_mnist(tmp_path), IMAGES[:40], np.sort(LABELS)[:40])
    require_trainable("mnist", root=tmp_path)
    with pytest.raises(
        DataError, match=r"The first 5 training images of MNIST are of one class \(0\).*raise train_limit"
    ):
        require_trainable("mnist", root=tmp_path, limit=5)


@pytest.mark.parametrize("kind", ["bool", "uint8", "float32"])
def test_pixels_of_only_zeros_and_ones_become_black_and_white(tmp_path: Path, kind: str) -> None:
    """Otherwise they would be black on black, and no drawing would look like them."""
    bilevel = (IMAGES > 127).astype(kind)
    path = tmp_path / "bilevel.npz"
    np.savez(path, x_train=bilevel, y_train=LABELS)
    made = import_file(path, root=tmp_path / "data")
    assert np.unique(load_dataset(made.id, root=tmp_path / "data").train_images).tolist() == [0, 255]


def _rows(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.column_stack((labels, images.reshape(len(images), -1)))


_PIXELS = [f"pixel{n}" for n in range(784)]
TABLES: dict[str, Callable[[np.ndarray], str]] = {
    "semicolons": lambda rows: _text(rows, ["label", *_PIXELS], ";"),
    "tabs": lambda rows: _text(rows, None, "\t"),
    "the label last, named": lambda rows: _text(np.roll(rows, -1, axis=1), [*_PIXELS, "class"], ","),
    "the label last": lambda rows: _text(np.roll(rows, -1, axis=1), None, ","),
    "an index column first": lambda rows: _text(
        np.column_stack((np.arange(len(rows)), rows)), ["", "label", *_PIXELS], ","
    ),
    "as numpy.savetxt writes": lambda rows: "\n".join(",".join(f"{v:.18e}" for v in row) for row in rows),
}


def _text(rows: np.ndarray, names: list[str] | None, separator: str) -> str:
    lines = [separator.join(map(str, row)) for row in rows.tolist()]
    return "\n".join([separator.join(names), *lines] if names else lines) + "\n"


@pytest.mark.parametrize("style", TABLES)
def test_a_table_of_any_style_gives_every_row_as_its_image_and_label(tmp_path: Path, style: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(TABLES[style](_rows(IMAGES, LABELS)), encoding="utf-8")
    made = import_file(path, root=tmp_path / "data")
    data = load_dataset(made.id, root=tmp_path / "data")
    assert (made.train_images, made.test_images) == (60, 10)
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        for image, label in zip(images, labels, strict=True):
            assert LABELS[np.flatnonzero((image == IMAGES).all((1, 2)))].tolist() == [label]


def test_a_zipped_table_is_refused_with_the_advice_to_unpack_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("mnist_train.csv", _csv(IMAGES, LABELS))
    with pytest.raises(InputError, match=r"a ZIP archive of 1 files: only .* can be imported\. Unpack it first"):
        import_file(tmp_path / "archive.zip", root=tmp_path / "data")


def test_a_set_of_thick_light_ink_on_black_is_not_inverted(tmp_path: Path) -> None:
    """The border decides, not the picture: most pixels here are ink."""
    thick = np.zeros((70, 28, 28), dtype=np.uint8)
    thick[:, 3:25, 3:25] = IMAGES[:, 3:25, 3:25] // 2 + 128
    path = tmp_path / "thick.npz"
    np.savez(path, x_train=thick, y_train=LABELS, x_test=thick[:20], y_test=LABELS[:20])
    made = import_file(path, root=tmp_path / "data")
    assert made.remarks == (REPEATED,)
    np.testing.assert_array_equal(load_dataset(made.id, root=tmp_path / "data").train_images, thick)


def test_imported_data_sets_are_listed_newest_first_without_other_folders(tmp_path: Path) -> None:
    root = tmp_path / "data"
    assert list_imported(root=root) == ()
    made = []
    for age, images in ((200, IMAGES), (100, IMAGES[::-1])):
        path = tmp_path / f"{age}.csv"
        path.write_text(_csv(images, LABELS), encoding="utf-8")
        made.append(import_file(path, root=root).id)
        os.utime(root / LOCAL_FOLDER / made[-1], (1_700_000_000 - age, 1_700_000_000 - age))
    beside = load_dataset("digits", root=root)
    write_drawings_dataset(np.zeros((1, 28, 28), np.uint8), np.array([3]), beside=beside, root=root)
    (root / LOCAL_FOLDER / "imported-mnist-0123456789ab").mkdir()  # has no files
    (root / LOCAL_FOLDER / "notes").mkdir()
    assert [spec.id for spec in list_imported(root=root)] == made[::-1]


def test_images_and_labels_of_a_test_set_stay_together_in_their_order(tmp_path: Path) -> None:
    test = IMAGES[:7], np.array([3, 1, 4, 1, 5, 9, 2], np.uint8)
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS, x_test=test[0], y_test=test[1])
    made = import_file(tmp_path / "a.npz", root=tmp_path / "data")
    data = load_dataset(made.id, root=tmp_path / "data")
    assert data.test_labels.tolist() == [3, 1, 4, 1, 5, 9, 2]
    np.testing.assert_array_equal(data.test_images, test[0])
    assert data.train_labels.tolist() == LABELS.tolist()


def test_test_images_of_another_size_than_the_training_images_are_refused(tmp_path: Path) -> None:
    small = IMAGES[:20, 10:18, 10:18]
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=LABELS, x_test=small, y_test=LABELS[:20])
    with pytest.raises(InputError, match="test images of another size than its training images"):
        import_file(tmp_path / "a.npz", root=tmp_path / "data")
    assert list_imported(root=tmp_path / "data") == ()
