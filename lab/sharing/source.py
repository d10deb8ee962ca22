"""Protocols for what exports and imports need from a lab. `lab.service.lab.Lab` implements them."""

from typing import Protocol

from lab.data.load import Dataset
from lab.loaded_network import EpochChoice, LoadedNetwork
from lab.runs.artifacts import ArtifactStore
from lab.runs.records import RunRecord, SavedFile
from lab.runs.store import RunStore


class Datasets(Protocol):
    """Loads data sets by id."""

    def load(self, dataset: str) -> Dataset: ...


class SavedWeights(Protocol):
    """Finds and loads the saved weights of runs."""

    def list(self, run_id: str) -> tuple[SavedFile, ...]: ...
    def find(self, run_id: str, *, epoch: EpochChoice = "best") -> SavedFile: ...
    def load(self, run_id: str, *, epoch: EpochChoice = "best") -> LoadedNetwork: ...
    def normalization(self, run: RunRecord) -> tuple[float, float]: ...


class Target(Protocol):
    """The stores to which an import writes runs and their files."""

    @property
    def store(self) -> RunStore: ...
    @property
    def artifacts(self) -> ArtifactStore: ...


class Source(Protocol):
    """The stores from which exports read runs, saved files and data sets."""

    @property
    def store(self) -> RunStore: ...
    @property
    def artifacts(self) -> ArtifactStore: ...
    @property
    def datasets(self) -> Datasets: ...
    @property
    def weights(self) -> SavedWeights: ...
