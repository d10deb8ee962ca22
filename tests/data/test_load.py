"""Data sets read from disk are what their makers published."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lab.data.load import (
    Dataset,
    compute_constants,
    dataset_checksum,
    is_present,
    list_files,
    load_dataset,
    normalization_constants,
)
from lab.data.registry import get_dataset_spec, list_datasets
from lab.errors import ConfigError, DataError, UnknownNameError
from tests.data.data_files import idx_bytes, usps_bytes

Write = Callable[..., Path]


@pytest.mark.mnist
def test_mnist_has_its_published_counts_and_constants(mnist_root: Path) -> None:
    data = load_dataset("mnist", root=mnist_root)
    assert data.train_images.shape == (60_000, 28, 28)
    assert data.test_images.shape == (10_000, 28, 28)
    assert (round(data.mean, 4), round(data.std, 4)) == (0.1307, 0.3081)
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_digits_need_no_files_and_are_the_same_every_time(tmp_path: Path) -> None:
    first, second = load_dataset("digits", root=tmp_path), load_dataset("digits", root=tmp_path / "absent")
    spec = get_dataset_spec("digits")
    assert is_present("digits", root=tmp_path)
    assert first.train_images.shape == (spec.train_images, 28, 28)
    assert first.test_images.shape == (spec.test_images, 28, 28)
    assert first.train_images.shape[0] + first.test_images.shape[0] == 1797
    np.testing.assert_array_equal(first.test_images, second.test_images)
    assert first.train_images.max() == 255
    assert np.bincount(first.test_labels).min() >= 34


def test_constants_agree_with_numpy() -> None:
    images = np.random.default_rng(1).integers(0, 256, (50, 28, 28), dtype=np.uint8)
    mean, std = compute_constants(images)
    assert mean == pytest.approx((images / 255).mean(), abs=1e-12)
    assert std == pytest.approx((images / 255).std(), abs=1e-12)


def test_constants_include_every_pixel_however_many_there_are() -> None:
    """Three million pixels are counted in pieces: a third are 0, a third 51 and a third 255."""
    images = np.repeat(np.array([0, 51, 255], np.uint8), 1 << 20).reshape(3, 1 << 10, 1 << 10)
    mean, std = compute_constants(images)
    assert mean == pytest.approx((0.0 + 0.2 + 1.0) / 3)
    assert std == pytest.approx(((0.0 + 0.04 + 1.0) / 3 - 0.16) ** 0.5)


def test_the_three_normalisations_have_their_constants(tmp_path: Path) -> None:
    data = load_dataset("digits", root=tmp_path)
    assert normalization_constants(data, "none") == (0.0, 1.0)
    assert normalization_constants(data, "half") == (0.5, 0.5)
    assert normalization_constants(data, "dataset") == (data.mean, data.std)
    with pytest.raises(ConfigError, match="Did you mean 'dataset'"):
        normalization_constants(data, "datset")


@pytest.mark.parametrize(
    ("id", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")]
)
def test_idx_data_sets_are_read_from_torchvisions_folders(
    tmp_path: Path, write_mnist: Write, id: str, folder: str
) -> None:
    assert not is_present(id, root=tmp_path)
    write_mnist(tmp_path, folder)
    data = load_dataset(id, root=tmp_path)
    assert is_present(id, root=tmp_path)
    assert data.test_labels.tolist() == [*range(10), *range(10)]


def _write_emnist(root: Path, split: str, labels: np.ndarray) -> np.ndarray:
    """Write one letter L per label, transposed as in EMNIST; return it upright."""
    upright = np.zeros((28, 28), dtype=np.uint8)
    upright[4:24, 8] = 255  # the stem
    upright[23, 8:18] = 255  # the foot
    raw = root / "EMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        images = np.repeat(upright.T[None], len(labels), axis=0)
        (raw / f"emnist-{split}-{part}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (raw / f"emnist-{split}-{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels.astype(np.uint8)))
    return upright


def test_emnist_letters_are_upright_and_labelled_from_a(tmp_path: Path) -> None:
    upright = _write_emnist(tmp_path, "letters", np.arange(1, 27))
    data = load_dataset("emnist-letters", root=tmp_path)
    np.testing.assert_array_equal(data.train_images[0], upright)
    assert [data.spec.classes[label] for label in data.train_labels] == list("abcdefghijklmnopqrstuvwxyz")


def test_emnist_balanced_keeps_its_labels(tmp_path: Path) -> None:
    _write_emnist(tmp_path, "balanced", np.arange(47))
    data = load_dataset("emnist-balanced", root=tmp_path)
    assert "".join(data.spec.classes[label] for label in data.test_labels) == (
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
    )


def test_a_letter_label_of_zero_is_refused(tmp_path: Path) -> None:
    _write_emnist(tmp_path, "letters", np.arange(0, 26))
    with pytest.raises(DataError, match="labels from -1 to 24, but there are 26 classes"):
        load_dataset("emnist-letters", root=tmp_path)


def test_qmnist_takes_the_digit_from_the_first_of_eight_columns(tmp_path: Path) -> None:
    raw = tmp_path / "QMNIST" / "raw"
    raw.mkdir(parents=True)
    table = np.tile(np.array([[3, 4, 203, 5, 6, 70_000, 0, 0]], dtype=np.int32), (6, 1))
    for part in ("train", "test"):
        (raw / f"qmnist-{part}-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((6, 28, 28), dtype=np.uint8)))
        (raw / f"qmnist-{part}-labels-idx2-int").write_bytes(idx_bytes(table))
    assert load_dataset("qmnist", root=tmp_path).test_labels.tolist() == [3] * 6


def test_usps_values_become_pixels_and_labels_start_at_zero(tmp_path: Path) -> None:
    picture = np.full((16, 16), -1.0)
    picture[:, 8:] = 1.0  # the right half is ink
    for name in ("usps.bz2", "usps.t.bz2"):
        (tmp_path / name).write_bytes(usps_bytes(np.stack([picture, -picture]), np.array([0, 9])))
    data = load_dataset("usps", root=tmp_path)
    assert (data.train_labels.dtype, data.test_labels.dtype) == (np.int64, np.int64)
    assert data.train_labels.tolist() == [0, 9]
    assert (data.train_images[0][:, :13] == 0).all()
    assert (data.train_images[0][:, 15:] == 255).all()
    np.testing.assert_array_equal(data.train_images[1], 255 - data.train_images[0])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"3 1:0.5 2:0.5\n", r"line 1 \(2 values instead of 256\)"),
        (b"11 " + b" ".join(b"%d:0" % i for i in range(1, 257)), "label '11' instead of 1 to 10"),
        (b"1.5 " + b" ".join(b"%d:0" % i for i in range(1, 257)), "label '1.5' instead of 1 to 10"),
        (b"inf " + b" ".join(b"%d:0" % i for i in range(1, 257)), "label 'inf' instead of 1 to 10"),
        (b"nan " + b" ".join(b"%d:0" % i for i in range(1, 257)), "label 'nan' instead of 1 to 10"),
        (b"1 " + b" ".join(b"%d:nan" % i for i in range(1, 257)), r"a value outside \[-1, 1\]"),
        (b"1 " + b" ".join(b"%d:0" % i for i in range(256)), "indices do not run from 1 to 256"),
        (b"", "is empty"),
    ],
)
def test_damaged_usps_lines_are_refused(tmp_path: Path, line: bytes, message: str) -> None:
    import bz2

    for name in ("usps.bz2", "usps.t.bz2"):
        (tmp_path / name).write_bytes(bz2.compress(line))
    with pytest.raises(DataError, match=message):
        load_dataset("usps", root=tmp_path)


def test_a_usps_file_that_is_not_bzip2_is_refused(tmp_path: Path) -> None:
    for name in ("usps.bz2", "usps.t.bz2"):
        (tmp_path / name).write_bytes(b"not bzip2 at all")
    with pytest.raises(DataError, match="fetch the data set again"):
        load_dataset("usps", root=tmp_path)


def test_the_error_for_a_missing_data_set_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte is missing.*built-in data set 'digits'"):
        load_dataset("mnist", root=tmp_path)


def test_an_unknown_data_set_is_refused_with_the_near_miss(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'mnist'"):
        load_dataset("mnits", root=tmp_path)


def test_unequal_counts_of_images_and_labels_are_refused(tmp_path: Path, write_mnist: Write) -> None:
    raw = write_mnist(tmp_path)
    (raw / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(19, dtype=np.uint8)))
    with pytest.raises(DataError, match=r"test images of MNIST in .* are 20, but there are 19 labels"):
        load_dataset("mnist", root=tmp_path)


def test_a_label_beyond_the_classes_is_refused(tmp_path: Path, write_mnist: Write) -> None:
    raw = write_mnist(tmp_path)
    (raw / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.full(40, 10, dtype=np.uint8)))
    with pytest.raises(DataError, match="labels from 10 to 10, but there are 10 classes"):
        load_dataset("mnist", root=tmp_path)


def test_pictures_of_another_size_are_refused(tmp_path: Path, write_mnist: Write) -> None:
    raw = write_mnist(tmp_path)
    (raw / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((40, 32, 32), dtype=np.uint8)))
    with pytest.raises(DataError, match="are 32×32 instead of 28×28"):
        load_dataset("mnist", root=tmp_path)


def test_the_checksum_follows_the_content_of_the_files(tmp_path: Path, write_mnist: Write) -> None:
    raw = write_mnist(tmp_path)
    labels = raw / "train-labels-idx1-ubyte"
    before = dataset_checksum("mnist", root=tmp_path)
    assert dataset_checksum("mnist", root=tmp_path) == before
    content = bytearray(labels.read_bytes())
    content[-1] ^= 1
    labels.write_bytes(content)
    os.utime(labels, ns=(1, 1))
    assert dataset_checksum("mnist", root=tmp_path) != before
    assert dataset_checksum("digits", root=tmp_path) != before


def test_listing_available_data_sets_reads_no_files(tmp_path: Path, write_mnist: Write) -> None:
    raw = write_mnist(tmp_path)
    for path in raw.iterdir():
        path.write_bytes(b"")
    assert [spec.id for spec in list_datasets() if is_present(spec.id, root=tmp_path)] == ["mnist", "digits"]


@pytest.mark.parametrize("spec", list_datasets(), ids=lambda spec: spec.id)
def test_every_data_set_is_described(spec: Dataset, tmp_path: Path) -> None:
    assert get_dataset_spec(spec.id) is spec
    assert len(set(spec.classes)) == len(spec.classes) >= 10
    assert spec.built_in == (list_files(spec.id, root=tmp_path) == ())
    assert spec.description.endswith(".")


def test_pixels_are_normalised_by_the_training_images_alone(tmp_path: Path) -> None:
    data = load_dataset("digits", root=tmp_path)
    train, test = data.train_images / 255.0, data.test_images / 255.0
    assert (data.mean, data.std) == (pytest.approx(train.mean()), pytest.approx(train.std()))
    assert abs(train.mean() - test.mean()) > 1e-4
