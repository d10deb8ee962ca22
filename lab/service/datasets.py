"""The data sets of one lab, read from a folder."""

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
        """Read a data set (not cached here: pages cache it). Raises `DataError` if files are missing."""
        return load_dataset(dataset, root=self.root)

    def require(self, dataset: str) -> None:
        """Raise `DataError` that says what to do if the files of a data set are not on this machine."""
        if not is_present(dataset, root=self.root):
            load_dataset(dataset, root=self.root)

    def checksum(self, dataset: str) -> str:
        """Return the content id of a data set, which is part of a run's fingerprint. Raises `DataError`."""
        return dataset_checksum(dataset, root=self.root)


@dataclass(frozen=True, slots=True)
class TravellingDatasets(Datasets):
    """The data sets of a machine that joined, for submitting runs there: those that it can download.

    A data set with the same name in its own folder may be another version and is ignored.
    """

    shared: SharedData

    def require(self, dataset: str) -> None:
        """Raise `DataError` if the data set is not stored for other machines."""
        self.checksum(dataset)

    def checksum(self, dataset: str) -> str:
        """Return the content id of a data set that is stored for other machines."""
        if get_dataset_spec(dataset).built_in:
            return dataset_checksum(dataset, root=self.root)
        found = self.shared.find(dataset)
        if found is None:
            raise DataError(
                f"{dataset} is not stored for machines that joined: submit its runs on the lab's own machine."
            )
        return found.content


class SampledDatasets(Datasets):
    """Reads data sets from a folder; if the examples' data set is missing, the images that ship with the lab."""

    def load(self, dataset: str) -> Dataset:
        """Read a data set, or its sample."""
        return load_sample() if uses_sample(dataset, root=self.root) else super().load(dataset)
