"""The selected saved weights of a run, updated in the run's row whenever its saved weights change.

Lists are sorted and filtered by these columns of the row; the rule is `lab.runs.headline.choose_weights`.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, and_, select

from lab.runs.context import StoreContext
from lab.runs.headline import METRICS, HeadlineResult, SavedEpoch, choose_weights, result_of_saved, result_of_summary
from lab.runs.records import WEIGHTS
from lab.runs.row_changes import change_row, sound_row
from lab.runs.rows import decoded
from lab.runs.run_facts import RunSummary
from lab.runs.tables import points, saved_files, series_names


class Results:
    """`RunStore.results`: the measurements of each saved epoch, and which of them is selected."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def saved_epochs(self, run: str) -> tuple[SavedEpoch, ...]:
        """Return a run's saved weights in step order with their measurements. Raises `RunNotFoundError`."""
        with self.context.database.read() as connection:
            return saved_epochs_of(connection, run, sound_row(connection, run).number)

    def headline(self, run: str) -> HeadlineResult | None:
        """Return the result of a run's selected weights, or None if no weights are saved."""
        return choose_weights(self.saved_epochs(run))

    def at_step(self, run: str, step: int) -> HeadlineResult | None:
        """Return the result of the weights saved at a step, or None if there are none."""
        saved = self.saved_epochs(run)
        selected = choose_weights(saved)
        if selected is not None and selected.step == step:
            return selected
        return next((result_of_saved(one) for one in saved if one.step == step), None)


def refresh_headline(connection: Connection, row: Row[Any], *, added: int | None = None) -> Row[Any]:
    """Write the selection among a run's saved weights into its locked row; without any, the result of its summary.

    added: the step of weights that were just added; only these are then compared with the weights selected so far,
    however many there are.
    """
    saved = saved_epochs_of(connection, row.id, row.number, step=added)
    if added is not None and row.weights_step is not None:
        measured = {name: getattr(row, name) for name in METRICS}
        saved = (*saved, SavedEpoch(row.weights_step, row.weights_epoch, **measured))
    values = headline_columns(choose_weights(saved), summary=decoded(row.summary), config=decoded(row.config))
    return change_row(connection, row, **values)


def headline_columns(
    selected: HeadlineResult | None, *, summary: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the columns of `runs` that hold a headline."""
    shown = selected or result_of_summary(RunSummary.from_dict(summary), restore_best=bool(config.get("restore_best")))
    return {
        "weights_step": None if selected is None else selected.step,
        "weights_epoch": None if selected is None else selected.epoch,
        "weights_which": None if selected is None else selected.which,
        **{name: getattr(shown, name) for name in METRICS},
    }


def saved_epochs_of(
    connection: Connection, run: str, number: int, *, step: int | None = None
) -> tuple[SavedEpoch, ...]:
    """Return the saved weights of the run with this id and number, in step order, whether or not it has a row yet.

    step: only the weights saved at this step.
    """
    names = {name.replace("_", "/"): name for name in METRICS}
    known = connection.execute(select(series_names).where(series_names.c.name.in_(names))).all()
    series = {row.number: names[row.name] for row in known}
    measured = and_(points.c.run == number, points.c.step == saved_files.c.step, points.c.series.in_(list(series)))
    query = (
        select(saved_files.c.step, saved_files.c.epoch, points.c.series, points.c.value)
        .select_from(saved_files.outerjoin(points, measured))
        .where(saved_files.c.run == run, saved_files.c.kind == WEIGHTS)
        .order_by(saved_files.c.step)
    )
    if step is not None:
        query = query.where(saved_files.c.step == step)
    found: dict[int, SavedEpoch] = {}
    for row in connection.execute(query):
        saved = found.get(row.step) or SavedEpoch(row.step, row.epoch)
        name = series.get(row.series, "")  # "" if nothing was measured at this step
        value = {name: row.value} if name and RunSummary.kind(name).fits(row.value) else {}
        found[row.step] = saved._replace(epoch=row.epoch, **value)
    return tuple(found.values())
