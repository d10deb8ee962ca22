"""The charts of metrics over a run, derived from the list of metrics: their titles, order, and where they are shown."""

from dataclasses import dataclass

from lab.metrics import ACCURACY, GRADIENT, LOSS, MEMORY, METRICS, RATE, SPEED, Cadence, MetricSpec, Quantity


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """One chart of metrics over a run. live: shown in the live view. report: shown in the HTML report."""

    id: str
    title: str
    live: bool = True
    report: bool = True
    metrics: tuple[MetricSpec, ...] = ()

    @property
    def dense(self) -> MetricSpec | None:
        """The metric recorded at every batch, which is drawn smoothed, or None."""
        return next((metric for metric in self.metrics if metric.cadence is Cadence.BATCH), None)

    @property
    def sparse(self) -> tuple[MetricSpec, ...]:
        """The metrics with one point for each epoch or evaluation."""
        return tuple(metric for metric in self.metrics if metric.cadence is not Cadence.BATCH)

    @property
    def quantity(self) -> Quantity:
        """What the y axis shows."""
        return self.metrics[0].quantity


# In the order of menus. A metric whose chart is not listed gets one with the title of its quantity.
_CHARTS = (
    ChartSpec(LOSS.id, "Loss"),
    ChartSpec(ACCURACY.id, "Accuracy"),
    ChartSpec("epoch-loss", "Training loss of whole epochs", live=False, report=False),
    ChartSpec("epoch-accuracy", "Training accuracy of whole epochs", live=False, report=False),
    ChartSpec(RATE.id, "Learning rate"),
    ChartSpec(GRADIENT.id, "Gradient norm", live=False),
    ChartSpec(SPEED.id, "Images per second", live=False),
    ChartSpec(MEMORY.id, "Memory (MB)", live=False, report=False),
)


def list_charts() -> dict[str, ChartSpec]:
    """Return every chart by id, with its metrics, in the order of menus."""
    known = {chart.id: chart for chart in _CHARTS}
    members: dict[str, list[MetricSpec]] = {id: [] for id in known}
    for metric in METRICS.values():
        members.setdefault(metric.chart_id, []).append(metric)
    return {id: _chart(id, known.get(id), tuple(metrics)) for id, metrics in members.items() if metrics}


def _chart(id: str, known: ChartSpec | None, metrics: tuple[MetricSpec, ...]) -> ChartSpec:
    title = metrics[0].quantity.title
    base = known or ChartSpec(id, title[:1].upper() + title[1:])
    return ChartSpec(base.id, base.title, base.live, base.report, metrics)
