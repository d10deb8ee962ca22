"""The composition root: joins settings, store, artifacts and data sets into the services that pages and CLI use.

It does nothing itself. Each part opens when it is first asked for, so a page that lists and plots imports no torch.
"""

from functools import cached_property

from lab.runs.artifacts import ArtifactStore
from lab.runs.store import RunStore
from lab.service.datasets import Datasets
from lab.service.submissions import Submissions
from lab.service.validation import Validation
from lab.service.weights import SavedWeights
from lab.service.workers import Workers
from lab.settings import Settings
from lab.stored_findings import OPENING_BUDGET_S, fill_missing_findings


class Lab:
    """One lab: a store, its artifacts and its data sets, as `Settings` place them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def store(self) -> RunStore:
        """The run store; opening it migrates an older one, whose newest runs are diagnosed at once."""
        if not self.settings.read_only:
            self.settings.make_home()
        store = RunStore.open(self.settings.database, read_only=self.settings.read_only)
        fill_missing_findings(store, budget_s=OPENING_BUDGET_S)
        return store

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """Checkpoints and weights, as files."""
        return ArtifactStore(self.settings.artifacts, read_only=self.settings.read_only)

    @cached_property
    def datasets(self) -> Datasets:
        """The data sets in the lab's data folder."""
        return Datasets(self.settings.data)

    @cached_property
    def validation(self) -> Validation:
        """Resolving and checking configurations."""
        return Validation(self.settings, self.store, self.datasets)

    @cached_property
    def weights(self) -> SavedWeights:
        """Saved weights, and the networks they make."""
        return SavedWeights(self.store, self.artifacts, self.datasets)

    @cached_property
    def submissions(self) -> Submissions:
        """Asking for runs."""
        return Submissions(self.settings, self.store, self.validation, self.weights)

    @cached_property
    def workers(self) -> Workers:
        """Starting worker processes."""
        return Workers(self.settings, lambda: self.store)
