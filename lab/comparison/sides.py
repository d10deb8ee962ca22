"""Which runs of a group count, and which groups can be compared: every rule once, each with its sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.errors import InputError
from lab.formatting import plural
from lab.runs.encoding import setting_key
from lab.runs.imports import IMPORTED
from lab.runs.records import RunRecord, RunState

_NAMED = 3  # runs that a sentence names


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison. runs: those that count, in the order of their seeds. notes: sentences on the rest."""

    runs: tuple[RunRecord, ...]
    notes: tuple[str, ...]

    @property
    def values(self) -> tuple[float, ...]:
        """The headline test accuracy of each run, a share."""
        return tuple(accuracy for run in self.runs if (accuracy := run.headline.test_accuracy) is not None)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The runs' seeds."""
        return tuple(run.config.seed for run in self.runs)

    @property
    def settings(self) -> int:
        """How many settings the runs have, whatever their seeds."""
        return len({setting_key(run.config) for run in self.runs})


def make_side(name: str, runs: Sequence[RunRecord]) -> Side:
    """Return what of a group counts: finished runs with a test accuracy, each training once. name: such as "A"."""
    first: dict[str, RunRecord] = {}
    for run in sorted(runs, key=lambda one: (one.config.seed, one.number)):
        if _counts(run):
            first.setdefault(run.fingerprint, run)
    counted = tuple(first.values())
    unfinished = [run for run in runs if run.state is not RunState.FINISHED]
    untested = [run for run in runs if run.state is RunState.FINISHED and not _counts(run)]
    again = len({run.id for run in runs}) - len(unfinished) - len(untested) - len(counted)
    imported = [run for run in counted if run.origin == IMPORTED]
    side = Side(counted, ())
    notes = [
        f"Left out of {name}, not finished: {_names(unfinished)}." if unfinished else "",
        f"Left out of {name}, without a test accuracy: {_names(untested)}." if untested else "",
        f"Left out of {name}, as another has the same settings and seed: {plural(again, 'run')}." if again > 0 else "",
        f"The runs of {name} have {side.settings} settings: the verdict is on their mixture."
        if side.settings > 1
        else "",
        f"{plural(len(imported), 'run')} of {name} {'was' if len(imported) == 1 else 'were'} imported: measured elsewhere."
        if imported
        else "",
    ]
    return Side(counted, tuple(note for note in notes if note))


def check_comparable(a: Sequence[RunRecord], b: Sequence[RunRecord]) -> None:
    """Raise `InputError` where no verdict is possible: an empty side, a run on both, different test images."""
    for name, runs in (("A", a), ("B", b)):
        if not runs:
            raise InputError(f"Side {name} has no run: name at least one.")
    both = {run.fingerprint for run in a} & {run.fingerprint for run in b}
    shared = [run for run in a if run.fingerprint in both]
    if shared:
        raise InputError(
            f"Run {shared[0].id} is on both sides, or one with its settings and seed is: leave it out of one."
        )
    datasets = sorted({run.config.dataset for run in (*a, *b)})
    if len(datasets) > 1:
        raise InputError(f"The runs were tested on different data sets ({', '.join(datasets)}): compare runs of one.")
    sizes = sorted({size for run in (*a, *b) if (size := run.environment.test_images)})
    if len(sizes) > 1:
        counts = " and ".join(f"{size:,}" for size in sizes)
        raise InputError(f"The runs were tested on different test sets, of {counts} images: compare runs of one.")


def _counts(run: RunRecord) -> bool:
    return run.state is RunState.FINISHED and run.headline.test_accuracy is not None


def _names(runs: Sequence[RunRecord]) -> str:
    named = ", ".join(f"{run.id} ({run.status})" for run in runs[:_NAMED])
    return f"{named} and {len(runs) - _NAMED} more" if len(runs) > _NAMED else named
