"""Repeating a run's settings with other seeds, so that groups can be compared (`lab.comparison`)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import count, islice

from lab.errors import InputError
from lab.runs.encoding import setting_key
from lab.runs.records import RunRecord, RunState
from lab.runs.store import RunStore
from lab.service.submissions import Submissions
from lab.service.validation import Validation

MOST_SEEDS = 50  # of one setting by one request
USUAL_SEEDS = 5  # of each side a comparison needs


@dataclass(frozen=True, slots=True)
class Repeats:
    """The runs of one setting, one a seed and in the order of the seeds. queued: those that this request added."""

    runs: tuple[RunRecord, ...]
    queued: tuple[RunRecord, ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that are there or on their way."""
        return tuple(run.config.seed for run in self.runs)


class Repeating:
    """Finds the runs that differ from one only in their seed, and asks for more of them."""

    def __init__(self, store: RunStore, validation: Validation, submissions: Submissions) -> None:
        self._store, self._validation, self._submissions = store, validation, submissions

    def find(self, run: RunRecord) -> Repeats:
        """Return the finished, running and queued runs of this run's settings, one a seed: the finished one, the first."""
        return self.find_all([run])[0]

    def find_all(self, runs: Sequence[RunRecord]) -> tuple[Repeats, ...]:
        """Return what `find` returns for each of these runs, from one question to the store."""
        found = self._store.runs.find_settings([run.config for run in runs])
        return tuple(_one_a_seed(found[setting_key(run.config)]) for run in runs)

    def fill(
        self,
        run: RunRecord,
        *,
        seeds: int = USUAL_SEEDS,
        like: Collection[int] = (),
        owner: str | None = None,
        priority: int = 0,
        executor: str | None = None,
    ) -> Repeats:
        """Ask for so many more runs that the settings have `seeds` different seeds, and return all of them.

        like: seeds to take before others, such as those of the other side. Asking again adds nothing. The new runs carry
        the run's tags, and its name with the seed; owner, priority and executor as `submit` has them. Raises `InputError`
        for a number of seeds, and what `submit` raises.
        """
        if not 1 <= seeds <= MOST_SEEDS:
            raise InputError(f"{seeds} seeds were asked for, but it must be from 1 to {MOST_SEEDS}.")
        there = self.find(run)
        named = run.name if run.name != run.config.arch else ""
        queued = []
        for seed in free_seeds(there.seeds, seeds - len(there.runs), like=like):
            resolved = self._validation.resolve(run.config.replace(seed=seed))
            name = f"{named}, seed {seed}" if named else ""
            asked = self._submissions.submit(
                resolved, name=name, tags=run.tags, owner=owner, priority=priority, executor=executor
            )
            queued.append(asked.run)
        return Repeats(self.find(run).runs, tuple(queued))


def _one_a_seed(runs: Sequence[RunRecord]) -> Repeats:
    there = [run for run in runs if run.state is RunState.FINISHED or run.state.live]
    there.sort(key=lambda run: (run.config.seed, run.state is not RunState.FINISHED, run.number))
    by_seed: dict[int, RunRecord] = {}
    for run in there:
        by_seed.setdefault(run.config.seed, run)
    return Repeats(tuple(by_seed.values()))


def free_seeds(taken: Collection[int], number: int, *, like: Collection[int] = ()) -> tuple[int, ...]:
    """Return so many seeds that are not taken: first those of `like`, then the lowest from 0."""
    first = [seed for seed in sorted(set(like)) if seed not in taken]
    rest = (seed for seed in count() if seed not in taken and seed not in first)
    return (*first[: max(0, number)], *islice(rest, max(0, number - len(first))))
