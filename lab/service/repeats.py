"""Repeating a run's settings with other seeds or folds, so that groups can be compared (`lab.comparison`)."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice

from lab.config import RunConfig
from lab.config.repeats import Repeat, repeat_of, repeat_text, setting_key
from lab.config.run_config import MAX_FOLDS
from lab.errors import InputError
from lab.runs.records import RunRecord, RunState
from lab.runs.store import RunStore
from lab.service.submissions import Submissions
from lab.service.validation import Validation

MAX_SEEDS = 50  # per setting and request
USUAL_SEEDS = 5  # what a comparison needs on each side
USUAL_FOLDS = 5
# The end of the name of a run that is itself a repeat.
_REPEAT_WORDS = re.compile(r"(, fold \d+ of \d+)?, seed \d+$")


@dataclass(frozen=True, slots=True)
class Repeats:
    """The runs of one setting, one per seed and fold, in this order.

    missing: the requested configurations that have no run yet. queued: the runs that this request queued for them.
    """

    runs: tuple[RunRecord, ...]
    missing: tuple[RunConfig, ...] = ()
    queued: tuple[RunRecord, ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of these runs, without duplicates."""
        return tuple(dict.fromkeys(run.config.seed for run in self.runs))


class Repeating:
    """Finds the runs that differ from one only in their seed or fold, and submits more of them."""

    def __init__(self, store: RunStore, validation: Validation, submissions: Submissions) -> None:
        self._store, self._validation, self._submissions = store, validation, submissions

    def find(self, run: RunRecord) -> Repeats:
        """Return the live and finished runs of this run's settings, one per seed and fold; a finished one if any."""
        return self.find_all([run])[0]

    def find_all(self, runs: Sequence[RunRecord]) -> tuple[Repeats, ...]:
        """Return what `find` returns for each of these runs, with a single query of the store."""
        return self._find([run.config for run in runs])

    def _find(self, configs: Sequence[RunConfig]) -> tuple[Repeats, ...]:
        found = self._store.runs.find_settings(configs)
        return tuple(_one_each(found[setting_key(config)]) for config in configs)

    def plan(
        self,
        runs: Sequence[RunRecord],
        *,
        seeds: int | None = None,
        folds: int | None = None,
        like: Collection[int] = (),
    ) -> tuple[Repeats, ...]:
        """Return for the settings of each of these runs which seeds or folds have runs and which are missing.

        seeds: the total per setting; by default 5, or with folds the seeds that have runs, or else the first run's.
        folds: the number of parts of the training images, each fold with every seed; None keeps the validation share or
        the folds of the runs. like: seeds to prefer, by default those of the other settings. Raises `InputError` for a
        number out of range.
        """
        if seeds is not None and not 1 <= seeds <= MAX_SEEDS:
            raise InputError(f"The number of seeds is {seeds}, but it must be from 1 to {MAX_SEEDS}.")
        if folds is not None and not 2 <= folds <= MAX_FOLDS:
            raise InputError(f"The number of folds is {folds}, but it must be from 2 to {MAX_FOLDS}.")
        configs = [run.config.replace(folds=folds, fold=1) if folds else run.config for run in runs]
        found = self._find(configs)
        like = like or {seed for one in found for seed in one.seeds}
        planned = []
        for config, one in zip(configs, found, strict=True):
            # Folds with other seeds have other images: the settings would have no fold in common.
            first = like or {runs[0].config.seed}
            number = seeds or (len(set(first)) if config.folds else USUAL_SEEDS)
            chosen = (*one.seeds, *free_seeds(one.seeds, number - len(one.seeds), like=first if config.folds else like))
            taken = {repeat_of(run.config) for run in one.runs}
            asked = [config.replace(seed=seed, fold=fold) for seed in chosen for fold in _folds(config)]
            planned.append(replace(one, missing=tuple(each for each in asked if repeat_of(each) not in taken)))
        return tuple(planned)

    def fill(
        self,
        run: RunRecord,
        *,
        seeds: int | None = None,
        folds: int | None = None,
        like: Collection[int] = (),
        owner: str | None = None,
        priority: int = 0,
        executor: str | None = None,
    ) -> Repeats:
        """Submit the missing seeds or folds, as in `plan`, and return all runs of these settings.

        Repeating the call adds nothing. The new runs have the run's tags, and its name with seed and fold; owner,
        priority and executor: as for `submit`. Raises `InputError` like `plan`, and what `submit` raises.
        """
        (plan,) = self.plan([run], seeds=seeds, folds=folds, like=like)
        return self._submit(run, plan, owner=owner, priority=priority, executor=executor)

    def fill_all(
        self, runs: Sequence[RunRecord], *, seeds: int | None = None, folds: int | None = None, owner: str | None = None
    ) -> tuple[Repeats, ...]:
        """Do what `fill` does for each of these runs, with the same seeds if possible."""
        plans = self.plan(runs, seeds=seeds, folds=folds)
        return tuple(self._submit(run, plan, owner=owner) for run, plan in zip(runs, plans, strict=True))

    def _submit(
        self, run: RunRecord, plan: Repeats, *, owner: str | None, priority: int = 0, executor: str | None = None
    ) -> Repeats:
        named = _REPEAT_WORDS.sub("", run.name) if run.name != run.config.arch else ""
        queued = []
        for config in plan.missing:
            name = f"{named}, {repeat_text(config)}" if named else ""
            asked = self._submissions.submit(
                self._validation.resolve(config),
                name=name,
                tags=run.tags,
                owner=owner,
                priority=priority,
                executor=executor,
            )
            queued.append(asked.run)
        ids = [*(one.id for one in plan.runs), *(one.id for one in queued)]
        there = self._store.runs.list(ids=ids, limit=None)
        return Repeats(_one_each(there).runs, plan.missing, tuple(queued))


def _folds(config: RunConfig) -> range:
    """Return the folds that every seed has; a single one, without effect, if there are no folds."""
    return range(1, max(1, config.folds) + 1)


def _one_each(runs: Sequence[RunRecord]) -> Repeats:
    there = [run for run in runs if run.state is RunState.FINISHED or run.state.live]
    there.sort(key=lambda run: (*repeat_of(run.config), run.state is not RunState.FINISHED, run.number))
    each: dict[Repeat, RunRecord] = {}
    for run in there:
        each.setdefault(repeat_of(run.config), run)
    return Repeats(tuple(each.values()))


def free_seeds(taken: Collection[int], number: int, *, like: Collection[int] = ()) -> tuple[int, ...]:
    """Return `number` seeds that are not taken: first those of `like`, then the lowest from 0."""
    first = [seed for seed in sorted(set(like)) if seed not in taken]
    rest = (seed for seed in count() if seed not in taken and seed not in first)
    return (*first[: max(0, number)], *islice(rest, max(0, number - len(first))))
