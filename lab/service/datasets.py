"""The data sets of one lab, by their folder."""

from dataclasses import dataclass
from pathlib import Path

from lab.data.load import Dataset, is_present, load_dataset
from lab.examples.sample import load_sample, uses_sample


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


class SampledDatasets(Datasets):
    """Reads data sets from a folder, and where the examples' one is not there, the first pictures that ship with the lab."""

    def load(self, dataset: str) -> Dataset:
        """Read a data set, or its sample."""
        return load_sample() if uses_sample(dataset, root=self.root) else super().load(dataset)
