"""The rule that selects one of a run's saved weights, and the accuracy that belongs to them.

Among the saved epochs that were tested (all saved epochs if none was), the lowest validation loss is selected, and the
earliest of equal ones; if nothing was validated, the newest. Weights saved by a stop inside an epoch were not tested
and are selected only if there are no others. Every number of a `HeadlineResult` was measured on exactly these weights.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from lab.formatting import format_percent
from lab.runs.facts import plain_number
from lab.runs.run_facts import RunSummary

BEST, LAST, UNTESTED = "best", "last", "untested"
METRICS = ("test_accuracy", "test_loss", "val_accuracy", "val_loss")  # series "test/accuracy", …


class SavedEpoch(NamedTuple):
    """One set of saved weights and the measurements at its step (None if not measured, or NaN)."""

    step: int
    epoch: int
    test_accuracy: float | None = None
    test_loss: float | None = None
    val_accuracy: float | None = None
    val_loss: float | None = None


@dataclass(frozen=True, slots=True)
class HeadlineResult:
    """The result that a run is known by: accuracies in [0, 1] and losses of one epoch's weights.

    which: "best" (lowest validation loss), "last" (newest; nothing was validated), "untested" (stopped inside an epoch)
    or "" (weights that somebody chose, or unknown). saved: whether these weights can be loaded. step and epoch are None
    if the run's record does not contain them.
    """

    step: int | None = None
    epoch: int | None = None
    which: str = ""
    test_accuracy: float | None = None
    test_loss: float | None = None
    val_accuracy: float | None = None
    val_loss: float | None = None
    saved: bool = False

    def epoch_text(self, epochs: int, *, live: bool = False) -> str:
        """Return the epoch as text: "3 of 5 (best)", for a live run "3 of 5 (best so far)", or "" if unknown."""
        if self.epoch is None:
            return ""
        words = {BEST: "best so far" if live else BEST, LAST: "newest" if live else LAST, UNTESTED: "stopped inside it"}
        which = f" ({words[self.which]})" if self.which in words else ""
        return f"{self.epoch} of {epochs}{which}"

    def text(self, epochs: int, *, live: bool = False) -> str:
        """Return the result as text, such as "96.38 % test, epoch 3 of 5 (best)"; "" if nothing is known."""
        epoch = self.epoch_text(epochs, live=live)
        known = [f"{format_percent(self.test_accuracy)} test"] if self.test_accuracy is not None else []
        known += [f"epoch {epoch}"] if epoch else []
        known += ["not tested"] if epoch and self.test_accuracy is None else []
        return ", ".join(known)

    def as_dict(self) -> dict[str, Any]:
        """Return a dict for JSON."""
        return {name: getattr(self, name) for name in ("epoch", "step", "which", *METRICS, "saved")}


def choose_weights(saved: Iterable[SavedEpoch]) -> HeadlineResult | None:
    """Return the result of the selected weights, or None if nothing is saved."""
    every = sorted(saved, key=lambda one: one.step)
    tested = [one for one in every if one.test_accuracy is not None] or every
    validated = [one for one in tested if one.val_loss is not None and one.val_loss < float("inf")]
    if validated:
        return result_of_saved(min(validated, key=lambda one: (one.val_loss, one.step)), which=BEST)
    if not tested:
        return None
    return result_of_saved(tested[-1], which=UNTESTED if tested[-1].test_accuracy is None else LAST)


def result_of_saved(saved: SavedEpoch, *, which: str = "") -> HeadlineResult:
    """Return the result of one set of saved weights."""
    return HeadlineResult(which=which, saved=True, **saved._asdict())


def result_of_summary(summary: RunSummary, *, restore_best: bool) -> HeadlineResult:
    """Return the final result of a run without saved weights: its last whole epoch, or its best one if restored."""
    test_accuracy, test_loss, val_accuracy, val_loss = (plain_number(summary.value(name)) for name in METRICS)
    epoch = summary.final_epoch
    known = isinstance(epoch, int) and not {test_accuracy, test_loss, val_accuracy, val_loss} <= {None}
    restored = restore_best and epoch == summary.best_epoch and val_loss is not None
    which = (BEST if restored else LAST) if known else ""
    return HeadlineResult(None, epoch if known else None, which, test_accuracy, test_loss, val_accuracy, val_loss)
