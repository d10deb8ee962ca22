"""The data sets of one lab, by their folder."""

from dataclasses import dataclass
from pathlib import Path

from lab.data.load import Dataset, dataset_checksum, is_present, load_dataset
from lab.data.registry import get_dataset_spec
from lab.errors import DataError
from lab.examples.sample import load_sample, uses_sample
from lab.runs.shared_data import SharedData


@dataclass(frozen=True, slots=True)
class Datasets:
    """Reads data sets from a folder."""

    root: Path

    def load(self, dataset: str) -> Dataset:
        """Read a data set (not cached here: pages cache it). Raises `DataError` where its files are not there."""
        return load_dataset(dataset, root=self.root)

    def require(self, dataset: str) -> None:
        """Raise `DataError` with the way out if a data set's files are not on this machine."""
        if not is_present(dataset, root=self.root):
            load_dataset(dataset, root=self.root)

    def checksum(self, dataset: str) -> str:
        """Return the content id of a data set, which is part of a run's fingerprint. Raises `DataError`."""
        return dataset_checksum(dataset, root=self.root)


@dataclass(frozen=True, slots=True)
class TravellingDatasets(Datasets):
    """The data sets of a machine that joined, as far as runs are asked for there: those that it can fetch.

    What lies in its own folder under the same name may be another version, and is not looked at.
    """

    shared: SharedData

    def require(self, dataset: str) -> None:
        """Raise `DataError` where nobody has stored the data set for other machines."""
        self.checksum(dataset)

    def checksum(self, dataset: str) -> str:
        """Return the content id under which a data set was stored for other machines."""
        if get_dataset_spec(dataset).built_in:
            return dataset_checksum(dataset, root=self.root)
        found = self.shared.find(dataset)
        if found is None:
            raise DataError(
                f"{dataset} is not stored for machines that joined: the lab's own machine asks for its runs."
            )
        return found.content


class SampledDatasets(Datasets):
    """Reads data sets from a folder, and where the examples' one is not there, the first pictures that ship with the lab."""

    def load(self, dataset: str) -> Dataset:
        """Read a data set, or its sample."""
        return load_sample() if uses_sample(dataset, root=self.root) else super().load(dataset)
