"""The composition root: combines settings, store, artifacts and data sets into the services for pages and CLI.

It has no logic of its own. Each part is opened on first use, so a page that lists and plots imports no torch.
"""

from functools import cached_property

from lab.examples.catalogue import is_example
from lab.lazy import load
from lab.runs.artifacts import IN_DATABASE, ArtifactStore
from lab.runs.owner import this_host
from lab.runs.records import RunRecord
from lab.runs.store import RunStore
from lab.service.datasets import Datasets, SampledDatasets, TravellingDatasets
from lab.service.lineage import Lineage
from lab.service.machines import Machines
from lab.service.repeats import Repeating
from lab.service.submissions import Submissions
from lab.service.sweeps import Sweeps
from lab.service.validation import Validation
from lab.service.weights import SavedWeights
from lab.service.workers import Workers
from lab.settings import Settings
from lab.shared_datasets import SharedDatasets
from lab.stored_findings import OPENING_BUDGET_S, fill_missing_findings

_HIDDEN = "examples-hidden"  # if this file exists in the lab's home, the examples are not listed


class Lab:
    """One lab: a store, its artifacts and its data sets, at the locations given by `Settings`.

    The example runs that ship with the lab are a separate, read-only lab, so they are never listed, counted, used as
    cached answers, exported or removed together with the runs of this one.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def store(self) -> RunStore:
        """The run store; opening it migrates an older one and diagnoses its newest runs."""
        if not self.settings.read_only:
            self.settings.make_home()
        store = RunStore.open(self.settings.database, read_only=self.settings.read_only)
        fill_missing_findings(store, budget_s=OPENING_BUDGET_S)
        return store

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """Checkpoints and weights, as files."""
        database = self.store.database if self.settings.artifacts == IN_DATABASE else None
        return ArtifactStore(self.settings.artifacts, read_only=self.settings.read_only, database=database)

    @cached_property
    def datasets(self) -> Datasets:
        """The data sets in the lab's data folder."""
        return Datasets(self.settings.data)

    @cached_property
    def validation(self) -> Validation:
        """Resolving and checking configurations."""
        travelling = self.joined and TravellingDatasets(self.settings.data, self.store.shared_data)
        return Validation(self.settings, self.store, travelling or self.datasets)

    @cached_property
    def weights(self) -> SavedWeights:
        """Saved weights, and networks with these weights."""
        return SavedWeights(self.store, self.artifacts, self.datasets)

    @cached_property
    def submissions(self) -> Submissions:
        """Submitting runs."""
        return Submissions(self.settings, self.store, self.validation, self.weights)

    @cached_property
    def repeating(self) -> Repeating:
        """Submitting runs that differ only in their seed."""
        return Repeating(self.store, self.validation, self.submissions)

    @cached_property
    def sweeps(self) -> Sweeps:
        """Sweeps over settings, and their next steps."""
        return Sweeps(self.settings, self.store, self.validation, self.submissions, joined=self.joined)

    @cached_property
    def lineage(self) -> Lineage:
        """Which runs originate from which."""
        return Lineage(self.store)

    @cached_property
    def machines(self) -> Machines:
        """Hosts and slots, and the runs that wait for them."""
        return Machines(self.settings, lambda: self.store, lambda: self.artifacts)

    @cached_property
    def shared_datasets(self) -> SharedDatasets:
        """Data sets that machines without the lab's files download."""
        return SharedDatasets(self.store, self.artifacts, self.settings.data)

    @property
    def joined(self) -> bool:
        """Whether this machine joined the lab with a token, and thus shares no files with the lab."""
        host = None if self.store.database.is_sqlite else self.store.hosts.find(this_host())
        return host is not None and host.joined

    @cached_property
    def workers(self) -> Workers:
        """Starting worker processes."""
        return Workers(self.settings, lambda: self.store)

    @cached_property
    def examples(self) -> "Lab":
        """The lab of the example runs: read-only, unpacked on first use. Raises `LabError` if that fails."""
        return _Examples(load("lab.examples.unpack:unpack_examples")(data=self.settings.data))

    def holding(self, run_id: str) -> "Lab":
        """Return the lab that a run with this id belongs to: this one, or that of the examples."""
        return self.examples if is_example(run_id) else self

    def list_examples(self) -> tuple[RunRecord, ...]:
        """Return the example runs, or none if they are hidden."""
        return () if self.examples_hidden else self.examples.store.runs.list(order="number", limit=None)

    @property
    def examples_hidden(self) -> bool:
        """Whether the examples are hidden in lists; their links still work."""
        return (self.settings.home / _HIDDEN).exists()

    def hide_examples(self, hidden: bool) -> None:
        """Hide the examples in lists, or show them again. Raises `ReadOnlyError`."""
        self.settings.require_writable()
        mark = self.settings.make_home() / _HIDDEN
        if hidden:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)


class _Examples(Lab):
    """The lab of the examples. If their data set is missing on this machine, its first images are used."""

    @cached_property
    def datasets(self) -> Datasets:
        """The data sets in the lab's data folder, and the sample that ships with the examples."""
        return SampledDatasets(self.settings.data)
