"""The training loop: `for event in train(...)`. It does not know who handles the events or where they are stored.

Between two steps the loop polls `command()`, which must be fast. Event handlers cannot affect a run: the clock is
stopped while they run, and the random generators are restored afterwards. On a CPU the same configuration gives
bit-identical results, no matter how often the run was paused, killed and resumed, as long as the thread count and the
torch version are the same.
"""

import time
from collections.abc import Callable, Generator, Iterator

import numpy as np
import torch
from torch import nn

from lab.config import RunConfig
from lab.metrics import LEARNING_RATE, VAL_LOSS, Split
from lab.training.batches import epoch_order
from lab.training.checkpoint import Checkpoint, Weights
from lab.training.data import ResidentData
from lab.training.events import Command, Ended, Evaluated, Event, Snapshot, StepMetrics, Turn
from lab.training.samples import START_IMAGES, Answer, most_probable
from lab.training.schedules import compute_lr, recorded_steps
from lab.training.session import Session, initialise, process_settings
from lab.training.step_choice import StepKind, StepsBuilder
from lab.training.summaries import epoch_metrics, evaluation_metrics, started, summarise

FLUSH_S = 0.25  # how often step metrics are yielded
CHECKPOINT_S = 30.0  # longest time between checkpoints, unless saving one takes longer than 1/50 of it
CHECKPOINT_SHARE = 50.0
ANSWERS_S = 0.5  # shortest time between predictions for the sample images within an epoch
ANSWERS_SHARE = 100.0  # and they take at most 1/100 of the time


class _InterruptedError(Exception):
    """The user requested to pause or stop."""

    def __init__(self, command: Command) -> None:
        super().__init__(command.value)
        self.command = command


def _always_run() -> Command:
    return Command.RUN


def train(
    config: RunConfig,
    *,
    network: nn.Module,
    data: ResidentData,
    device: torch.device,
    command: Callable[[], Command] = _always_run,
    resume: Checkpoint | None = None,
    steps: StepKind | StepsBuilder = StepKind.AUTO,
    pause_epoch: int | None = None,
    turns: bool = False,
) -> Generator[Event, None, None]:
    """Train the network in place and yield events, `Started` first and `Ended` last.

    data: resides on `device`. resume: a checkpoint of this run, or of a shorter run of the same configuration. steps: a
    kind other than AUTO, to compare kinds, or a function that builds the steps (`lab.training.parallel`). pause_epoch:
    pause after this epoch is evaluated and saved, unless it is the last. turns: yield `Turn` after every step
    (`lab.training.together`). Raises `TrainingError` (no images, not enough memory) and `ArtifactError` (a checkpoint
    of another run).
    """
    with process_settings(config, device):
        session = Session(config, network, data, device, steps=steps)
        yield from _Loop(session, command, pause_epoch, turns=turns).run(resume)


class _Loop:
    """Control flow of a run: epochs, evaluations, checkpoints, interruptions. The session holds the state."""

    def __init__(
        self, session: Session, command: Callable[[], Command], pause_epoch: int | None = None, *, turns: bool = False
    ) -> None:
        self.session, self.config = session, session.config
        self._command = command
        self._pause_epoch, self._turns = pause_epoch, turns
        self._times: list[float] = []  # clock readings after the steps since the last flush
        self._lr_steps = recorded_steps(
            self.config, steps_per_epoch=session.steps_per_epoch, total_steps=session.total_steps
        )
        self._answers: tuple[Answer, ...] | None = None  # of the latest evaluation of the test set
        self._window_start = 0.0  # clock reading before the steps since the last flush
        self._next_flush = 0.0
        self._next_answers = ANSWERS_S
        self._next_checkpoint = time.perf_counter() + CHECKPOINT_S

    def run(self, resume: Checkpoint | None) -> Iterator[Event]:
        """Yield every event of the run."""
        if resume:
            self.session.restore(resume)
            self._record_rate_of_fork()
        self.session.prepare()
        notices = self.session.changed_conditions(resume) if resume else []
        yield from self._emit(started(self.session))
        for notice in notices:
            yield from self._emit(notice)
        try:
            if not resume:
                initialise(self.session.network, self.session.data)
            if self.session.progress.evaluated < 0:
                yield from self._evaluate_start()
            while not (self._is_over() or self._is_pause_due()):
                yield from self._train_epoch()
                yield from self._close_epoch()
            outcome = self._outcome()
        except _InterruptedError as interruption:
            outcome = yield from self._interrupt(interruption.command)
            yield from self._emit(self._ended(outcome))
            return
        yield from self._emit(self._ended(outcome, planned=outcome == "paused"))

    def _record_rate_of_fork(self) -> None:
        """Also record the first learning rate of a fork, if the run that it continues had another."""
        progress, per_epoch = self.session.progress, self.session.steps_per_epoch
        begins = self.config.fork_epoch > 0 and progress.step == self.config.fork_epoch * per_epoch
        if begins and per_epoch > 1 and progress.latest.get(LEARNING_RATE.id) != self._lr(progress.step - 1):
            self._lr_steps = np.union1d(self._lr_steps, [progress.step + 1])

    def _emit(self, event: Event) -> Iterator[Event]:
        with self.session.frozen():
            yield event

    def _check_command(self) -> None:
        command = self._command()
        if command is not Command.RUN:
            raise _InterruptedError(command)

    def _is_over(self) -> bool:
        progress, patience = self.session.progress, self.config.patience
        if progress.closed != progress.step:
            return False  # an epoch is open, or its end has not been yielded yet
        return progress.step >= self.session.total_steps or 0 < patience <= progress.waited

    def _is_pause_due(self) -> bool:
        """Return whether the epoch to pause after is closed, possibly by an earlier attempt that was then killed."""
        progress = self.session.progress
        if self._pause_epoch is None or progress.closed != progress.step:
            return False
        return progress.closed_epoch(self.session.steps_per_epoch) >= self._pause_epoch

    def _outcome(self) -> str:
        if not self._is_over():
            return "paused"
        return "finished" if self.session.progress.step >= self.session.total_steps else "early-stopped"

    def _train_epoch(self) -> Iterator[Event]:
        """Take the remaining steps of the current epoch, or all steps of the next one."""
        session, progress = self.session, self.session.progress
        if progress.epoch == 0 or (
            progress.step == progress.closed and progress.step_in_epoch == session.steps_per_epoch
        ):
            progress.open_epoch()
            session.generators.seed_epoch(self.config.seed, progress.epoch)
        last_step = min(session.total_steps, progress.step + session.steps_per_epoch - progress.step_in_epoch)
        session.view.train()
        self._begin_window()
        yield from self._evaluate_between(last_step)  # if a pause interrupted this evaluation
        if progress.step < last_step:
            yield from self._take_steps(last_step)

    def _take_steps(self, last_step: int) -> Iterator[Event]:
        session, progress, config = self.session, self.session.progress, self.config
        order = epoch_order(len(session.data.train_y), seed=config.seed, epoch=progress.epoch, shuffle=config.shuffle)
        rates = np.array([self._lr(step) for step in range(progress.step, last_step)])
        steps = session.steps
        steps.begin(order, first=progress.step_in_epoch, rates=rates)
        while progress.step < last_step:
            self._check_command()  # before the next batch is augmented: its random numbers belong to the next step
            steps.step(measure_norm=progress.step + 1 == last_step)
            progress.step += 1
            progress.step_in_epoch += 1
            now = session.clock.read()
            self._times.append(now)
            if now >= self._next_flush:
                yield from self._flush(answer=True)
                yield from self._checkpoint_if_due()
            if config.eval_every and progress.step % config.eval_every == 0:
                yield from self._evaluate_between(last_step)
            if self._turns:
                yield from self._emit(Turn())

    def _lr(self, step: int) -> float:
        session = self.session
        return compute_lr(self.config, step, steps_per_epoch=session.steps_per_epoch, total_steps=session.total_steps)

    def _lr_recorded(self, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of these consecutive steps have a recorded learning rate, and the rates."""
        first, end = np.searchsorted(self._lr_steps, [steps[0], steps[-1] + 1])
        chosen = self._lr_steps[first:end]
        return chosen, np.array([self._lr(step - 1) for step in chosen.tolist()])

    def _begin_window(self) -> None:
        self._window_start = self.session.clock.read()
        self._next_flush = self._window_start + FLUSH_S

    def _flush(self, *, answer: bool = False) -> Iterator[Event]:
        """Yield the notices and the step metrics since the last flush. answer: with predictions, if they are due."""
        for notice in self.session.notices():
            yield from self._emit(notice)
        if not self._times:
            return
        progress = self.session.progress
        loss, correct, images = self.session.steps.drain()  # waits for the device
        time_s, self._times = np.array(self._times), []
        seconds = self.session.clock.read() - self._window_start
        progress.add_steps(loss, correct, images)
        norm = self.session.steps.gradient_norm()
        if norm is not None:
            progress.grad_norm = norm
        progress.train_seconds += seconds
        progress.epoch_seconds += seconds
        steps = progress.step - len(loss) + 1 + torch.arange(len(loss)).numpy()
        speed = float(images.sum() / seconds)
        answers = self._answers_if_due() if answer else None
        lr_step, lr = self._lr_recorded(steps)
        yield from self._emit(StepMetrics(steps, loss, correct / images, time_s, speed, lr_step, lr, answers))
        self._begin_window()

    def _answers_if_due(self) -> tuple[Answer, ...] | None:
        began = self.session.clock.read()
        if began < self._next_answers:
            return None
        answers = self.session.answer_samples()
        now = self.session.clock.read()
        self._next_answers = now + max(ANSWERS_S, ANSWERS_SHARE * (now - began))
        return answers

    def _checkpoint_if_due(self) -> Iterator[Event]:
        if time.perf_counter() >= self._next_checkpoint:
            yield from self._checkpoint()
            self._begin_window()

    def _checkpoint(self) -> Iterator[Event]:
        """Yield a checkpoint. The metrics of all earlier steps must have been yielded."""
        began = time.perf_counter()
        progress = self.session.progress
        yield from self._emit(Snapshot("checkpoint", progress.step, progress.epoch, self.session.checkpoint))
        now = time.perf_counter()
        self._next_checkpoint = now + max(CHECKPOINT_S, CHECKPOINT_SHARE * (now - began))

    def _snapshot_weights(self) -> Iterator[Event]:
        progress, network = self.session.progress, self.session.network
        facts = {"step": progress.step, "epoch": progress.epoch, "arch": self.config.arch}
        yield from self._emit(
            Snapshot("weights", progress.step, progress.epoch, lambda: Weights(network.state_dict(), facts))
        )

    def _evaluate(self, names: tuple[str, ...], *, limit: int | None = None) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for name in names:
            result = self.session.evaluate(name, limit=limit, before_chunk=self._check_command)
            metrics |= evaluation_metrics(self.session, Split(name), result)
            if name == Split.TEST:
                self._answers = most_probable(result.logits[self.session.samples].numpy())
        return metrics

    def _sets(self) -> tuple[str, ...]:
        return ("val", "test") if len(self.session.data.val_y) else ("test",)

    def _evaluated(self, metrics: dict[str, float], *, epoch_end: bool) -> Iterator[Event]:
        progress = self.session.progress
        progress.evaluated = progress.step
        yield from self._emit(
            Evaluated(
                progress.step,
                progress.epoch,
                self.session.clock.read(),
                metrics,
                epoch_end=epoch_end,
                answers=self._answers,
            )
        )
        self._answers = None

    def _evaluate_start(self) -> Iterator[Event]:
        """Evaluate before the first step, for the first point of the curves."""
        yield from self._evaluated(self._evaluate(self._sets(), limit=START_IMAGES), epoch_end=False)

    def _evaluate_between(self, last_step: int) -> Iterator[Event]:
        """Validate inside the epoch if a validation is due and has not been done yet."""
        progress, every = self.session.progress, self.config.eval_every
        if not every or progress.step % every or progress.evaluated >= progress.step or progress.step == last_step:
            return
        yield from self._flush()
        yield from self._evaluated(self._evaluate(self._sets()[:1]), epoch_end=False)
        self._begin_window()

    def _close_epoch(self) -> Iterator[Event]:
        """Yield the epoch's metrics, its weights and a checkpoint."""
        yield from self._flush()
        session, progress = self.session, self.session.progress
        metrics = epoch_metrics(session, learning_rate=self._lr(progress.step - 1))
        metrics |= self._evaluate(self._sets())
        progress.closed = progress.step
        progress.latest = metrics
        improved = VAL_LOSS.id in metrics and progress.note_validation(
            metrics[VAL_LOSS.id], min_delta=self.config.min_delta
        )
        if improved:
            progress.best = metrics
            if self.config.restore_best:
                session.save_best()
        yield from self._evaluated(metrics, epoch_end=True)
        yield from self._snapshot_weights()
        yield from self._checkpoint()

    def _interrupt(self, command: Command) -> Generator[Event, None, str]:
        """Yield everything that has not been saved yet and return the outcome."""
        yield from self._flush()
        progress = self.session.progress
        if command is Command.STOP and progress.closed != progress.step and progress.step:
            yield from self._snapshot_weights()
        yield from self._checkpoint()
        return "paused" if command is Command.PAUSE else "stopped"

    def _ended(self, outcome: str, *, planned: bool = False) -> Ended:
        session, progress = self.session, self.session.progress
        over = outcome in ("finished", "early-stopped")
        if over and self.config.restore_best and session.best:
            session.restore_best()
        session.view.eval()
        session.network.eval()
        return Ended(
            outcome, progress.step, progress.epoch, session.clock.read(), summarise(session, over=over), planned
        )
