"""Data sets of the user's drawings: an id from their content, atomic writes, and loading like any other."""

from pathlib import Path

import numpy as np
import pytest

from lab.data.idx import read_idx
from lab.data.load import Dataset, dataset_checksum, load_dataset
from lab.data.local import write_drawings_dataset, write_local_dataset
from lab.data.recipes import MNIST
from lab.data.registry import DRAWINGS as DRAWINGS_KIND
from lab.data.registry import IMPORTED, LocalKind, get_dataset_spec, list_datasets
from lab.errors import DataError, InputError, UnknownNameError

DRAWINGS = np.random.default_rng(1).integers(0, 256, (30, 28, 28), dtype=np.uint8)
LABELS = np.arange(30) % 10


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_dataset("digits", root=tmp_path_factory.mktemp("none"))


def test_repeated_drawings_are_mixed_with_a_data_set_and_tested_on_its_test_set(
    tmp_path: Path, digits: Dataset
) -> None:
    id = write_drawings_dataset(DRAWINGS, LABELS, beside=digits, root=tmp_path)
    data = load_dataset(id, root=tmp_path)
    assert data.spec.recipe is digits.spec.recipe
    assert len(data.train_images) == 33 * 30 + len(digits.train_images)
    np.testing.assert_array_equal(data.train_images[30:60], DRAWINGS)
    np.testing.assert_array_equal(data.train_labels[:30], LABELS)
    np.testing.assert_array_equal(data.test_images, digits.test_images)
    assert len(dataset_checksum(id, root=tmp_path)) == 64


def test_the_same_drawings_have_the_same_id_and_other_drawings_another(tmp_path: Path, digits: Dataset) -> None:
    first = write_drawings_dataset(DRAWINGS, LABELS, beside=digits, root=tmp_path)
    assert write_drawings_dataset(DRAWINGS.copy(), LABELS, beside=digits, root=tmp_path) == first
    assert write_drawings_dataset(DRAWINGS[:29], LABELS[:29], beside=digits, root=tmp_path) != first
    assert [path.name for path in (tmp_path / "Drawings").iterdir() if path.name.startswith(".")] == []


def test_data_sets_of_drawings_are_known_by_id_but_not_listed(tmp_path: Path, digits: Dataset) -> None:
    id = write_drawings_dataset(DRAWINGS, LABELS, beside=digits, root=tmp_path)
    assert get_dataset_spec(id).title == "My drawings"
    assert id not in [spec.id for spec in list_datasets()]
    for wrong in ("drawings-mnist-12", "drawings-other-0123456789ab", f"{id}/../x"):
        with pytest.raises(UnknownNameError, match="There is no data set"):
            get_dataset_spec(wrong)


def test_no_drawings_and_drawings_of_other_classes_are_refused(tmp_path: Path, digits: Dataset) -> None:
    with pytest.raises(InputError, match="0 drawings and 0 labels: save some"):
        write_drawings_dataset(DRAWINGS[:0], LABELS[:0], beside=digits, root=tmp_path)
    with pytest.raises(InputError, match="do not fit Digits"):
        write_drawings_dataset(DRAWINGS, LABELS + 20, beside=digits, root=tmp_path)


def test_the_error_for_missing_drawings_says_how_to_restore_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fine-tune on your drawings again"):
        load_dataset("drawings-mnist-0123456789ab", root=tmp_path)


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path, digits: Dataset) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"could not be written to .*LAB_DATA"):
        write_drawings_dataset(DRAWINGS, LABELS, beside=digits, root=tmp_path / "file")


@pytest.mark.parametrize(("drawings", "repeats"), [(1, 40), (25, 40), (30, 33), (999, 1), (1_500, 1)])
def test_drawings_are_repeated_up_to_forty_times_to_about_a_thousand(
    tmp_path: Path, digits: Dataset, drawings: int, repeats: int
) -> None:
    own = np.full((drawings, 28, 28), 7, dtype=np.uint8)
    id = write_drawings_dataset(own, np.zeros(drawings, dtype=np.int64), beside=digits, root=tmp_path)
    data = load_dataset(id, root=tmp_path)
    assert len(data.train_labels) - len(digits.train_labels) == drawings * repeats


def test_sets_of_the_same_bytes_in_different_shapes_have_different_ids(tmp_path: Path) -> None:
    def made(train: int, test: int) -> str:
        images, labels = np.zeros((train + test, 28, 28), np.uint8), np.zeros(train + test, np.int64)
        parts = images[:train], labels[:train], images[train:], labels[train:]
        return write_local_dataset(IMPORTED, parts, recipe=MNIST, root=tmp_path)

    assert made(1, 3) != made(3, 1)
    assert made(1, 3) == made(1, 3)


@pytest.mark.parametrize("kind", [DRAWINGS_KIND, IMPORTED])
def test_the_files_on_disk_have_mnists_names_with_the_matching_contents(tmp_path: Path, kind: LocalKind) -> None:
    """They are read by name here, as by other programs and later releases, and not by the registry that wrote them."""
    parts = (DRAWINGS[:20], LABELS[:20], DRAWINGS[20:], LABELS[20:])
    id = write_local_dataset(kind, parts, recipe=MNIST, root=tmp_path)
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    for name, part in zip(names, parts, strict=True):
        file = tmp_path / "Drawings" / id / f"{name}-ubyte"
        np.testing.assert_array_equal(read_idx(file, dims=part.ndim, dtype="uint8"), part)
