"""Runs as TensorBoard event files: `tensorboard --logdir FOLDER` shows their curves and hyperparameters.

Each run is a folder with one file, written by TensorBoard's own record writer. TensorBoard stores float32; CSV, JSON
and bundles have full precision. The wall time of a point is when the run reached it.
"""

import io
import math
from collections.abc import Iterator, Sequence
from typing import Any

from lab.config import FIELDS
from lab.errors import LabError
from lab.metrics import list_results
from lab.runs.records import RunRecord
from lab.sharing.source import Source


def event_files(source: Source, runs: Sequence[RunRecord]) -> dict[str, bytes]:
    """Return one event file per run, by path inside the folder. Raises `LabError` if tensorboard is not installed."""
    try:
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError as error:
        raise LabError(
            f"TensorBoard export needs the package {error.name}, which is not installed: `pip install tensorboard`, or "
            "export CSV or JSON."
        ) from error
    files = {}
    for run in runs:
        target = io.BytesIO()
        writer = RecordWriter(target)
        for event in _events(source, run):
            writer.write(event.SerializeToString())
        files[f"{run.config.arch}-{run.id}/events.out.tfevents.{int(_start(run)):010d}.convlab"] = target.getvalue()
    return files


def _start(run: RunRecord) -> float:
    start = run.started_at if run.started_at is not None else run.created_at
    return start if math.isfinite(start) else 0.0  # a stored time may be infinite or NaN


def _events(source: Source, run: RunRecord) -> Iterator[Any]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    start = _start(run)
    yield Event(wall_time=start, file_version="brain.Event:2")
    for summary in _settings(run, start):
        yield Event(wall_time=start, summary=summary)
    for name, series in source.store.points.read(run.id).items():
        for step, value, time_s in zip(
            series.step.tolist(), series.value.tolist(), series.time_s.tolist(), strict=True
        ):
            point = Summary.Value(tag=name, simple_value=_single(value))
            yield Event(wall_time=start + time_s, step=step, summary=Summary(value=[point]))


def _single(value: float) -> float:
    """Return a value within the range of float32; larger ones become infinite, as in any float32 computation."""
    return value if abs(value) <= 3.4028234663852886e38 or math.isnan(value) else math.copysign(math.inf, value)


def _settings(run: RunRecord, start: float) -> list[Any]:
    from tensorboard.plugins.hparams.summary_v2 import HParam, Metric, hparams_config_pb, hparams_pb

    settings = {name: _hyperparameter(getattr(run.config, name)) for name in FIELDS}
    columns = [HParam(name) for name in settings]
    return [
        hparams_config_pb(
            hparams=columns, metrics=[Metric(metric.id) for metric in list_results()], time_created_secs=start
        ),
        hparams_pb(settings, trial_id=run.id, start_time_secs=start),
    ]


def _hyperparameter(value: Any) -> bool | float | str:
    """Return a setting as a type that TensorBoard supports: bool, float or str."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={item}" for name, item in sorted(value.items()))
    return value if isinstance(value, (bool, str)) else float(value)
