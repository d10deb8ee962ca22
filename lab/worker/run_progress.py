"""What lists and pages show of a run in training: step, epoch, phase, time left and the latest measurements.

Derived from the events of training alone; `lab.worker.recorder` stores it. Clock readings are passed in.
"""

from typing import Any

from lab.runs.records import RunRecord
from lab.training.events import Evaluated, Started, StepMetrics
from lab.training.samples import Answer

TRAINING, EVALUATING = "training", "evaluating"  # phases of a run that has started training


class AttemptProgress:
    """The progress of one attempt of a run. values: what the store keeps of it."""

    def __init__(self, run: RunRecord) -> None:
        self.values: dict[str, Any] = {"epochs": run.config.epochs}
        if run.progress.answers:  # of an earlier attempt
            self.values["answers"] = run.progress.answers
        self._started_at = (0, 0.0)  # step and clock reading at the start of this attempt, to estimate the time left

    @property
    def has_answers(self) -> bool:
        """Whether the latest predictions of test images are known."""
        return "answers" in self.values

    def set_phase(self, text: str) -> None:
        """Set the phase that is shown while nothing is being trained."""
        self.values["phase"] = text

    def drop_answers(self) -> None:
        """Forget the latest predictions of test images."""
        del self.values["answers"]

    def start(self, event: Started, *, now_s: float) -> None:
        """Begin an attempt. now_s: the reading of a monotonic clock."""
        self._started_at = (event.step, now_s)
        self.values |= {
            "step": event.step,
            "total_steps": event.total_steps,
            "steps_per_epoch": event.steps_per_epoch,
            "device": event.device,
            "phase": TRAINING,
        }

    def add_steps(self, event: StepMetrics, *, now_s: float) -> None:
        """Take account of trained steps."""
        step = int(event.step[-1])
        self.values |= {
            "step": step,
            "seconds": float(event.time_s[-1]),
            "images_per_second": event.images_per_second,
            "epoch": -(-step // self._epoch_steps),
            "eta_seconds": self._time_left(step, now_s),
        }
        self._set_answers(event.answers)
        # The evaluation after an epoch may take longer than its steps, and nothing else is updated during it.
        self.values["phase"] = EVALUATING if self._ends_epoch(step) else TRAINING

    def evaluate(self, event: Evaluated) -> None:
        """Take account of an evaluation."""
        self.values |= {"seconds": event.time_s, "latest": dict(event.metrics), "phase": TRAINING}
        self._set_answers(event.answers)

    def _set_answers(self, answers: tuple[Answer, ...] | None) -> None:
        if answers is not None:
            self.values["answers"] = [list(answer) for answer in answers]

    @property
    def _epoch_steps(self) -> int:
        return max(1, int(self.values["steps_per_epoch"]))

    def _ends_epoch(self, step: int) -> bool:
        return step % self._epoch_steps == 0 or step == self.values["total_steps"]

    def _time_left(self, step: int, now_s: float) -> float | None:
        first, since_s = self._started_at
        if step <= first:
            return None
        return (now_s - since_s) / (step - first) * (int(self.values["total_steps"]) - step)
