"""The rules on which runs of a group count and which groups can be compared, each with its note or error."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from lab.config.repeats import Repeat, repeat_of, setting_key
from lab.errors import InputError
from lab.formatting import plural
from lab.metrics import TEST_ACCURACY, VAL_ACCURACY, MetricSpec
from lab.runs.imports import IMPORTED
from lab.runs.records import RunRecord, RunState
from lab.runs.repeated import are_folds
from lab.spread import Spread, spread_of

_NAMED = 3  # most runs named in a sentence


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison. runs: those that count, ordered by seed and fold. notes: sentences on the others."""

    runs: tuple[RunRecord, ...]
    notes: tuple[str, ...]

    @property
    def values(self) -> tuple[float, ...]:
        """The compared value of each run (`value_of`), a share."""
        return tuple(value for run in self.runs if (value := value_of(run)) is not None)

    @property
    def spread(self) -> Spread | None:
        """Mean and spread of the values, None if there are none."""
        return spread_of(self.values, folds=are_folds(self.runs))

    @property
    def measure(self) -> MetricSpec:
        """The metric by which the runs are compared."""
        return measure_of(self.runs[0]) if self.runs else TEST_ACCURACY

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """The seed and the fold of each run."""
        return tuple(repeat_of(run.config) for run in self.runs)

    def only(self, repeats: Collection[Repeat]) -> "Side":
        """Return the side with only the runs of these seeds and folds."""
        return replace(self, runs=tuple(run for run in self.runs if repeat_of(run.config) in repeats))

    @property
    def settings(self) -> int:
        """Number of different settings of the runs, not counting seeds and folds."""
        return len({setting_key(run.config) for run in self.runs})


def measure_of(run: RunRecord) -> MetricSpec:
    """Return the metric by which a run is compared: test accuracy, for a fold the accuracy on its held-out images."""
    return VAL_ACCURACY if run.config.folds else TEST_ACCURACY


def value_of(run: RunRecord) -> float | None:
    """Return the value by which a run is compared, None if it has none.

    It is the headline test accuracy, whose epoch was selected by validation. For a fold it is the validation accuracy
    of the last epoch, because the headline's epoch was selected on the same images on which it is measured.
    """
    return run.last_result.val_accuracy if run.config.folds else run.headline.test_accuracy


def make_side(name: str, runs: Sequence[RunRecord]) -> Side:
    """Return a side with the runs that count: finished, with a value, each training once. name: such as "A"."""
    first: dict[str, RunRecord] = {}
    for run in sorted(runs, key=lambda one: (*repeat_of(one.config), one.number)):
        if _counts(run):
            first.setdefault(_training(run), run)
    counted = tuple(first.values())
    unfinished = [run for run in runs if run.state is not RunState.FINISHED]
    untested = [run for run in runs if run.state is RunState.FINISHED and not _counts(run)]
    again = len({run.id for run in runs}) - len(unfinished) - len(untested) - len(counted)
    imported = [run for run in counted if run.origin == IMPORTED]
    side = Side(counted, ())
    notes = [
        f"Left out of {name}, not finished: {_names(unfinished)}." if unfinished else "",
        f"Left out of {name}, without a {measure_of(untested[0]).title}: {_names(untested)}." if untested else "",
        f"Left out of {name}, as another has the same settings and seed: {plural(again, 'run')}." if again > 0 else "",
        f"The runs of {name} have {side.settings} settings: the verdict is on their mixture."
        if side.settings > 1
        else "",
        f"{plural(len(imported), 'run')} of {name} {'was' if len(imported) == 1 else 'were'} imported: measured "
        "elsewhere."
        if imported
        else "",
    ]
    return Side(counted, tuple(note for note in notes if note))


def check_comparable(a: Sequence[RunRecord], b: Sequence[RunRecord]) -> None:
    """Raise `InputError` if no verdict is possible: an empty side, a run on both sides, or different test images."""
    for name, runs in (("A", a), ("B", b)):
        if not runs:
            raise InputError(f"Side {name} has no run: name at least one.")
    both = {_training(run) for run in a} & {_training(run) for run in b}
    shared = [run for run in a if _training(run) in both]
    if shared:
        raise InputError(
            f"Run {shared[0].id} (or one with its settings and seed) is on both sides: leave it out of one."
        )
    datasets = sorted({run.config.dataset for run in (*a, *b)})
    if len(datasets) > 1:
        raise InputError(f"The runs were tested on different data sets ({', '.join(datasets)}): compare runs of one.")
    _check_folds(a, b)
    sizes = sorted({size for run in (*a, *b) if (size := run.environment.test_images)})
    if len(sizes) > 1:
        counts = " and ".join(f"{size:,}" for size in sizes)
        raise InputError(f"The runs were tested on different test sets, of {counts} images: compare runs of one.")


def _check_folds(a: Sequence[RunRecord], b: Sequence[RunRecord]) -> None:
    divisions = sorted({run.config.folds for run in (*a, *b)})
    if len(divisions) > 1:
        words = " and ".join(f"{folds} folds" if folds else "no folds" for folds in divisions)
        raise InputError(
            f"There are runs with {words}, which are measured on different images: repeat both sides with the same "
            "folds."
        )
    limits = sorted({run.config.train_limit for run in (*a, *b)})
    if divisions[0] and len(limits) > 1:
        counts = " and ".join(f"{limit:,}" if limit else "all" for limit in limits)
        raise InputError(f"The folds are of different images (train_limit {counts}): compare folds of the same.")


def _training(run: RunRecord) -> str:
    """Return a key that two records of the same training share.

    The fingerprint is not used, because that of an imported run is whatever its bundle claims.
    """
    return run.config.digest(data_checksum="")


def _counts(run: RunRecord) -> bool:
    return run.state is RunState.FINISHED and value_of(run) is not None


def _names(runs: Sequence[RunRecord]) -> str:
    named = ", ".join(f"{run.id} ({run.status})" for run in runs[:_NAMED])
    return f"{named} and {len(runs) - _NAMED} more" if len(runs) > _NAMED else named
