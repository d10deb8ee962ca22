"""Shared data sets: stored once, fetched completely and verified, and never mixed with another version."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from lab import shared_datasets
from lab.config import RunConfig
from lab.data.load import dataset_checksum, is_present
from lab.data.local import write_local_dataset
from lab.data.recipes import MNIST
from lab.data.registry import IMPORTED, get_dataset_spec
from lab.errors import ArtifactError
from lab.runs.artifacts import ArtifactStore
from lab.runs.store import RunStore
from lab.shared_datasets import SharedDatasets
from tests.data.data_files import idx_bytes


class Machine:
    """The data folder of one machine, with the store and the artifacts of all machines."""

    def __init__(self, folder: Path, name: str) -> None:
        self.store = RunStore.open(f"sqlite:///{folder / 'lab.db'}")
        self.artifacts = ArtifactStore(str(folder / "artifacts"))
        self.root = folder / name
        self.shared = SharedDatasets(self.store, self.artifacts, self.root)

    def queue(self, dataset: str) -> None:
        self.store.queue.submit(RunConfig(dataset=dataset), fingerprint=dataset, family="")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path, "lab")
    yield machine
    machine.store.close()


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path, "far")
    yield machine
    machine.store.close()


def write_mnist(root: Path, *, compress: bool = False, seed: int = 0) -> None:
    """Write a small set in MNIST's layout."""
    random = np.random.default_rng(seed)
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 40), ("t10k", 20)):
        arrays = {
            "images-idx3": random.integers(0, 256, (count, 28, 28), dtype=np.uint8),
            "labels-idx1": (np.arange(count) % 10).astype(np.uint8),
        }
        for name, array in arrays.items():
            path = raw / f"{part}-{name}-ubyte{'.gz' if compress else ''}"
            data = idx_bytes(array)
            path.write_bytes(gzip.compress(data, mtime=0) if compress else data)


def _imported(root: Path) -> str:
    return write_local_dataset(IMPORTED, get_dataset_spec("digits").reader.read(()), recipe=MNIST, root=root)


def test_an_imported_data_set_reaches_a_machine_that_has_nothing(lab: Machine, far: Machine) -> None:
    dataset = _imported(lab.root)
    for name in (dataset, "digits", "kmnist"):
        lab.queue(name)
    assert far.shared.lacking() == {dataset, "kmnist"}  # the digits come with the lab
    assert lab.shared.publish_waiting() == (dataset,)
    assert lab.shared.publish_waiting() == ()
    assert far.shared.lacking() == {"kmnist"}
    far.shared.fetch(dataset)
    assert dataset_checksum(dataset, root=far.root) == dataset_checksum(dataset, root=lab.root)
    assert not list(far.root.glob(".shared-*"))
    far.shared.fetch(dataset)
    far.shared.fetch("kmnist")  # it was not published: the run reports this when it looks for its files
    assert not is_present("kmnist", root=far.root)


def test_a_compressed_data_set_stays_compressed_and_replaces_another_version(lab: Machine, far: Machine) -> None:
    write_mnist(lab.root, compress=True)
    write_mnist(far.root, compress=False, seed=1)
    other = dataset_checksum("mnist", root=far.root)
    assert lab.shared.publish("mnist")
    far.shared.fetch("mnist")
    assert dataset_checksum("mnist", root=far.root) == dataset_checksum("mnist", root=lab.root) != other
    names = sorted(path.name for path in (far.root / "MNIST" / "raw").iterdir())
    assert len(names) == 4
    assert all(name.endswith(".gz") for name in names)


def test_a_changed_data_set_is_published_again_and_equal_files_are_stored_once(lab: Machine) -> None:
    write_mnist(lab.root)
    assert lab.shared.publish("mnist")
    stored = lab.artifacts.old_files(older_than_s=-1)
    assert len([path for path in stored if path.startswith("datasets/")]) == 4
    labels = lab.root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x03")
    assert lab.shared.publish("mnist")
    assert len(lab.artifacts.old_files(older_than_s=-1)) == 5


def test_a_damaged_file_is_detected_and_its_data_set_is_not_used(lab: Machine, far: Machine, tmp_path: Path) -> None:
    dataset = _imported(lab.root)
    lab.shared.publish(dataset)
    largest = max((tmp_path / "artifacts" / "datasets").iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"\xff")
    with pytest.raises(ArtifactError, match="is not the file that was stored"):
        far.shared.fetch(dataset)
    assert not is_present(dataset, root=far.root)
    largest.unlink()
    with pytest.raises(ArtifactError, match="cannot be read at"):
        far.shared.fetch(dataset)
    assert not list(far.root.glob(".shared-*"))


def test_a_slot_that_waited_while_another_fetched_the_data_set_does_not_fetch_it_again(
    lab: Machine, far: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = _imported(lab.root)
    assert lab.shared.publish(dataset)
    other = SharedDatasets(far.store, far.artifacts, far.root)
    fetched: list[str] = []
    read = far.artifacts.read_parts
    monkeypatch.setattr(far.artifacts, "read_parts", lambda path, **rest: fetched.append(path) or read(path, **rest))
    waited: list[bool] = []

    class Lock(FileLock):
        """The real lock; before it is first acquired, another slot fetches the data set."""

        def acquire(self, *args: Any, **kwargs: Any) -> Any:
            if not waited:
                waited.append(True)
                other.fetch(dataset)
            return super().acquire(*args, **kwargs)

    monkeypatch.setattr(shared_datasets, "FileLock", Lock)
    far.shared.fetch(dataset)
    assert waited
    assert len(fetched) == len(set(fetched)) == 4
    assert dataset_checksum(dataset, root=far.root) == dataset_checksum(dataset, root=lab.root)
