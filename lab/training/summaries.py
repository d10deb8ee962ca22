"""The facts that the loop reports about a run: at its start, after an epoch, after an evaluation, and at its end."""

from typing import Any

from lab.devices import memory_mb
from lab.metrics import Measurement, Split, compute_metrics, result_keys
from lab.training.evaluation import Evaluation
from lab.training.events import Started
from lab.training.session import Session


def started(session: Session) -> Started:
    """Return the first event of a new or resumed run."""
    data = session.data
    return Started(
        device=str(session.device),
        step=session.progress.step,
        total_steps=session.total_steps,
        steps_per_epoch=session.steps_per_epoch,
        train_images=len(data.train_y),
        val_images=len(data.val_y),
        test_images=len(data.test_y),
        params=_count_params(session),
        environment=session.environment(),
    )


def epoch_metrics(session: Session, *, learning_rate: float) -> dict[str, float]:
    """Return the training metrics of the epoch. learning_rate: of its last step."""
    progress = session.progress
    measurement = Measurement(
        loss=progress.loss_sum / progress.seen,
        accuracy=progress.right / progress.seen,
        images=progress.seen,
        learning_rate=learning_rate,
        gradient_norm=progress.grad_norm,
        images_per_second=progress.seen / progress.epoch_seconds,
        memory_mb=memory_mb(session.device),
    )
    return compute_metrics(Split.TRAIN, measurement)


def evaluation_metrics(session: Session, split: Split, result: Evaluation) -> dict[str, float]:
    """Return the metrics of an evaluation of the validation or the test set, or of its first images."""
    labels = session.data.val_y if split is Split.VAL else session.data.test_y
    measurement = Measurement(
        loss=result.loss,
        accuracy=result.accuracy,
        images=len(result.logits),
        logits=result.logits.numpy(),
        labels=labels[: len(result.logits)].cpu().numpy(),
    )
    return compute_metrics(split, measurement)


def summarise(session: Session, *, over: bool) -> dict[str, Any]:
    """Return the metrics of the final weights, or of the last completed epoch if the run was interrupted.

    over: whether the run was not interrupted.
    """
    progress = session.progress
    restored = over and session.config.restore_best and bool(progress.best)
    final = result_keys(progress.best if restored else progress.latest)
    speed = progress.trained_images / progress.train_seconds if progress.train_seconds else float("nan")
    final_epoch = progress.best_epoch if restored else progress.closed_epoch(session.steps_per_epoch)
    which = {"best_epoch": progress.best_epoch or final_epoch, "final_epoch": final_epoch} if final_epoch else {}
    return {
        **final,
        **which,
        "epochs": progress.epoch,
        "steps": progress.step,
        "params": _count_params(session),
        "images_per_second": speed,
        "seconds": session.clock.read(),
        "train_seconds": progress.train_seconds,
    }


def _count_params(session: Session) -> int:
    return sum(p.numel() for p in session.network.parameters())
